"""How far each suspected leak would flatter a model: measured with and without it, paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import Finding
from data_schema.variables import base_name
from models.fitting.training_cohort import Progress
from models.metrics.comparison.paired_changes import paired_changes
from training.config import RunConfig
from training.fit import out_of_fold_risks

__all__ = ["MOST_PATIENTS", "MeasuredLeak", "measured_leaks", "sampled"]

MOST_PATIENTS = 3_000
"""Most patients of the fits that measure a leak, drawn at random; a leak is no fine difference."""

_LEAK = "leak_"
_HONEST = "without"


@dataclass(frozen=True, slots=True)
class MeasuredLeak:
    """A suspected column, and what it adds to the area under the curve out of fold.

    Parameters
    ----------
    variable : str
    rules : tuple of str
        The rules of the linter that it breaks.
    horizon_days : float
    without, with_it : float
        Area under the curve of the honest columns, and of these with the suspect.
    inflation, low, high : float
        The change with its 95 % interval, paired by patient; NaN where nothing else is left to
        compare with.
    patients : int
        Patients of the fits.
    """

    variable: str
    rules: tuple[str, ...]
    horizon_days: float
    without: float
    with_it: float
    inflation: float
    low: float
    high: float
    patients: int

    def as_json(self) -> dict[str, object]:
        """Return the leak as `osteon diagnose --json` prints it; null stands for NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def measured_leaks(
    cohort: Cohort,
    findings: Sequence[Finding],
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> tuple[MeasuredLeak, ...]:
    """Fit the honest columns with and without each suspect, and return the differences.

    Parameters
    ----------
    cohort : Cohort
        With the suspected columns among its features.
    findings : sequence of Finding
        Of the linter; those of other rules are ignored.
    horizons_days : sequence of float
        At which models are compared. A leak of early events hardly shows late, so that each suspect
        is listed at the horizon where its inflation is largest.
    config : RunConfig
        Of the fits.

    Returns
    -------
    tuple of MeasuredLeak
        The largest inflation first.

    Notes
    -----
    Each fit chooses everything anew on its own patients, and the two of a pair share folds and
    patients. The honest columns are those of no suspected variable, so that a suspect is not hidden
    by another.
    """
    features = [str(name) for name in cohort.features.columns]
    rules: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        name = base_name(finding.variable)
        if finding.rule.startswith(_LEAK) and any(base_name(own) == name for own in features):
            rules[name] = (*rules.get(name, ()), finding.rule)
    honest = [name for name in features if base_name(name) not in rules]
    if not rules:
        return ()
    if not honest:
        unknown = (np.nan,) * 5
        return tuple(
            MeasuredLeak(name, broken, float(horizons_days[0]), *unknown, 0)
            for name, broken in rules.items()
        )
    patients = sampled(cohort, MOST_PATIENTS, random_state=config.seed)
    outcome = outcome_of(patients)
    of_suspect = {
        name: [*honest, *(own for own in features if base_name(own) == name)] for name in rules
    }
    risks = out_of_fold_risks(
        patients, {_HONEST: honest, **of_suspect}, horizons_days, config, progress=progress
    )
    changes = paired_changes(
        outcome.time_days,
        outcome.event,
        risks,
        [(_HONEST, name) for name in rules],
        thresholds=[0.5],
        n_bootstrap=config.bootstrap_resamples,
        random_state=config.seed,
        groups=patients.patient_id,
    )
    found = []
    for (name, broken), of_pair in zip(rules.items(), changes, strict=True):
        areas = [change for change in of_pair if change.metric == "auroc"]
        area = max(areas, key=lambda change: np.nan_to_num(change.change, nan=-np.inf))
        found.append(
            MeasuredLeak(
                name,
                tuple(dict.fromkeys(broken)),
                area.horizon_days,
                area.without,
                area.with_panel,
                area.change,
                area.low,
                area.high,
                len(np.unique(patients.patient_id.astype(str))),
            )
        )
    return tuple(sorted(found, key=lambda leak: -leak.inflation))


def sampled(cohort: Cohort, most: int, *, random_state: int) -> Cohort:
    """Return the stays of at most so many patients, drawn at random."""
    patient = np.unique(cohort.patient_id.astype(str), return_inverse=True)[1]
    count = int(patient.max()) + 1
    if count <= most:
        return cohort
    chosen = np.random.default_rng(random_state).choice(count, most, replace=False)
    return cohort.take(np.isin(patient, chosen))
