"""Score a file of any length in bounded memory, and go on where a run that was stopped ended.

The file is read twice, in parts: once to check all of it, so that nothing is scored of a file that
breaks a rule, and once to score it. The rows of each part are kept beside the file to be written,
in a folder that only its owner reads, and are appended there to a draft of that file, in its order;
once all are in the draft, it becomes the file, and the folder is removed. A run of the same file,
model and options takes finished parts from there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather

from data_schema.cohort import Cohort
from data_schema.errors import OutsideError, UsageError
from data_schema.mapping.file import CohortMapping
from data_schema.table.files import read_parts
from data_schema.table.identifiers import FileFacts
from data_schema.table.row_groups import RowGroups
from models.bulk_contributions import MOST_ROWS, is_available
from models.fitting.training_cohort import Progress
from models.inference.request import InferenceError
from models.inference.risk_model import RiskModel
from models.registry.lifecycle import LoadedModel
from training.checked_file import PartCheck, check_part, checked_file, read_checked_part
from training.distributed.cluster import Cluster
from training.distributed.file_parts import (
    bundle_for_workers,
    bundle_on_worker,
    row_groups_for_workers,
)
from training.files import require_table_path, table_in_parts
from training.provenance import versions
from training.score import score

__all__ = ["ScoreOptions", "ScoredFile", "score_file"]

_LOG = logging.getLogger(__name__)

_MANIFEST = "run.json"
_TEXTS = frozenset(
    {"patient_id", "stay_id", "outcome", "time_zero", "status", "refusal_code", "warning_code"}
)


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What is to be computed.

    Parameters
    ----------
    mapping : CohortMapping, optional
        The meaning of the site's columns.
    horizons_days : tuple of float, optional
        Default: the model's default horizons.
    explain : bool
        Whether to add the contributions.
    rows_at_a_time : int
        Rows of a part.
    """

    mapping: CohortMapping | None = None
    horizons_days: tuple[float, ...] | None = None
    explain: bool = False
    rows_at_a_time: int = MOST_ROWS


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """What was written.

    Parameters
    ----------
    rows : int
        One per stay and horizon.
    patients : int
    refused, unknown_category : int
        Stays without a risk, and stays with a category that the model does not know.
    """

    rows: int
    patients: int
    refused: int
    unknown_category: int


def score_file(
    path: Path,
    out: Path,
    loaded: LoadedModel,
    options: ScoreOptions,
    *,
    cluster: Cluster | None = None,
    progress: Progress | None = None,
) -> ScoredFile:
    """Write the risks of every patient in a file, in the order of the file.

    Parameters
    ----------
    path : Path
        As for `data_schema.table.files.read_table`.
    out : Path
        A .parquet or .csv file, which is written whole or not at all.
    loaded : LoadedModel
    options : ScoreOptions
    cluster : Cluster, optional
        Its workers read a Parquet file by row group, check it and score it; they need the folder of
        `out` as well. Default: this process.
    progress : callable, optional
        Called with a task, its parts done and its number of parts, 0 where that is unknown.

    Raises
    ------
    RulesBroken, UsageError, OutsideError
        As `cohort_for_model`, `score` and reading and writing files raise them.

    Notes
    -----
    Identifiers are judged over the whole file, values in parts of `rows_at_a_time` rows: a rule
    that one part breaks is broken.
    """
    require_table_path(out)
    if out.resolve() == path.resolve():
        raise UsageError(f"out must be another file than the cohort; got {out.name} for both.")
    try:
        loaded.risk_model.horizons(options.horizons_days)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    if options.explain and not is_available():
        _LOG.info("explaining by XGBoost; with the extra bulk (woodelf-explainer) it is faster")
    there = None if cluster is None else _Workers.of(cluster, path, loaded, options)
    if there is None:
        tables = read_parts(path, options.rows_at_a_time)
        contract = loaded.risk_model.contract
        checks = (check_part(table, contract, mapping=options.mapping) for table in tables)
        seen = checked_file(checks, options.mapping, progress)
    else:
        seen = checked_file(there.checks(), options.mapping, progress)
    patients = seen.identifiers.patients
    if seen.only_cohort is not None:
        only = _as_arrow(_scored(seen.only_cohort, loaded.risk_model, options))
        return _write([only], out, patients)
    folder = out.with_name(f".{out.name}.parts")
    manifest = _manifest(path, loaded, options, by_row_group=there is not None)
    facts = [*seen.identifiers.facts()]

    def scored(parts: Sequence[_Part]) -> Iterator[None]:
        if there is None:
            return _score_parts(path, parts, loaded, options)
        return there.scored(parts)

    with closing(_tables_of_parts(folder, manifest, facts, scored, progress)) as tables:
        written = _write(tables, out, patients, drafts=folder)
    shutil.rmtree(folder, ignore_errors=True)
    return written


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the file that was checked: what it is read by, and where its rows are kept.

    `is_whole` says that an earlier run has scored it.
    """

    facts: FileFacts
    file: Path
    is_whole: bool


def _tables_of_parts(
    folder: Path,
    manifest: str,
    facts: Sequence[FileFacts],
    scored: Callable[[Sequence[_Part]], Iterator[None]],
    progress: Progress | None,
) -> Generator[pa.Table]:
    """Yield the rows of each part in the order of the file, once it and all above it are scored.

    `scored` scores the parts that are not whole, in that order, and yields after each.
    """
    try:
        _prepare(folder, manifest)
        files = [folder.resolve() / f"{place:06d}.arrow" for place in range(len(facts))]
        parts = [_Part(*of, _is_whole(of[1])) for of in zip(facts, files, strict=True)]
        missing = [place for place, part in enumerate(parts) if not part.is_whole]
        finished, n_read = len(parts) - len(missing), 0
        if finished:
            _LOG.info("%d of %d parts were scored by an earlier run", finished, len(parts))
            if progress is not None:
                progress("scoring", finished, len(parts))
        # All parts above the next one that is missing are there.
        ends = [*missing[1:], len(parts)][: len(missing)]
        for done, (end, _) in enumerate(zip(ends, scored(parts), strict=True), start=1):
            if progress is not None:
                progress("scoring", finished + done, len(parts))
            yield from map(pa.feather.read_table, files[n_read:end])
            n_read = end
        yield from map(pa.feather.read_table, files[n_read:])
    except OSError as error:
        what = error.strerror or "unknown cause"
        raise OutsideError(f"{folder} could not be written: {what}.") from None


def _score_parts(
    path: Path, parts: Sequence[_Part], loaded: LoadedModel, options: ScoreOptions
) -> Iterator[None]:
    """Score the parts that are not whole, in this process; yield after each."""
    for table, part in zip(read_parts(path, options.rows_at_a_time), parts, strict=True):
        if not part.is_whole:
            _score_part(table, part.facts, part.file, loaded.risk_model, options)
            yield


def _score_part(
    table: pd.DataFrame,
    facts: FileFacts,
    file: Path,
    risk_model: RiskModel,
    options: ScoreOptions,
) -> None:
    """Write the risks of one part, which has been checked, whole or not at all."""
    cohort = read_checked_part(table, facts, risk_model.contract, mapping=options.mapping)
    draft = file.with_suffix(f".{secrets.token_hex(4)}")
    arrow = _as_arrow(_scored(cohort, risk_model, options))
    # As a single chunk, which is written to Parquet as it is.
    pa.feather.write_feather(arrow, draft, compression="lz4", chunksize=max(1, len(arrow)))
    draft.replace(file)


@dataclass(frozen=True, slots=True)
class _Workers:
    """A cluster that checks and scores a Parquet file, part by part.

    Only paths, findings, hashes of identifiers and counts pass between workers and this process.
    """

    cluster: Cluster
    groups: RowGroups
    bundle: Path
    options: ScoreOptions

    @classmethod
    def of(
        cls, cluster: Cluster, path: Path, loaded: LoadedModel, options: ScoreOptions
    ) -> _Workers:
        """Write the model where workers read it; refuse a file that has no row groups."""
        groups = row_groups_for_workers(path)
        return cls(cluster, groups, bundle_for_workers(cluster, loaded.risk_model), options)

    @property
    def parts(self) -> list[range]:
        """Row groups of each part."""
        return self.groups.parts(self.options.rows_at_a_time)

    def checks(self) -> Iterator[PartCheck]:
        """Yield the check of every part in turn."""
        jobs = [(self.groups, part, self.bundle, self.options) for part in self.parts]
        return self.cluster.results(_check_there, jobs)

    def scored(self, parts: Sequence[_Part]) -> Iterator[None]:
        """Score the parts that are not whole; yield after each."""
        jobs = [
            (self.groups, groups, part.facts, part.file, self.bundle, self.options)
            for groups, part in zip(self.parts, parts, strict=True)
            if not part.is_whole
        ]
        for job, _ in zip(jobs, self.cluster.results(_score_there, jobs), strict=True):
            file = job[3]
            if not _is_whole(file):
                raise OutsideError(
                    f"{file.parent} must be shared with every Dask worker; a part that one wrote "
                    "is not there. Write to a folder on the file system that all have."
                )
            yield


def _check_there(groups: RowGroups, part: range, bundle: Path, options: ScoreOptions) -> PartCheck:
    contract = bundle_on_worker(bundle).contract
    return check_part(groups.table(part), contract, mapping=options.mapping).without_cohort()


def _score_there(
    groups: RowGroups,
    part: range,
    facts: FileFacts,
    file: Path,
    bundle: Path,
    options: ScoreOptions,
) -> None:
    _score_part(groups.table(part), facts, file, bundle_on_worker(bundle), options)


def _scored(cohort: Cohort, risk_model: RiskModel, options: ScoreOptions) -> pd.DataFrame:
    return score(risk_model, cohort, horizons_days=options.horizons_days, explain=options.explain)


def _manifest(path: Path, loaded: LoadedModel, options: ScoreOptions, *, by_row_group: bool) -> str:
    """Return what makes two runs the same, as JSON."""
    try:
        with path.open("rb") as file:
            cohort = hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError as error:
        raise OutsideError(f"cohort could not be read from disk: {error.strerror}.") from None
    described = {
        "cohort": cohort,
        "suffix": path.suffix.lower(),
        "model": loaded.sha256,
        "mapping": repr(options.mapping),
        "horizons_days": options.horizons_days,
        "explain": options.explain,
        "rows_at_a_time": options.rows_at_a_time,
        "by_row_group": by_row_group,
        "versions": versions(),
    }
    return json.dumps(described, sort_keys=True)


def _prepare(folder: Path, manifest: str) -> None:
    """Make the folder of finished parts, empty unless it holds those of the same run."""
    stated = folder / _MANIFEST
    if stated.is_file() and stated.read_text(encoding="utf-8") == manifest:
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    draft = stated.with_suffix(f".{secrets.token_hex(4)}")
    draft.write_text(manifest, encoding="utf-8")
    draft.replace(stated)


def _is_whole(file: Path) -> bool:
    """Return whether a part was written to its end."""
    try:
        with pa.memory_map(str(file)) as content:
            pa.ipc.open_file(content)
    except (OSError, pa.ArrowInvalid):
        return False
    return True


def _as_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return scored stays in the same types, whatever a part leaves empty."""
    types = [
        (name, pa.string() if name in _TEXTS else pa.float64()) for name in map(str, frame.columns)
    ]
    return pa.Table.from_pandas(frame, schema=pa.schema(types), preserve_index=False)


def _write(
    parts: Iterable[pa.Table], out: Path, patients: int, *, drafts: Path | None = None
) -> ScoredFile:
    """Write the rows of all parts to one file, whole or not at all, and count them."""
    rows = refused = unknown = n_horizons = 0
    with table_in_parts(out, drafts=drafts) as append:
        for part in parts:
            append(part)
            rows += len(part)
            n_horizons = len(pc.unique(part["horizon_days"]))
            refused += pc.sum(pc.not_equal(part["status"], "ok")).as_py()
            unknown += pc.sum(pc.match_substring(part["warning_code"], "unknown_category")).as_py()
    return ScoredFile(rows, patients, refused // n_horizons, unknown // n_horizons)
