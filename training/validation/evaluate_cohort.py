"""`osteon evaluate` without a model: evaluations of a cohort by refitting models to it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from data_schema.cohort import outcome_of
from data_schema.errors import UsageError
from models.fitting.training_cohort import Progress
from models.metrics.calibration.instability import Instability, instability
from models.metrics.sample_size import SampleSize
from training.cohorts.panel import panel_of
from training.cohorts.study import Study
from training.config import RunConfig
from training.fit import bootstrap_risks, refit
from training.validation.internal_external import ClusterBy, InternalExternal, internal_external
from training.validation.panel_value import PanelValue, panel_value
from training.validation.sample_size import patients_needed

__all__ = ["RequestedEvaluations", "StudyEvaluation", "evaluate_study"]

_FEWEST_REFITS = 20

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestedEvaluations:
    """The evaluations of a cohort; at least one of `added`, `by` and `refits` is set.

    Parameters
    ----------
    added, over : tuple of str
        Pathways or variables of a panel, and its base; empty `over` for usual care.
    by : {"site", "year"} or None
        Clusters to hold out in turn.
    refits : int
        Bootstrap refits for the instability of risks; 0 for none.
    primary_horizon_days : float or None
        Horizon of the panel's verdict; None for the middle horizon.
    thresholds : tuple of float
        Risks at which treatment would start; empty for risks around the event rate.
    """

    added: tuple[str, ...] = ()
    by: ClusterBy | None = None
    refits: int = 0
    over: tuple[str, ...] = ()
    primary_horizon_days: float | None = None
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse combinations that cannot be evaluated."""
        if not (self.added or self.by or self.refits):
            raise UsageError(
                "an evaluation without a model needs at least one of added value, "
                "internal-external validation and instability."
            )
        if self.over and not self.added:
            raise UsageError("over must be stated together with added.")
        if self.refits and self.refits < _FEWEST_REFITS:
            raise UsageError(f"refits must be at least {_FEWEST_REFITS}; got {self.refits}.")


@dataclass(frozen=True, slots=True)
class StudyEvaluation:
    """The evaluations of a cohort; None or empty if not requested.

    Parameters
    ----------
    config : RunConfig
        Settings of the fits.
    instability : tuple of Instability
        One for each horizon.
    sample_size : tuple of SampleSize
        Sample size that a model of all columns needs, at each horizon that can be judged.
    """

    study: Study
    config: RunConfig
    added_value: PanelValue | None
    internal_external: InternalExternal | None
    instability: tuple[Instability, ...]
    sample_size: tuple[SampleSize, ...]

    @property
    def patients(self) -> int:
        """Patients of the cohort."""
        return len(np.unique(self.study.cohort.patient_id.astype(str)))

    @property
    def events(self) -> int:
        """Stays with the event."""
        return int((outcome_of(self.study.cohort).event == 1).sum())

    def as_json(self) -> dict[str, object]:
        """Return what `osteon evaluate --json` prints, except for the folder."""
        cohort = self.study.cohort
        added, validated = self.added_value, self.internal_external
        return {
            "dataset": cohort.name or None,
            "outcome": self.study.outcome.name,
            "time_zero": self.study.time_zero,
            "population": cohort.population,
            "simulated": cohort.simulated,
            "stays": len(cohort),
            "patients": self.patients,
            "events": self.events,
            "cohort_fingerprint": cohort.fingerprint(),
            "sample_size": [size.as_json() for size in self.sample_size],
            "added_value": None if added is None else added.as_json(),
            "internal_external": None if validated is None else validated.as_json(),
            "instability": [at_horizon.as_json() for at_horizon in self.instability],
        }


def evaluate_study(
    study: Study,
    config: RunConfig,
    requested: RequestedEvaluations,
    *,
    progress: Progress | None = None,
) -> StudyEvaluation:
    """Carry out the requested evaluations of a cohort.

    Parameters
    ----------
    study : Study
        From `training.cohorts.study`.
    """
    added = validated = None
    if requested.added:
        added = panel_value(
            study,
            panel_of(study.cohort, requested.added, requested.over),
            config,
            primary_horizon_days=requested.primary_horizon_days,
            thresholds=requested.thresholds,
            progress=progress,
        )
        _LOG.info("judged the panel at %g days: %s", added.primary_horizon_days, added.verdict)
    if requested.by is not None:
        validated = internal_external(study, config, requested.by, progress=progress)
        _LOG.info("held out each of %d %ss", len(validated.clusters), requested.by)
    return StudyEvaluation(
        study,
        config,
        added,
        validated,
        _instability(study, config, requested, progress),
        patients_needed(study.cohort, study.horizons_days),
    )


def _instability(
    study: Study, config: RunConfig, requested: RequestedEvaluations, progress: Progress | None
) -> tuple[Instability, ...]:
    """Fit to the cohort and to resamples of it, and compare each patient's risks."""
    if not requested.refits:
        return ()
    cohort, horizons = study.cohort, study.horizons_days
    risk = refit(cohort, horizons, config, risk_only=True).predict_risk(cohort.features)
    by_refit = []
    for refitted_risk in bootstrap_risks(cohort, horizons, config, refits=requested.refits):
        by_refit.append(refitted_risk)
        if progress is not None:
            progress("fitting to resamples", len(by_refit), requested.refits)
    _LOG.info("fitted to %d resamples", requested.refits)
    refitted = np.stack(by_refit)
    return tuple(
        instability(
            risk[:, column],
            refitted[:, :, column],
            horizon_days=days,
            thresholds=requested.thresholds,
        )
        for column, days in enumerate(horizons)
    )
