"""Turn the raw columns of a public table into the features of a cohort, one line per column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort, OutcomeData, TreatmentLimits
from data_schema.delayed_entry import refuse_delayed_entry
from data_schema.errors import DataError
from data_schema.variables import Variable

__all__ = ["NOMINAL_HORIZON_DAYS", "Column", "adapt_table", "add_columns", "known_at"]

NOMINAL_HORIZON_DAYS = 1.0
"""Horizon of an outcome without a time: already present, or within an undocumented window."""


@dataclass(frozen=True, slots=True)
class Column:
    """The definition of one feature by its raw column.

    Parameters
    ----------
    source : str
        Name in the raw table.
    variable : Variable
        Its variable; numbers outside the plausible range are recording errors.
    codes : mapping
        Raw code -> flag value or category; a code that is not listed is missing. Empty: unchanged.
    missing : tuple
        Raw values that stand for "not measured".
    unit : str
        UCUM unit of the raw numbers, which the variable must accept; empty if canonical.
    suffix : str
        Feature suffix (`first`, `max`, ...); empty for the variable itself.
    """

    source: str
    variable: Variable
    codes: Mapping[Any, float | str] = field(default_factory=dict)
    missing: tuple[float | str, ...] = ()
    unit: str = ""
    suffix: str = ""

    @property
    def feature(self) -> str:
        """Name of the feature column."""
        return f"{self.variable.name}__{self.suffix}" if self.suffix else self.variable.name


def _feature_values(raw: pd.Series, column: Column) -> pd.Series:
    """Return the values of one feature.

    A number outside the plausible range of its variable cannot be that quantity (an albumin of
    29 g/dL, the mean arterial pressure of a stopped heart) and becomes missing; in a user's
    own cohort the check would refuse it.
    """
    values = raw.astype(object).where(raw.notna() & ~raw.isin(list(column.missing)), None)
    if column.codes:
        values = values.map(column.codes).astype(object)
    if column.variable.kind == "category":
        texts = [None if pd.isna(value) else str(value) for value in values]
        return pd.Series(texts, index=raw.index, dtype=object)
    numbers = pd.to_numeric(values).astype(np.float64)
    if column.unit:
        numbers = numbers * column.variable.units[column.unit]
    low, high = column.variable.low, column.variable.high
    return numbers.where(
        numbers.between(-np.inf if low is None else low, np.inf if high is None else high)
    )


def add_columns(cohort: Cohort, raw: pd.DataFrame, *columns: Column) -> Cohort:
    """Add features that the adapter of a data set leaves out."""
    values = {column.feature: _feature_values(raw[column.source], column) for column in columns}
    added = {column.feature: column.variable for column in columns}
    return replace(
        cohort,
        features=pd.concat([cohort.features, pd.DataFrame(values)], axis=1),
        variables={**cohort.variables, **added},
    )


def known_at(name: str, happened: pd.Series, horizon_days: float) -> OutcomeData:
    """Return an outcome of which only "by the horizon, or not" is known."""
    return OutcomeData(
        name=name,
        time_days=np.full(len(happened), horizon_days),
        event=happened.to_numpy(dtype=np.int64),
        horizon_days=horizon_days,
    )


def adapt_table(
    table: pd.DataFrame,
    columns: Sequence[Column],
    *,
    identifiers: Iterable[str],
    dropped: Mapping[str, str],
    patient_id: pd.Series,
    outcome: OutcomeData,
    name: str,
    population: str,
    site: NDArray[np.object_] | None = None,
    treatment_limits: TreatmentLimits | None = None,
) -> Cohort:
    """Return the cohort of a raw table, of which every column must be accounted for.

    A column that is by its values a delayed entry is refused, whether it is used or dropped.

    Parameters
    ----------
    identifiers : iterable of str
        Raw columns that hold identifiers, times and the outcome.
    dropped : mapping of str to str
        Raw columns left out on purpose -> reason.
    """
    identifiers = set(identifiers)
    declared = {c.source for c in columns} | identifiers | set(dropped)
    unknown = sorted(set(table.columns) - declared)
    absent = sorted(declared - set(table.columns))
    if unknown or absent:
        raise DataError(
            f"{name} must hold exactly the columns its adapter knows; "
            f"unknown: {unknown or 'none'}, absent: {absent or 'none'}. "
            "Is this another version of the file?"
        )
    if outcome.horizon_days is None:
        beside = table.drop(columns=list(identifiers))
        refuse_delayed_entry(beside, outcome.time_days)
    features = {c.feature: _feature_values(table[c.source], c) for c in columns}
    patients = patient_id.astype(str).to_numpy(dtype=object)
    return Cohort(
        features=pd.DataFrame(features).reset_index(drop=True),
        variables={c.variable.name: c.variable for c in columns},
        patient_id=patients,
        stay_id=patients,
        outcome=outcome,
        site=site,
        treatment_limits=treatment_limits,
        name=name,
        population=population,
        dropped=dict(dropped),
    )
