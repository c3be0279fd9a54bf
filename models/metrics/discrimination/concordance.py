"""How well a score ranks patients by when the event happens, over the whole follow-up."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.censoring import CensoringDistribution

__all__ = ["antolini_c", "harrell_c", "uno_c"]


def harrell_c(
    time_days: ArrayLike,
    event: ArrayLike,
    score: ArrayLike,
    *,
    counts: NDArray[np.float64] | None = None,
    fold: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    r"""Return Harrell's concordance index; with competing events, its form by Wolbers.

    Higher is better; 0.5 is chance, 1 perfect. The probability that, of two patients, the one known
    to have had the event first has the higher score. Equal scores count one half; two events at
    the same time are not compared. A patient with a competing event never has the event, so is
    compared as if followed forever. It depends on the censoring; `uno_c` does not.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    score : array-like of float, shape (n_patients,)
        Higher for an earlier event.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).
    fold : ndarray of int, shape (n_patients,), optional
        Only patients of the same fold are compared (default: all are): scores of different folds
        come from different models.

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where no two patients can be compared.

    Notes
    -----
    :math:`\frac{\sum_{i,j} A_{ij} (1\{s_i > s_j\} + \frac12 1\{s_i = s_j\})}{\sum_{i,j} A_{ij}}`,
    :math:`A_{ij} = 1\{\text{event}_i = 1, (T_i < T_j \text{ or event}_j = 2)\}` [1]_ [2]_, where a
    patient censored at T counts as living longer than one with the event at T. Takes
    O(n log(n)^2) by splitting the order of times bit by bit.

    References
    ----------
    .. [1] Harrell, Lee & Mark. Stat Med 15 (1996) 361-387.
       doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4
    .. [2] Wolbers et al. Epidemiology 20 (2009) 555-561. doi:10.1097/EDE.0b013e3181a39056

    Examples
    --------
    >>> harrell_c([5, 8, 20, 30], [1, 1, 0, 0], [0.6, 0.3, 0.4, 0.1])
    np.float64(0.8)
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    count = np.ones(len(time)) if counts is None else counts
    had_event = kind == 1
    # A_ij = 1 where i had the event and j comes later: a competing event moves j behind everyone,
    # and of equal times the censored one is the later. The index is then
    # sum_i n_i sum_j n_j A_ij (1{s_i > s_j} + 1/2 1{s_i = s_j}) / sum_i n_i sum_j n_j A_ij.
    rank = _rank(np.where(kind == 2, time.max() + 1, time), ~had_event)
    own = count[had_event]
    below, later = _within_folds(rank, score, count, had_event, fold)
    with np.errstate(invalid="ignore"):
        index: NDArray[np.float64] = (own * below).sum(axis=0) / (own * later).sum(axis=0)
    return index


def uno_c(
    time_days: ArrayLike,
    event: ArrayLike,
    score: ArrayLike,
    *,
    up_to_days: float,
    counts: NDArray[np.float64] | None = None,
    censoring: CensoringDistribution | None = None,
    fold: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    r"""Return Uno's concordance index for events up to a day, free of the censoring distribution.

    Higher is better; 0.5 is chance, 1 perfect. Pairs as in `harrell_c`, each weighted by one over
    the probability that it could be observed, so the limit does not depend on who was censored.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    score : array-like of float, shape (n_patients,)
        Higher for an earlier event.
    up_to_days : float
        The earlier event of a pair lies at or before this day; choose it where a good share of the
        patients is still under observation, since weights grow without bound beyond.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).
    censoring : CensoringDistribution, optional
        Fitted on these patients with these counts (default: fitted here).
    fold : ndarray of int, shape (n_patients,), optional
        As in `harrell_c`.

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where no two patients can be compared.

    Notes
    -----
    A pair with :math:`T_i < T_j` weighs :math:`G(T_i-)^{-2}` [1]_; a pair whose j had the competing
    event at :math:`T_j \le T_i` weighs :math:`G(T_i-)^{-1} G(T_j-)^{-1}` [2]_.

    References
    ----------
    .. [1] Uno et al. Stat Med 30 (2011) 1105-1117. doi:10.1002/sim.4154
    .. [2] Wolbers et al. Biostatistics 15 (2014) 526-539. doi:10.1093/biostatistics/kxt059

    Examples
    --------
    >>> uno_c([5, 8, 20, 30], [1, 1, 0, 0], [0.6, 0.3, 0.4, 0.1], up_to_days=10)
    np.float64(0.8)
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    count = np.ones(len(time)) if counts is None else counts
    if censoring is None:
        censoring = CensoringDistribution.fit(time, kind, counts=counts)
    # With g_i = 1/G(T_i-), a pair weighs g_i^2 where T_i < T_j, and g_i g_j where j had the
    # competing event at T_j <= T_i. So the sums over j are sum_j n_j g_i for the first kind of
    # pair and sum_j n_j g_j for the second; `own` = n_i g_i brings the other factor.
    survival = censoring.survival_before(time)
    inverse = np.divide(1.0, survival, out=np.zeros_like(survival), where=survival > 0)
    had_event = (kind == 1) & (time <= up_to_days)
    below, later = _within_folds(_rank(time, kind == 0), score, count, had_event, fold)
    own = (count * inverse)[had_event]
    below, later = below * inverse[had_event], later * inverse[had_event]
    if (kind == 2).any():
        competing = ((count * inverse).T * (kind == 2)).T
        # Backwards in time, those with the competing event by T_i rank "later" than i.
        more = _within_folds(_rank(-time, kind == 2), score, competing, had_event, fold)
        below, later = below + more[0], later + more[1]
    with np.errstate(invalid="ignore"):
        index: NDArray[np.float64] = (own * below).sum(axis=0) / (own * later).sum(axis=0)
    return index


def antolini_c(time_days: ArrayLike, event: ArrayLike, risk: ArrayLike, days: ArrayLike) -> float:
    r"""Return Antolini's time-dependent concordance index, over the pairs of `harrell_c`.

    Higher is better; 0.5 is chance, 1 perfect. Each pair is judged by the risks on the day of its
    event: curves that cross rank patients in another order later, which one score for the whole
    follow-up cannot show. Of curves that never cross it is Harrell's index over the
    same events. It depends on the censoring.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    risk : array-like of float, shape (n_patients, n_days)
        Risk of the outcome by each day.
    days : array-like of float, shape (n_days,)
        Ascending. An event is judged on the latest of these days that is not after it; events
        before the first and after the last of them are not compared.

    Returns
    -------
    float
        NaN where no two patients can be compared.

    Notes
    -----
    :math:`\frac{\sum_{i,j} A_{ij} (1\{F(T_i|x_i) > F(T_i|x_j)\} + \frac12 1\{F(T_i|x_i) =
    F(T_i|x_j)\})}{\sum_{i,j} A_{ij}}`, :math:`A_{ij}` as in `harrell_c` [1]_ [2]_.

    References
    ----------
    .. [1] Antolini, Boracchi & Biganzoli. Stat Med 24 (2005) 3927-3944. doi:10.1002/sim.2427
    .. [2] Wolbers et al. Epidemiology 20 (2009) 555-561. doi:10.1097/EDE.0b013e3181a39056

    Examples
    --------
    >>> antolini_c([5, 8, 20], [1, 1, 0], [[0.3, 0.3], [0.1, 0.5], [0.2, 0.4]], [5, 8])
    1.0
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    curves, grid = np.asarray(risk, dtype=np.float64), np.asarray(days, dtype=np.float64)
    # Pairs are grouped by the day on which they are judged, t(i) = max {t <= T_i}:
    # sum_i sum_j A_ij (1 + sign(F(t(i)|x_i) - F(t(i)|x_j))) / 2, over sum_i sum_j A_ij.
    judged = np.searchsorted(grid, time, side="right") - 1
    judged[(kind != 1) | (time < grid[0]) | (time > grid[-1])] = -1
    never = np.where(kind == 2, np.inf, time)
    ordered = compared = 0.0
    for column in np.unique(judged[judged >= 0]):
        first = np.flatnonzero(judged == column)
        later = (never > time[first, None]) | ((kind == 0) & (time == time[first, None]))
        above = curves[first, column, None] - curves[:, column]
        ordered += float((later * (0.5 + 0.5 * np.sign(above))).sum())
        compared += float(later.sum())
    return ordered / compared if compared else np.nan


def _rank(time: NDArray[np.float64], last_among_ties: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the dense rank of (time, last_among_ties)."""
    order = np.lexsort((last_among_ties, time))
    new = np.diff(time[order], prepend=-np.inf) != 0
    new |= np.diff(last_among_ties[order], prepend=False)
    rank = np.empty(len(time), dtype=np.int64)
    rank[order] = np.cumsum(new) - 1
    return rank


def _within_folds(
    rank: NDArray[np.int64],
    score: ArrayLike,
    count: NDArray[np.float64],
    rows: NDArray[np.bool_],
    fold: NDArray[np.int64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for each chosen row, how many rank later with a lower score, and how many in all.

    Equal scores count one half; only patients of the same fold are compared.
    """
    # Two ranks a < b first differ at one bit, which is 0 in a and 1 in b, so every ordered pair is
    # counted exactly once: at that bit, within the block of ranks that agree above it. There, sums
    # over scores are differences of one cumulative sum. A fold is a block above all bits of a rank.
    bits = int(rank.max()).bit_length()
    if fold is not None:
        rank = rank + (np.unique(fold, return_inverse=True)[1].astype(np.int64) << bits)
    _, level = np.unique(np.asarray(score, dtype=np.float64), return_inverse=True)
    by_score = np.argsort(level, kind="stable")
    below = np.zeros_like(count)
    for bit in range(bits):
        order = by_score[np.argsort(rank[by_score] >> (bit + 1), kind="stable")]
        block, upper = rank[order] >> (bit + 1), (rank[order] >> bit & 1).astype(bool)
        passed = np.concatenate([[0], np.cumsum(upper)])
        key = block * (level.max() + 1) + level[order]
        at = np.flatnonzero(~upper & rows[order])
        first_of_block = passed[np.searchsorted(block, block[at], side="left")]
        first_tie = passed[np.searchsorted(key, key[at], side="left")]
        after_ties = passed[np.searchsorted(key, key[at], side="right")]
        # Within its block a row a (bit 0) is compared with the rows b of bit 1. With C(x) the count
        # of those b up to place x of the order by (block, score), lower scores and half of the
        # equal ones come to (C(first tie) + C(after ties)) / 2 - C(first of block).
        total = np.cumsum(count[order[upper]], axis=0)
        total = np.concatenate([np.zeros_like(count[:1]), total])
        below[order[at]] += 0.5 * (total[first_tie] + total[after_ties]) - total[first_of_block]
    by_rank = np.argsort(rank, kind="stable")
    ascending, chosen = rank[by_rank], rank[rows]
    total = np.concatenate([np.zeros_like(count[:1]), np.cumsum(count[by_rank], axis=0)])
    end_of_fold = np.searchsorted(ascending, ((chosen >> bits) + 1) << bits, side="left")
    later = total[end_of_fold] - total[np.searchsorted(ascending, chosen, side="right")]
    return below[rows], later
