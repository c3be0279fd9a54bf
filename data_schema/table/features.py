"""From one of the site's columns to a feature: parsed, converted, censored, and nothing guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.table.plan import FeatureSource
from data_schema.table.stated_units import StatedUnits, stated_units, unit_suspect
from data_schema.values import MISSING_WORDS, cell_text, cell_texts, parse_numbers
from data_schema.variables import BELOW

if TYPE_CHECKING:
    from data_schema.table.dates import Dates

__all__ = ["FLAG_WORDS", "NOT_STATED", "FeatureColumn", "read_feature"]

FLAG_WORDS: Mapping[str, float] = {
    **dict.fromkeys(("1", "true", "yes", "y", "t"), 1.0),
    **dict.fromkeys(("0", "false", "no", "n", "f"), 0.0),
}
# "Sex other or unknown" is missing; where "unknown" is a category of its own it is kept.
NOT_STATED = frozenset({*MISSING_WORDS, "unknown", "other"})
# Text is a category if it has few values, or up to a hundred of which most recur.
_FEW_CATEGORIES = 20
_MAX_CATEGORIES = 100

_MUST: Mapping[str, str] = {
    "not_a_number": "be a number; {rows} not. Correct them, or list what stands for missing in "
    "missing_values.",
    "infinite": "be finite; {rows} not. Correct them, or leave the cells empty.",
    "ambiguous_number": "have one decimal mark; {rows} written with a comma or a space that may be "
    "one or not. State decimal for the column in the mapping file.",
    "comparator": "have a number after its comparator; {rows} without. Correct them.",
    "above_limit": "lie below the assay's upper limit; {rows} above it. The limit stands for them.",
    "assay": "be measured by an assay of its own; one that is stated is of another variable. Map "
    "its rows to that variable.",
    "assay_mixed": "come from one assay; {count} are pooled. Their values may differ.",
    "specimen": "be measured in {told}; the mapping states another specimen, which makes it "
    "another variable.",
    "category": "be one of {told}; {rows} not, and count as missing. Map their cells in the "
    "mapping file.",
    "many_categories": "have few categories; it has {count}. Free text and identifiers cannot be "
    "learned from and must not be kept: group them, or leave the column out.",
    "flag": "be 1 or 0, yes or no, or true or false; {rows} not. Map their cells in the "
    "mapping file.",
}
"""Rule -> what must be, after the feature's name."""


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One feature in the catalogue's words.

    Parameters
    ----------
    values : ndarray or None
        float64 with NaN, or objects of str and None for a category; None where the unit is in
        question, so that nothing can be said of the values.
    below : ndarray of bool or None
        Where a value is the assay's lower limit; None if nowhere.
    findings : tuple of Finding
        Rules broken, fatal or not.
    """

    values: NDArray[Any] | None
    below: NDArray[np.bool_] | None
    findings: tuple[Finding, ...]


def read_feature(
    table: pd.DataFrame, feature: FeatureSource, time_zero: Dates | None
) -> FeatureColumn:
    """Return one feature of a table.

    Parameters
    ----------
    table : DataFrame
        As it was read from the file.
    feature : FeatureSource
        Which column, and what it is.
    time_zero : Dates or None
        Tells the periods of a column apart.

    Returns
    -------
    FeatureColumn
    """
    cells = table[feature.source.column]
    if feature.feature == f"{feature.variable.name}__{BELOW}":
        return _flag(cells, feature)
    readers = {"flag": _flag, "category": _category}
    if feature.variable.kind in readers:
        return readers[feature.variable.kind](cells, feature)
    return _number(table, feature, time_zero)


def _number(table: pd.DataFrame, feature: FeatureSource, time_zero: Dates | None) -> FeatureColumn:
    source, variable = feature.source, feature.variable
    parsed = parse_numbers(
        table[source.column],
        decimal=cast(Literal[".", ","] | None, source.decimal or None),
        missing_values=source.missing_values,
    )
    findings = [
        _finding(rule, feature, count, len(table)) for rule, count in parsed.problems.items()
    ]
    measured = ~np.isnan(parsed.values)
    units = stated_units(table, feature, time_zero, measured)
    findings += [*units.findings, *_assay_problems(table, feature, units)]
    if units.factors is None:
        return FeatureColumn(None, None, tuple(findings))
    under_limit = parsed.values < units.lower_limits
    below = parsed.below | under_limit
    values = np.where(under_limit, units.lower_limits, parsed.values) * units.factors
    suspect = unit_suspect(feature, units, values, below)
    if suspect is not None:
        return FeatureColumn(None, None, (*findings, suspect))
    if parsed.above.any():
        findings.append(_finding("above_limit", feature, int(parsed.above.sum()), len(table)))
    is_own = feature.feature == variable.name
    return FeatureColumn(values, below if is_own and below.any() else None, tuple(findings))


def _assay_problems(
    table: pd.DataFrame, feature: FeatureSource, units: StatedUnits
) -> list[Finding]:
    """Return what assays and specimen say against the variable, and whether several are pooled."""
    source, variable, rows = feature.source, feature.variable, len(table)
    stated = {source.assay, *(period.assay for period in source.periods)}
    if source.assay_column is not None and source.assay_column in table:
        stated |= {*cell_texts(table[source.assay_column]).dropna().unique()}
    assays = {str(assay).casefold() for assay in stated if assay}
    findings = []
    words = variable.assay_words
    if words is not None and any(words.names_another(assay) for assay in assays):
        findings.append(_finding("assay", feature, units.measured, rows))
    if source.specimen and variable.specimen not in source.specimen.casefold():
        told = variable.specimen
        findings.append(_finding("specimen", feature, units.measured, rows, told=told))
    if len(assays) > 1:
        findings.append(_finding("assay_mixed", feature, len(assays), rows))
    return findings


def _category(cells: pd.Series, feature: FeatureSource) -> FeatureColumn:
    texts = _mapped(cells, feature)
    distinct = texts.dropna().unique()
    not_stated = {text for text in distinct if text.casefold() in NOT_STATED}
    if not feature.variable.categories:
        # A site's own category may well be "other".
        kept = texts.mask(texts.isin({t for t in not_stated if t.casefold() != "other"}), None)
        most = min(_MAX_CATEGORIES, max(_FEW_CATEGORIES, texts.count() // 2))
        findings = [_finding("many_categories", feature, len(distinct), len(cells))]
        return FeatureColumn(_objects(kept), None, tuple(findings if len(distinct) > most else ()))
    listed = {category.casefold(): category for category in feature.variable.categories}
    known = {text: listed.get(text.casefold()) for text in distinct}
    unknown = {text for text in distinct if known[text] is None} - not_stated
    count = int(texts.isin(unknown).sum())
    told = ", ".join(feature.variable.categories)
    findings = [_finding("category", feature, count, len(cells), told=told)] if count else []
    return FeatureColumn(_objects(texts.map(known)), None, tuple(findings))


def _objects(texts: pd.Series) -> NDArray[np.object_]:
    """Return texts as an array of str and None."""
    array: NDArray[np.object_] = texts.astype(object).where(texts.notna(), None).to_numpy(object)
    return array


def _flag(cells: pd.Series, feature: FeatureSource) -> FeatureColumn:
    words = _mapped(cells, feature).map(str.casefold, na_action="ignore")
    values = words.map(FLAG_WORDS).to_numpy(dtype=np.float64)
    strange = words.notna() & ~words.isin(NOT_STATED) & np.isnan(values)
    count = int(strange.sum())
    findings = (_finding("flag", feature, count, len(cells)),) if count else ()
    return FeatureColumn(values, None, findings)


def _mapped(cells: pd.Series, feature: FeatureSource) -> pd.Series:
    """Return cells as text, after the site's missing values and value map."""
    texts, source = cell_texts(cells), feature.source
    missing = {*MISSING_WORDS, *(str(value).casefold() for value in source.missing_values)}
    missing -= {key.casefold() for key in source.value_map}
    words = {key: cell_text(value) for key, value in source.value_map.items()}
    meanings = {
        text: words.get(text, None if text.casefold() in missing else text)
        for text in texts.dropna().unique()
    }
    return texts.map(meanings).astype(object)


def _finding(rule: str, feature: FeatureSource, count: int, n: int, *, told: str = "") -> Finding:
    """Return a finding in the words of `_MUST`; `told` is what the rule would accept."""
    rows = f"{count} of {n} rows {'is' if count == 1 else 'are'}"
    column = feature.source.column
    name = feature.feature if column == feature.feature else f'{feature.feature} ("{column}")'
    must = _MUST[rule].format(rows=rows, count=count, told=told)
    return Finding(rule, feature.feature, count, f"{name} must {must}")
