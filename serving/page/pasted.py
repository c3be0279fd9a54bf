"""A pasted list of results as entries of the form, for the clinician to confirm.

Any of the shapes that laboratories and wards copy: `Crea 168 umol/L; Alb 24 g/L`, a line for each
result, cells of a spreadsheet with name, value and unit, or a row of names above a row of values.
Names are recognised as `osteon map` recognises headers, units by the unit contract. Nothing is
guessed: what may mean several variables is left for the clinician to choose.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.header_matching import HeaderMatch, match_header, squashed
from data_schema.measurements import CanonicalMeasurement, Measurement, canonical_measurement
from data_schema.printed_units import printed_unit
from data_schema.readings import category_of, flag_of
from data_schema.units import canonical_unit_spelling, conversion, is_in_range
from data_schema.variables import BELOW, Variable, base_name, is_state
from serving.page.form import Unit, form_units, parts_of, unit_choices
from serving.page.search_words import drug_flags
from serving.page.usual_values import UsualValues, usual_values
from serving.prediction.served import ServedModel

__all__ = ["MAX_PASTED", "Pasted", "PastedChoice", "PastedRow", "pasted_rows"]

MAX_PASTED = 20_000

_NUMBER = re.compile(
    r"(?:(?<=^)|(?<=[\s:=(\t]))(?P<limit><=|>=|<|>|≤|≥)?\s*(?P<number>[-−+]?\d[\d.,]*(?:[eE]-?\d+)?)"
    r"(?![\w-]*[A-Za-z(]*\))"
)
# What laboratories print beside a value: above, below, critical, verified.
_MARK = re.compile(r"^(?:\(?(?:HH|LL|H|L|\*+|!+|\+|↑|↓)\)?)(?=\s|$)\s*")
_REFERENCE = re.compile(r"\s*(?:[(\[{]|\bref|\d|<|>).*$", re.IGNORECASE)
_BETWEEN = re.compile(r"[;|\n\r]+|,(?=\s+[A-Za-zÀ-ÿ0-9(]*[A-Za-z])")
_WORDS = " \t:=-–,"
_NEGATED = re.compile(r"^(?:no|not|without|never)\s+", re.IGNORECASE)
_WORDS_OF_A_UNIT = 4
# Deviations from the training patients' median beyond which a unit that is not stated is ruled out.
_ORDINARY = 3.0


class PastedChoice(BaseModel):
    """One variable that a result may be, with how it would be read."""

    column: str
    label: str
    value: str
    unit: str = ""
    comparator: str = ""
    read_as: str = ""
    problem: str = ""
    is_used: bool = True


class PastedRow(BaseModel):
    """One result as pasted, and the variables that it may be; settled with exactly one.

    `note` states what must be known to choose, or why it is not recognised.
    """

    text: str
    choices: list[PastedChoice]
    settled: bool
    note: str = ""


class Pasted(BaseModel):
    """Every result of a pasted text, in its order; `problem` says why none can be read."""

    rows: list[PastedRow]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Result:
    """One result before its variable is settled: name, value and unit as pasted."""

    text: str
    name: str
    value: str
    unit: str = ""
    limit: str = ""
    is_canonical: bool = False


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a model says of the variables: which it uses, its own names, and usual values."""

    used: frozenset[str]
    own: Mapping[str, str]
    usual: Mapping[str, UsualValues]

    def choice(
        self,
        column: str,
        variable: Variable,
        *,
        value: str,
        unit: str = "",
        comparator: Literal["", "<", ">"] = "",
        read_as: str = "",
        problem: str = "",
    ) -> PastedChoice:
        return PastedChoice(
            column=column,
            label=variable.label,
            value=value,
            unit=unit,
            comparator=comparator,
            read_as=read_as,
            problem=problem,
            is_used=variable.name in self.used,
        )


def pasted_rows(text: str, model: ServedModel) -> Pasted:
    """Return the results of a pasted text as entries for a model."""
    own = model.own_variables
    variables = {**VARIABLES, **own}
    columns = {one.name for one in model.contract.features} | model.guard_columns
    columns |= parts_of(columns)
    reading = _Reading(
        used=frozenset(map(base_name, columns)),
        own={squashed(word): one.name for one in own.values() for word in (one.name, one.label)},
        usual=usual_values(model),
    )
    patients = _rows_of_table(text)
    if patients > 1:
        problem = f"The table must have the row of one patient; got {patients} rows. Paste one row."
        return Pasted(rows=[], problem=problem)
    read = [_row(one, variables, reading) for one in _results(text)]
    rows = [row for row in read if row is not None]
    times = Counter(row.choices[0].column for row in rows if row.settled)
    return Pasted(rows=[_once(row, times) for row in rows])


def _once(row: PastedRow, times: Mapping[str, int]) -> PastedRow:
    """Return a row left open where another one has a value of the same variable."""
    if not row.settled or times[row.choices[0].column] == 1:
        return row
    return row.model_copy(update={"settled": False, "note": "Several values: choose one."})


def _results(text: str) -> Iterator[_Result]:
    """Yield each result of a text with name, value and unit."""
    lines = [line for line in text.splitlines() if line.strip()]
    wide = _wide_table(lines)
    if wide is not None:
        yield from wide
        return
    for line in lines:
        cells = [cell.strip() for cell in line.split("\t")]
        if len([cell for cell in cells if cell]) > 1:
            yield from _of_cells(line, [cell for cell in cells if cell])
            continue
        for piece in _BETWEEN.split(line):
            if piece.strip():
                yield _of_piece(piece.strip())


def _wide_table(lines: Sequence[str]) -> list[_Result] | None:
    """Return the results of one row below a row of names, or None for any other shape."""
    if len(lines) != 2:
        return None
    names, values = (_cells(line, lines[0]) for line in lines)
    if len(names) != len(values) or not _is_head(names):
        return None
    below = {
        base_name(name)
        for name, value in zip(names, values, strict=True)
        if name.endswith(f"__{BELOW}") and value.strip() in ("1", "1.0", "true")
    }
    return [
        _Result(
            f"{name}: {value}",
            name.strip(),
            value.strip(),
            limit="<" if name in below else "",
            is_canonical=name.strip() in VARIABLES,
        )
        for name, value in zip(names, values, strict=True)
        if value.strip() and not is_state(name)
    ]


def _rows_of_table(text: str) -> int:
    """Return how many rows of values lie below a row of names; 0 for any other shape."""
    head, *lines = [line for line in text.splitlines() if line.strip()] or [""]
    names = _cells(head, head)
    is_table = _is_head(names) and all(len(_cells(line, head)) == len(names) for line in lines)
    return len(lines) if is_table else 0


def _cells(line: str, head: str) -> list[str]:
    """Return the cells of a line, divided as the first line of its table is."""
    mark = next((mark for mark in "\t;,|" if mark in head), "\t")
    return next(csv.reader([line], delimiter=mark))


def _is_head(names: Sequence[str]) -> bool:
    """Return whether cells are a row of names, most of them known."""
    if len(names) < 2 or any(_is_number(name) for name in names):
        return False
    known = [match_header(name) is not None for name in names]
    return sum(known) >= max(2, len(names) // 3)


def _of_cells(line: str, cells: Sequence[str]) -> Iterator[_Result]:
    """Yield the result of a table's line: name, value, unit, then what is not read."""
    shown = " ".join(cells)
    for at, cell in enumerate(cells[1:], start=1):
        match = _NUMBER.match(cell)
        if _MARK.fullmatch(cell) or (match is None and flag_of(cell).value is None):
            continue
        name = " ".join([cells[0], *(one for one in cells[1:at] if not _MARK.fullmatch(one))])
        if match is None:
            yield _Result(shown, name, cell)
            return
        rest = _MARK.sub("", cell[match.end() :].strip())
        following = [one for one in cells[at + 1 :] if one and not _MARK.fullmatch(one)]
        unit = rest or (following[0] if following else "")
        yield _Result(shown, name, match["number"], unit, match["limit"] or "")
        return
    yield _of_piece(shown)


def _of_piece(piece: str) -> _Result:
    """Return the result of free text: the longest name that is known and followed by a number."""
    found: _Result | None = None
    for match in _NUMBER.finditer(piece):
        name = piece[: match.start()].strip(_WORDS)
        if not name:
            continue
        rest = _MARK.sub("", piece[match.end() :].strip())
        result = _Result(piece, name, match["number"].rstrip(".,"), rest, match["limit"] or "")
        if match_header(name) is not None or found is None:
            found = result
    return found or _of_words(piece)


def _of_words(piece: str) -> _Result:
    """Return the result of words: a name with yes or no, a category, or a name alone."""
    negated = _NEGATED.match(piece)
    if negated:
        return _Result(piece, piece[negated.end() :].strip(_WORDS), "no")
    tokens = re.split(r"[\s:=]+", piece)
    for length in range(len(tokens) - 1, 0, -1):
        name = " ".join(tokens[:length])
        if _named(name):
            return _Result(piece, name, " ".join(tokens[length:]))
    return _Result(piece, piece.strip(_WORDS), "")


def _row(
    result: _Result,
    variables: Mapping[str, Variable],
    reading: _Reading,
) -> PastedRow | None:
    """Return a result with the variables that it may be; None for a heading without a value."""
    match, names = _match(result, reading.own)
    if not names:
        if not result.value:
            return None
        return PastedRow(
            text=result.text, choices=[], settled=False, note="No variable is called so."
        )
    is_near = "" in names
    suffix = match.suffix if match is not None else ""
    choices = [
        choice
        for name in names
        if name
        for choice in _choices(result, name + suffix, variables[name], match, reading)
    ]
    readable = [one for one in choices if not one.problem] or choices
    of_model = [one for one in readable if one.is_used] or readable
    is_open = is_near or len({one.column for one in of_model}) > 1
    note = match.why if match is not None and is_open else ""
    return PastedRow(
        text=result.text,
        choices=of_model,
        settled=len(of_model) == 1 and not is_near,
        note=note,
    )


def _named(name: str) -> bool:
    return match_header(name) is not None or squashed(name) in drug_flags()


def _match(result: _Result, own: Mapping[str, str]) -> tuple[HeaderMatch | None, tuple[str, ...]]:
    """Return the variables that a name may mean; "" is one that the catalogue lacks."""
    if squashed(result.name) in own:
        return None, (own[squashed(result.name)],)
    flags = drug_flags().get(squashed(result.name), ())
    is_number = _is_number(result.value)
    match = match_header(result.name)
    names = match.variables if match is not None else ()
    if flags and not is_number:
        return None, flags
    if not result.value or not is_number:
        names = tuple(name for name in names if name and VARIABLES[name].kind != "number")
    return match, names


def _choices(
    result: _Result, column: str, variable: Variable, match: HeaderMatch | None, reading: _Reading
) -> list[PastedChoice]:
    """Return how a result would be read as a variable: once for each unit that it may be in."""
    stated = result.value or "yes"
    if variable.kind != "number":
        return [_words_of(result, column, variable, stated, reading)]
    if not _is_number(stated):
        return []
    unit = _unit(result.unit, variable)
    if unit is None and match is not None and match.unit:
        unit = canonical_unit_spelling(variable, match.unit)
    if unit is not None and unit in variable.offset_units:
        return [_converted(result, column, variable, unit, reading)]
    if unit is None and result.unit and not _REFERENCE.fullmatch(result.unit):
        problem = f"{variable.label} is not read in this unit."
        return [reading.choice(column, variable, value=stated, problem=problem)]
    if unit is None and (result.is_canonical or len(_offered(variable)) == 1):
        unit = variable.unit
    if unit is None:
        return _without_unit(result, column, variable, reading)
    return [_in_unit(result, column, variable, unit, reading)]


def _without_unit(
    result: _Result, column: str, variable: Variable, reading: _Reading
) -> list[PastedChoice]:
    """Return a result in each unit in which it would be possible, the most ordinary first."""
    number = float(_plain_number(result.value))
    usual = reading.usual.get(column)
    units = _offered(variable)
    possible = [one for one in units if is_in_range(variable, number * one.scale)]
    if usual is not None:
        ordinary = [one for one in possible if usual.distance(number * one.scale) <= _ORDINARY]
        possible = sorted(ordinary or possible, key=lambda one: usual.distance(number * one.scale))
    found = [_in_unit(result, column, variable, o.value, reading) for o in possible or units[:1]]
    return [
        one.model_copy(update={"read_as": f"{one.read_as} (no unit stated)"})
        if one.read_as
        else one
        for one in found
    ]


def _offered(variable: Variable) -> list[Unit]:
    """Return the units that the form offers, one of each size."""
    return list({one.scale: one for one in reversed(form_units(variable))}.values())[::-1]


def _in_unit(
    result: _Result, column: str, variable: Variable, unit: str, reading: _Reading
) -> PastedChoice:
    value = _plain_number(result.value)
    sent = Measurement(f"{result.limit}{value}", variable=column, unit=unit)
    read = canonical_measurement(sent, {variable.name: variable})
    problem = ""
    if not isinstance(read, CanonicalMeasurement):
        problem = f"{variable.label} {read.message.removeprefix(variable.name).strip()}"
    units = unit_choices(variable)
    scale = variable.units.get(unit, 1.0)
    same = [one for one in units if one.value == unit] or [o for o in units if o.scale == scale]
    label = same[0].label if same else ""
    return reading.choice(
        column,
        variable,
        value=value,
        unit=same[0].value if same else "",
        comparator=_comparator(result.limit),
        read_as=f"{result.limit}{value} {label}".strip(),
        problem=problem,
    )


def _converted(
    result: _Result, column: str, variable: Variable, unit: str, reading: _Reading
) -> PastedChoice:
    """Return a result in the canonical unit, from a unit that the form does not offer."""
    value = _plain_number(result.value)
    sent = Measurement(f"{result.limit}{value}", variable=column, unit=unit)
    read = canonical_measurement(sent, {variable.name: variable})
    if not isinstance(read, CanonicalMeasurement):
        problem = f"{variable.label} {read.message.removeprefix(variable.name).strip()}"
        return reading.choice(column, variable, value=value, problem=problem)
    scale, offset = conversion(variable, unit)
    converted = f"{float(value) * scale + offset:.4g}"
    stated, own = printed_unit(unit), printed_unit(variable.unit)
    return reading.choice(
        column,
        variable,
        value=converted,
        unit=variable.unit,
        comparator=_comparator(result.limit),
        read_as=f"{result.limit}{value} {stated} = {converted} {own}",
    )


def _words_of(
    result: _Result, column: str, variable: Variable, stated: str, reading: _Reading
) -> PastedChoice:
    """Return how a word would be read as a flag or a category."""
    if variable.kind == "flag":
        flag = flag_of(stated).value
        value = None if flag is None else "true" if flag else "false"
        shown = "yes" if flag else "no"
    else:
        category = category_of(variable, stated).value
        value = None if category is None else str(category)
        shown = (value or "").replace("_", " ")
    if value is None:
        problem = f"{variable.label} is not read from this word."
        return reading.choice(column, variable, value="", problem=problem)
    return reading.choice(column, variable, value=value, read_as=shown)


def _unit(text: str, variable: Variable) -> str | None:
    """Return the unit at the start of what follows a number, or None if there is none."""
    words = re.split(r"\s+", text.strip())
    for count in range(min(_WORDS_OF_A_UNIT, len(words)), 0, -1):
        for spelled in ("".join(words[:count]), " ".join(words[:count])):
            unit = canonical_unit_spelling(variable, spelled.strip(",;.")) if spelled else None
            if unit:
                return unit
    return None


def _comparator(limit: str) -> Literal["", "<", ">"]:
    return "<" if limit in ("<", "<=", "≤") else ">" if limit else ""


def _is_number(text: str) -> bool:
    return (
        re.fullmatch(r"\s*(?:<=|>=|<|>|≤|≥)?\s*[-−+]?\d[\d.,]*(?:[eE]-?\d+)?\s*", text) is not None
    )


def _plain_number(text: str) -> str:
    """Return a number as the form takes it: 4,1 is 4.1, but 1,471 may be either and stays."""
    return re.sub(r"^([-+]?\d+),(\d{1,2}|\d{4,})$", r"\1.\2", text.replace("−", "-"))
