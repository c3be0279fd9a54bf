"""What a panel truly adds on simulated patients, whose best attainable risks are known."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from data_schema.outcomes import OUTCOMES
from data_schema.variables import base_name
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import KnownOutcome
from training.simulation.cohort import simulate
from training.simulation.scenarios import SCENARIOS
from training.simulation.truth import horizons, recorded_risk

__all__ = ["true_added_value"]

_PATIENTS = 10_000
_ENDPOINTS = ("mortality", "fracture")
_SEED = 20_000_015
"""Of patients that no cohort of a user is likely to hold."""


def true_added_value(
    scenario: str, outcome: str, panel: Collection[str], horizon_days: float
) -> float | None:
    """Return what a panel adds to the area under the ROC curve of the best attainable risks.

    Parameters
    ----------
    scenario : str
        Name of the simulated population.
    outcome : str
        Name of the outcome, as `mortality`.
    panel : collection of str
        Columns of the panel.
    horizon_days : float
        Days from time zero.

    Returns
    -------
    float or None
        In 10,000 other patients of the population: the area of the best risks given everything
        recorded, less that of the best risks given everything but the panel. Outcomes are not
        drawn: each patient counts as with the event by the best risk, and as without it by the
        rest. None where the population, the outcome or the horizon is not one of the simulation's,
        or its size is fixed.
    """
    known = OUTCOMES.get(outcome)
    population = SCENARIOS.get(scenario)
    if known is None or population is None or population.patients is not None:
        return None
    if known.endpoint not in _ENDPOINTS or horizon_days not in horizons(known.endpoint):
        return None
    landmark = known.landmark.words if known.landmark else ""
    if known.endpoint == "mortality" and landmark not in {"24h", "72h"}:
        return None
    world = simulate(
        _PATIENTS,
        seed=_SEED,
        scenario=scenario,
        landmark="72h" if landmark == "72h" else "24h",
    ).world
    best = recorded_risk(world)
    without = recorded_risk(world, without=frozenset(map(base_name, panel)))
    rows = world.at_risk(known.endpoint)
    at = horizons(known.endpoint).index(horizon_days)
    risk = best[known.endpoint][rows, at]
    outcome_by_risk = KnownOutcome(
        np.repeat([True, False], len(risk)),
        np.concatenate([risk, 1 - risk]),
        np.ones(2 * len(risk)),
    )
    with_panel, base = (
        float(auroc(outcome_by_risk, np.tile(of, 2)))
        for of in (risk, without[known.endpoint][rows, at])
    )
    return with_panel - base
