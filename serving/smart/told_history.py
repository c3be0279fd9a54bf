"""What the encounter, the diagnoses and the prescriptions of a record say of the form's flags.

They are read as CDS Hooks reads them: what is recorded is a yes, what is not stays open.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from data_schema.fhir.encounter import icu_stays
from data_schema.fhir.history import history, is_comfort_care
from serving.smart.reading import FetchedRecord

__all__ = ["ToldHistory", "told_history"]

_NO_STAY = (
    "The record names no stay in intensive care before time zero, so drugs that count from its "
    "beginning are not filled in."
)
_COMFORT = "The record says that the goal of care is comfort."
_KEPT_BACK = "The record system did not give {what}: nothing of them is filled in."


@dataclass(frozen=True, slots=True)
class ToldHistory:
    """Flags that are so, by name, and what a clinician must know of the rest."""

    flags: tuple[str, ...]
    notes: tuple[str, ...]


def told_history(
    record: FetchedRecord, *, time_zero: datetime, icu_locations: Collection[str]
) -> ToldHistory:
    """Return the flags that a record sets at time zero.

    Parameters
    ----------
    record : FetchedRecord
    time_zero : datetime
        With its offset.
    icu_locations : collection of str
        As `icu_stays` takes them.

    Returns
    -------
    ToldHistory
    """
    encounter, conditions, medications = (
        list(found or ()) for found in (record.encounter, record.conditions, record.medications)
    )
    stays = icu_stays(encounter, icu_locations=icu_locations)
    begun = [stay.start for stay in stays if stay.start <= time_zero]
    # Without a stay, nothing was given since it began: only what counts by itself is told.
    found = history(
        [*conditions, *medications],
        icu_start=begun[-1] if begun else time_zero,
        time_zero=time_zero,
    )
    kept_back = [
        name
        for name, given in (
            ("the encounter", record.encounter),
            ("diagnoses", record.conditions),
            ("prescriptions", record.medications),
        )
        if given is None
    ]
    notes = [_COMFORT] if is_comfort_care([*encounter, *conditions]) else []
    notes += [_KEPT_BACK.format(what=" and ".join(kept_back))] if kept_back else []
    notes += [_NO_STAY] if medications and not begun else []
    names = (one.measurement.variable or "" for one in found)
    return ToldHistory(tuple(dict.fromkeys(names)), tuple(notes))
