"""Simulate a cohort as a site would provide it, with its true risks and blood samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.catalogue import routine_tests, score_components
from data_schema.errors import UsageError
from data_schema.mapping.rules import SIMULATED
from data_schema.outcomes import OUTCOMES
from data_schema.variables import base_name
from training.simulation.drawing import draw_world
from training.simulation.extras import extra_columns, known_columns
from training.simulation.samples import observation_table
from training.simulation.scenarios import Scenario
from training.simulation.scenarios import scenario as known_scenario
from training.simulation.sites import CENSORED, SITES
from training.simulation.states import DAYS
from training.simulation.truth import truth_table
from training.simulation.world import Block, World

__all__ = [
    "BLOCK_PATIENTS",
    "DEFAULT_PATIENTS",
    "SimulatedCohort",
    "simulate",
    "simulated_blocks",
    "simulated_table",
]

DEFAULT_PATIENTS = 20_000
BLOCK_PATIENTS = 20_000
"""Patients that are drawn at a time. Part of what a seed means: another number, other patients."""

# The causal model does not hold these, and the columns of its cohorts stay as published.
_NOT_SIMULATED = frozenset(
    entry.name for entry in (*routine_tests.ENTRIES, *score_components.ENTRIES)
)
_LANDMARKS: Mapping[str, int] = {
    landmark.words: landmark.hours // 24
    for landmark in (outcome.landmark for outcome in OUTCOMES.values())
    if landmark is not None and landmark.hours is not None and landmark.hours // 24 in DAYS
}
"""Landmark as the command line writes it -> day of the stay on which the cohort is seen."""


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

        `fracture_days` and `fracture_event` are empty for patients who died in the ICU: they
        were never at risk of a fracture after it.
        """
        return _cohort_table(self.world)

    @cached_property
    def truth(self) -> pd.DataFrame:
        """True risks and contributions, computed on first access (`truth.truth_table`)."""
        return truth_table(self.world)

    def with_blanks(self, share: float) -> SimulatedCohort:
        """Return the same patients with a share of the markers not entered, at random."""
        if not share:
            return self
        return SimulatedCohort(self.world.with_blanks(self.world.random_blanks(share)))

    @cached_property
    def observations(self) -> pd.DataFrame:
        """Samples of days 1, 3, 7, 14 and 28, in the long form (`samples.observation_table`)."""
        return observation_table(self.world)


def simulate(
    patients: int,
    *,
    seed: int,
    scenario: str = "published",
    landmark: str = "24h",
    blank_share: float = 0.0,
) -> SimulatedCohort:
    """Simulate critically ill patients; the same arguments give the same cohort.

    Parameters
    ----------
    patients : int
        At least 1 and at most `BLOCK_PATIENTS`; the scenario `small` has 300. More come block by
        block from `simulated_blocks`.
    seed : int
        0 or more.
    scenario : str
        A key of `training.simulation.scenarios.SCENARIOS`.
    landmark : {"24h", "72h"}
        Time zero; at 72 h only patients alive and in the ICU remain.
    blank_share : float
        Share of the markers, from 0 to below 1, that are not entered, at random; patients and
        outcomes are the same at every share. Facts such as age are always entered.
    """
    world_of = _checked_scenario(patients, seed, scenario, landmark, blank_share)
    if patients > BLOCK_PATIENTS:
        raise ValueError(
            f"patients must be at most {BLOCK_PATIENTS}; got {patients}. Use simulated_blocks."
        )
    world = replace(draw_world(patients, seed, world_of), day=_LANDMARKS[landmark])
    return SimulatedCohort(world).with_blanks(blank_share)


def simulated_blocks(
    patients: int,
    *,
    seed: int,
    scenario: str = "published",
    landmark: str = "24h",
    blank_share: float = 0.0,
) -> Iterator[SimulatedCohort]:
    """Yield a cohort of any size in blocks of `BLOCK_PATIENTS`, one after another.

    The first block is the cohort that `simulate` gives for the same seed, and every block spans the
    ten years of the study. Parameters are those of `simulate`.
    """
    world_of = _checked_scenario(patients, seed, scenario, landmark, blank_share)
    for number, first in enumerate(range(0, patients, BLOCK_PATIENTS)):
        size = min(BLOCK_PATIENTS, patients - first)
        drawn = draw_world(size, seed, world_of, block=Block(number, first, patients))
        world = replace(drawn, day=_LANDMARKS[landmark])
        yield SimulatedCohort(world).with_blanks(blank_share)


def simulated_table(patients: int, *, seed: int, scenario: str = "published") -> pd.DataFrame:
    """Return the cohort of `simulated_blocks` as one table."""
    blocks = simulated_blocks(patients, seed=seed, scenario=scenario)
    return pd.concat([block.cohort for block in blocks], ignore_index=True)


def _checked_scenario(
    patients: int, seed: int, scenario: str, landmark: str, blank_share: float
) -> Scenario:
    """Return the scenario; refuse arguments that describe no cohort."""
    world_of = known_scenario(scenario)
    if patients < 1:
        raise UsageError(f"patients must be at least 1; got {patients}.")
    if seed < 0:
        raise UsageError(f"seed must be 0 or more; got {seed}.")
    if world_of.patients not in (None, patients):
        raise UsageError(
            f"patients of the scenario {scenario} must be {world_of.patients}; got {patients}."
        )
    if landmark not in _LANDMARKS:
        raise UsageError(f"landmark must be one of {', '.join(_LANDMARKS)}; got {landmark!r}.")
    if not 0 <= blank_share < 1:
        raise UsageError(f"blank_share must be at least 0 and below 1; got {blank_share}.")
    return world_of


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
    values = {
        **recorded,
        **known_columns(world),
        **extra_columns(world, recorded, days=float(world.day)),
    }
    columns = {}
    for name in VARIABLES:
        if name in _NOT_SIMULATED:
            continue
        # A variable that the causal model does not hold is missing throughout.
        columns[name] = values.get(name, np.full(len(world), np.nan))
        if f"{name}__below" in below:
            columns[f"{name}__below"] = below[f"{name}__below"]
    ids = {
        "patient_id": world.patient_id,
        "stay_id": world.patient_id,
        "site": np.array([site.name for site in SITES])[world.site],
        "time_zero": pd.to_datetime(world.time_zero, utc=True) + pd.Timedelta(days=world.day - 1),
        SIMULATED: world.scenario.name,
    }
    outcomes = _outcomes(world)
    table = pd.DataFrame({**ids, **columns, **outcomes})
    # Whole numbers, since a CSV would otherwise contain 1.0, which is not a valid flag.
    whole = [name for name in columns if VARIABLES[base_name(name)].kind == "flag"]
    whole += [*below, *(name for name in outcomes if name.endswith("_event"))]
    table = table.astype(dict.fromkeys(whole, "Int64"))
    return table[world.at_risk("mortality")].reset_index(drop=True)


def _outcomes(world: World) -> dict[str, NDArray[np.float64]]:
    """Return days and event of both outcomes; those of fracture count from ICU discharge.

    The cohort of 72 h has death only: its patients have yet to leave the ICU.
    """
    courses, last_seen = world.courses, world.last_seen
    death = {
        "mortality_days": _days(np.minimum(courses.death, last_seen) - (world.day - 1)),
        "mortality_event": (courses.death <= last_seen).astype(np.float64),
    }
    if world.day > 1:
        return death
    left = courses.icu_discharge
    first = np.minimum(np.minimum(courses.fracture, courses.death), last_seen)
    event = np.where(first == courses.fracture, 1.0, np.where(first == courses.death, 2.0, 0.0))
    at_risk = world.at_risk("fracture")
    return {
        **death,
        "fracture_days": np.where(at_risk, _days(first - left), np.nan),
        "fracture_event": np.where(at_risk, event, np.nan),
    }


def _days(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return days to the hundredth, never 0."""
    return np.asarray(np.round(days, 2).clip(0.01))
