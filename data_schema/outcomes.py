"""The outcomes Osteon predicts: what happens, counted from when, by when, and what competes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from data_schema.errors import UsageError

__all__ = [
    "CENSORED",
    "COMPETING",
    "ENDPOINTS",
    "EVENT",
    "FROM_ENTRY",
    "MIN_EVENTS",
    "OUTCOMES",
    "RESERVED_MODEL_NAMES",
    "Landmark",
    "Outcome",
    "outcome",
]

CENSORED, EVENT, COMPETING = 0, 1, 2
"""Numbers in an event column."""

MIN_EVENTS = 10
"""Least number of patients with the event, and of patients without the event, for any figure."""


FROM_ENTRY = "entry into observation, alive"
"""Time zero of a cohort whose days count from each patient's entry (`OutcomeData.from_entry`)."""


@dataclass(frozen=True, slots=True)
class Landmark:
    """When days are counted from, in the command line's words and in hours after ICU admission.

    `hours` is None at discharge from intensive care.
    """

    words: str
    hours: int | None

    def is_before(self, other: Landmark) -> bool:
        """Return whether it is surely earlier in the same stay than another landmark."""
        return self.hours is not None and (other.hours is None or self.hours < other.hours)


_AFTER_24_HOURS = Landmark("24h", 24)
_AFTER_72_HOURS = Landmark("72h", 72)
_DEAD = (("419099009", "Dead"),)
_FRACTURE = (("125605004", "Fracture of bone"),)
_DISCHARGE = Landmark("discharge", None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One estimand: an endpoint counted from a time zero.

    Parameters
    ----------
    name : str
        Name in `OUTCOMES`, in requests and in bundles.
    endpoint : str
        What happens, such as `mortality`. It names the columns of a cohort and the key of
        `Variable.direction`; two outcomes may share it.
    label : str
        What a clinician reads.
    event_label, event_singular, event_verb : str
        The event as a noun, in the plural and in the singular, and as what a patient does: "the
        model expects about 9 <event_label>", "about 9 would <event_verb>". Empty without a verb.
    landmark : Landmark or None
        Time zero; None where only a public data set has the outcome.
    time_zero : str
        Time zero in words, with who is still under observation then.
    horizons_days : tuple of int
        Horizons by default.
    competing_label : str or None
        The event that prevents the outcome; None if nothing does.
    competing_noun, competing_verb : str
        That event in short, and as what patients do: "death first", "29 die first".
    ends_at_discharge : bool
        Whether discharge alive is that event: the outcome can only happen in hospital.
    is_death : bool
        Whether the event is death from any cause, after which no other event can happen.
    snomed : tuple of (str, str)
        Codes of the event in SNOMED CT, each with its display. 419099009 and 125605004 were checked
        in eCQM, C-CDA and SNOMED's own scripts.
    event_headers, days_headers, date_headers : tuple of str
        Headers that `osteon map` takes for the column of the event, of the days until it and of its
        date, the likeliest first, besides those that follow from the endpoint's name.
    """

    name: str
    endpoint: str
    label: str
    event_label: str
    event_singular: str
    landmark: Landmark | None
    time_zero: str
    horizons_days: tuple[int, ...]
    competing_label: str | None
    event_verb: str = ""
    is_death: bool = False
    competing_noun: str = "death"
    competing_verb: str = "die"
    ends_at_discharge: bool = False
    snomed: tuple[tuple[str, str], ...] = ()
    event_headers: tuple[str, ...] = ()
    days_headers: tuple[str, ...] = ()
    date_headers: tuple[str, ...] = ()

    @property
    def reserved_model(self) -> str:
        """Registered model name, reserved for this estimand in a user's own real cohort."""
        return f"osteon-{self.name}"

    @property
    def days_column(self) -> str:
        """Column of the days from time zero to the first event or to censoring."""
        return f"{self.endpoint}_days"

    @property
    def event_column(self) -> str:
        """Column of the event: 0 censored, 1 the outcome, 2 the competing event."""
        return f"{self.endpoint}_event"

    @property
    def events(self) -> tuple[int, ...]:
        """Numbers that the event column may hold."""
        return (CENSORED, EVENT) if self.competing_label is None else (CENSORED, EVENT, COMPETING)


OUTCOMES: Mapping[str, Outcome] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Outcome(
                name="mortality",
                endpoint="mortality",
                label="Death from any cause",
                event_label="deaths",
                event_singular="death",
                landmark=_AFTER_24_HOURS,
                time_zero="24 h after ICU admission, alive",
                horizons_days=(28, 90, 365),
                competing_label=None,
                is_death=True,
                snomed=_DEAD,
                event_headers=(
                    *("death", "dead", "died", "deceased", "death event", "exitus", "event"),
                    *("status", "vital status"),
                ),
                days_headers=("days to death", "survival days", "survival time"),
                date_headers=("death_date", "date of death", "dod", "deathdate"),
            ),
            Outcome(
                name="mortality-72h",
                endpoint="mortality",
                label="Death from any cause",
                event_label="deaths",
                event_singular="death",
                landmark=_AFTER_72_HOURS,
                time_zero="72 h after ICU admission, alive and in ICU",
                horizons_days=(28, 90, 365),
                competing_label=None,
                is_death=True,
                snomed=_DEAD,
            ),
            Outcome(
                name="in_hospital_mortality",
                endpoint="in_hospital_mortality",
                label="Death in hospital",
                event_label="deaths in hospital",
                event_singular="death in hospital",
                event_verb="die in hospital",
                landmark=_AFTER_24_HOURS,
                time_zero="24 h after ICU admission, alive and in hospital",
                horizons_days=(7, 28),
                competing_label="discharge alive",
                competing_noun="discharge alive",
                competing_verb="leave hospital alive",
                ends_at_discharge=True,
                snomed=_DEAD,
                event_headers=(
                    *("in-hospital_death", "hospital death", "hosp death", "hospdead"),
                    *("died in hospital", "hospital mortality", "inhospital mortality"),
                    *("hospital_expire_flag", "hospital discharge status", "discharge_status"),
                ),
                days_headers=(
                    *("hospital los", "los hospital", "hospital length of stay", "hospital days"),
                    *("length_of_stay", "los", "los_days", "slos", "days to discharge"),
                ),
                date_headers=("hospital death date", "deathtime"),
            ),
            Outcome(
                name="fracture",
                endpoint="fracture",
                label="First fracture",
                event_label="fractures",
                event_singular="fracture",
                event_verb="fracture",
                landmark=_DISCHARGE,
                time_zero="ICU discharge, alive",
                horizons_days=(365, 730, 1826),
                competing_label="death without fracture",
                snomed=_FRACTURE,
                event_headers=("fracture", "incident fracture", "new fracture"),
            ),
        )
    }
)
"""Every outcome by name."""

ENDPOINTS: Mapping[str, Outcome] = MappingProxyType(
    {
        endpoint: next(entry for entry in OUTCOMES.values() if entry.endpoint == endpoint)
        for endpoint in dict.fromkeys(entry.endpoint for entry in OUTCOMES.values())
    }
)
"""The first outcome of each endpoint."""

RESERVED_MODEL_NAMES = frozenset(entry.reserved_model for entry in OUTCOMES.values())
"""Model names that only a user's own real cohort may take."""


def outcome(name: str, landmark: str = "") -> Outcome:
    """Return the outcome of the given name, or that of an endpoint at a landmark such as `72h`.

    >>> outcome("mortality").time_zero
    '24 h after ICU admission, alive'
    >>> outcome("mortality", "72h").reserved_model
    'osteon-mortality-72h'
    """
    for entry in OUTCOMES.values():
        at = entry.landmark.words if entry.landmark else ""
        if (not landmark and entry.name == name) or (entry.endpoint, at) == (name, landmark):
            return entry
    listed = [(entry.endpoint, entry.landmark) for entry in OUTCOMES.values()]
    known = ", ".join(f"{endpoint} at {at.words}" for endpoint, at in listed if at)
    requested = f"{name} at {landmark}" if landmark else name
    names = dict.fromkeys(
        name for entry in OUTCOMES.values() for name in (entry.name, entry.endpoint)
    )
    close = difflib.get_close_matches(name.strip().casefold(), names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close and close[0] != name else ""
    raise UsageError(f"outcome must be one of {known}; got {requested!r}.{hint}")
