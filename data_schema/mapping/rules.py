"""What is wrong with a mapping file: what is blank, absent, or contradicts the catalogue."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import get_args

from data_schema.biomarkers import VARIABLES, did_you_mean
from data_schema.errors import Finding
from data_schema.mapping.file import CohortMapping, ColumnMapping
from data_schema.units import canonical_unit_spelling
from data_schema.variables import PATHWAYS, Kind, Variable, base_name, is_not_done

__all__ = [
    "ID_COLUMNS",
    "RESERVED_NAMES",
    "SIMULATED",
    "TREATMENT_LIMITED",
    "TREATMENT_LIMITED_DAYS",
    "column_problems",
    "limit_columns",
    "mapping_problems",
    "named_columns",
    "outcome_columns",
]

ID_COLUMNS = ("patient_id", "stay_id", "site", "time_zero")
"""Names of the identifiers, in `[ids]` and in a cohort that has no mapping."""

SIMULATED = "simulated"
"""Column of a simulated cohort: the kind of simulation, in every row."""

TREATMENT_LIMITED, TREATMENT_LIMITED_DAYS = "treatment_limited", "treatment_limited_days"
"""Columns of a cohort without a mapping: whether treatment was limited, and days until then."""

_SITE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]*(_[A-Za-z0-9.]+)*")
RESERVED_NAMES = frozenset(
    {*ID_COLUMNS, SIMULATED, TREATMENT_LIMITED, TREATMENT_LIMITED_DAYS}
    | {"status", "refusal_code", "risk", "outcome", "horizon_days"}
)
_ID_KEYS = (*ID_COLUMNS, "date_format")
_OUTCOME_COLUMNS = (
    *("days", "event", "event_date", "last_seen_date", "competing_date"),
    "entry_days",
)
_OUTCOME_KEYS = (*_OUTCOME_COLUMNS, "date_format", "decimal", "event_map", "time_zero")
_COLUMN_KEYS = (
    *("variable", "unit", "unit_column", "assay", "assay_column", "specimen"),
    *("decimal", "value_map"),
)
_SITE_KEYS = ("kind", "pathway", "label", "low", "high")
_OF_VALUES = (
    *("unit", "unit_column", "assay", "assay_column", "specimen", "lower_limit", "decimal"),
    *("periods", "not_done"),
)


def mapping_problems(mapping: CohortMapping, columns: Collection[str]) -> Iterator[Finding]:
    """Yield what is blank in a mapping, and columns that it names and the table lacks."""
    yield from _blanks("[ids]", mapping.ids, _ID_KEYS)
    for name, outcome in mapping.outcomes.items():
        yield from _blanks(f"[outcome.{name}]", outcome, _OUTCOME_KEYS)
    yield from _blanks("[treatment_limits]", mapping.treatment_limits, ("limited", "days"))
    for name, source in mapping.columns.items():
        keys = [key for key in _COLUMN_KEYS if key != "unit" or not _needs_no_unit(source)]
        yield from _blanks(f'[columns."{name}"]', source, keys)
    for name in named_columns(mapping):
        if name.strip() and name not in columns:
            message = (
                f"{name} must be a column of the cohort, since the mapping names it. "
                "Correct the name, or remove it from the mapping."
            )
            yield Finding("missing_column", name, 1, message)


def named_columns(mapping: CohortMapping) -> tuple[str, ...]:
    """Return every column of the site that a mapping names, once each."""
    names = [getattr(mapping.ids, key) for key in ID_COLUMNS]
    names += outcome_columns(mapping)
    names += limit_columns(mapping)
    for source in mapping.columns.values():
        names += [source.column, source.unit_column, source.assay_column]
    return tuple(dict.fromkeys(name for name in names if name is not None))


def limit_columns(mapping: CohortMapping) -> list[str]:
    """Return the columns of the site that a mapping names for orders to limit treatment."""
    stated = (mapping.treatment_limits.limited, mapping.treatment_limits.days)
    return [name for name in stated if name is not None]


def outcome_columns(mapping: CohortMapping) -> tuple[str, ...]:
    """Return every column of the site that states an outcome."""
    stated = (getattr(o, key) for o in mapping.outcomes.values() for key in _OUTCOME_COLUMNS)
    return tuple(name for name in stated if name is not None)


def column_problems(source: ColumnMapping, *, of_site: Collection[str] = ()) -> Iterator[Finding]:
    """Yield why a mapped column, whose variable is not blank, cannot become a feature.

    `of_site` holds the variables of the site's own that the mapping describes.
    """
    variable = VARIABLES.get(base_name(source.variable))
    if is_not_done(source.variable) and (variable or base_name(source.variable) in of_site):
        yield from _of_a_state(source)
    elif variable is not None:
        yield from _against_the_catalogue(source, variable)
    elif source.kind is None:
        message = (
            f"{source.variable} must be a variable of the catalogue, or state kind and pathway as "
            f"the site's own.{did_you_mean(source.variable)}"
        )
        yield Finding("unknown_variable", source.variable, 1, message)
    else:
        yield from _of_the_site(source)


def _blanks(where: str, record: object, keys: Collection[str]) -> Iterator[Finding]:
    for key in keys:
        value = getattr(record, key)
        values = value.values() if isinstance(value, Mapping) else [value]
        if any(isinstance(text, str) and not text.strip() for text in values):
            yield _blank(where, key.removeprefix("value_"), getattr(record, "column", key))


def _blank(where: str, key: str, column: str) -> Finding:
    return Finding(
        "blank",
        column,
        1,
        f"{where} {key} must be stated. Fill in the blank, or remove what cannot be stated from "
        "the mapping.",
    )


def _needs_no_unit(source: ColumnMapping) -> bool:
    """Return whether a blank unit is complete: for flags, categories, scores and ratios."""
    variable = VARIABLES.get(base_name(source.variable))
    if is_not_done(source.variable):
        return True
    if variable is None:
        return source.kind in ("flag", "category")
    return variable.kind != "number" or canonical_unit_spelling(variable, "") is not None


def _against_the_catalogue(source: ColumnMapping, variable: Variable) -> Iterator[Finding]:
    own = [key for key in _SITE_KEYS if getattr(source, key) is not None]
    if own:
        message = (
            f"{variable.name} is in the catalogue, so the mapping must not describe it; it "
            f"states {', '.join(own)}. Remove these keys, or choose another name."
        )
        yield Finding("site_variable", variable.name, 1, message)
    stated = [source.unit, source.unit_column]
    yield from _unit_of_a_word(source, variable.name, variable.kind)
    if None not in stated:
        message = f"{variable.name} must state unit or unit_column; the mapping states both."
        yield Finding("unit", variable.name, 1, message)
    in_periods = bool(source.periods) and all(period.unit for period in source.periods)
    if stated == [None, None] and not in_periods and not _needs_no_unit(source):
        yield _blank(f'[columns."{source.column}"]', "unit", source.column)


def _unit_of_a_word(source: ColumnMapping, name: str, kind: str | None) -> Iterator[Finding]:
    """Yield that a flag or a category must have no unit, if the mapping states one."""
    if kind in ("flag", "category") and ((source.unit or "").strip() or source.unit_column):
        message = f"{name} is a {kind} and must have no unit. Remove the unit from the mapping."
        yield Finding("unit", name, 1, message)


def _of_a_state(source: ColumnMapping) -> Iterator[Finding]:
    """Yield that a flag of "recorded as not done" must state nothing that belongs to a value."""
    stated = [key for key in (*_OF_VALUES, *_SITE_KEYS) if getattr(source, key)]
    if stated:
        name = source.variable
        message = (
            f"{name} records where {base_name(name)} has no value, so the mapping must not state "
            f"{', '.join(stated)} for it. Remove these keys."
        )
        yield Finding("not_done_with_value", name, 1, message)


def _of_the_site(source: ColumnMapping) -> Iterator[Finding]:
    name, wrong = source.variable, []
    if source.kind not in get_args(Kind):
        wrong.append(f"kind one of {', '.join(get_args(Kind))}")
    if source.pathway not in PATHWAYS:
        wrong.append(f"pathway one of {', '.join(PATHWAYS)}")
    if not _SITE_NAME.fullmatch(name) or name in RESERVED_NAMES:
        wrong.append("a name of letters, digits and single underscores that is not reserved")
    if source.unit_column is not None or any(period.unit for period in source.periods):
        wrong.append("one unit")
    if wrong:
        message = f"{name} must have {' and '.join(wrong)}."
        yield Finding("site_variable", name, 1, message)
    elif source.kind == "number" and source.unit is None:
        message = (
            f'[columns."{source.column}"] unit must be stated. Fill it in, or write "1" for a '
            "number that has no unit, such as a ratio or a relative abundance."
        )
        yield Finding("blank", source.column, 1, message)
    else:
        yield from _unit_of_a_word(source, name, source.kind)
