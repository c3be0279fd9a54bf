"""Every metric of a model on one cohort, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.errors import DataError
from models.censoring import CensoringDistribution
from models.folds import patient_codes
from models.metrics.calibration.calibration import (
    calibration_error,
    calibration_intercept,
    calibration_slope,
    oe_ratio,
)
from models.metrics.comparison.net_benefit import net_benefit
from models.metrics.discrimination.concordance import harrell_c, uno_c
from models.metrics.discrimination.ranking import auprc, auroc
from models.metrics.intervals import Interval, bootstrap_interval
from models.metrics.known_outcome import (
    LOWEST_OBSERVED_SHARE,
    MIN_OUTCOMES,
    KnownOutcome,
    known_outcome,
    why_not_evaluable,
)
from models.metrics.overall.brier import brier, integrated_brier, ipa
from models.targets import survival_target

__all__ = [
    "HORIZON_METRICS",
    "OVERALL_METRICS",
    "Metric",
    "evaluate",
]

HORIZON_METRICS = (
    "auroc",
    "auprc",
    "brier",
    "ipa",
    "oe_ratio",
    "calibration_intercept",
    "calibration_slope",
    "ici",
    "e50",
    "e90",
    "net_benefit",
)
OVERALL_METRICS = ("c_harrell", "c_uno", "ibs")

_DISTANCES = ("ici", "e50", "e90")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its interval; NaN, with a `note` that says why, where it is undefined.

    `horizon_days` is None for a metric of the whole follow-up.
    """

    metric: str
    horizon_days: float | None
    estimate: float
    low: float
    high: float
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what the command line prints; null stands for NaN."""
        values = {"estimate": self.estimate, "low": self.low, "high": self.high}
        return {
            "metric": self.metric,
            "horizon_days": self.horizon_days,
            **{name: None if np.isnan(value) else value for name, value in values.items()},
            **({"note": self.note} if self.note else {}),
        }


@dataclass(frozen=True, slots=True)
class _Cohort:
    """What is evaluated: outcomes, risks at the horizons, the score that ranks, and curves."""

    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    risk: NDArray[np.float64]
    horizons_days: tuple[float, ...]
    score: NDArray[np.float64]
    curve_risk: NDArray[np.float64]
    curve_days: NDArray[np.float64]


def evaluate(
    time_days: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    horizons_days: Sequence[float],
    *,
    n_bootstrap: int = 1000,
    random_state: int = 0,
    groups: ArrayLike | None = None,
    curve_risk: ArrayLike | None = None,
    curve_days: ArrayLike | None = None,
) -> list[Metric]:
    """Return every metric at every horizon and over the whole follow-up, with 95 % intervals.

    Parameters
    ----------
    time_days : array-like of float, shape (n_stays,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event.
    risk : array-like of float, shape (n_stays, n_horizons)
        Predicted probability of the outcome by each horizon. Leave out refused patients.
    horizons_days : sequence of float
        Days from time zero, ascending.
    n_bootstrap : int
        Resamples of patients.
    random_state : int
        Seed of the resamples.
    groups : array-like, shape (n_stays,), optional
        Patient of each stay, resampled together.
    curve_risk, curve_days : array-like of float, shapes (n_stays, n_days) and (n_days,), optional
        The predicted curve on the evaluation grid; the horizons stand for it without it.

    Returns
    -------
    list of Metric
        `HORIZON_METRICS` for each horizon, then `OVERALL_METRICS`. A metric that cannot be had (too
        few outcomes, nobody observed any more) is NaN with a note.

    Raises
    ------
    DataError
        If a time is not finite and positive, an event is not 0, 1 or 2, a risk is not a
        probability, times, events and groups differ in length, or no horizon has enough outcomes.
    ValueError
        If the shape of the risks disagrees with the times and days.

    Notes
    -----
    - `net_benefit` is at the threshold equal to the observed event rate at the horizon, where
      treating all and treating none both score 0: it is what the model adds.
    - `c_harrell` and `c_uno` rank by the mean risk over the grid. `ibs` and `c_uno` end
      on its last day on which `LOWEST_OBSERVED_SHARE` of the patients are still observed.
    - G is the marginal Kaplan-Meier of censoring, fitted anew in each resample; calibration knots
      and the net benefit's threshold are those of the cohort.
    - Percentile intervals; for `ici`, `e50`, `e90` the lower end is that of the basic bootstrap
      where it is lower. These are distances, above 0 by chance alone, and more so in resamples:
      for true risks the percentile interval never held 0 in 300 simulated cohorts of 400 to 2,000
      patients, this one did in 75-85 %; it held distances of .03 to .16 in 92-99 % of them.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> risk = rng.uniform(0.1, 0.9, 300)
    >>> died = rng.random(300) < risk
    >>> metrics = evaluate(np.where(died, 10.0, 40.0), died, risk[:, None], [28], n_bootstrap=50)
    >>> print(metrics[0].metric, round(metrics[0].estimate, 2))
    auroc 0.81
    """
    cohort = _checked(time_days, event, risk, horizons_days, curve_risk, curve_days)
    if groups is not None:
        groups = patient_codes(groups, len(cohort.time_days))
    censoring = CensoringDistribution.fit(cohort.time_days, cohort.event)
    notes = {
        h: why_not_evaluable(cohort.time_days, cohort.event, h, censoring, groups=groups)
        for h in cohort.horizons_days
    }
    usable = [h for h in cohort.horizons_days if not notes[h]]
    if not usable:
        raise DataError(
            f"horizons_days must have one with at least {MIN_OUTCOMES} patients with and "
            f"{MIN_OUTCOMES} without the event while patients are still observed; "
            f"0 of {len(notes)} have. Evaluate on more patients or at other horizons."
        )
    cohort = _within_follow_up(cohort, censoring)
    thresholds = {
        h: float(known_outcome(cohort.time_days, cohort.event, h).event_rate) for h in usable
    }
    interval = bootstrap_interval(
        lambda counts: _all_metrics(cohort, thresholds, counts),
        len(cohort.time_days),
        n_resamples=n_bootstrap,
        random_state=random_state,
        groups=groups,
    )
    keys: list[tuple[str, float | None]] = [(m, h) for h in usable for m in HORIZON_METRICS]
    keys += [(metric, None) for metric in OVERALL_METRICS]
    found = {key: _metric(*key, interval, row) for row, key in enumerate(keys)}
    return [
        found.get((metric, h)) or Metric(metric, h, np.nan, np.nan, np.nan, notes[h])
        for h in cohort.horizons_days
        for metric in HORIZON_METRICS
    ] + [found[metric, None] for metric in OVERALL_METRICS]


def _checked(
    time_days: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    horizons_days: Sequence[float],
    curve_risk: ArrayLike | None,
    curve_days: ArrayLike | None,
) -> _Cohort:
    """Return the arrays of one shape, or say what is wrong with them."""
    time, kind = _outcome(time_days, event)
    horizons = tuple(float(h) for h in horizons_days)
    at_horizons = np.asarray(risk, dtype=np.float64)
    curve = at_horizons if curve_risk is None else np.asarray(curve_risk, dtype=np.float64)
    days = np.asarray(horizons if curve_days is None else curve_days, dtype=np.float64)
    for name, given, columns in (
        ("risk", at_horizons, len(horizons)),
        ("curve_risk", curve, len(days)),
    ):
        if given.shape != (len(time), columns):
            raise ValueError(
                f"{name} must have shape ({len(time)}, {columns}); got {given.shape}. "
                "Give one row per patient and one column per day."
            )
        wrong = int((~((given >= 0) & (given <= 1))).any(axis=1).sum())
        if wrong:
            raise DataError(
                f"{name} must be probabilities; {wrong} of {len(time)} rows are not. "
                "Leave out refused patients."
            )
    score = curve.mean(axis=1)
    return _Cohort(time, kind, at_horizons, horizons, score, curve, days)


def _outcome(
    time_days: ArrayLike, event: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return times and events, or say without a value what is wrong with them."""
    try:
        time, kind = (np.asarray(given, dtype=np.float64) for given in (time_days, event))
    except (TypeError, ValueError):
        raise DataError("time_days and event must be numbers; one holds something else.") from None
    try:
        survival_target(time, kind)
    except ValueError as broken:
        raise DataError(str(broken)) from None
    return time, kind.astype(np.int64)


def _within_follow_up(cohort: _Cohort, censoring: CensoringDistribution) -> _Cohort:
    """Return the cohort with its curve cut where too few patients are still observed."""
    inside = censoring.survival_before(cohort.curve_days) >= LOWEST_OBSERVED_SHARE
    return replace(
        cohort, curve_risk=cohort.curve_risk[:, inside], curve_days=cohort.curve_days[inside]
    )


def _all_metrics(
    cohort: _Cohort, thresholds: dict[float, float], counts: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return all metrics at the horizons of `thresholds`, then those of the whole follow-up."""
    time, event = cohort.time_days, cohort.event
    censoring = CensoringDistribution.fit(time, event, counts=counts)
    rows: list[NDArray[np.float64]] = []
    for column, h in enumerate(cohort.horizons_days):
        if h in thresholds:
            outcome = known_outcome(time, event, h, counts=counts, censoring=censoring)
            rows += _at_horizon(outcome, cohort.risk[:, column], thresholds[h])
    last = max([*thresholds, *cohort.curve_days])
    rows.append(harrell_c(time, event, cohort.score, counts=counts))
    rows.append(
        uno_c(time, event, cohort.score, up_to_days=last, counts=counts, censoring=censoring)
    )
    rows.append(
        integrated_brier(
            time,
            event,
            cohort.curve_risk,
            cohort.curve_days,
            counts=counts,
            censoring=censoring,
        )
        if len(cohort.curve_days) > 1
        else np.full(np.shape(rows[0]), np.nan)
    )
    return np.stack(rows)


def _at_horizon(
    outcome: KnownOutcome, risk: NDArray[np.float64], threshold: float
) -> list[NDArray[np.float64]]:
    """Return `HORIZON_METRICS` in their order."""
    error = calibration_error(outcome, risk)
    return [
        auroc(outcome, risk),
        auprc(outcome, risk),
        brier(outcome, risk),
        ipa(outcome, risk),
        oe_ratio(outcome, risk),
        calibration_intercept(outcome, risk),
        calibration_slope(outcome, risk),
        error.ici,
        error.e50,
        error.e90,
        net_benefit(outcome, risk, threshold)[0],
    ]


def _metric(metric: str, horizon_days: float | None, interval: Interval, row: int) -> Metric:
    """Return one row of the interval, with a note where it is undefined."""
    estimate, low, high = (
        float(values[row]) for values in (interval.estimate, interval.low, interval.high)
    )
    if metric in _DISTANCES:
        low = min(low, max(2 * estimate - high, 0.0))
    note = ""
    if metric == "ibs" and np.isnan(estimate):
        note = "needs a curve of at least two days within follow-up"
    elif np.isnan(estimate):
        note = "risks are equal for all, or separate those with the event from the others"
    elif np.isnan(low):
        note = "undefined in too many resamples for an interval"
    return Metric(metric, horizon_days, estimate, low, high, note)
