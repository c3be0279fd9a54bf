"""Check a table: the result is a cohort, or a report of every rule that it breaks.

All rules are tried in one pass. Each is reported with a count of rows and never with a value, and
a single fatal finding means that there is no cohort.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort, OutcomeData, TreatmentLimits
from data_schema.errors import Finding, UsageError
from data_schema.leakage.linter import find_leaks
from data_schema.mapping.file import CohortMapping
from data_schema.outcomes import Outcome
from data_schema.outcomes import outcome as known_outcome
from data_schema.table.derived import derive_absent
from data_schema.table.features import FeatureColumn, implausible, read_feature
from data_schema.table.files import READING
from data_schema.table.follow_up import incomplete_follow_up
from data_schema.table.identifiers import Identifiers, read_identifiers
from data_schema.table.outcomes import never_at_risk, read_outcome
from data_schema.table.plan import CohortPlan, FeatureSource, plan_cohort
from data_schema.table.plausible_follow_up import (
    FollowUp,
    follow_up_of,
    implausible_follow_up,
)
from data_schema.table.rules import (
    constant_features,
    contradicting_outcomes,
    ignored_columns,
    not_a_table,
    patients_not_treated,
    thousands_points,
    too_little_to_learn_from,
    values_beside_not_done,
)
from data_schema.table.treatment_limits import read_treatment_limits
from data_schema.variables import (
    BELOW,
    Variable,
    is_not_done,
    is_state,
    not_done_column,
)

__all__ = ["WARNING_RULES", "Checked", "Report", "check_cohort"]

WARNING_RULES = frozenset(
    {
        "above_limit",
        "all_missing",
        "assay_mixed",
        "category",
        "constant",
        "derived_differs",
        "derived_value",
        "entry_not_read",
        "events_at_end",
        "follow_up_unit",
        "hidden_cells",
        "ids_of_sites",
        "ignored_columns",
        "immortal_time",
        "leak_missing",
        "leak_not_done",
        "no_censored",
        "no_horizon",
        "no_patient_id",
        "not_at_risk",
        "several_stays",
        "sheets_not_read",
    }
)
"""Rules that warn; every other rule is fatal. `strict` makes `ignored_columns` fatal. Scoring only
warns of `under_18` and `pregnant`, since the model refuses those rows itself."""


_BLANKS_LISTED = 10


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong with a cohort of so many rows, and how long its patients were followed."""

    rows: int
    fatal: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    follow_up: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A report, and the cohort if nothing in the report is fatal."""

    report: Report
    cohort: Cohort | None


def check_cohort(
    table: pd.DataFrame,
    *,
    outcome: str | None,
    mapping: CohortMapping | None = None,
    strict: bool = False,
    tolerated: frozenset[str] = frozenset(),
) -> Checked:
    """Return a table as a cohort in canonical units, or every rule that it breaks.

    Parameters
    ----------
    table : DataFrame
        One row per stay, as `read_table` gives it or from a notebook.
    outcome : str or None
        A name in `OUTCOMES`; None for a cohort that is only to be scored.
    mapping : CohortMapping or None
        What the site's columns are. If None, columns bear the catalogue's names and are in
        canonical units, and the outcome is in `<endpoint>_days` and `<endpoint>_event`.
    strict : bool
        Whether a column that is neither mapped nor in the catalogue is fatal.
    tolerated : frozenset of str
        Further rules that only warn: those of leakage, where leaks are to be measured.
    """
    requested = None if outcome is None else known_outcome(outcome)
    if table.columns.nlevels > 1:
        raise UsageError(
            f"a cohort must have one level of column names; it has {table.columns.nlevels}."
        )
    table = table.reset_index(drop=True).rename(columns=str)
    unusable = tuple(not_a_table(table))
    if unusable:
        return Checked(Report(len(table), unusable, ()), None)
    n_rows = len(table)
    plan, findings = plan_cohort(table.columns, mapping or CohortMapping(), requested)
    findings += table.attrs.get(READING, ())
    table, nested = _without_nesting(table, plan)
    if nested:
        return Checked(Report(n_rows, tuple(nested), ()), None)
    table, problems = _at_risk(table, plan, requested)
    findings += problems
    person = [f.source.column for f in plan.features if f.feature in ("age", "sex")]
    ids = read_identifiers(table, plan.ids, person=person)
    findings += [*ids.findings, *thousands_points(table, plan)]
    outcome_data, problems = _read_outcome(table, plan, requested, ids)
    findings += problems
    limits, problems = read_treatment_limits(table, plan.treatment_limits, outcome_data)
    findings += problems
    features, variables, problems = _read_features(table, plan, ids)
    findings += [*problems, *ignored_columns(plan), *patients_not_treated(features)]
    features, variables, problems = derive_absent(features, variables)
    findings += problems
    followed: tuple[FollowUp, ...] = ()
    if requested is not None and outcome_data is not None:
        followed = (follow_up_of(requested, outcome_data),)
        findings += too_little_to_learn_from(outcome_data, ids)
        findings += implausible_follow_up(features, requested, outcome_data)
        findings += incomplete_follow_up(table, plan, requested, ids, outcome_data)
        findings += find_leaks(features, outcome_data, known_at_time_zero=plan.known_at_time_zero)
    scoring = requested is None
    fatal, warnings = _by_severity(findings, tolerated, strict=strict, scoring=scoring)
    cohort = None
    if not fatal:
        dropped = {f.variable: "all missing" for f in findings if f.rule == "all_missing"}
        cohort = _cohort(features, variables, ids, outcome_data, limits, dropped)
    return Checked(Report(n_rows, fatal, warnings, followed), cohort)


def _without_nesting(table: pd.DataFrame, plan: CohortPlan) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the table with lists and structs of ignored columns as text, and those of others."""
    findings = []
    for name in filter(lambda name: pd.api.types.is_object_dtype(table[name]), table.columns):
        is_nested = table[name].map(
            lambda cell: isinstance(cell, list | tuple | set | dict | np.ndarray)
        )
        count = int(is_nested.sum())
        if not count:
            continue
        if name not in plan.ignored:
            message = (
                f"{name} must hold one value in each cell; {count} of {len(table)} rows hold a "
                "list or a structure. Keep one value, or give each its own column."
            )
            findings.append(Finding("nested", name, count, message))
        table = table.assign(**{name: table[name].map(str)})
    return table, findings


def _at_risk(
    table: pd.DataFrame, plan: CohortPlan, outcome: Outcome | None
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the table without those who died before the outcome's time zero."""
    if outcome is None or plan.outcome is None:
        return table, []
    never = never_at_risk(table, plan.outcome, outcome, plan.other_outcomes)
    if not never.any() or never.all():
        return table, []
    count = int(never.sum())
    message = (
        f"{outcome.endpoint} counts from {outcome.time_zero}; {count} of {len(table)} rows have no "
        "days and no event of it and died, so they were never at risk and are left out."
    )
    finding = Finding("not_at_risk", outcome.endpoint, count, message)
    return table[~never].reset_index(drop=True), [finding]


def _by_severity(
    findings: Iterable[Finding], tolerated: frozenset[str], *, strict: bool, scoring: bool
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    warn = (WARNING_RULES | tolerated) - ({"ignored_columns"} if strict else set())
    warn |= {"under_18", "pregnant"} if scoring else set()
    distinct = _few_blanks(list(dict.fromkeys(findings)))
    return (
        tuple(finding for finding in distinct if finding.rule not in warn),
        tuple(finding for finding in distinct if finding.rule in warn),
    )


def _few_blanks(findings: list[Finding]) -> list[Finding]:
    """Return findings with many blanks of a mapping as one, which names the first columns."""
    blanks = [finding for finding in findings if finding.rule == "blank"]
    if len(blanks) <= _BLANKS_LISTED:
        return findings
    named = ", ".join(finding.variable for finding in blanks[:_BLANKS_LISTED])
    message = (
        f"the mapping must have no blank; {len(blanks)} entries are blank, the first for {named}. "
        "Fill them in, or remove what cannot be stated from the mapping."
    )
    rest = [finding for finding in findings if finding.rule != "blank"]
    return [Finding("blank", "", len(blanks), message), *rest]


def _read_outcome(
    table: pd.DataFrame, plan: CohortPlan, outcome: Outcome | None, ids: Identifiers
) -> tuple[OutcomeData | None, list[Finding]]:
    if outcome is None or plan.outcome is None:
        return None, []
    outcome_data, findings = read_outcome(table, plan.outcome, outcome, ids.time_zero)
    if outcome_data is not None:
        for other, mapped in plan.other_outcomes:
            also, _ = read_outcome(table, mapped, other, ids.time_zero)
            if also is not None:
                findings += contradicting_outcomes((outcome, outcome_data), (other, also))
    return outcome_data, findings


def _read_features(
    table: pd.DataFrame, plan: CohortPlan, ids: Identifiers
) -> tuple[pd.DataFrame, dict[str, Variable], list[Finding]]:
    """Return the features in canonical units, their variables, and the rules their values break."""
    findings: list[Finding] = []
    out_of_range: list[Finding] = []
    columns: dict[str, pd.Series[Any]] = {}
    variables: dict[str, Variable] = {}
    # Flags come first, so that what the cells themselves state is added to them.
    flags_first = sorted(plan.features, key=lambda f: not is_state(f.feature))
    for source in flags_first:
        read = read_feature(table, source, ids.time_zero)
        findings += read.findings
        if read.values is None:
            continue
        measured = pd.notna(read.values)
        if is_not_done(source.feature):
            if measured.any():
                variables[source.variable.name] = source.variable
                columns[source.feature] = pd.Series(np.where(measured, read.values, 0.0))
            continue
        if read.not_done.any():
            variables[source.variable.name] = source.variable
            _add_not_done(columns, source.variable.name, read.not_done)
        if not measured.any():
            findings.append(_all_missing(source.feature, len(table)))
            continue
        variables[source.variable.name] = source.variable
        below = _add(columns, source, read)
        if below is not None and (broken := implausible(source, read.values, below)):
            out_of_range.append(broken)
    features = pd.DataFrame(columns, index=range(len(table)))
    findings += [*out_of_range, *constant_features(features), *values_beside_not_done(features)]
    if all(map(is_not_done, columns)):
        message = (
            "cohort must have at least one usable variable; it has none. Use names of the "
            "catalogue, or a mapping file (osteon map drafts one)."
        )
        findings.append(Finding("no_variable", "", len(table), message))
    return features, variables, findings


def _add(
    columns: dict[str, pd.Series[Any]], source: FeatureSource, read: FeatureColumn
) -> NDArray[np.bool_] | None:
    """Add a feature and, where values are detection limits, the flag beside it.

    Return which numbers are detection limits; None if the feature is no number.
    """
    assert read.values is not None
    name, is_text = source.feature, read.values.dtype == object
    columns[name] = pd.Series(read.values, dtype=object if is_text else np.float64)
    if read.below is None:
        return None
    flag = f"{name}__{BELOW}"
    # The cohort may bring a flag of its own, for limits that its numbers do not show.
    below = read.below | (columns[flag] == 1.0).to_numpy() if flag in columns else read.below
    if name == source.variable.name and read.below.any():
        limits = pd.Series(read.below, dtype=np.float64)
        columns[flag] = limits.mask(columns[flag] == 1.0, 1.0) if flag in columns else limits
    return below


def _add_not_done(
    columns: dict[str, pd.Series[Any]], name: str, not_done: NDArray[np.bool_]
) -> None:
    """Add what the cells of a variable record as not done to its flag."""
    flag = not_done_column(name)
    already = (columns[flag] == 1.0).to_numpy() if flag in columns else False
    columns[flag] = pd.Series(not_done | already, dtype=np.float64)


def _all_missing(name: str, n_rows: int) -> Finding:
    message = (
        f"{name} must be measured in some patients; none of {n_rows} rows holds a value that could "
        "be read. It is left out."
    )
    return Finding("all_missing", name, n_rows, message)


def _cohort(
    features: pd.DataFrame,
    variables: dict[str, Variable],
    ids: Identifiers,
    outcome_data: OutcomeData | None,
    limits: TreatmentLimits | None,
    dropped: dict[str, str],
) -> Cohort:
    flags = [name for name in features.columns if is_not_done(name)]
    return Cohort(
        features=features.drop(columns=flags),
        not_done=features[flags] if flags else None,
        variables=variables,
        patient_id=ids.patient_id,
        stay_id=ids.stay_id,
        outcome=outcome_data,
        site=ids.site,
        time_zero=None if ids.time_zero is None else _iso_texts(ids.time_zero.at),
        dropped=dropped,
        treatment_limits=limits,
        population=_population(ids.simulated),
        simulated=bool(ids.simulated),
        scenario=ids.simulated,
    )


def _population(simulated_as: str) -> str:
    return f"Simulated patients ({simulated_as}), not real people" if simulated_as else ""


def _iso_texts(times: pd.Series[Any]) -> NDArray[np.object_]:
    texts = [None if pd.isna(time) else time.isoformat() for time in times]
    return np.array(texts, dtype=object)
