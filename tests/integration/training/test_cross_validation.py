"""Out-of-fold predictions of the real fit: what a held-out patient cannot influence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from training.config import RunConfig
from training.fit import refit
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
