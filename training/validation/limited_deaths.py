"""How many deaths followed an order to limit treatment."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.disclosure import SMALLEST_CELL
from data_schema.outcomes import COMPETING, ENDPOINTS, EVENT

__all__ = ["LimitedDeaths", "limited_deaths", "under_full_treatment"]


@dataclass(frozen=True, slots=True)
class LimitedDeaths:
    """Deaths in a cohort, and how many of them followed an order to limit treatment.

    A death that such an order permits is partly a decision: a model that predicts it has partly
    learned who will be treated no further.

    Parameters
    ----------
    deaths : int
        Deaths in the whole follow-up.
    after : int or None
        Deaths after a recorded limitation; None where the cohort does not record it, or where the
        number or the rest is so small that it might identify a person.
    unknown : int
        Deaths of which it is not known.
    is_recorded : bool
        Whether the cohort records limitations at all.
    recorded : str
        The part of the stay that the record covers, where it is not all of it.
    """

    deaths: int
    after: int | None
    unknown: int
    is_recorded: bool
    recorded: str = ""

    @property
    def share(self) -> float | None:
        """Share of the deaths of which it is known, or None."""
        known = self.deaths - self.unknown
        return None if self.after is None or not known else self.after / known

    def as_json(self) -> dict[str, object]:
        """Return the counts and the share as a mapping."""
        return {**asdict(self), "share": self.share}


def limited_deaths(cohort: Cohort) -> LimitedDeaths | None:
    """Return how many deaths of a cohort followed a limitation; None if no event of it is death."""
    outcome = outcome_of(cohort)
    endpoint = ENDPOINTS.get(outcome.name)
    if endpoint is None:
        return None
    died = outcome.event == (EVENT if endpoint.is_death else COMPETING)
    deaths = int(died.sum())
    limits = cohort.treatment_limits
    if limits is None:
        return LimitedDeaths(deaths, None, deaths, is_recorded=False)
    limited = limits.limited[died]
    before_death = limited == 1.0
    if limits.days is not None and outcome.horizon_days is None:
        day = limits.days[died]
        before_death &= np.isnan(day) | (day <= outcome.time_days[died])
    after, unknown = int(before_death.sum()), int(np.isnan(limited).sum())
    small = any(0 < count < SMALLEST_CELL for count in (after, deaths - unknown - after))
    return LimitedDeaths(
        deaths, None if small else after, unknown, is_recorded=True, recorded=limits.recorded
    )


def under_full_treatment(cohort: Cohort) -> NDArray[np.bool_] | None:
    """Return the stays in which no limitation is recorded; None where the cohort records none."""
    limits = cohort.treatment_limits
    return None if limits is None else limits.limited == 0.0
