"""Draw the patients of a run from a cohort that is too large to learn from as a whole.

A patient is drawn by the keyed hash of the identifier, never by place in the file: the same
patients come out whatever the order of the rows, their row groups and who reads them. All stays of
a patient are drawn together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.mapping.file import CohortMapping
from data_schema.table.files import read_table
from data_schema.table.row_groups import RowGroups
from training.config import RunConfig
from training.distributed.cluster import Results, computed_here, open_cluster

__all__ = ["DrawnTable", "drawn_from_file", "drawn_rows", "patient_keys"]

Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class DrawnTable:
    """A table of all patients, or of those drawn, and a warning that they were drawn."""

    table: pd.DataFrame
    findings: tuple[Finding, ...] = ()


def patient_keys(cells: pd.Series[Any], seed: int) -> Keys:
    """Return a number from 0 to 2^64 - 1 for each row, the same for every row of a patient.

    Parameters
    ----------
    cells : Series
        Identifiers of patients, as text or numbers; 12 and 12.0 are one.
    seed : int
        Another seed gives other numbers.

    Examples
    --------
    >>> a, b, c = patient_keys(pd.Series(["p7", "p3", "p7"]), seed=0)
    >>> a == c, a == b
    (np.True_, np.False_)
    """
    texts = cells.astype(object).map(_text).to_numpy(dtype=object)
    return np.asarray(pd.util.hash_array(texts, hash_key=f"osteon{seed % 10**10:010d}"))


def drawn_rows(
    table: pd.DataFrame, config: RunConfig, *, mapping: CohortMapping | None = None
) -> DrawnTable:
    """Return the rows of at most `config.max_patients` patients of a table in memory."""
    if len(table) <= config.max_patients:
        return DrawnTable(table)
    column = _patient_column(table.columns, mapping)
    keys = patient_keys(_identifiers(table, column, first=0), config.seed)
    last = _last_drawn([np.unique(keys)], config.max_patients)
    if last is None:
        return DrawnTable(table)
    return _drawn(table[keys <= last].reset_index(drop=True), table, len(table), config)


def drawn_from_file(
    path: Path, config: RunConfig, *, mapping: CohortMapping | None = None
) -> DrawnTable:
    """Return the rows of at most `config.max_patients` patients of a file.

    A Parquet file with more rows than that is read by row group, on the cluster of the settings if
    there is one: memory does not grow with the file.

    Raises
    ------
    UsageError, RulesBroken, OutsideError
        As `read_table` does.
    """
    groups = RowGroups.of(path) if path.suffix.lower() == ".parquet" else None
    if groups is None or groups.rows <= config.max_patients:
        return drawn_rows(read_table(path), config, mapping=mapping)
    cluster = open_cluster(config.dask)
    results: Results[Any] = computed_here if cluster is None else cluster.results
    column = _patient_column(groups.names, mapping)
    places = range(len(groups.rows_of))
    # Of each row group only keys that can be among the smallest of all are held.
    jobs = [(groups, k, column, config.seed, config.max_patients) for k in places]
    last = _last_drawn(results(_smallest_keys, jobs), config.max_patients)
    parts = results(_rows_up_to, [(groups, k, column, config.seed, last) for k in places])
    whole = pd.concat([part for part in parts if len(part)], ignore_index=True)
    whole.attrs = groups.attributes
    if last is None:
        return DrawnTable(whole)
    return _drawn(whole, whole, groups.rows, config)


def _smallest_keys(groups: RowGroups, group: int, column: str | None, seed: int, most: int) -> Keys:
    """Return the smallest distinct keys of a row group, at most one more than may be drawn."""
    keys = _keys_of(groups, group, column, seed)
    return np.unique(keys)[: most + 1]


def _rows_up_to(
    groups: RowGroups, group: int, column: str | None, seed: int, last: int | None
) -> pd.DataFrame:
    """Return the rows of a row group whose patients are drawn."""
    table = groups.read(group)
    if last is not None:
        table = table[_keys_of(groups, group, column, seed) <= np.uint64(last)]
    return table.dropna(how="all")


def _keys_of(groups: RowGroups, group: int, column: str | None, seed: int) -> Keys:
    table = groups.read(group, columns=[column] if column else groups.names[:1])
    return patient_keys(_identifiers(table, column, first=groups.first_row(group)), seed)


def _last_drawn(keys: Iterable[Keys], most: int) -> int | None:
    """Return the largest key that is drawn; None if all patients are."""
    smallest = np.empty(0, dtype=np.uint64)
    for part in keys:
        smallest = np.union1d(smallest, part)[: most + 1]
    return None if len(smallest) <= most else int(smallest[most - 1])


def _drawn(drawn: pd.DataFrame, like: pd.DataFrame, rows: int, config: RunConfig) -> DrawnTable:
    """Return drawn rows with the warning about them, and what is known of their file."""
    drawn.attrs = like.attrs
    message = (
        f"the cohort has {rows} rows; those of {config.max_patients} patients drawn at random are "
        f"read, {len(drawn)} rows. Raise max_patients in the settings of the run to read more."
    )
    return DrawnTable(drawn, (Finding("drawn_patients", "", rows - len(drawn), message),))


def _patient_column(names: Sequence[str] | pd.Index, mapping: CohortMapping | None) -> str | None:
    """Return the column of the patients' identifiers; None if every row is a patient."""
    stated = None if mapping is None else mapping.ids.patient_id
    column = stated or "patient_id"
    return column if column in list(names) else None


def _identifiers(table: pd.DataFrame, column: str | None, *, first: int) -> pd.Series[Any]:
    """Return the identifier of each row; the place in the file where none is recorded."""
    rows = pd.Series(np.arange(first, first + len(table)), index=table.index)
    if column is None:
        return rows
    return table[column].astype(object).where(table[column].notna(), "row " + rows.astype(str))


def _text(cell: object) -> str:
    """Return an identifier as text; a whole number has no decimals, however it is stored."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
