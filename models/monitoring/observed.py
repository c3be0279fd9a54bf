"""How well a model does once outcomes have arrived: observed over expected, by site and group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_schema.disclosure import SMALLEST_CELL
from models.censoring import CensoringDistribution
from models.metrics.known_outcome import KnownOutcome, known_outcome, why_not_evaluable
from models.metrics.metric import Metric
from models.metrics.subgroups import Subgroup, evaluate_subgroups
from models.metrics.summary import evaluate
from models.monitoring.alerts import Alert, control_limit
from models.monitoring.arrivals import Arrivals
from models.monitoring.expected import Expected

__all__ = [
    "Calibration",
    "ObservedOverExpected",
    "calibration_by_tenths",
    "observed_metrics",
    "observed_over_expected",
    "outcome_alerts",
]

_RESAMPLES = 200
_OVERALL = frozenset({"auroc", "brier", "oe_ratio", "calibration_intercept", "calibration_slope"})
FEWEST_EXPECTED = 5.0
"""Expected events below which a ratio is not compared with its limits."""


@dataclass(frozen=True, slots=True)
class ObservedOverExpected:
    """Observed and expected events of some patients by a horizon, and how far apart they are.

    Parameters
    ----------
    observed, expected : float
        Events, weighted for patients lost before the horizon.
    statistic : float
        Their difference in standard errors, those of the model's own mean risk included; above 0
        the risks are too low.
    patients : int
        With a known outcome.
    """

    horizon_days: float
    site: str | None
    observed: float
    expected: float
    statistic: float
    patients: int

    @property
    def ratio(self) -> float:
        """Observed over expected; above 1 the risks are too low."""
        return self.observed / self.expected


def observed_over_expected(
    arrivals: Arrivals, *, training_patients: int
) -> list[ObservedOverExpected]:
    r"""Return observed and expected events at each horizon, of all stays and of each site.

    Notes
    -----
    With weights w of patients whose outcome is known by the horizon, the variance of
    :math:`\sum w (y - p)` is :math:`\sum w^2 p (1 - p)` if the risks are right. The mean risk of a
    model of m patients is itself uncertain: :math:`(\sum w)^2 \bar p (1 - \bar p) / m` is added,
    so that many patients do not turn the error of training into an alarm.
    """
    rows = np.ones(arrivals.stays, dtype=bool)
    figures = list(_ratios(arrivals, rows, None, training_patients))
    for name in arrivals.sites():
        figures += _ratios(arrivals, arrivals.of_site(name), name, training_patients)
    return figures


def _ratios(
    arrivals: Arrivals, rows: NDArray[np.bool_], site: str | None, training_patients: int
) -> Iterator[ObservedOverExpected]:
    outcomes = arrivals.outcomes
    if outcomes is None:
        return
    for at, days in enumerate(arrivals.horizons_days):
        used = rows & np.isfinite(arrivals.risk[:, at]) & np.isfinite(outcomes.time_days)
        time, event = outcomes.time_days[used], outcomes.event[used]
        risk = arrivals.risk[used, at]
        known = _known(time, event, days)
        if known is None:
            continue
        weight = known.weight
        expected, observed = float(weight @ risk), float(weight @ known.happened)
        if expected < FEWEST_EXPECTED:
            continue
        mean = expected / weight.sum()
        variance = (weight**2) @ (risk * (1 - risk))
        variance += weight.sum() ** 2 * mean * (1 - mean) / training_patients
        yield ObservedOverExpected(
            horizon_days=float(days),
            site=site,
            observed=observed,
            expected=expected,
            statistic=float((observed - expected) / np.sqrt(variance)),
            patients=int((weight > 0).sum()),
        )


def _known(time: NDArray[np.float64], event: NDArray[np.int64], days: float) -> KnownOutcome | None:
    """Return what is known at a horizon; None where too few are still observed."""
    if not len(time):
        return None
    censoring = CensoringDistribution.fit(time, event)
    if censoring.lowest_before(days) <= 0.05:
        return None
    return known_outcome(time, event, days, censoring=censoring)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mean predicted and observed risk of tenths of the patients by a horizon."""

    horizon_days: float
    tenths: tuple[tuple[float, float], ...]


def calibration_by_tenths(arrivals: Arrivals) -> Calibration | None:
    """Return the calibration at the last horizon with known outcomes; None where there is none.

    A tenth holds at least `SMALLEST_CELL` patients.
    """
    outcomes = arrivals.outcomes
    if outcomes is None:
        return None
    for at in reversed(range(len(arrivals.horizons_days))):
        used = np.isfinite(arrivals.risk[:, at]) & np.isfinite(outcomes.time_days)
        days = arrivals.horizons_days[at]
        known = _known(outcomes.time_days[used], outcomes.event[used], days)
        if known is None or (known.weight > 0).sum() < 10 * SMALLEST_CELL:
            continue
        risk = arrivals.risk[used, at]
        tenths = []
        for rows in np.array_split(np.argsort(risk, kind="stable"), 10):
            weight = known.weight[rows]
            if weight.sum() > 0:
                observed = float(weight @ known.happened[rows] / weight.sum())
                tenths.append((float(risk[rows].mean()), observed))
        return Calibration(float(days), tuple(tenths))
    return None


def observed_metrics(
    arrivals: Arrivals,
) -> tuple[tuple[Metric, ...], tuple[Subgroup, ...]]:
    """Return discrimination and calibration of all stays, and of each site and group.

    Empty where outcomes have not arrived, or are too few at every horizon.
    """
    outcomes = arrivals.outcomes
    if outcomes is None:
        return (), ()
    used = np.isfinite(arrivals.risk).all(axis=1) & np.isfinite(outcomes.time_days)
    time, event, risk = outcomes.time_days[used], outcomes.event[used], arrivals.risk[used]
    patient = None if arrivals.patient is None else arrivals.patient[used]
    if not len(time):
        return (), ()
    censoring = CensoringDistribution.fit(time, event)
    days = [
        at
        for at, horizon in enumerate(arrivals.horizons_days)
        if not why_not_evaluable(time, event, horizon, censoring, groups=patient)
    ]
    if not days:
        return (), ()
    horizons = [arrivals.horizons_days[at] for at in days]
    metrics = evaluate(time, event, risk[:, days], horizons, n_bootstrap=_RESAMPLES, groups=patient)
    groups = {name: levels[used] for name, levels in arrivals.groups.items()}
    if arrivals.site is not None and arrivals.sites():
        groups["site"] = arrivals.site[used]
    subgroups = evaluate_subgroups(
        time, event, risk[:, days], horizons, groups, n_bootstrap=_RESAMPLES, patients=patient
    )
    return tuple(metric for metric in metrics if metric.metric in _OVERALL), subgroups


def outcome_alerts(
    figures: Sequence[ObservedOverExpected],
    metrics: Sequence[Metric],
    expected: Sequence[Expected],
) -> list[Alert]:
    """Return an alert where events are more or fewer than expected, or ranking is worse.

    A ratio is compared with control limits; an area under the curve with the lower end of what the
    risks promise, which its own interval must lie below.
    """
    limit = control_limit(len(figures))
    alerts = [_calibration(figure, limit) for figure in figures if abs(figure.statistic) > limit]
    promised = {one.horizon_days: one for one in expected if one.metric == "auroc"}
    for metric in metrics:
        promise = promised.get(metric.horizon_days or 0.0)
        if metric.metric != "auroc" or promise is None or not metric.has_interval:
            continue
        if metric.high < promise.low:
            error = max((metric.high - metric.low) / 3.92, 1e-9)
            alerts.append(
                Alert(
                    kind="discrimination",
                    variable="auroc",
                    horizon_days=metric.horizon_days,
                    statistic=(promise.estimate - metric.estimate) / error,
                    limit=(promise.estimate - promise.low) / error,
                    estimate=metric.estimate,
                    expected=promise.estimate,
                    message=(
                        f"at {metric.horizon_days:g} days the area under the curve is "
                        f"{metric.estimate:.2f}; the risks promise {promise.low:.2f} to "
                        f"{promise.high:.2f}. The model ranks these patients worse: compare with a "
                        "challenger, or train again."
                    ),
                )
            )
    return alerts


def _calibration(figure: ObservedOverExpected, limit: float) -> Alert:
    where = "" if figure.site is None else f" at site {figure.site}"
    direction = "low" if figure.ratio > 1 else "high"
    return Alert(
        kind="calibration",
        variable="oe_ratio",
        site=figure.site,
        horizon_days=figure.horizon_days,
        statistic=abs(figure.statistic),
        limit=limit,
        estimate=round(figure.ratio, 4),
        expected=1.0,
        message=(
            f"by {figure.horizon_days:g} days{where} there are {figure.ratio:.2f} times the "
            f"expected events, among {figure.patients} patients: the risks are too {direction}. "
            "Recalibrate the model, or withdraw it."
        ),
    )
