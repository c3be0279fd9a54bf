"""How well a model does once outcomes have arrived: observed over expected, by site and group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from data_schema.disclosure import SMALLEST_CELL
from models.censoring import CensoringDistribution
from models.metrics.known_outcome import KnownOutcome, known_outcome, why_not_evaluable
from models.metrics.metric import Metric
from models.metrics.subgroups import Subgroup, evaluate_subgroups
from models.metrics.summary import evaluate
from models.monitoring.alerts import Alert, control_limit
from models.monitoring.arrivals import Arrivals
from models.monitoring.event_counts import EventCount
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
        How far the observed events lie from those that the risks allow, as a normal deviate; above
        0 the risks are too low. 0 where what training leaves uncertain explains the difference.
    low, high : float
        Control limits of the ratio: what chance, and what training leaves uncertain, explain.
    patients : int
        With a known outcome.
    """

    horizon_days: float
    site: str | None
    observed: float
    expected: float
    statistic: float
    low: float
    high: float
    patients: int

    @property
    def ratio(self) -> float:
        """Observed over expected; above 1 the risks are too low."""
        return self.observed / self.expected

    @property
    def is_beyond(self) -> bool:
        """Whether the ratio lies outside its control limits."""
        return not self.low <= self.ratio <= self.high


def observed_over_expected(
    arrivals: Arrivals, *, training_patients: int
) -> list[ObservedOverExpected]:
    r"""Return observed and expected events at each horizon, of all stays and of each site.

    Notes
    -----
    The events that risks allow are counted exactly (`EventCount`). The mean risk of a model of m
    patients is itself uncertain, with variance :math:`\bar p (1 - \bar p) / m`: a part of the
    patients, as of a site, rests on its share of the m. The events are compared with the nearest
    end of the 95 % interval of that mean, so that the error of training, which is the same week
    after week, is no alarm. Over all horizons and sites together, at most 1 % of periods without a
    change raise one (Bonferroni).
    """
    rows = np.ones(arrivals.stays, dtype=bool)
    counts = list(_counts(arrivals, rows, None, training_patients))
    for name in arrivals.sites():
        here = arrivals.of_site(name)
        counts += _counts(arrivals, here, name, training_patients * float(here.mean()))
    limit = control_limit(len(counts))
    return [count.judged(limit) for count in counts]


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """Observed events of some patients, and those that their risks allow."""

    horizon_days: float
    site: str | None
    observed: float
    allowed: EventCount
    uncertain: float

    def judged(self, limit: float) -> ObservedOverExpected:
        """Return the figure, with the control limits at so many standard errors."""
        expected = self.allowed.mean
        most = float(self.allowed.weight.sum())
        least_mean = expected * max(1 - self.uncertain, 0.05)
        largest_mean = min(expected * (1 + self.uncertain), (expected + most) / 2)
        fewer, more = (self.allowed.with_mean(mean) for mean in (least_mean, largest_mean))
        statistic = max(more.deviate(self.observed), 0.0) if self.observed > expected else 0.0
        if self.observed < expected:
            statistic = min(fewer.deviate(self.observed), 0.0)
        return ObservedOverExpected(
            horizon_days=self.horizon_days,
            site=self.site,
            observed=self.observed,
            expected=expected,
            statistic=statistic,
            low=fewer.quantile(-limit) / expected,
            high=more.quantile(limit) / expected,
            patients=len(self.allowed.risk),
        )


def _counts(
    arrivals: Arrivals, rows: NDArray[np.bool_], site: str | None, trained: float
) -> Iterator[_Counted]:
    """Yield the counts of some patients at each horizon with enough expected events."""
    outcomes = arrivals.outcomes
    if outcomes is None:
        return
    for at, days in enumerate(arrivals.horizons_days):
        used = rows & np.isfinite(arrivals.risk[:, at]) & np.isfinite(outcomes.time_days)
        time, event = outcomes.time_days[used], outcomes.event[used]
        known = _known(time, event, days)
        if known is None:
            continue
        is_known = known.weight > 0
        allowed = EventCount(arrivals.risk[used, at][is_known], known.weight[is_known])
        if allowed.mean < FEWEST_EXPECTED:
            continue
        mean = allowed.mean / allowed.weight.sum()
        error = np.sqrt((1 - mean) / (mean * trained))
        yield _Counted(
            horizon_days=float(days),
            site=site,
            observed=float(known.weight @ known.happened),
            allowed=allowed,
            uncertain=float(norm.isf(0.025) * error),
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
    alerts = [_calibration(figure, limit) for figure in figures if figure.is_beyond]
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
