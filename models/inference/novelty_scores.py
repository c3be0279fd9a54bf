"""How unlike the training cohort a patient is: the values together, and the value furthest out.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.inference.contract import Novelty

__all__ = [
    "FEWEST_TOGETHER",
    "Deviations",
    "NoveltyScale",
    "RawDeviations",
    "compared",
    "deviations",
    "normal_deviates",
    "raw_deviations",
]

FEWEST_TOGETHER = 3
"""Of fewer values, each is judged by itself and beside the other."""

LARGEST_BESIDE_OTHERS = 3.5
"""A value further out counts as this far when the values are judged together: how far out it is
itself is judged apart, and one long tail must not hide what contradicts the rest."""

TAIL_STEPS = 5
"""Quantiles inwards from the outermost over which the slope of a tail is measured, twice."""

STEEPEST_GROWTH = 0.25
"""The slope of a tail grows at most by this factor's exponential for each normal deviate."""

LEAST_OF_QUANTILE = 1e-6
"""On a logarithmic scale a value counts as at least this share of the column's lowest quantile."""


_PATIENTS_WITH_MATRICES = 32
"""Patients whose matrices are held at a time: those of more leave the processor's cache."""


class RawDeviations(NamedTuple):
    """How far out each row lies, before it is compared with other patients; shapes (n_rows,).

    `together` is that of all values, `single` that of the value furthest out, in the place
    `column`; `measured` counts the measured columns. Higher is further.
    """

    together: np.ndarray
    single: np.ndarray
    column: np.ndarray
    measured: np.ndarray


class Deviations(NamedTuple):
    """How far out each row lies: all values together, and the value furthest out; (n_rows,).

    `column` is the place of the value furthest out.
    """

    together: np.ndarray
    single: np.ndarray
    column: np.ndarray


def deviations(values: np.ndarray, novelty: Novelty) -> Deviations:
    """Return how far each row lies from the training cohort.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows, n_columns)
        The columns of `novelty`; NaN where not measured.

    Returns
    -------
    Deviations
        To be compared with `refuse_beyond` and `warn_beyond`.
    """
    cohort = _arrays_of(_ByIdentity(novelty))
    raw = raw_deviations(normal_deviates(values, cohort.scale), cohort.correlation, cohort.inverse)
    return Deviations(compared(raw.together, raw.measured, novelty), raw.single, raw.column)


def compared(together: np.ndarray, measured: np.ndarray, novelty: Novelty) -> np.ndarray:
    """Return how far out all values lie together, among patients with as many values.

    In units from the median to the upper quantile of those patients; minus infinity for fewer than
    `FEWEST_TOGETHER` values.
    """
    middle = np.interp(measured, novelty.measured, novelty.middle)
    upper = np.interp(measured, novelty.measured, novelty.upper)
    return np.where(measured >= FEWEST_TOGETHER, (together - middle) / (upper - middle), -np.inf)


def raw_deviations(
    scores: np.ndarray, correlation: np.ndarray, inverse: np.ndarray
) -> RawDeviations:
    """Return how far out rows of normal scores lie, given their correlation and its inverse.

    Parameters
    ----------
    scores : ndarray of float, shape (n_rows, n_columns)
        NaN where not measured.
    correlation, inverse : ndarray of float, shape (n_columns, n_columns)
    """
    present = ~np.isnan(scores)
    measured = present.sum(1)
    together, single = np.zeros(len(scores)), np.zeros(len(scores))
    column = np.zeros(len(scores), dtype=int)
    # In order of what is measured, so that the patients of a part need matrices of one size.
    in_order = np.argsort(measured, kind="stable")
    in_order = in_order[measured[in_order] > 0]
    for start in range(0, len(in_order), _PATIENTS_WITH_MATRICES):
        rows = in_order[start : start + _PATIENTS_WITH_MATRICES]
        own, k = present[rows], measured[rows]
        z = np.where(own, scores[rows], 0.0)
        near = np.clip(z, -LARGEST_BESIDE_OTHERS, LARGEST_BESIDE_OTHERS)
        weighted, own_precision = _weighted(own, near, correlation, inverse)
        # Margins that are right and a combination that is wrong raise the Mahalanobis distance
        #   D^2 = z' R_oo^-1 z over the k measured columns o, but not S = z'z.
        # D^2 / sqrt(S k) tells them apart nearly as well as the likelihood ratio D^2 - S does where
        # the values are normal, and less of it is noise where tails are long.
        length = np.maximum((near**2).sum(1), 1e-9)
        distance = (weighted * near).sum(1)
        together[rows] = np.sqrt(distance / np.sqrt(length / k))
        # The residual of a value given all others is (R_oo^-1 z)_j / sqrt((R_oo^-1)_jj), standard
        # normal; an error in that value alone shows there, or in the value itself.
        residual = (weighted + (z - near) * own_precision) / np.sqrt(own_precision)
        furthest = np.where(own, np.maximum(np.abs(residual), np.abs(z)), -1.0)
        column[rows] = furthest.argmax(1)
        # The largest of 2k normal deviates is about sqrt(2 log 2k); beyond it, z^2 - 2 log 2k has
        # the same tail for every k.
        largest = furthest.max(1)
        single[rows] = np.sqrt(np.maximum(largest**2 - 2 * np.log(2 * k), 0.0))
    return RawDeviations(together, single, column, measured)


def _weighted(
    own: np.ndarray, near: np.ndarray, correlation: np.ndarray, inverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return R_oo^-1 z and the diagonal of R_oo^-1 of each patient's measured columns o.

    Parameters
    ----------
    own : ndarray of bool, shape (n_rows, n_columns)
        Which columns are measured.
    near : ndarray of float, shape (n_rows, n_columns)
        z; 0 where not measured.

    Returns
    -------
    tuple of two ndarray of float, shape (n_rows, n_columns)
        Of no meaning where not measured.
    """
    fewest = int(own.sum(1).min())
    if 2 * fewest <= own.shape[1]:
        at, filled = _places(own)
        rows = np.arange(len(at))[:, None]
        solved = np.linalg.inv(_blocks(correlation, at, filled))
        weighted, diagonal = np.zeros(near.shape), np.ones(near.shape)
        weighted[rows, at] = (solved @ near[rows, at][..., None])[..., 0]
        diagonal[rows, at] = np.diagonal(solved, axis1=1, axis2=2)
        return weighted, diagonal
    # Few columns are missing: with P = R^-1, (R_oo)^-1 = P_oo - P_om P_mm^-1 P_mo.
    weighted, diagonal = near @ inverse, np.diag(inverse)
    at, filled = _places(~own)
    if not at.shape[1]:
        return weighted, np.broadcast_to(diagonal, near.shape)
    beside = inverse[at] * filled[..., None]
    of_missing = weighted[np.arange(len(at))[:, None], at] * filled
    sides = np.concatenate([of_missing[..., None], beside], axis=2)
    solved = np.linalg.solve(_blocks(inverse, at, filled), sides)
    # Rounding could leave 0 or less only of a column that is missing itself.
    left = np.where(own, diagonal - (beside * solved[..., 1:]).sum(1), 1.0)
    return weighted - (solved[:, None, :, 0] @ beside)[:, 0], left


def _places(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns chosen in each row, filled up with others, and which of them are chosen.

    Both have the shape (n_rows, most chosen).
    """
    count = chosen.sum(1)
    # The chosen ones come first, in order.
    at = np.argsort(~chosen, axis=1, kind="stable")[:, : count.max()]
    return at, np.arange(at.shape[1]) < count[:, None]


def _blocks(matrix: np.ndarray, at: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Return the rows and columns of a matrix that are chosen, of the identity for the others."""
    blocks = matrix[at[:, :, None], at[:, None, :]]
    if not filled.all():
        blocks *= filled[:, :, None] & filled[:, None, :]
        blocks[:, *np.diag_indices(at.shape[1])] += ~filled
    return np.asarray(blocks)


@dataclass(frozen=True, slots=True)
class NoveltyScale:
    """Quantiles of columns and their normal scores, each (n_columns, n_quantiles), and tails.

    `slopes` and `growths` have shape (2, n_columns), lower tail first: beyond the outermost
    quantile at distance d the score moves on by log(1 + growth d / slope) / growth.
    """

    logarithmic: np.ndarray
    least: np.ndarray
    quantiles: np.ndarray
    scores: np.ndarray
    slopes: np.ndarray
    growths: np.ndarray

    @classmethod
    def of(
        cls, quantiles: np.ndarray, normal: np.ndarray, logarithmic: np.ndarray
    ) -> "NoveltyScale":
        """Prepare the scale of columns from their quantiles, in their own units."""
        least = np.where(logarithmic, quantiles[:, 0] * LEAST_OF_QUANTILE, -np.inf)
        on_scale = quantiles.copy()
        on_scale[logarithmic] = np.log(quantiles[logarithmic])
        scores = np.tile(normal, (len(quantiles), 1))
        for j, row in enumerate(on_scale):
            # Tied quantiles share the mean of their scores.
            _, tie = np.unique(row, return_inverse=True)
            scores[j] = (np.bincount(tie, normal) / np.bincount(tie))[tie]
        step = min(TAIL_STEPS, len(normal) // 3)
        tails = [
            _tail(on_scale, normal, at)
            for at in ((0, step, 2 * step), (-1, -1 - step, -1 - 2 * step))
        ]
        slopes, growths = (np.array(of_tails) for of_tails in zip(*tails, strict=True))
        return cls(logarithmic, least, on_scale, scores, slopes, growths)


def _tail(
    quantiles: np.ndarray, normal: np.ndarray, at: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return how steep each column's quantiles are at an end, per normal deviate, and its growth.

    A tail goes on with its own slope, since most markers are skewed: on one scale for both, every
    high value would be novel and no low one. It grows as it did within: a tail that is longer than
    the normal's gets ever longer.
    """
    end, middle, inside = at
    whole = (quantiles[:, -1] - quantiles[:, 0]) / (normal[-1] - normal[0])
    outer = (quantiles[:, end] - quantiles[:, middle]) / (normal[end] - normal[middle])
    inner = (quantiles[:, middle] - quantiles[:, inside]) / (normal[middle] - normal[inside])
    # Slope s(z) = s exp(g |z|): g from the mean slopes of two neighbouring stretches.
    apart = abs(normal[end] - normal[inside]) / 2
    both = (outer > 0) & (inner > 0)
    growth = np.zeros(len(quantiles))
    growth[both] = np.clip(np.log(outer[both] / inner[both]) / apart, 0.0, STEEPEST_GROWTH)
    mean_slope = np.where(outer > 0, outer, np.maximum(whole, 1e-12))
    return mean_slope * np.exp(growth * abs(normal[end] - normal[middle]) / 2), growth


def normal_deviates(values: np.ndarray, scale: NoveltyScale) -> np.ndarray:
    """Return values as normal deviates through the cohort's quantiles; NaN stays NaN."""
    x = np.maximum(values, scale.least)
    x[:, scale.logarithmic] = np.log(x[:, scale.logarithmic])
    knots = scale.quantiles
    below = np.zeros(x.shape, dtype=int)
    for k in range(1, knots.shape[1] - 1):
        below += x >= knots[:, k]
    columns = np.arange(x.shape[1])
    left, right = knots[columns, below], knots[columns, below + 1]
    first, last = scale.scores[columns, below], scale.scores[columns, below + 1]
    share = np.clip((x - left) / np.maximum(right - left, 1e-300), 0.0, 1.0)
    score: np.ndarray = first + share * (last - first)
    for sign, beyond, slope, growth in (
        (-1.0, knots[:, 0] - x, scale.slopes[0], scale.growths[0]),
        (1.0, x - knots[:, -1], scale.slopes[1], scale.growths[1]),
    ):
        steps = np.maximum(np.nan_to_num(beyond), 0.0) / slope
        bent = np.maximum(growth, 1e-9)  # log(1 + g d) / g becomes d as g becomes 0
        score = score + sign * np.log1p(bent * steps) / bent
    return score


class _CohortArrays(NamedTuple):
    """A `Novelty` as arrays."""

    scale: NoveltyScale
    correlation: np.ndarray
    inverse: np.ndarray


class _ByIdentity:
    """A `Novelty` that is equal to itself alone: hashing its thousands of numbers takes longer."""

    def __init__(self, novelty: Novelty) -> None:
        self.novelty = novelty

    def __hash__(self) -> int:
        return id(self.novelty)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.novelty is self.novelty


@lru_cache(maxsize=16)
def _arrays_of(held: _ByIdentity) -> _CohortArrays:
    """Return a cohort's summaries as arrays; the models of a service are a few."""
    novelty = held.novelty
    correlation = np.asarray(novelty.correlation)
    return _CohortArrays(
        NoveltyScale.of(
            np.asarray(novelty.quantiles),
            np.asarray(novelty.normal_scores),
            np.asarray(novelty.logarithmic, dtype=bool),
        ),
        correlation,
        np.linalg.inv(correlation),
    )
