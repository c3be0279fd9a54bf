"""Read patients who arrived as monitoring needs them: values as stated, risks, and outcomes.

A cohort to learn from is refused where a unit cannot be right. Here that is what is looked for: the
values are compared as they were stated, and only then left out of what the model reads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.errors import Finding, RulesBroken, UsageError
from data_schema.mapping.file import CohortMapping
from data_schema.outcomes import OUTCOMES
from data_schema.table.check import WARNING_RULES
from data_schema.table.features import read_feature
from data_schema.table.identifiers import read_identifiers
from data_schema.table.outcomes import never_at_risk, read_outcome
from data_schema.table.plan import CohortPlan, FeatureSource, plan_cohort
from data_schema.units import in_range
from data_schema.values import cell_texts
from data_schema.variables import is_state
from models.inference.contract import Contract
from models.inference.risk_model import InferenceError, RiskModel
from models.monitoring.arrivals import Arrivals, ObservedOutcomes
from training.cohorts.groups import patient_groups
from training.score import cohort_for_model

__all__ = ["read_arrivals"]


@dataclass(frozen=True, slots=True)
class _AsStated:
    """The numbers of a table by its stated units, and the table without those out of range."""

    numbers: dict[str, NDArray[np.float64]]
    units: dict[str, tuple[float, float]]
    new_categories: dict[str, int]
    table: pd.DataFrame


def read_arrivals(
    table: pd.DataFrame, risk_model: RiskModel, *, mapping: CohortMapping | None = None
) -> Arrivals:
    """Return the patients of a table, with their risks and, where recorded, what happened.

    Parameters
    ----------
    table : DataFrame
        One row per stay, as for `osteon score`; the outcome's columns may be there, filled in as
        far as is known.
    risk_model : RiskModel
    mapping : CohortMapping, optional

    Raises
    ------
    RulesBroken
        If a rule is broken other than that a value lies outside its plausible range or in a unit
        that cannot be right.
    """
    contract = risk_model.contract
    stated = mapping or CohortMapping()
    table = table.reset_index(drop=True).rename(columns=str)
    known = OUTCOMES.get(contract.outcome)
    plan, _ = plan_cohort(table.columns, stated, known)
    if known is not None and plan.outcome is not None:
        never = never_at_risk(table, plan.outcome, known, plan.other_outcomes)
        table = table[~never].reset_index(drop=True)
    if table.empty:
        raise UsageError("the cohort must hold at least one stay at risk; it holds none.")
    as_stated = _as_stated(table, plan, contract)
    cohort = cohort_for_model(as_stated.table, contract, outcome=None, mapping=mapping)
    try:
        prediction = risk_model.predict(cohort.features, interval=False)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    numbers, texts, new = _features(cohort, contract, as_stated)
    groups = patient_groups(cohort)
    groups.pop("site", None)
    return Arrivals(
        stays=len(table),
        numbers=numbers,
        texts=texts,
        stated_units=as_stated.units,
        new_categories=new,
        horizons_days=tuple(map(float, prediction.horizons_days)),
        risk=prediction.risk,
        refused=np.array([status != "ok" for status in prediction.status]),
        patient=cohort.patient_id,
        site=cohort.site,
        groups=groups,
        outcomes=_outcomes(table, plan, contract),
    )


def _as_stated(table: pd.DataFrame, plan: CohortPlan, contract: Contract) -> _AsStated:
    """Return the model's numbers as their units were stated, and a table without the impossible."""
    read = {feature.name for feature in contract.features}
    time_zero = read_identifiers(table, plan.ids).time_zero
    numbers: dict[str, NDArray[np.float64]] = {}
    units: dict[str, tuple[float, float]] = {}
    new: dict[str, int] = {}
    blanked: dict[str, pd.Series] = {}
    for source in plan.features:
        if source.feature not in read:
            continue
        column = read_feature(table, source, time_zero)
        if source.variable.kind == "category":
            count = sum(f.count for f in column.findings if f.rule == "category")
            if count:
                new[source.feature] = count
            continue
        if column.as_stated is None or is_state(source.feature):
            continue
        numbers[source.feature] = column.as_stated
        units[source.feature] = _stated_unit(source)
        below = np.zeros(len(table), dtype=bool) if column.below is None else column.below
        impossible = ~in_range(source.variable, column.as_stated, below=below)
        impossible |= ~np.isfinite(column.as_stated)
        if column.values is None:
            impossible[:] = True
        if impossible.any():
            cells = table[source.source.column].astype(object)
            blanked[source.source.column] = cells.mask(pd.Series(impossible), None)
    return _AsStated(numbers, units, new, table.assign(**blanked))


def _stated_unit(source: FeatureSource) -> tuple[float, float]:
    """Return factor and offset of the unit of every row; those of the canonical one otherwise."""
    unit = source.source.unit or ""
    variable = source.variable
    if unit in variable.offset_units:
        return variable.offset_units[unit]
    return variable.units.get(unit, 1.0), 0.0


def _features(
    cohort: Cohort, contract: Contract, as_stated: _AsStated
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.object_]], dict[str, int]]:
    """Return numbers and texts of the model's columns, and stays with an unknown category."""
    numbers = dict(as_stated.numbers)
    texts: dict[str, NDArray[np.object_]] = {}
    new = dict(as_stated.new_categories)
    for feature in contract.features:
        column = cohort.features[feature.name]
        if feature.kind != "category":
            numbers.setdefault(feature.name, column.to_numpy(dtype=np.float64))
            continue
        cells = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
        texts[feature.name] = cells
        learned = {*feature.categories, None}
        unknown = sum(cell not in learned for cell in cells)
        if unknown:
            new[feature.name] = new.get(feature.name, 0) + unknown
    return numbers, texts, new


def _outcomes(table: pd.DataFrame, plan: CohortPlan, contract: Contract) -> ObservedOutcomes | None:
    """Return what is known of each stay; None where the table has no outcome."""
    known = OUTCOMES.get(contract.outcome)
    if known is None or plan.outcome is None:
        return None
    source = plan.outcome
    columns = [
        column
        for column in (source.days, source.event, source.event_date, source.last_seen_date)
        if column is not None and column in table
    ]
    if not columns:
        return None
    reported = np.zeros(len(table), dtype=bool)
    for column in columns:
        reported |= cell_texts(table[column]).notna().to_numpy(dtype=bool)
    if not reported.any():
        return None
    rows = table[reported].reset_index(drop=True)
    time_zero = read_identifiers(rows, plan.ids).time_zero
    outcome, findings = read_outcome(rows, source, known, time_zero)
    fatal: list[Finding] = [one for one in findings if one.rule not in WARNING_RULES]
    if fatal or outcome is None:
        raise RulesBroken(fatal)
    time, event = np.full(len(table), np.nan), np.zeros(len(table), dtype=np.int64)
    time[reported], event[reported] = outcome.time_days, outcome.event
    return ObservedOutcomes(time, event)
