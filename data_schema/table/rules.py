"""Rules of a cohort as a whole, which no single column or row can break."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from data_schema.cohort import OutcomeData
from data_schema.errors import Finding
from data_schema.outcomes import EVENT, MIN_EVENTS, Outcome
from data_schema.table.identifiers import Identifiers
from data_schema.table.plan import CohortPlan
from data_schema.values import GROUPED_BY_POINTS, cell_texts
from data_schema.variables import BELOW, base_name, is_not_done, is_state

__all__ = [
    "LITTLE_TO_LEARN_FROM",
    "MIN_PATIENTS",
    "constant_features",
    "contradicting_outcomes",
    "ignored_columns",
    "not_a_table",
    "patients_not_treated",
    "thousands_points",
    "too_little_to_learn_from",
    "values_beside_not_done",
]

MIN_PATIENTS = 50
"""With fewer patients, neither a model nor any figure about it means anything."""

LITTLE_TO_LEARN_FROM = frozenset({"one_class", "too_few"})
"""Rules that a part of a cohort may break: a rare outcome is in few of its rows."""

_ADULT_YEARS = 18
_NAMED = 10


def not_a_table(table: pd.DataFrame) -> Iterator[Finding]:
    """Yield why a data frame cannot be read at all; `read_table` gives no such frame."""
    if table.empty:
        yield Finding("no_rows", "", 0, "cohort must have at least one row; it has 0.")
    repeated = int(table.columns.duplicated().sum())
    if repeated:
        message = f"columns must have different names; {repeated} repeat another. Rename them."
        yield Finding("duplicate_columns", "", repeated, message)


def constant_features(features: pd.DataFrame) -> Iterator[Finding]:
    """Yield features that are the same wherever they are measured."""
    for name in features.columns:
        if features[name].nunique() == 1 and not is_state(str(name)):
            count = int(features[name].notna().sum())
            message = (
                f"{name} should differ between patients; all {count} measured rows are the same. "
                "Check the column; nothing can be learned from it."
            )
            yield Finding("constant", str(name), count, message)


def values_beside_not_done(features: pd.DataFrame) -> Iterator[Finding]:
    """Yield variables with a value in rows that record them as not done.

    A number of samples of 0 is no value, and neither is a flag that none lies below its limit.
    """
    for flag in filter(is_not_done, map(str, features.columns)):
        name = base_name(flag)
        beside = [c for c in map(str, features.columns) if base_name(c) == name and c != flag]
        has_value = np.zeros(len(features), dtype=np.bool_)
        for column in beside:
            may_be_0 = column.endswith(("__count", "__hours_since", f"__{BELOW}"))
            values = features[column]
            has_value |= (values > 0 if may_be_0 else values.notna()).to_numpy()
        count = int((has_value & (features[flag] == 1.0).to_numpy()).sum())
        if count:
            message = (
                f"{name} must have no value where {flag} is 1; {count} of {len(features)} rows "
                "have both. Correct the value or the flag."
            )
            yield Finding("not_done_with_value", name, count, message)


def ignored_columns(plan: CohortPlan) -> Iterator[Finding]:
    """Yield how many columns are neither mapped nor in the catalogue, with the first names."""
    count = len(plan.ignored)
    if count:
        named = ", ".join(plan.ignored[:_NAMED]) + (", ..." if count > _NAMED else "")
        message = (
            f"columns must be named by the catalogue or the mapping; {count} are not and are "
            f"ignored: {named}."
        )
        yield Finding("ignored_columns", "", count, message)


def thousands_points(table: pd.DataFrame, plan: CohortPlan) -> Iterator[Finding]:
    """Yield columns whose points may separate thousands, in a table whose decimals have commas.

    These are the columns that state no decimal mark where another one states a comma.
    """
    marks = {
        feature.source.column: feature.source.decimal
        for feature in plan.features
        if feature.variable.kind == "number"
    }
    if plan.outcome is not None and plan.outcome.days is not None:
        marks[plan.outcome.days] = plan.outcome.decimal
    if "," not in marks.values():
        return
    for column in [name for name, mark in marks.items() if not mark]:
        if pd.api.types.is_numeric_dtype(table[column].dtype):
            continue
        texts = cell_texts(table[column]).dropna().astype(str)
        count = int(texts.str.fullmatch(GROUPED_BY_POINTS).sum())
        if count:
            message = (
                f"{column} must have one decimal mark; {count} of {len(table)} rows are written "
                "with a point that may separate thousands, as other columns have decimal commas. "
                "State decimal for the column in the mapping file."
            )
            yield Finding("ambiguous_number", column, count, message)


def patients_not_treated(features: pd.DataFrame) -> Iterator[Finding]:
    """Yield patients to whom no model applies: rules `under_18` and `pregnant`."""
    unknown = pd.Series(np.nan, index=features.index)
    young = features.get("age", unknown) < _ADULT_YEARS
    rows = {
        "under_18": ("age", f"be {_ADULT_YEARS} years or older", young),
        "pregnant": ("pregnant", "not be pregnant", features.get("pregnant", unknown) == 1.0),
    }
    for rule, (variable, must, broken) in rows.items():
        count = int(broken.sum())
        if count:
            message = (
                f"patients must {must} ({count} of {len(features)} rows break this rule). No "
                "model is trained on such patients or applies to them. Remove these rows."
            )
            yield Finding(rule, variable, count, message)


def too_little_to_learn_from(outcome_data: OutcomeData, ids: Identifiers) -> Iterator[Finding]:
    """Yield what a cohort lacks for any model to be fitted: rules `one_class` and `too_few`."""
    n_patients = len(np.unique(ids.patient_id.astype(str)))
    n_events = int((outcome_data.event == EVENT).sum())
    if n_events in (0, len(outcome_data.event)):
        message = (
            f"{outcome_data.name} must happen to some patients and not to others; all "
            f"{len(outcome_data.event)} rows are alike. Check the event column."
        )
        yield Finding("one_class", outcome_data.name, len(outcome_data.event), message)
    if n_patients < MIN_PATIENTS:
        message = f"cohort must have at least {MIN_PATIENTS} patients; it has {n_patients}."
        yield Finding("too_few", "patient_id", n_patients, message)
    if n_events < MIN_EVENTS:
        message = f"{outcome_data.name} must have at least {MIN_EVENTS} events; it has {n_events}."
        yield Finding("too_few", outcome_data.name, n_events, message)


def contradicting_outcomes(
    requested: tuple[Outcome, OutcomeData], other: tuple[Outcome, OutcomeData]
) -> Iterator[Finding]:
    """Yield events that come after death, or after the patient was lost to follow-up.

    The requested outcome and another of the same stays are compared; rule `event_after_censoring`.
    """
    (ending, death), (ended, event) = (
        (requested, other) if requested[0].is_death else (other, requested)
    )
    if death.horizon_days is not None or event.horizon_days is not None:
        return
    if not ending.is_death or ended.competing_label is None or _starts_before(ended, ending):
        return
    # The clock of the event starts no earlier than that of death, so its days can only be fewer.
    # A patient followed for death to the very end may still be followed for the event after it.
    was_lost = (death.event != EVENT) & (death.time_days < death.time_days.max())
    late = (event.time_days > death.time_days) & (
        (death.event == EVENT) | (was_lost & (event.event == EVENT))
    )
    count = int(late.sum())
    if count:
        message = (
            f"{event.name} must not come after death or after the patient was last seen "
            f"({count} of {len(late)} rows do). Correct days and events of both outcomes."
        )
        yield Finding("event_after_censoring", requested[1].name, count, message)


def _starts_before(first: Outcome, other: Outcome) -> bool:
    return bool(first.landmark and other.landmark and first.landmark.is_before(other.landmark))
