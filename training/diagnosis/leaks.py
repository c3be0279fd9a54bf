"""How far each suspected leak would flatter a model: measured with and without it, paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError, Finding
from data_schema.variables import base_name
from models.censoring import CensoringDistribution
from models.fitting.training_cohort import Progress
from models.metrics.comparison.paired_changes import paired_changes
from models.metrics.discrimination.ranking import auroc_within_folds
from models.metrics.intervals import bootstrap_interval
from models.metrics.known_outcome import known_outcome, why_not_evaluable
from training.cohorts.splits import folds_by_patient
from training.config import RunConfig
from training.fit import FOLDS
from training.fold_fits import out_of_fold_risks

__all__ = [
    "MOST_PATIENTS",
    "MOST_SUSPECTS",
    "MeasuredLeak",
    "leaks_by_regression",
    "measured_leaks",
    "sampled",
]

Floats = NDArray[np.float64]

MOST_PATIENTS = 3_000
"""Most patients of the fits that measure a leak, drawn at random; a leak is no fine difference."""

MOST_SUSPECTS = 8
"""Most suspects that `leaks_by_regression` measures: a run may not cost more for them."""

_RESAMPLES = 200
_RIDGE = 0.1
_MOST_LEVELS = 10
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
    by : {"procedure", "regression"}
        Whether the whole procedure was fitted, or a ridge regression at one horizon.
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
    by: Literal["procedure", "regression"] = "procedure"

    @property
    def is_measured(self) -> bool:
        """Whether there is an inflation."""
        return self.inflation == self.inflation

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
    features, rules, honest = _suspects(cohort, findings)
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
                _once(broken),
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


def leaks_by_regression(
    cohort: Cohort, findings: Sequence[Finding], horizon_days: float, *, random_state: int
) -> tuple[MeasuredLeak, ...]:
    """Measure what each suspect adds to a ridge regression at one horizon, in seconds.

    For the report of a training run, which may not cost much more than the run itself;
    `measured_leaks` fits the whole procedure.

    Parameters
    ----------
    cohort, findings
        As for `measured_leaks`.
    horizon_days : float
        At which areas are compared.
    random_state : int
        Seed of folds and resamples.

    Returns
    -------
    tuple of MeasuredLeak
        The largest inflation first. Those beyond `MOST_SUSPECTS`, and all where too few outcomes
        are known, are listed without an inflation.

    Notes
    -----
    Numbers enter as ranks, categories as their most frequent levels, and every column with a flag
    of whether it is recorded, so that a value that only the dead lack shows too. Areas are compared
    within folds, paired, with resamples of patients.
    """
    _, rules, honest = _suspects(cohort, findings)
    if not rules:
        return ()
    patients = sampled(cohort, MOST_PATIENTS, random_state=random_state)
    outcome, groups = outcome_of(patients), patients.patient_id
    count = len(np.unique(groups.astype(str)))
    time_days, event = outcome.time_days, outcome.event
    by_name = {
        name: MeasuredLeak(
            name, _once(broken), horizon_days, *(np.nan,) * 5, patients=count, by="regression"
        )
        for name, broken in rules.items()
    }
    censoring = CensoringDistribution.fit(time_days, event)
    if not honest or why_not_evaluable(time_days, event, horizon_days, censoring, groups=groups):
        return tuple(by_name.values())
    try:
        splits = folds_by_patient(patients, folds=FOLDS, random_state=random_state)
    except DataError:
        return tuple(by_name.values())
    known = known_outcome(time_days, event, horizon_days, censoring=censoring)
    fold = np.empty(len(patients), dtype=np.int64)
    for number, split in enumerate(splits):
        fold[split.test] = number

    def scores(columns: Sequence[str]) -> Floats:
        design, score = _design(patients.features[list(columns)]), np.zeros(len(patients))
        for number in range(FOLDS):
            train = (fold != number) & (known.weight > 0)
            if known.happened[train].all() or not known.happened[train].any():
                continue
            model = LogisticRegression(C=_RIDGE, max_iter=1000)
            model.fit(design[train], known.happened[train], sample_weight=known.weight[train])
            score[fold == number] = model.decision_function(design[fold == number])
        return score

    with threadpool_limits(limits=1):
        without = scores(honest)
        for name, broken in list(rules.items())[:MOST_SUSPECTS]:
            suspect = [own for own in map(str, cohort.features) if base_name(own) == name]
            with_it = scores([*honest, *suspect])

            def areas(counts: Floats | None, with_it: Floats = with_it) -> Floats:
                of = known_outcome(time_days, event, horizon_days, counts=counts)
                before, after = (
                    auroc_within_folds(of, score, fold) for score in (without, with_it)
                )
                return np.stack([before, after, after - before])

            interval = bootstrap_interval(
                areas,
                len(patients),
                n_resamples=_RESAMPLES,
                random_state=random_state,
                groups=groups,
            )
            before, after, inflation = (float(value) for value in interval.estimate)
            by_name[name] = MeasuredLeak(
                name,
                _once(broken),
                horizon_days,
                before,
                after,
                inflation,
                float(interval.low[2]),
                float(interval.high[2]),
                count,
                "regression",
            )
    return tuple(
        sorted(by_name.values(), key=lambda leak: -np.nan_to_num(leak.inflation, nan=-1.0))
    )


def _suspects(
    cohort: Cohort, findings: Sequence[Finding]
) -> tuple[list[str], dict[str, tuple[str, ...]], list[str]]:
    """Return all columns, the rules that each suspected variable breaks, and the other columns."""
    features = [str(name) for name in cohort.features.columns]
    rules: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        name = base_name(finding.variable)
        if finding.rule.startswith(_LEAK) and any(base_name(own) == name for own in features):
            rules[name] = (*rules.get(name, ()), finding.rule)
    return features, rules, [name for name in features if base_name(name) not in rules]


def _once(rules: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rules))


def _design(features: pd.DataFrame) -> Floats:
    """Return ranks, levels and flags of what is recorded, shape (n_stays, n_columns)."""
    columns: list[NDArray[np.float64]] = []
    for name in features:
        values = features[name]
        recorded = values.notna()
        if recorded.any() and not recorded.all():
            columns.append(np.asarray(recorded, dtype=np.float64))
        if pd.api.types.is_numeric_dtype(values):
            rank = values.rank(pct=True).sub(0.5).fillna(0.0)
            columns.append(np.asarray(rank, dtype=np.float64))
        else:
            levels = values.value_counts().index[:_MOST_LEVELS]
            columns += [np.asarray(values == level, dtype=np.float64) for level in levels]
    return np.column_stack(columns)


def sampled(cohort: Cohort, most: int, *, random_state: int) -> Cohort:
    """Return the stays of at most so many patients, drawn at random."""
    patient = np.unique(cohort.patient_id.astype(str), return_inverse=True)[1]
    count = int(patient.max()) + 1
    if count <= most:
        return cohort
    chosen = np.random.default_rng(random_state).choice(count, most, replace=False)
    return cohort.take(np.isin(patient, chosen))
