"""The statistics of published papers that the check recomputes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import rankdata

__all__ = ["auroc_of", "hazard_ratio", "odds_ratio", "top_to_bottom_quarter"]

_STEPS = 30


def auroc_of(value: ArrayLike, event: ArrayLike) -> float:
    """Return the probability that a value is higher in a patient with the event than without.

    Parameters
    ----------
    value : array-like of float, shape (n_patients,)
    event : array-like of bool, shape (n_patients,)

    Returns
    -------
    float
        0.5 where the value is uninformative; ties count half.

    Examples
    --------
    >>> auroc_of([1.0, 2.0, 3.0, 3.0], [False, False, True, False])
    0.8333333333333334
    """
    happened = np.asarray(event, dtype=bool)
    # Mann-Whitney: (sum of the n event ranks - n (n + 1) / 2) / (n (N - n)); ties share the mean
    # rank.
    rank = rankdata(np.asarray(value, dtype=float))
    n = int(happened.sum())
    return float((rank[happened].sum() - n * (n + 1) / 2) / (n * (len(rank) - n)))


def odds_ratio(event: ArrayLike, exposed: ArrayLike, *adjusted_for: ArrayLike) -> float:
    """Return the odds ratio of an exposure, by logistic regression; above 1 is more in the exposed.

    All arguments have shape (n_patients,).
    """
    columns = np.column_stack([np.ones(len(np.asarray(event))), exposed, *adjusted_for])
    happened, beta = np.asarray(event, dtype=float), np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        risk = expit(columns @ beta)
        curvature = columns.T @ (columns * (risk * (1 - risk))[:, None])
        beta += np.linalg.solve(curvature, columns.T @ (happened - risk))
    return float(np.exp(beta[1]))


def top_to_bottom_quarter(
    value: NDArray[np.float64], event: NDArray[np.bool_], *adjusted_for: NDArray[np.float64]
) -> float:
    """Return the odds ratio of the highest against the lowest quarter of a value."""
    low, high = np.quantile(value, (0.25, 0.75))
    ends = (value <= low) | (value >= high)
    return odds_ratio(
        event[ends], (value >= high)[ends], *(values[ends] for values in adjusted_for)
    )


def hazard_ratio(
    days: NDArray[np.float64],
    event: NDArray[np.bool_],
    value: NDArray[np.float64],
    *adjusted_for: NDArray[np.float64],
) -> float:
    """Return the hazard ratio per unit of a value, by Cox regression; times must not tie.

    Any other end of observation counts as censoring: the hazard is cause-specific.
    """
    latest_first = np.argsort(-days)
    x = np.column_stack([value, *adjusted_for])[latest_first]
    x = x - x.mean(axis=0)
    happened, beta = event[latest_first], np.zeros(x.shape[1])
    outer = x[:, :, None] * x[:, None, :]
    for _ in range(_STEPS):
        # Newton steps of Cox's partial likelihood. Sorted by falling time, the patients at risk at
        # an event are those up to its row: cumulative sums of e^(x'b), e^(x'b) x and e^(x'b) x x'
        # give, per event,
        #   mean = E[x],   information = E[x x'] - E[x] E[x]',   score = x - E[x].
        relative = np.exp(x @ beta)
        at_risk = np.cumsum(relative)[happened]
        first = np.cumsum(relative[:, None] * x, axis=0)[happened] / at_risk[:, None]
        second = np.cumsum(relative[:, None, None] * outer, axis=0)[happened]
        second = second / at_risk[:, None, None] - first[:, :, None] * first[:, None, :]
        step = np.linalg.solve(second.sum(axis=0), (x[happened] - first).sum(axis=0))
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return float(np.exp(beta[0]))
