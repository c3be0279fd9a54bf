"""Metrics at a horizon against R (scripts and versions: README.md)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from models.metrics.calibration.calibration import (
    calibration_error,
    calibration_intercept,
    calibration_slope,
    oe_ratio,
)
from models.metrics.comparison.net_benefit import net_benefit, net_benefit_of_all
from models.metrics.discrimination.ranking import auprc, auroc
from models.metrics.known_outcome import KnownOutcome, known_outcome
from models.metrics.overall.brier import brier, ipa

Cohorts = dict[str, pd.DataFrame]
Stored = Callable[[str, str], dict[tuple[str, float], float]]
Metric = Callable[[KnownOutcome, NDArray[np.float64]], NDArray[np.float64]]

METRICS: list[tuple[str, str, Metric]] = [
    ("discrimination", "auroc", auroc),
    ("discrimination", "auprc", auprc),
    ("overall", "brier", brier),
    ("overall", "ipa", ipa),
    ("calibration", "oe_ratio", oe_ratio),
    ("calibration", "calibration_intercept", calibration_intercept),
    ("calibration", "calibration_slope", calibration_slope),
    ("calibration", "ici", lambda outcome, risk: calibration_error(outcome, risk).ici),
    ("calibration", "e50", lambda outcome, risk: calibration_error(outcome, risk).e50),
    ("calibration", "e90", lambda outcome, risk: calibration_error(outcome, risk).e90),
]


@pytest.mark.parametrize(("topic", "name", "metric"), METRICS, ids=[name for _, name, _ in METRICS])
def test_metric_agrees_with_r_with_and_without_competing_events(
    topic: str, name: str, metric: Metric, cohorts: Cohorts, stored: Stored
) -> None:
    for (cohort_name, day), expected in stored(topic, name).items():
        cohort = cohorts[cohort_name]
        outcome = known_outcome(cohort["time"], cohort["event"], day)

        value = metric(outcome, cohort[f"risk_{day:.0f}"].to_numpy())

        assert value == pytest.approx(expected, abs=1e-6), (cohort_name, day)


def test_net_benefit_agrees_with_r(cohorts: Cohorts, stored: Stored) -> None:
    for (name, percent), expected in stored("clinical_use", "net_benefit").items():
        cohort = cohorts[name]
        if name == "binary":
            ones = np.ones(len(cohort))
            outcome = KnownOutcome(cohort["event"].to_numpy() == 1, ones, ones)
            risk = 1 / (1 + np.exp(-cohort["first"]))
        else:
            outcome = known_outcome(cohort["time"], cohort["event"], 90)
            risk = cohort["risk_90"]

        assert net_benefit(outcome, risk, percent / 100) == pytest.approx(expected, abs=1e-6)


def test_net_benefit_of_treating_all_agrees_with_r(cohorts: Cohorts, stored: Stored) -> None:
    for (name, percent), expected in stored("clinical_use", "net_benefit_of_all").items():
        outcome = known_outcome(cohorts[name]["time"], cohorts[name]["event"], 90)

        assert net_benefit_of_all(outcome, percent / 100) == pytest.approx(expected, abs=1e-6)


def test_average_precision_agrees_with_scikit_learn(cohorts: Cohorts) -> None:
    cohort = cohorts["competing"]
    outcome = known_outcome(cohort["time"], cohort["event"], 90)
    risk = cohort["risk_90"].to_numpy()

    expected = average_precision_score(outcome.happened, risk, sample_weight=outcome.weight)

    assert auprc(outcome, risk) == pytest.approx(expected, abs=1e-12)
