"""How well risks rank patients by whether the event happened by a horizon."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics.known_outcome import KnownOutcome

__all__ = ["auprc", "auroc", "auroc_within_folds"]


def auroc(outcome: KnownOutcome, risk: ArrayLike) -> NDArray[np.float64]:
    r"""Return the cumulative/dynamic area under the receiver operating characteristic curve.

    Higher is better; 0.5 is chance, 1 perfect. The probability that a patient with the event by
    the horizon was given a higher risk than a patient without (event-free, or with a competing
    event first). Equal risks count one half.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon; only its order matters.

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where no patient has the event, or all have it.

    Notes
    -----
    :math:`\frac{\sum_{i,j} w_i w_j 1\{y_i = 1, y_j = 0\} (1\{r_i > r_j\} + \frac12 1\{r_i = r_j\})}
    {\sum_{i,j} w_i w_j 1\{y_i = 1, y_j = 0\}}`, with inverse-probability-of-censoring weights w
    [1]_; with competing events, its second definition of controls.

    References
    ----------
    .. [1] Blanche, Dartigues & Jacqmin-Gadda. Stat Med 32 (2013) 5381-5397. doi:10.1002/sim.5958

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> auroc(outcome, [0.6, 0.3, 0.4, 0.1])
    np.float64(0.75)
    """
    # Over the distinct risks r from high to low, with weights e_r of events and n_r of the others:
    # sum_r e_r (sum_{q < r} n_q + n_r / 2) / (sum_r e_r sum_r n_r).
    with_event, without = _by_descending_risk(outcome, risk)
    lower = without.sum(axis=0) - np.cumsum(without, axis=0)
    concordant = (with_event * (lower + 0.5 * without)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        area: NDArray[np.float64] = concordant / (with_event.sum(axis=0) * without.sum(axis=0))
    return area


def auprc(outcome: KnownOutcome, risk: ArrayLike) -> NDArray[np.float64]:
    r"""Return the average precision, the area under the step-wise precision-recall curve.

    Higher is better; chance is the event rate, so it compares models on one cohort only.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon; only its order matters.

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where no patient has the event.

    Notes
    -----
    :math:`\sum_t (R_t - R_{t-1}) P_t` over the distinct risks t from high to low, with recall R and
    precision P weighted for censoring [1]_.

    References
    ----------
    .. [1] Yuan, Zhou & Su. Front Public Health 6 (2018) 215. doi:10.3389/fpubh.2018.00215

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> auprc(outcome, [0.6, 0.3, 0.4, 0.1]).round(4)
    np.float64(0.8333)
    """
    with_event, without = _by_descending_risk(outcome, risk)
    events = np.cumsum(with_event, axis=0)
    flagged = events + np.cumsum(without, axis=0)
    precision = np.divide(events, flagged, out=np.zeros_like(events), where=flagged > 0)
    with np.errstate(invalid="ignore"):
        area: NDArray[np.float64] = (with_event * precision).sum(axis=0) / with_event.sum(axis=0)
    return area


def auroc_within_folds(
    outcome: KnownOutcome, risk: ArrayLike, fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    r"""Return the area under the curve over pairs of patients held out together.

    Higher is better; 0.5 is chance. Risks of different folds come from different models, and are
    not compared.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Out-of-fold risk by the horizon.
    fold : ndarray of int, shape (n_patients,)
        Fold in which each patient was held out.

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where no two patients can be compared.

    Notes
    -----
    The folds' areas, each weighted by its pairs [1]_.

    References
    ----------
    .. [1] LeDell, Petersen & van der Laan. Electron J Stat 9 (2015) 1583-1607.
       doi:10.1214/15-EJS1035

    Examples
    --------
    >>> import numpy as np
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 20, 8, 30], [1, 0, 1, 0], horizon_days=10)
    >>> auroc_within_folds(outcome, [0.6, 0.5, 0.2, 0.1], np.array([0, 0, 1, 1]))
    np.float64(1.0)
    """
    score = np.asarray(risk, dtype=np.float64)
    folds = np.unique(fold)
    if len(folds) == 1:
        return auroc(outcome, score)
    concordant = pairs = np.zeros(outcome.weight.shape[1:])
    for k in folds:
        rows = fold == k
        part = KnownOutcome(outcome.happened[rows], outcome.weight[rows], outcome.count[rows])
        both = (part.happened @ part.weight) * (~part.happened @ part.weight)
        concordant = concordant + np.where(both > 0, both * auroc(part, score[rows]), 0.0)
        pairs = pairs + both
    with np.errstate(invalid="ignore"):
        area: NDArray[np.float64] = concordant / pairs
    return area


def _by_descending_risk(
    outcome: KnownOutcome, risk: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weight with and without the event at each distinct risk, the highest first."""
    score = np.asarray(risk, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    start = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    weight = outcome.weight[order]
    with_event = np.add.reduceat((weight.T * outcome.happened[order]).T, start, axis=0)
    return with_event, np.add.reduceat(weight, start, axis=0) - with_event
