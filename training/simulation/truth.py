"""The true risks: given all that the generator knows, and given no more than the record holds.

`risk_recorded` is the best that anybody can do with the recorded values: the mean of the full risk
over the states that are compatible with them. States given what was measured are Gaussian; values
below a limit, and orders that follow severity, enter as weights; the integral is over evenly
spread draws. What is no column but known wherever a model is used counts too: site, kit, date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_ndtr

from data_schema.outcomes import OUTCOMES
from training.simulation.contributions import Recorded, contributions, expected_log_hazards
from training.simulation.hazards import BENDS, fracture_incidence, mortality_risk
from training.simulation.posterior import Evidence, condition, standard_draws
from training.simulation.sites import CENSORED
from training.simulation.states import STATES, correlation
from training.simulation.world import Measured, World

__all__ = ["DRAWS", "full_risk", "horizons", "recorded_risk", "truth_table"]

DRAWS = 128
"""Draws per patient; with four times as many, risks change by 0.001 on average."""

_CHUNK = 1000
_HAZARDS = ("acute", "chronic", "fracture")
Told = Callable[[float], object]


def horizons(outcome: str) -> tuple[float, ...]:
    """Return the default horizons of an outcome, in days."""
    return tuple(map(float, OUTCOMES[outcome].horizons_days))


def full_risk(world: World, outcome: str) -> NDArray[np.float64]:
    """Return the risk given states and facts, (n_patients, n_horizons).

    Parameters
    ----------
    world : World
    outcome : {"mortality", "fracture"}
        Fracture is conditional on leaving the ICU alive.

    Returns
    -------
    ndarray of float
    """
    log = {name: world.log_hazard(name) for name in _HAZARDS}
    return np.column_stack([_risk(outcome, log, days, None) for days in horizons(outcome)])


def recorded_risk(
    world: World, *, without: frozenset[str] = frozenset(), draws: int = DRAWS, progress: Told = id
) -> dict[str, NDArray[np.float64]]:
    """Return the best attainable risk of each outcome.

    Parameters
    ----------
    world : World
    without : frozenset of str
        Pathways whose markers are taken as not recorded; facts always are.
    draws : int
        A power of 2.
    progress : callable
        Told the share done.

    Returns
    -------
    dict of str to ndarray of float, shape (n_patients, n_horizons)
    """
    measured = world.measured()
    standard = standard_draws(draws, 3 + len(BENDS) + len(CENSORED) + 1)
    found: dict[str, list[NDArray[np.float64]]] = {"mortality": [], "fracture": []}
    for part in _parts(world, measured, without):
        log, weight = _drawn(world, part, standard)
        for outcome, risks in found.items():
            risks.append(
                np.column_stack([_risk(outcome, log, days, weight) for days in horizons(outcome)])
            )
        progress(part.rows.stop / len(world))
    return {outcome: np.vstack(risks) for outcome, risks in found.items()}


def truth_table(world: World, progress: Told = id) -> pd.DataFrame:
    """Return the truth about every patient at risk, one row per outcome and horizon.

    Parameters
    ----------
    world : World
    progress : callable
        Told the share done.

    Returns
    -------
    DataFrame
        `patient_id, outcome, horizon_days, risk_full, risk_recorded, base_log_odds` and one
        `contribution__<pathway>` each (`contributions.contributions` says of what).
    """
    recorded = recorded_risk(world, progress=progress)
    measured = world.measured()
    expected = expected_log_hazards(world, _parts(world, measured, frozenset()))
    blocks = []
    for outcome, risk in recorded.items():
        at_risk = np.ones(len(world), dtype=bool)
        if outcome == "fracture":
            at_risk = ~np.isnan(world.courses.icu_discharge)
        full = full_risk(world, outcome)
        for place, days in enumerate(horizons(outcome)):
            base, by_pathway = contributions(expected, partial(_risk_given, outcome, days))
            block = pd.DataFrame(
                {
                    "patient_id": world.patient_id,
                    "outcome": outcome,
                    "horizon_days": days,
                    "risk_full": full[:, place],
                    "risk_recorded": risk[:, place],
                    "base_log_odds": base,
                    **{f"contribution__{name}": told for name, told in by_pathway.items()},
                }
            )
            blocks.append(block[at_risk])
    return pd.concat(blocks, ignore_index=True)


def _risk_given(
    outcome: str, days: float, log: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    return _risk(outcome, log, days, None)


def _risk(
    outcome: str,
    log: Mapping[str, NDArray[np.float64]],
    days: float,
    weight: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Return a risk, or with weights (n, draws) its mean over draws."""
    if outcome == "mortality":
        died = mortality_risk(log["acute"], log["chronic"], days)
        return died if weight is None else np.einsum("im,im->i", weight, died)
    leaves, breaks = fracture_incidence(log["acute"], log["chronic"], log["fracture"], days)
    if weight is None:
        return np.asarray(breaks / leaves)
    # Being at risk, which is to leave the ICU alive, tells of the states as well.
    return np.asarray((weight * breaks).sum(1) / (weight * leaves).sum(1))


def _parts(world: World, measured: Measured, without: frozenset[str]) -> Iterator[Recorded]:
    """Yield patients in portions, with the evidence that their record holds."""
    table = world.table
    counted = world.recorded & world.informing & ~world.in_pathways(without)
    below = counted & measured.below
    residual = np.where(counted & ~below, measured.residual, np.nan)
    for start in range(0, len(world), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(world)))
        yield Recorded(
            rows,
            Evidence(residual[rows], measured.loads, table.noise),
            below[rows],
            measured.residual[rows],
        )


def _drawn(
    world: World, part: Recorded, standard: NDArray[np.float64]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Return log-hazards of draws, and the weights of the draws, each (n_patients, n_draws)."""
    rows, names = part.rows, world.table.names
    posterior = condition(world.prior_mean()[rows], correlation(), part.told)
    censored = [names.index(name) for name in CENSORED]
    n = rows.stop - rows.start
    states = [np.eye(len(STATES))[STATES.index(name)] for name in (*BENDS, "severity")]
    shared = np.vstack([*states, part.told.loads[censored]])
    directions = np.concatenate(
        [
            np.stack([world.direction(name)[rows] for name in _HAZARDS], axis=1),
            np.broadcast_to(shared, (n, *shared.shape)),
        ],
        axis=1,
    )
    drawn = posterior.draws(directions, standard)
    log = {name: drawn[:, :, k] + world.fixed(name)[rows, None] for k, name in enumerate(_HAZARDS)}
    for k, (curvature, lowest, _) in enumerate(BENDS.values()):
        log["acute"] = log["acute"] + curvature * (drawn[:, :, 3 + k] - lowest) ** 2
    log_weight = np.zeros(drawn.shape[:2])
    for k, j in enumerate(censored):
        below = part.below[:, j]
        seen = drawn[below, :, 4 + len(BENDS) + k]
        log_weight[below] += log_ndtr((part.limit[below, j, None] - seen) / world.table.noise[j])
    if world.scenario.testing_by_severity:
        log_weight += _of_orders(world, rows, drawn[:, :, 3 + len(BENDS)])
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return log, weight / weight.sum(axis=1, keepdims=True)


def _of_orders(world: World, rows: slice, severity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-probability of the panels that were ordered, given drawn severity."""
    log_odds = world.panel_log_odds() + world.ordering(severity)
    ordered = world.ordered[rows, None, :]
    return np.asarray(
        np.where(ordered, -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)).sum(axis=-1)
    )
