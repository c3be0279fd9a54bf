"""Judge a model on all patients of a file of any length, in bounded memory.

The file is read twice, in parts: once to check all of it, once to predict. The predictions of each
part lie in a folder that only its owner reads, and that is removed at the end; the metrics and
their intervals are computed from sums over these parts. Workers of a cluster do all of that; the
results are those of one process.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.mapping.file import CohortMapping
from data_schema.table.files import read_parts
from data_schema.table.identifiers import FileFacts
from data_schema.table.row_groups import RowGroups
from models.bulk_contributions import MOST_ROWS
from models.fitting.training_cohort import Progress
from models.inference.risk_model import RiskModel
from models.metrics.in_parts.evaluate_parts import PartsJudgement, evaluate_parts
from models.metrics.in_parts.judged_part import ALL, JudgedPart, Levels, Survey
from models.registry.lifecycle import LoadedModel
from models.registry.patient_fingerprints import (
    PatientFingerprints,
    patient_key,
    stored_fingerprints,
)
from training.checked_file import (
    CheckedFile,
    PartCheck,
    check_part,
    checked_file,
    read_checked_part,
)
from training.cohorts.drawn_patients import patient_keys
from training.cohorts.groups import groups_of_part
from training.distributed.cluster import Cluster, Results, computed_here
from training.distributed.file_parts import (
    bundle_for_workers,
    bundle_on_worker,
    row_groups_for_workers,
)
from training.in_parts.stored_parts import StoredParts, store_part
from training.validation.evaluate_model import RESAMPLES
from training.validation.judgement import SUBGROUP_RESAMPLES
from training.validation.overlap import Overlap
from training.validation.predictions import every_stay_refused, predict_part
from training.validation.refusals import Refusals

__all__ = ["MOST_AT_ONCE", "FileEvaluation", "evaluate_file", "rows_of_file"]

MOST_AT_ONCE = 100_000
"""Rows up to which `osteon evaluate` reads a file as a whole, and writes a report."""

_SEED = 0
"""Of the hashes of patients, and so of the patients among whom concordance is computed."""


@dataclass(frozen=True, slots=True)
class FileEvaluation:
    """A model on all patients of a file.

    Parameters
    ----------
    loaded : LoadedModel
    stays, patients, events : int
    refusals : Refusals
    judgement : PartsJudgement
    overlap : Overlap
        How many of the patients the model learned from.
    """

    loaded: LoadedModel
    stays: int
    patients: int
    events: int
    refusals: Refusals
    judgement: PartsJudgement
    overlap: Overlap

    def as_json(self) -> dict[str, object]:
        """Return what `osteon evaluate --json` prints, except for the folder."""
        loaded, judgement = self.loaded, self.judgement
        test = judgement.d_calibration
        return {
            "model": {"name": loaded.name, "version": loaded.version, "alias": loaded.alias},
            "outcome": loaded.risk_model.contract.outcome,
            "stays": self.stays,
            "patients": self.patients,
            "events": self.events,
            "refused": self.refusals.refused,
            "learned_from": self.overlap.as_json(),
            "concordance_patients": judgement.concordance_patients,
            "refusals": self.refusals.as_json(),
            "metrics": [metric.as_json() for metric in judgement.metrics],
            "blanked": [metric.as_json() for metric in judgement.blanked],
            "metrics_of_answered": [metric.as_json() for metric in judgement.metrics_of_answered],
            "subgroups": [group.as_json() for group in judgement.subgroups],
            "d_calibration": None if test is None else test.as_json(),
        }


def rows_of_file(path: Path) -> int:
    """Return the rows of a Parquet file, the lines of a text file; 0 for a spreadsheet.

    A spreadsheet is read as a whole in any case.
    """
    if path.suffix.lower() == ".parquet":
        return RowGroups.of(path).rows
    if path.suffix.lower() == ".xlsx" or not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def evaluate_file(
    path: Path,
    loaded: LoadedModel,
    *,
    mapping: CohortMapping | None = None,
    cluster: Cluster | None = None,
    rows_at_a_time: int = MOST_ROWS,
    n_bootstrap: int | None = None,
    progress: Progress | None = None,
) -> FileEvaluation:
    """Judge a model on the patients of a file whose outcome is known.

    Parameters
    ----------
    path : Path
        As for `data_schema.table.files.read_table`; Parquet where there is a cluster.
    loaded : LoadedModel
    mapping : CohortMapping, optional
        The meaning of the site's columns.
    cluster : Cluster, optional
        Its workers read the row groups, check and predict them, and sum up. Default: this process.
    rows_at_a_time : int
        Rows of a part.
    n_bootstrap : int, optional
        Resamples of the patients, fewer for groups (default: `RESAMPLES`).
    progress : callable, optional
        Called with a task, its steps done and their number, 0 where that is unknown.

    Raises
    ------
    RulesBroken, UsageError, OutsideError, DataError
        As `cohort_for_model` and `evaluate_on` raise them, of the whole file.

    Notes
    -----
    Who is drawn in a resample depends on the patient's identifier alone
    (`models.metrics.in_parts.poisson_bootstrap`), so that neither the order of the rows nor their
    row groups nor the workers matter. Without identifiers each row is a patient, known by its place
    in the file.
    """
    shared = None if cluster is None else cluster.folder
    resamples = RESAMPLES if n_bootstrap is None else n_bootstrap
    with tempfile.TemporaryDirectory(prefix="osteon-evaluate-", dir=shared) as name:
        there: _Here | _There = _Here(path, loaded.risk_model, mapping, rows_at_a_time, Path(name))
        if cluster is not None:
            groups = row_groups_for_workers(path)
            bundle = bundle_for_workers(cluster, loaded.risk_model)
            there = _There(cluster, groups, bundle, mapping, rows_at_a_time, Path(name))
        seen = checked_file(there.checks(), mapping, progress)
        gathered = _gathered(there.predicted([*seen.identifiers.facts()]), loaded, seen, progress)
        judgement = evaluate_parts(
            StoredParts(tuple(_folder_of(Path(name), number) for number in range(seen.parts))),
            gathered.survey,
            horizons_days=gathered.first.horizons_days,
            curve_days=gathered.first.curve_days,
            has_competing_curve=gathered.first.has_competing_curve,
            simulated=gathered.is_simulated,
            n_bootstrap=resamples,
            n_bootstrap_of_groups=min(resamples, SUBGROUP_RESAMPLES),
            run=_with_progress(there.results, progress),
        )
    return FileEvaluation(
        loaded,
        gathered.refusals.stays,
        seen.identifiers.patients,
        gathered.survey.scopes[ALL].events,
        gathered.refusals,
        judgement,
        gathered.overlap,
    )


@dataclass(frozen=True, slots=True)
class _Here:
    """This process reads the parts of a file, one after another."""

    path: Path
    risk_model: RiskModel
    mapping: CohortMapping | None
    rows_at_a_time: int
    folder: Path
    results: Results[Any] = computed_here

    def checks(self) -> Iterator[PartCheck]:
        """Yield the check of every part in turn."""
        for table in read_parts(self.path, self.rows_at_a_time):
            yield _check(table, self.risk_model, self.mapping).without_cohort()

    def predicted(self, facts: Sequence[FileFacts]) -> Iterator[_PartPredicted]:
        """Predict every part, and yield what it shows."""
        tables = read_parts(self.path, self.rows_at_a_time)
        for number, (table, of_part) in enumerate(zip(tables, facts, strict=True)):
            yield _predict(table, of_part, self.risk_model, self.mapping, self.folder, number)


@dataclass(frozen=True, slots=True)
class _There:
    """The workers of a cluster read the parts of a Parquet file, each its row groups."""

    cluster: Cluster
    groups: RowGroups
    bundle: Path
    mapping: CohortMapping | None
    rows_at_a_time: int
    folder: Path

    @property
    def results(self) -> Results[Any]:
        """Yield the results of jobs that the workers do."""
        return self.cluster.results

    def checks(self) -> Iterator[PartCheck]:
        """Yield the check of every part in turn."""
        parts = self.groups.parts(self.rows_at_a_time)
        jobs = [(self.groups, part, self.bundle, self.mapping) for part in parts]
        return self.cluster.results(_check_there, jobs)

    def predicted(self, facts: Sequence[FileFacts]) -> Iterator[_PartPredicted]:
        """Predict every part, and yield what it shows."""
        parts = self.groups.parts(self.rows_at_a_time)
        jobs = [
            (self.groups, part, of_part, self.bundle, self.mapping, self.folder, number)
            for number, (part, of_part) in enumerate(zip(parts, facts, strict=True))
        ]
        return self.cluster.results(_predict_there, jobs)


def _check_there(
    groups: RowGroups, part: range, bundle: Path, mapping: CohortMapping | None
) -> PartCheck:
    return _check(groups.table(part), bundle_on_worker(bundle), mapping).without_cohort()


def _predict_there(
    groups: RowGroups,
    part: range,
    facts: FileFacts,
    bundle: Path,
    mapping: CohortMapping | None,
    folder: Path,
    number: int,
) -> _PartPredicted:
    return _predict(groups.table(part), facts, bundle_on_worker(bundle), mapping, folder, number)


def _check(table: pd.DataFrame, risk_model: RiskModel, mapping: CohortMapping | None) -> PartCheck:
    contract = risk_model.contract
    return check_part(table, contract, outcome=contract.outcome, mapping=mapping)


@dataclass(frozen=True, slots=True)
class _PartPredicted:
    """What the predictions for one part show.

    `fingerprints` are those of its patients; empty, with `key` empty, where this machine has none.
    """

    survey: Survey
    horizons_days: tuple[float, ...]
    curve_days: NDArray[np.float64]
    has_competing_curve: bool
    is_simulated: bool
    refusals: Refusals
    key: str
    fingerprints: NDArray[np.uint64]


def _predict(
    table: pd.DataFrame,
    facts: FileFacts,
    risk_model: RiskModel,
    mapping: CohortMapping | None,
    folder: Path,
    number: int,
) -> _PartPredicted:
    """Predict one part, which has been checked, and write it to the folder."""
    contract = risk_model.contract
    cohort = read_checked_part(table, facts, contract, outcome=contract.outcome, mapping=mapping)
    predictions = predict_part(risk_model, cohort)
    horizons = predictions.horizons_days
    # Of an outcome that is known at one horizon the risks at it are the curve.
    curve, curve_days = predictions.curve_risk, predictions.curve_days
    if curve is None or curve_days is None:
        curve, curve_days = predictions.risk, np.asarray(horizons)
    part = JudgedPart(
        patient=patient_keys(pd.Series(cohort.patient_id), _SEED),
        time_days=predictions.time_days,
        event=predictions.event,
        risk=predictions.risk,
        score=curve.mean(axis=1),
        curve_risk=curve,
        competing_curve=predictions.competing_curve,
        blanked={blank.share: blank.repeats[0].risk for blank in predictions.blanked},
        answered=predictions.answered,
        levels={name: Levels.of(levels) for name, levels in groups_of_part(cohort).items()},
    )
    store_part(part, _folder_of(folder, number), folder / f"draft-{secrets.token_hex(8)}")
    key = patient_key()
    own = None if key is None else PatientFingerprints.of(cohort.patient_id, key)
    return _PartPredicted(
        Survey.of(part, horizons),
        horizons,
        curve_days,
        part.competing_curve is not None,
        bool(cohort.simulated),
        predictions.refusals,
        "" if own is None else own.key,
        _as_numbers(() if own is None else own.patients),
    )


def _folder_of(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}"


def _as_numbers(fingerprints: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([int(text, 16) for text in fingerprints], dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What the predictions for all parts show."""

    survey: Survey
    first: _PartPredicted
    refusals: Refusals
    is_simulated: bool
    overlap: Overlap


def _gathered(
    parts: Iterable[_PartPredicted],
    loaded: LoadedModel,
    seen: CheckedFile,
    progress: Progress | None,
) -> _Gathered:
    """Gather what the parts show, as they are predicted."""
    own = patient_key()
    run_id = None if own is None else loaded.run_id
    learned = None if run_id is None else stored_fingerprints(run_id)
    from_training = _as_numbers(() if learned is None else learned.patients)
    shared = np.empty(0, dtype=np.uint64)
    survey, refusals, simulated, keys = Survey.joined([]), Refusals.joined([]), False, set()
    first = None
    for done, part in enumerate(parts, start=1):
        first = first or part
        survey = Survey.joined([survey, part.survey])
        refusals = Refusals.joined([refusals, part.refusals])
        simulated |= part.is_simulated
        keys.add(part.key)
        shared = np.union1d(shared, np.intersect1d(part.fingerprints, from_training))
        if progress is not None:
            progress("predicting", done, seen.parts)
    assert first is not None
    if refusals.refused == refusals.stays:
        raise every_stay_refused(refusals.stays)
    reason = ""
    if own is None:
        reason = "neither OSTEON_PATIENT_KEY nor OSTEON_GATE_KEY is set"
    elif loaded.run_id is None:
        reason = "the model was not loaded from its run or version"
    elif learned is None:
        reason = "its run stored no fingerprints of patients"
    elif not seen.identifiers.states_patients:
        reason = "the cohort has no identifiers of patients"
    elif "" in keys:
        reason = "neither OSTEON_PATIENT_KEY nor OSTEON_GATE_KEY is set on every Dask worker"
    elif keys != {learned.key}:
        reason = "its run made the fingerprints with another key"
    patients = seen.identifiers.patients
    overlap = Overlap(None, not_known=reason) if reason else Overlap(len(shared), patients)
    return _Gathered(survey, first, refusals, simulated, overlap)


def _with_progress(results: Results[Any], progress: Progress | None) -> Results[Any]:
    """Yield results as before, and report how many of the jobs are done."""

    def run(work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        listed = [*jobs]
        for done, result in enumerate(results(work, listed), start=1):
            if progress is not None:
                progress("judging", done, len(listed))
            yield result

    return run
