"""Metrics and curves over the whole follow-up against R (scripts and versions: README.md)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sksurv.metrics import concordance_index_ipcw, integrated_brier_score
from sksurv.util import Surv

from models.metrics.discrimination.concordance import antolini_c, harrell_c, uno_c
from models.metrics.known_outcome import known_outcome
from models.metrics.overall.brier import integrated_brier
from models.metrics.overall.survival_curves import cumulative_incidence

Cohorts = dict[str, pd.DataFrame]
Stored = Callable[[str, str], dict[tuple[str, float], float]]


def curve_of(cohort: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    columns = [column for column in cohort if column.startswith("risk_")]
    days = np.array([float(column.removeprefix("risk_")) for column in columns])
    return cohort[columns].to_numpy(), days


def test_harrell_c_agrees_with_r_with_ties_and_competing_events(
    cohorts: Cohorts, stored: Stored
) -> None:
    for (name, _), expected in stored("concordance", "c_harrell").items():
        cohort = cohorts[name]

        value = harrell_c(cohort["time"], cohort["event"], cohort["risk_90"])

        assert value == pytest.approx(expected, abs=1e-9), name


def test_uno_c_agrees_with_r_with_ties_and_competing_events(
    cohorts: Cohorts, stored: Stored
) -> None:
    for (name, day), expected in stored("concordance", "c_uno").items():
        cohort = cohorts[name]

        value = uno_c(cohort["time"], cohort["event"], cohort["risk_90"], up_to_days=day)

        assert value == pytest.approx(expected, abs=1e-6), name


def test_c_within_folds_agrees_with_r(cohorts: Cohorts, stored: Stored) -> None:
    for (name, _), expected in stored("concordance", "c_harrell_within_folds").items():
        cohort = cohorts[name]
        fold = np.arange(1, len(cohort) + 1) % 5

        value = harrell_c(cohort["time"], cohort["event"], cohort["risk_90"], fold=fold)

        assert value == pytest.approx(expected, abs=1e-9), name
    for (name, day), expected in stored("concordance", "c_uno_within_folds").items():
        cohort = cohorts[name]
        fold = np.arange(1, len(cohort) + 1) % 5

        value = uno_c(cohort["time"], cohort["event"], cohort["risk_90"], up_to_days=day, fold=fold)

        assert value == pytest.approx(expected, abs=1e-6), name


def test_antolini_c_agrees_with_r_with_ties_and_competing_events(
    cohorts: Cohorts, stored: Stored
) -> None:
    for (name, _), expected in stored("concordance", "c_antolini").items():
        cohort = cohorts[name]

        value = antolini_c(cohort["time"], cohort["event"], *curve_of(cohort))

        assert value == pytest.approx(expected, abs=1e-9), name


def test_integrated_brier_agrees_with_r(cohorts: Cohorts, stored: Stored) -> None:
    for (name, _), expected in stored("overall", "ibs").items():
        cohort = cohorts[name]

        value = integrated_brier(cohort["time"], cohort["event"], *curve_of(cohort))

        assert value == pytest.approx(expected, abs=1e-6), name


def test_uno_c_and_integrated_brier_agree_with_scikit_survival(cohorts: Cohorts) -> None:
    cohort = cohorts["single"]
    outcome = Surv.from_arrays(cohort["event"] == 1, cohort["time"])
    risk, days = curve_of(cohort)

    uno = concordance_index_ipcw(outcome, outcome, cohort["risk_90"], tau=180)[0]
    ibs = integrated_brier_score(outcome, outcome, 1 - risk, days)

    time, event = cohort["time"], cohort["event"]
    assert uno_c(time, event, cohort["risk_90"], up_to_days=180) == pytest.approx(uno, abs=1e-9)
    assert integrated_brier(time, event, risk, days) == pytest.approx(ibs, abs=1e-9)


def test_incidence_of_any_event_agrees_with_survfit(cohorts: Cohorts, stored: Stored) -> None:
    for (name, day), event_free in stored("survival_curves", "event_free").items():
        any_event = cohorts[name]["event"] != 0

        value = cumulative_incidence(cohorts[name]["time"], any_event, [day])

        assert value == pytest.approx(1 - event_free, abs=1e-9), (name, day)


@pytest.mark.parametrize("cause", [1, 2])
def test_cumulative_incidence_agrees_with_cmprsk(
    cause: int, cohorts: Cohorts, stored: Stored
) -> None:
    for (name, day), expected in stored("survival_curves", f"incidence_{cause}").items():
        time, event = cohorts[name]["time"], cohorts[name]["event"]

        assert cumulative_incidence(time, event, [day], cause=cause) == pytest.approx(
            expected, abs=1e-9
        ), (name, day)


def test_weighted_event_rate_is_the_aalen_johansen_estimate(
    cohorts: Cohorts, stored: Stored
) -> None:
    for (name, day), expected in stored("survival_curves", "incidence_1").items():
        outcome = known_outcome(cohorts[name]["time"], cohorts[name]["event"], day)

        assert outcome.event_rate == pytest.approx(expected, abs=1e-9), (name, day)
