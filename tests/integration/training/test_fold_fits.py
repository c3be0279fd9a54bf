"""Fits of a cross-validation that share the fits they choose by: what no fold learns of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData, outcome_of
from models.estimator import CumulativeIncidenceModel
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import known_outcome
from training.cohorts.splits import folds_by_patient
from training.config import RunConfig
from training.fit import refit
from training.fold_fits import Folds, fits_of_folds

CONFIG = RunConfig(max_trees=4, bootstrap_resamples=50, threads=1)
DAYS = (30.0, 90.0)
PATIENTS = 2_520


def cohort_of(share_with_event: float = 0.3) -> Cohort:
    """Return patients with a true predictor, deaths that compete, and one rare level."""
    rng = np.random.default_rng(4)
    features = pd.DataFrame(
        {
            "age": rng.normal(62, 12, PATIENTS).round(1),
            "lactate": np.where(rng.random(PATIENTS) < 0.2, np.nan, rng.gamma(2, 1, PATIENTS)),
            # Twelve patients in all: some fits learn the level, others see fewer than ten.
            "admission": np.where(np.arange(PATIENTS) % 210 == 0, "rare", "usual").astype(object),
        }
    )
    days = rng.exponential(60, PATIENTS) * np.exp(0.04 * (62 - features["age"])) + 0.1
    event = rng.choice([0, 1, 2], PATIENTS, p=[0.6 - share_with_event, share_with_event, 0.4])
    patients = np.array([f"p{i}" for i in range(PATIENTS)], dtype=object)
    outcome = OutcomeData("fracture", days.to_numpy(), event)
    return Cohort(features, VARIABLES, patients, patients, outcome)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return cohort_of()


@pytest.fixture(scope="module")
def folds(cohort: Cohort) -> Folds:
    return Folds(cohort, folds_by_patient(cohort, folds=5, random_state=0))


def risks(
    folds: Folds, config: RunConfig = CONFIG, steps: list[tuple[int, int]] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the out-of-fold risks of every patient, and those of the competing event."""

    def judge(
        model: CumulativeIncidenceModel, held_out: Cohort
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        competing = model.risk_model_.competing_risk(held_out.features, np.array(DAYS))
        assert competing is not None
        return model.predict_risk(held_out.features), competing

    answers = fits_of_folds(
        judge,
        [folds],
        DAYS,
        config,
        risk_only=False,
        what="judging",
        progress=lambda _, done, every: None if steps is None else steps.append((done, every)),
    )
    own = np.empty((2, len(folds.cohort), len(DAYS)))
    for split, answer in zip(folds.splits, answers, strict=True):
        own[:, split.test] = answer
    return own[0], own[1]


@pytest.fixture(scope="module")
def shared(folds: Folds) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return risks(folds)


def test_no_fold_learns_of_its_own_patients_outcomes(folds: Folds, shared) -> None:
    split = folds.splits[2]
    outcome = outcome_of(folds.cohort)
    days, event = outcome.time_days.copy(), outcome.event.copy()
    days[split.test] = 0.3 * days[split.test][::-1]
    event[split.test] = event[split.test][::-1]
    changed = replace(folds.cohort, outcome=replace(outcome, time_days=days, event=event))
    steps: list[tuple[int, int]] = []

    if_changed = risks(replace(folds, cohort=changed), replace(CONFIG, threads=3), steps)

    # Nor does the number of threads change anything.
    for before, after in zip(shared, if_changed, strict=True):
        np.testing.assert_array_equal(after[split.test], before[split.test])
        others = folds.splits[0].test
        assert not np.array_equal(after[others], before[others])
    # Ten fits without two folds serve five.
    assert steps == [(done, 15) for done in range(1, 16)]


def test_shared_choices_rank_patients_as_well_as_those_of_a_fits_own(folds: Folds, shared) -> None:
    split = folds.splits[1]
    model = refit(folds.cohort.take(split.train), DAYS, CONFIG, risk_only=True)
    own = model.predict_risk(folds.cohort.features.iloc[split.test])
    shared_risk = shared[0][split.test]
    outcome = outcome_of(folds.cohort.take(split.test))
    known = known_outcome(outcome.time_days, outcome.event, DAYS[1])
    areas = [float(auroc(known, risk[:, 1])) for risk in (own, shared_risk)]
    assert areas[1] == pytest.approx(areas[0], abs=0.01)
    assert areas[1] > 0.6
    np.testing.assert_allclose(shared_risk.mean(0), own.mean(0), rtol=0.03)


def test_fits_choose_by_themselves_where_two_folds_fewer_leave_too_few_events() -> None:
    cohort = cohort_of(share_with_event=0.0)
    outcome = outcome_of(cohort)
    days, event = outcome.time_days.copy(), outcome.event.copy()
    days[:13], event[:13] = np.arange(1.0, 14.0), 1
    cohort = replace(cohort, outcome=replace(outcome, time_days=days, event=event))
    folds = Folds(cohort, folds_by_patient(cohort, folds=5, random_state=0))

    answers = fits_of_folds(
        lambda model, held_out: model.predict_risk(held_out.features),
        [folds],
        (90.0,),
        CONFIG,
        risk_only=True,
        what="judging",
    )

    split = folds.splits[0]
    model = refit(cohort.take(split.train), (90.0,), CONFIG, risk_only=True)
    expected = model.predict_risk(cohort.features.iloc[split.test])
    np.testing.assert_array_equal(next(answers), expected)
