"""What each column of a table is read as: the mapping file and the catalogue's names, resolved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from data_schema.biomarkers import VARIABLES
from data_schema.delayed_entry import WHAT_TO_DO
from data_schema.errors import Finding
from data_schema.mapping.file import (
    ENTRY,
    CohortMapping,
    ColumnMapping,
    IdMapping,
    OutcomeMapping,
    TreatmentLimitsMapping,
)
from data_schema.mapping.rules import (
    ID_COLUMNS,
    SIMULATED,
    TREATMENT_LIMITED,
    TREATMENT_LIMITED_DAYS,
    column_problems,
    mapping_problems,
    named_columns,
    outcome_columns,
)
from data_schema.outcomes import ENDPOINTS, Outcome
from data_schema.variables import Kind, Variable, base_name, is_not_done

__all__ = ["CohortPlan", "FeatureSource", "plan_cohort"]


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """One feature, the variable it belongs to, and the site's column it is read from."""

    feature: str
    variable: Variable
    source: ColumnMapping


@dataclass(frozen=True, slots=True)
class CohortPlan:
    """How a table is read.

    Parameters
    ----------
    ids : IdMapping
        Columns that the table has; None for those that it lacks.
    outcome : OutcomeMapping or None
        None when the cohort is only to be scored, or the outcome cannot be read.
    other_outcomes : tuple of (Outcome, OutcomeMapping)
        Further outcomes that can be read, to be compared with the requested one.
    treatment_limits : TreatmentLimitsMapping
        Columns that the table has; None for those that it lacks.
    features : tuple of FeatureSource
    ignored : tuple of str
        Columns that are neither mapped nor in the catalogue.
    beside_outcome : tuple of str
        Columns that hold neither an identifier nor an outcome.
    known_at_time_zero : frozenset of str
        Features whose name the leakage linter does not check: those of the catalogue, and those
        that the mapping declares so.
    """

    ids: IdMapping
    outcome: OutcomeMapping | None
    other_outcomes: tuple[tuple[Outcome, OutcomeMapping], ...]
    treatment_limits: TreatmentLimitsMapping
    features: tuple[FeatureSource, ...]
    ignored: tuple[str, ...]
    beside_outcome: tuple[str, ...]
    known_at_time_zero: frozenset[str]


def plan_cohort(
    columns: Collection[str], mapping: CohortMapping, outcome: Outcome | None
) -> tuple[CohortPlan, list[Finding]]:
    """Return how a table with the given columns is read, and what is wrong with the mapping.

    The mapping may be empty: columns that bear a name of the catalogue are then in canonical units.
    """
    findings = list(mapping_problems(mapping, columns))
    ids = _ids(mapping.ids, columns)
    outcome_source: OutcomeMapping | None = None
    if outcome is not None:
        outcome_source, problems = _outcome(mapping, outcome, columns)
        findings += problems
    of_site = {c.variable.strip(): c for c in mapping.columns.values() if c.kind is not None}
    features: list[FeatureSource] = []
    for source in _sources(mapping, columns, of_site):
        problems = list(column_problems(source, of_site=of_site))
        findings += problems
        features += [] if problems else [_feature(source, of_site)]
    limits = _limits(mapping.treatment_limits, columns)
    findings += [
        *_repeated(features),
        *_without_dates(features, ids),
        *_limits_as_predictors(features, limits),
    ]
    used = {*named_columns(mapping), *_reserved(ids), *(f.source.column for f in features)}
    of_outcomes = {*_reserved(ids), *outcome_columns(mapping), limits.limited, limits.days}
    return (
        CohortPlan(
            ids=ids,
            outcome=outcome_source,
            other_outcomes=tuple(_others(mapping, outcome, columns)),
            treatment_limits=limits,
            features=tuple(features),
            ignored=tuple(column for column in columns if column not in used),
            beside_outcome=tuple(column for column in columns if column not in of_outcomes),
            known_at_time_zero=frozenset(
                f.feature
                for f in features
                if f.source.known_at_time_zero or f.variable.name in VARIABLES
            ),
        ),
        findings,
    )


def _ids(stated: IdMapping, columns: Collection[str]) -> IdMapping:
    """Return the identifiers' columns that the table has, by the mapping or by their own names."""
    present: dict[str, str | None] = {}
    for key in ID_COLUMNS:
        column = getattr(stated, key) or key
        present[key] = column if column in columns else None
    return replace(stated, **present)


def _limits(stated: TreatmentLimitsMapping, columns: Collection[str]) -> TreatmentLimitsMapping:
    """Return the columns on limited treatment, by the mapping or by their own names."""
    own = {"limited": TREATMENT_LIMITED, "days": TREATMENT_LIMITED_DAYS}
    names = {key: getattr(stated, key) or name for key, name in own.items()}
    present = {key: name if name in columns else None for key, name in names.items()}
    return replace(stated, limited=present["limited"], days=present["days"])


def _limits_as_predictors(
    features: Sequence[FeatureSource], limits: TreatmentLimitsMapping
) -> Iterator[Finding]:
    """Yield predictors that are read from a column on limited treatment."""
    for feature in features:
        if feature.source.column in (limits.limited, limits.days):
            message = (
                f"{feature.feature} must not be a predictor, since its column says whether "
                "treatment was limited, which foretells death. Remove it from [columns]."
            )
            yield Finding("leak_name", feature.feature, 1, message)


def _reserved(ids: IdMapping) -> Iterator[str]:
    """Yield the columns of identifiers, and those that any cohort may have by its own name."""
    yield from (SIMULATED, TREATMENT_LIMITED, TREATMENT_LIMITED_DAYS)
    yield from filter(None, (getattr(ids, key) for key in ID_COLUMNS))
    for entry in ENDPOINTS.values():
        yield from (entry.days_column, entry.event_column)


def _outcome(
    mapping: CohortMapping, outcome: Outcome, columns: Collection[str]
) -> tuple[OutcomeMapping | None, list[Finding]]:
    """Return the columns that state the outcome, or what is missing."""
    stated = mapping.outcomes.get(outcome.endpoint)
    where = f"[outcome.{outcome.endpoint}]"
    if stated is None:
        absent = [c for c in (outcome.days_column, outcome.event_column) if c not in columns]
        own = OutcomeMapping(days=outcome.days_column, event=outcome.event_column)
        advice = f"or {where} of a mapping file must name the outcome's columns."
        return (None if absent else own), [
            Finding("missing_column", c, 1, f"{c} must be a column of the cohort, {advice}")
            for c in absent
        ]
    keys = {"days", "event", "event_date", "last_seen_date", "competing_date", "horizon_days"}
    stated_keys = {key for key in keys if getattr(stated, key) is not None}
    if stated_keys not in _ways(outcome):
        dates = "event_date, last_seen_date"
        dates += "" if outcome.competing_label is None else ", competing_date"
        message = f"{where} must state days and event, or {dates}, or horizon_days and event."
        return None, [Finding("outcome_mapping", outcome.endpoint, 1, message)]
    # What is blank or absent among these has been reported with the rest of the mapping.
    readable = all(getattr(stated, key) in columns for key in stated_keys - {"horizon_days"})
    entry = _entry(stated, where, outcome)
    readable &= not entry and (stated.entry_days is None or stated.entry_days in columns)
    return (stated if readable else None), entry


def _entry(stated: OutcomeMapping, where: str, outcome: Outcome) -> list[Finding]:
    """Return why the stated entry into observation cannot be used, if one is stated."""
    if stated.entry_days is None and stated.time_zero is None:
        return []
    if stated.days is None or not stated.entry_days:
        message = f"{where} must state entry_days, days and event together where days count from "
        message += "entry. Dates count from time_zero in [ids]: name the date of entry there."
        return [Finding("outcome_mapping", outcome.endpoint, 1, message)]
    if stated.time_zero != ENTRY:
        message = (
            f'{where} with entry_days must state time_zero = "{ENTRY}": {stated.entry_days} is a '
            f"delayed entry. {WHAT_TO_DO}."
        )
        return [Finding("delayed_entry", stated.entry_days, 1, message)]
    return []


def _others(
    mapping: CohortMapping, outcome: Outcome | None, columns: Collection[str]
) -> Iterator[tuple[Outcome, OutcomeMapping]]:
    for endpoint, other in ENDPOINTS.items():
        if outcome is not None and endpoint != outcome.endpoint:
            source, _ = _outcome(mapping, other, columns)
            if source is not None:
                yield other, source


def _ways(outcome: Outcome) -> tuple[set[str], ...]:
    """Return the three sets of keys that state an outcome."""
    dates = {"event_date", "last_seen_date"}
    dates |= set() if outcome.competing_label is None else {"competing_date"}
    return {"days", "event"}, dates, {"horizon_days", "event"}


def _sources(
    mapping: CohortMapping, columns: Collection[str], of_site: Collection[str]
) -> Iterator[ColumnMapping]:
    """Yield the columns that become features: those mapped, then those with a catalogue's name.

    A flag of "recorded as not done" bears the name of its variable, the site's own included.
    """
    for source in mapping.columns.values():
        undecided = not source.variable.strip() or "" in source.value_map.values()
        if source.column in columns and not undecided:
            yield replace(source, variable=source.variable.strip())
    named = {*named_columns(mapping)}
    for column in columns:
        variable = VARIABLES.get(base_name(column))
        if column in named:
            continue
        if is_not_done(column) and (variable is not None or base_name(column) in of_site):
            yield ColumnMapping(column=column, variable=column)
        elif variable is not None:
            # Only numbers have a unit; a variable of another kind must not state any.
            yield ColumnMapping(column=column, variable=column, unit=variable.unit or None)


def _feature(source: ColumnMapping, of_site: Mapping[str, ColumnMapping]) -> FeatureSource:
    name = base_name(source.variable)
    described = of_site.get(name, source) if is_not_done(source.variable) else source
    return FeatureSource(source.variable, VARIABLES.get(name) or _site_variable(described), source)


def _site_variable(source: ColumnMapping) -> Variable:
    """Return the record of a variable of the site's own; its one unit is the canonical one."""
    kind: Kind = next(kind for kind in get_args(Kind) if kind == source.kind)
    unit = (source.unit or "").strip() if kind == "number" else ""
    return Variable(
        name=source.variable,
        label=source.label or source.variable,
        pathway=source.pathway or "",
        kind=kind,
        unit=unit,
        units={unit: 1.0} if unit else {},
        low=source.low,
        high=source.high,
        note="Declared by the site's mapping file.",
    )


def _repeated(features: Sequence[FeatureSource]) -> Iterator[Finding]:
    by_feature: dict[str, list[str]] = {}
    for feature in features:
        by_feature.setdefault(feature.feature, []).append(feature.source.column)
    for name, columns in by_feature.items():
        if len(columns) > 1:
            message = (
                f"{name} must be read from one column; {len(columns)} are mapped to it: "
                f"{', '.join(columns)}. Leave all but one out."
            )
            yield Finding("duplicate_variable", name, len(columns), message)


def _without_dates(features: Sequence[FeatureSource], ids: IdMapping) -> Iterator[Finding]:
    for feature in features:
        if feature.source.periods and ids.time_zero is None:
            message = (
                f"{feature.feature} has periods, so [ids] must name a time_zero. Name the column."
            )
            yield Finding("period", feature.feature, 1, message)
