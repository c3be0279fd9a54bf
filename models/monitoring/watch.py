"""Everything that is watched of one period: inputs, risks, and outcomes once they arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.inference.contract import Contract
from models.metrics.metric import Metric
from models.metrics.subgroups import Subgroup
from models.monitoring.alerts import Alert, control_limit
from models.monitoring.arrivals import Arrivals
from models.monitoring.earlier import PeriodChange, change_alerts, compare_periods
from models.monitoring.expected import (
    CONCEPT_DRIFT,
    Expected,
    events_to_show,
    expected_performance,
)
from models.monitoring.inputs import InputCheck, check_inputs, input_alerts
from models.monitoring.observed import (
    Calibration,
    ObservedOverExpected,
    calibration_by_tenths,
    observed_metrics,
    observed_over_expected,
    outcome_alerts,
)
from models.monitoring.reference import Reference
from models.monitoring.unit_shift import unit_shifts

__all__ = ["RiskCheck", "Watched", "check_risks", "drift_alerts", "watch", "with_changes"]

RATIO_TO_SHOW = 1.25


@dataclass(frozen=True, slots=True)
class RiskCheck:
    """Mean risk, or share of refused stays, beside that of the training cohort.

    `horizon_days` is None for the share; `statistic` is the difference in standard errors.
    """

    what: str
    horizon_days: float | None
    estimate: float
    expected: float
    statistic: float


@dataclass(frozen=True, slots=True)
class Watched:
    """What was found in one period.

    Parameters
    ----------
    model : str
        Name and version.
    stays : int
    checks : tuple of InputCheck
        Every comparison of inputs.
    risks : tuple of RiskCheck
    expected : tuple of Expected
    ratios : tuple of ObservedOverExpected
    metrics : tuple of Metric
    subgroups : tuple of Subgroup
        These three are empty before outcomes arrive.
    calibration : Calibration or None
    alerts : tuple of Alert
        The gravest first.
    events_needed : int
        Events until an O/E of 1.25 would show.
    has_values : bool
        Whether the source holds values; the audit trail does not.
    earlier_stays : int or None
        Stays of the earlier period that this one is compared with; None without one.
    changes : tuple of PeriodChange
        How the period differs from the earlier one.
    """

    model: str
    stays: int
    checks: tuple[InputCheck, ...]
    risks: tuple[RiskCheck, ...]
    expected: tuple[Expected, ...]
    ratios: tuple[ObservedOverExpected, ...]
    metrics: tuple[Metric, ...]
    subgroups: tuple[Subgroup, ...]
    calibration: Calibration | None
    alerts: tuple[Alert, ...]
    events_needed: int
    has_values: bool
    earlier_stays: int | None = None
    changes: tuple[PeriodChange, ...] = ()

    @property
    def statement(self) -> str:
        """What these figures cannot show, and the events that would."""
        return (
            f"{CONCEPT_DRIFT} It takes about {self.events_needed} observed events until "
            f"{RATIO_TO_SHOW:g} times the expected events would show (chance 80 %)."
        )

    def as_json(self) -> dict[str, object]:
        """Return what `osteon monitor --json` prints."""
        return {
            "model": self.model,
            "rows": self.stays,
            "alerts": [alert.as_json() for alert in self.alerts],
            "expected": [figure.as_json() for figure in self.expected],
            "observed": [metric.as_json() for metric in self.metrics],
            "observed_over_expected": [
                {
                    "horizon_days": one.horizon_days,
                    "site": one.site,
                    "ratio": round(one.ratio, 4),
                    "low": round(one.low, 4),
                    "high": round(one.high, 4),
                    "observed": round(one.observed, 2),
                    "expected": round(one.expected, 2),
                    "patients": one.patients,
                }
                for one in self.ratios
            ],
            "subgroups": [group.as_json() for group in self.subgroups],
            "events_needed": self.events_needed,
            "statement": self.statement,
            "inputs_checked": self.has_values,
            "earlier_rows": self.earlier_stays,
        }


_GRAVEST_FIRST = ("unit_shift", "calibration", "discrimination", "missing", "drift")


def watch(
    arrivals: Arrivals, contract: Contract, *, model: str, earlier: Arrivals | None = None
) -> Watched:
    """Return everything that can be said of a model in use from the patients of one period.

    Parameters
    ----------
    arrivals : Arrivals
    contract : Contract
        Of the model; its description of the training cohort is what arrivals are compared with.
    model : str
        Name and version, for people.
    earlier : Arrivals, optional
        An earlier period of the same place. What differs from it has changed here; what differs
        from the training cohort alone are other patients, or another hospital.
    """
    reference = Reference.of(contract)
    information = contract.guard.information
    strongest = sorted(information, key=lambda name: -information[name])
    shifts = unit_shifts(arrivals, reference)
    checks = check_inputs(arrivals, reference, strongest=strongest) if arrivals.numbers else []
    risks = tuple(check_risks(arrivals, contract))
    expected = expected_performance(arrivals.risk[~arrivals.refused], arrivals.horizons_days)
    ratios = observed_over_expected(arrivals, training_patients=contract.training.patients)
    metrics, subgroups = observed_metrics(arrivals)
    alerts = [
        *shifts,
        *outcome_alerts(ratios, metrics, expected),
        *drift_alerts(arrivals, checks, risks, without=[alert.variable for alert in shifts]),
    ]
    watched = Watched(
        model=model,
        stays=arrivals.stays,
        checks=tuple(checks),
        risks=risks,
        expected=tuple(expected),
        ratios=tuple(ratios),
        metrics=metrics,
        subgroups=subgroups,
        calibration=calibration_by_tenths(arrivals),
        alerts=_by_gravity(alerts),
        events_needed=events_to_show(RATIO_TO_SHOW),
        has_values=bool(arrivals.numbers or arrivals.texts),
    )
    if earlier is None:
        return watched
    changes = compare_periods(arrivals, earlier)
    return with_changes(watched, changes, earlier_stays=earlier.stays)


def with_changes(
    watched: Watched, changes: Sequence[PeriodChange], *, earlier_stays: int
) -> Watched:
    """Return what was watched, with the comparison with an earlier period and its alerts."""
    return replace(
        watched,
        earlier_stays=earlier_stays,
        changes=tuple(changes),
        alerts=_by_gravity([*watched.alerts, *change_alerts(changes)]),
    )


def _by_gravity(alerts: Sequence[Alert]) -> tuple[Alert, ...]:
    return tuple(sorted(alerts, key=lambda alert: _GRAVEST_FIRST.index(alert.kind)))


def check_risks(arrivals: Arrivals, contract: Contract) -> Iterator[RiskCheck]:
    """Yield the mean risk at each horizon and the share refused, beside the training cohort's."""
    grid, cohort = np.array(contract.grid_days), np.array(contract.cohort_risk)
    trained = contract.training.patients
    for at, days in enumerate(arrivals.horizons_days):
        risk = arrivals.risk[:, at]
        risk = risk[np.isfinite(risk)]
        if len(risk) < 2 or not len(grid):
            continue
        expected = float(np.interp(np.log(days), np.log(grid), cohort))
        spread = float(risk.std(ddof=1))
        # The spread of risks is that of the mean of either cohort; the cohort's mean risk also
        # rests on the events of training.
        error = np.sqrt(spread**2 / len(risk) + (spread**2 + expected * (1 - expected)) / trained)
        mean = float(risk.mean())
        yield RiskCheck("mean", float(days), mean, expected, float((mean - expected) / error))
    evaluation = contract.evaluation
    if evaluation is not None and evaluation.stays:
        n, m = arrivals.stays, evaluation.stays
        p, q = (arrivals.refused.sum() + 0.5) / (n + 1), (evaluation.refused + 0.5) / (m + 1)
        apart = 2 * (np.arcsin(np.sqrt(p)) - np.arcsin(np.sqrt(q)))
        statistic = float(apart / np.sqrt(1 / n + 1 / m))
        share = float(arrivals.refused.mean())
        yield RiskCheck("share", None, share, evaluation.refused / m, statistic)


def drift_alerts(
    arrivals: Arrivals,
    checks: Sequence[InputCheck],
    risks: Sequence[RiskCheck],
    *,
    without: Sequence[str] = (),
) -> list[Alert]:
    """Return an alert for each input, and each figure of the risks, beyond its control limit.

    Inputs and risks share one family of comparisons, so that one period in a hundred without a
    change raises an alert of drift.

    Parameters
    ----------
    arrivals : Arrivals
    checks : sequence of InputCheck
    risks : sequence of RiskCheck
        From `check_risks`.
    without : sequence of str
        Variables whose unit is wrong: their distribution is another because of it.
    """
    alerts = input_alerts(arrivals, checks, without=without, beside=len(risks))
    limit = control_limit(len(risks) + sum(check.kind == "drift" for check in checks))
    for one in risks:
        if abs(one.statistic) <= limit:
            continue
        message = (
            f"the mean risk by {one.horizon_days:g} days is {one.estimate:.1%}, {one.expected:.1%} "
            "in the training cohort. These are other patients, or other inputs."
            if one.horizon_days is not None
            else f"{one.estimate:.1%} of the stays are refused, {one.expected:.1%} of those that "
            "the model was judged on. Run osteon score to see the reasons."
        )
        alerts.append(
            Alert(
                kind="drift",
                variable="risk" if one.horizon_days is not None else "refused",
                what=one.what,
                horizon_days=one.horizon_days,
                statistic=abs(one.statistic),
                limit=limit,
                estimate=round(one.estimate, 4),
                expected=round(one.expected, 4),
                message=message,
            )
        )
    return alerts
