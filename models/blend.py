"""What is chosen on out-of-fold predictions: number of trees, linear weight and recalibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.targets import Pairs

__all__ = [
    "SMALL_COHORT",
    "Calibration",
    "best_round",
    "choose_linear_weight",
    "log_loss",
    "recalibration",
    "simplest_within_one_error",
]

SMALL_COHORT = 2_000
"""Below this many patients, what is chosen out of fold is chosen with more folds and more doubt."""

WEIGHT_STEPS = 21
MIN_SLOPE = 0.05


def log_loss(log_odds: NDArray[np.float64], pairs: Pairs) -> float:
    """Return the weighted log-loss per unit of weight; lower is better.

    Parameters
    ----------
    log_odds : ndarray of float, shape (n_patients, n_horizons)
    pairs : Pairs

    Returns
    -------
    float
    """
    return float(_loss_by_patient(log_odds, pairs).mean())


def best_round(histories: Sequence[NDArray[np.float64]], weights: Sequence[float]) -> int:
    """Return the number of trees with the lowest loss over all folds together.

    A fold that stopped early keeps its last loss, which its patience showed not to fall any more.

    Parameters
    ----------
    histories : sequence of ndarray of float
        Held-out loss after each tree, one array per fold.
    weights : sequence of float
        What each fold counts for.

    Returns
    -------
    int
        At least 1.
    """
    longest = max(map(len, histories))
    padded = [np.pad(h, (0, longest - len(h)), mode="edge") for h in histories]
    pooled = np.average(padded, axis=0, weights=weights)
    return int(pooled.argmin()) + 1


def simplest_within_one_error(candidates: Sequence[NDArray[np.float64]], pairs: Pairs) -> int:
    """Return the candidate with the lowest out-of-fold loss, or in a small cohort a simpler one.

    Below `SMALL_COHORT` patients the lowest loss is often the lowest by chance: there the first
    candidate within one standard error of the best is taken, the rule of Breiman et al. [1]_, with
    the standard error of the paired difference over patients.

    Parameters
    ----------
    candidates : sequence of ndarray of float, shape (n_patients, n_horizons)
        Out-of-fold log-odds, the simplest model first.
    pairs : Pairs

    Returns
    -------
    int
        Position of the chosen candidate.

    References
    ----------
    .. [1] Breiman, Friedman, Olshen & Stone. Classification and Regression Trees. Wadsworth, 1984.
    """
    losses = np.column_stack([_loss_by_patient(log_odds, pairs) for log_odds in candidates])
    excess = losses - losses[:, [int(losses.mean(0).argmin())]]
    if len(excess) >= SMALL_COHORT:
        return int(excess.mean(0).argmin())
    error = excess.std(0, ddof=1) / np.sqrt(len(excess))
    return int(np.argmax(excess.mean(0) <= error))


def choose_linear_weight(
    linear: NDArray[np.float64], boosted: NDArray[np.float64], pairs: Pairs
) -> float:
    """Return the share of the linear part that `simplest_within_one_error` takes.

    Parameters
    ----------
    linear, boosted : ndarray of float, shape (n_patients, n_horizons)
        Out-of-fold log-odds.
    pairs : Pairs

    Returns
    -------
    float
        From 0 to 1.
    """
    weights = np.linspace(1.0, 0.0, WEIGHT_STEPS)
    mixtures = [w * linear + (1 - w) * boosted for w in weights]
    return float(round(weights[simplest_within_one_error(mixtures, pairs)], 2))


def _loss_by_patient(log_odds: NDArray[np.float64], pairs: Pairs) -> NDArray[np.float64]:
    """Return each patient's share of the loss; the mean over patients is the loss."""
    loss = np.logaddexp(0.0, log_odds) - pairs.outcome * log_odds
    share = len(loss) / pairs.weight.sum()
    by_patient: NDArray[np.float64] = share * (pairs.weight * loss).sum(1)
    return by_patient


@dataclass(frozen=True, slots=True)
class Calibration:
    """Affine in the log-odds: `intercept + per_log_day * (log h - center) + slope * log-odds`.

    The horizon is held at `low` and `high`, the log horizons it was fitted between.
    """

    intercept: float
    per_log_day: float
    slope: float
    center: float
    low: float
    high: float

    def log_odds(
        self, mixed: NDArray[np.float64], horizon_days: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return recalibrated log-odds."""
        log_h = np.clip(np.log(horizon_days), self.low, self.high)
        return self.intercept + self.per_log_day * (log_h - self.center) + self.slope * mixed


def recalibration(mixed: NDArray[np.float64], pairs: Pairs) -> Calibration:
    """Return a(h) and b fitted on out-of-fold log-odds, with b held positive.

    Parameters
    ----------
    mixed : ndarray of float, shape (n_patients, n_horizons)
        Out-of-fold log-odds of the mixture.
    pairs : Pairs

    Returns
    -------
    Calibration

    Notes
    -----
    Logistic recalibration [1]_ with a line in log horizon, by Newton's method. Where the fitted
    slope is not at least `MIN_SLOPE` (nothing was learned), it is held there and a(h) is fitted
    again.

    References
    ----------
    .. [1] Cox. Biometrika 45 (1958) 562-565. doi:10.1093/biomet/45.3-4.562
    """
    log_h = np.log(pairs.horizon_days)
    center = float(log_h.mean())
    columns = np.stack([np.ones_like(mixed), log_h - center, mixed], axis=-1)
    weight = pairs.weight / pairs.weight.sum()
    theta = _newton(columns, np.zeros_like(mixed), pairs.outcome, weight)
    if theta[2] < MIN_SLOPE:
        theta = np.append(
            _newton(columns[..., :2], MIN_SLOPE * mixed, pairs.outcome, weight), MIN_SLOPE
        )
    intercept, per_log_day, slope = map(float, theta)
    return Calibration(
        intercept, per_log_day, slope, center, low=float(log_h.min()), high=float(log_h.max())
    )


def _newton(
    columns: NDArray[np.float64],
    offset: NDArray[np.float64],
    outcome: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the coefficients of a small weighted logistic regression."""
    theta = np.zeros(columns.shape[-1])
    for _ in range(50):
        p = expit(offset + columns @ theta)
        gradient = np.einsum("np,npk->k", weight * (p - outcome), columns)
        curvature = weight * p * (1 - p)
        hessian = np.einsum("np,npk,npl->kl", curvature, columns, columns, optimize=True)
        step = np.linalg.solve(hessian + 1e-10 * np.eye(len(theta)), gradient)
        theta = theta - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    return theta
