"""How many patients a threshold of risk flags, and how many must be looked at for one event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.disclosure import SMALLEST_CELL
from models.metrics.intervals import bootstrap_interval
from models.metrics.known_outcome import KnownOutcome, known_outcome

__all__ = ["CANDIDATES", "AlertBurden", "Estimated", "alert_burden", "usual_thresholds"]

CANDIDATES = (0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80)
_MOST_THRESHOLDS = 6
_FEWEST_FLAGGED, _MOST_FLAGGED = 0.01, 0.95
_RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Estimated:
    """An estimate with the ends of its 95 % interval; NaN where it is undefined."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AlertBurden:
    """What acting at or above one threshold of risk asks of a ward, and what it finds.

    Parameters
    ----------
    horizon_days, threshold : float
    flagged : Estimated
        Share of all stays with a risk at or above the threshold.
    sensitivity : Estimated
        Share of the stays with the event by the horizon that are flagged.
    number_to_evaluate : Estimated
        Flagged stays for each one of them with the event: 1 over the positive predictive value.
    lead_days : tuple of float or None
        Quartiles of the days from time zero to the event, among flagged stays with the event by the
        horizon; None where fewer than `SMALLEST_CELL` are known, or the outcome has no times.
    """

    horizon_days: float
    threshold: float
    flagged: Estimated
    sensitivity: Estimated
    number_to_evaluate: Estimated
    lead_days: tuple[float, float, float] | None

    def as_json(self) -> dict[str, object]:
        """Return the burden as a mapping; null stands for NaN."""
        figures = {
            "flagged": self.flagged,
            "sensitivity": self.sensitivity,
            "number_to_evaluate": self.number_to_evaluate,
        }
        return {
            "horizon_days": self.horizon_days,
            "threshold": self.threshold,
            **{
                name: {
                    end: None if np.isnan(value) else value
                    for end, value in (
                        ("estimate", figure.estimate),
                        ("low", figure.low),
                        ("high", figure.high),
                    )
                }
                for name, figure in figures.items()
            },
            "lead_days": None if self.lead_days is None else list(self.lead_days),
        }


def usual_thresholds(risk: ArrayLike) -> tuple[float, ...]:
    """Return at most six round thresholds that flag some of the stays but not nearly all.

    >>> usual_thresholds(np.linspace(0, 0.3, 1000))
    (0.02, 0.05, 0.1, 0.15, 0.2)
    """
    predicted = np.asarray(risk, dtype=np.float64)
    shares = {at: float((predicted >= at).mean()) for at in CANDIDATES}
    some = [
        at
        for at, share in shares.items()
        if _FEWEST_FLAGGED <= share <= _MOST_FLAGGED
        and (predicted >= at).sum() >= SMALLEST_CELL
        and (predicted < at).sum() >= SMALLEST_CELL
    ]
    if len(some) <= _MOST_THRESHOLDS:
        return tuple(some)
    chosen = np.linspace(0, len(some) - 1, _MOST_THRESHOLDS).round().astype(int)
    return tuple(some[place] for place in chosen)


def alert_burden(
    time_days: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon_days: float,
    thresholds: Sequence[float],
    has_times: bool = True,
    random_state: int = 0,
    groups: ArrayLike | None = None,
) -> tuple[AlertBurden, ...]:
    r"""Return how many stays each threshold flags, and how many of them have the event.

    Parameters
    ----------
    time_days : array-like of float, shape (n_stays,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event.
    risk : array-like of float, shape (n_stays,)
        Predicted probability of the outcome by the horizon.
    horizon_days : float
        Days from time zero.
    thresholds : sequence of float
        Risks at which a stay is flagged.
    has_times : bool
        Whether `time_days` are the days of the events; false for an outcome that is known at one
        horizon only.
    random_state : int
        Seed of the 200 resamples of patients behind the intervals.
    groups : array-like, shape (n_stays,), optional
        Patient of each stay, whose stays are resampled together.

    Returns
    -------
    tuple of AlertBurden
        In the order of the thresholds.

    Notes
    -----
    The number needed to evaluate is :math:`1 / \mathrm{PPV}` [1]_, with
    :math:`\mathrm{PPV} = \sum_i w_i d_i f_i / \sum_i w_i f_i` over flagged stays :math:`f`, events
    :math:`d` and inverse probability of censoring weights :math:`w`. A competing event is none.

    References
    ----------
    .. [1] Romero-Brufau et al. Crit Care 19 (2015) 285. doi:10.1186/s13054-015-0999-1

    Examples
    --------
    >>> (burden,) = alert_burden(
    ...     [5, 20, 8, 30], [1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], horizon_days=10, thresholds=[0.5]
    ... )
    >>> burden.flagged.estimate, burden.sensitivity.estimate, burden.number_to_evaluate.estimate
    (0.5, 0.5, 2.0)
    """
    predicted = np.asarray(risk, dtype=np.float64)
    flags = predicted >= np.asarray(thresholds, dtype=np.float64)[:, None]

    def figures(counts: NDArray[np.float64] | None) -> NDArray[np.float64]:
        outcome = known_outcome(time_days, event, horizon_days, counts=counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_all = flags @ outcome.count / outcome.count.sum(axis=0)
            true = (flags & outcome.happened) @ outcome.weight
            sensitivity = true / (outcome.happened @ outcome.weight)
            number = np.where(true > 0, flags @ outcome.weight / true, np.nan)
        return np.stack([of_all, sensitivity, number])

    interval = bootstrap_interval(
        figures,
        len(predicted),
        n_resamples=_RESAMPLES,
        random_state=random_state,
        groups=groups,
    )
    outcome = known_outcome(time_days, event, horizon_days)
    days = np.asarray(time_days, dtype=np.float64)

    def estimated(row: int, place: int) -> Estimated:
        ends = (values[row, place] for values in (interval.estimate, interval.low, interval.high))
        return Estimated(*map(float, ends))

    return tuple(
        AlertBurden(
            horizon_days=float(horizon_days),
            threshold=float(threshold),
            flagged=estimated(0, place),
            sensitivity=estimated(1, place),
            number_to_evaluate=estimated(2, place),
            lead_days=_lead_days(days, outcome, flags[place]) if has_times else None,
        )
        for place, threshold in enumerate(thresholds)
    )


def _lead_days(
    days: NDArray[np.float64], outcome: KnownOutcome, flagged: NDArray[np.bool_]
) -> tuple[float, float, float] | None:
    """Return the weighted quartiles of the days to the event among flagged stays with it."""
    rows = flagged & outcome.happened & (outcome.weight > 0)
    if rows.sum() < SMALLEST_CELL:
        return None
    order = np.argsort(days[rows], kind="stable")
    cumulative = np.cumsum(outcome.weight[rows][order])
    low, middle, high = (
        float(days[rows][order][np.searchsorted(cumulative, share * cumulative[-1])])
        for share in (0.25, 0.5, 0.75)
    )
    return low, middle, high
