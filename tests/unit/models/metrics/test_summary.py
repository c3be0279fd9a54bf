"""`evaluate`, its intervals and what it says when there is nothing to say."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from data_schema.errors import DataError
from models.metrics.catalogue import AT_HORIZON, OVER_FOLLOW_UP
from models.metrics.intervals import bootstrap_interval, resampled_counts
from models.metrics.metric import Metric
from models.metrics.summary import evaluate

Array = NDArray[np.float64]
HORIZONS = (28.0, 90.0)
DAYS = np.array([7.0, 28.0, 60.0, 90.0])


def cohort(n: int = 400, competing_rate: float = 0.0) -> tuple[Array, Array, Array]:
    """Times, events and each patient's rate of the event."""
    rng = np.random.default_rng(0)
    rate = np.exp(rng.normal(size=n)) / 150
    first = rng.exponential(1 / rate)
    other = rng.exponential(1 / competing_rate, n) if competing_rate else np.full(n, np.inf)
    lost = rng.uniform(20, 300, n)
    time = np.minimum(np.minimum(first, other), lost)
    return time, np.where(time == lost, 0, np.where(time == first, 1, 2)), rate


def risk_at(rate: Array, days: Array, competing_rate: float = 0.0) -> Array:
    both = rate[:, None] + competing_rate
    return rate[:, None] / both * (1 - np.exp(-both * np.asarray(days)))


def by_name(metrics: list[Metric]) -> dict[tuple[str, float | None], Metric]:
    return {(metric.metric, metric.horizon_days): metric for metric in metrics}


@pytest.mark.parametrize("competing_rate", [0.0, 1 / 300])
def test_every_metric_has_an_interval_around_it(competing_rate: float) -> None:
    time, event, rate = cohort(competing_rate=competing_rate)

    curve = risk_at(rate, DAYS, competing_rate)

    metrics = evaluate(
        time,
        event,
        risk_at(rate, HORIZONS, competing_rate),
        HORIZONS,
        n_bootstrap=50,
        curve_risk=curve,
        curve_days=DAYS,
        competing_curve=curve * competing_rate / rate[:, None] if competing_rate else None,
    )

    names = [(metric.metric, metric.horizon_days) for metric in metrics]
    expected = [(spec.name, h) for h in HORIZONS for spec in AT_HORIZON]
    assert names == [
        *expected,
        *(
            (spec.name, None)
            for spec in OVER_FOLLOW_UP
            if competing_rate or not spec.of_competing_event
        ),
    ]
    assert all(metric.low <= metric.estimate <= metric.high for metric in metrics)
    assert not any(metric.note for metric in metrics)


def test_with_fields_left_empty_the_chosen_metrics_are_those_of_the_risks_given() -> None:
    time, event, rate = cohort(150)
    risk = risk_at(rate, HORIZONS)

    whole = by_name(evaluate(time, event, risk, HORIZONS, n_bootstrap=20))
    blanked = evaluate(time, event, risk, HORIZONS, n_bootstrap=20, blank_share=0.2)

    assert {metric.metric for metric in blanked} == {
        *("auroc", "brier", "ipa", "oe_ratio", "calibration_slope")
    }
    assert {metric.blank_share for metric in blanked} == {0.2}
    for metric in blanked:
        of_all = whole[metric.metric, metric.horizon_days]
        assert replace(metric, blank_share=0.0) == of_all


def test_the_same_seed_gives_the_same_intervals() -> None:
    time, event, rate = cohort(150)
    risk = risk_at(rate, HORIZONS)

    runs = [evaluate(time, event, risk, HORIZONS, n_bootstrap=20, random_state=1) for _ in "ab"]

    assert runs[0] == runs[1]


def test_a_horizon_with_too_few_events_gets_a_note_and_others_are_evaluated() -> None:
    time, event, rate = cohort(150)
    horizons = (0.5, 90.0)

    found = by_name(evaluate(time, event, risk_at(rate, horizons), horizons, n_bootstrap=20))

    assert np.isnan(found["auroc", 0.5].estimate)
    assert found["auroc", 0.5].note.startswith("needs 10 patients with and 10 without")
    assert np.isfinite(found["auroc", 90.0].estimate)
    assert found["auroc", 0.5].as_json() == {
        "metric": "auroc",
        "horizon_days": 0.5,
        "estimate": None,
        "low": None,
        "high": None,
        "note": found["auroc", 0.5].note,
    }


def test_the_stays_of_a_patient_do_not_make_up_for_patients() -> None:
    time, event, rate = cohort()
    risk = risk_at(rate, HORIZONS)
    early = np.flatnonzero((event == 1) & (time <= 28))
    patients = np.arange(400)
    patients[early[8:]] = patients[early[0]]

    found = by_name(evaluate(time, event, risk, HORIZONS, n_bootstrap=20, groups=patients))

    assert len(early) > 10
    assert found["auroc", 28.0].note.startswith("needs 10 patients with and 10 without")
    assert not found["auroc", 90.0].note


def test_a_horizon_after_nearly_all_are_lost_is_not_evaluated() -> None:
    # Censored from day 20 to 300: 3.6 % are still observed at day 290, some 20 of them event-free.
    time, event, rate = cohort(2_000)
    horizons = (90.0, 290.0)

    found = by_name(evaluate(time, event, risk_at(rate, horizons), horizons, n_bootstrap=5))

    assert found["brier", 290.0].note == "under 5% are still observed at this horizon"


def test_the_curve_is_cut_where_nearly_all_are_lost() -> None:
    time, event, rate = cohort()
    beyond = np.array([*DAYS, 299.0, 1000.0])

    runs = [
        by_name(
            evaluate(
                time,
                event,
                risk_at(rate, HORIZONS),
                HORIZONS,
                n_bootstrap=20,
                curve_risk=risk_at(rate, days),
                curve_days=days,
            )
        )["ibs", None]
        for days in (DAYS, beyond)
    ]

    assert runs[0] == runs[1]


def test_no_horizon_with_enough_outcomes_is_an_error() -> None:
    with pytest.raises(DataError, match=r"horizons_days must have one with .*; 0 of 2 have"):
        evaluate([5.0] * 30, [1] * 30, np.full((30, 2), 0.5), HORIZONS, n_bootstrap=5)


def test_survivors_censored_exactly_at_the_horizon_are_evaluated() -> None:
    rng = np.random.default_rng(0)
    risk = rng.uniform(0.1, 0.9, 200)
    died = rng.random(200) < risk

    found = by_name(
        evaluate(np.where(died, 5.0, 28.0), died.astype(int), risk[:, None], [28.0], n_bootstrap=20)
    )

    expected = np.mean((died - risk) ** 2)
    assert found["brier", 28.0].estimate == pytest.approx(expected)
    assert found["c_harrell", None].estimate == pytest.approx(found["auroc", 28.0].estimate)
    assert found["ibs", None].note == "needs a curve of at least two days within follow-up"


def test_an_equal_risk_for_all_has_no_slope_and_a_note() -> None:
    time, event, _ = cohort(150)

    found = by_name(evaluate(time, event, np.full((150, 1), 0.3), [90.0], n_bootstrap=20))

    assert found["auroc", 90.0].estimate == 0.5
    assert found["calibration_slope", 90.0].note.startswith("risks are equal for all")


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1])
def test_a_risk_that_is_no_probability_is_counted_and_not_shown(wrong: float) -> None:
    time, event, rate = cohort(100)
    risk = risk_at(rate, HORIZONS)
    risk[3, 0] = wrong

    with pytest.raises(DataError, match="risk must be probabilities; 1 of 100 rows are not"):
        evaluate(time, event, risk, HORIZONS)


@pytest.mark.parametrize(
    ("times", "events", "rule"),
    [
        ([np.nan, 2.0, 3.0], [0, 1, 1], "time_days must be finite and > 0; 1 of 3 are not"),
        ([-4.5, -4.5, 3.0], [0, 1, 1], "time_days must be finite and > 0; 2 of 3 are not"),
        ([1.0, 2.0, 3.0], [0, np.nan, 1], "event must be 0, 1 or 2; 1 of 3 are not"),
        ([1.0, 2.0, 3.0], [0, 7, 0.5], "event must be 0, 1 or 2; 2 of 3 are not"),
        ([1.0, 2.0, 3.0], [0, 1], "time_days and event must be .* of the same length"),
        (["1", "secret", "3"], [0, 1, 1], "time_days and event must be numbers"),
    ],
)
def test_an_outcome_that_is_none_is_counted_and_not_shown(
    times: list[float], events: list[float], rule: str
) -> None:
    with pytest.raises(DataError, match=rule) as refused:
        evaluate(times, events, np.full((3, 2), 0.5), HORIZONS)

    assert not any(value in str(refused.value) for value in ("4.5", "7", "secret"))


def test_groups_need_one_patient_for_each_stay() -> None:
    time, event, rate = cohort(100)

    with pytest.raises(DataError, match=r"the patient of each of 100 stays; got shape \(99,\)"):
        evaluate(time, event, risk_at(rate, HORIZONS), HORIZONS, groups=np.arange(99))


def test_a_stay_without_a_patient_is_refused_and_no_patient_of_its_own() -> None:
    time, event, rate = cohort(100)
    groups = np.arange(100.0)
    groups[:60] = np.nan

    with pytest.raises(DataError, match="the patient of each of 100 stays; 60 have none"):
        evaluate(time, event, risk_at(rate, HORIZONS), HORIZONS, groups=groups)


def test_shapes_that_disagree_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"risk must have shape \(3, 2\); got \(3, 1\)"):
        evaluate([1.0, 2.0, 3.0], [0, 1, 1], np.full((3, 1), 0.5), HORIZONS)


def test_stays_of_a_patient_are_drawn_together() -> None:
    patients = np.array(["a", "b", "b", "c", "a"])

    (counts,) = resampled_counts(5, n_resamples=40, random_state=0, groups=patients)

    np.testing.assert_array_equal(counts[0], counts[4])
    np.testing.assert_array_equal(counts[1], counts[2])
    np.testing.assert_array_equal(counts[[0, 1, 3]].sum(axis=0), 3)


def test_more_resamples_begin_with_the_same_ones() -> None:
    few = np.concatenate(list(resampled_counts(50_000, n_resamples=3, random_state=0)), axis=1)
    many = np.concatenate(list(resampled_counts(50_000, n_resamples=9, random_state=0)), axis=1)

    np.testing.assert_array_equal(few, many[:, :3])


def test_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(size=2_000)

    def mean(counts: Array | None) -> Array:
        counts = np.ones(len(values)) if counts is None else counts
        result: Array = values @ counts / counts.sum(axis=0)
        return result

    interval = bootstrap_interval(mean, len(values), n_resamples=2_000, random_state=0)

    half = 1.96 * values.std() / np.sqrt(len(values))
    # A percentile from 2,000 resamples varies by about 5 % of the half width.
    assert interval.high - interval.estimate == pytest.approx(half, rel=0.1)
    assert interval.estimate - interval.low == pytest.approx(half, rel=0.1)


def test_what_is_undefined_in_too_many_resamples_has_no_interval() -> None:
    def often_undefined(counts: Array | None) -> Array:
        counts = np.ones(3) if counts is None else counts
        return np.where(counts[0] == 0, np.nan, 1.0)

    interval = bootstrap_interval(often_undefined, 3, n_resamples=100, random_state=0)

    assert np.isnan(interval.low).all()
