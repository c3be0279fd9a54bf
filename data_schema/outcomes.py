"""The outcomes Osteon predicts: what happens, counted from when, by when, and what competes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from data_schema.errors import UsageError

__all__ = [
    "CENSORED",
    "COMPETING",
    "EVENT",
    "OUTCOMES",
    "RESERVED_MODEL_NAMES",
    "Outcome",
    "outcome",
]

CENSORED, EVENT, COMPETING = 0, 1, 2
"""Numbers in an event column."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One estimand: an endpoint counted from a time zero.

    Parameters
    ----------
    name : str
        Name in `OUTCOMES`, in requests and in bundles.
    endpoint : str
        What happens, `mortality` or `fracture`. It names the columns of a cohort and the key of
        `Variable.direction`; two outcomes may share it.
    label : str
        What a clinician reads.
    event_label : str
        The event as a noun, in the plural: "the model expects about 23 <event_label>".
    landmark : str
        Time zero as the command line writes it: `24h`, `72h`, `discharge`.
    time_zero : str
        Time zero in words, with who is still under observation then.
    horizons_days : tuple of int
        Horizons by default.
    competing_label : str or None
        The event that prevents the outcome; None if nothing does.
    reserved_model : str
        Registered model name, reserved for this estimand in a user's own real cohort.
    """

    name: str
    endpoint: str
    label: str
    event_label: str
    landmark: str
    time_zero: str
    horizons_days: tuple[int, ...]
    competing_label: str | None
    reserved_model: str

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
                landmark="24h",
                time_zero="24 h after ICU admission, alive",
                horizons_days=(28, 90, 365),
                competing_label=None,
                reserved_model="osteon-mortality",
            ),
            Outcome(
                name="mortality-72h",
                endpoint="mortality",
                label="Death from any cause",
                event_label="deaths",
                landmark="72h",
                time_zero="72 h after ICU admission, alive and in ICU",
                horizons_days=(28, 90, 365),
                competing_label=None,
                reserved_model="osteon-mortality-72h",
            ),
            Outcome(
                name="fracture",
                endpoint="fracture",
                label="First fracture",
                event_label="fractures",
                landmark="discharge",
                time_zero="ICU discharge, alive",
                horizons_days=(365, 730, 1826),
                competing_label="death without fracture",
                reserved_model="osteon-fracture",
            ),
        )
    }
)
"""Every outcome by name."""

RESERVED_MODEL_NAMES = frozenset(entry.reserved_model for entry in OUTCOMES.values())
"""Model names that only a user's own real cohort may take."""


def outcome(name: str, landmark: str = "") -> Outcome:
    """Return the outcome of the given name, or of an endpoint at a landmark.

    Parameters
    ----------
    name : str
        Name of an outcome, or of an endpoint when `landmark` is given.
    landmark : str
        `24h`, `72h` or `discharge`; empty for the outcome that has the name.

    Returns
    -------
    Outcome
        Its record.

    Raises
    ------
    UsageError
        If there is no such outcome.

    Examples
    --------
    >>> outcome("mortality").time_zero
    '24 h after ICU admission, alive'
    >>> outcome("mortality", "72h").reserved_model
    'osteon-mortality-72h'
    """
    for entry in OUTCOMES.values():
        if (not landmark and entry.name == name) or (entry.endpoint, entry.landmark) == (
            name,
            landmark,
        ):
            return entry
    known = ", ".join(f"{entry.endpoint} at {entry.landmark}" for entry in OUTCOMES.values())
    asked = f"{name} at {landmark}" if landmark else name
    raise UsageError(f"outcome must be one of {known}; got {asked!r}.")
