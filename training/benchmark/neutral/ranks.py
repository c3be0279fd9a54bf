"""Mean ranks of learners over data sets, and the tests that go with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import friedmanchisquare, norm, studentized_range, wilcoxon

__all__ = [
    "FriedmanTest",
    "SignedRanks",
    "bonferroni_dunn_difference",
    "friedman",
    "nemenyi_difference",
    "set_ranks",
    "signed_ranks",
]

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class FriedmanTest:
    """Whether any learner ranks differently: Friedman's statistic and its p value."""

    statistic: float
    p: float


@dataclass(frozen=True, slots=True)
class SignedRanks:
    """A learner beside another over the data sets.

    Parameters
    ----------
    better, worse : int
        Data sets on which the first has the better, and the worse, mean score.
    median_difference : float
        Median over the data sets of the first minus the second.
    p : float or None
        Two-sided p value of Wilcoxon's signed-rank test; None without any difference.
    """

    better: int
    worse: int
    median_difference: float
    p: float | None


def set_ranks(scores: pd.DataFrame, *, lower_is_better: bool) -> pd.DataFrame:
    """Return the rank of each learner (column) within each data set (row), 1 the best.

    Equal scores share their mean rank.

    Examples
    --------
    >>> set_ranks(pd.DataFrame({"a": [0.1], "b": [0.3], "c": [0.3]}), lower_is_better=True)
         a    b    c
    0  1.0  2.5  2.5
    """
    return scores.rank(axis=1, ascending=lower_is_better)


def friedman(scores: pd.DataFrame) -> FriedmanTest | None:
    """Return Friedman's test over data sets (rows), or None for fewer than 2 or 3 learners."""
    if len(scores) < 2 or scores.shape[1] < 3:
        return None
    test = friedmanchisquare(*(scores[learner] for learner in scores))
    return FriedmanTest(float(test.statistic), float(test.pvalue))


def nemenyi_difference(learners: int, sets: int) -> float:
    r"""Return the difference of mean ranks above which two of all learners differ (5 % level).

    Parameters
    ----------
    learners, sets : int
        Numbers of learners (at least 2) and of data sets.

    Notes
    -----
    :math:`q_\alpha \sqrt{k (k + 1) / (6 N)}` with :math:`q_\alpha` the quantile of the studentised
    range divided by :math:`\sqrt 2` [1]_.

    References
    ----------
    .. [1] Demsar. J Mach Learn Res 7 (2006) 1-30.

    Examples
    --------
    >>> round(nemenyi_difference(4, 14), 3)
    1.254
    """
    q = float(studentized_range.ppf(1 - LEVEL, learners, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(learners * (learners + 1) / (6 * sets)))


def bonferroni_dunn_difference(learners: int, sets: int) -> float:
    """Return the difference of mean ranks above which a learner differs from one baseline.

    The critical difference of `nemenyi_difference` with the normal quantile at the 5 % level
    divided by the number of comparisons with the baseline, two-sided.

    Examples
    --------
    >>> round(bonferroni_dunn_difference(4, 14), 3)
    1.168
    """
    q = float(norm.ppf(1 - LEVEL / (2 * (learners - 1))))
    return float(q * np.sqrt(learners * (learners + 1) / (6 * sets)))


def signed_ranks(ours: ArrayLike, theirs: ArrayLike, *, lower_is_better: bool) -> SignedRanks:
    """Compare two learners over the data sets.

    Parameters
    ----------
    ours, theirs : array-like of float, shape (n_sets,)
        Mean scores, in the same order of data sets.
    """
    gap = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    better = gap < 0 if lower_is_better else gap > 0
    p = float(wilcoxon(gap).pvalue) if gap.any() else None
    return SignedRanks(int(better.sum()), int((gap != 0).sum() - better.sum()), _median(gap), p)


def _median(values: np.ndarray) -> float:
    return float(np.median(values))
