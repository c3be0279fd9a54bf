"""Whether a model learns from flags of "recorded as not done": only where they pay."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from data_schema.cohort import Cohort
from training.cohorts.not_done import learnable_flags, with_flags
from training.cohorts.study import Study
from training.config import RunConfig
from training.fit import refit

__all__ = ["JudgedFlags", "judge_flags", "modelled_study"]

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


def judge_flags(learned_from: Cohort, study: Study, config: RunConfig) -> JudgedFlags:
    """Fit without and with the flags that can be learned from, and return both losses.

    Both fits have the same patients, folds and days, and make every choice out of fold.
    """
    flags = learnable_flags(learned_from)
    patients = len(np.unique(learned_from.patient_id.astype(str)))
    if not flags:
        return JudgedFlags((), patients, np.nan, np.nan)
    without, beside = (
        refit(cohort, study.horizons_days, config).out_of_fold_loss_.recalibrated
        for cohort in (learned_from, with_flags(learned_from, flags))
    )
    return JudgedFlags(flags, patients, without, beside)


def modelled_study(learned_from: Cohort, study: Study, config: RunConfig) -> Study:
    """Return the study whose features hold the flags that pay, or the same study.

    One decision for the whole run: the fits that judge the procedure do not make it again.
    """
    if config.missingness == "ignorable":
        return study
    judged = judge_flags(learned_from, study, config)
    _LOG.info("%s", judged.sentence)
    if not judged.pay:
        return study
    return replace(study, cohort=with_flags(study.cohort, judged.flags))
