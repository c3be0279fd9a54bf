"""Discharge as censoring: death from any cause read from data that end when patients go home.

Those discharged alive are the healthier. Counted as censored, they are taken to die like the
patients who remain in hospital, and every risk comes out far too high. In PhysioNet 2012 and
SUPPORT2, 8 and 14 % of the patients discharged alive were still in hospital on day 28; where
patients were followed after discharge (SUPPORT2, RHC, FLCHAIN), more than 99 % of those censored
were observed up to that day. Discharge alive as a competing event makes it another outcome, death
in hospital (`in_hospital_mortality`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData
from data_schema.errors import Finding
from data_schema.mapping.file import OutcomeMapping
from data_schema.outcomes import CENSORED, COMPETING, OUTCOMES, Outcome

__all__ = ["discharge_as_censoring", "is_stay_by_name"]

_DEATH = r"(dead|deaths?|died|mortality|expired?|outcome|status)"
_PLACE = r"(hosp|hospital|inhospital|icu)"
_DEATH_IN_HOSPITAL = re.compile(
    rf"\b{_PLACE}( discharge)? {_DEATH}\b|\bhospdead\b|\b{_DEATH} ((in|at) )?({_PLACE}|discharge)\b"
    r"|\bdischarged? (status|disposition|outcome|location|alive)\b"
)
_STAY = re.compile(
    rf"\bs?los\b|\blength of (\w+ )?stay\b|\b{_PLACE} (days?|stay)\b|\bdays? in {_PLACE}\b"
    r"|\b(date|day|days|time) (of|to|until) (\w+ )?discharge\b|\bdischarged?( (date|days?|time))?\b"
    r"|\bdisch(time| date)\b"
)
_AFTERWARDS = re.compile(r"\b(after|post|since)\b")
_FEWEST_CENSORED = 20
_FEWEST_DAYS = 10
_OBSERVED_TO_FIRST_HORIZON = 0.5
_SAME_DAY = 0.9
# Days are compared to a hundredth: stays may count from admission and the outcome from a landmark.
_DIGITS = 2

_Floats = NDArray[np.float64]


def discharge_as_censoring(
    source: OutcomeMapping,
    outcome: Outcome,
    outcome_data: OutcomeData,
    columns: Mapping[str, _Floats],
) -> Iterator[Finding]:
    """Yield that discharge alive is counted as censoring, by names or by values.

    Rule `discharge_censors`: of death from any cause, unless the mapping states that patients were
    followed after discharge; of death in hospital, if discharge alive is nowhere its competing
    event.

    Parameters
    ----------
    source : OutcomeMapping
        The columns that state the outcome.
    columns : mapping of str to ndarray of float, shape (n_stays,)
        Days from time zero or from admission of the columns that `is_stay_by_name` names.
    """
    censored = outcome_data.event == CENSORED
    if outcome.ends_at_discharge:
        if outcome_data.horizon_days is None:
            yield from _no_discharge(outcome, outcome_data, int(censored.sum()))
        return
    if not outcome.is_death or source.followed_after_discharge:
        return
    evidence = _by_name(source) or _by_values(outcome, outcome_data, columns)
    if evidence:
        count = int(censored.sum())
        message = (
            f"{outcome.endpoint} must be known after discharge as well; {evidence}. Patients "
            "discharged alive are the healthier: counted as censored, they make every risk too "
            f"high. Follow them up, or predict {_IN_HOSPITAL.name}, in which discharge alive is "
            f"event {COMPETING} (needs [outcome.{_IN_HOSPITAL.endpoint}] in a mapping file, or the "
            f"columns {_IN_HOSPITAL.days_column} and {_IN_HOSPITAL.event_column}). If patients "
            f"were followed after discharge, state followed_after_discharge = true in "
            f"[outcome.{outcome.endpoint}]."
        )
        yield Finding("discharge_censors", outcome.endpoint, count, message)


_IN_HOSPITAL = next(entry for entry in OUTCOMES.values() if entry.ends_at_discharge)


def is_stay_by_name(name: str) -> bool:
    """Return whether a column's name suggests the length of a stay, or the day of discharge.

    >>> [is_stay_by_name(name) for name in ("slos", "Length_of_stay", "dischtime", "days_to_death")]
    [True, True, True, False]
    """
    return _STAY.search(_words(name)) is not None


def _no_discharge(outcome: Outcome, data: OutcomeData, n_censored: int) -> Iterator[Finding]:
    if n_censored and not (data.event == COMPETING).any():
        message = (
            f"{outcome.endpoint} must have discharge alive as event {COMPETING}; no row has it, "
            f"and {n_censored} of {len(data.event)} are {CENSORED}. Only patients still in "
            f"hospital when the data end are {CENSORED}: map the others to {COMPETING} (event_map)."
        )
        yield Finding("discharge_censors", outcome.event_column, n_censored, message)


def _by_name(source: OutcomeMapping) -> str:
    """Return the evidence in the names of the columns, as half a sentence; empty if none."""
    if source.event and _DEATH_IN_HOSPITAL.search(_words(source.event)):
        return f"by its name, {source.event} is death in hospital"
    ends = (source.days, source.last_seen_date)
    stay = next((name for name in ends if name and is_stay_by_name(name)), None)
    return "" if stay is None else f"by its name, {stay} ends at discharge"


def _by_values(outcome: Outcome, data: OutcomeData, columns: Mapping[str, _Floats]) -> str:
    """Return the evidence in the times of those censored, as half a sentence; empty if none."""
    days = data.time_days[data.event == CENSORED]
    if data.horizon_days is not None or len(days) < _FEWEST_CENSORED:
        return ""
    # Where a study ends on one day for all, any constant would end with it.
    for name, values in columns.items() if len(np.unique(days)) >= _FEWEST_DAYS else ():
        behind = np.round(values[data.event == CENSORED] - days, _DIGITS)
        known = behind[~np.isnan(behind)]
        same = int(np.unique(known, return_counts=True)[1].max()) if len(known) else 0
        if same >= _SAME_DAY * len(days):
            return f"{same} of {len(days)} censored rows end with the stay ({name})"
    first = min(outcome.horizons_days)
    observed = int((days >= first).sum())
    if observed >= _OBSERVED_TO_FIRST_HORIZON * len(days):
        return ""
    return (
        f"{len(days) - observed} of {len(days)} censored rows end before day {first:g}, as stays do"
    )


def _words(name: str) -> str:
    """Return the lower-case words of a name; none if it concerns the time afterwards."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.sub(r"[^0-9a-z]+", " ", spaced.lower()).strip()
    return "" if _AFTERWARDS.search(words) else words.replace("in hospital", "hospital")
