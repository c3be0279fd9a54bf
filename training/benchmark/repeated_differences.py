"""Intervals for differences measured on repeated splits, which share most of their patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

__all__ = ["Difference", "corrected_difference"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over repeated splits; a single split gives no interval."""

    estimate: float
    low: float | None
    high: float | None


def corrected_difference(
    differences: ArrayLike, *, test_to_train: float, level: float = 0.95
) -> Difference:
    r"""Return the mean of paired differences over random splits with a corrected t interval.

    Training sets of random splits overlap, so their differences are not independent and a plain t
    interval is far too narrow; the variance is inflated by the share of test to training patients.

    Parameters
    ----------
    differences : array-like of float, shape (n_splits,)
        One difference per split, both models on the same patients.
    test_to_train : float
        Patients held out over patients trained on, > 0.
    level : float
        Coverage of the interval, strictly between 0 and 1.

    Raises
    ------
    ValueError
        If there is no difference, or the ratio is not positive.

    Notes
    -----
    :math:`\bar d \pm t_{J-1} \sqrt{(1/J + n_{test}/n_{train})\, s_d^2}` [1]_.

    References
    ----------
    .. [1] Nadeau & Bengio. Mach Learn 52 (2003) 239-281. doi:10.1023/A:1024068626366

    Examples
    --------
    >>> gap = corrected_difference([0.02, 0.01, 0.03], test_to_train=3 / 7)
    >>> round(gap.estimate, 3), round(gap.low, 3), round(gap.high, 3)
    (0.02, -0.018, 0.058)
    """
    values = np.asarray(differences, dtype=np.float64)
    if not len(values) or test_to_train <= 0:
        raise ValueError(
            "differences must hold at least one split and test_to_train be positive; "
            f"got {len(values)} and {test_to_train}."
        )
    mean = float(values.mean())
    if len(values) == 1:
        return Difference(mean, None, None)
    error = np.sqrt((1 / len(values) + test_to_train) * values.var(ddof=1))
    half = float(student_t.ppf(0.5 + level / 2, len(values) - 1) * error)
    return Difference(mean, mean - half, mean + half)
