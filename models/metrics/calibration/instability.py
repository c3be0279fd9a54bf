"""How much a patient's risk depends on the sample of training patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["WIDTHS", "Instability", "instability"]

WIDTHS = (0.05, 0.1, 0.2)
"""Widths of a patient's interval at which wider ones are counted."""


@dataclass(frozen=True, slots=True)
class Instability:
    """Risks of one horizon by the model and by models fitted to bootstrap resamples.

    Parameters
    ----------
    risk : ndarray of float, shape (n_patients,)
        Of the model fitted to all patients.
    mean_change : ndarray of float, shape (n_patients,)
        Mean over refits of the absolute difference from `risk`.
    low, high : ndarray of float, shape (n_patients,)
        2.5th and 97.5th percentile over refits.
    flips : mapping of float to ndarray of float, shape (n_patients,)
        Threshold -> share of refits that put the patient on its other side.
    """

    horizon_days: float
    refits: int
    risk: NDArray[np.float64]
    mean_change: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    flips: dict[float, NDArray[np.float64]]

    @property
    def mean_absolute_change(self) -> float:
        """Mean over the patients of how far their risks move."""
        return float(self.mean_change.mean())

    @property
    def p90_mean_absolute_change(self) -> float:
        """How far the risks of nine patients in ten move at most."""
        return float(np.quantile(self.mean_change, 0.9))

    @property
    def median_interval_width(self) -> float:
        """Median over the patients of `high - low`."""
        return float(np.median(self.high - self.low))

    @property
    def share_wider_than(self) -> dict[float, float]:
        """Width -> share of the patients whose `high - low` is wider."""
        width = self.high - self.low
        return {limit: float((width > limit).mean()) for limit in WIDTHS}

    def as_json(self) -> dict[str, object]:
        """Return figures of the whole cohort, none of a single patient."""
        return {
            "horizon_days": self.horizon_days,
            "refits": self.refits,
            "mean_absolute_change": self.mean_absolute_change,
            "p90_mean_absolute_change": self.p90_mean_absolute_change,
            "median_interval_width": self.median_interval_width,
            "share_wider_than": {f"{w:g}": share for w, share in self.share_wider_than.items()},
            "mean_share_flipped": {f"{t:g}": float(v.mean()) for t, v in self.flips.items()},
        }


def instability(
    risk: ArrayLike, refitted: ArrayLike, *, horizon_days: float, thresholds: Sequence[float] = ()
) -> Instability:
    r"""Return how far risks move when the model is fitted to resampled patients.

    Lower is better; 0 is a model that does not depend on its sample. It falls with the size of the
    training cohort and does not show whether the risks are right.

    Parameters
    ----------
    risk : array-like of float, shape (n_patients,)
        Predicted by the model.
    refitted : array-like of float, shape (n_refits, n_patients)
        Predicted for the same patients by models fitted to bootstrap resamples, every choice of the
        fit made anew.
    horizon_days : float
    thresholds : sequence of float
        Risks at which treatment would start.

    Raises
    ------
    ValueError
        If shapes disagree.

    Notes
    -----
    The mean absolute prediction error :math:`\frac1B \sum_b |r_i^{(b)} - r_i|` and the
    classification instability index of each patient [1]_.

    References
    ----------
    .. [1] Riley & Collins. Biom J 65 (2023) 2200302. doi:10.1002/bimj.202200302

    Examples
    --------
    >>> refitted = [[0.2, 0.4], [0.4, 0.6]]
    >>> moves = instability([0.2, 0.5], refitted, horizon_days=28, thresholds=[0.45])
    >>> moves.mean_change, moves.flips[0.45]
    (array([0.1, 0.1]), array([0. , 0.5]))
    """
    base, moved = np.asarray(risk, dtype=np.float64), np.asarray(refitted, dtype=np.float64)
    if moved.ndim != 2 or moved.shape[1:] != base.shape:
        raise ValueError(
            f"refitted must have shape (n_refits, {len(base)}); got {moved.shape}. "
            "Give one row for each refit."
        )
    low, high = np.quantile(moved, [0.025, 0.975], axis=0)
    return Instability(
        float(horizon_days),
        len(moved),
        base,
        np.abs(moved - base).mean(axis=0),
        low,
        high,
        {t: ((moved >= t) != (base >= t)).mean(axis=0) for t in thresholds},
    )
