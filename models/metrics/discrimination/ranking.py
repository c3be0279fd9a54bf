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
    one_fold = np.zeros(len(outcome.happened), dtype=np.int64)
    return auroc_within_folds(outcome, risk, one_fold)


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
    # Each patient with the event adds its weight times the precision at its risk, which all with
    # the same risk reach together.
    score = np.asarray(risk, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    _, last = _ties(score[order])
    happened, weight = outcome.happened[order], outcome.weight[order]
    rows = np.flatnonzero(happened)
    with_event = (weight[rows].T * happened[rows]).T
    events = np.cumsum(with_event, axis=0)[np.searchsorted(rows, last[rows], side="left") - 1]
    flagged = np.cumsum(weight, axis=0)[last[rows] - 1]
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
    # In the order of fold and risk, with weights e of events and n of the others: each e counts
    # the n before it in its fold, and half of those with the same risk, by sums up to a place.
    score = np.asarray(risk, dtype=np.float64)
    order = np.lexsort((score, fold))
    start = np.flatnonzero(np.diff(fold[order], prepend=fold.min(initial=0) - 1))
    first, last = _ties(score[order], start)
    happened, weight = outcome.happened[order], outcome.weight[order]
    rows = np.flatnonzero(happened)
    with_event = (weight[rows].T * happened[rows]).T
    without = (weight.T * (1 - happened)).T
    up_to = np.concatenate([np.zeros_like(weight[:1]), np.cumsum(without, axis=0)])
    fold_of = np.searchsorted(start, rows, side="right") - 1
    lower = 0.5 * (up_to[first[rows]] + up_to[last[rows]]) - up_to[start[fold_of]]
    ends = np.append(start[1:], len(order))
    held = [np.searchsorted(rows, place) for place in (start, ends)]
    pairs = np.zeros(weight.shape[1:])
    for k in range(len(start)):
        events = with_event[held[0][k] : held[1][k]].sum(axis=0)
        pairs = pairs + events * (up_to[ends[k]] - up_to[start[k]])
    with np.errstate(invalid="ignore"):
        area: NDArray[np.float64] = (with_event * lower).sum(axis=0) / pairs
    return area


def _ties(
    ordered: NDArray[np.float64], starts: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the run of equal values of each place starts, and the place after its end.

    Runs end where one of `starts` begins.
    """
    new = np.diff(ordered, prepend=np.nan) != 0
    if starts is not None:
        new[starts] = True
    first = np.flatnonzero(new)
    run = np.cumsum(new) - 1
    return first[run], np.append(first[1:], len(ordered))[run]
