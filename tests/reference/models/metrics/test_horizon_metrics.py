"""Metrics at a horizon against R (scripts and versions: README.md)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
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
from models.metrics.overall.brier_split import brier_split

Cohorts = dict[str, pd.DataFrame]
Stored = Callable[[str, str], dict[tuple[str, float], float]]
Metric = Callable[[KnownOutcome, NDArray[np.float64]], NDArray[np.float64]]

METRICS: list[tuple[str, str, Metric]] = [
    ("discrimination", "auroc", auroc),
    ("discrimination", "auprc", auprc),
    ("overall", "brier", brier),
    ("overall", "ipa", ipa),
    ("brier_split", "brier_calibration", lambda o, risk: brier_split(o, risk).calibration),
    ("brier_split", "brier_refinement", lambda o, risk: brier_split(o, risk).refinement),
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


def test_leaving_patients_out_by_a_newton_step_is_close_to_fitting_again(
    cohorts: Cohorts, stored: Stored
) -> None:
    # 300 patients with leverages of about 2 / 300: the step errs by their square.
    for (name, day), refitted in stored("brier_split", "brier_refinement_refitted").items():
        outcome = known_outcome(cohorts[name]["time"], cohorts[name]["event"], day)

        split = brier_split(outcome, cohorts[name][f"risk_{day:.0f}"])

        assert split.refinement == pytest.approx(refitted, abs=5e-5), (name, day)


def test_recalibrated_risks_leave_the_refinement_where_it_was(cohorts: Cohorts) -> None:
    cohort = cohorts["single"]
    outcome = known_outcome(cohort["time"], cohort["event"], 90)
    risk = cohort["risk_90"].to_numpy()
    bent = expit(0.8 * logit(risk) - 0.5)

    as_predicted, as_bent = brier_split(outcome, risk), brier_split(outcome, bent)

    assert as_bent.refinement == pytest.approx(as_predicted.refinement, abs=1e-6)
    gain = brier(outcome, bent) - brier(outcome, risk)
    assert as_bent.calibration - as_predicted.calibration == pytest.approx(gain, abs=1e-6)


def test_the_calibration_term_of_simulated_risks_is_their_squared_distance() -> None:
    # E(y - g)^2 = E(y - r)^2 + E(r - g)^2 for true risks r, and g a logistic change of them.
    rng = np.random.default_rng(0)
    terms, distances = [], []
    for _ in range(200):
        risk = expit(rng.normal(-1, 1, 500))
        outcome = KnownOutcome(rng.random(500) < risk, np.ones(500), np.ones(500))
        given = expit(0.6 * logit(risk) + 0.4)
        terms.append(
            [brier_split(outcome, given).calibration, brier_split(outcome, risk).calibration]
        )
        distances.append(np.mean((given - risk) ** 2))

    of_given, of_true = np.mean(terms, axis=0)
    # A recalibration learned from 499 patients costs 2 coefficients' noise, E r(1 - r) 2 / n / 2.
    assert of_given == pytest.approx(np.mean(distances), abs=1.5e-3)
    assert -1.5e-3 < of_true < 0


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
