"""Score a file of any length in bounded memory, and go on where a run that was stopped ended.

The file is read twice, in parts: once to check all of it, so that nothing is scored of a file that
breaks a rule, and once to score it. The rows of each part are kept beside the file to be written,
in a folder that only its owner reads; once all are there, they become that file, and the folder is
removed. A run of the same file, model and options takes finished parts from there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather

from data_schema.cohort import Cohort
from data_schema.errors import Finding, OutsideError, RulesBroken
from data_schema.mapping.file import CohortMapping
from data_schema.table.files import read_parts
from data_schema.table.identifiers import FACTS, FileFacts
from data_schema.table.parts import FileIdentifiers, FindingsOfParts
from models.bulk_contributions import MOST_ROWS
from models.fitting.training_cohort import Progress
from models.registry.lifecycle import LoadedModel
from training.files import require_table_path, table_in_parts
from training.provenance import versions
from training.score import ABOUT_PATIENTS, ReadForModel, read_for_model, score

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
    seen = _checked(path, loaded, options, progress)
    patients = seen.identifiers.patients
    if seen.only_cohort is not None:
        return _write([_as_arrow(_scored(seen.only_cohort, loaded, options))], out, patients)
    folder = out.with_name(f".{out.name}.parts")
    try:
        _prepare(folder, _manifest(path, loaded, options))
        files = _score_parts(path, folder, loaded, options, seen, progress)
    except OSError as error:
        what = error.strerror or "unknown cause"
        raise OutsideError(f"{folder} could not be written: {what}.") from None
    written = _write(map(pa.feather.read_table, files), out, patients)
    shutil.rmtree(folder, ignore_errors=True)
    return written


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the first reading showed: the identifiers, and the cohort where it is one part."""

    identifiers: FileIdentifiers
    parts: int
    only_cohort: Cohort | None


def _checked(
    path: Path, loaded: LoadedModel, options: ScoreOptions, progress: Progress | None
) -> _Seen:
    """Check every part of a file; raise `RulesBroken` with all rules that it breaks."""
    mapping = options.mapping or CohortMapping()
    identifiers, fatal, warnings = FileIdentifiers(mapping), FindingsOfParts(), FindingsOfParts()
    absent: dict[str, Finding] | None = None
    reads: list[ReadForModel] = []
    parts = 0
    for table in read_parts(path, options.rows_at_a_time):
        parts += 1
        identifiers.add(table)
        read = _read_part(table, loaded, options)
        fatal.add(read.fatal)
        warnings.add(read.warnings)
        if read.cohort is not None:
            # A variable that another follows from may be empty in a part: then none is derived.
            of_part = {finding.variable: finding for finding in read.absent}
            absent = of_part if absent is None else {k: absent[k] for k in absent if k in of_part}
        reads = [read] if parts == 1 else []
        if progress is not None:
            progress("checking", parts, 0)
    of_file = [*identifiers.findings()] if parts > 1 else []
    # Each list holds what it has of the rules of the whole file; the others warn.
    broken = [*fatal.merged(f for f in of_file if f.rule in _FATAL_OF_FILE)]
    noted = [*warnings.merged(f for f in of_file if f.rule not in _FATAL_OF_FILE)]
    _LOG.info(
        "checked %d rows: %d fatal, %d warnings about the data",
        identifiers.rows,
        len(broken),
        len(noted),
    )
    for warning in noted:
        if warning.rule in ABOUT_PATIENTS:
            _LOG.warning("[%s] %s", warning.rule, warning.message)
    if broken or absent:
        raise RulesBroken(broken or [*(absent or {}).values()])
    return _Seen(identifiers, parts, reads[0].usable_cohort() if reads else None)


_FATAL_OF_FILE = frozenset({"duplicate_stays", "id_spelling"})


def _read_part(table: pd.DataFrame, loaded: LoadedModel, options: ScoreOptions) -> ReadForModel:
    """Return one part as the model reads it; rules that are raised are fatal like the others."""
    try:
        return read_for_model(
            table, loaded.risk_model.contract, outcome=None, mapping=options.mapping
        )
    except RulesBroken as error:
        return ReadForModel(None, tuple(error.findings), (), ())


def _score_parts(
    path: Path,
    folder: Path,
    loaded: LoadedModel,
    options: ScoreOptions,
    seen: _Seen,
    progress: Progress | None,
) -> list[Path]:
    """Score the parts that the folder lacks, and return the files of all in order."""
    files = [folder / f"{place:06d}.arrow" for place in range(seen.parts)]
    finished = sum(map(_is_whole, files))
    if finished:
        _LOG.info("%d of %d parts were scored by an earlier run", finished, seen.parts)
    tables = read_parts(path, options.rows_at_a_time)
    for done, (table, facts, file) in enumerate(
        zip(tables, seen.identifiers.facts(), files, strict=True), start=1
    ):
        if not _is_whole(file):
            cohort = _cohort_of_part(table, facts, loaded, options)
            draft = file.with_suffix(f".{os.getpid()}")
            arrow = _as_arrow(_scored(cohort, loaded, options))
            pa.feather.write_feather(arrow, draft, compression="lz4")
            draft.replace(file)
        if progress is not None:
            progress("scoring", done, seen.parts)
    return files


def _cohort_of_part(
    table: pd.DataFrame, facts: FileFacts, loaded: LoadedModel, options: ScoreOptions
) -> Cohort:
    """Return a part, which has been checked, with identifiers as the whole file has them."""
    table.attrs[FACTS] = facts
    read = read_for_model(table, loaded.risk_model.contract, outcome=None, mapping=options.mapping)
    return replace(read, absent=()).usable_cohort()


def _scored(cohort: Cohort, loaded: LoadedModel, options: ScoreOptions) -> pd.DataFrame:
    return score(
        loaded.risk_model,
        cohort,
        horizons_days=options.horizons_days,
        explain=options.explain,
    )


def _manifest(path: Path, loaded: LoadedModel, options: ScoreOptions) -> str:
    """Return what makes two runs the same, as JSON."""
    with path.open("rb") as file:
        cohort = hashlib.file_digest(file, "blake2b").hexdigest()
    described = {
        "cohort": cohort,
        "suffix": path.suffix.lower(),
        "model": loaded.sha256,
        "mapping": repr(options.mapping),
        "horizons_days": options.horizons_days,
        "explain": options.explain,
        "rows_at_a_time": options.rows_at_a_time,
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
    draft = stated.with_suffix(f".{os.getpid()}")
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


def _write(parts: Iterable[pa.Table], out: Path, patients: int) -> ScoredFile:
    """Write the rows of all parts to one file, whole or not at all, and count them."""
    rows = refused = unknown = n_horizons = 0
    with table_in_parts(out) as append:
        for part in parts:
            append(part.to_pandas())
            rows += len(part)
            n_horizons = len(pc.unique(part["horizon_days"]))
            refused += pc.sum(pc.not_equal(part["status"], "ok")).as_py()
            unknown += pc.sum(pc.match_substring(part["warning_code"], "unknown_category")).as_py()
    return ScoredFile(rows, patients, refused // n_horizons, unknown // n_horizons)
