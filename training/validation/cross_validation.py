"""Out-of-fold predictions: each patient judged by a fit to other patients, every choice inside."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from models.estimator import CumulativeIncidenceModel
from models.fitting.training_cohort import Progress
from models.inference.prediction import Remark
from models.metrics.metric import BLANK_SHARES
from models.metrics.summary import Repeat
from training.cohorts.not_done import with_flags
from training.cohorts.splits import Split
from training.config import RunConfig
from training.fit import fits_side_by_side
from training.fold_fits import Folds, fits_of_folds
from training.missingness import FitWithChoice, refit_with_choice
from training.validation.plan import EvaluationPlan
from training.validation.predictions import (
    BlankedRepeats,
    Predictions,
    blanked_risks,
    risks_with_curve,
)
from training.validation.refusals import Refusals

__all__ = ["cross_validate"]

_LOG = logging.getLogger(__name__)


def cross_validate(
    cohort: Cohort,
    plan: EvaluationPlan,
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    curve_days: NDArray[np.float64] | None,
    progress: Progress | None = None,
) -> Predictions:
    """Judge the procedure: fit it to the training part of every split, and predict the other part.

    Penalty, number of trees, weight, recalibration and, where `config.missingness` is
    "informative", whether to learn from flags of "recorded as not done" are chosen anew in every
    fit, on its own patients; nothing of a held-out patient is used. The fits carry no interval of
    their own. Those that do not judge flags share the fits they choose by
    (`training.fold_fits.fits_of_folds`).

    Parameters
    ----------
    cohort : Cohort
        All patients of the run, with an outcome.
    plan : EvaluationPlan
        Of this cohort.
    horizons_days : sequence of float
        Ascending; the one horizon of an outcome that is known at one only.
    curve_days : ndarray of float, shape (n_days,), or None
        Days of the predicted curve, the same for all fits: those of the registered model. A fit
        that reaches less far keeps its last risk.

    Returns
    -------
    Predictions
        Of the rows `plan.evaluated`, one `Repeat` for each of the plan's. The stays refused are
        those of the first repeat. There is no curve of the competing event where too few patients
        had it in one of the fits.
    """
    rows = plan.evaluated
    place = np.full(len(cohort), -1)
    place[rows] = np.arange(len(rows))
    repeats: list[Repeat] = []
    when_blanked: dict[float, list[Repeat]] = {share: [] for share in BLANK_SHARES}
    refusals: list[list[Remark]] = [[] for _ in rows]
    has_competing = curve_days is not None
    learned_flags = 0
    what = "cross-validating"

    def judge(model: CumulativeIncidenceModel, held_out: Cohort) -> _Answer:
        return _answer(FitWithChoice(model, ()), held_out, horizons_days, curve_days)

    def fit(own: RunConfig, steps: Progress | None, split: Split) -> _Answer:
        learned_from = cohort.take(split.train)
        fitted = refit_with_choice(learned_from, horizons_days, own, progress=steps)
        held_out = with_flags(cohort.take(split.test), fitted.flags)
        return _answer(fitted, held_out, horizons_days, curve_days)

    if config.missingness == "ignorable":
        folds = [Folds(cohort, splits) for splits in plan.repeats]
        answers = fits_of_folds(
            judge, folds, horizons_days, config, risk_only=False, what=what, progress=progress
        )
    else:
        jobs = [(split,) for splits in plan.repeats for split in splits]
        answers = fits_side_by_side(
            fit, jobs, config, rows=len(cohort), what=what, progress=progress
        )
    for number, splits in enumerate(plan.repeats):
        repeat = _empty_repeat(len(rows), len(horizons_days), curve_days)
        with_gaps = {
            share: Repeat(np.full_like(repeat.risk, np.nan), repeat.fold) for share in BLANK_SHARES
        }
        for k, split in enumerate(splits):
            answer = next(answers)
            learned_flags += answer.learned_flags
            at = place[split.test]
            repeat.risk[at], repeat.fold[at] = answer.risk, k
            for share, risk in answer.blanked.items():
                with_gaps[share].risk[at] = risk
            if repeat.curve_risk is not None:
                repeat.curve_risk[at] = answer.curve_risk
            if repeat.competing_curve is not None:
                has_competing = has_competing and answer.competing_curve is not None
                repeat.competing_curve[at] = answer.competing_curve if has_competing else np.nan
            if number == 0:
                for row, of_row in zip(at, answer.refusals, strict=True):
                    refusals[row] = list(of_row)
        repeats.append(repeat)
        for share in BLANK_SHARES:
            when_blanked[share].append(with_gaps[share])
    if config.missingness == "informative":
        _LOG.info(
            "the flags of what was recorded as not done paid in %d of %d fits",
            learned_flags,
            plan.fits,
        )
    evaluated = cohort.take(rows)
    outcome = outcome_of(evaluated)
    return Predictions(
        time_days=outcome.time_days,
        event=outcome.event,
        patient_id=evaluated.patient_id,
        repeats=tuple(
            repeat if has_competing else replace(repeat, competing_curve=None) for repeat in repeats
        ),
        horizons_days=tuple(map(float, horizons_days)),
        curve_days=curve_days,
        blanked=tuple(
            BlankedRepeats(share, tuple(of_share)) for share, of_share in when_blanked.items()
        ),
        answered=np.array([not of_row for of_row in refusals]),
        refusals=Refusals.of(refusals),
        cohort_fingerprint=evaluated.fingerprint(),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a fit says of the patients it has not learned from."""

    learned_flags: bool
    risk: NDArray[np.float64]
    blanked: Mapping[float, NDArray[np.float64]]
    curve_risk: NDArray[np.float64] | None
    competing_curve: NDArray[np.float64] | None
    refusals: Sequence[Sequence[Remark]]


def _answer(
    fitted: FitWithChoice,
    held_out: Cohort,
    horizons_days: Sequence[float],
    curve_days: NDArray[np.float64] | None,
) -> _Answer:
    """Return the risks of all stays, refused or not, and the refusals."""
    model = fitted.model.risk_model_
    prediction = model.predict(held_out.features, horizons_days, interval=False)
    within = competing_curve = None
    if curve_days is not None:
        contract = model.contract
        within = np.clip(curve_days, contract.min_horizon_days, contract.max_horizon_days)
        competing_curve = model.competing_risk(held_out.features, within)
    risk, curve_risk = risks_with_curve(model, held_out.features, horizons_days, within)
    when_blanked = blanked_risks(model, held_out, horizons_days)
    return _Answer(
        learned_flags=bool(fitted.flags),
        risk=risk,
        blanked=when_blanked,
        curve_risk=curve_risk,
        competing_curve=competing_curve,
        refusals=prediction.refusals,
    )


def _empty_repeat(stays: int, horizons: int, curve_days: NDArray[np.float64] | None) -> Repeat:
    """Return a repeat to be filled in, fold by fold."""
    curves = (
        None if curve_days is None else np.full((stays, len(curve_days)), np.nan) for _ in range(2)
    )
    return Repeat(np.full((stays, horizons), np.nan), np.full(stays, -1, dtype=np.int64), *curves)
