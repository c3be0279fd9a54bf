"""Pseudo-values and what markers add, against R (scripts and versions: README.md)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from models.metrics.calibration.calibration import (
    calibration_intercept,
    calibration_slope,
    oe_ratio,
)
from models.metrics.comparison.likelihood_ratio import (
    cox_log_likelihood,
    likelihood_ratio,
    logistic_log_likelihood,
)
from models.metrics.comparison.reclassification import idi, nri_continuous
from models.metrics.comparison.splines import KNOT_SHARES, curved_terms
from models.metrics.discrimination.ranking import auroc_within_folds
from models.metrics.known_outcome import KnownOutcome, known_outcome, pseudo_outcome
from models.metrics.overall.brier import integrated_ipa
from models.metrics.pseudo_values import pseudo_values

Cohorts = dict[str, pd.DataFrame]
Stored = Callable[[str, str], dict[tuple[str, float], float]]

DAYS = {"single": 90.0, "competing": 90.0, "tied": 9.0}


def wave(cohort: pd.DataFrame) -> np.ndarray:
    return np.sin(np.arange(1, len(cohort) + 1))


def known(cohort: pd.DataFrame) -> KnownOutcome:
    ones = np.ones(len(cohort))
    return KnownOutcome(cohort["event"].to_numpy() == 1, ones, ones)


@pytest.mark.parametrize("name", DAYS)
def test_pseudo_values_agree_with_survival(name: str, cohorts: Cohorts, stored: Stored) -> None:
    cohort, day = cohorts[name], DAYS[name]

    values = pseudo_values(cohort["time"], cohort["event"], day)

    expected = [
        stored("pseudo_values", f"pseudo_{row + 1}")[name, day] for row in range(len(cohort))
    ]
    assert values == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", DAYS)
def test_calibration_of_pseudo_values_agrees_with_r(
    name: str, cohorts: Cohorts, stored: Stored
) -> None:
    cohort, day = cohorts[name], DAYS[name]
    outcome = pseudo_outcome(pseudo_values(cohort["time"], cohort["event"], day))
    risk = cohort["risk_90"].to_numpy()

    for metric, function in (
        ("oe_ratio", oe_ratio),
        ("calibration_intercept", calibration_intercept),
        ("calibration_slope", calibration_slope),
    ):
        expected = stored("pseudo_values", metric)[name, day]
        assert function(outcome, risk) == pytest.approx(expected, abs=1e-6), metric


@pytest.mark.parametrize("name", DAYS)
def test_cox_likelihood_agrees_with_coxph(name: str, cohorts: Cohorts, stored: Stored) -> None:
    cohort = cohorts[name]
    columns = np.column_stack([logit(cohort["risk_90"]), wave(cohort)])
    target = cohort["time"], cohort["event"] == 1

    null = cox_log_likelihood(*target, columns[:, :0])
    fitted = cox_log_likelihood(*target, columns)

    assert null == pytest.approx(stored("added_value", "cox_null")[name, 0.0], abs=1e-6)
    assert fitted == pytest.approx(stored("added_value", "cox")[name, 0.0], abs=1e-6)


def test_logistic_likelihood_ratio_agrees_with_glm(cohorts: Cohorts, stored: Stored) -> None:
    binary = cohorts["binary"]
    without = binary[["first"]].to_numpy()
    # A copy of a column that is there already adds nothing, and no degree of freedom.
    added = np.column_stack([binary["second"], wave(binary), binary["first"]])

    found = likelihood_ratio(
        np.ones(len(binary)), binary["event"], without, added, fixed_horizon=True
    )
    fitted = logistic_log_likelihood(binary["event"], np.column_stack([without, added[:, :2]]))

    def expected(metric: str) -> float:
        return stored("added_value", metric)["binary", 0.0]

    assert found.degrees_of_freedom == 2
    assert fitted == pytest.approx(expected("logistic"), abs=1e-6)
    assert found.statistic == pytest.approx(expected("statistic"), abs=1e-6)
    assert found.p_value == pytest.approx(expected("p_value"), abs=1e-6)
    assert found.adequacy == pytest.approx(expected("adequacy"), abs=1e-6)


@pytest.mark.parametrize("knots", KNOT_SHARES)
def test_splines_agree_with_hmisc(knots: int, cohorts: Cohorts, stored: Stored) -> None:
    terms = curved_terms(cohorts["binary"]["first"], knots)

    assert terms.shape[1] == knots - 2
    for j in range(knots - 2):
        for row in (1, 150, 300):
            expected = stored("added_value", f"spline_{knots}_{j + 1}_{row}")["binary", 0.0]
            assert terms[row - 1, j] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["single", "binary"])
def test_the_test_above_a_base_in_splines_agrees_with_r(
    name: str, cohorts: Cohorts, stored: Stored
) -> None:
    rows = cohorts[name]
    fixed = name == "binary"
    known_before = rows["first"] if fixed else logit(rows["risk_90"])
    measured = ((np.arange(len(rows)) + 1) % 3 != 0).astype(float)
    marker = (rows["second"].to_numpy() if fixed else wave(rows)) * measured
    base = np.column_stack([known_before, curved_terms(known_before, 4), measured])
    time = np.ones(len(rows)) if fixed else rows["time"]

    found = likelihood_ratio(time, rows["event"], base, marker[:, None], fixed_horizon=fixed)

    assert found.degrees_of_freedom == 1
    for value, metric in ((found.statistic, "statistic"), (found.p_value, "p_value")):
        expected = stored("added_value", f"spline_{metric}")[name, 0.0]
        assert value == pytest.approx(expected, abs=1e-6)


def test_reclassification_agrees_with_hmisc_without_censoring(
    cohorts: Cohorts, stored: Stored
) -> None:
    binary = cohorts["binary"]
    risks = expit(binary["first"]), expit(binary["second"])

    for metric, function in (("idi", idi), ("nri_continuous", nri_continuous)):
        expected = stored("added_value", metric)["binary", 0.0]
        assert function(known(binary), *risks) == pytest.approx(expected, abs=1e-9), metric


@pytest.mark.parametrize("name", ["single", "competing"])
def test_reclassification_is_weighted_for_censoring_as_in_r(
    name: str, cohorts: Cohorts, stored: Stored
) -> None:
    cohort = cohorts[name]
    outcome = known_outcome(cohort["time"], cohort["event"], 90)
    first, second = cohort["risk_28"].to_numpy(), cohort["risk_90"].to_numpy()

    gain = idi(outcome, first, second)
    moved = nri_continuous(outcome, first, second - 0.1)

    assert gain == pytest.approx(stored("added_value", "idi")[name, 90.0], abs=1e-6)
    assert moved == pytest.approx(stored("added_value", "nri_continuous")[name, 90.0], abs=1e-6)


def test_auroc_within_folds_agrees_with_proc(cohorts: Cohorts, stored: Stored) -> None:
    binary = cohorts["binary"]
    fold = np.arange(len(binary)) % 3

    area = auroc_within_folds(known(binary), binary["first"], fold)

    expected = stored("added_value", "auroc_within_folds")["binary", 0.0]
    assert area == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["single", "competing"])
def test_integrated_ipa_agrees_with_riskregression(
    name: str, cohorts: Cohorts, stored: Stored
) -> None:
    cohort = cohorts[name]
    columns = [column for column in cohort if column.startswith("risk_")]
    days = [float(column.removeprefix("risk_")) for column in columns]

    value = integrated_ipa(cohort["time"], cohort["event"], cohort[columns].to_numpy(), days)

    null = stored("overall", "ibs_null")[name, 0.0]
    expected = 1 - stored("overall", "ibs")[name, 0.0] / null
    assert value == pytest.approx(expected, abs=1e-6)
