"""What is chosen on out-of-fold predictions: number of trees, linear weight and recalibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.inference.parameters import Calibration
from models.targets import Pairs

__all__ = [
    "SMALL_COHORT",
    "best_evaluation",
    "choose_linear_weight",
    "log_loss",
    "pooled_losses",
    "recalibration",
    "simplest_within_one_error",
]

SMALL_COHORT = 2_000
"""Below this many patients, choices use more folds and prefer the simpler candidate."""

WEIGHT_STEPS = 21
MIN_SLOPE = 0.05

STEP_PENALTY_PATIENTS = 0.1
"""Penalty of a step of 1 in log-odds between two knots, in units of one patient's log-loss."""


def log_loss(log_odds: NDArray[np.float64], pairs: Pairs) -> float:
    """Return the weighted log-loss per unit of weight; lower is better."""
    return float(_loss_by_row(log_odds, pairs).mean())


def best_evaluation(histories: Sequence[NDArray[np.float64]], weights: Sequence[float]) -> int:
    """Return the evaluation, counted from 1, at which the loss over all folds was lowest.

    Arguments are those of `pooled_losses`.
    """
    return int(pooled_losses(histories, weights).argmin()) + 1


def pooled_losses(
    histories: Sequence[NDArray[np.float64]], weights: Sequence[float]
) -> NDArray[np.float64]:
    """Return the loss over all folds at each evaluation.

    `histories` holds the losses of each fold, at each evaluation. A fold that stopped early counts
    with its last loss, which had stopped falling.
    """
    # L(t) = sum_f n_f L_f(t) / sum_f n_f over folds f, with n_f = `weights` and L_f = `histories`.
    longest = max(map(len, histories))
    padded = [np.pad(h, (0, longest - len(h)), mode="edge") for h in histories]
    return np.asarray(np.average(padded, axis=0, weights=weights))


def simplest_within_one_error(
    candidates: Sequence[NDArray[np.float64]], pairs: Pairs, patients: NDArray[Any]
) -> int:
    """Return the candidate with the lowest out-of-fold loss, or in a small cohort a simpler one.

    Below `SMALL_COHORT` patients the lowest loss is often the lowest by chance: there the first
    candidate within one standard error of the best is taken, the rule of Breiman et al. [1]_, with
    the standard error of the paired difference over patients. `candidates` are out-of-fold
    log-odds, (n_rows, n_horizons), the simplest model first; `patients` names that of each row.

    References
    ----------
    .. [1] Breiman, Friedman, Olshen & Stone. Classification and Regression Trees. Wadsworth, 1984.
    """
    _, patient = np.unique(patients, return_inverse=True)
    # l_ij: loss of patient i under candidate j, summed over that patient's rows. With b the
    # candidate of lowest mean loss, the excess d_ij = l_ij - l_ib is paired, so what makes a
    # patient hard to predict under any candidate cancels. The choice is the first j with mean_i
    # d_ij <= sd_i(d_ij) / sqrt(n); j = b itself has d = 0 and always qualifies.
    losses = np.column_stack(
        [np.bincount(patient, weights=_loss_by_row(eta, pairs)) for eta in candidates]
    )
    excess = losses - losses[:, [int(losses.mean(0).argmin())]]
    if len(excess) >= SMALL_COHORT:
        return int(excess.mean(0).argmin())
    error = excess.std(0, ddof=1) / np.sqrt(len(excess))
    return int(np.argmax(excess.mean(0) <= error))


def choose_linear_weight(
    linear: NDArray[np.float64],
    boosted: NDArray[np.float64],
    pairs: Pairs,
    patients: NDArray[Any],
) -> float:
    """Return the share of the linear part, 0 to 1, that `simplest_within_one_error` chooses.

    `linear` and `boosted` are out-of-fold log-odds, (n_rows, n_horizons).
    """
    weights = np.linspace(1.0, 0.0, WEIGHT_STEPS)
    # eta(w) = w eta_linear + (1 - w) eta_boosted, from the linear part alone (simplest) to the
    # trees.
    mixtures = [w * linear + (1 - w) * boosted for w in weights]
    return float(round(weights[simplest_within_one_error(mixtures, pairs, patients)], 2))


def _loss_by_row(log_odds: NDArray[np.float64], pairs: Pairs) -> NDArray[np.float64]:
    """Return each row's share of the loss; the mean over rows is the loss."""
    # (n / sum w) sum_p w_ip l_ip for row i; its mean over the n rows is sum w l / sum w.
    loss = np.logaddexp(0.0, log_odds) - pairs.outcome * log_odds
    share = len(loss) / pairs.weight.sum()
    by_row: NDArray[np.float64] = share * (pairs.weight * loss).sum(1)
    return by_row


def recalibration(
    mixed: NDArray[np.float64],
    unsettled: NDArray[np.float64],
    pairs: Pairs,
    *,
    knots_days: NDArray[np.float64],
) -> Calibration:
    """Return a(h), b and c(h) fitted on out-of-fold log-odds, with b held positive.

    Parameters
    ----------
    mixed : ndarray of float, shape (n_patients, n_horizons)
        Out-of-fold log-odds of the mixture.
    unsettled : ndarray of float, shape (n_patients, n_horizons)
        From `missing.unsettled_share`.
    knots_days : ndarray of float
        Where a(h) may bend, ascending.

    Notes
    -----
    Logistic recalibration [1]_ with a broken line in log horizon, by Newton's method: expected and
    observed events agree around each knot. The squared steps between knots are penalised, lightly,
    so that a knot with hardly any events follows its neighbours. Where the fitted slope is below
    `MIN_SLOPE` (nothing was learned), it is held there and a(h) is fitted again.

    References
    ----------
    .. [1] Cox. Biometrika 45 (1958) 562-565. doi:10.1093/biomet/45.3-4.562
    """
    # logit F(h) = a(h) + c(h) u + b eta with a(h) = sum_k a_k N_k(log h), u = `unsettled` and c a
    # line in log h. N_k is the hat function of knot k, 1 there and 0 at every other knot: its
    # values at the pairs are `near[k]`. The coefficients theta = (a_1, ..., a_K, c_1, c_2, b)
    # minimise, with w summing to 1 and tau = `STEP_PENALTY_PATIENTS`, the log-loss of logit F plus
    #   tau / (2 n) (sum_k (a_k+1 - a_k)^2 + c_1^2 + c_2^2).
    # The penalty is theta' P theta / 2; of a it is (tau / n) D'D, D = `steps` first differences.
    knots = np.log(knots_days)
    log_h = np.log(pairs.horizon_days)
    near = [np.interp(log_h, knots, at_knot) for at_knot in np.eye(len(knots))]
    late = (log_h - knots[0]) / max(knots[-1] - knots[0], 1e-12)
    gaps = [(1 - late) * unsettled, late * unsettled]
    columns = np.stack([*near, *gaps, mixed], axis=-1)
    weight = pairs.weight / pairs.weight.sum()
    steps = np.diff(np.eye(len(knots)), axis=0)
    penalty = np.zeros((len(knots) + 3, len(knots) + 3))
    penalty[:-3, :-3] = STEP_PENALTY_PATIENTS * steps.T @ steps / len(mixed)
    penalty[[-3, -2], [-3, -2]] = STEP_PENALTY_PATIENTS / len(mixed)
    theta = _newton(columns, np.zeros_like(mixed), pairs.outcome, weight, penalty)
    # b at its bound: the problem is convex, so the constrained minimum has b = MIN_SLOPE exactly,
    # and a(h) is the minimiser with MIN_SLOPE * eta as a fixed offset.
    if theta[-1] < MIN_SLOPE:
        held = MIN_SLOPE * mixed
        alone = _newton(columns[..., :-1], held, pairs.outcome, weight, penalty[:-1, :-1])
        theta = np.append(alone, MIN_SLOPE)
    *shift, first, last, slope = theta.tolist()
    return Calibration(tuple(knots.tolist()), tuple(shift), slope, (first, last))


def _newton(
    columns: NDArray[np.float64],
    offset: NDArray[np.float64],
    outcome: NDArray[np.float64],
    weight: NDArray[np.float64],
    penalty: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the coefficients of a small weighted logistic regression with a quadratic penalty."""
    columns = columns.reshape(-1, columns.shape[-1])
    offset, outcome, weight = offset.ravel(), outcome.ravel(), weight.ravel()
    # With c = `columns` and eta = offset + c'theta, each step solves
    #   (sum w p (1 - p) c c' + P) step = sum w (p - y) c + P theta.
    # There is no line search: the few coefficients are clipped to moves of at most 2 in log-odds,
    # which is far when they start from 0.
    theta = np.zeros(columns.shape[-1])
    for _ in range(50):
        p = expit(offset + columns @ theta)
        gradient = (weight * (p - outcome)) @ columns + penalty @ theta
        curvature = weight * p * (1 - p)
        hessian = (curvature[:, None] * columns).T @ columns
        step = np.linalg.solve(hessian + penalty + 1e-10 * np.eye(len(theta)), gradient)
        theta = theta - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    return theta
