"""Older summaries of what a marker adds, secondary to the changes in AUROC, IPA and net benefit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics.known_outcome import KnownOutcome

__all__ = ["idi", "nri_continuous"]


def idi(outcome: KnownOutcome, without: ArrayLike, with_markers: ArrayLike) -> NDArray[np.float64]:
    r"""Return the integrated discrimination improvement.

    Higher is better; 0 is no change. Secondary: it rewards a model for more extreme risks whether
    or not they are true, so it is no proof of added value.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    without, with_markers : array-like of float, shape (n_patients,)
        Risk by the horizon of the model without and with the markers, in [0, 1].

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        In [-2, 2]; NaN where no patient has the event, or all have it.

    Notes
    -----
    :math:`(\bar r_1 - \bar r_0)_{\text{event}} - (\bar r_1 - \bar r_0)_{\text{no event}}` with
    means weighted for censoring [1]_. A competing event by the horizon is no event.

    References
    ----------
    .. [1] Pencina et al. Stat Med 27 (2008) 157-172. doi:10.1002/sim.2929

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> idi(outcome, [0.6, 0.3, 0.4, 0.1], [0.8, 0.3, 0.4, 0.1]).round(2)
    np.float64(0.1)
    """
    change = np.asarray(with_markers, dtype=np.float64) - np.asarray(without, dtype=np.float64)
    return _mean_of_events_minus_others(outcome, change)


def nri_continuous(
    outcome: KnownOutcome, without: ArrayLike, with_markers: ArrayLike
) -> NDArray[np.float64]:
    r"""Return the continuous (category-free) net reclassification improvement.

    Higher is better; 0 is no change. Secondary: it counts how often a risk moved the right way and
    not how far, and is positive for useless markers in a model that is not calibrated [2]_.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    without, with_markers : array-like of float, shape (n_patients,)
        Risk by the horizon of the model without and with the markers, in [0, 1].

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        In [-2, 2]; NaN where no patient has the event, or all have it.

    Notes
    -----
    :math:`[P(\uparrow) - P(\downarrow)]_{\text{event}} -
    [P(\uparrow) - P(\downarrow)]_{\text{no event}}`, weighted for censoring [1]_. Its textbook
    standard error is wrong for models fitted to the same patients; resample instead.

    References
    ----------
    .. [1] Pencina, D'Agostino & Steyerberg. Stat Med 30 (2011) 11-21. doi:10.1002/sim.4085
    .. [2] Kerr et al. Epidemiology 25 (2014) 114-121. doi:10.1097/EDE.0000000000000018

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> nri_continuous(outcome, [0.6, 0.3, 0.4, 0.1], [0.8, 0.3, 0.4, 0.2])
    np.float64(0.0)
    """
    change = np.asarray(with_markers, dtype=np.float64) - np.asarray(without, dtype=np.float64)
    return _mean_of_events_minus_others(outcome, np.sign(change))


def _mean_of_events_minus_others(
    outcome: KnownOutcome, change: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weighted mean among those with the event minus that among the others."""
    weight = outcome.weight
    of_events = (outcome.happened * change) @ weight, outcome.happened @ weight
    others = (~outcome.happened * change) @ weight, ~outcome.happened @ weight
    with np.errstate(invalid="ignore"):
        difference: NDArray[np.float64] = of_events[0] / of_events[1] - others[0] / others[1]
    return difference
