"""A cohort as a model reads it, and the file of its risks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.errors import Finding, RulesBroken, UsageError
from data_schema.mapping.file import CohortMapping, ColumnMapping
from data_schema.variables import BELOW, base_name
from models.inference.columns import columns_read
from models.inference.contract import Contract, Feature
from models.inference.risk_model import InferenceError, RiskModel
from training.cohorts.study import check_table

__all__ = ["cohort_for_model", "score"]


def cohort_for_model(
    table: pd.DataFrame,
    contract: Contract,
    *,
    outcome: str | None,
    mapping: CohortMapping | None = None,
) -> Cohort:
    """Return a table as a checked cohort with every column that a model reads.

    The model's own variables need no mapping: a column that bears the name of one is read as the
    contract describes it. A column that is there but empty is "not measured"; one that is absent is
    an error, since nobody can tell whether it was forgotten.

    Parameters
    ----------
    table : DataFrame
        One row per stay.
    contract : Contract
        The model's.
    outcome : str or None
        Name of the outcome to read; None where the cohort is only to be scored.
    mapping : CohortMapping, optional
        What the site's columns are.

    Returns
    -------
    Cohort
        `features` holds the model's columns, and others that its guard may read.

    Raises
    ------
    RulesBroken
        With every fatal rule, or rule `missing_column`.
    """
    stated = mapping or CohortMapping()
    if outcome is None:
        stated = replace(stated, outcomes=MappingProxyType({}))
    read, described = _only_read(table, _with_own_variables(stated, table, contract), contract)
    checked = check_table(read, outcome=outcome, mapping=described)
    if checked.cohort is None:
        raise RulesBroken(checked.report.fatal)
    cohort = checked.cohort
    features = cohort.features.copy()
    missing = [f for f in contract.features if f.name not in features]
    absent = list(_absent(missing, cohort))
    if absent:
        raise RulesBroken(absent)
    for feature in missing:
        features[feature.name] = _empty(feature, len(features))
    return replace(
        cohort,
        features=features,
        population=contract.population,
        simulated=contract.simulated,
    )


def score(
    risk_model: RiskModel,
    cohort: Cohort,
    *,
    horizons_days: Sequence[float] | None = None,
    explain: bool = False,
) -> pd.DataFrame:
    """Return one row per patient and horizon, with the columns of the MLflow model.

    Parameters
    ----------
    risk_model : RiskModel
    cohort : Cohort
        From `cohort_for_model`.
    horizons_days : sequence of float, optional
        The model's default horizons without it.
    explain : bool
        Whether to add `contribution__<variable>` and `points__<variable>`.

    Returns
    -------
    DataFrame
        Refused patients stay, with an empty risk.

    Raises
    ------
    UsageError
        If a horizon lies outside the model's range.
    """
    frame = cohort.features.assign(patient_id=cohort.patient_id, stay_id=cohort.stay_id)
    if cohort.time_zero is not None:
        frame["time_zero"] = cohort.time_zero
    try:
        prediction = risk_model.predict(frame, horizons_days, explain=explain)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    return prediction.to_frame(frame)


def _with_own_variables(
    mapping: CohortMapping, table: pd.DataFrame, contract: Contract
) -> CohortMapping:
    """Add the columns that bear the name of a variable of the model's own, unless mapped."""
    taken = {*mapping.columns, *(column.variable for column in mapping.columns.values())}
    own = {
        feature.name: ColumnMapping(
            column=feature.name,
            variable=feature.name,
            unit=feature.unit if feature.kind == "number" else None,
            kind=feature.kind,
            pathway=feature.pathway,
            label=feature.label,
            low=feature.low,
            high=feature.high,
            known_at_time_zero=True,
        )
        for feature in contract.features
        if feature.name == feature.variable
        and feature.name not in VARIABLES
        and feature.name not in taken
        and feature.name in table
    }
    return replace(mapping, columns=MappingProxyType({**mapping.columns, **own}))


def _only_read(
    table: pd.DataFrame, mapping: CohortMapping, contract: Contract
) -> tuple[pd.DataFrame, CohortMapping]:
    """Leave out predictors that the model does not read, so that nothing in them matters."""
    read = {base_name(column) for column in columns_read(contract)}
    unread = {
        name
        for name, column in mapping.columns.items()
        if column.variable.strip() and base_name(column.variable.strip()) not in read
    }
    unread |= {
        str(name)
        for name in table.columns
        if name not in mapping.columns and base_name(str(name)) in set(VARIABLES) - read
    }
    kept = {name: column for name, column in mapping.columns.items() if name not in unread}
    return (
        table.drop(columns=[name for name in table.columns if str(name) in unread]),
        replace(mapping, columns=MappingProxyType(kept)),
    )


def _absent(missing: Sequence[Feature], cohort: Cohort) -> Iterator[Finding]:
    """Yield the columns that are not there at all; an empty one was dropped with its reason."""
    for feature in missing:
        name = feature.name
        if name not in cohort.dropped and not name.endswith(f"__{BELOW}"):
            yield Finding(
                "missing_column",
                name,
                1,
                f"{name} must be a column of the cohort, since the model reads it; it is not. "
                "Add it, empty if nobody was measured, or map the site's column to it.",
            )


def _empty(feature: Feature, n_rows: int) -> pd.Series[Any]:
    """Return a column of "not measured", or of "not below a limit"."""
    if feature.kind == "category":
        return pd.Series([None] * n_rows, dtype=object)
    value = 0.0 if feature.name.endswith(f"__{BELOW}") else np.nan
    return pd.Series(np.full(n_rows, value))
