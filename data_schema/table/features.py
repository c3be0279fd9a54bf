"""Turn a site's column into a feature: parsed, converted and censored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.mapping.file import ColumnMapping
from data_schema.readings import (
    LARGEST,
    accepted_specimen,
    category_of,
    flag_of,
    has_range,
    is_too_large,
)
from data_schema.table.plan import FeatureSource
from data_schema.table.stated_units import StatedUnits, stated_units, unit_suspect
from data_schema.units import in_range, range_text
from data_schema.values import MISSING_WORDS, cell_text, cell_texts, level_key, parse_numbers
from data_schema.variables import is_state

if TYPE_CHECKING:
    from data_schema.table.dates import Dates

__all__ = ["FeatureColumn", "implausible", "read_feature"]

# Text is a category if it has few values, or up to a hundred of which most recur.
_FEW_CATEGORIES = 20
_MAX_CATEGORIES = 100

_MUST: Mapping[str, str] = {
    "not_a_number": "be a number; {rows} not. Correct them, or list the words for missing "
    "values in missing_values.",
    "infinite": "be finite; {rows} not. Correct them, or leave the cells empty.",
    "too_large": f"lie between -{LARGEST:.2g} and {LARGEST:.2g}; {{count}} of {{n}} rows do not. "
    "Check values and unit.",
    "ambiguous_number": "have one decimal mark; {rows} written with a comma or a space whose "
    "meaning is not stated. State decimal for the column in the mapping file.",
    "comparator": "have a number after its comparator; {rows} incomplete. Correct them.",
    "above_limit": "lie below the assay's upper limit; {rows} above it and set to the limit.",
    "assay": "be measured by its own assay; a stated assay belongs to another variable. Map the "
    "rows of that assay to that variable.",
    "assay_mixed": "come from one assay; {count} are pooled. Their values may differ.",
    "specimen": "be measured in {accepted}; the mapping states another specimen, which makes it "
    "another variable.",
    "category": "be one of {accepted}; {rows} not, and count as missing. Map their cells in the "
    "mapping file.",
    "many_categories": "have few categories; it has {count}. A model cannot learn "
    "from free text or identifiers, and must not store them. Group them, or leave the column out.",
    "flag": "be 1 or 0, yes or no, or true or false; {rows} not. Map their cells in the "
    "mapping file.",
}
"""Rule -> requirement, worded to follow the feature's name and "must"."""


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One feature in the catalogue's words.

    Parameters
    ----------
    values : ndarray or None
        float64 with NaN, or objects of str and None for a category; None where the unit is in
        question, so that the values cannot be judged.
    below : ndarray of bool or None
        Where a value is the assay's lower limit; None if the feature is no number.
    not_done : ndarray of bool
        Where the cell itself records the variable as not done, in the mapping's words.
    findings : tuple of Finding
        Rules broken, fatal or not.
    as_stated : ndarray of float64 or None
        Numbers converted by the stated unit, even where that unit cannot be the true one; None if
        the feature is no number, or no unit is accepted.
    """

    values: NDArray[Any] | None
    below: NDArray[np.bool_] | None
    not_done: NDArray[np.bool_]
    findings: tuple[Finding, ...]
    as_stated: NDArray[np.float64] | None = None


def read_feature(
    table: pd.DataFrame, feature: FeatureSource, time_zero: Dates | None
) -> FeatureColumn:
    """Return one feature of a table; `time_zero` separates the periods of a column."""
    if feature.variable.kind == "number" and not is_state(feature.feature):
        return _number(table, feature, time_zero)
    return _words(table[feature.source.column], feature)


def implausible(
    feature: FeatureSource, values: NDArray[np.float64], below: NDArray[np.bool_]
) -> Finding | None:
    """Return how many numbers lie outside the plausible range (rule `range`), or None if none does.

    Values are in the canonical unit. Where `below` is true, a value is a detection limit, which may
    lie under the range.
    """
    name, variable = feature.feature, feature.variable
    if not has_range(name):
        return None
    count = int((~in_range(variable, values, below=below)).sum())
    what = f"{range_text(variable)}; {count} of {len(values)} rows are not"
    message = f"{name} must be {what}. Check values and unit."
    return Finding("range", name, count, message) if count else None


def _number(table: pd.DataFrame, feature: FeatureSource, time_zero: Dates | None) -> FeatureColumn:
    source = feature.source
    parsed = parse_numbers(
        table[source.column],
        decimal=cast(Literal[".", ","] | None, source.decimal or None),
        missing_values=(*source.missing_values, *source.not_done),
    )
    not_done = _not_done(table[source.column], source)
    findings = [
        _finding(rule, feature, count, len(table)) for rule, count in parsed.problems.items()
    ]
    measured = ~np.isnan(parsed.values)
    units = stated_units(table, feature, time_zero, measured)
    findings += [*_assay_problems(table, feature, units), *units.findings(feature)]
    if units.factors is None or units.offsets is None:
        return FeatureColumn(None, None, not_done, tuple(findings))
    under_limit = parsed.values < units.lower_limits
    below = parsed.below | under_limit
    with np.errstate(over="ignore"):  # infinity is outside every plausible range
        stated = np.where(under_limit, units.lower_limits, parsed.values)
        values = stated * units.factors + units.offsets
    suspect = unit_suspect(feature, units, values, below)
    if suspect is not None:
        return FeatureColumn(None, None, not_done, (*findings, suspect), values)
    large = int(is_too_large(feature.variable, feature.feature, values, below=below).sum())
    if large:
        findings.append(_finding("too_large", feature, large, len(table)))
    if parsed.above.any():
        findings.append(_finding("above_limit", feature, int(parsed.above.sum()), len(table)))
    return FeatureColumn(values, below, not_done, tuple(findings), values)


def _assay_problems(
    table: pd.DataFrame, feature: FeatureSource, units: StatedUnits
) -> list[Finding]:
    """Return what assays and specimen say against the variable, and whether several are pooled."""
    source, rows = feature.source, len(table)
    stated = {source.assay, *(period.assay for period in source.periods)}
    if source.assay_column is not None and source.assay_column in table:
        stated |= {*cell_texts(table[source.assay_column]).dropna().unique()}
    n_assays = len({str(assay).casefold() for assay in stated if assay})
    accepted = accepted_specimen(feature.variable)
    findings = [
        _finding(rule, feature, units.broken[rule], rows, accepted=accepted)
        for rule in ("assay", "specimen")
        if rule in units.broken
    ]
    return findings + ([_finding("assay_mixed", feature, n_assays, rows)] if n_assays > 1 else [])


def _words(cells: pd.Series, feature: FeatureSource) -> FeatureColumn:
    """Return a flag or a category, each distinct cell judged once."""
    codes, distinct = pd.factorize(cells)
    texts = _mapped(map(cell_text, distinct), feature.source)
    is_flag = feature.variable.kind == "flag" or is_state(feature.feature)
    if not is_flag and not feature.variable.categories:
        texts = _one_spelling(texts, np.bincount(codes[codes >= 0], minlength=len(texts)))
    read = [flag_of(text) if is_flag else category_of(feature.variable, text) for text in texts]
    rows_of = np.bincount(codes[codes >= 0], minlength=len(read)).tolist()
    rule: Literal["flag", "category"] = "flag" if is_flag else "category"
    count = sum(rows for word, rows in zip(read, rows_of, strict=True) if word.broken is not None)
    accepted = ", ".join(feature.variable.categories)
    findings = [_finding(rule, feature, count, len(cells), accepted=accepted)] if count else []
    if not is_flag and not feature.variable.categories:
        findings += _many_categories(texts, rows_of, feature)
    # An empty cell has code -1 and so the last value.
    values = np.array([*(word.value for word in read), None], dtype=object)[codes]
    not_done = _not_done(cells, feature.source)
    read_as = values.astype(np.float64) if is_flag else values
    return FeatureColumn(read_as, None, not_done, tuple(findings))


def _not_done(cells: pd.Series, source: ColumnMapping) -> NDArray[np.bool_]:
    """Return which cells record the variable as not done, in the words of the mapping."""
    if not source.not_done:
        return np.zeros(len(cells), dtype=np.bool_)
    words = {(cell_text(value) or "").casefold() for value in source.not_done}
    texts = cell_texts(cells)
    return np.array([text is not None and text.casefold() in words for text in texts])


def _many_categories(
    texts: Sequence[str | None], rows_of: Sequence[int], feature: FeatureSource
) -> list[Finding]:
    """Return that a column of the site's own has too many texts to be a category, if it has."""
    n_distinct, n_rows = len({*texts} - {None}), sum(rows_of)
    count = sum(rows for text, rows in zip(texts, rows_of, strict=True) if text is not None)
    most = min(_MAX_CATEGORIES, max(_FEW_CATEGORIES, count // 2))
    too_many = n_distinct > most
    return [_finding("many_categories", feature, n_distinct, n_rows)] if too_many else []


def _mapped(texts: Iterable[str | None], source: ColumnMapping) -> list[str | None]:
    """Return the texts of cells after the site's missing values and value map."""
    without_value = (*source.missing_values, *source.not_done)
    missing = {*MISSING_WORDS, *(str(value).casefold() for value in without_value)}
    missing -= {key.casefold() for key in source.value_map}
    words = {key: cell_text(value) for key, value in source.value_map.items()}
    plain = (None if text is None or text.casefold() in missing else text for text in texts)
    return [words.get(text, text) if text is not None else None for text in plain]


def _one_spelling(texts: Sequence[str | None], rows_of: NDArray[np.int64]) -> list[str | None]:
    """Return each text in the most frequent spelling of its category (`level_key`)."""
    rows: dict[str, Counter[str]] = {}
    for text, count in zip(texts, rows_of.tolist(), strict=True):
        if text is not None:
            rows.setdefault(level_key(text), Counter())[text] += count
    # Of equally frequent spellings, the first in the alphabet.
    chosen = {
        key: min(spellings, key=lambda text: (-spellings[text], text))
        for key, spellings in rows.items()
    }
    return [None if text is None else chosen[level_key(text)] for text in texts]


def _finding(
    rule: str, feature: FeatureSource, count: int, n: int, *, accepted: str = ""
) -> Finding:
    """Return a finding in the words of `_MUST`; `accepted` is what the rule would accept."""
    rows = f"{count} of {n} rows {'is' if count == 1 else 'are'}"
    column = feature.source.column
    name = feature.feature if column == feature.feature else f'{feature.feature} ("{column}")'
    must = _MUST[rule].format(rows=rows, count=count, n=n, accepted=accepted)
    return Finding(rule, feature.feature, count, f"{name} must {must}")
