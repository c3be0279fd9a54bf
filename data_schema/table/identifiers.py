"""Patient, stay, site and time zero of each row, and stays that occur twice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.mapping.file import IdMapping
from data_schema.mapping.rules import SIMULATED
from data_schema.table.dates import Dates, read_dates
from data_schema.table.simulated_marks import (
    FILE_MARK,
    is_recognised_by_values,
    names_simulated,
)
from data_schema.values import MISSING_WORDS, cell_texts

__all__ = [
    "DIGITS",
    "FACTS",
    "WITH_FRACTION",
    "FileFacts",
    "Identifiers",
    "all_with_fraction",
    "are_apart",
    "duplicate_stays",
    "identifier_texts",
    "read_identifiers",
    "several_stays",
    "spelling_key",
    "two_spellings",
]

FACTS = "osteon.facts"
"""Key of `DataFrame.attrs` for what is known of the file that a table is a part of."""

DIGITS, WITH_FRACTION = r"\d+", r"\d+\.0+"
"""Identifiers that are numbers, and numbers with a fraction of zero."""

_EXPONENT = r"\d+(?:[.,]\d+)?[eE][+-]\d+|\d[.,]\d+[eE]\d+"
_HYPHENS = re.compile("[\u2010-\u2015\u2212]")
_SUMMARY = (
    r"(?:(?:grand |sub-?)?totals?|sum|mean|average|avg\.?|median|sd|std\.?(?: dev\.?)?|se|sem"
    r"|standard (?:deviation|error)|iqr|interquartile range|min(?:imum)?|max(?:imum)?|range|count"
    r"|quartiles?|(?:\d\d(?:th)? )?percentiles?|variance|n(?= ?[(=])"
    r"|missing|n missing|all(?: patients)?"
    r"|overall|summe|gesamt|mittelwert|durchschnitt|anzahl|standardabweichung|moyenne|m[ée]diane"
    r"|somme|[ée]cart-type|media|mediana|totale|promedio|suma|gemiddelde|totaal|mediaan|medelv[äa]rde)"
    r"(?: ?±.*| ?[(\[/,=].*)?:?"
)

# One person's ages at two stays differ by less, in years.
_AGE_APART = 15.0
_REAL = frozenset({*MISSING_WORDS, "no", "false", "0", "0.0"})


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Identifiers of every row.

    A site is None in a row that states none. `simulated` says how the patients were simulated, or
    by what they were recognised as such; empty for real ones.
    """

    patient_id: NDArray[np.object_]
    stay_id: NDArray[np.object_]
    site: NDArray[np.object_] | None
    time_zero: Dates | None
    findings: tuple[Finding, ...]
    simulated: str = ""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a part of a file is read by, beside its own rows.

    Parameters
    ----------
    first_row : int
        Rows of the file above those of the part.
    numbers_of_sites : bool
        Whether sites of the file number their patients each on its own.
    all_with_fraction : frozenset of str
        Those of `patient_id`, `stay_id` and `site` that are written as 12.0 in every row.
    """

    first_row: int
    numbers_of_sites: bool
    all_with_fraction: frozenset[str]


def read_identifiers(
    table: pd.DataFrame, ids: IdMapping, *, person: Sequence[str] = ()
) -> Identifiers:
    """Return the identifiers of each row of a table; `person` names its columns of sex and age.

    If no column holds the patient, every row is a patient of its own, which is warned of; if none
    holds the stay, stays are numbered.
    """
    facts: FileFacts | None = table.attrs.get(FACTS)
    above = 0 if facts is None else facts.first_row
    numbers = np.arange(above + 1, above + len(table) + 1).astype(str).astype(object)
    findings: list[Finding] = []
    if ids.patient_id is None:
        message = (
            "patient_id must be a column, or [ids] of a mapping file must name it. "
            "Every row is taken as a patient of its own."
        )
        findings.append(Finding("no_patient_id", "patient_id", len(table), message))
    texts = identifier_texts(table, ids)
    for key, cells in [*texts.items()]:
        if all_with_fraction(cells) if facts is None else key in facts.all_with_fraction:
            texts[key] = _without_fraction(cells)
        missing = int(cells.isna().sum())
        if missing and key != "site":
            message = (
                f"{key} must be stated; {missing} of {len(table)} rows are empty. Fill them in."
            )
            findings.append(Finding("missing_id", key, missing, message))
        findings += _unsure_spelling(texts[key], key) if key != "site" else ()
    findings += _summary_rows(table, texts)
    if facts is None:
        of_two = _same_number_at_two_sites(table, texts, person)
    else:
        of_two = pd.Series(facts.numbers_of_sites, index=table.index)
    if of_two.any() and {"patient_id", "site"} <= set(texts):
        both = texts["site"].astype(str) + "/" + texts["patient_id"].astype(str)
        known = texts["site"].notna() & texts["patient_id"].notna()
        texts["patient_id"] = texts["patient_id"].where(~known, both)
        message = (
            f"patient_id should be one patient at all sites; {int(of_two.sum())} of {len(table)} "
            "rows have a number of people who differ in sex or age at two sites. A patient is "
            "taken as site and number."
        )
        findings.append(Finding("ids_of_sites", "site", int(of_two.sum()), message))
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
        simulated=_simulated(table, texts, time_zero),
    )


def identifier_texts(table: pd.DataFrame, ids: IdMapping) -> dict[str, pd.Series[Any]]:
    """Return `patient_id`, `stay_id` and `site`, where stated, with plain digits and hyphens."""
    columns = {key: getattr(ids, key) for key in ("patient_id", "stay_id", "site")}
    texts = {key: cell_texts(table[name]) for key, name in columns.items() if name is not None}
    return {
        key: pd.Series(
            [
                None if pd.isna(text) else _HYPHENS.sub("-", unicodedata.normalize("NFKC", text))
                for text in cells
            ],
            index=cells.index,
            dtype=object,
        )
        for key, cells in texts.items()
    }


def all_with_fraction(texts: pd.Series[Any]) -> bool:
    """Return whether all identifiers are numbers with a fraction of zero, which says nothing."""
    stated = texts.dropna().astype(str)
    return bool(len(stated) and stated.str.fullmatch(WITH_FRACTION).all())


def _without_fraction(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return numbers such as 12.0 as 12."""
    return texts.str.replace(r"\.0+$", "", regex=True).astype(object)


def _same_number_at_two_sites(
    table: pd.DataFrame, texts: dict[str, pd.Series], person: Sequence[str]
) -> pd.Series:
    """Return which rows have the number of another person at another site.

    The numbers of sites are their own if one number belongs to people whose sex differs, or whose
    ages are further apart than `_AGE_APART` years, at different sites.
    """
    nowhere = pd.Series(False, index=table.index)
    if not {"patient_id", "site"} <= set(texts):
        return nowhere
    rows = pd.DataFrame({key: texts[key] for key in ("patient_id", "site")}).dropna()
    shared = rows["patient_id"].map(rows.groupby("patient_id")["site"].nunique()) > 1
    among = rows[shared]
    for name in person:
        cells = table[name].reindex(among.index)
        numbers = pd.to_numeric(cell_texts(cells), errors="coerce").set_axis(among.index)
        words = cell_texts(cells).set_axis(among.index).str.casefold()
        if are_apart(among["patient_id"], numbers, words):
            return shared.reindex(table.index, fill_value=False)
    return nowhere


def are_apart(patient: pd.Series[Any], numbers: pd.Series[Any], words: pd.Series[Any]) -> bool:
    """Return whether rows of one number must be of two people, by a column about the person.

    Parameters
    ----------
    patient : Series
        Number of the patient of each row.
    numbers : Series of float
        The column as numbers, NaN where it holds none: ages.
    words : Series
        The column as words, which count where it holds no number: sex.
    """
    if numbers.notna().any():
        of_number = numbers.groupby(patient)
        return bool(((of_number.max() - of_number.min()) > _AGE_APART).any())
    return bool((words.groupby(patient).nunique() > 1).any())


def _unsure_spelling(texts: pd.Series, key: str) -> Iterator[Finding]:
    """Yield identifiers of which two may be one, or one may be two: rule `id_spelling`."""
    stated = texts.dropna().astype(str)
    distinct = pd.Series(stated.unique(), dtype=object).astype(str)
    exponents = {*distinct[distinct.str.fullmatch(_EXPONENT)]}
    if exponents:
        count = int(stated.isin(exponents).sum())
        message = (
            f"{key} must be written in full; {count} of {len(texts)} rows have an exponent, such "
            "as a spreadsheet's 0.0E+00, so that several may have become one. Export the column as "
            "text."
        )
        yield Finding("id_spelling", key, count, message)
    rest = distinct[~distinct.isin(exponents)]
    keys = spelling_key(rest)
    twice = {*rest[keys.duplicated(keep=False)]}
    if rest.str.fullmatch(DIGITS).any():
        twice |= {*rest[rest.str.fullmatch(WITH_FRACTION)]}
    if twice:
        yield two_spellings(key, int(stated.isin(twice).sum()), len(texts))


def spelling_key(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return what two spellings of one identifier share."""
    return texts.str.casefold().str.replace(r"^0*(\d+?)(?:\.0+)?$", r"\1", regex=True)


def two_spellings(key: str, count: int, rows: int) -> Finding:
    """Return that so many rows have an identifier that is spelled in two ways."""
    message = (
        f"{key} must have one spelling; {count} of {rows} rows have one that differs from another "
        "only in case, leading zeros or a fraction .0. Write each as in the source, with the "
        "column as text."
    )
    return Finding("id_spelling", key, count, message)


def _summary_rows(table: pd.DataFrame, texts: dict[str, pd.Series]) -> Iterator[Finding]:
    """Yield rows that sum up the others: rule `summary_row`."""
    columns = [*texts.values(), cell_texts(table.iloc[:, 0])]
    found = np.zeros(len(table), dtype=bool)
    for cells in columns:
        words = cells.fillna("").astype(str).str.casefold()
        found |= words.str.fullmatch(_SUMMARY).to_numpy(dtype=bool)
    count = int(found.sum())
    # A column in which such words are common is one of measurements, not of rows.
    if count and count <= max(10, len(table) // 10):
        message = (
            f"rows must be stays; {count} of {len(table)} rows are named as a summary, such as "
            "median, mean or total. Remove them."
        )
        yield Finding("summary_row", "patient_id", count, message)


def _simulated(table: pd.DataFrame, texts: dict[str, pd.Series], time_zero: Dates | None) -> str:
    """Return the kind of simulation; a single simulated row makes the whole cohort simulated.

    A cohort whose column `simulated` was dropped is recognised by its file, its identifiers or its
    values.
    """
    kinds: set[str] = set()
    if SIMULATED in table:
        words = cell_texts(table[SIMULATED]).dropna().str.casefold().unique()
        kinds = set(map(str, words)) - _REAL
    if not kinds and FILE_MARK in table.attrs:
        kinds = {str(table.attrs[FILE_MARK])}
    if not kinds and names_simulated(texts.values()):
        kinds = {"recognised by their identifiers"}
    if not kinds and is_recognised_by_values(table, None if time_zero is None else time_zero.at):
        kinds = {"recognised by their values"}
    return ", ".join(sorted(kinds))


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
        keys = pd.DataFrame({"patient": texts["patient_id"], "start": table[ids.time_zero]})
        repeated = keys.duplicated()
    elif "patient_id" in texts:
        # If neither stay nor time is known, only an identical row is certain to be the same stay.
        again = texts["patient_id"].duplicated(keep=False)
        repeated = table[again].duplicated().reindex(table.index, fill_value=False)
    else:
        return
    count = int(repeated.sum())
    if count:
        yield duplicate_stays(count, len(table), of_sites="site" in texts)
    if "patient_id" in texts:
        several = int(texts["patient_id"][~repeated.to_numpy()].dropna().duplicated().sum())
        if several:
            yield several_stays(several, len(table))


def duplicate_stays(count: int, rows: int, *, of_sites: bool) -> Finding:
    """Return that so many rows repeat a stay."""
    message = f"stays must occur once; {count} of {rows} rows repeat one. Remove them" + (
        ", or give patients of different sites different numbers." if of_sites else "."
    )
    return Finding("duplicate_stays", "stay_id", count, message)


def several_stays(count: int, rows: int) -> Finding:
    """Return that so many rows are further stays of a patient."""
    message = (
        f"patients should have one stay; {count} of {rows} rows are further stays of a patient. "
        "They stay together when the cohort is split."
    )
    return Finding("several_stays", "patient_id", count, message)
