r"""True contributions: how far each pathway's recorded values move the true log-odds.

Given what was measured in a patient, the expected log-hazard is linear in the recorded values:
:math:`E[\eta \mid x] = c + \sum_j w_j x_j` with weights that depend on which were measured. The
contribution of a value is :math:`w_j (x_j - \bar x_j)`, with the mean over the patients with a
measured value (of the first block, where a cohort is drawn in blocks); it is the SHAP value of a
linear model with independent features. Log-hazards become log-odds at the horizon by the slope of
the logit of the recorded risk, averaged along the straight line from the reference to the patient.
A U-shape counts by its secant from the mean state to the patient's. A value below its limit counts
as if its expectation had been measured. A pathway is the sum over its recorded variables; what was
not measured has no share.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from data_schema.biomarkers import VARIABLES
from data_schema.variables import PATHWAYS
from training.simulation.hazards import BENDS, HAZARDS
from training.simulation.person import FACTS
from training.simulation.posterior import Evidence, condition
from training.simulation.states import STATES, correlation, effects_matrix
from training.simulation.world import World

__all__ = ["Recorded", "UsualPatient", "moved_log_hazards", "usual_patient"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recorded values of some patients.

    Parameters
    ----------
    rows : ndarray of int, shape (n_patients,)
        Their row numbers in the world.
    evidence : Evidence
        Markers measured above their limit.
    below : ndarray of bool, shape (n_patients, n_markers)
        Markers below it.
    limit : ndarray of float, shape (n_patients, n_markers)
        Residual of the limit there.
    """

    rows: NDArray[np.int64]
    evidence: Evidence
    below: NDArray[np.bool_]
    limit: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UsualPatient:
    """The means that contributions are relative to.

    Parameters
    ----------
    values : ndarray of float, shape (n_markers,)
        Recorded values less location and kit.
    facts : ndarray of float, shape (n_facts,)
    bends : ndarray of float, shape (n_bends,)
        Expected states of `BENDS`.
    """

    values: NDArray[np.float64]
    facts: NDArray[np.float64]
    bends: NDArray[np.float64]


def usual_patient(
    world: World, records: Iterable[Recorded], *, among: NDArray[np.bool_]
) -> UsualPatient:
    """Return the means over some patients of a world, (n_patients,) of bool."""
    expected = [
        condition(
            world.prior_mean()[record.rows], correlation(), _with_expected_values(world, record)
        ).mean
        for record in records
    ]
    bends = [STATES.index(state) for state in BENDS]
    return UsualPatient(
        world.usual_values(among),
        world.facts[among].mean(axis=0),
        np.vstack(expected)[among][:, bends].mean(axis=0),
    )


def moved_log_hazards(
    world: World, records: Iterable[Recorded], *, usual: UsualPatient
) -> dict[str, NDArray[np.float64]]:
    """Return how far each pathway's recorded values move the log-hazards expected from the record.

    Parameters
    ----------
    records : iterable of Recorded
        All patients, in portions.
    usual : UsualPatient
        The reference.

    Returns
    -------
    dict of str to ndarray of float, shape (n_patients, n_pathways)
        Log-hazard -> in the order of `PATHWAYS`.
    """
    means, parts = zip(*(_portion(world, record, usual) for record in records), strict=True)
    mean, by_pathway = np.vstack(means), np.concatenate(parts)
    names = list(HAZARDS)
    moved = {name: by_pathway[:, k] for k, name in enumerate(names)}
    for k, (curvature, lowest, _) in enumerate(BENDS.values(), start=len(names)):
        # kappa (m - c)^2 - kappa (M - c)^2 = kappa (m + M - 2 c)(m - M), with m the patient's mean
        # state, M the usual patient's and c where the hazard is lowest: the first factors are the
        # secant's slope.
        secant = curvature * (mean[:, k] + usual.bends[k - len(names)] - 2 * lowest)
        moved["acute"] = moved["acute"] + secant[:, None] * by_pathway[:, k]
    return moved


def _portion(
    world: World, record: Recorded, usual: UsualPatient
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return expected directions (n, q), and what moved each by pathway (n, q, n_pathways)."""
    rows, evidence = record.rows, _with_expected_values(world, record)
    prior, facts = world.prior_mean()[rows], world.facts[rows]
    posterior = condition(prior, correlation(), evidence)
    bends = np.eye(len(STATES))[[STATES.index(state) for state in BENDS]]
    directions = np.concatenate(
        [
            np.stack([world.direction(name)[rows] for name in HAZARDS], axis=1),
            np.broadcast_to(bends, (len(facts), *bends.shape)),
        ],
        axis=1,
    )
    measured = ~np.isnan(evidence.residual)
    information = evidence.loads / evidence.noise[:, None] ** 2
    # With E_s = `on_states`, E_m = `on_markers` (effects of facts f on states and markers), L =
    # `loads`, I the information and W = D V I' masked to what is measured, the posterior mean in
    # directions D is
    #   D m = D E_s f + W (r - L E_s f),   r = x - E_m f,
    # and a log-hazard adds its own effects of facts b. So a value x_j has the coefficient W_j, and
    # the facts have b + D E_s - W (E_m + L E_s) = `of_facts`.
    weight = directions @ posterior.covariance @ information.T * measured[:, None, :]
    on_states = effects_matrix(tuple(FACTS), left_out=frozenset())
    on_markers = world.table.effects(list(FACTS))
    own = np.vstack([hazard.of_facts() for hazard in HAZARDS.values()])
    own = np.vstack([own, np.zeros((len(BENDS), len(FACTS)))])
    of_facts = own + directions @ on_states - weight @ (on_markers + evidence.loads @ on_states)
    value = evidence.residual + facts @ on_markers.T
    by_marker = weight * np.where(measured, value - usual.values, 0.0)[:, None, :]
    by_fact = of_facts * (facts - usual.facts)[:, None, :]
    mean = np.einsum("iqk,ik->iq", directions, posterior.mean)
    markers, known = _pathways(world.table.names), _pathways(FACTS.values())
    return mean, by_marker @ markers + by_fact @ known


def _with_expected_values(world: World, record: Recorded) -> Evidence:
    """Return the evidence with the expected value in place of a value below its limit."""
    evidence = record.evidence
    if not record.below.any():
        return evidence
    posterior = condition(world.prior_mean()[record.rows], correlation(), evidence)
    centre = posterior.mean @ evidence.loads.T
    inside = np.einsum("jk,ikl,jl->ij", evidence.loads, posterior.covariance, evidence.loads)
    spread = np.sqrt(inside + evidence.noise**2)
    at = (record.limit - centre) / spread
    # Mean of a normal variable known to lie below the limit, by the inverse Mills ratio.
    mills = np.exp(-(at**2) / 2 - 0.5 * np.log(2 * np.pi) - log_ndtr(at))
    residual = np.where(record.below, centre - spread * mills, evidence.residual)
    return Evidence(residual, evidence.loads, evidence.noise)


def _pathways(names: Iterable[str]) -> NDArray[np.float64]:
    """Return the 0/1 matrix that sums variables into pathways."""
    return np.array(
        [[float(VARIABLES[name].pathway == pathway) for pathway in PATHWAYS] for name in names]
    )
