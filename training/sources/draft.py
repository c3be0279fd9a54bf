"""A draft of a code map: what each code of a source may mean, by its name, unit and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.header_matching import match_header
from data_schema.units import canonical_unit_spelling
from training.sources.code_map import CodeMap, meanings
from training.sources.observations import Source, typed_relations

__all__ = ["Draft", "code_names", "draft_code_map"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted code map: its text, and its codes by what is known of them."""

    text: str
    named: int
    blanks: int
    unknown: int


def draft_code_map(
    db: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str]
) -> Draft:
    """Return a code map for the codes that no code system explains, the most frequent first.

    A code whose name means one variable is filled in. One that may mean several stays blank, which
    is fatal until it is decided; so does a flag, whose value the map must state. One that resembles
    none, or has no numbers, is written as a comment.

    Parameters
    ----------
    names : mapping of str to str
        Code -> what the source calls it; the code itself where it has no name.
    """
    source.relations(db)
    typed_relations(db)
    rows = db.execute(
        "SELECT code, count(*) AS n, mode(unit), count(DISTINCT unit), count(numeric_value), "
        "median(numeric_value) FROM typed_observations WHERE code IS NOT NULL GROUP BY 1 "
        "ORDER BY n DESC, code"
    ).fetchall()
    lines = ["# Fill in the blanks. Delete an entry that is none of the variables.", ""]
    named = blanks = unknown = 0
    for code, n, unit, n_units, numbers, median in rows:
        if meanings(code, CodeMap()):
            continue
        name = names.get(code, code.rpartition("//")[2])
        about = [f"{n} records", f"{numbers} numbers"]
        about += [f"median {median:.4g}"] if median is not None else []
        about += [f"{n_units} units, most often {unit}"] if n_units else []
        match = match_header(name)
        fitting = [] if match is None else [one for one in match.variables if _fits(one, unit)]
        if not numbers:
            # A drug or a diagnosis of that name: no measurement, and a flag needs a value stated.
            fitting = [one for one in fitting if VARIABLES[one].kind != "number"]
        if not fitting:
            unknown += 1
            lines.append(f"# {_quoted(code)}: {_plain(name)}; {', '.join(about)}")
            continue
        lines.append(f"[codes.{_quoted(code)}]  # {_plain(name)}; {', '.join(about)}")
        if len(fitting) == 1 and VARIABLES[fitting[0]].kind == "number":
            named += 1
            lines.append(f'variable = "{fitting[0]}"')
        else:
            blanks += 1
            lines.append(f'variable = ""  # {" or ".join(fitting)}')
        lines.append("")
    return Draft("\n".join(lines) + "\n", named, blanks, unknown)


def code_names(db: duckdb.DuckDBPyConnection, folder: Path) -> Mapping[str, str]:
    """Return the descriptions in `codes.parquet` of a MEDS folder; empty where it has none."""
    file = next((path for path in sorted(folder.rglob("codes.parquet"))), None)
    if file is None:
        return {}
    rows = db.execute(
        "SELECT code, description FROM read_parquet(?) WHERE description IS NOT NULL", [str(file)]
    )
    return dict(rows.fetchall())


def _fits(name: str, unit: str | None) -> bool:
    return not unit or canonical_unit_spelling(VARIABLES[name], unit) is not None


def _quoted(code: str) -> str:
    escaped = code.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_plain(escaped)}"'


def _plain(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split()) if text != text.strip() or "\n" in text else text
