"""DeLong's interval and paired test against R's pROC (scripts and versions: README.md)."""

from collections.abc import Callable

import pandas as pd
import pytest

from models.metrics.discrimination.delong import delong_covariance, delong_interval, delong_test

Cohorts = dict[str, pd.DataFrame]
Stored = Callable[[str, str], dict[tuple[str, float], float]]


def value_of(stored: Stored, metric: str) -> float:
    return stored("delong", metric)["binary", 0.0]


@pytest.mark.parametrize("model", ["first", "second"])
def test_delong_interval_agrees_with_proc(model: str, cohorts: Cohorts, stored: Stored) -> None:
    interval = delong_interval(cohorts["binary"]["event"], cohorts["binary"][model])

    assert interval.auroc == pytest.approx(value_of(stored, model), abs=1e-9)
    assert interval.low == pytest.approx(value_of(stored, f"{model}_low"), abs=1e-9)
    assert interval.high == pytest.approx(value_of(stored, f"{model}_high"), abs=1e-9)
    variance = value_of(stored, f"{model}_variance")
    assert interval.standard_error**2 == pytest.approx(variance, abs=1e-12)


def test_delong_covariance_agrees_with_proc(cohorts: Cohorts, stored: Stored) -> None:
    binary = cohorts["binary"]

    _, covariance = delong_covariance(binary["event"], binary[["first", "second"]])

    assert covariance[0, 1] == pytest.approx(value_of(stored, "covariance"), abs=1e-12)


def test_delong_test_agrees_with_proc(cohorts: Cohorts, stored: Stored) -> None:
    binary = cohorts["binary"]

    result = delong_test(binary["event"], binary["first"], binary["second"])

    assert result.low == pytest.approx(value_of(stored, "difference_low"), abs=1e-9)
    assert result.high == pytest.approx(value_of(stored, "difference_high"), abs=1e-9)
    assert result.p_value == pytest.approx(value_of(stored, "p_value"), abs=1e-9)
