"""Groups of patients with different lengths of follow-up, derived from what is known at time zero.

A single curve of censoring is right only where censoring is independent of the patients. In a study
that ended on one day, late patients have less follow-up; if they also differ in what was measured,
a model would learn from the few of them whose outcome is known: those who died.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from models.censoring import MIN_PATIENTS_PER_SITE, CensoringDistribution

__all__ = ["censoring_strata"]

MOST_STRATA = 8

MIN_CHI_SQUARE = 30.0
"""Smallest chi-square statistic (1 df) of a split: far beyond what the best of thousands of splits
reaches by chance."""

MOST_PATIENTS = 10_000
"""This many patients are enough to find strata this distinct."""

_Rows = NDArray[np.int64]


def censoring_strata(
    raw: NDArray[np.float64],
    target: NDArray[np.void],
    learn: _Rows,
    *,
    sites: NDArray[np.object_] | None,
    random_state: int,
) -> NDArray[np.object_]:
    """Return the stratum of every patient, derived from some of them.

    A survival tree for censoring: each group is split in two where the squared error of its
    martingale residuals [1]_ falls most, which is the log-rank statistic of the split [2]_, until
    no split separates lengths of follow-up. Without any such split there is one stratum.

    Parameters
    ----------
    raw : ndarray of float, shape (n_patients, n_columns)
        From `matrices.raw_matrix`; a missing value can separate strata, too.
    target : structured ndarray, shape (n_patients,)
        From `targets.survival_target`.
    learn : ndarray of int
        Rows to derive strata from; the others are only assigned to a stratum.
    sites : ndarray of object, shape (n_patients,), optional
        Site of each patient: strata lie within sites that have enough patients in them, and
        across the others.

    Returns
    -------
    ndarray of object, shape (n_patients,)
        For `CensoringDistribution`.

    References
    ----------
    .. [1] Therneau, Grambsch & Fleming. Biometrika 77 (1990) 147-160. doi:10.1093/biomet/77.1.147
    .. [2] LeBlanc & Crowley. Biometrics 48 (1992) 411-425. doi:10.2307/2532300
    """
    columns = _columns(raw)
    rng = np.random.default_rng(random_state)
    sample = np.sort(rng.permutation(learn)[:MOST_PATIENTS])
    stratum = np.zeros(len(raw), dtype=np.int64)
    strata, waiting = 1, [0]
    while waiting and strata < MOST_STRATA:
        group = waiting.pop(0)
        stump = _split(columns, target, sample[stratum[sample] == group])
        if stump is None:
            continue
        inside = np.flatnonzero(stratum == group)
        # Of a stump's three nodes, the second is the right-hand leaf.
        stratum[inside[stump.apply(columns[inside]) == 2]] = strata
        waiting += [group, strata]
        strata += 1
    across = stratum.astype(str).astype(object)
    if sites is None:
        return across
    within = np.array([f"{site}/{k}" for site, k in zip(sites, stratum, strict=True)], dtype=object)
    return np.where(_are_many(within, learn), within, across)


def _are_many(strata: NDArray[np.object_], learn: _Rows) -> NDArray[np.bool_]:
    """Return which patients are in a stratum with enough patients to learn from."""
    names, counts = np.unique(strata[learn], return_counts=True)
    return np.isin(strata, names[counts >= MIN_PATIENTS_PER_SITE])


def _split(
    columns: NDArray[np.float32], target: NDArray[np.void], rows: _Rows
) -> DecisionTreeRegressor | None:
    """Return the split that best separates patients by length of follow-up, if any does."""
    if not (target["event"][rows] == 0).any():
        return None
    residual = _martingale_residual(target[rows])
    stump: Any = DecisionTreeRegressor(
        max_depth=1,
        min_samples_leaf=MIN_PATIENTS_PER_SITE,
        # A stump's impurity decrease is its between-group sum of squares over n. That sum over the
        # variance of the residuals is about chi-square with 1 degree of freedom where follow-up
        # does not differ, so BSS / n >= MIN_CHI_SQUARE * var / n is the test.
        min_impurity_decrease=MIN_CHI_SQUARE * residual.var() / len(rows),
        random_state=0,
    ).fit(columns[rows], residual)
    return stump if stump.tree_.node_count > 1 else None


def _columns(raw: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return values (0 if missing) and flags of missing values."""
    missing = np.isnan(raw)
    return np.hstack([np.where(missing, 0.0, raw), missing]).astype(np.float32)


def _martingale_residual(target: NDArray[np.void]) -> NDArray[np.float64]:
    """Return censored (0 or 1) minus the cumulative hazard of censoring up to each time."""
    time, event = target["time_days"], target["event"]
    times, survival = CensoringDistribution.fit(time, event).pooled
    before = np.concatenate([[1.0], survival[:-1]])
    # M_i = 1{censored} - Lambda(T_i), with Lambda the Nelson-Aalen sum of the steps c(u) / (Y(u) -
    # d(u)) = 1 - G(u) / G(u-).
    hazard = 1 - np.divide(survival, before, out=np.ones_like(survival), where=before > 0)
    # Among ties events come before censoring: a patient with an event at t was not at risk of it.
    upto = np.concatenate([[0.0], np.cumsum(hazard)])
    censored = event == 0
    residual: NDArray[np.float64] = censored - upto[np.searchsorted(times, time) + censored]
    return residual
