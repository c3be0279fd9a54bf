"""The form's flags from the encounter, diagnoses and prescriptions of a record.

As for CDS Hooks, a recorded fact is a yes, and the rest stays unknown.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from data_schema.fhir.encounter import icu_stays
from data_schema.fhir.history import history, is_comfort_care
from serving.smart.reading import FetchedRecord

__all__ = ["RecordedHistory", "recorded_history"]

_NO_STAY = (
    "The record has no stay in intensive care before time zero, so drugs that count from its "
    "start are not filled in."
)
_COMFORT = "The record says that the goal of care is comfort."
_WITHHELD = "Not provided by the record system, so not filled in: {what}."


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """The names of the flags that are true, and notes for the clinician.

    `icu_admission` is when the stay in intensive care began, None where the record has none.
    """

    flags: tuple[str, ...]
    notes: tuple[str, ...]
    icu_admission: datetime | None
    is_comfort_care: bool


def recorded_history(
    record: FetchedRecord, *, time_zero: datetime, icu_locations: Collection[str]
) -> RecordedHistory:
    """Return the flags that a record sets at time zero."""
    encounter, conditions, medications = (
        list(fetched or ()) for fetched in (record.encounter, record.conditions, record.medications)
    )
    stays = icu_stays(encounter, icu_locations=icu_locations)
    begun = [stay.start for stay in stays if stay.start <= time_zero]
    # Without a stay, no drug was given since its start: only other flags are set.
    flags = history(
        [*conditions, *medications],
        icu_start=begun[-1] if begun else time_zero,
        time_zero=time_zero,
    )
    sections = {
        "the encounter": record.encounter,
        "diagnoses": record.conditions,
        "prescriptions": record.medications,
    }
    withheld = [name for name, entries in sections.items() if entries is None]
    is_comfort = is_comfort_care([*encounter, *conditions])
    notes = [_COMFORT] if is_comfort else []
    notes += [_WITHHELD.format(what=" and ".join(withheld))] if withheld else []
    notes += [_NO_STAY] if medications and not begun else []
    names = (one.measurement.variable or "" for one in flags)
    return RecordedHistory(
        tuple(dict.fromkeys(names)),
        tuple(notes),
        icu_admission=begun[-1] if begun else None,
        is_comfort_care=is_comfort,
    )
