"""What a diagnosis says of a cohort: domains, leaks with their inflation, the learning curve."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError, Finding, RulesBroken
from data_schema.outcomes import OUTCOMES
from data_schema.variables import Variable
from training.cohorts.study import Study
from training.config import RunConfig
from training.diagnosis.diagnose import (
    diagnose_evaluated,
    diagnose_study,
    diagnose_table,
    honest_columns,
)
from training.diagnosis.domains import Domain, Question, domains, unverified
from training.diagnosis.leaks import (
    MOST_SUSPECTS,
    leaks_by_regression,
    measured_leaks,
    sampled,
)
from training.diagnosis.learning_curve import learning_curve

CONFIG = replace(RunConfig(), threads=1, bootstrap_resamples=60, max_trees=3)
HORIZONS = (28.0, 90.0)
LEAK = Variable("outlook", "Outlook", "severity", unit="{score}", units={"{score}": 1.0})


def cohort_of(n: int = 240, seed: int = 0) -> Cohort:
    """Return patients whose risk rises with age and lactate, and a column that leaks."""
    rng = np.random.default_rng(seed)
    age, lactate = rng.normal(62, 14, n).clip(19, 95), rng.lognormal(0.5, 0.6, n)
    died = rng.exponential(120 * np.exp(-0.05 * (age - 62) - 0.5 * np.log(lactate)))
    censored = rng.uniform(60, 500, n)
    event = (died <= censored).astype(np.int64)
    outlook = 3.0 * (died < 90) + rng.normal(0, 1, n)
    lactate[rng.random(n) < np.where(died < 90, 0.05, 0.45)] = np.nan
    names = {name: VARIABLES[name] for name in ("age", "lactate")}
    ids = np.array([f"p{i}" for i in range(n)], dtype=object)
    return Cohort(
        features=pd.DataFrame({"age": age, "lactate": lactate, "outlook": outlook}),
        variables={**names, "outlook": LEAK},
        patient_id=ids,
        stay_id=ids,
        outcome=OutcomeData("mortality", np.minimum(died, censored).clip(0.5), event),
        site=rng.choice(np.array(["a", "b"], dtype=object), n),
    )


FINDING = Finding("leak_perfect", "outlook", 240, "outlook must not repeat the outcome.")


def question(found: tuple[Domain, ...], name: str) -> Question:
    return next(one for domain in found for one in domain.questions if one.name == name)


@pytest.mark.slow
def test_a_leak_is_measured_against_the_same_patients_without_it() -> None:
    (leak,) = measured_leaks(cohort_of(), [FINDING], HORIZONS, CONFIG)

    assert leak.variable == "outlook"
    assert leak.inflation == pytest.approx(leak.with_it - leak.without)
    assert 0.05 < leak.low < leak.inflation < leak.high
    assert leak.rules == ("leak_perfect",)
    assert leak.patients == 240


def test_a_regression_measures_a_leak_in_the_same_way() -> None:
    leak, harmless = leaks_by_regression(
        cohort_of(600), [FINDING, Finding("leak_missing", "age", 9, "")], 90.0, random_state=0
    )

    assert (leak.variable, harmless.variable) == ("outlook", "age")
    assert leak.inflation == pytest.approx(leak.with_it - leak.without)
    assert 0.05 < leak.low < leak.inflation < leak.high
    assert (leak.by, leak.patients) == ("regression", 600)


def test_a_gap_that_only_the_dead_lack_inflates_a_regression() -> None:
    cohort = cohort_of(600)
    gap = replace(cohort, features=cohort.features[["age", "lactate"]])

    (leak,) = leaks_by_regression(
        gap, [Finding("leak_missing", "lactate", 9, "")], 90.0, random_state=0
    )

    assert leak.low > 0.02


def test_more_suspects_than_a_run_can_afford_are_listed_without_an_inflation() -> None:
    cohort = cohort_of(120)
    extra = {f"extra{k}": np.arange(120.0) for k in range(MOST_SUSPECTS + 2)}
    wide = replace(cohort, features=cohort.features[["age"]].assign(**extra))

    leaks = leaks_by_regression(
        wide, [Finding("leak_missing", name, 9, "") for name in extra], 90.0, random_state=0
    )

    assert len(leaks) == MOST_SUSPECTS + 2
    assert sum(leak.is_measured for leak in leaks) == MOST_SUSPECTS


def test_too_few_outcomes_leave_a_suspect_unmeasured() -> None:
    (leak,) = leaks_by_regression(cohort_of(12), [FINDING], 90.0, random_state=0)

    assert not leak.is_measured
    assert leak.as_json()["inflation"] is None


def test_a_run_is_diagnosed_with_its_own_warnings() -> None:
    study = Study(
        cohort=replace(cohort_of(), population="Patients of the cohort supplied"),
        outcome=OUTCOMES["mortality"],
        time_zero="admission",
        horizons_days=HORIZONS,
        model_name="osteon-mortality",
        warnings=(FINDING,),
        population_described=False,
    )

    found = diagnose_study(study, random_state=0)

    assert question(found.domains, "described").answer == "concern"
    assert [leak.variable for leak in found.leaks] == ["outlook"]
    assert {one.name for one in found.of_answer("concern")} >= {"leakage", "missing_by_outcome"}


def test_patients_elsewhere_are_diagnosed_with_what_their_data_show() -> None:
    found = diagnose_evaluated(cohort_of(600), OUTCOMES["mortality"], HORIZONS, random_state=0)

    assert found.horizon_days == 90.0
    assert [leak.variable for leak in found.leaks] == ["outlook"]


def test_without_a_suspect_nothing_is_fitted() -> None:
    assert measured_leaks(cohort_of(), [], HORIZONS, CONFIG) == ()
    assert leaks_by_regression(cohort_of(), [], 90.0, random_state=0) == ()


def test_with_suspects_alone_there_is_nothing_to_compare_with() -> None:
    cohort = cohort_of()
    only = replace(cohort, features=cohort.features[["outlook"]])

    (leak,) = measured_leaks(only, [FINDING], HORIZONS, CONFIG)

    assert leak.as_json()["inflation"] is None


def test_a_sample_holds_whole_patients_and_is_the_same_every_time() -> None:
    cohort = cohort_of()
    twice = cohort.take(np.repeat(np.arange(len(cohort)), 2))

    one, two = (sampled(twice, 50, random_state=1) for _ in range(2))

    assert len(one) == 100
    assert one.patient_id.tolist() == two.patient_id.tolist()


def test_values_that_are_missing_by_outcome_are_a_concern() -> None:
    found = domains(cohort_of(), OUTCOMES["mortality"], HORIZONS, 90.0, [FINDING])

    assert [domain.name for domain in found] == [
        "participants",
        "predictors",
        "outcome",
        "analysis",
    ]
    missing = question(found, "missing_by_outcome")
    assert missing.answer == "concern"
    assert "lactate" in missing.finding
    assert question(found, "missing_by_site").answer == "no concern"
    assert question(found, "leakage").figure == 1
    assert question(found, "windows").answer == "not known"
    sites = question(found, "sites")
    assert (sites.answer, sites.figure) == ("no concern", 2)


def test_too_few_patients_come_with_what_it_would_take() -> None:
    found = domains(cohort_of(60), OUTCOMES["mortality"], HORIZONS, 90.0, [])

    size = question(found, "sample_size")
    assert size.answer == "concern"
    assert "more patients are needed, or at most" in size.finding


def test_samples_that_survivors_have_more_of_are_a_concern() -> None:
    cohort = cohort_of(600)
    assert cohort.outcome is not None
    counts = np.where(cohort.outcome.time_days < 10, 1.0, 6.0)
    counted = replace(cohort, features=cohort.features.assign(lactate__count=counts))

    windows = question(domains(counted, OUTCOMES["mortality"], HORIZONS, 90.0, []), "windows")

    assert windows.answer == "concern"
    assert windows.figure is not None
    assert windows.figure > 0.9


def test_losses_that_follow_age_are_informative() -> None:
    cohort = cohort_of(800)
    assert cohort.outcome is not None
    old = cohort.features["age"].to_numpy() > 65
    lost = old & (np.arange(800) % 2 == 0)
    time = np.where(lost, 0.4, cohort.outcome.time_days)
    event = np.where(lost, 0, cohort.outcome.event)
    moved = replace(cohort, outcome=replace(cohort.outcome, time_days=time, event=event))

    found = domains(moved, OUTCOMES["mortality"], HORIZONS, 90.0, [])

    assert question(found, "informative_censoring").answer == "concern"


def test_what_the_data_cannot_show_is_listed() -> None:
    named = Finding("leak_name", "icu_days", 240, "by its name")
    listed = unverified(cohort_of(), [named, FINDING])

    assert any("known at time zero" in sentence for sentence in listed)
    assert "Whether icu_days leaks: its name says so, its data do not show it." in listed
    assert not any("no site" in sentence for sentence in listed)


@pytest.mark.slow
def test_the_learning_curve_rises_with_patients_and_is_told_where_it_flattens() -> None:
    cohort = honest_columns(cohort_of(420), [FINDING])

    curve = learning_curve(cohort, HORIZONS, 90.0, replace(CONFIG, max_trees=1))

    sizes = [point.patients for point in curve.points]
    assert sizes == sorted(sizes)
    assert sizes[-1] == pytest.approx(0.75 * 420, abs=3)
    assert curve.limit <= 1.0001
    assert all(point.auroc_low <= point.auroc <= point.auroc_high for point in curve.points)


def test_few_patients_have_no_learning_curve() -> None:
    with pytest.raises(DataError, match="a learning curve needs at least 200 stays"):
        learning_curve(cohort_of(120), HORIZONS, 90.0, CONFIG)


def test_a_table_may_leak_but_must_otherwise_be_a_cohort() -> None:
    table = pd.DataFrame({"age": [500.0] * 30, "mortality_days": [3.0] * 30})

    with pytest.raises(RulesBroken):
        diagnose_table(table, outcome="mortality", config=CONFIG)
