"""Out-of-fold predictions of the real fit: what a held-out patient cannot influence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from training.cohorts.not_done import with_flags
from training.config import RunConfig
from training.fit import refit
from training.missingness import judge_flags
from training.validation.cross_validation import cross_validate
from training.validation.plan import evaluation_plan

CONFIG = RunConfig(max_trees=5, bootstrap_resamples=50, threads=1, repeats=2)
DAYS = np.array([30.0, 90.0, 5_000.0])


@pytest.fixture(scope="module")
def cohort(simulated: Callable[[int, int], pd.DataFrame]) -> Cohort:
    table = simulated(160, 4)
    patients = table["patient_id"].to_numpy(dtype=object)
    outcome = OutcomeData(
        "mortality", table["mortality_days"].to_numpy(), table["mortality_event"].to_numpy()
    )
    return Cohort(table[["age", "lactate", "albumin"]], VARIABLES, patients, patients, outcome)


def test_a_risk_is_that_of_the_fit_to_the_other_folds(cohort: Cohort) -> None:
    plan = evaluation_plan(cohort, CONFIG)
    steps: list[tuple[int, int]] = []

    predictions = cross_validate(
        cohort,
        plan,
        (90.0,),
        CONFIG,
        curve_days=DAYS,
        progress=lambda _, done, all_steps: steps.append((done, all_steps)),
    )

    assert len(predictions.repeats) == 2
    split = plan.repeats[1][3]
    model = refit(cohort.take(split.train), (90.0,), CONFIG)
    repeat = predictions.repeats[1]
    assert set(repeat.fold[split.test]) == {3}
    risk = model.predict_risk(cohort.features.iloc[split.test])
    np.testing.assert_array_equal(repeat.risk[split.test], risk)
    # Beyond its last day a fit keeps its last risk.
    last = model.risk_model_.contract.max_horizon_days
    assert last < DAYS[-1]
    assert repeat.curve_risk is not None
    at_the_end = model.predict_risk(cohort.features.iloc[split.test], [30.0, 90.0, last])
    np.testing.assert_array_equal(repeat.curve_risk[split.test], at_the_end)
    # Ten steps of each of ten fits, counted over all of them.
    assert steps == [(done, 100) for done in range(1, 101)]


def test_fits_side_by_side_are_those_of_a_single_thread(cohort: Cohort) -> None:
    plan = evaluation_plan(cohort, CONFIG)
    once = replace(plan, repeats=plan.repeats[:1])
    steps: list[tuple[int, int]] = []

    alone, together = (
        cross_validate(
            cohort,
            once,
            (90.0,),
            replace(CONFIG, threads=threads),
            curve_days=DAYS,
            progress=lambda _, done, all_steps: steps.append((done, all_steps)),
        )
        for threads in (1, 3)
    )

    np.testing.assert_array_equal(together.risk, alone.risk)
    np.testing.assert_array_equal(together.repeats[0].curve_risk, alone.repeats[0].curve_risk)
    assert together.refusals == alone.refusals
    assert steps[50:] == [(done, 50) for done in range(1, 51)]


def test_a_patients_risk_does_not_depend_on_the_patients_own_outcome(cohort: Cohort) -> None:
    plan = evaluation_plan(cohort, CONFIG)
    once = replace(plan, repeats=plan.repeats[:1])
    held_out = once.repeats[0][0].test
    assert cohort.outcome is not None
    time = cohort.outcome.time_days.copy()
    time[held_out] = time[held_out][::-1] * 0.9
    changed = replace(cohort, outcome=replace(cohort.outcome, time_days=time))

    risk, risk_if_changed = (
        cross_validate(of, once, (90.0,), CONFIG, curve_days=None).risk for of in (cohort, changed)
    )

    np.testing.assert_array_equal(risk[held_out], risk_if_changed[held_out])
    others = once.repeats[0][1].test
    assert not np.array_equal(risk[others], risk_if_changed[others])


def test_a_fold_decides_on_flags_without_the_patients_held_out() -> None:
    n = 450
    rng = np.random.default_rng(6)
    patients = np.array([f"p{i}" for i in range(n)], dtype=object)
    features = pd.DataFrame(
        {"age": rng.normal(62, 12, n).round(1), "lactate": rng.normal(2, 0.4, n)}
    )
    died = rng.random(n) < 0.35
    # In the first fold's held-out patients the flag is the outcome itself; in all others, chance.
    cohort = Cohort(
        features,
        VARIABLES,
        patients,
        patients,
        OutcomeData("mortality", np.where(died, rng.integers(1, 6, n), 120.0), died.astype(int)),
    )
    config = replace(CONFIG, missingness="informative", repeats=1)
    plan = evaluation_plan(cohort, config)
    held_out = plan.repeats[0][0].test
    # As frequent in those who died as in those who did not.
    flag = np.zeros(n, dtype=bool)
    for group in (np.flatnonzero(died), np.flatnonzero(~died)):
        flag[group[::6]] = True
    flag[held_out] = died[held_out]
    cohort.features.loc[flag, "lactate"] = np.nan
    cohort = replace(cohort, not_done=pd.DataFrame({"lactate__not_done": flag.astype(float)}))

    assert judge_flags(cohort, (90.0,), config).pay
    predictions = cross_validate(cohort, plan, (90.0,), config, curve_days=None)

    # The fit of the first fold is that of a run without flags.
    [repeat] = predictions.repeats
    train = cohort.take(plan.repeats[0][0].train)
    ignorant = refit(train, (90.0,), config).predict_risk(cohort.features.iloc[held_out])
    np.testing.assert_array_equal(repeat.risk[held_out], ignorant)
    # The other folds learn from those patients, and so from the flag.
    other = plan.repeats[0][1]
    with_flag = with_flags(cohort, ("lactate__not_done",))
    fitted = refit(with_flag.take(other.train), (90.0,), config)
    as_read = with_flag.features.iloc[other.test]
    np.testing.assert_array_equal(repeat.risk[other.test], fitted.predict_risk(as_read))
