"""`osteon evaluate` without a model: what fitting to a cohort again and again tells of it."""

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

__all__ = ["Questions", "StudyEvaluation", "evaluate_study"]

FEWEST_REFITS = 20

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of a cohort; at least one of the first three.

    Parameters
    ----------
    added : tuple of str
        Pathways or variables of a panel whose added value is asked for.
    by : {"site", "year"} or None
        What to hold out in turn.
    refits : int
        Bootstrap refits for the instability of risks; 0 for none.
    over : tuple of str
        What the panel is judged over; everything else without it.
    primary_horizon_days : float or None
        Of the panel's verdict; the middle one without it.
    thresholds : tuple of float
        Risks at which one would act; around the event rate without it.
    """

    added: tuple[str, ...] = ()
    by: ClusterBy | None = None
    refits: int = 0
    over: tuple[str, ...] = ()
    primary_horizon_days: float | None = None
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be answered."""
        if not (self.added or self.by or self.refits):
            raise UsageError(
                "without a model, something must be asked for: an added value, an "
                "internal-external validation or the instability of risks."
            )
        if self.over and not self.added:
            raise UsageError("other variables must be named for an added value; none is asked for.")
        if self.refits and self.refits < FEWEST_REFITS:
            raise UsageError(f"refits must be at least {FEWEST_REFITS}; got {self.refits}.")


@dataclass(frozen=True, slots=True)
class StudyEvaluation:
    """What was asked of a cohort; None and empty where it was not.

    Parameters
    ----------
    study : Study
    config : RunConfig
        That the fits were made with.
    added_value : PanelValue or None
    internal_external : InternalExternal or None
    instability : tuple of Instability
        One for each horizon.
    sample_size : tuple of SampleSize
        What a model of all columns would need, at each horizon that can be judged.
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
        """Return what `osteon evaluate --json` prints, but for the folder."""
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
            "sample_size": [one.as_json() for one in self.sample_size],
            "added_value": None if added is None else added.as_json(),
            "internal_external": None if validated is None else validated.as_json(),
            "instability": [one.as_json() for one in self.instability],
        }


def evaluate_study(
    study: Study, config: RunConfig, questions: Questions, *, progress: Progress | None = None
) -> StudyEvaluation:
    """Answer what is asked of a cohort.

    Parameters
    ----------
    study : Study
        From `training.cohorts.study`.
    config : RunConfig
    questions : Questions
    progress : callable, optional
        Told of every fit.

    Returns
    -------
    StudyEvaluation

    Raises
    ------
    UsageError, DataError
        As `panel_of`, `panel_value` and `internal_external` do.
    """
    panel = panel_of(study.cohort, questions.added, questions.over) if questions.added else None
    added = validated = None
    if panel is not None:
        added = panel_value(
            study,
            panel,
            config,
            primary_horizon_days=questions.primary_horizon_days,
            thresholds=questions.thresholds,
            progress=progress,
        )
        _LOG.info("judged the panel at %g days: %s", added.primary_horizon_days, added.verdict)
    if questions.by is not None:
        validated = internal_external(study, config, questions.by, progress=progress)
        _LOG.info("held out each of %d %ss", len(validated.clusters), questions.by)
    return StudyEvaluation(
        study,
        config,
        added,
        validated,
        _instability(study, config, questions, progress),
        patients_needed(study.cohort, study.horizons_days),
    )


def _instability(
    study: Study, config: RunConfig, questions: Questions, progress: Progress | None
) -> tuple[Instability, ...]:
    """Fit to the cohort and to resamples of it, and compare each patient's risks."""
    if not questions.refits:
        return ()
    cohort, horizons = study.cohort, study.horizons_days
    risk = refit(cohort, horizons, config).predict_risk(cohort.features)
    refits = bootstrap_risks(cohort, horizons, config, refits=questions.refits)
    moved = []
    for number, one in enumerate(refits, start=1):
        moved.append(one)
        if progress is not None:
            progress("fitting to resamples", number, questions.refits)
    _LOG.info("fitted to %d resamples", questions.refits)
    refitted = np.stack(moved)
    return tuple(
        instability(
            risk[:, column],
            refitted[:, :, column],
            horizon_days=days,
            thresholds=questions.thresholds,
        )
        for column, days in enumerate(horizons)
    )
