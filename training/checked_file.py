"""Check a file in parts: identifiers over the whole of it, values part by part."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from data_schema.cohort import Cohort
from data_schema.errors import Finding, RulesBroken
from data_schema.mapping.file import CohortMapping
from data_schema.table.identifiers import FACTS, FileFacts
from data_schema.table.parts import FileIdentifiers, FindingsOfParts
from data_schema.table.rules import LITTLE_TO_LEARN_FROM
from models.fitting.training_cohort import Progress
from models.inference.contract import Contract
from training.score import ABOUT_PATIENTS, ReadForModel, read_for_model

__all__ = ["CheckedFile", "PartCheck", "check_part", "checked_file", "read_checked_part"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What the first reading showed: the identifiers, and the cohort where it is one part."""

    identifiers: FileIdentifiers
    parts: int
    only_cohort: Cohort | None


@dataclass(frozen=True, slots=True)
class PartCheck:
    """One part of a file: its identifiers, and how the model reads it."""

    identifiers: FileIdentifiers
    read: ReadForModel
    is_readable: bool

    def without_cohort(self) -> PartCheck:
        """Return the check alone, to be sent from a worker."""
        return replace(self, read=replace(self.read, cohort=None))


def check_part(
    table: pd.DataFrame,
    contract: Contract,
    *,
    outcome: str | None = None,
    mapping: CohortMapping | None = None,
) -> PartCheck:
    """Check one part, as `training.score.read_for_model` reads it.

    It may hold too few patients or outcomes to learn from: that is judged of the whole file.
    """
    identifiers = FileIdentifiers(mapping or CohortMapping())
    identifiers.add(table)
    try:
        read = read_for_model(
            table, contract, outcome=outcome, mapping=mapping, tolerated=LITTLE_TO_LEARN_FROM
        )
        others = tuple(f for f in read.warnings if f.rule not in LITTLE_TO_LEARN_FROM)
        read = replace(read, warnings=others)
    except RulesBroken as error:
        # Rules that are raised are fatal like the others.
        read = ReadForModel(None, tuple(error.findings), (), ())
    return PartCheck(identifiers, read, read.cohort is not None)


def checked_file(
    checks: Iterable[PartCheck], mapping: CohortMapping | None, progress: Progress | None
) -> CheckedFile:
    """Gather the checks of all parts.

    Raises
    ------
    RulesBroken
        With all rules that the file breaks: identifiers are judged over the whole file, values in
        each part.
    """
    mapping = mapping or CohortMapping()
    identifiers, fatal, warnings = FileIdentifiers(mapping), FindingsOfParts(), FindingsOfParts()
    absent: dict[str, Finding] | None = None
    reads: list[ReadForModel] = []
    parts = 0
    for check in checks:
        parts += 1
        identifiers.join(check.identifiers)
        read = check.read
        fatal.add(read.fatal)
        warnings.add(read.warnings)
        if check.is_readable:
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
    cohort = reads[0].cohort if reads else None
    return CheckedFile(identifiers, parts, cohort)


_FATAL_OF_FILE = frozenset({"duplicate_stays", "id_spelling"})


def read_checked_part(
    table: pd.DataFrame,
    facts: FileFacts,
    contract: Contract,
    *,
    outcome: str | None = None,
    mapping: CohortMapping | None = None,
) -> Cohort:
    """Return a part that has been checked, with identifiers as the whole file has them."""
    table.attrs[FACTS] = facts
    read = read_for_model(
        table, contract, outcome=outcome, mapping=mapping, tolerated=LITTLE_TO_LEARN_FROM
    )
    # What is absent was judged over the whole file.
    return replace(read, absent=()).usable_cohort()
