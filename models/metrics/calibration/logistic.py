"""Logistic regression weighted for censoring, of many bootstrap resamples at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.metrics.known_outcome import KnownOutcome

__all__ = ["weighted_logistic"]

_MAX_STEPS = 30
# In log-odds, in the first step; 1.5 times as long in each further step.
_LONGEST_MOVE = 5.0
# In log-odds. Convergence is quadratic: after a step this small the error is about 1e-8.
_TOLERANCE = 1e-4
# Of the score equations, per patient: what is left of them when only far tails still move.
_FLAT = 1e-8
_SINGULAR = 1e-12


def weighted_logistic(
    design: NDArray[np.float64],
    outcome: KnownOutcome,
    *,
    offset: NDArray[np.float64] | None = None,
    identity: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    r"""Return the coefficients of a logistic regression weighted for censoring.

    Newton's method from "observed = predicted": coefficient 1 at column `identity`, else 0.

    Parameters
    ----------
    design : ndarray of float, shape (n_patients, n_terms)
        Terms of the regression, the intercept among them.
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    offset : ndarray of float, shape (n_patients,), optional
        Log-odds that are added with a coefficient of 1 (default: none).
    identity : int, optional
        Column of `design` that holds the predicted log-odds (default: none does).

    Returns
    -------
    coefficients : ndarray of float, shape (n_terms,) or (n_terms, n_resamples)
        Where risk separates part of the patients by outcome, some grow without bound while the
        fitted risks converge; NaN where not even these do.
    settled : ndarray of bool, shape () or (n_resamples,)
        Whether the coefficients themselves converged.
    """
    # With p = expit(X b + offset), weights w and outcomes y, the log-likelihood has the gradient
    # X'(w y) - X'(w p) and the curvature X' diag(w p (1 - p)) X, whose solution is the Newton step.
    # One column of w, p and b for each resample; `products` holds x_k x_l of each patient, so that
    # the curvatures of all resamples are one matrix product.
    n_patients, n_terms = design.shape
    weight = outcome.weight.reshape(n_patients, -1)
    events = design.T @ (weight.T * outcome.happened).T
    products = (design[:, :, None] * design[:, None, :]).reshape(n_patients, -1)
    beta = np.zeros((n_terms, weight.shape[1]))
    if identity is not None:
        beta[identity] = 1.0
    margin = design @ beta + (0.0 if offset is None else offset[:, None])
    settled = stationary = np.zeros(weight.shape[1], dtype=bool)
    for step_number in range(_MAX_STEPS):
        mean = expit(margin)
        expected = weight * mean
        gradient = events - design.T @ expected
        curvature = (products.T @ (expected * (1 - mean))).T
        step, unique = _solve(curvature.reshape(-1, n_terms, n_terms), gradient.T)
        move = design @ step.T
        largest = np.abs(move).max(axis=0)
        # Unbounded, the first steps overshoot where risks are far too extreme; bounded forever,
        # a curve that is steep in a tail takes hundreds.
        longest = _LONGEST_MOVE * 1.5**step_number
        damping = longest / np.maximum(largest, longest)
        beta += damping * step.T
        margin += damping * move
        stationary = np.abs(gradient).max(axis=0) <= _FLAT * weight.sum(axis=0)
        settled = unique & (largest <= _TOLERANCE)
        if (settled | stationary).all():
            break
    beta[:, ~(settled | stationary)] = np.nan
    shape = outcome.weight.shape[1:]
    return beta.reshape(n_terms, *shape), settled.reshape(shape)


def _solve(
    curvature: NDArray[np.float64], gradient: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the shortest Newton steps, and where they are the only ones."""
    # H s = g is solved as (D^-1 H D^-1)(D s) = D^-1 g with D = diag(H)^1/2, by the pseudo-inverse:
    # a singular H, of separated outcomes, then has its shortest step instead of none.
    scale = np.sqrt(np.einsum("bii->bi", curvature) + np.finfo(float).tiny)
    scaled = curvature / (scale[:, :, None] * scale[:, None, :])
    smallest = np.linalg.eigvalsh(scaled)[:, 0]
    inverse = np.linalg.pinv(scaled, rcond=_SINGULAR, hermitian=True)
    step = np.einsum("bij,bj->bi", inverse, gradient / scale) / scale
    return step, smallest > _SINGULAR
