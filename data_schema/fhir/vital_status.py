"""Whether a record states that the patient has died, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from data_schema.fhir.resources import Resource, codings, first_moment, part, text

__all__ = ["RecordedDeath", "died_in_encounter", "recorded_death"]


@dataclass(frozen=True, slots=True)
class RecordedDeath:
    """A death on record; `earliest` is the first moment at which it may have come, if known."""

    earliest: datetime | None

    def is_by(self, moment: datetime) -> bool:
        """Return whether the patient may have been dead by a moment."""
        return self.earliest is None or self.earliest <= moment


def recorded_death(patient: Resource, zone: tzinfo = UTC) -> RecordedDeath | None:
    """Return the death that a Patient states; None where it states none.

    `zone` is the offset of a date without a time. `_deceasedDateTime` alone states a death at an
    unknown time.

    >>> death = recorded_death({"deceasedDateTime": "2026-11-02"})
    >>> death.is_by(datetime(2026, 11, 1, tzinfo=UTC)), death.is_by(
    ...     datetime(2026, 11, 2, 8, tzinfo=UTC)
    ... )
    (False, True)
    """
    stated = [value for name, value in patient.items() if name.lstrip("_").startswith("deceased")]
    if all(value in (False, None, "") for value in stated):
        return None
    return RecordedDeath(first_moment(text(patient, "deceasedDateTime"), zone))


def died_in_encounter(encounter: Resource) -> bool:
    """Return whether an Encounter states that the patient died there."""
    stay = part(encounter, "hospitalization") or part(encounter, "admission")
    return any(code == "exp" for _, code in codings(part(stay, "dischargeDisposition")))
