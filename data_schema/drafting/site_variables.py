"""`osteon map --site-variables`: describe each column outside the catalogue as the site's own.

Kind, unit, share missing, levels and a rounded range come from the header and the cells. A column
that can be a predictor is drafted in; one that cannot (free text, dates, one value only, hardly
ever measured, an identifier, by its name known only after time zero) is commented out with the
reason. The unit is one that exists, or "1" with a remark.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import tomlkit
from numpy.typing import NDArray
from tomlkit.items import Table

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.header_matching import spelled_out, unit_in_header
from data_schema.leakage.names import reason_by_name
from data_schema.mapping.rules import RESERVED_NAMES
from data_schema.readings import FLAG_WORDS, NOT_DONE_WORDS, NOT_STATED
from data_schema.values import cell_texts, parse_numbers
from data_schema.variables import Kind

__all__ = ["NO_UNIT", "SiteVariable", "draft_site_variables"]

NO_UNIT = "1"
"""What a mapping file states for a number that has no unit, as UCUM does."""

_MAX_LEVELS = 20
_MIN_MEASURED = 0.2
_MIN_NUMBERS = 0.95
_MOST = 0.5
# Until the site chooses another, what a report groups it under.
_PATHWAY: Mapping[Kind, str] = {"number": "severity", "category": "person", "flag": "person"}
_IDENTIFIERS = frozenset({"id", "ids", "mrn", "name", "barcode", "sampleid", "plateid", "address"})
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T].*)?"


@dataclass(frozen=True, slots=True)
class SiteVariable:
    """The draft of one column outside the catalogue.

    Parameters
    ----------
    column : str
        The site's header.
    table : Table
        `[columns.<column>]` as the mapping file holds it.
    summary : str
        Kind, rounded range, share missing and number of levels, for the comment above it.
    reason : str
        Why it is commented out; empty where it is drafted in.
    """

    column: str
    table: Table
    summary: str
    reason: str


def draft_site_variables(
    table: pd.DataFrame,
    columns: Sequence[str],
    *,
    taken: Collection[str],
    decimals: Mapping[str, str | None],
) -> tuple[SiteVariable, ...]:
    """Return the draft of every given column of a table.

    Parameters
    ----------
    columns : sequence of str
        Headers outside the catalogue.
    taken : collection of str
        Names that other columns of the mapping bear.
    decimals : mapping of str to str or None
        Decimal mark of each column's text: a comma, a blank where unclear, None without commas.
    """
    names: dict[str, str] = {}
    for column in columns:
        names[column] = _site_name(column, {*taken, *names.values()})
    return tuple(_draft(table[name], name, names[name], decimals.get(name)) for name in columns)


def _draft(cells: pd.Series[Any], column: str, name: str, mark: str | None) -> SiteVariable:
    texts = cell_texts(cells).dropna().astype(str)
    texts = texts[~texts.str.casefold().isin(NOT_STATED | NOT_DONE_WORDS)]
    n_levels = int(texts.str.casefold().nunique())
    missing = 1 - len(texts) / len(cells) if len(cells) else 1.0
    numbers = parse_numbers(texts, decimal="," if mark == "," else None).values
    share = float(np.mean(~np.isnan(numbers))) if len(numbers) else 0.0
    kind = _kind(texts, n_levels, share)
    draft = tomlkit.table()
    draft.add("variable", name)
    draft.add("kind", kind)
    draft.add("pathway", _PATHWAY[kind])
    if kind == "number":
        if mark is not None:
            draft.add("decimal", mark)
        unit = unit_in_header(column)
        written = tomlkit.string(unit or NO_UNIT)
        if not unit:
            written.comment(f'the header states no unit; "{NO_UNIT}" is a number without one')
        draft.add("unit", written)
    held = "no cell holds a value" if not n_levels else f"{missing:.0%} missing"
    summary = f"{kind}{_range(kind, numbers)}, {held}, {_levels(n_levels)}"
    return SiteVariable(column, draft, summary, _reason(column, texts, kind, missing))


def _site_name(column: str, taken: Collection[str]) -> str:
    """Return a name of letters, digits and single underscores that nothing else bears."""
    folded = unicodedata.normalize("NFKD", spelled_out(column)).encode("ascii", "ignore").decode()
    stem = "_".join(re.findall(r"[a-z0-9]+", folded.casefold())) or "column"
    stem = stem if stem[0].isalpha() else f"v_{stem}"
    unfit = {*taken, *VARIABLES, *RESERVED_NAMES}
    candidates = (stem, *(f"{stem}_{number}" for number in range(2, len(unfit) + 3)))
    return next(name for name in candidates if name not in unfit)


def _kind(texts: pd.Series[Any], n_levels: int, share_of_numbers: float) -> Kind:
    if n_levels and set(texts.str.casefold()) <= FLAG_WORDS.keys():
        return "flag"
    return "number" if share_of_numbers >= _MIN_NUMBERS or not n_levels else "category"


def _reason(column: str, texts: pd.Series[Any], kind: Kind, missing: float) -> str:
    """Return why a column cannot be a predictor as it is; empty if it can."""
    n_levels = int(texts.str.casefold().nunique())
    if n_levels == 0:
        return "no cell holds a value"
    if n_levels == 1:
        return "every cell holds the same value"
    if _IDENTIFIERS & set(re.findall(r"[a-z]+", column.casefold())):
        return "by its name it identifies a person, a sample or a stay"
    leak = reason_by_name(column)
    if leak is not None:
        return leak
    if texts.str.fullmatch(_DATE).mean() > _MOST:
        return "dates: state days from time zero instead"
    if kind == "category" and n_levels > _MAX_LEVELS:
        return f"{n_levels} different texts: group them first"
    if 1 - missing < _MIN_MEASURED:
        return f"only {1 - missing:.0%} of the rows hold a value"
    return ""


def _levels(n: int) -> str:
    return "1 level" if n == 1 else f"{n} levels"


def _range(kind: Kind, numbers: NDArray[np.float64]) -> str:
    """Return the range of the numbers, rounded outwards so that it shows no patient's value."""
    measured = numbers[~np.isnan(numbers)]
    if kind != "number" or not len(measured):
        return ""
    low, high = _outwards(float(measured.min()), -1), _outwards(float(measured.max()), 1)
    return f" within {low:g} to {high:g}"


def _outwards(value: float, direction: Literal[-1, 1]) -> float:
    """Return the next number of one significant digit at or beyond a value."""
    if value == 0 or not math.isfinite(value):
        return value
    size = 10.0 ** math.floor(math.log10(abs(value)))
    return float(direction * math.ceil(direction * value / size) * size)
