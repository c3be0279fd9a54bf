"""Restricted cubic splines, so that a base of other variables may act in curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["KNOT_SHARES", "curved_terms"]

KNOT_SHARES: Mapping[int, tuple[float, ...]] = {
    3: (0.10, 0.50, 0.90),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.50, 0.725, 0.95),
}
"""Number of knots -> the quantiles where Harrell places them."""


def curved_terms(values: ArrayLike, knots: int) -> NDArray[np.float64]:
    r"""Return the curved terms of a restricted cubic spline, which is straight beyond its knots.

    Parameters
    ----------
    values : array-like of float, shape (n_patients,)
        NaN where not measured.
    knots : int
        A key of `KNOT_SHARES`; they lie at quantiles of the measured values.

    Returns
    -------
    ndarray of float, shape (n_patients, knots - 2)
        NaN where `values` is. No columns where two knots coincide, or where fewer distinct values
        than knots were measured, as in a flag: they would be collinear with the values.

    Notes
    -----
    With knots :math:`k_1 < \dots < k_m` and :math:`(u)_+ = \max(u, 0)`, term j is
    :math:`[(x - k_j)_+^3 - (x - k_{m-1})_+^3 \frac{k_m - k_j}{k_m - k_{m-1}} + (x - k_m)_+^3
    \frac{k_{m-1} - k_j}{k_m - k_{m-1}}] / (k_m - k_1)^2` [1]_, as `Hmisc::rcspline.eval` has it.

    References
    ----------
    .. [1] Harrell. Regression Modeling Strategies, 2nd ed. Springer (2015), section 2.4.5.

    Examples
    --------
    >>> import numpy as np
    >>> curved_terms(np.linspace(0, 10, 11), 3).round(3)[[0, 5, 10], 0]
    array([0. , 1. , 7.5])
    >>> curved_terms([0.0, 1.0, 1.0, 0.0], 3).shape
    (4, 0)
    """
    x = np.asarray(values, dtype=np.float64)
    known = x[~np.isnan(x)]
    at = np.quantile(known, KNOT_SHARES[knots]) if len(known) else np.zeros(knots)
    if min(len(np.unique(at)), len(np.unique(known))) < knots:
        return np.empty((len(x), 0))
    cubes = np.maximum(x[:, None] - at, 0.0) ** 3
    last, before = at[-1], at[-2]
    first = at[:-2]
    terms = (
        cubes[:, :-2]
        - cubes[:, [-2]] * (last - first) / (last - before)
        + cubes[:, [-1]] * (before - first) / (last - before)
    )
    curved: NDArray[np.float64] = terms / (last - at[0]) ** 2
    return curved
