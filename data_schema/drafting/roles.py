"""The columns that identify a stay and state an outcome, by their headers, for `osteon map`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import tomlkit
from tomlkit.items import Table

from data_schema.delayed_entry import delayed_entry, is_entry_by_name
from data_schema.drafting.header_matching import squashed
from data_schema.mapping.file import ENTRY
from data_schema.outcomes import CENSORED, COMPETING, ENDPOINTS, EVENT, Outcome
from data_schema.values import cell_texts, parse_numbers

__all__ = ["Drafted", "draft_ids", "draft_outcomes"]

# Role -> headers, the likeliest first: the first that a table has is taken.
_IDS: Mapping[str, tuple[str, ...]] = {
    "patient_id": (
        *("patient_id", "subject_id", "subject", "pat_id", "sub_id", "patient", "patient number"),
        *("mrn", "record_id", "person_id", "study_id", "seqn", "sno", "pid", "id"),
    ),
    "stay_id": ("stay_id", "icustay_id", "icu_stay_id", "encounter_id", "admission_id", "hadm_id"),
    "site": ("site", "site_id", "hospital", "hospital_id", "center", "centre", "clinic"),
    "time_zero": ("time_zero", "time zero", "index_time", "index date", "baseline date"),
}
_LAST_SEEN = (
    *("last_seen", "last_seen_date", "last contact", "last contact date", "date last seen"),
    *("last follow-up", "last followup date", "censor date", "date of last contact"),
)
_DISCHARGE_DATES = (
    *("dischtime", "discharge date", "date of discharge", "hospital discharge date"),
    *("hospital discharge", "disch_date", "discharge time"),
)
_DAYS = (
    *("followup_days", "follow-up days", "followup_d", "followup", "futime", "d.time", "time"),
    *("tstop", "stop"),
)
_EVENT_WORDS: Mapping[str, int] = {
    **dict.fromkeys(("alive", "survived", "survivor", "censored", "no", "n", "false"), CENSORED),
    **dict.fromkeys(("dead", "died", "deceased", "death", "yes", "y", "true"), EVENT),
}
_MAX_EVENT_WORDS = 6
_DISCHARGE_COMMENT = "2 discharged alive; a patient still in hospital when the data end is 0"
_ENTRY_COMMENT = (
    f'Observation began later than day 0: "{ENTRY}" counts days from then, '
    "which must be when the risk is predicted."
)


@dataclass(frozen=True, slots=True)
class Drafted:
    """A drafted table of the mapping, and the columns that it uses."""

    table: Table
    columns: frozenset[str]


def draft_ids(table: pd.DataFrame) -> Drafted:
    """Return `[ids]` as the headers suggest it."""
    by_words = _by_words(table)
    ids, used = tomlkit.table(), set()
    for role, headers in _IDS.items():
        column = _first(headers, by_words)
        if column is not None:
            ids[role] = column
            used.add(column)
    if "patient_id" not in ids:
        ids.add(tomlkit.comment("No column looks like a patient's identifier: state patient_id."))
    return Drafted(ids, frozenset(used))


def draft_outcomes(table: pd.DataFrame) -> Mapping[str, Drafted]:
    """Return `[outcome.<name>]` for every outcome that a header names."""
    by_words = _by_words(table)
    drafts: dict[str, Drafted] = {}
    for name, outcome in ENDPOINTS.items():
        roles = _roles(outcome)
        first = {role: _first(headers, by_words) for role, headers in roles.items()}
        matched = {role: column for role, column in first.items() if column is not None}
        # A column called "outcome" is one only beside the days of a stay in hospital.
        by_name_alone = outcome.ends_at_discharge and "event" not in matched and "days" in matched
        if by_name_alone and "outcome" in by_words:
            matched["event"] = by_words["outcome"]
        if "event" in matched and ("days" in matched or "event_date" not in matched):
            drafts[name] = _by_days(table, matched, outcome)
        elif "event_date" in matched:
            drafts[name] = _by_dates(matched, roles)
    return drafts


def _roles(outcome: Outcome) -> dict[str, tuple[str, ...]]:
    """Return the headers of each key of `[outcome.<name>]`, the likeliest first."""
    name = outcome.endpoint
    days = (f"time to {name}", f"days to {name}")
    # Follow-up goes on after discharge, which ends the observation of a death in hospital.
    any_days = () if outcome.ends_at_discharge else _DAYS
    roles = {
        "event": (outcome.event_column, *outcome.event_headers, name),
        "days": (outcome.days_column, *outcome.days_headers, *days, *any_days),
        "event_date": _dates(outcome),
        "last_seen_date": _LAST_SEEN,
    }
    if outcome.competing_label is None:
        return roles
    if outcome.ends_at_discharge:
        return {**roles, "competing_date": _DISCHARGE_DATES}
    deaths = [header for end in ENDPOINTS.values() if end.is_death for header in _dates(end)]
    return {**roles, "competing_date": tuple(deaths)}


def _dates(outcome: Outcome) -> tuple[str, ...]:
    return (*outcome.date_headers, f"{outcome.endpoint}_date", f"date of {outcome.endpoint}")


def _by_days(table: pd.DataFrame, matched: Mapping[str, str], outcome: Outcome) -> Drafted:
    draft = tomlkit.table()
    days = tomlkit.string(matched.get("days", ""))
    if not days:
        days.comment("Days from time zero to event or censoring; or horizon_days instead of days.")
    draft.add("days", days)
    draft.add("event", matched["event"])
    entry = _entry(table, matched)
    if entry is not None:
        clock = tomlkit.string("").comment(_ENTRY_COMMENT)
        draft.add("entry_days", entry)
        draft.add("time_zero", clock)
    words = cell_texts(table[matched["event"]]).dropna().unique()
    coded = set(words) <= {"0", "1", "2"} and not (outcome.ends_at_discharge and "2" not in words)
    # Of a column called "outcome", 1 may as well be the survivors.
    unclear = {"0", "1", "2"} if squashed(matched["event"]) == "outcome" else set()
    if len(words) <= _MAX_EVENT_WORDS and (unclear or not coded):
        codes = tomlkit.inline_table()
        for word in sorted(words):
            codes[word] = "" if word in unclear else _event_of(word.casefold(), outcome)
        if outcome.ends_at_discharge:
            codes.comment(_DISCHARGE_COMMENT)
        if "" in codes.values():
            codes.comment("0 censored, 1 the outcome, 2 the competing event")
        draft.add("event_map", codes)
    columns = {matched[role] for role in ("days", "event") if role in matched}
    return Drafted(draft, frozenset(columns if entry is None else {*columns, entry}))


def _event_of(word: str, outcome: Outcome) -> int | str:
    """Return the number of an event in words; blank where the word leaves it open."""
    if word == outcome.endpoint:
        return EVENT
    event = {"0": CENSORED, "1": EVENT, **_EVENT_WORDS}.get(word, "")
    # A patient who did not die in hospital left it alive.
    return COMPETING if event == CENSORED and outcome.ends_at_discharge else event


def _entry(table: pd.DataFrame, matched: Mapping[str, str]) -> str | None:
    """Return the column that is by its name and its values a delayed entry, if there is one."""
    if "days" not in matched:
        return None
    days = parse_numbers(table[matched["days"]]).values
    taken = {*matched.values()}
    columns = {
        name: parse_numbers(table[name]).values
        for name in map(str, table.columns)
        if name not in taken and is_entry_by_name(name)
    }
    return next((finding.variable for finding in delayed_entry(columns, days)), None)


def _by_dates(matched: Mapping[str, str], roles: Mapping[str, Sequence[str]]) -> Drafted:
    draft = tomlkit.table()
    dates = [role for role in roles if role.endswith("_date")]
    for role in dates:
        draft.add(role, matched.get(role, ""))
    draft.add(tomlkit.comment('Dates are ISO 8601, or state date_format = "%d.%m.%Y".'))
    return Drafted(draft, frozenset(matched[role] for role in dates if role in matched))


def _by_words(table: pd.DataFrame) -> dict[str, str]:
    return {squashed(str(column)): str(column) for column in reversed(table.columns)}


def _first(headers: Sequence[str], by_words: Mapping[str, str]) -> str | None:
    return next((by_words[w] for w in map(squashed, headers) if w in by_words), None)
