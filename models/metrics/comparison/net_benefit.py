"""What patients gain from decisions based on risks, by the risk at which treatment starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics.known_outcome import KnownOutcome

__all__ = ["TradeOff", "decision_thresholds", "net_benefit", "net_benefit_of_all", "trade_off"]


@dataclass(frozen=True, slots=True)
class TradeOff:
    """How many patients have to be tested for one more net true positive; lower is better.

    Infinite where testing gains nothing, also as an end of the interval.
    """

    threshold: float
    tests: float
    low: float
    high: float

    def as_json(self) -> dict[str, object]:
        """Return the trade-off as a mapping; null means that no number of tests is enough."""
        return {name: None if np.isinf(value) else value for name, value in asdict(self).items()}


def net_benefit(
    outcome: KnownOutcome, risk: ArrayLike, thresholds: ArrayLike
) -> NDArray[np.float64]:
    r"""Return the net benefit of treating everyone at or above each threshold.

    Higher is better; at most the event rate. "Treat none" scores 0 at every threshold.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].
    thresholds : array-like of float, shape (n_thresholds,)
        Risk at which treatment starts, strictly between 0 and 1.

    Returns
    -------
    ndarray of float, shape (n_thresholds,) or (n_thresholds, n_resamples)
        Net true positives per patient.

    Raises
    ------
    ValueError
        If a threshold is not strictly between 0 and 1.

    Notes
    -----
    :math:`\mathrm{NB}(t) = \frac{TP}{n} - \frac{FP}{n}\,\frac{t}{1 - t}` [1]_. True and false
    positives are weighted for censoring with one G for all patients; [2]_ takes Kaplan-Meier among
    those at or above the threshold instead, which is the same without censoring. A competing event
    by the horizon is a false positive.

    References
    ----------
    .. [1] Vickers & Elkin. Med Decis Making 26 (2006) 565-574. doi:10.1177/0272989X06295361
    .. [2] Vickers et al. BMC Med Inform Decis Mak 8 (2008) 53. doi:10.1186/1472-6947-8-53

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 20, 20, 30], [1, 0, 0, 0], horizon_days=10)
    >>> net_benefit(outcome, [0.9, 0.6, 0.2, 0.1], [0.1, 0.5])
    array([0.16666667, 0.        ])
    """
    threshold = _checked(thresholds)
    treated = np.asarray(risk, dtype=np.float64) >= threshold[:, None]
    gain = np.where(outcome.happened, 1.0, -(threshold / (1 - threshold))[:, None])
    benefit: NDArray[np.float64] = (treated * gain) @ outcome.weight / outcome.count.sum(axis=0)
    return benefit


def decision_thresholds(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return thresholds from 1 % to the 99th percentile of risk, in steps of about 1 %.

    >>> decision_thresholds(np.array([0.01, 0.05])).round(2)
    array([0.01, 0.02, 0.03, 0.04, 0.05])
    """
    highest = float(np.clip(np.quantile(risk, 0.99), 0.05, 0.99))
    return np.linspace(0.01, highest, max(int(100 * highest), 5))


def net_benefit_of_all(outcome: KnownOutcome, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Return the net benefit of treating everyone, whatever the risk.

    The curve a model must beat, as it must beat 0 ("treat none").

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    thresholds : array-like of float, shape (n_thresholds,)
        Risk at which treatment would start, strictly between 0 and 1.

    Returns
    -------
    ndarray of float, shape (n_thresholds,) or (n_thresholds, n_resamples)
        Net true positives per patient.

    Raises
    ------
    ValueError
        If a threshold is not strictly between 0 and 1.

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 20, 20, 30], [1, 0, 0, 0], horizon_days=10)
    >>> net_benefit_of_all(outcome, [0.1, 0.5])
    array([ 0.16666667, -0.5       ])
    """
    return net_benefit(outcome, np.ones(len(outcome.happened)), thresholds)


def trade_off(threshold: float, gain: float, low: float, high: float) -> TradeOff:
    r"""Return how many tests one more net true positive takes.

    A panel is worth its cost where identifying one more patient with the event, with no more false
    positives, justifies that many tests.

    Parameters
    ----------
    threshold : float
        Risk at which treatment starts, strictly between 0 and 1.
    gain, low, high : float
        Net benefit with the marker minus net benefit without, and its interval.

    Returns
    -------
    TradeOff

    Notes
    -----
    :math:`1 / \Delta\mathrm{NB}` [1]_; a gain of 0 or less is never worth a test.

    References
    ----------
    .. [1] Baker, Van Calster & Steyerberg. Int J Biostat 8 (2012) 1-37. doi:10.1515/1557-4679.1395

    Examples
    --------
    >>> trade_off(0.2, 0.01, -0.002, 0.02)
    TradeOff(threshold=0.2, tests=100.0, low=50.0, high=inf)
    """
    tests, most, least = (1 / value if value > 0 else np.inf for value in (gain, low, high))
    return TradeOff(threshold, tests, least, most)


def _checked(thresholds: ArrayLike) -> NDArray[np.float64]:
    """Return thresholds as an array; `ValueError` for any outside (0, 1)."""
    threshold = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    outside = ~((threshold > 0) & (threshold < 1))
    if outside.any():
        raise ValueError(
            "thresholds must lie strictly between 0 and 1; got "
            f"{threshold[outside].tolist()}. Leave those out."
        )
    return threshold
