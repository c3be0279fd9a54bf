"""Draw a world: people with site and date, hidden states, courses and follow-up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.simulation.hazards import Courses, draw_courses
from training.simulation.person import FACTS, draw_people, facts_matrix
from training.simulation.scenarios import Scenario
from training.simulation.sites import SITES
from training.simulation.states import STATES, correlation, effects_matrix
from training.simulation.world import (
    DAYS_PER_YEAR,
    FIRST_DAY,
    STREAMS,
    YEARS,
    Block,
    World,
    generator,
)

__all__ = ["draw_world"]

LAST_SEEN = np.datetime64("2024-01-01", "s")
LOST_PER_YEAR = 0.03


def draw_world(
    patients: int, seed: int, scenario: Scenario, *, block: Block | None = None
) -> World:
    """Draw people, states, courses and follow-up; the same arguments give the same world.

    Parameters
    ----------
    block : Block, optional
        Which patients of a larger cohort these are (default: they are the whole cohort).
    """
    block = block or Block(0, 0, patients)
    rngs = {name: generator(seed, number, block.number) for name, number in STREAMS.items()}
    rng = rngs["people"]
    share = np.array([site.share for site in SITES])
    site = rng.choice(len(SITES), patients, p=share / share.sum())
    days = np.sort(rng.uniform(0, YEARS * DAYS_PER_YEAR, patients))
    time_zero = FIRST_DAY + (days * 86_400).astype("timedelta64[s]")
    older = np.array([site.older for site in SITES])[site]
    if scenario.shifted_site:
        older = older + 8.0 * (site == len(SITES) - 1)
    if scenario.drift:
        older = older + 0.4 * (np.floor(days / DAYS_PER_YEAR) - (YEARS - 1) / 2)
    people = draw_people(patients, rng, older=older)
    people = people.assign(
        contrast=(rng.random(patients) < 0.6).astype(float),
        fasting=(rng.random(patients) < 0.85).astype(float),
        exogenous_hormones=((rng.random(patients) < 0.03) * people["female"]).astype(float),
    )
    # Warmest, and richest in vitamin D, in the middle of August.
    season = np.cos(2 * np.pi * (days % DAYS_PER_YEAR - 227) / DAYS_PER_YEAR)
    facts = facts_matrix(people, season)
    noise = rngs["states"].standard_normal((patients, len(STATES)))
    states = facts @ effects_matrix(tuple(FACTS), left_out=frozenset()).T
    # s = E f + R^(1/2) e: mean linear in the facts f, correlation R given them, e standard normal.
    states = states + noise @ np.linalg.cholesky(correlation()).T
    pending = np.full(patients, np.nan)
    courses = Courses(pending, pending, pending, pending)
    world = World(scenario, seed, block, people, site, time_zero, facts, states, courses, pending)
    acute, chronic, fracture = (world.log_hazard(name) for name in ("acute", "chronic", "fracture"))
    courses = draw_courses(acute, chronic, fracture, rngs["courses"])
    last_seen = _follow_up(world, courses, rngs["follow_up"])
    return replace(world, courses=courses, last_seen=last_seen)


def _follow_up(world: World, courses: Courses, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return days to the end of observation: of the study, or when lost after the hospital."""
    study = (LAST_SEEN - world.time_zero) / np.timedelta64(86_400, "s")
    log_rate = np.zeros(len(world))
    if world.scenario.censoring_by_facts:
        known = dict(zip(FACTS, world.facts.T, strict=True))
        log_rate = 1.2 + 0.5 * known["age10"] + 0.6 * known["aki3"] + 0.6 * known["sepsis"]
    lost = rng.exponential(size=len(world)) / (LOST_PER_YEAR * np.exp(log_rate)) * DAYS_PER_YEAR
    # No patient is lost in hospital, and a patient who dies there never leaves it.
    home = np.where(np.isnan(courses.hospital_discharge), np.inf, courses.hospital_discharge)
    return np.asarray(np.minimum(study, home + lost))
