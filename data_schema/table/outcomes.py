"""What happened to each patient and when, read from days, from dates, or at one fixed horizon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData
from data_schema.errors import Finding
from data_schema.mapping.file import OutcomeMapping
from data_schema.outcomes import CENSORED, COMPETING, EVENT, Outcome
from data_schema.table.dates import Dates, days_between, read_dates
from data_schema.values import MISSING_WORDS, cell_texts, level_key, parse_numbers

__all__ = ["never_at_risk", "read_outcome"]

# No follow-up is longer than a lifetime.
_LONGEST_DAYS = 45_000.0


@dataclass(frozen=True, slots=True)
class _Part:
    """Times or events: the numbers, the rows where they are missing, and the broken rules."""

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]
    findings: tuple[Finding, ...]


def read_outcome(
    table: pd.DataFrame,
    source: OutcomeMapping,
    outcome: Outcome,
    time_zero: Dates | None,
) -> tuple[OutcomeData | None, list[Finding]]:
    """Return the outcome of every row, or why it cannot be known.

    Survivors censored exactly at a horizon are as good as any other. Rows that state no outcome are
    refused and not left out, since they are rarely missing by chance.

    Parameters
    ----------
    table : DataFrame
        Has every column that `source` names.
    source : OutcomeMapping
        Days and event, dates, or a fixed horizon.
    outcome : Outcome
        Says whether an event competes.
    time_zero : Dates or None
        Needed for dates.

    Returns
    -------
    tuple of (OutcomeData or None, list of Finding)
        None where any row breaks a rule: `missing_outcome`, `event_code`, `competing_event`,
        `not_a_number`, `ambiguous_number`, `infinite`, `comparator`, `not_a_date`, `time_zero`,
        `time_not_positive`, `time_too_long`, `event_after_censoring`, `entry_days`.
    """
    if source.event_date is not None:
        if time_zero is None:
            message = f"{outcome.endpoint} by dates must have a time_zero in [ids]; there is none."
            return None, [Finding("time_zero", "time_zero", len(table), message)]
        time, event = _by_dates(table, source, outcome, time_zero)
    else:
        event = _events(table[source.event], source, outcome)
        time = _from_entry(_days(table, source), table, source)
    findings = [*event.findings, *time.findings, *_impossible(time.values, outcome)]
    missing = int((event.missing | time.missing).sum())
    if missing:
        message = (
            f"{outcome.endpoint} must be known in every row ({missing} of {len(table)} are not). "
            "Complete these rows, or remove them and state this where you report the cohort."
        )
        findings.append(Finding("missing_outcome", outcome.endpoint, missing, message))
    if findings:
        return None, findings
    fixed = None if source.horizon_days is None else float(source.horizon_days)
    return OutcomeData(
        outcome.endpoint,
        time.values,
        event.values.astype(np.int64),
        fixed,
        from_entry=source.entry_days is not None,
    ), []


def never_at_risk(
    table: pd.DataFrame,
    source: OutcomeMapping,
    outcome: Outcome,
    others: Sequence[tuple[Outcome, OutcomeMapping]],
) -> NDArray[np.bool_]:
    """Return who died before an outcome's clock started: no days, no event of it, and a death.

    `others` are the other outcomes of the table, of which death is read. All false unless death
    competes with the outcome and the table records deaths. A survivor whose outcome is missing
    breaks a rule.
    """
    deaths = [
        (other, mapped) for other, mapped in others if other.is_death and _before(other, outcome)
    ]
    died = np.zeros(len(table), dtype=bool)
    if outcome.competing_label is None or not deaths or source.days is None or source.event is None:
        return died
    death, mapped = deaths[0]
    if mapped.event is not None:
        died = _events(table[mapped.event], mapped, death).values == EVENT
    for name in (source.days, source.event):
        died = died & _missing(cell_texts(table[name])).to_numpy(dtype=bool)
    return np.asarray(died)


def _before(first: Outcome, other: Outcome) -> bool:
    return bool(first.landmark and other.landmark and first.landmark.is_before(other.landmark))


def _missing(texts: pd.Series) -> pd.Series:
    """Return which texts of cells mean that nothing was recorded."""
    return texts.isna() | texts.str.casefold().isin(MISSING_WORDS).astype(bool)


def _events(cells: pd.Series, source: OutcomeMapping, outcome: Outcome) -> _Part:
    """Read what happened: 0, 1, 2, or what the site's own words are mapped to."""
    texts = cell_texts(cells)
    missing = _missing(texts)
    codes: dict[str, float] = {"0": CENSORED, "1": EVENT, "2": COMPETING}
    if source.event_map:
        codes = {key: float(code) for key, code in source.event_map.items() if code != ""}
        missing &= ~texts.isin(codes).astype(bool)
    else:
        texts = texts.map(level_key, na_action="ignore")
        codes |= {"false": CENSORED, "true": EVENT}
    events = texts.map(codes).to_numpy(dtype=np.float64)
    strange = ~missing.to_numpy() & ~np.isin(events, (CENSORED, EVENT, COMPETING))
    findings = []
    if strange.any():
        words = "in event_map" if source.event_map else "0 or 1, or 2 where death competes"
        message = (
            f"{outcome.endpoint} event must be {words}; {int(strange.sum())} of {len(cells)} "
            "rows are not. Correct them, or state event_map."
        )
        findings.append(Finding("event_code", outcome.event_column, int(strange.sum()), message))
    competing = int((events == COMPETING).sum())
    if competing and outcome.competing_label is None:
        message = (
            f"{outcome.endpoint} event must be 0 or 1, since nothing competes with it; {competing} "
            f"of {len(cells)} rows are 2."
        )
        findings.append(Finding("competing_event", outcome.event_column, competing, message))
    return _Part(
        np.asarray(events, dtype=np.float64), missing.to_numpy(dtype=bool), tuple(findings)
    )


_UNREADABLE = {
    "not_a_number": "be a number",
    "infinite": "be finite",
    "ambiguous_number": "have its decimal mark stated, as decimal in the [outcome] table",
    "comparator": "be a number",
}


def _days(table: pd.DataFrame, source: OutcomeMapping) -> _Part:
    if source.horizon_days is not None:
        time_days = np.full(len(table), source.horizon_days, dtype=np.float64)
        return _Part(time_days, np.zeros(len(table), dtype=bool), ())
    cells = table[source.days]
    parsed = parse_numbers(cells, decimal=cast(Literal[".", ","] | None, source.decimal or None))
    missing = _missing(cell_texts(cells))
    problems = dict(parsed.problems)
    # ">365" is no time: it does not state whether the patient was censored or had the event.
    compared = int((parsed.below | parsed.above).sum())
    if compared:
        problems["comparator"] = problems.get("comparator", 0) + compared
    findings = []
    for rule, count in problems.items():
        message = f"{source.days} must {_UNREADABLE[rule]} ({count} of {len(table)} rows do not)."
        findings.append(Finding(rule, str(source.days), count, message))
    return _Part(parsed.values, missing.to_numpy(dtype=bool), tuple(findings))


def _from_entry(time: _Part, table: pd.DataFrame, source: OutcomeMapping) -> _Part:
    """Return days from entry where the mapping states one: the end less the entry."""
    if source.entry_days is None:
        return time
    entry = _days(table, replace(source, days=source.entry_days, horizon_days=None))
    findings = [*time.findings, *entry.findings]
    negative = int((entry.values < 0).sum())
    late = int((entry.values >= time.values).sum())
    for count, must in ((negative, "0 or more"), (late, f"before {source.days}")):
        if count:
            message = (
                f"{source.entry_days} must be {must} ({count} of {len(table)} rows are not). "
                "Correct the days, or leave out patients who were not at risk when they entered."
            )
            findings.append(Finding("entry_days", str(source.entry_days), count, message))
    # Rows that break this rule need not break that of the days, too.
    days = np.where(entry.values >= time.values, np.nan, time.values - entry.values)
    return _Part(days, time.missing | entry.missing, tuple(findings))


def _by_dates(
    table: pd.DataFrame, source: OutcomeMapping, outcome: Outcome, time_zero: Dates
) -> tuple[_Part, _Part]:
    """Read time and event from dates: the first event counts, or the last day under observation."""
    findings: list[Finding] = []

    def dates(column: str | None) -> Dates:
        if column is None:
            none = pd.Series(pd.NaT, index=time_zero.at.index, dtype=time_zero.at.dtype)
            return Dates(none, none.isna(), none)
        parsed, problems = read_dates(table[column], column, source.date_format)
        findings.extend(problems)
        return parsed

    happened, competing = dates(source.event_date), dates(source.competing_date)
    last_seen = dates(source.last_seen_date)
    findings += _against_last_seen(happened, competing, last_seen, outcome)
    died, ended = happened.at.notna(), competing.at.notna()
    if outcome.ends_at_discharge:
        # A death after discharge is none in hospital. Of the same day, it is: a discharge is often
        # written down hours before or after the death that it records.
        died &= ~(happened.day > competing.day)
        ended &= ~died
    event = np.where(died, EVENT, np.where(ended, COMPETING, CENSORED))
    days = [days_between(time_zero, one) for one in (happened, competing, last_seen)]
    # Row by row: a day is compared with the day of time zero, a moment with its moment.
    time_days = np.where(died, days[0], np.where(ended, days[1], days[2]))
    missing = np.isnan(time_days)
    nowhere = np.zeros(len(table), dtype=bool)
    events = _Part(event.astype(np.float64), nowhere, ())
    return _Part(time_days, missing, tuple(findings)), events


def _against_last_seen(
    happened: Dates, competing: Dates, last_seen: Dates, outcome: Outcome
) -> Iterator[Finding]:
    late = (days_between(last_seen, happened) > 0) | (days_between(last_seen, competing) > 0)
    if not outcome.ends_at_discharge:
        late |= days_between(competing, happened) > 0
    count = int(late.sum())
    if count:
        message = (
            f"{outcome.endpoint} must not come after the patient was last seen or had died "
            f"({count} of {len(late)} rows do). Correct the dates."
        )
        yield Finding("event_after_censoring", outcome.endpoint, count, message)


def _impossible(time_days: NDArray[np.float64], outcome: Outcome) -> Iterator[Finding]:
    n_early, n_late = int((time_days <= 0).sum()), int((time_days > _LONGEST_DAYS).sum())
    if n_early:
        message = (
            f"{outcome.days_column} must be more than 0 days after time zero "
            f"({outcome.time_zero}); {n_early} of {len(time_days)} rows are not. Leave out "
            "patients who were not at risk then, or give times with fractions of a day."
        )
        yield Finding("time_not_positive", outcome.days_column, n_early, message)
    if n_late:
        message = (
            f"{outcome.days_column} must be at most {_LONGEST_DAYS:.0f} days; {n_late} of "
            f"{len(time_days)} rows are more. Check the unit."
        )
        yield Finding("time_too_long", outcome.days_column, n_late, message)
