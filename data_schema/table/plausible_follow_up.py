"""How long patients were followed, and follow-up that is hardly meant so.

That is swapped codes, and another unit than days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_schema.cohort import OutcomeData
from data_schema.errors import Finding
from data_schema.outcomes import CENSORED, EVENT, MIN_EVENTS, Outcome

__all__ = ["FollowUp", "KnownByHorizon", "follow_up_of", "implausible_follow_up"]

_LONGEST_LIFE = 120.0
_DAYS_PER_YEAR = 365.25
# An event is at the end if it comes in the last fiftieth of the longest follow-up.
_AT_END = 0.98
_NEARLY_ALL = 0.9


@dataclass(frozen=True, slots=True)
class KnownByHorizon:
    """Stays whose outcome is known by a day: with the event, and without it."""

    horizon_days: float
    with_event: int
    without_event: int

    @property
    def can_be_learned(self) -> bool:
        """Whether training and evaluation have enough of both."""
        return min(self.with_event, self.without_event) >= MIN_EVENTS


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Follow-up of a cohort for one outcome, in days; `horizons` are the outcome's own."""

    outcome: str
    stays: int
    events: int
    competing: int
    longest_days: float
    horizons: tuple[KnownByHorizon, ...]


def follow_up_of(outcome: Outcome, outcome_data: OutcomeData) -> FollowUp:
    """Return how long patients were followed, and how many are known by each default horizon.

    >>> from data_schema.outcomes import OUTCOMES
    >>> days, event = np.array([5.0, 400.0]), np.array([1, 0])
    >>> follow_up = follow_up_of(OUTCOMES["mortality"], OutcomeData("mortality", days, event))
    >>> follow_up.longest_days, follow_up.horizons[0].with_event
    (400.0, 1)
    """
    event, days = outcome_data.event, outcome_data.time_days
    fixed = outcome_data.horizon_days
    horizons = outcome.horizons_days if fixed is None else (fixed,)
    known = []
    for horizon in horizons:
        happened = (event == EVENT) & (days <= horizon)
        never = ~happened & ((days >= horizon) | (event > EVENT))
        known.append(KnownByHorizon(float(horizon), int(happened.sum()), int(never.sum())))
    return FollowUp(
        outcome=outcome_data.name,
        stays=len(event),
        events=int((event == EVENT).sum()),
        competing=int((event > EVENT).sum()),
        longest_days=float(days.max()),
        horizons=tuple(known),
    )


def implausible_follow_up(
    features: pd.DataFrame, outcome: Outcome, outcome_data: OutcomeData
) -> Iterator[Finding]:
    """Yield warnings about codes and unit of an outcome.

    Rules `events_at_end`, `no_censored`, `no_horizon` and `follow_up_unit`. `features` may hold
    `age` in years.
    """
    event, days = outcome_data.event, outcome_data.time_days
    name, rows = outcome_data.name, len(outcome_data.event)
    if outcome_data.horizon_days is not None:
        return
    follow_up = follow_up_of(outcome, outcome_data)
    longest = follow_up.longest_days
    happened, others = days[event == EVENT], days[event == CENSORED]
    at_end = int((happened >= _AT_END * longest).sum())
    if (
        at_end >= max(MIN_EVENTS, _NEARLY_ALL * len(happened))
        and len(others)
        and (others < _AT_END * longest).mean() >= _NEARLY_ALL
    ):
        message = (
            f"{name} should happen throughout follow-up; {at_end} of {len(happened)} events are on "
            f"the last days (of {longest:g}), and nearly all others end before. Check whether the "
            "codes are swapped: 1 is the event and 0 is not, or state event_map."
        )
        yield Finding("events_at_end", outcome.event_column, at_end, message)
    if not outcome.ends_at_discharge and not len(others) and 0 < len(happened) < rows:
        message = (
            f"{name} should leave some patients without an event; none of {rows} rows is 0, "
            f"{len(happened)} are 1 and {rows - len(happened)} are 2. Check whether 1 and 2 mean "
            "no and yes: 0 is no event, 1 the event, 2 the competing event; or state event_map."
        )
        yield Finding("no_censored", outcome.event_column, rows, message)
    if not any(horizon.can_be_learned for horizon in follow_up.horizons):
        horizons = ", ".join(f"{horizon:g}" for horizon in outcome.horizons_days)
        message = (
            f"{outcome.days_column} should reach a default horizon ({horizons} days) with "
            f"{MIN_EVENTS} patients with the outcome and {MIN_EVENTS} known to be without it; the "
            f"longest follow-up is {longest:g} days. If that is in years, months or weeks, convert "
            "it to days; otherwise choose other horizons."
        )
        yield Finding("no_horizon", outcome.days_column, rows, message)
    if "age" in features:
        age = features["age"].to_numpy(dtype=np.float64)
        old = int((age + days / _DAYS_PER_YEAR > _LONGEST_LIFE).sum())
        if old:
            message = (
                f"{outcome.days_column} should end within a lifetime; {old} of {rows} patients "
                f"would be over {_LONGEST_LIFE:g} years old (longest follow-up {longest:g} days). "
                "If the unit is hours, convert them to days."
            )
            yield Finding("follow_up_unit", outcome.days_column, old, message)
