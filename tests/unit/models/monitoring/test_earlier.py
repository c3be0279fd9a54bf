from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from models.monitoring.arrivals import Arrivals
from models.monitoring.earlier import change_alerts, compare_periods


def period(
    stays: int,
    seed: int,
    *,
    times: float = 1.0,
    recorded: float = 0.8,
    variables: int = 20,
    surgical: float = 0.3,
) -> Arrivals:
    """Return a period whose first variable is another by a factor, or seldom recorded."""
    rng = np.random.default_rng(seed)
    numbers = {f"v{k}": np.round(np.exp(rng.normal(1, 0.6, stays)), 1) for k in range(variables)}
    numbers["v0"] = np.where(rng.random(stays) < recorded, numbers["v0"] * times, np.nan)
    numbers["flag"] = (rng.random(stays) < 0.1).astype(float)
    kinds = np.where(rng.random(stays) < surgical, "surgical", "medical").astype(object)
    return Arrivals(
        stays=stays,
        numbers=numbers,
        texts={"kind": kinds},
        horizons_days=(28.0,),
        risk=rng.beta(1, 4, (stays, 1)),
        refused=rng.random(stays) < 0.05,
    )


def test_a_laboratory_that_changed_is_named_and_what_stayed_is_not() -> None:
    alerts = change_alerts(compare_periods(period(500, 1, times=1.3), period(1_500, 2)))
    assert {(one.variable, one.kind) for one in alerts} == {("v0", "drift")}
    (alert,) = [one for one in alerts if one.what == "location"]
    assert alert.as_json()["compared_with"] == "earlier period"
    assert alert.estimate is not None
    assert alert.estimate > 0.5


def test_fewer_records_and_other_patients_are_named() -> None:
    now = period(500, 3, recorded=0.6, surgical=0.5)
    alerts = change_alerts(compare_periods(now, period(1_500, 4)))
    assert {(one.variable, one.what) for one in alerts} == {("v0", "recorded"), ("kind", "levels")}


def test_another_hospital_that_stays_the_same_raises_none() -> None:
    now, before = (period(500, seed, times=3.0, surgical=0.9) for seed in (5, 6))
    assert change_alerts(compare_periods(now, before)) == []


def test_periods_without_a_change_are_seldom_alarms() -> None:
    raised = sum(
        bool(change_alerts(compare_periods(period(200, 2 * k), period(400, 2 * k + 1))))
        for k in range(1_000, 1_040)
    )
    # Two kinds with 1 % each; 5 or more of 40 have a chance of 0.1 % at 2 %.
    assert raised <= 4


def test_ranks_are_compared_as_by_mann_and_whitney() -> None:
    now, before = period(150, 7), period(200, 8)
    change = next(
        one
        for one in compare_periods(now, before)
        if (one.variable, one.what) == ("v1", "location")
    )
    test = mannwhitneyu(
        now.numbers["v1"], before.numbers["v1"], method="asymptotic", use_continuity=False
    )
    assert change.estimate == pytest.approx(test.statistic / (150 * 200))
    assert abs(change.statistic) == pytest.approx(norm.isf(test.pvalue / 2), rel=5e-3)
