r"""How much each pathway's recorded values move the true log-odds: what an explanation should find.

Given what was measured in a patient, the expected log-hazard is linear in the recorded values:
:math:`E[\eta \mid x] = c + \sum_j w_j x_j` with weights that depend on which were measured. The
contribution of a value is :math:`w_j (x_j - \bar x_j)`, with the mean over the patients in whom it
was measured; it is the SHAP value of a linear model with independent features. Log-hazards become
log-odds at the horizon by the slope of logit(risk) at the patient. A U-shape counts by its secant
from the mean state to the patient's. A value below its limit counts as if its expectation had been
measured. A pathway is the sum over its recorded variables; what was not measured has no share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logit

from data_schema.biomarkers import VARIABLES
from data_schema.variables import PATHWAYS
from training.simulation.hazards import BENDS, HAZARDS
from training.simulation.person import FACTS
from training.simulation.posterior import Evidence, condition
from training.simulation.states import STATES, correlation, effects_matrix
from training.simulation.world import World

__all__ = ["Expected", "Recorded", "contributions", "expected_log_hazards"]

_STEP = 0.01
_LEAST_RISK = 1e-9


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the record of some patients holds.

    Parameters
    ----------
    rows : slice
        Where they stand in the world.
    told : Evidence
        Markers measured above their limit.
    below : ndarray of bool, shape (n_patients, n_markers)
        Markers below it.
    limit : ndarray of float, shape (n_patients, n_markers)
        Residual of the limit there.
    """

    rows: slice
    told: Evidence
    below: NDArray[np.bool_]
    limit: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Expected:
    """Log-hazards expected from the record, and what each pathway adds to them.

    Parameters
    ----------
    log_hazard : mapping of str to ndarray of float, shape (n_patients,)
        Level included.
    moved : mapping of str to ndarray of float, shape (n_patients, n_pathways)
        In the order of `PATHWAYS`.
    """

    log_hazard: Mapping[str, NDArray[np.float64]]
    moved: Mapping[str, NDArray[np.float64]]


def expected_log_hazards(world: World, records: Iterable[Recorded]) -> Expected:
    """Return what the record lets one expect of each log-hazard, and which pathway moved it.

    Parameters
    ----------
    world : World
    records : iterable of Recorded
        All patients, in portions.

    Returns
    -------
    Expected
    """
    means, moved = zip(*(_portion(world, record) for record in records), strict=True)
    mean, by_pathway = np.vstack(means), np.concatenate(moved)
    names = list(HAZARDS)
    log = {name: world.fixed(name) + mean[:, k] for k, name in enumerate(names)}
    found = {name: by_pathway[:, k] for k, name in enumerate(names)}
    for k, (curvature, lowest, _) in enumerate(BENDS.values(), start=len(names)):
        at, usual = mean[:, k], mean[:, k].mean()
        log["acute"] = log["acute"] + curvature * (at - lowest) ** 2
        secant = curvature * (at + usual - 2 * lowest)
        found["acute"] = found["acute"] + secant[:, None] * by_pathway[:, k]
    return Expected(log, found)


def contributions(
    expected: Expected, risk: Callable[[Mapping[str, NDArray[np.float64]]], NDArray[np.float64]]
) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """Return the log-odds of the reference, and what each pathway adds to them in each patient.

    Parameters
    ----------
    expected : Expected
    risk : callable
        From the log-hazards to the risk at one horizon.

    Returns
    -------
    tuple of float and dict of str to ndarray of float, shape (n_patients,)
    """
    usual = {name: np.array([log.mean()]) for name, log in expected.log_hazard.items()}
    total = np.zeros((len(next(iter(expected.moved.values()))), len(PATHWAYS)))
    for name, moved in expected.moved.items():
        higher = {**expected.log_hazard, name: expected.log_hazard[name] + _STEP}
        lower = {**expected.log_hazard, name: expected.log_hazard[name] - _STEP}
        slope = (_log_odds(risk(higher)) - _log_odds(risk(lower))) / (2 * _STEP)
        total += slope[:, None] * moved
    by_pathway = {pathway: total[:, k] for k, pathway in enumerate(PATHWAYS)}
    return float(_log_odds(risk(usual))[0]), by_pathway


def _log_odds(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-odds; a risk that rounds to 1 moves no further."""
    return np.asarray(logit(risk.clip(_LEAST_RISK, 1 - _LEAST_RISK)))


def _portion(world: World, record: Recorded) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return expected directions (n, q), and what moved each by pathway (n, q, n_pathways)."""
    rows, told = record.rows, _with_expected_values(world, record)
    prior, facts = world.prior_mean()[rows], world.facts[rows]
    posterior = condition(prior, correlation(), told)
    bends = np.eye(len(STATES))[[STATES.index(state) for state in BENDS]]
    directions = np.concatenate(
        [
            np.stack([world.direction(name)[rows] for name in HAZARDS], axis=1),
            np.broadcast_to(bends, (len(facts), *bends.shape)),
        ],
        axis=1,
    )
    measured = ~np.isnan(told.residual)
    information = told.loads / told.noise[:, None] ** 2
    weight = directions @ posterior.covariance @ information.T * measured[:, None, :]
    on_states = effects_matrix(tuple(FACTS), left_out=frozenset())
    on_markers = world.table.effects(list(FACTS))
    own = np.vstack([hazard.of_facts() for hazard in HAZARDS.values()])
    own = np.vstack([own, np.zeros((len(BENDS), len(FACTS)))])
    of_facts = own + directions @ on_states - weight @ (on_markers + told.loads @ on_states)
    value = told.residual + facts @ on_markers.T
    by_marker = weight * np.where(measured, value - world.usual_values, 0.0)[:, None, :]
    by_fact = of_facts * (facts - world.facts.mean(axis=0))[:, None, :]
    mean = np.einsum("iqk,ik->iq", directions, posterior.mean)
    markers, known = _pathways(world.table.names), _pathways(FACTS.values())
    return mean, by_marker @ markers + by_fact @ known


def _with_expected_values(world: World, record: Recorded) -> Evidence:
    """Return the evidence with the expectation in place of what lies below a limit."""
    told = record.told
    if not record.below.any():
        return told
    posterior = condition(world.prior_mean()[record.rows], correlation(), told)
    centre = posterior.mean @ told.loads.T
    inside = np.einsum("jk,ikl,jl->ij", told.loads, posterior.covariance, told.loads)
    spread = np.sqrt(inside + told.noise**2)
    at = (record.limit - centre) / spread
    # Mean of a normal known to lie below the limit, by the inverse Mills ratio.
    mills = np.exp(-(at**2) / 2 - 0.5 * np.log(2 * np.pi) - log_ndtr(at))
    residual = np.where(record.below, centre - spread * mills, told.residual)
    return Evidence(residual, told.loads, told.noise)


def _pathways(names: Iterable[str]) -> NDArray[np.float64]:
    """Return the 0/1 matrix that sums variables into pathways."""
    return np.array(
        [[float(VARIABLES[name].pathway == pathway) for pathway in PATHWAYS] for name in names]
    )
