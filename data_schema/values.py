"""Numbers as laboratories write them: `<9.99`, `1.471,0`, a blank; read without guessing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_schema.errors import UsageError

__all__ = [
    "GROUPED_BY_POINTS",
    "MISSING_WORDS",
    "ParsedNumbers",
    "cell_text",
    "cell_texts",
    "level_key",
    "parse_numbers",
]

MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", ".")
"""Cells that mean "not entered" in every table, whatever their case."""

_SAME_MEANING: Mapping[str, str] = {
    "\u00a0": " ",
    "\u2007": " ",
    "\u2009": " ",
    "\u202f": " ",
    "\u2012": "-",
    "\u2013": "-",
    "\u2212": "-",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2a7d": "<=",
    "\u2a7e": ">=",
    "\u221e": "inf",
}
"""Typographic characters -> their plain equivalents in a number."""

GROUPED_BY_POINTS = r"[<>≤≥=\s]*-?[1-9]\d{0,2}(\.\d{3})+"
"""Text such as 1.471, whose point separates thousands where a site's decimals have commas."""

# What a spreadsheet writes to keep a number as text, and marks that no reader sees.
_AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)
_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")

_COMPARATOR_AND_REST = r"^(?P<comparator><=|>=|<|>)?\s*(?P<rest>.*)$"
_INFINITE = r"^[+-]?inf(inity)?$"
_DIGITS_AND_MARKS = r"^[+-]?[.,]?\d[\d., ]*(e[+-]?\d+)?$"


@dataclass(frozen=True, slots=True)
class ParsedNumbers:
    """One column of numbers, with what could not be read counted by rule.

    Parameters
    ----------
    values : ndarray of float64
        The number; for a value beyond a limit, the limit. NaN where nothing was measured and where
        a rule is broken.
    below, above : ndarray of bool
        The value lies below (`<`, `<=`) or above (`>`, `>=`) a limit of the assay.
    problems : mapping of str to int
        Rule -> rows that break it: `not_a_number`, `infinite`, `ambiguous_number`, `comparator`.
    """

    values: NDArray[np.float64]
    below: NDArray[np.bool_]
    above: NDArray[np.bool_]
    problems: Mapping[str, int]


def cell_texts(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return cells as stripped text, whole numbers without a fraction; missing stays missing."""
    codes, distinct = pd.factorize(cells)
    texts = np.array([*(cell_text(cell) for cell in distinct), None], dtype=object)
    return pd.Series(texts[codes], dtype=object)


def cell_text(cell: object) -> str | None:
    """Return one cell as stripped text, a whole number without a fraction; None if empty.

    The wrapper `="..."`, a leading apostrophe and invisible characters are no part of the text.

    >>> cell_text('="00012"'), cell_text("'00012"), cell_text(12.0), cell_text(" ")
    ('00012', '00012', '12', None)
    """
    if isinstance(cell, (int, np.integer)) and not isinstance(cell, bool):
        return str(int(cell))  # as a float, long identifiers of two patients would be one
    if isinstance(cell, (float, np.floating)):
        number = float(cell)
        return str(int(number)) if number.is_integer() else str(number)
    return _bare(str(cell)) or None


def level_key(text: str) -> str:
    """Return what two spellings of one category share: case, spaces, NFC and whole numbers.

    >>> level_key("ICU  a") == level_key("icu A"), level_key("1.0")
    (True, '1')
    """
    composed = " ".join(unicodedata.normalize("NFC", _bare(text)).casefold().split())
    return re.sub(r"^(-?\d+)\.0+$", r"\1", composed)


def _bare(text: str) -> str:
    """Return text without invisible characters and what a spreadsheet puts around it."""
    bare = _INVISIBLE.sub("", text).strip()
    wrapped = _AS_TEXT.fullmatch(bare)
    bare = wrapped[1].replace('""', '"').strip() if wrapped else bare
    return bare[1:] if bare.startswith("'") and "'" not in bare[1:] else bare


def parse_numbers(
    cells: pd.Series[Any],
    *,
    decimal: Literal[".", ","] | None = None,
    missing_values: Sequence[str | float] = (),
) -> ParsedNumbers:
    """Return the numbers of one column.

    Cells that are numbers already are taken as they are; true and false are not numbers. In text a
    point is the decimal mark unless `decimal` says otherwise; a comma, or a space between digits,
    is refused as ambiguous until `decimal` says which mark is which, and then the other mark and
    the space group thousands.

    `missing_values` is what the site writes for "not entered", on top of `MISSING_WORDS`.

    >>> parsed = parse_numbers(pd.Series(["<9.99", "12", "1,471", ""]))
    >>> parsed.values.tolist(), parsed.below.tolist(), dict(parsed.problems)
    ([9.99, 12.0, nan, nan], [True, False, False, False], {'ambiguous_number': 1})
    """
    if decimal not in (None, ".", ","):
        raise UsageError(
            "decimal must be '.' or ','; got another mark. Correct it, or leave it out."
        )
    if pd.api.types.is_bool_dtype(cells.dtype):
        cells = cells.astype(object)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        parsed = _from_numbers(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        words = _text(pd.Series([*MISSING_WORDS, *missing_values], dtype=object), ".")
        text = _text(cells, decimal or ".")
        plain = _plain_numbers(text, decimal)
        parsed = _from_text(text, decimal, words) if plain is None else _from_numbers(plain)
    return _without_missing_numbers(parsed, missing_values)


def _from_numbers(values: NDArray[np.float64]) -> ParsedNumbers:
    infinite = np.isinf(values)
    nowhere = np.zeros(len(values), dtype=np.bool_)
    return ParsedNumbers(
        np.where(infinite, np.nan, values), nowhere, nowhere, _counted(infinite=infinite)
    )


def _plain_numbers(
    text: pa.StringArray, decimal: Literal[".", ","] | None
) -> NDArray[np.float64] | None:
    """Return a column of finite numbers in plain spelling, the usual case; None for any other."""
    if decimal == ",":
        return None
    try:
        values = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None
    is_finite = pc.all(pc.is_finite(values), min_count=0).as_py()
    return np.asarray(values.to_numpy(zero_copy_only=False)) if is_finite else None


def _from_text(
    text: pa.StringArray, decimal: Literal[".", ","] | None, missing_words: pa.StringArray
) -> ParsedNumbers:
    split = pc.extract_regex(text, _COMPARATOR_AND_REST)
    comparator, rest = split.field("comparator"), split.field("rest")
    missing = _true(pc.or_kleene(pc.is_null(text), pc.is_in(text, missing_words)))

    plain = _plain_spelling(rest, decimal)
    readable = _true(pc.is_valid(plain)) & ~missing
    values = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False)
    infinite = (_true(pc.match_substring_regex(rest, _INFINITE)) & ~missing) | np.isinf(values)
    compared = _true(pc.not_equal(comparator, ""))
    unread = ~(readable | infinite | missing)
    ambiguous = unread & _true(pc.match_substring_regex(rest, _DIGITS_AND_MARKS))

    finite = readable & ~infinite
    is_below = _true(pc.starts_with(comparator, "<"))
    return ParsedNumbers(
        values=np.where(finite, values, np.nan),
        below=finite & compared & is_below,
        above=finite & compared & ~is_below,
        problems=_counted(
            not_a_number=unread & ~ambiguous & ~compared,
            infinite=infinite,
            ambiguous_number=ambiguous,
            comparator=unread & ~ambiguous & compared,
        ),
    )


def _text(cells: pd.Series[Any], decimal: str) -> pa.StringArray:
    """Return cells as trimmed lower-case text in plain characters; a missing cell is null."""
    if cells.dtype == "string":
        text = pa.array(cells, type=pa.string(), from_pandas=True)
        if isinstance(text, pa.ChunkedArray):  # a long file arrives in pieces
            text = text.combine_chunks()
    else:
        spelled = [_spelled(cell, decimal) for cell in cells.astype(object)]
        text = pa.array(spelled, type=pa.string(), mask=cells.isna().to_numpy())
    if not pc.all(pc.string_is_ascii(text)).as_py():
        text = pc.replace_substring_regex(text, _INVISIBLE.pattern, "")
        for character, plain in _SAME_MEANING.items():
            text = pc.replace_substring(text, character, plain)
    text = pc.replace_substring_regex(
        pc.utf8_trim_whitespace(text), r'^(?:="(.*)"|\'(.*))$', r"\1\2"
    )
    return pc.utf8_lower(pc.utf8_trim_whitespace(text))


def _spelled(cell: object, decimal: str) -> str:
    """Spell one cell; a number among text has a point, whatever mark the site's text has."""
    text = str(cell).replace(".", decimal) if isinstance(cell, Real) else str(cell)
    # JSON may carry half of a surrogate pair, which Arrow's text cannot.
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain_spelling(rest: pa.StringArray, decimal: Literal[".", ","] | None) -> pa.StringArray:
    """Return numbers with a point and no grouping; null where the text is not such a number."""
    mark, group = (",", ".") if decimal == "," else (".", ",")
    number = rf"(\d+([{mark}]\d*)?|[{mark}]\d+)(e[+-]?\d+)?"
    if decimal is None:
        readable = pc.match_substring_regex(rest, rf"^[+-]?{number}$")
        return pc.if_else(readable, rest, pa.scalar(None, pa.string()))
    grouped = rf"[1-9]\d{{0,2}}([{group} ]\d{{3}})+([{mark}]\d*)?"
    readable = pc.match_substring_regex(rest, rf"^[+-]?({number}|{grouped})$")
    ungrouped = pc.replace_substring(pc.replace_substring(rest, group, ""), " ", "")
    plain = pc.replace_substring(ungrouped, mark, ".")
    return pc.if_else(readable, plain, pa.scalar(None, pa.string()))


def _without_missing_numbers(
    parsed: ParsedNumbers, missing_values: Sequence[str | float]
) -> ParsedNumbers:
    """Set numbers that mean "not entered", such as -999, to NaN, in whatever spelling."""
    numbers = [number for number in map(_number, missing_values) if number is not None]
    if not numbers:
        return parsed
    missing = np.isin(parsed.values, numbers) & ~(parsed.below | parsed.above)
    return replace(parsed, values=np.where(missing, np.nan, parsed.values))


def _number(word: str | float) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _true(mask: pa.BooleanArray) -> NDArray[np.bool_]:
    """Return where a mask is true; null is not."""
    filled: NDArray[np.bool_] = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return filled


def _counted(**broken: NDArray[np.bool_]) -> dict[str, int]:
    """Count the rows that break each rule, leaving out the rules that none breaks."""
    counts = {rule: int(rows.sum()) for rule, rows in broken.items()}
    return {rule: count for rule, count in counts.items() if count}
