"""A metric pooled over sites or years, and where the next site's value may lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr
from scipy.stats import chi2
from scipy.stats import t as student_t

from models.metrics.catalogue import METRICS, Scale
from models.metrics.metric import Metric

__all__ = [
    "Pooled",
    "RandomEffects",
    "between_variance",
    "between_variance_at",
    "pool_metric",
    "random_effects",
]

Floats = NDArray[np.float64]

_SYMMETRIC: Mapping[Scale, tuple[Callable[..., Any], Callable[..., Any]]] = {
    Scale.PROPORTION: (logit, expit),
    Scale.RATIO: (np.log, np.exp),
    Scale.REAL: (np.asarray, np.asarray),
}
"""Scale -> transformation that makes a metric's error symmetric, and its inverse."""

_HALF_WIDTH = 1.959963984540054
_SMALLEST_ERROR = 1e-6
_FEWEST = 3
_MAX_STEPS = 1000
_TOLERANCE = 1e-12
_NODES = 64
_SMALLEST_VARIANCE = 1e-18
_HALVINGS = 60


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


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """A mean over clusters that differ, and where a new cluster would lie.

    Parameters
    ----------
    mean, error : float
        The mean and its standard error.
    low, high : float
        95 % confidence interval of the mean.
    next_low, next_high : float
        95 % prediction interval for a cluster that was not seen.
    tau : float
        Standard deviation between clusters.
    """

    mean: float
    error: float
    low: float
    high: float
    next_low: float
    next_high: float
    tau: float


def between_variance(estimates: ArrayLike, standard_errors: ArrayLike) -> float:
    r"""Return the variance between clusters by restricted maximum likelihood, at least 0.

    Parameters
    ----------
    estimates, standard_errors : array-like of float, shape (n_clusters,)
        At least two clusters.

    Notes
    -----
    With :math:`w_i = 1 / (v_i + \tau^2)` and the weighted mean m, it maximises
    :math:`\sum \log w_i - \log \sum w_i - \sum w_i (y_i - m)^2` [1]_.

    References
    ----------
    .. [1] Viechtbauer. J Educ Behav Stat 30 (2005) 261-293. doi:10.3102/10769986030003261
    """
    value = np.asarray(estimates, dtype=np.float64)
    variance = np.asarray(standard_errors, dtype=np.float64) ** 2
    # Fisher scoring (Viechtbauer's equation 10) from the variance of the estimates themselves:
    #   tau2' = tau2 + (y'P P y - tr P) / tr(P P), with P = W - W 1 1' W / sum w. A step that would
    # leave tau2 below 0 is held at 0, where the likelihood of clusters that agree is largest.
    tau2 = max(0.0, float(value.var(ddof=1) - variance.mean()))
    for _ in range(_MAX_STEPS):
        weight = 1 / (variance + tau2)
        whole = weight.sum()
        apart = weight * (value - np.average(value, weights=weight))
        trace = whole - (weight**2).sum() / whole
        trace2 = (weight**2).sum() - 2 * (weight**3).sum() / whole
        trace2 += ((weight**2).sum() / whole) ** 2
        moved = max(0.0, tau2 + float(((apart**2).sum() - trace) / trace2))
        if abs(moved - tau2) <= _TOLERANCE * (moved + variance.mean()):
            return moved
        tau2 = moved
    return tau2


def between_variance_at(
    estimates: ArrayLike, standard_errors: ArrayLike, levels: ArrayLike
) -> Floats:
    r"""Return quantiles of the confidence distribution of the variance between clusters.

    Parameters
    ----------
    estimates, standard_errors : array-like of float, shape (n_clusters,)
        At least two clusters.
    levels : array-like of float, shape (n_levels,)
        Strictly between 0 and 1.

    Returns
    -------
    ndarray of float, shape (n_levels,)
        At least 0. Those at .025 and .975 are the ends of the 95 % interval.

    Notes
    -----
    At the true :math:`\tau^2`, :math:`Q(\tau^2) = \sum w_i (y_i - m)^2` with :math:`w_i = 1 / (v_i
    + \tau^2)` has the chi-squared distribution on k - 1 degrees of freedom, and it falls in
    :math:`\tau^2`: the quantile at p solves :math:`Q(\tau^2) = \chi^2_{k-1, 1-p}` [1]_.

    References
    ----------
    .. [1] Viechtbauer. Stat Med 26 (2007) 37-52. doi:10.1002/sim.2514
    """
    value = np.asarray(estimates, dtype=np.float64)
    variance = np.asarray(standard_errors, dtype=np.float64) ** 2
    target = chi2.isf(np.asarray(levels, dtype=np.float64), len(value) - 1)
    target = np.maximum(target, np.finfo(np.float64).tiny)  # where all clusters are equal
    # Bisection for all levels at once, from a width at which every Q lies below its target: as
    # Q(t) <= sum (y_i - mean)^2 / t.
    low = np.zeros_like(target)
    high = np.maximum(((value - value.mean()) ** 2).sum() / target, _SMALLEST_VARIANCE)
    positive = _heterogeneity(value, variance, low) > target
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _heterogeneity(value, variance, middle) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(positive, (low + high) / 2, 0.0)


def _heterogeneity(value: Floats, variance: Floats, tau2: Floats) -> Floats:
    """Return Q at each variance between clusters."""
    weight = 1 / (variance + tau2[:, None])
    mean = (weight * value).sum(axis=1) / weight.sum(axis=1)
    return np.asarray((weight * (value - mean[:, None]) ** 2).sum(axis=1))


def random_effects(estimates: ArrayLike, standard_errors: ArrayLike) -> RandomEffects:
    r"""Return the mean of clusters that differ, its interval and the prediction interval.

    Parameters
    ----------
    estimates, standard_errors : array-like of float, shape (n_clusters,)
        At least three clusters, on a scale on which errors are symmetric.

    Raises
    ------
    ValueError
        If there are fewer than three clusters.

    Notes
    -----
    Between-cluster variance by restricted maximum likelihood (`between_variance`), interval of the
    mean by Hartung and Knapp with t on k - 1 degrees of freedom [1]_, modified so that the error is
    never below that of the weights alone: clusters that agree by chance would have no error at all
    [2]_.

    The prediction interval takes into account that few clusters hardly determine the variance
    between them. One computed from its estimate alone [3]_ is too short where the estimate happens
    to be small: of six clusters that differ about as much as their errors it covers 90 %, and of
    more or fewer 85 to 93 % [4]_. Here :math:`\tau^2` has its confidence distribution [5]_
    (`between_variance_at`, whose ends are those of metafor's `confint`); given it, a new cluster is
    normal about the weighted mean with variance :math:`\tau^2 + 1 / \sum w_i`. The ends are the
    quantiles of that mixture, by quadrature.

    References
    ----------
    .. [1] Hartung & Knapp. Stat Med 20 (2001) 3875-3889. doi:10.1002/sim.1009
    .. [2] Rover, Knapp & Friede. BMC Med Res Methodol 15 (2015) 99.
       doi:10.1186/s12874-015-0091-1
    .. [3] Higgins, Thompson & Spiegelhalter. J R Stat Soc A 172 (2009) 137-159.
       doi:10.1111/j.1467-985X.2008.00552.x
    .. [4] Partlett & Riley. Stat Med 36 (2017) 301-317. doi:10.1002/sim.7140
    .. [5] Nagashima, Noma & Furukawa. Stat Methods Med Res 28 (2019) 1689-1702.
       doi:10.1177/0962280218773520

    Examples
    --------
    >>> pooled = random_effects([0.7, 0.8, 0.9], [0.1, 0.1, 0.1])
    >>> round(pooled.mean, 2), round(pooled.low, 3), round(pooled.high, 3)
    (0.8, 0.552, 1.048)
    """
    value = np.asarray(estimates, dtype=np.float64)
    variance = np.asarray(standard_errors, dtype=np.float64) ** 2
    k = len(value)
    if k < _FEWEST:
        raise ValueError(f"clusters must number at least {_FEWEST}; got {k}. Bring more sites.")
    tau2 = between_variance(value, np.sqrt(variance))
    weight = 1 / (variance + tau2)
    mean = float(np.average(value, weights=weight))
    # Hartung-Knapp: se^2 = max(1, sum w_i (y_i - mean)^2 / (k - 1)) / sum w_i.
    scatter = float((weight * (value - mean) ** 2).sum()) / (k - 1)
    error2 = max(scatter, 1.0) / float(weight.sum())
    half = float(student_t.ppf(0.975, k - 1)) * error2**0.5
    next_low, next_high = _next_cluster(value, variance)
    return RandomEffects(
        mean, error2**0.5, mean - half, mean + half, next_low, next_high, tau2**0.5
    )


def _next_cluster(value: Floats, variance: Floats) -> tuple[float, float]:
    """Return the 95 % prediction interval for a cluster that was not seen."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    nodes, weights = (nodes + 1) / 2, weights / 2
    # The confidence distribution has a point mass at 0; the nodes lie where it is positive.
    at_zero = float(chi2.sf(_heterogeneity(value, variance, np.zeros(1))[0], len(value) - 1))
    levels = at_zero + (1 - at_zero) * nodes
    tau2 = np.append(between_variance_at(value, np.sqrt(variance), levels), 0.0)
    share = np.append((1 - at_zero) * weights, at_zero)
    weight = 1 / (variance + tau2[:, None])
    mean = (weight * value).sum(axis=1) / weight.sum(axis=1)
    spread = np.sqrt(tau2 + 1 / weight.sum(axis=1))

    def below(at: float) -> float:
        return float(share @ ndtr((at - mean) / spread))

    reach = float(np.abs(mean).max() + 40 * spread.max())
    low, high = (
        float(brentq(lambda at, p=p: below(at) - p, -reach, reach)) for p in (0.025, 0.975)
    )
    return low, high


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
    effects = random_effects(value[usable], error[usable])
    ends = effects.mean, effects.low, effects.high, effects.next_low, effects.next_high
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
        effects.tau,
    )
