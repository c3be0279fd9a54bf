"""Groups of patients, and the metrics within them."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from models.metrics.overall.survival_curves import cumulative_incidence
from models.metrics.risk_distribution import risk_distribution
from models.metrics.subgroups import Subgroup, evaluate_subgroups
from training.cohorts.groups import patient_groups

N = 500


def simulated_outcomes(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, events (with a competing one) and true risks by day 90."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(size=N)) / 150
    first, other = rng.exponential(1 / rate), rng.exponential(400, N)
    lost = rng.uniform(20, 300, N)
    time = np.minimum(np.minimum(first, other), lost)
    event = np.where(time == lost, 0, np.where(time == first, 1, 2))
    both = rate + 1 / 400
    return time, event, (rate / both * (1 - np.exp(-90 * both)))[:, None]


def by_level(results: tuple[Subgroup, ...]) -> dict[str, Subgroup]:
    return {group.level: group for group in results}


def test_each_group_is_evaluated_in_its_own_patients_only() -> None:
    time, event, risk = simulated_outcomes()
    sex = np.where(np.arange(N) % 3 == 0, "female", "male").astype(object)

    results = by_level(evaluate_subgroups(time, event, risk, [90.0], {"sex": sex}, n_bootstrap=30))

    women = sex == "female"
    alone = evaluate_subgroups(
        time[women], event[women], risk[women], [90.0], {"sex": sex[women]}, n_bootstrap=30
    )[0]
    group = results["female"]
    assert (group.stays, group.events) == (women.sum(), (event[women] == 1).sum())
    assert [m.metric for m in group.metrics] == [
        *("auroc", "brier", "ipa", "oe_ratio", "calibration_intercept", "calibration_slope"),
        "net_benefit",
    ]
    # All but the net benefit, whose threshold is that of the whole cohort.
    assert group.metrics[:-1] == alone.metrics[:-1]
    assert all(m.low <= m.estimate <= m.high for m in group.metrics)


def test_observed_over_expected_in_a_group_is_its_aalen_johansen_estimate() -> None:
    time, event, risk = simulated_outcomes(1)
    site = np.where(np.arange(N) < 250, "A", "B").astype(object)

    group = evaluate_subgroups(time, event, risk, [90.0], {"site": site}, n_bootstrap=20)[0]

    here = site == "A"
    observed = cumulative_incidence(time[here], event[here], [90.0])[0]
    ratio = next(m for m in group.metrics if m.metric == "oe_ratio").estimate
    assert ratio == pytest.approx(observed / risk[here].mean(), abs=2e-3)


def test_levels_are_in_the_order_of_their_numbers() -> None:
    time, event, risk = simulated_outcomes(5)
    levels = np.array(["10 or more", "0", "5 to 9", "unknown"] * (N // 4), dtype=object)

    results = evaluate_subgroups(time, event, risk, [90.0], {"markers": levels}, n_bootstrap=5)

    assert [group.level for group in results] == ["0", "5 to 9", "10 or more", "unknown"]


def test_small_groups_are_named_and_not_evaluated() -> None:
    time, event, risk = simulated_outcomes(2)
    level = np.full(N, "many", dtype=object)
    level[:5], level[5:40] = "few", "some"

    results = by_level(evaluate_subgroups(time, event, risk, [90.0], {"g": level}, n_bootstrap=10))

    assert results["few"].as_json() == {
        "grouping": "g",
        "level": "few",
        "stays": None,
        "events": None,
        "metrics": [],
        "note": "fewer than 50 patients",
    }
    # With 500 in all, either of the others would tell the 5.
    assert (results["some"].stays, results["some"].metrics) == (None, ())
    assert results["many"].stays == N - 40


def test_stays_of_the_same_patients_make_no_group_large_enough() -> None:
    time, event, risk = simulated_outcomes(2)
    level = np.where(np.arange(N) < 120, "often here", "once").astype(object)
    patients = np.where(np.arange(N) < 120, np.arange(N) // 3, np.arange(N))

    results = by_level(
        evaluate_subgroups(
            time, event, risk, [90.0], {"g": level}, n_bootstrap=10, patients=patients
        )
    )

    assert results["often here"].note == "fewer than 50 patients"
    assert results["once"].metrics


def test_counts_of_stays_are_hidden_where_few_patients_stand_behind_them() -> None:
    time, event, risk = simulated_outcomes(2)
    level = np.full(N, "many", dtype=object)
    level[:24], level[24:60] = "often here", "some"
    patients = np.arange(N)
    patients[:24] = 0

    counted = evaluate_subgroups(
        time, event, risk, [90.0], {"g": level}, n_bootstrap=10, patients=patients
    )

    results = by_level(counted)
    assert (results["often here"].stays, results["often here"].events) == (None, None)
    # With 500 in all, either of the others would tell the 24.
    assert (results["some"].stays, results["some"].events) == (None, None)
    assert results["many"].stays == N - 60


def test_events_are_hidden_where_few_patients_had_them_or_had_none() -> None:
    time, event, risk = simulated_outcomes(2)
    level = np.where(np.arange(N) < 250, "A", "B").astype(object)
    patients = np.arange(N)
    patients[(level == "A") & (event == 1)] = np.flatnonzero((level == "A") & (event == 1))[0]

    counted = evaluate_subgroups(
        time, event, risk, [90.0], {"g": level}, n_bootstrap=10, patients=patients
    )

    assert [(group.stays, group.events) for group in counted] == [(250, None), (250, None)]


def test_a_group_without_events_says_so() -> None:
    time, event, risk = simulated_outcomes(3)
    level = np.where(event == 1, "with", "without").astype(object)

    results = by_level(evaluate_subgroups(time, event, risk, [90.0], {"g": level}, n_bootstrap=10))

    assert all(np.isnan(m.estimate) and m.note for m in results["without"].metrics)


def test_patients_are_grouped_by_what_is_recorded_of_them() -> None:
    features = pd.DataFrame(
        {
            "age": [30.0, 50.0, 65.0, 80.0, np.nan],
            "sex": ["female", "male", None, "male", "male"],
            "egfr": [59.9, 60.0, np.nan, 80.0, 20.0],
            "sepsis": [1.0, 0.0, np.nan, 0.0, 0.0],
            "menopausal_status": ["post", *["not_applicable"] * 3, "pre"],
            "ctx_s": [1.0, np.nan, np.nan, 1.0, 1.0],
            "ctx_s__max": [2.0, 1.0, np.nan, 1.0, 1.0],
            "fgf23_c": [1.0, np.nan, np.nan, np.nan, 1.0],
            "fgf23_c__below": [0.0] * 5,
        }
    )
    stays = np.arange(5).astype(str).astype(object)
    cohort = Cohort(features, VARIABLES, stays, stays, site=np.array(["A"] * 5, dtype=object))

    groups = {name: levels.tolist() for name, levels in patient_groups(cohort).items()}

    assert groups == {
        "sex": ["female", "male", "unknown", "male", "male"],
        # Men are in no group of it.
        "menopause": ["post", None, None, None, "pre"],
        "age": ["18 to 49", "50 to 64", "65 to 74", "75 and over", "unknown"],
        "egfr": ["under 60", "60 and over", "unknown", "60 and over", "under 60"],
        "sepsis": ["yes", "no", "unknown", "no", "no"],
        "markers measured": ["1 to 4", "1 to 4", "0", "1 to 4", "1 to 4"],
    }


def test_risks_are_spread_over_those_with_without_and_of_unknown_outcome() -> None:
    time, event, risk = simulated_outcomes(4)

    results = risk_distribution(time, event, risk, [90.0])[0]

    assert results.n["event"] == ((event == 1) & (time <= 90)).sum()
    assert results.n["unknown"] == ((event == 0) & (time < 90)).sum()
    assert sum(results.n[k] for k in ("event", "no_event", "unknown")) == results.n["all"] == N
    assert sum(results.counts["all"]) == N
    shown = results.as_json()["counts"]
    assert all(n is None or n == 0 or n >= 10 for kind in shown.values() for n in kind)
    assert None in shown["all"]
