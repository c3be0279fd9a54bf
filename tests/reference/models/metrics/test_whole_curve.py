"""Calibration of whole curves against R and closed forms (scripts and versions: README.md)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from models.metrics.calibration.whole_curve import (
    aj_calibration,
    d_calibration,
    d_calibration_test,
)

Cohorts = dict[str, pd.DataFrame]
Stored = Callable[[str, str], dict[tuple[str, float], float]]


def curves_of(cohort: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Risks and days, and the competing event's curve that R made up."""
    columns = [column for column in cohort if column.startswith("risk_")]
    risk = cohort[columns].to_numpy()
    days = np.array([float(column.removeprefix("risk_")) for column in columns])
    return risk, days, 0.4 * risk * (1 - risk) if (cohort["event"] == 2).any() else None


@pytest.mark.parametrize("name", ["single", "competing"])
def test_d_calibration_and_its_test_agree_with_r(
    name: str, cohorts: Cohorts, stored: Stored
) -> None:
    cohort = cohorts[name]
    risk, days, competing = curves_of(cohort)
    data = cohort["time"], cohort["event"], risk, days

    share = d_calibration(*data, competing_curve=competing)
    test = d_calibration_test(*data, competing_curve=competing)

    assert test is not None
    assert share == pytest.approx(stored("whole_curve", "d_calibration")[name, 0.0], abs=1e-9)
    of_r = {
        figure: stored("whole_curve", f"d_calibration_{figure}")[name, 0.0]
        for figure in ("statistic", "p_value")
    }
    assert test.statistic == pytest.approx(of_r["statistic"], abs=1e-9)
    assert test.p_value == pytest.approx(of_r["p_value"], abs=1e-9)
    assert sum(test.shares) == pytest.approx(1.0, abs=1e-12)


def test_the_distance_of_mean_curves_agrees_with_r_for_each_event(
    cohorts: Cohorts, stored: Stored
) -> None:
    for name in ("single", "competing"):
        risk, days, _ = curves_of(cohorts[name])
        value = aj_calibration(cohorts[name]["time"], cohorts[name]["event"], risk, days)
        assert value == pytest.approx(stored("whole_curve", "aj_calibration")[name, 0.0], abs=1e-9)

    cohort = cohorts["competing"]
    _, days, competing = curves_of(cohort)
    value = aj_calibration(cohort["time"], cohort["event"], competing, days, cause=2)
    of_r = stored("whole_curve", "aj_calibration_competing")["competing", 0.0]
    assert value == pytest.approx(of_r, abs=1e-9)


def simulated(n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Times, events, and the true curves, which are exponential, on a fine grid of days."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(-5, 1, n))
    time, lost = rng.exponential(1 / rate), rng.uniform(50, 600, n)
    days = np.linspace(1, 400, 200)
    risk = 1 - np.exp(-rate[:, None] * days)
    return np.minimum(time, lost), (time <= lost).astype(int), risk, days


def test_true_curves_pass_the_test_and_shifted_ones_do_not() -> None:
    samples = [simulated(400, seed) for seed in range(200)]
    p_values = [d_calibration_test(*sample).p_value for sample in samples]
    # Conservative with censored patients: fewer than 5 in 100 lie below .05, and none by far.
    assert np.mean(np.array(p_values) < 0.05) <= 0.05
    assert kstest(p_values, "uniform", alternative="greater").pvalue > 0.01

    too_high = [d_calibration_test(t, e, 1 - (1 - risk) ** 1.5, d) for t, e, risk, d in samples]
    assert np.mean([test.p_value < 0.05 for test in too_high]) > 0.95


def test_without_censoring_the_test_rejects_true_curves_at_its_level() -> None:
    def test_of(seed: int) -> float:
        rng = np.random.default_rng(seed)
        rate = np.exp(rng.normal(-5, 0.5, 400))
        days = np.linspace(1, 6000, 1000)
        time = rng.exponential(1 / rate)
        test = d_calibration_test(time, np.ones(400), 1 - np.exp(-rate[:, None] * days), days)
        return test.p_value

    p_values = [test_of(seed) for seed in range(60)]

    assert kstest(p_values, "uniform").pvalue > 0.01


def test_d_calibration_of_curves_too_high_by_a_constant_hazard_ratio_has_a_closed_form() -> None:
    # With S the true and S^2 the predicted curve, S^2(T) = U^2: a tenth (a, b) of it holds
    # sqrt(b) - sqrt(a) of the patients.
    rng = np.random.default_rng(0)
    n = 40_000
    rate = np.exp(rng.normal(-5, 0.5, n))
    days = np.geomspace(0.05, 20_000, 400)
    time = rng.exponential(1 / rate)
    edges = np.sqrt(np.arange(11) / 10)

    share = d_calibration(time, np.ones(n), 1 - np.exp(-2 * rate[:, None] * days), days)

    assert share == pytest.approx(np.abs(np.diff(edges) - 0.1).sum() / 2, abs=0.01)


def test_patients_censored_at_time_zero_say_nothing() -> None:
    time, event, risk, days = simulated(500, 1)
    lost = np.concatenate([time, np.full(500, 1e-9)])
    events = np.concatenate([event, np.zeros(500, int)])

    before = d_calibration_test(time, event, risk, days)
    after = d_calibration_test(lost, events, np.vstack([risk, risk]), days)

    # They spread evenly over the tenths: half of the distance is left.
    assert np.array(after.shares) - 0.1 == pytest.approx((np.array(before.shares) - 0.1) / 2)


def test_d_calibration_needs_the_curve_of_a_competing_event_that_occurred() -> None:
    time, event, risk, days = simulated(100, 2)
    event[0] = 2

    assert np.isnan(d_calibration(time, event, risk, days))
    assert d_calibration_test(time, event, risk, days) is None
    assert not np.isnan(d_calibration(time, event, risk, days, competing_curve=0 * risk))


def test_resamples_are_those_of_repeated_rows() -> None:
    time, event, risk, days = simulated(60, 3)
    rows = np.random.default_rng(0).integers(60, size=60)
    counts = np.bincount(rows, minlength=60)[:, None].astype(float)

    for statistic in (d_calibration, aj_calibration):
        resampled = statistic(time, event, risk, days, counts=counts)
        repeated = statistic(time[rows], event[rows], risk[rows], days)
        assert resampled[0] == pytest.approx(repeated, abs=1e-12)
