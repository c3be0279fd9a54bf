"""What each patient adds to an observed cumulative incidence: outcomes free of censoring."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["pseudo_values"]


def pseudo_values(
    time_days: ArrayLike,
    event: ArrayLike,
    horizon_days: float,
    *,
    count: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    r"""Return each patient's pseudo-value of the Aalen-Johansen estimate at a horizon.

    It stands for the outcome "had the event by the horizon", known or not, and may lie outside
    [0, 1]; without censoring it is that outcome. The mean over a group of patients is, but for a
    term that vanishes with their number, the observed risk of the group.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    horizon_days : float
        Days from time zero.
    count : ndarray of float, shape (n_patients,), optional
        How many patients each row stands for (default: one); its value is that of one of them.

    Returns
    -------
    ndarray of float, shape (n_patients,)

    Raises
    ------
    ValueError
        If there are fewer than two patients.

    Notes
    -----
    :math:`\hat\theta_i = n \hat F(h) - (n - 1) \hat F^{(-i)}(h)` [1]_. Leaving a patient out
    changes only the numbers at risk up to that patient's time, so all n estimates come from one
    pass forward (one fewer at risk) and one backward (as observed), in O(n log n).

    References
    ----------
    .. [1] Andersen, Klein & Rosthoj. Biometrika 90 (2003) 15-27. doi:10.1093/biomet/90.1.15

    Examples
    --------
    >>> pseudo_values([5, 8, 20, 30], [1, 2, 0, 0], 10)
    array([1., 0., 0., 0.])
    >>> pseudo_values([3, 5, 8, 20], [0, 1, 2, 0], 10).round(3)
    array([ 0.333,  1.333, -0.167, -0.167])
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    of_row = np.ones(len(time)) if count is None else count
    n = int(of_row.sum())
    if n < 2:
        raise ValueError(f"patients must number at least 2; got {n}. Give the whole cohort.")
    # Patients who leave after the horizon are at risk throughout: one further time represents them.
    within = time <= horizon_days
    times, position = np.unique(np.where(within, time, np.inf), return_inverse=True)
    leaving = np.bincount(position, weights=of_row).astype(np.float64)
    at_risk = np.cumsum(leaving[::-1])[::-1]
    of_outcome, of_any = (
        np.bincount(position, of_row * (within & chosen), len(times)).astype(np.float64)
        for chosen in (kind == 1, kind != 0)
    )
    # Let patient i leave at time t_i. Without i, hazards before t_i have one fewer at risk, those
    # after it are as observed:
    # F^(-i) = sum_{t < t_i} S'(t-) d_t / (Y_t - 1)                       `incidence_before`
    #        + S'(t_i-) [h_i + (1 - a_i) sum_{t > t_i} S(t_i, t-) d_t / Y_t]
    # with S' the survival with one fewer at risk (`before`), h_i = (d - own) / (Y - 1) the hazard
    # at t_i among the others (`here`), a_i the same for events of any kind (1 - a_i is `survived`),
    # and the last sum `later`.
    later = _risk_from_here(of_outcome / at_risk, of_any / at_risk)
    fewer = at_risk - 1
    hazard, any_hazard = _ratio(of_outcome, fewer), _ratio(of_any, fewer)
    survival = np.cumprod(1 - any_hazard)
    before = np.concatenate([[1.0], survival[:-1]])
    incidence_before = np.concatenate([[0.0], np.cumsum(before * hazard)[:-1]])
    own, own_any = within & (kind == 1), within & (kind != 0)
    left = fewer[position]
    here = _ratio(of_outcome[position] - own, left)
    survived = 1 - _ratio(of_any[position] - own_any, left)
    without = incidence_before[position] + before[position] * (here + survived * later[position])
    whole = of_outcome[0] / at_risk[0] + (1 - of_any[0] / at_risk[0]) * later[0]
    pseudo: NDArray[np.float64] = n * whole - (n - 1) * without
    return pseudo


def _risk_from_here(
    hazard: NDArray[np.float64], any_hazard: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return, at each time, the risk of the outcome after it among those still event-free."""
    later = np.zeros(len(hazard))
    for step in range(len(hazard) - 1, 0, -1):
        later[step - 1] = hazard[step] + (1 - any_hazard[step]) * later[step]
    return later


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole, 0 where no patient is left."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
