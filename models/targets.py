"""Survival outcomes as the estimator takes them, and the patient-horizon pairs it learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.censoring import CensoringDistribution, is_known

__all__ = ["MAX_PAIRS", "MIN_G", "Pairs", "pairs_at", "sample_pairs", "survival_target"]

MAX_PAIRS = 3_000_000
"""Most patient-horizon pairs of one fit."""

MIN_G = 0.05
"""Smallest probability G of still being observed that a horizon may have; no weight exceeds 1 / it.
"""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every patient at several horizons; arrays have shape (n_patients, n_horizons).

    `outcome` is 1 where the event happened by the horizon. `weight` is the inverse probability of
    having been observed that long, and 0 where the outcome at the horizon is not known.
    """

    horizon_days: NDArray[np.float64]
    outcome: NDArray[np.float64]
    weight: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> Pairs:
        """Return the pairs of the given rows."""
        return Pairs(self.horizon_days[rows], self.outcome[rows], self.weight[rows])

    def every(self, step: int, first: NDArray[np.int64]) -> Pairs:
        """Return every `step`-th horizon of each patient, with `step` times the weight.

        `first`, (n_patients,), is the place of the first of them, from 0 to `step` - 1. Drawn at
        random, it leaves the expected loss of any risk as it is with all horizons.
        """
        if step == 1:
            return self
        chosen = (np.arange(self.weight.shape[1]) - first[:, None]) % step == 0
        return Pairs(self.horizon_days, self.outcome, np.where(chosen, step * self.weight, 0.0))

    def twice(self, first: float) -> Pairs:
        """Return every patient twice, all after all, the first time at a share of the weight."""
        weight = np.concatenate([first * self.weight, (1 - first) * self.weight])
        horizon_days, outcome = (
            np.tile(part, (2, 1)) for part in (self.horizon_days, self.outcome)
        )
        return Pairs(horizon_days, outcome, weight)


def survival_target(time_days: ArrayLike, event: ArrayLike) -> NDArray[np.void]:
    """Return the structured array that `CumulativeIncidenceModel.fit` takes as `y`.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Days from time zero to the first event or to censoring, finite and > 0.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 a competing event.

    Returns
    -------
    structured ndarray, shape (n_patients,)
        Fields `event` and `time_days`.

    Raises
    ------
    ValueError
        If lengths differ, a time is not finite and positive, or an event is not 0, 1 or 2.

    Examples
    --------
    >>> survival_target([3.0, 10.0], [1, 0])["event"]
    array([1, 0])
    """
    time = np.asarray(time_days, dtype=float)
    kind = np.asarray(event)
    if time.shape != kind.shape or time.ndim != 1:
        raise ValueError("time_days and event must be one-dimensional and of the same length.")
    wrong = int((~np.isfinite(time) | (time <= 0)).sum())
    if wrong:
        raise ValueError(f"time_days must be finite and > 0; {wrong} of {len(time)} are not.")
    unknown = int((~np.isin(kind, (0, 1, 2))).sum())
    if unknown:
        raise ValueError(f"event must be 0, 1 or 2; {unknown} of {len(kind)} are not.")
    target = np.empty(len(time), dtype=[("event", np.int64), ("time_days", np.float64)])
    target["event"], target["time_days"] = kind, time
    return target


def sample_pairs(
    target: NDArray[np.void],
    *,
    horizons_days: NDArray[np.float64],
    event_times: NDArray[np.float64],
    per_patient: int,
    censoring: CensoringDistribution,
    strata: NDArray[np.object_] | None,
    rng: np.random.Generator,
) -> Pairs:
    """Pair every patient with horizons spread over the event times, one of them a default horizon.

    The horizons of a patient fall one into each of `per_patient` equal shares of the event times; a
    default horizon replaces one of them, drawn at random. Sampling horizons this way is
    that of SurvivalBoost [1]_; regressing the event indicator with inverse-probability-of-censoring
    weights is direct binomial regression [2]_.

    Parameters
    ----------
    target : structured ndarray, shape (n_patients,)
        From `survival_target`.
    horizons_days : ndarray of float
        Default horizons.
    event_times : ndarray of float
        Ascending times of events up to the longest horizon.
    per_patient : int
        Horizons per patient; fewer in a cohort so large that pairs would exceed `MAX_PAIRS`.
    censoring : CensoringDistribution
        Fitted on the patients that may be learned from.
    strata : ndarray of object, shape (n_patients,), optional
        The stratum whose curve of censoring applies to each patient.

    Returns
    -------
    Pairs
        A pair whose outcome is not known weighs 0.

    References
    ----------
    .. [1] Alberge et al. Survival models: proper scoring rule and stochastic optimization with
       competing risks. AISTATS 2025.
    .. [2] Scheike, Zhang & Gerds. Biometrika 95 (2008) 205-220. doi:10.1093/biomet/asm096
    """
    n = len(target)
    per_patient = max(1, min(per_patient, MAX_PAIRS // n))
    # Stratified draws: the k-th horizon is the quantile of the event times at (k + U) / K, U
    # uniform on (0, 1) and K = `per_patient`, so each patient's horizons cover the whole follow-up.
    shares = (np.arange(per_patient) + rng.random((n, per_patient))) / per_patient
    horizon = np.quantile(event_times, shares)
    horizon[np.arange(n), rng.integers(per_patient, size=n)] = rng.choice(horizons_days, size=n)
    return _pairs(target, horizon, censoring, strata)


def pairs_at(
    target: NDArray[np.void],
    days: NDArray[np.float64],
    *,
    censoring: CensoringDistribution,
    strata: NDArray[np.object_] | None,
) -> Pairs:
    """Pair every patient with the same horizons; other arguments as for `sample_pairs`."""
    return _pairs(target, np.tile(days, (len(target), 1)), censoring, strata)


def _pairs(
    target: NDArray[np.void],
    horizon: NDArray[np.float64],
    censoring: CensoringDistribution,
    strata: NDArray[np.object_] | None,
) -> Pairs:
    """Return what happened by each horizon, and 1 / G where that is known, 0 elsewhere."""
    time, event = target["time_days"][:, None], target["event"][:, None]
    outcome = ((time <= horizon) & (event == 1)).astype(float)
    observed, left = (
        censoring.survival_before(days, sites=strata)
        for days in (np.minimum(time, horizon), horizon)
    )
    # Where hardly any patient of a stratum is observed that long, only its events are known, and a
    # model would learn that all of the stratum have the event. Other strata inform such a horizon.
    known = is_known(time, event, horizon) & (left >= MIN_G)
    weight = np.divide(1.0, observed, out=np.zeros_like(observed), where=known)
    return Pairs(horizon, outcome, weight)
