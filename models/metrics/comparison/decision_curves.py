"""Net benefit by threshold of two models, of treating all patients and of treating none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics.comparison.net_benefit import (
    decision_thresholds,
    net_benefit,
    net_benefit_of_all,
)
from models.metrics.intervals import Interval, bootstrap_interval, widened_for_folds
from models.metrics.known_outcome import known_outcome

__all__ = ["DecisionComparison", "decision_comparison"]

MOST_RESAMPLES = 200
"""Pointwise bands need no more."""


@dataclass(frozen=True, slots=True)
class DecisionComparison:
    """Net true positives per patient by threshold; treating no patient is 0.

    Parameters
    ----------
    horizon_days : float
    thresholds : ndarray of float, shape (n_thresholds,)
    first, second, gain : Interval
        Of the two models, and of the second minus the first; pointwise 95 % intervals.
    treat_all : ndarray of float, shape (n_thresholds,)
    """

    horizon_days: float
    thresholds: NDArray[np.float64]
    first: Interval
    second: Interval
    gain: Interval
    treat_all: NDArray[np.float64]

    def as_json(self, names: tuple[str, str]) -> dict[str, object]:
        """Return the curves as lists, those of the two models under the given names."""
        curves = {names[0]: self.first, names[1]: self.second, "gain": self.gain}
        return {
            "horizon_days": self.horizon_days,
            "thresholds": self.thresholds.tolist(),
            "treat_all": self.treat_all.tolist(),
            **{
                name: {end: getattr(curve, end).tolist() for end in ("estimate", "low", "high")}
                for name, curve in curves.items()
            },
        }


def decision_comparison(
    time_days: ArrayLike,
    event: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    horizon_days: float,
    n_bootstrap: int = MOST_RESAMPLES,
    random_state: int = 0,
    groups: ArrayLike | None = None,
    folds: int = 1,
) -> DecisionComparison:
    """Return net benefit over the thresholds at which the models treat some but not all.

    Higher is better. Weighted for censoring; a competing event by the horizon is a false positive.

    Parameters
    ----------
    time_days, event, horizon_days, random_state, groups
        As in `curves.calibration_curve`.
    first, second : array-like of float, shape (n_stays,)
        Predicted probability of the outcome by the horizon.
    n_bootstrap : int
        Resamples of patients; at most `MOST_RESAMPLES` are drawn.
    folds : int
        As in `widened_for_folds`.

    Returns
    -------
    DecisionComparison
        From 1 % to the 99th percentile of risk, in steps of about 1 %.
    """
    risks = [np.asarray(risk, dtype=np.float64) for risk in (first, second)]
    thresholds = decision_thresholds(np.concatenate(risks))

    def curves(counts: NDArray[np.float64] | None) -> NDArray[np.float64]:
        outcome = known_outcome(time_days, event, horizon_days, counts=counts)
        nets = [net_benefit(outcome, risk, thresholds) for risk in risks]
        return np.stack([*nets, nets[1] - nets[0]])

    intervals = bootstrap_interval(
        curves,
        len(risks[0]),
        n_resamples=min(n_bootstrap, MOST_RESAMPLES),
        random_state=random_state,
        groups=groups,
    )
    wider = widened_for_folds(intervals, folds)
    of_first, of_second, gain = map(Interval, wider.estimate, wider.low, wider.high)
    treat_all = net_benefit_of_all(known_outcome(time_days, event, horizon_days), thresholds)
    return DecisionComparison(float(horizon_days), thresholds, of_first, of_second, gain, treat_all)
