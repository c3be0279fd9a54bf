"""Read a cohort as a model requires it, and compute its risks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import Finding, RulesBroken, UsageError
from data_schema.mapping.file import CohortMapping, ColumnMapping
from data_schema.outcomes import FROM_ENTRY
from data_schema.table.check import check_cohort
from data_schema.table.derived import parts_of
from data_schema.variables import base_name, is_state
from models.bulk_contributions import bulk_tree_contributions
from models.fitting.updated_model import SITE
from models.inference.columns import columns_read
from models.inference.contract import Contract, Feature
from models.inference.risk_model import InferenceError, RiskModel
from training.cohorts.policy import policy_columns, with_age

__all__ = [
    "ABOUT_PATIENTS",
    "ReadForModel",
    "cohort_for_model",
    "read_for_model",
    "score",
    "score_table",
]

_LOG = logging.getLogger(__name__)

ABOUT_PATIENTS = frozenset({"category", "hidden_cells", "ids_of_sites", "sheets_not_read"})
"""Warnings on which patients are scored, and on what is read of them."""


def cohort_for_model(
    table: pd.DataFrame,
    contract: Contract,
    *,
    outcome: str | None,
    mapping: CohortMapping | None = None,
) -> Cohort:
    """Return a table as a checked cohort with every column that a model reads.

    The model's own variables need no mapping: a column of the same name is read as the contract
    describes it. An empty column means "not entered"; an absent one is an error, since it may have
    been forgotten. For a cohort that is only to be scored, deaths, comfort care, the moment of the
    request and dates of birth are read as `training.cohorts.policy` describes.

    Parameters
    ----------
    outcome : str or None
        Name of the outcome to read; None if the cohort is only to be scored.

    Returns
    -------
    Cohort
        `features` holds the model's columns, and others that its guard and the policy may read.
    """
    read = read_for_model(table, contract, outcome=outcome, mapping=mapping)
    _LOG.info(
        "checked %d rows: %d fatal, %d warnings about the data",
        len(table),
        len(read.fatal),
        len(read.warnings),
    )
    for warning in read.warnings:
        if warning.rule in ABOUT_PATIENTS:
            _LOG.warning("[%s] %s", warning.rule, warning.message)
    return read.usable_cohort()


@dataclass(frozen=True, slots=True)
class ReadForModel:
    """A table as a model reads it.

    Parameters
    ----------
    cohort : Cohort or None
        None if a rule is fatal.
    fatal, warnings : tuple of Finding
        Rules that the table breaks.
    absent : tuple of Finding
        Columns that the model reads and the table lacks, if nothing else is fatal.
    """

    cohort: Cohort | None
    fatal: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    absent: tuple[Finding, ...]

    def usable_cohort(self) -> Cohort:
        """Return the cohort; raise `RulesBroken` if there is none, or a column is absent."""
        if self.cohort is None:
            raise RulesBroken(self.fatal)
        if self.absent:
            raise RulesBroken(self.absent)
        return self.cohort


def read_for_model(
    table: pd.DataFrame,
    contract: Contract,
    *,
    outcome: str | None,
    mapping: CohortMapping | None = None,
    tolerated: frozenset[str] = frozenset(),
) -> ReadForModel:
    """Return a table as `cohort_for_model` reads it, with every rule that it breaks.

    Rules in `tolerated` only warn.
    """
    stated = mapping or CohortMapping()
    if outcome is None:
        stated = replace(stated, outcomes=MappingProxyType({}))
    stays = pd.DataFrame(index=range(len(table)))
    if outcome is None:
        policy = policy_columns(table, mapping or CohortMapping())
        table, births = with_age(table, mapping or CohortMapping())
        stays = pd.concat([policy, births], axis=1)
    read, described = _only_read(table, _with_own_variables(stated, table, contract), contract)
    checked = check_cohort(read, outcome=outcome, mapping=described, tolerated=tolerated)
    report, cohort = checked.report, checked.cohort
    if cohort is None:
        return ReadForModel(None, report.fatal, report.warnings, ())
    if cohort.outcome is not None:
        _same_clock(cohort.outcome, contract)
    features = cohort.features.copy()
    if SITE in {feature.name for feature in contract.features}:
        # A model that was updated by site reads the identifier; a site that is not stated is empty.
        features[SITE] = None if cohort.site is None else cohort.site
    missing = [f for f in contract.features if f.name not in features]
    absent = tuple(_absent(missing, cohort))
    for feature in missing:
        if cohort.not_done is not None and feature.name in cohort.not_done:
            features[feature.name] = cohort.not_done[feature.name]
        else:
            features[feature.name] = _empty(feature, len(features))
    features = features.assign(**{str(name): stays[name].to_numpy() for name in stays})
    cohort = replace(
        cohort,
        features=features,
        population=contract.population,
        simulated=contract.simulated or cohort.simulated,
    )
    return ReadForModel(cohort, report.fatal, report.warnings, absent)


def _same_clock(outcome: OutcomeData, contract: Contract) -> None:
    """Refuse days from entry for a model of days from another time zero, and the reverse."""
    if outcome.from_entry != (contract.time_zero == FROM_ENTRY):
        cohort = FROM_ENTRY if outcome.from_entry else "another time zero than entry"
        raise UsageError(
            f"days must count from the model's time zero ({contract.time_zero}); those of the "
            f"cohort count from {cohort}. Correct entry_days and time_zero in the mapping file."
        )


def score_table(
    table: pd.DataFrame,
    risk_model: RiskModel,
    *,
    mapping: CohortMapping | None = None,
    horizons_days: Sequence[float] | None = None,
    explain: bool = False,
) -> pd.DataFrame:
    """Return the risks of a table, or of a part of one, that no outcome is read of.

    Parameters
    ----------
    table : DataFrame, shape (n_stays, ...)
        One row per stay, as `data_schema.table.files.read_table` gives it.
    risk_model, horizons_days, explain
        As for `score`.
    mapping : CohortMapping, optional
        The meaning of the site's columns.

    Returns
    -------
    DataFrame, shape (n_stays * n_horizons, ...)
        As from `score`, in the order of the table.

    Raises
    ------
    RulesBroken, UsageError
        As `cohort_for_model` and `score` raise them.
    """
    cohort = cohort_for_model(table, risk_model.contract, outcome=None, mapping=mapping)
    return score(risk_model, cohort, horizons_days=horizons_days, explain=explain)


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
    cohort : Cohort
        From `cohort_for_model`.
    horizons_days : sequence of float, optional
        Default: the model's default horizons.
    explain : bool
        Whether to add `contribution__<variable>` and `points__<variable>`, which many rows get by
        `models.bulk_contributions`.

    Returns
    -------
    DataFrame
        Rows of refused patients have an empty risk.
    """
    frame = cohort.features.assign(patient_id=cohort.patient_id, stay_id=cohort.stay_id)
    if cohort.time_zero is not None:
        frame["time_zero"] = cohort.time_zero
    in_bulk = risk_model.with_tree_contributions(bulk_tree_contributions)
    try:
        prediction = in_bulk.predict(frame, horizons_days, explain=explain)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    return prediction.to_frame(frame)


def _with_own_variables(
    mapping: CohortMapping, table: pd.DataFrame, contract: Contract
) -> CohortMapping:
    """Add the unmapped columns that have the name of a variable of the model's own."""
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
        and feature.name != SITE
        and feature.name not in VARIABLES
        and feature.name not in taken
        and feature.name in table
    }
    return replace(mapping, columns=MappingProxyType({**mapping.columns, **own}))


def _only_read(
    table: pd.DataFrame, mapping: CohortMapping, contract: Contract
) -> tuple[pd.DataFrame, CohortMapping]:
    """Leave out predictors that the model does not read, so that their values do not matter.

    What a variable without a column can be derived from is read in its place.
    """
    read = {base_name(column) for column in columns_read(contract)}
    of_table = {base_name(str(name)) for name in table.columns}
    of_table |= {base_name(column.variable.strip()) for column in mapping.columns.values()}
    read |= set(parts_of(frozenset(read), frozenset(of_table)))
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
    columns = {name: column for name, column in mapping.columns.items() if name not in unread}
    return (
        table.drop(columns=[name for name in table.columns if str(name) in unread]),
        replace(mapping, columns=MappingProxyType(columns)),
    )


def _absent(missing: Sequence[Feature], cohort: Cohort) -> Iterator[Finding]:
    """Yield a finding for each absent column; an empty one was dropped with its reason."""
    for feature in missing:
        name = feature.name
        if name not in cohort.dropped and not is_state(name):
            yield Finding(
                "missing_column",
                name,
                1,
                f"{name} is read by the model but is not a column of the cohort. "
                "Add it (empty if it is not entered), or map one of your columns to it.",
            )


def _empty(feature: Feature, n_rows: int) -> pd.Series[Any]:
    """Return a column of "not entered", or of 0 for a flag about a value."""
    if feature.kind == "category":
        return pd.Series([None] * n_rows, dtype=object)
    value = 0.0 if is_state(feature.name) else np.nan
    return pd.Series(np.full(n_rows, value))
