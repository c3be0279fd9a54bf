"""`simulate`: a cohort of simulated patients as a site would bring it, its truth, its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.errors import UsageError
from training.simulation.extras import extra_columns, known_columns
from training.simulation.samples import observation_table
from training.simulation.scenarios import scenario as known_scenario
from training.simulation.sites import CENSORED, SITES
from training.simulation.truth import recorded_risk, truth_table
from training.simulation.world import World, draw_world

__all__ = ["DEFAULT_PATIENTS", "SIMULATED", "SimulatedCohort", "simulate"]

DEFAULT_PATIENTS = 20_000

SIMULATED = "simulated"
"""Column that says in every row that nobody real is meant, and from which scenario it is."""


@dataclass(frozen=True)
class SimulatedCohort:
    """Simulated patients.

    Parameters
    ----------
    world : World
        Everything that the generator knows.
    """

    world: World

    @cached_property
    def cohort(self) -> pd.DataFrame:
        """One row per stay: identifiers, `simulated`, every variable of the catalogue, outcomes.

        `fracture_days` and `fracture_event` are empty for who died in the ICU, who was never at
        risk of a fracture after it.
        """
        return _cohort_table(self.world)

    @cached_property
    def truth(self) -> pd.DataFrame:
        """True risks and contributions, computed when first asked for (`truth.truth_table`)."""
        return truth_table(self.world)

    @cached_property
    def observations(self) -> pd.DataFrame:
        """Samples of days 1, 3, 7, 14 and 28, in the long form (`samples.observation_table`)."""
        return observation_table(self.world)

    def best_risk(self, *, without: frozenset[str]) -> dict[str, NDArray[np.float64]]:
        """Return the best attainable risk had the markers of some pathways not been measured.

        Parameters
        ----------
        without : frozenset of str
            Pathways. What is known of person, circumstances and drivers always counts.

        Returns
        -------
        dict of str to ndarray of float, shape (n_patients, n_horizons)
            Outcome -> risk at its default horizons; `risk_recorded` of the truth is that without
            nothing.
        """
        return recorded_risk(self.world, without=without)


def simulate(patients: int, *, seed: int, scenario: str = "published") -> SimulatedCohort:
    """Draw critically ill patients from the causal model.

    Parameters
    ----------
    patients : int
        At least 1; the scenario `small` has 300.
    seed : int
        0 or more: same patients, scenario and seed, same cohort.
    scenario : str
        A key of `training.simulation.scenarios.SCENARIOS`.

    Returns
    -------
    SimulatedCohort

    Raises
    ------
    UsageError
        If a number is out of range, or there is no such scenario.
    """
    world_of = known_scenario(scenario)
    if patients < 1:
        raise UsageError(f"patients must be at least 1; got {patients}.")
    if seed < 0:
        raise UsageError(f"seed must be 0 or more; got {seed}.")
    if world_of.patients not in (None, patients):
        raise UsageError(
            f"patients of the scenario {scenario} must be {world_of.patients}; got {patients}."
        )
    return SimulatedCohort(draw_world(patients, seed, world_of))


def _cohort_table(world: World) -> pd.DataFrame:
    today = world.measured()
    recorded = {
        name: np.where(world.recorded[:, j], today.value[:, j], np.nan)
        for j, name in enumerate(world.table.names)
    }
    below = {
        f"{name}__below": np.where(world.recorded[:, j], today.below[:, j].astype(float), np.nan)
        for j, name in enumerate(world.table.names)
        if name in CENSORED
    }
    found = {**recorded, **known_columns(world), **extra_columns(world, recorded, days=1.0)}
    columns = {}
    for name in VARIABLES:
        columns[name] = found[name]
        if f"{name}__below" in below:
            columns[f"{name}__below"] = below[f"{name}__below"]
    ids = {
        "patient_id": world.patient_id,
        "stay_id": world.patient_id,
        "site": np.array([site.name for site in SITES])[world.site],
        "time_zero": pd.to_datetime(world.time_zero, utc=True),
        SIMULATED: world.scenario.name,
    }
    return pd.DataFrame({**ids, **columns, **_outcomes(world)})


def _outcomes(world: World) -> dict[str, NDArray[np.float64]]:
    """Return days and event of both outcomes; those of fracture count from ICU discharge."""
    courses, last_seen = world.courses, world.last_seen
    died = courses.death <= last_seen
    left = courses.icu_discharge
    first = np.minimum(np.minimum(courses.fracture, courses.death), last_seen)
    event = np.where(first == courses.fracture, 1.0, np.where(first == courses.death, 2.0, 0.0))
    at_risk = ~np.isnan(left)
    return {
        "mortality_days": _days(np.minimum(courses.death, last_seen)),
        "mortality_event": died.astype(np.int64),
        "fracture_days": np.where(at_risk, _days(first - left), np.nan),
        "fracture_event": np.where(at_risk, event, np.nan),
    }


def _days(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return days to the hundredth, never 0."""
    return np.asarray(np.round(days, 2).clip(0.01))
