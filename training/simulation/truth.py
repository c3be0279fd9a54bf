"""The true risks: given everything the generator knows, and given the recorded values only.

`risk_recorded` is the best risk attainable from the recorded values: the mean of the full risk
over the states that are compatible with them. States given what was measured are Gaussian; values
below a limit, and orders that follow severity, enter as weights; the integral is over evenly
spread draws. Where markers are blank (`World.blank`), it is the best risk attainable from what is
then entered. Site, kit and date are not columns, but they are known wherever a model is used, so
they count as recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_ndtr, logit

from data_schema.outcomes import OUTCOMES
from data_schema.variables import PATHWAYS
from training.simulation.contributions import (
    Recorded,
    UsualPatient,
    moved_log_hazards,
    usual_patient,
)
from training.simulation.hazards import (
    BENDS,
    HAZARDS,
    fracture_incidence,
    mortality_in_icu,
    mortality_risk,
)
from training.simulation.posterior import Evidence, condition, standard_draws
from training.simulation.sites import CENSORED
from training.simulation.states import STATES, correlation
from training.simulation.world import Measured, World

__all__ = ["Reference", "full_risk", "horizons", "recorded_risk", "truth_table", "truth_within"]

_DRAWS = 128
"""Draws per patient: risks are off by 0.001 on average, and by 0.01 in one patient of 200."""

_FEWEST_EFFECTIVE, _MANY_DRAWS = 40, 4096
"""Below this effective number of draws, this many are drawn and resampled by weight."""

_CHUNK = 1000
_STEP = 0.01
_LEAST_RISK = 1e-12
Progress = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Reference:
    """What true contributions are relative to, by outcome, and the log-odds that they start from.

    It is taken from the first block of a cohort, and holds for all its blocks.
    """

    usual: Mapping[str, UsualPatient]
    base_log_odds: Mapping[tuple[str, float], float]


def horizons(outcome: str) -> tuple[float, ...]:
    """Return the default horizons of an outcome, in days."""
    return tuple(map(float, OUTCOMES[outcome].horizons_days))


def _outcomes(world: World) -> tuple[str, ...]:
    """Return the outcomes that the cohort records; at 72 h it has no fracture."""
    return ("mortality", "fracture") if world.day == 1 else ("mortality",)


def full_risk(world: World, outcome: str) -> NDArray[np.float64]:
    """Return the risk given states and facts, (n_patients, n_horizons).

    Parameters
    ----------
    outcome : {"mortality", "fracture"}
        Fracture is conditional on leaving the ICU alive.
    """
    return _at_horizons(world, outcome, {name: world.log_hazard(name) for name in HAZARDS}, None)


def recorded_risk(
    world: World,
    *,
    without: frozenset[str] = frozenset(),
    draws: int = _DRAWS,
    progress: Progress = lambda _: None,
) -> dict[str, NDArray[np.float64]]:
    """Return the best risk of each outcome attainable from what is measured and entered.

    Parameters
    ----------
    without : frozenset of str
        Markers, and pathways whose markers, are taken as not recorded; facts always are.
    draws : int
        A power of 2.

    Returns
    -------
    dict of str to ndarray of float, shape (n_patients, n_horizons)
    """
    by_outcome: dict[str, list[NDArray[np.float64]]] = {name: [] for name in _outcomes(world)}
    for log, weight in _each_portion(world, without, draws, progress):
        for outcome, risks in by_outcome.items():
            risks.append(_at_horizons(world, outcome, log, weight))
    return {outcome: np.vstack(risks) for outcome, risks in by_outcome.items()}


def truth_table(world: World, progress: Progress = lambda _: None) -> pd.DataFrame:
    """Return the truth about every patient at risk, one row per outcome and horizon.

    Returns
    -------
    DataFrame
        `patient_id, outcome, horizon_days, risk_full, risk_recorded, base_log_odds` and one
        `contribution__<pathway>` each in log-odds, as `contributions` defines it; `base_log_odds`
        is the mean of the log-odds less their sum.
    """
    return truth_within(world, None, progress)[0]


def truth_within(
    world: World, reference: Reference | None, progress: Progress = lambda _: None
) -> tuple[pd.DataFrame, Reference]:
    """Return the truth about one block of a cohort, and the reference of the blocks after it.

    Parameters
    ----------
    reference : Reference or None
        From the first block; None for that block itself.
    """
    usual: Mapping[str, UsualPatient] = (
        {name: _usual(world, name) for name in _outcomes(world)}
        if reference is None
        else reference.usual
    )
    moved = {name: moved_log_hazards(world, _all(world), usual=usual[name]) for name in usual}
    risks, slopes = _risks_and_slopes(world, moved, progress)
    base: dict[tuple[str, float], float] = {}
    blocks = []
    for outcome in _outcomes(world):
        at_risk = world.at_risk(outcome)
        full, best = full_risk(world, outcome), risks[outcome]
        for place, days in enumerate(horizons(outcome)):
            by_pathway = np.zeros((len(world), len(PATHWAYS)))
            for k, name in enumerate(HAZARDS):
                by_pathway += slopes[outcome][:, place, k, None] * moved[outcome][name]
            by_pathway = by_pathway[at_risk]
            # Contribution of pathway p: sum_k slope_k moved_kp over log-hazards k, so that
            # logit(risk) = base + sum of contributions + rest, the rest having mean 0 over the
            # patients.
            unmoved = _log_odds(best[at_risk, place]) - by_pathway.sum(axis=1)
            known = None if reference is None else reference.base_log_odds[outcome, days]
            base[outcome, days] = float(unmoved.mean()) if known is None else known
            blocks.append(
                pd.DataFrame(
                    {
                        "patient_id": world.patient_id[at_risk],
                        "outcome": outcome,
                        "horizon_days": days,
                        "risk_full": full[at_risk, place],
                        "risk_recorded": best[at_risk, place],
                        "base_log_odds": base[outcome, days],
                        **{
                            f"contribution__{pathway}": by_pathway[:, k]
                            for k, pathway in enumerate(PATHWAYS)
                        },
                    }
                )
            )
    return pd.concat(blocks, ignore_index=True), Reference(usual, base)


def _usual(world: World, outcome: str) -> UsualPatient:
    """Return the means over the patients of a world who are at risk of an outcome."""
    return usual_patient(world, _all(world), among=world.at_risk(outcome))


def _all(world: World) -> Iterator[Recorded]:
    """Yield everything recorded of every patient, in portions."""
    return _records(world, world.measured(), frozenset())


def _risks_and_slopes(
    world: World, moved: Mapping[str, Mapping[str, NDArray[np.float64]]], progress: Progress
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return recorded risks, and how their log-odds rise with each log-hazard, (n, horizons, 3).

    The slope is the mean over the line from the reference to the patient (three Gauss-Legendre
    nodes), so that contributions add up to the difference between the two.
    """
    risks: dict[str, list[NDArray[np.float64]]] = {outcome: [] for outcome in _outcomes(world)}
    slopes: dict[str, list[NDArray[np.float64]]] = {outcome: [] for outcome in _outcomes(world)}
    start = 0
    for log, weight in _each_portion(world, frozenset(), _DRAWS, progress):
        rows = slice(start, start + len(weight))
        start = rows.stop
        for outcome in _outcomes(world):
            risks[outcome].append(_at_horizons(world, outcome, log, weight))
            way = {name: by.sum(axis=1)[rows, None] for name, by in moved[outcome].items()}
            slopes[outcome].append(_mean_slopes(world, outcome, log, way, weight))
    return (
        {outcome: np.vstack(parts) for outcome, parts in risks.items()},
        {outcome: np.concatenate(parts) for outcome, parts in slopes.items()},
    )


def _mean_slopes(
    world: World,
    outcome: str,
    log: Mapping[str, NDArray[np.float64]],
    way: Mapping[str, NDArray[np.float64]],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the mean slope of log-odds in each log-hazard along the way, (n, horizons, 3)."""
    # eta(t) = eta - (1 - t) way goes from the reference (t = 0) to the patient (t = 1). The mean
    # slope in log-hazard k is the integral of d logit F(eta(t)) / d eta_k over t in (0, 1): at node
    # x in (-1, 1), 1 - t = (1 - x) / 2 and the weight is share / 2; each derivative is a forward
    # difference.
    nodes, shares = np.polynomial.legendre.leggauss(3)
    slopes = np.zeros((len(weight), len(horizons(outcome)), len(HAZARDS)))
    for node, share in zip(nodes, shares, strict=True):
        here = {name: log[name] - (1 - node) / 2 * way[name] for name in HAZARDS}
        odds = _log_odds(_at_horizons(world, outcome, here, weight))
        higher = [
            _log_odds(_at_horizons(world, outcome, {**here, name: here[name] + _STEP}, weight))
            for name in HAZARDS
        ]
        slopes += share / 2 * np.stack([up - odds for up in higher], axis=2) / _STEP
    return slopes


def _log_odds(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-odds; a risk that rounds to 0 or 1 is clipped."""
    return np.asarray(logit(risk.clip(_LEAST_RISK, 1 - _LEAST_RISK)))


def _each_portion(
    world: World, without: frozenset[str], draws: int, progress: Progress
) -> Iterator[tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]]:
    """Yield log-hazards and weights of draws, portion by portion."""
    standard = standard_draws(draws, len(HAZARDS) + len(BENDS) + 1 + len(CENSORED))
    for record in _records(world, world.measured(), without):
        yield _log_hazard_draws(world, record, standard)
        progress((record.rows[-1] + 1) / len(world))


def _at_horizons(
    world: World,
    outcome: str,
    log: Mapping[str, NDArray[np.float64]],
    weight: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Return risks at the default horizons; with weights (n, draws), their means over draws."""
    return np.column_stack([_risk(world, outcome, log, days, weight) for days in horizons(outcome)])


def _risk(
    world: World,
    outcome: str,
    log: Mapping[str, NDArray[np.float64]],
    days: float,
    weight: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Return a risk, or with weights (n, draws) its mean over draws."""
    acute, chronic = log["acute"], log["chronic"]
    if outcome == "fracture":
        at_risk, happens = fracture_incidence(acute, chronic, log["fracture"], days)
    elif world.day == 1:
        happens = mortality_risk(acute, chronic, days)
        at_risk = np.ones_like(happens)
    else:
        at_risk, happens = mortality_in_icu(acute, chronic, days, landmark_days=world.day - 1.0)
    if weight is None:
        return np.asarray(happens / at_risk)
    # P(event | record, at risk) = E[P(event and at risk | s)] / E[P(at risk | s)] over the
    # posterior of the states s, as the means over weighted draws.
    # Being at risk is evidence on the states as well.
    return np.asarray((weight * happens).sum(1) / (weight * at_risk).sum(1))


def _records(world: World, measured: Measured, without: frozenset[str]) -> Iterator[Recorded]:
    """Yield the recorded values of patients in portions."""
    table = world.table
    counted = world.recorded & world.informing & ~world.in_pathways(without)
    below = counted & measured.below
    residual = np.where(counted & ~below, measured.residual, np.nan)
    for start in range(0, len(world), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(world)))
        yield Recorded(
            rows,
            Evidence(residual[rows], measured.loads, table.noise),
            below[rows],
            measured.residual[rows],
        )


def _log_hazard_draws(
    world: World, record: Recorded, standard: NDArray[np.float64]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Return log-hazards of draws, and the weights of the draws, each (n_patients, n_draws)."""
    draws, weight = _weighted_draws(world, record, standard)
    # Weights sum to 1, so that 1 / sum w^2 is Kish's effective number of draws.
    few = np.flatnonzero(1 / (weight**2).sum(axis=1) < _FEWEST_EFFECTIVE)
    if len(few):
        draws[few], weight[few] = _resampled_draws(world, record, few, standard.shape)
    rows = record.rows
    log = {
        # Direction k of a draw is the part of log-hazard k that depends on states, d_k's.
        name: draws[:, :, k] + world.fixed(name)[rows][:, None]
        for k, name in enumerate(HAZARDS)
    }
    for k, (curvature, lowest, _) in enumerate(BENDS.values(), start=len(HAZARDS)):
        log["acute"] = log["acute"] + curvature * (draws[:, :, k] - lowest) ** 2
    return log, weight


def _resampled_draws(
    world: World, record: Recorded, few: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], float]:
    """Return draws of some patients, resampled by weight from many more, and the weight of each."""
    some = Recorded(
        record.rows[few],
        Evidence(record.evidence.residual[few], record.evidence.loads, record.evidence.noise),
        record.below[few],
        record.limit[few],
    )
    many, weight = _weighted_draws(world, some, standard_draws(_MANY_DRAWS, shape[1]))
    # Systematic resampling: the draw whose share of the cumulated weights covers (i + 1/2) / m is
    # taken for each i < m, so that each draw occurs about m w times and all count alike afterwards.
    places = (np.arange(shape[0]) + 0.5) / shape[0]
    chosen = [
        draws[np.searchsorted(np.cumsum(weights), places).clip(max=_MANY_DRAWS - 1)]
        for draws, weights in zip(many, weight, strict=True)
    ]
    return np.stack(chosen), 1 / shape[0]


def _weighted_draws(
    world: World, record: Recorded, standard: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return draws of the directions that matter (n, n_draws, q), and their weights (n, n_draws).

    First the log-hazards' states, then those of `BENDS`, severity, and the markers of `CENSORED`.
    """
    rows, names = record.rows, world.table.names
    posterior = condition(world.prior_mean()[rows], correlation(), record.evidence)
    censored = [names.index(name) for name in CENSORED]
    states = [np.eye(len(STATES))[STATES.index(name)] for name in (*BENDS, "severity")]
    shared = np.vstack([*states, record.evidence.loads[censored]])
    directions = np.concatenate(
        [
            np.stack([world.direction(name)[rows] for name in HAZARDS], axis=1),
            np.broadcast_to(shared, (len(rows), *shared.shape)),
        ],
        axis=1,
    )
    draws = posterior.draws(directions, standard)
    # Evidence that is not Gaussian multiplies the weight of a draw by its likelihood given the
    # states:
    #   below the limit c of marker j:   Phi((c - l_j's) / n_j), with l_j's drawn as a direction
    #   panels ordered or not:           product of P(ordered | severity) or its complement
    # with c = `limit`, n = `table.noise`. The largest log-weight is subtracted against underflow.
    severity = len(HAZARDS) + len(BENDS)
    log_weight = np.zeros(draws.shape[:2])
    for k, j in enumerate(censored, start=severity + 1):
        below = record.below[:, j]
        away = record.limit[below, j, None] - draws[below, :, k]
        log_weight[below] += log_ndtr(away / world.table.noise[j])
    if world.scenario.testing_by_severity:
        log_weight += _of_orders(world, rows, draws[:, :, severity])
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return draws, weight / weight.sum(axis=1, keepdims=True)


def _of_orders(
    world: World, rows: NDArray[np.int64], severity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log-probability of what is known of the orders, given drawn severity."""
    log_odds = world.panel_log_odds() + world.ordering(severity)
    # log P = -log(1 + e^-x) if ordered, -log(1 + e^x) if not, x the log-odds of ordering.
    ordered, known = world.ordered[rows][:, None, :], world.order_known[rows][:, None, :]
    of_panel = np.where(ordered, -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds))
    return np.asarray((of_panel * known).sum(axis=-1))
