"""Patient, stay, site and time zero of each row, and stays that occur twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.mapping.file import IdMapping
from data_schema.mapping.rules import SIMULATED
from data_schema.table.dates import Dates, read_dates
from data_schema.values import MISSING_WORDS, cell_texts

__all__ = ["Identifiers", "read_identifiers"]

_REAL = frozenset({*MISSING_WORDS, "no", "false", "0", "0.0"})


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Identifiers of every row.

    A site is None in a row that states none. `simulated` is what the column `simulated` says, empty
    where there is none or it says no.
    """

    patient_id: NDArray[np.object_]
    stay_id: NDArray[np.object_]
    site: NDArray[np.object_] | None
    time_zero: Dates | None
    findings: tuple[Finding, ...]
    simulated: str = ""


def read_identifiers(table: pd.DataFrame, ids: IdMapping) -> Identifiers:
    """Return the identifiers of each row of a table.

    If no column holds the patient, every row is a patient of its own, which is warned of; if none
    holds the stay, stays are numbered.
    """
    numbers = np.arange(1, len(table) + 1).astype(str).astype(object)
    findings: list[Finding] = []
    if ids.patient_id is None:
        message = (
            "patient_id must be a column, or [ids] of a mapping file must name it. "
            "Every row is taken as a patient of its own."
        )
        findings.append(Finding("no_patient_id", "patient_id", len(table), message))
    columns = {key: getattr(ids, key) for key in ("patient_id", "stay_id", "site")}
    texts = {key: cell_texts(table[name]) for key, name in columns.items() if name is not None}
    for key, cells in texts.items():
        missing = int(cells.isna().sum())
        if missing and key != "site":
            message = (
                f"{key} must be stated; {missing} of {len(table)} rows are empty. Fill them in."
            )
            findings.append(Finding("missing_id", key, missing, message))
    findings += _repeated_stays(table, ids, texts)
    time_zero = None
    if ids.time_zero is not None:
        time_zero, problems = read_dates(table[ids.time_zero], "time_zero", ids.date_format)
        findings += problems
    return Identifiers(
        patient_id=_array(texts.get("patient_id"), numbers),
        stay_id=_array(texts.get("stay_id"), numbers),
        site=_array(texts["site"], numbers) if "site" in texts else None,
        time_zero=time_zero,
        findings=tuple(findings),
        simulated=_simulated(table),
    )


def _simulated(table: pd.DataFrame) -> str:
    """Return the kind of simulation; a single simulated row makes the whole cohort simulated."""
    if SIMULATED not in table:
        return ""
    words = cell_texts(table[SIMULATED]).dropna().str.casefold().unique()
    return ", ".join(sorted(set(map(str, words)) - _REAL))


def _array(texts: pd.Series | None, otherwise: NDArray[np.object_]) -> NDArray[np.object_]:
    if texts is None:
        return otherwise
    array: NDArray[np.object_] = texts.where(texts.notna(), None).to_numpy(dtype=object)
    return array


def _repeated_stays(
    table: pd.DataFrame, ids: IdMapping, texts: dict[str, pd.Series]
) -> Iterator[Finding]:
    """Yield stays that occur more than once, and patients with several stays."""
    if "stay_id" in texts:
        keys = pd.DataFrame({k: texts[k] for k in ("patient_id", "stay_id") if k in texts})
        repeated = keys.duplicated() & keys["stay_id"].notna()
    elif "patient_id" in texts and ids.time_zero is not None:
        repeated = table.duplicated(subset=[ids.patient_id, ids.time_zero])
    elif "patient_id" in texts:
        # If neither stay nor time is known, only an identical row is certain to be the same stay.
        again = texts["patient_id"].duplicated(keep=False)
        repeated = table[again].duplicated().reindex(table.index, fill_value=False)
    else:
        return
    count = int(repeated.sum())
    if count:
        message = f"stays must occur once; {count} of {len(table)} rows repeat one. Remove them."
        yield Finding("duplicate_stays", "stay_id", count, message)
    if "patient_id" in texts:
        several = int(texts["patient_id"][~repeated.to_numpy()].dropna().duplicated().sum())
        if several:
            message = (
                f"patients should have one stay; {several} of {len(table)} rows are further "
                "stays of a patient. They stay together when the cohort is split."
            )
            yield Finding("several_stays", "patient_id", several, message)
