"""A draft of a code map: what each code of a source may mean, by its name, units and values.

A code whose name means one variable is filled in if its units and values agree. Whatever is open
stays blank, which is fatal until it is decided: a wrong variable would be read without a word.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.header_matching import match_header, squashed
from data_schema.readings import is_arterial
from data_schema.units import canonical_unit_spelling
from data_schema.variables import Variable
from training.files import plain_cell
from training.sources.code_map import CodeMap, catalogue_meaning, meanings, scale
from training.sources.observations import Source, typed_relations

__all__ = ["Draft", "DraftedCode", "code_names", "draft_code_map"]

# Of a code with so many numbers, the median must be one that a cohort can have.
_ENOUGH = 20
# Most records of a measurement are numbers; of a test strip, most are words.
_MOSTLY = 0.5
# Pa is the pressure in arteries; pO2 or pH alone may be of any blood.
_ARTERIAL_NAME = re.compile(r"\bart|\bpa ?c?o2\b")


@dataclass(frozen=True, slots=True)
class DraftedCode:
    """What a draft says of one code.

    Parameters
    ----------
    code : str
    about : str
        What the source calls it, and what its records hold.
    variable : str
        The variable that it means; empty if that is open.
    unit : str
        What the map must state, since the records state none.
    specimen : str
        What the map must state of a blood gas, since the records do not.
    reason : str
        What must be known to fill in the blank; empty if nothing resembles the code.
    """

    code: str
    about: str
    variable: str = ""
    unit: str = ""
    specimen: str = ""
    reason: str = ""

    @property
    def is_unknown(self) -> bool:
        """Whether it resembles no variable."""
        return not self.variable and not self.reason


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted code map: every code that no code system explains, the most frequent first."""

    codes: tuple[DraftedCode, ...]

    @property
    def named(self) -> int:
        """Codes whose variable is filled in."""
        return sum(bool(one.variable) for one in self.codes)

    @property
    def unknown(self) -> int:
        """Codes that resemble no variable."""
        return sum(one.is_unknown for one in self.codes)

    @property
    def blanks(self) -> int:
        """Codes to be decided."""
        return len(self.codes) - self.named - self.unknown

    @property
    def as_toml(self) -> str:
        """The draft as TOML; codes that resemble no variable are comments."""
        lines = ["# Fill in the blanks. Delete an entry that is none of the variables.", ""]
        for one in self.codes:
            if one.is_unknown:
                lines.append(f"# {_quoted(one.code)}: {one.about}")
                continue
            lines.append(f"[codes.{_quoted(one.code)}]  # {one.about}")
            lines.append(f'variable = "{one.variable}"' + (f"  # {one.reason}" * bool(one.reason)))
            lines += [f'unit = "{one.unit}"'] if one.unit else []
            lines += [f'specimen = "{one.specimen}"'] if one.specimen else []
            lines.append("")
        return "\n".join(lines) + "\n"

    @property
    def as_csv(self) -> str:
        """The draft as CSV; codes that resemble no variable are remarks."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["code", "variable", "unit", "specimen", "value", "complete", "note"])
        for one in self.codes:
            code = f"# {one.code}" if one.is_unknown else one.code
            note = "; ".join(filter(None, (one.reason, one.about)))
            cells = (_plain(code), one.variable, one.unit, one.specimen, "", "", note)
            rows.writerow(map(plain_cell, cells))
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class _Records:
    """What the records of one code hold."""

    code: str
    name: str
    n: int
    numbers: int
    lowest: float | None
    median: float | None
    highest: float | None
    units: tuple[str, ...]
    specimens: tuple[str, ...]

    @property
    def about(self) -> str:
        parts = [f"{self.n} records", f"{self.numbers} numbers"]
        parts += [f"median {self.median:.4g}"] if self.median is not None else []
        parts += [f"{len(self.units)} units, most often {self.units[0]}"] if self.units else []
        return f"{_plain(self.name)}; {', '.join(map(_plain, parts))}"


def draft_code_map(
    db: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str]
) -> Draft:
    """Return a code map for the codes that no code system explains, the most frequent first.

    A code is filled in if its name means one number of the catalogue, that accepts every unit of
    its records, if their values lie in its plausible range (and their median where the median of a
    cohort can lie), and if no other code of the same name means it too. A name that fits several
    variables is settled by units and values if one of them fits. All others stay blank: flags,
    whose value the map must state, too. A code without a name is never filled in: many quantities
    have the same unit and size.

    Parameters
    ----------
    names : mapping of str to str
        Code -> what the source calls it; the code itself where it has no name.
    """
    source.relations(db)
    typed_relations(db)
    records = [one for one in _records(db, names) if not meanings(one.code, CodeMap())]
    drafted = [_drafted(one) for one in records]
    # The same name under several codes: of another specimen, or by another method.
    claimed = Counter(
        (one.variable, squashed(held.name))
        for one, held in zip(drafted, records, strict=True)
        if one.variable
    )
    return Draft(
        tuple(
            _contested(one, claimed[one.variable, squashed(held.name)])
            if one.variable and claimed[one.variable, squashed(held.name)] > 1
            else one
            for one, held in zip(drafted, records, strict=True)
        )
    )


def code_names(db: duckdb.DuckDBPyConnection, folder: Path) -> Mapping[str, str]:
    """Return the descriptions in `codes.parquet` of a MEDS folder; empty where it has none."""
    file = next((path for path in sorted(folder.rglob("codes.parquet"))), None)
    if file is None:
        return {}
    rows = db.execute(
        "SELECT code, description FROM read_parquet(?) WHERE description IS NOT NULL", [str(file)]
    )
    return dict(rows.fetchall())


def _records(db: duckdb.DuckDBPyConnection, names: Mapping[str, str]) -> Iterator[_Records]:
    rows = db.execute(
        "WITH units AS (SELECT code, list(unit ORDER BY n DESC, unit) AS units FROM (SELECT code, "
        "unit, count(*) AS n FROM typed_observations WHERE unit IS NOT NULL GROUP BY ALL) "
        "GROUP BY code) "
        "SELECT code, count(*), count(numeric_value), "
        "quantile_cont(numeric_value, [0.05, 0.5, 0.95]), any_value(units), "
        "list_sort(list(DISTINCT specimen) FILTER (WHERE specimen IS NOT NULL)) "
        "FROM typed_observations LEFT JOIN units USING (code) WHERE code IS NOT NULL GROUP BY code "
        "ORDER BY count(*) DESC, code"
    ).fetchall()
    for code, n, numbers, values, units, specimens in rows:
        lowest, median, highest = values or (None, None, None)
        name = names.get(code) or code.rpartition("//")[2]
        yield _Records(
            *(code, name, n, numbers, lowest, median, highest),
            units=tuple(units or ()),
            specimens=tuple(specimens or ()),
        )


def _drafted(records: _Records) -> DraftedCode:
    match = match_header(records.name)
    names = [] if match is None else [name for name in match.variables if name]
    is_open = match is not None and "" in match.variables
    flags = [name for name in names if VARIABLES[name].kind != "number"]
    numbers = [VARIABLES[name] for name in names if VARIABLES[name].kind == "number"]
    if not records.numbers:
        # A drug or a diagnosis of that name: no measurement, and a flag needs its value stated.
        reason = f"{' or '.join(flags)}: state the value" if flags else ""
        return DraftedCode(records.code, records.about, reason=reason)
    if not names:
        return _nameless(records)
    if flags:
        return _open(records, names, "state the value of a flag")
    if match is not None and match.suffix:
        return _open(records, names, "records hold each value, not a summary of several")
    if records.numbers < _MOSTLY * records.n:
        return _open(records, names, "most records hold no number")
    accepting = [entry for entry in numbers if _accepts(entry, records)]
    if not accepting:
        return _open(records, names, "which accepts no such unit or specimen")
    fitting = [entry for entry in accepting if _fitting_units(entry, records)]
    if not fitting:
        return _open(records, names, "the values do not fit: another unit, or something else")
    if is_open or len(fitting) > 1:
        why = match.why if match is not None else ""
        return _open(records, [entry.name for entry in fitting], why)
    entry = fitting[0]
    units = _fitting_units(entry, records)
    if not records.units and len(units) > 1:
        return _open(records, names, f"state the unit: {' or '.join(units)}")
    arterial = is_arterial(entry) and not records.specimens
    if arterial and not _ARTERIAL_NAME.search(records.name.casefold()):
        return _open(records, names, 'state specimen = "arterial blood" if it is')
    return DraftedCode(
        records.code,
        records.about,
        variable=entry.name,
        unit="" if records.units else next(iter(units)),
        specimen="arterial blood" if arterial else "",
    )


def _nameless(records: _Records) -> DraftedCode:
    """Return a remark, with the one variable whose units and values a nameless code has.

    It is no more than a hint: of 47 such codes of the MIMIC-IV demo, 17 were that variable.
    """
    plain = DraftedCode(records.code, records.about)
    if not records.units or records.numbers < _ENOUGH or not records.name.strip().isdecimal():
        return plain
    fitting = [
        entry.name
        for entry in VARIABLES.values()
        if entry.kind == "number" and _accepts(entry, records) and _fitting_units(entry, records)
    ]
    if len(fitting) != 1:
        return plain
    return replace(plain, about=f"{plain.about}; units and values could be {fitting[0]}")


def _open(records: _Records, names: Sequence[str], why: str) -> DraftedCode:
    reason = " or ".join(names) + (f"; {_plain(why)}" if why else "")
    return DraftedCode(records.code, records.about, reason=reason)


def _contested(drafted: DraftedCode, n: int) -> DraftedCode:
    reason = f"{drafted.variable}; {n} codes have this name: of which specimen, by which method?"
    return DraftedCode(drafted.code, drafted.about, reason=reason)


def _accepts(entry: Variable, records: _Records) -> bool:
    """Return whether a variable accepts every unit and specimen of the records."""
    stated = catalogue_meaning(entry)
    return all(
        not scale(stated, unit, specimen).broken
        for unit in records.units
        for specimen in records.specimens or ("",)
    )


def _fitting_units(entry: Variable, records: _Records) -> tuple[str, ...]:
    """Return the units in which the values are those of a variable, one of each factor.

    Records that state a unit have that one; of records without one, each accepted unit is tried.
    """
    stated = canonical_unit_spelling(entry, records.units[0]) if records.units else None
    if records.units and stated is None:
        # Degrees Fahrenheit, which the map converts.
        stated = records.units[0]
    candidates = [stated] if stated else [entry.unit, *entry.units]
    fitting: dict[float, str] = {}
    for unit in candidates:
        how = scale(catalogue_meaning(entry), unit, "")
        if not how.broken and _fits(entry, records, how.factor, how.offset):
            fitting.setdefault(how.factor, unit)
    return tuple(fitting.values())


def _fits(entry: Variable, records: _Records, factor: float, offset: float) -> bool:
    if records.lowest is None or records.highest is None or records.median is None:
        return False
    low, median, high = (
        value * factor + offset for value in (records.lowest, records.median, records.highest)
    )
    if entry.low is not None and low < entry.low:
        return False
    if entry.high is not None and high > entry.high:
        return False
    if entry.typical_median is None or records.numbers < _ENOUGH:
        return True
    return entry.typical_median[0] <= median <= entry.typical_median[1]


def _quoted(code: str) -> str:
    escaped = code.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_plain(escaped)}"'


def _plain(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split()) if text != text.strip() or "\n" in text else text
