"""A metric pooled over sites or years, and where the next site's value may lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import t as student_t

from models.metrics.catalogue import METRICS, Scale
from models.metrics.metric import Metric

__all__ = ["Pooled", "pool_metric", "random_effects"]

_SYMMETRIC: Mapping[Scale, tuple[Callable[..., Any], Callable[..., Any]]] = {
    Scale.PROPORTION: (logit, expit),
    Scale.RATIO: (np.log, np.exp),
    Scale.REAL: (np.asarray, np.asarray),
}
"""Scale -> transformation that makes a metric's error symmetric, and its inverse."""

_HALF_WIDTH = 1.959963984540054
_SMALLEST_ERROR = 1e-6
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Pooled:
    """Mean of a metric over clusters, its interval, and where a new cluster's value would lie.

    Parameters
    ----------
    estimate, low, high : float
        95 % confidence interval of the mean.
    next_low, next_high : float
        95 % prediction interval for a cluster that was not seen.
    tau : float
        Standard deviation between clusters, on the scale that was pooled: log-odds of a proportion,
        logarithm of a ratio.
    """

    metric: str
    horizon_days: float | None
    clusters: int
    estimate: float
    low: float
    high: float
    next_low: float
    next_high: float
    tau: float

    def as_json(self) -> dict[str, object]:
        """Return the pooled metric as a mapping."""
        return asdict(self)


def random_effects(
    estimates: ArrayLike, standard_errors: ArrayLike
) -> tuple[float, float, float, float, float, float]:
    r"""Return mean, its interval, the prediction interval and the spread between clusters.

    Parameters
    ----------
    estimates, standard_errors : array-like of float, shape (n_clusters,)
        At least three clusters.

    Returns
    -------
    tuple of float
        Mean, low, high, prediction low, prediction high, tau.

    Raises
    ------
    ValueError
        If there are fewer than three clusters.

    Notes
    -----
    Between-cluster variance by DerSimonian and Laird [1]_, interval of the mean by Hartung and
    Knapp with t on k - 1 degrees of freedom [2]_, modified so that the error is never below
    that of the weights alone: clusters that agree by chance would have no error at all [3]_.
    Prediction interval :math:`\mu \pm t_{k-2} \sqrt{\tau^2 + \mathrm{se}^2}` [4]_.

    References
    ----------
    .. [1] DerSimonian & Laird. Control Clin Trials 7 (1986) 177-188.
       doi:10.1016/0197-2456(86)90046-2
    .. [2] Hartung & Knapp. Stat Med 20 (2001) 3875-3889. doi:10.1002/sim.1009
    .. [3] Rover, Knapp & Friede. BMC Med Res Methodol 15 (2015) 99.
       doi:10.1186/s12874-015-0091-1
    .. [4] Higgins, Thompson & Spiegelhalter. J R Stat Soc A 172 (2009) 137-159.
       doi:10.1111/j.1467-985X.2008.00552.x

    Examples
    --------
    >>> mean, low, high, *_ = random_effects([0.7, 0.8, 0.9], [0.1, 0.1, 0.1])
    >>> round(mean, 2), round(low, 3), round(high, 3)
    (0.8, 0.552, 1.048)
    """
    value = np.asarray(estimates, dtype=np.float64)
    variance = np.asarray(standard_errors, dtype=np.float64) ** 2
    k = len(value)
    if k < _FEWEST:
        raise ValueError(f"clusters must number at least {_FEWEST}; got {k}. Bring more sites.")
    # DerSimonian-Laird: with w_i = 1/v_i and Q = sum w_i (y_i - fixed mean)^2,
    # tau^2 = max(0, (Q - (k - 1)) / (sum w_i - sum w_i^2 / sum w_i)); then w_i = 1 / (v_i + tau^2).
    weight = 1 / variance
    fixed = np.average(value, weights=weight)
    excess = (weight * (value - fixed) ** 2).sum() - (k - 1)
    tau2 = max(0.0, excess / (weight.sum() - (weight**2).sum() / weight.sum()))
    weight = 1 / (variance + tau2)
    mean = float(np.average(value, weights=weight))
    # Hartung-Knapp: se^2 = max(1, sum w_i (y_i - mean)^2 / (k - 1)) / sum w_i.
    scatter = float((weight * (value - mean) ** 2).sum()) / (k - 1)
    error2 = max(scatter, 1.0) / float(weight.sum())
    half = float(student_t.ppf(0.975, k - 1)) * error2**0.5
    beyond = float(student_t.ppf(0.975, k - 2)) * (tau2 + error2) ** 0.5
    return mean, mean - half, mean + half, mean - beyond, mean + beyond, float(tau2**0.5)


def pool_metric(metrics: Sequence[Metric]) -> Pooled | None:
    """Return one metric of several clusters, pooled on the scale on which it is symmetric.

    Parameters
    ----------
    metrics : sequence of Metric
        The same metric and horizon in each cluster; those without an interval are left out.
        Standard errors are taken from the width of the intervals, or from one half of it where the
        other end is infinite on that scale (an AUROC up to 1).

    Returns
    -------
    Pooled or None
        None for fewer than three clusters.
    """
    transform, invert = _SYMMETRIC[METRICS[metrics[0].metric].scale]
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (
            transform(np.array([getattr(metric, end) for metric in metrics]))
            for end in ("estimate", "low", "high")
        )
        below, above = value - low, high - value
    below, above = (
        np.where(np.isfinite(half), half, other) for half, other in ((below, above), (above, below))
    )
    error = (below + above) / (2 * _HALF_WIDTH)
    usable = np.isfinite(value) & np.isfinite(error) & (error > _SMALLEST_ERROR)
    if usable.sum() < _FEWEST:
        return None
    *ends, tau = random_effects(value[usable], error[usable])
    estimate, low_end, high_end, next_low, next_high = (float(invert(end)) for end in ends)
    first = metrics[0]
    return Pooled(
        first.metric,
        first.horizon_days,
        int(usable.sum()),
        estimate,
        low_end,
        high_end,
        next_low,
        next_high,
        tau,
    )
