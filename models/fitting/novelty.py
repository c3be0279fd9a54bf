"""What a bundle stores of its training cohort to recognise a patient unlike it: no rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from data_schema.disclosure import SMALLEST_CELL
from models.fitting.correlation import MIN_MEASURED, shrunken_correlation
from models.fitting.encoding import outer_share
from models.folds import patient_codes
from models.inference.contract import Novelty, NoveltyLimits
from models.inference.novelty_scores import (
    FEWEST_TOGETHER,
    NoveltyScale,
    RawDeviations,
    compared,
    normal_deviates,
    raw_deviations,
)

__all__ = ["fit_novelty", "upper_limit"]

MIN_DISTINCT = 20

REFUSED_SHARE, WARNED_SHARE = 0.001, 0.005
"""Intended shares of new patients of the same population beyond each of the two limits."""

FOLDS = 5
MOST_JUDGED = 4_000
"""More patients than this make the limits no better and the fit slower."""

MOST_BLANKED = 0.8
"""Share of its values that a patient loses at most when limits are set for few values."""

MOST_NUMBERS, PER_NUMBER = 6, 140
"""Numbers of measured values for which deviations are summarised, and patients for each."""

UPPER_TAIL = 0.05

FAVOUR_LOGARITHM = 0.03
"""A positive column is compared by its logarithm unless it is straighter by this on its own scale:
a wrong unit divides as often as it multiplies, and 0 is near on the column's own scale."""

NEAR_ZERO = 2.0
"""... or its lowest value lies this many times as far below the median as the lowest quantile."""

TAIL_SHARE = 0.1
PRIOR_SHAPE, PRIOR_PATIENTS, LEAST_SHAPE = 0.15, 10, -0.1
STANDARD_ERRORS = 1.3

Floats = NDArray[np.float64]


def fit_novelty(
    raw: Floats, numbers: Sequence[str], *, groups: ArrayLike | None = None, random_state: int = 0
) -> Novelty:
    """Return quantiles, a correlation, and limits from patients who were in neither.

    Continuous variables become normal scores through their own quantiles (a Gaussian copula); the
    correlation is pairwise and shrunk towards independence by the intensity of [1]_, the more the
    fewer patients there are to a column. How far out a new patient lies is measured in folds: each
    patient by quantiles and correlation of the others, as measured and with values left out at
    random, since patients whom they were fitted to lie nearer [2]_. `REFUSED_SHARE` of new
    patients lie beyond each limit: few cohorts hold so rare a patient, so the tail of the
    out-of-fold deviations is extended (`upper_limit`).

    Parameters
    ----------
    raw : ndarray of float, shape (n_stays, n_columns)
    numbers : sequence of str
        Names of the leading columns of `raw`.
    groups : array-like, shape (n_stays,), optional
        Patient of each stay, kept in one fold (default: each stay is a patient).
    random_state : int
        Of the folds and of the values left out.

    Returns
    -------
    Novelty
        Without columns where none has `MIN_MEASURED` values.

    References
    ----------
    .. [1] Schäfer & Strimmer. Stat Appl Genet Mol Biol 4 (2005) 32. doi:10.2202/1544-6115.1175
    .. [2] A patient of a normal population of p columns, with mean and covariance from n others,
       has Hotelling's T^2: its mean is p (n - 1) / (n - p - 2), against about p (n - 1) / n for a
       patient among the n. Anderson, An Introduction to Multivariate Statistical Analysis, 3rd ed
       (2003), section 5.2.
    """
    columns = [
        j
        for j, name in enumerate(numbers)
        if not name.endswith("__below")
        and np.isfinite(raw[:, j]).sum() >= MIN_MEASURED
        and len(np.unique(raw[np.isfinite(raw[:, j]), j])) > MIN_DISTINCT
    ]
    if not columns:
        return Novelty()
    values = raw[:, columns]
    normal, quantiles, logarithmic = _margins(values)
    correlation = _correlation(values, normal, quantiles, logarithmic)
    judged = _out_of_fold(
        values, patient_codes(groups, len(values)), np.random.default_rng(random_state)
    )
    middles = _middles(judged)
    draft = Novelty(
        columns=tuple(columns),
        logarithmic=tuple(logarithmic.tolist()),
        normal_scores=tuple(normal.tolist()),
        quantiles=tuple(tuple(row.tolist()) for row in quantiles),
        correlation=tuple(tuple(row.tolist()) for row in correlation),
        measured=tuple(middles[:, 0].tolist()),
        middle=tuple(middles[:, 1].tolist()),
        upper=tuple(middles[:, 2].tolist()),
    )
    together = compared(judged.together, judged.measured, draft)
    together = together[np.isfinite(together)]
    refuse_beyond, warn_beyond = (
        NoveltyLimits(
            single=upper_limit(judged.single, beyond=share, copies=2),
            together=(
                upper_limit(together, beyond=share, copies=2)
                if len(together) >= MIN_MEASURED
                else None
            ),
        )
        for share in (REFUSED_SHARE, WARNED_SHARE)
    )
    return replace(draft, refuse_beyond=refuse_beyond, warn_beyond=warn_beyond)


def upper_limit(scores: Floats, *, beyond: float, copies: int = 1) -> float:
    r"""Return a cautious upper limit of the quantile that a share of new scores lies beyond.

    The tenth of the scores that is largest is taken as a generalised Pareto tail [1]_, fitted by
    probability-weighted moments; its shape is drawn towards `PRIOR_SHAPE` as if `PRIOR_PATIENTS`
    more had been seen, and `STANDARD_ERRORS` standard errors are added, so that a small cohort
    refuses too few rather than too many.

    Parameters
    ----------
    scores : ndarray of float, shape (n_scores,)
    beyond : float
        Share of new scores beyond the limit.
    copies : int
        Scores of each patient, which count as one in the standard error.

    Notes
    -----
    With u the threshold, z the share of scores beyond it and m patients,
    :math:`q = u + \sigma ((z / p)^\xi - 1) / \xi`; the asymptotic covariance of
    :math:`(\xi, \sigma)` is :math:`(1 + \xi) / m` times
    :math:`[[1 + \xi, -\sigma], [-\sigma, 2 \sigma^2]]` [2]_.

    References
    ----------
    .. [1] Hosking & Wallis. Technometrics 29 (1987) 339-349. doi:10.1080/00401706.1987.10488243
    .. [2] Smith. Statistical Science 4 (1989) 367-377. doi:10.1214/ss/1177012400

    Examples
    --------
    The normal quantile is 3.09; its tail is shorter than the shortest that is allowed for.

    >>> round(upper_limit(np.random.default_rng(0).normal(size=100_000), beyond=0.001), 1)
    3.2
    """
    ordered = np.sort(scores)
    m = min(max(int(TAIL_SHARE * len(ordered)), SMALLEST_CELL), len(ordered) - 1)
    threshold, excess = ordered[-m - 1], ordered[-m:] - ordered[-m - 1]
    mean = excess.mean()
    if mean <= 0:
        return float(threshold)
    weighted = (excess * (m - np.arange(1, m + 1))).sum() / m**2  # E[y (1 - F(y))]
    patients = m / copies + PRIOR_PATIENTS
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else 0.9
    shape = (m / copies * shape + PRIOR_PATIENTS * PRIOR_SHAPE) / patients
    shape = min(max(shape, LEAST_SHAPE), 0.9)
    sigma = mean * (1 - shape)
    reach = _pareto_reach(shape, log_ratio := math.log(m / len(ordered) / beyond))
    by_shape = sigma * (_pareto_reach(shape + 1e-4, log_ratio) - reach) / 1e-4
    variance = (
        (1 + shape)
        / patients
        * (by_shape**2 * (1 + shape) - 2 * by_shape * reach * sigma + 2 * (reach * sigma) ** 2)
    )
    return float(threshold + sigma * reach + STANDARD_ERRORS * math.sqrt(max(variance, 0.0)))


def _pareto_reach(shape: float, log_ratio: float) -> float:
    """Return (r^shape - 1) / shape, which is log r at shape 0."""
    return math.expm1(shape * log_ratio) / shape if abs(shape) > 1e-9 else log_ratio


def _margins(values: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return normal scores, quantiles (n_columns, n_scores), and which columns to take the log of.

    `SMALLEST_CELL` patients lie beyond the outermost quantile.
    """
    measured = np.isfinite(values).sum(0)
    outer = outer_share(int(measured.min(initial=len(values))))
    inner = np.array([0.01, *np.linspace(0.05, 0.95, 19), 0.99])
    shares = np.array([outer, *inner[(inner > outer) & (inner < 1 - outer)], 1 - outer])
    normal: Floats = norm.ppf(shares)
    quantiles = np.maximum.accumulate(np.nanquantile(values, shares, axis=0), axis=0).T
    lowest = np.nanmin(values, axis=0)
    logarithmic = lowest > 0
    own = quantiles[logarithmic]
    logs = np.log(own)
    middle = logs[:, len(normal) // 2]
    # Values that come near 0 by chance have logarithms far below all others.
    near_zero = middle - np.log(lowest[logarithmic]) > NEAR_ZERO * (middle - logs[:, 0])
    straight = _straightness(logs, normal) > _straightness(own, normal) - FAVOUR_LOGARITHM
    logarithmic[logarithmic] = straight & ~near_zero
    return normal, quantiles, logarithmic


def _straightness(quantiles: Floats, normal: Floats) -> Floats:
    """Return the correlation of each column's quantiles with those of a normal distribution."""
    apart, of_normal = quantiles - quantiles.mean(1, keepdims=True), normal - normal.mean()
    size = np.sqrt((apart**2).sum(1) * (of_normal**2).sum())
    varies = np.ptp(quantiles, axis=1) > 0
    out: Floats = np.divide(apart @ of_normal, size, out=np.zeros(len(size)), where=varies)
    return out


def _correlation(
    values: Floats, normal: Floats, quantiles: Floats, logarithmic: NDArray[np.bool_]
) -> Floats:
    """Return the shrunken correlation of normal scores, (n_columns, n_columns)."""
    scale = NoveltyScale.of(quantiles, normal, logarithmic)
    scores = np.clip(normal_deviates(values, scale), normal[0], normal[-1])
    return shrunken_correlation(scores)


def _out_of_fold(
    values: Floats, patient: NDArray[np.int64], rng: np.random.Generator
) -> RawDeviations:
    """Return how far out patients lie by the summaries of the others, each twice.

    As measured, and with a random share of its values left out; rows without any value are not
    among them.
    """
    fold = (rng.permutation(int(patient.max()) + 1) % FOLDS)[patient]
    judged = np.zeros(len(values), dtype=bool)
    judged[rng.permutation(len(values))[:MOST_JUDGED]] = True
    found = list(_by_fold(values, fold, judged, rng))
    joined = RawDeviations(*map(np.concatenate, zip(*found, strict=True)))
    some = joined.measured > 0
    return RawDeviations(*(of[some] for of in joined))


def _by_fold(
    values: Floats, fold: NDArray[np.int64], judged: NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[RawDeviations]:
    """Yield the deviations of the patients of each fold."""
    for held_out in range(FOLDS):
        learned, rows = values[fold != held_out], values[judged & (fold == held_out)]
        if not np.isfinite(learned).any(0).all() or not len(rows):
            continue  # a column that all but this fold lack gives no quantiles
        normal, quantiles, logarithmic = _margins(learned)
        correlation = _correlation(learned, normal, quantiles, logarithmic)
        scores = normal_deviates(rows, NoveltyScale.of(quantiles, normal, logarithmic))
        lost = rng.random(scores.shape) < rng.uniform(0.0, MOST_BLANKED, (len(scores), 1))
        inverse = np.linalg.inv(correlation)
        for as_seen in (scores, np.where(lost, np.nan, scores)):
            yield raw_deviations(as_seen, correlation, inverse)


def _middles(judged: RawDeviations) -> Floats:
    """Return numbers of measured columns, and the median and upper quantile of patients with them.

    Of the deviation of all values together; shape (n_numbers, 3). The upper quantile has
    `SMALLEST_CELL` patients beyond it.
    """
    enough = judged.measured >= FEWEST_TOGETHER
    measured, together = judged.measured[enough], judged.together[enough]
    if not len(measured):
        return np.array([[1.0, 0.0, 1.0]])
    count = min(max(len(measured) // PER_NUMBER, 1), MOST_NUMBERS)
    edges = np.unique(np.quantile(measured, np.arange(1, count) / count))
    member = np.searchsorted(edges, measured, side="left")
    rows = []
    for of_number in np.unique(member):
        here = together[member == of_number]
        beyond = max(UPPER_TAIL, min(SMALLEST_CELL / len(here), 0.4))
        middle, upper = np.quantile(here, [0.5, 1 - beyond])
        number = np.median(measured[member == of_number])
        rows.append((number, middle, max(upper, middle + 1e-9)))
    return np.array(rows)
