"""Every marker of every patient, ordered or not, for figures of the whole population."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.simulation.world import World

__all__ = ["YEAR", "Complete"]

YEAR = 365.25
Values = NDArray[np.float64]


class Complete:
    """Markers and fates of one world, complete: markers that were never ordered are included."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.people, self.courses = world.people, world.courses
        self.age = world.people["age"].to_numpy()
        self.female = world.people["female"].to_numpy() == 1
        self.age10 = (self.age - 61.0) / 10
        self.stage = world.people["aki_stage"].to_numpy()
        self.dies_in_hospital = np.isnan(world.courses.hospital_discharge)
        self.dies_in_icu = np.isnan(world.courses.icu_discharge)
        self._by_day: dict[int, Values] = {}

    def of(self, name: str, day: int = 1) -> Values:
        """Return a marker of all patients on a day; a value below a limit is the limit."""
        if day not in self._by_day:
            self._by_day[day] = self.world.measured(day).value
        return self._by_day[day][:, self.world.table.names.index(name)]

    def dead_by(self, days: float) -> NDArray[np.bool_]:
        """Return which patients are dead by a day from time zero."""
        return np.asarray(self.courses.death <= days)

    @cached_property
    def by_severity(self) -> tuple[Values, Values, Values]:
        """Covariates of adjusted odds ratios: age, sex and APACHE II."""
        return self.age10, self.female.astype(float), self.of("apache2") / 7

    @cached_property
    def fractures(self) -> tuple[NDArray[np.bool_], Values, NDArray[np.bool_]]:
        """Patients at risk, years from ICU discharge to fracture, death or year 5, and events."""
        at_risk = ~self.dies_in_icu
        first = np.minimum(self.courses.fracture, self.courses.death) - self.courses.icu_discharge
        years = np.minimum(first, 5 * YEAR) / YEAR
        broke = (self.courses.fracture < self.courses.death) & (first <= 5 * YEAR)
        return at_risk, years, broke
