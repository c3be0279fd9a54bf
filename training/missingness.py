"""Whether a model learns from flags of "recorded as not done": only where they pay."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from data_schema.cohort import Cohort
from models.estimator import CumulativeIncidenceModel
from models.fitting.training_cohort import Progress
from training.cohorts.not_done import learnable_flags, with_flags
from training.cohorts.study import Study
from training.config import RunConfig
from training.fit import refit, steps_of_all

__all__ = [
    "FitWithChoice",
    "JudgedFlags",
    "judge_flags",
    "modelled_study",
    "refit_with_choice",
]

_LOG = logging.getLogger(__name__)

LEAST_GAIN = 2.0
"""Fall of the out-of-fold log-loss, summed over patients, from which flags pay.

It is about one standard error of the difference of two losses. Where two models are near each
other, the variance of a patient's log-likelihood ratio is about twice its mean d, so that n
patients give d a standard error of sqrt(2 d / n): d exceeds it where n d > 2.
"""


@dataclass(frozen=True, slots=True)
class JudgedFlags:
    """The flags of a cohort that can be learned from, and the losses without and with them.

    The losses are out of fold, per pair of patient and day; lower is better.
    """

    flags: tuple[str, ...]
    patients: int
    loss_without: float
    loss_with: float

    @property
    def pay(self) -> bool:
        """Whether the flags lower the loss by more than about one standard error."""
        gain = self.loss_without - self.loss_with
        return bool(self.flags) and gain * self.patients > LEAST_GAIN

    @property
    def sentence(self) -> str:
        """What was decided and on which figures, in one sentence."""
        if not self.flags:
            return (
                "No variable is recorded as not done in 1 to 99 % of the stays with enough events "
                "among them, so the model is ignorable: it does not tell how a value came to be "
                "missing."
            )
        gain = (self.loss_without - self.loss_with) * self.patients
        figures = (
            f"out-of-fold log-loss {self.loss_without:.5f} without {len(self.flags)} flags and "
            f"{self.loss_with:.5f} with them, {gain:+.1f} over all patients, {LEAST_GAIN:g} needed"
        )
        if self.pay:
            return f"The flags of what was recorded as not done pay: {figures}."
        return (
            f"The flags of what was recorded as not done do not pay, so the model is ignorable: "
            f"{figures}."
        )


def judge_flags(
    learned_from: Cohort, horizons_days: Sequence[float], config: RunConfig
) -> JudgedFlags:
    """Fit without and with the flags that can be learned from, and return both losses.

    Both fits have the same patients, folds and days, and make every choice out of fold.
    """
    flags = learnable_flags(learned_from)
    if not flags:
        return JudgedFlags((), _patients(learned_from), np.nan, np.nan)
    return _both_fits(learned_from, flags, horizons_days, config, risk_only=True).judged


def modelled_study(learned_from: Cohort, study: Study, config: RunConfig) -> Study:
    """Return the study whose features hold the flags that pay, or the same study.

    This is the choice of the registered model, from the patients whom it learns from. The fits that
    judge the procedure choose for themselves (`refit_with_choice`).
    """
    if config.missingness == "ignorable":
        return study
    judged = judge_flags(learned_from, study.horizons_days, config)
    _LOG.info("%s", judged.sentence)
    if not judged.pay:
        return study
    return replace(study, cohort=with_flags(study.cohort, judged.flags))


@dataclass(frozen=True, slots=True)
class FitWithChoice:
    """A fit, and the flags that it learned from: none, or all that can be learned from."""

    model: CumulativeIncidenceModel
    flags: tuple[str, ...]


def refit_with_choice(
    learned_from: Cohort,
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    risk_only: bool = False,
    progress: Progress | None = None,
) -> FitWithChoice:
    """Fit as `training.fit.refit` does, with the flags if they pay among these patients.

    Parameters
    ----------
    learned_from : Cohort
        The training part of a split; no other patient decides whether the flags pay.

    Returns
    -------
    FitWithChoice
        Without flags where `config.missingness` is "ignorable".
    """
    flags = () if config.missingness == "ignorable" else learnable_flags(learned_from)
    if not flags:
        model = refit(learned_from, horizons_days, config, risk_only=risk_only, progress=progress)
        return FitWithChoice(model, ())
    fits = _both_fits(
        learned_from, flags, horizons_days, config, risk_only=risk_only, progress=progress
    )
    if not fits.judged.pay:
        return FitWithChoice(fits.without, ())
    return FitWithChoice(fits.beside, flags)


class _BothFits(NamedTuple):
    without: CumulativeIncidenceModel
    beside: CumulativeIncidenceModel
    judged: JudgedFlags


def _both_fits(
    learned_from: Cohort,
    flags: tuple[str, ...],
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    risk_only: bool,
    progress: Progress | None = None,
) -> _BothFits:
    """Return the fits without and with the flags to the same patients, and their losses."""
    without, beside = (
        refit(
            cohort,
            horizons_days,
            config,
            risk_only=risk_only,
            progress=steps_of_all(progress, "fitting without and with flags", number, 2),
        )
        for number, cohort in enumerate((learned_from, with_flags(learned_from, flags)))
    )
    judged = JudgedFlags(flags, _patients(learned_from), _loss(without), _loss(beside))
    return _BothFits(without, beside, judged)


def _patients(cohort: Cohort) -> int:
    return len(np.unique(cohort.patient_id.astype(str)))


def _loss(model: CumulativeIncidenceModel) -> float:
    """Return the loss out of the tuning folds of a fit, after recalibration."""
    return float(model.out_of_fold_loss_.recalibrated)
