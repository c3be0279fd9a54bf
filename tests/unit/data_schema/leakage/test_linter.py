"""The leakage linter on simulated tables: what it must flag, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import OutcomeData
from data_schema.leakage.linter import FATAL_LEAKS, find_leaks
from data_schema.leakage.names import reason_by_name


def simulated(
    seed: int,
    *,
    n: int = 2000,
    missing: str = "random",
    slope: float = 1.0,
    competing: bool = False,
) -> tuple[pd.DataFrame, OutcomeData]:
    """Return strong predictors of death and their outcome; cells missing as `missing` says."""
    rng = np.random.default_rng(seed)
    severity = rng.normal(size=n)

    def marker(loading: float) -> np.ndarray:
        return loading * severity + np.sqrt(1 - loading**2) * rng.normal(size=n)

    table = pd.DataFrame(
        {
            "age": np.clip(62 + 14 * rng.normal(size=n), 18, 100),
            "sofa": np.clip(np.round(7 + 3.5 * marker(0.85)), 0, 24),
            "apache2": np.clip(np.round(18 + 7 * marker(0.8)), 0, 60),
            "gcs": np.clip(np.round(12 - 3 * marker(0.6)), 3, 15),
            "lactate": np.exp(0.7 + 0.5 * marker(0.7)),
            "fgf23_c": np.exp(5.5 + 1.1 * marker(0.6)),
            "osteopontin": np.exp(4.0 + 0.7 * marker(0.5)),
            "ctx_s": np.exp(6.3 + 0.6 * rng.normal(size=n)),
            "fio2": np.clip(0.45 + 0.15 * marker(0.8), 0.21, 1.0),
            "shock": (marker(0.7) > 0.8).astype(float),
            "sex": rng.choice(["female", "male"], n),
            "unit_type": rng.choice(["medical", "surgical", "neuro"], n),
        }
    )
    risk = 1.1 * severity + 0.4 * (table["age"].to_numpy() - 62) / 14
    death = np.exp(6 - 1.2 * risk + 1.3 * np.log(rng.exponential(size=n)))
    leaving = np.where(rng.random(n) < 0.3, rng.uniform(30, 400, n), 365.0)
    time = np.maximum(np.minimum(death, np.minimum(leaving, 365.0)), 0.05)
    event = ((death <= leaving) & (death <= 365.0)).astype(np.int64)
    if competing:
        event = np.where((event == 1) & (rng.random(n) < 0.5), 2, event)
    drive = {"random": 0.0 * severity, "severity": severity, "risk": risk}[missing]
    for name in ("apache2", "gcs", "lactate", "fgf23_c", "osteopontin", "ctx_s", "unit_type"):
        odds = -1.1 + slope * drive * rng.choice([-1, 1])
        table[name] = table[name].mask(rng.random(n) < 1 / (1 + np.exp(-odds)))
    return table, OutcomeData("mortality", time, event)


@pytest.mark.parametrize("missing", ["random", "severity", "risk"])
@pytest.mark.parametrize("seed", range(4))
def test_a_clean_table_raises_no_flag(seed: int, missing: str) -> None:
    assert find_leaks(*simulated(seed, missing=missing, slope=1.5)) == []


@pytest.mark.parametrize("n", [60, 300, 800])
def test_a_small_clean_table_raises_no_flag(n: int) -> None:
    for seed in range(4):
        assert find_leaks(*simulated(seed, n=n, missing="severity")) == []


def test_a_clean_table_with_a_competing_event_or_one_horizon_raises_no_flag() -> None:
    assert find_leaks(*simulated(1, missing="severity", competing=True)) == []
    table, outcome = simulated(2, missing="severity")
    event = ((outcome.time_days <= 90) & (outcome.event == 1)).astype(np.int64)
    fixed = OutcomeData("mortality", np.full(len(table), 90.0), event, 90.0)
    assert find_leaks(table, fixed) == []


def _one(table: pd.DataFrame, outcome: OutcomeData) -> tuple[str, str]:
    (finding,) = find_leaks(table, outcome)
    assert str(finding.count) in finding.message
    return finding.rule, finding.variable


def test_missing_exactly_when_alive_repeats_the_outcome() -> None:
    table, outcome = simulated(0)
    causes = np.random.default_rng(0).choice(["heart", "cancer"], len(table))
    table["chapter"] = np.where(outcome.event == 1, causes, "missing")
    assert _one(table, outcome) == ("leak_outcome", "chapter")


def test_a_category_that_says_died_within_two_months_repeats_the_outcome() -> None:
    table, outcome = simulated(0)
    early = (outcome.event == 1) & (outcome.time_days <= 60)
    table["function"] = np.where(early, "< 2 mo.", table["sex"])
    assert _one(table, outcome) == ("leak_outcome", "function")


def test_a_flag_that_is_the_event_with_a_few_errors_repeats_the_outcome() -> None:
    table, outcome = simulated(0)
    wrong = np.random.default_rng(0).random(len(table)) < 0.05
    table["flag"] = np.where(wrong, 1 - outcome.event, outcome.event).astype(float)
    assert _one(table, outcome) == ("leak_outcome", "flag")


def test_the_time_itself_separates() -> None:
    table, outcome = simulated(0)
    table["hours"] = 24 * outcome.time_days
    assert _one(table, outcome) == ("leak_perfect", "hours")


def test_a_repeated_competing_event_is_found_too() -> None:
    table, outcome = simulated(0, competing=True)
    table["outcome_text"] = np.where(outcome.event == 0, "x", "y")
    assert _one(table, outcome) == ("leak_outcome", "outcome_text")


def test_a_risk_computed_from_the_same_patients_is_found() -> None:
    table, outcome = simulated(0)
    scores = table[["sofa", "age", "shock"]].to_numpy()
    by_60 = ((outcome.event == 1) & (outcome.time_days <= 60)).astype(float)
    columns = np.column_stack([scores / scores.std(axis=0), np.ones(len(table))])
    weights = np.zeros(columns.shape[1])
    for _ in range(8):
        risk = 1 / (1 + np.exp(-columns @ weights))
        curvature = (columns * (risk * (1 - risk))[:, None]).T @ columns
        weights -= np.linalg.solve(curvature, columns.T @ (risk - by_60))
    table["surv2m"] = 1 - 1 / (1 + np.exp(-columns @ weights))
    assert _one(table, outcome) == ("leak_risk", "surv2m")


def test_missing_because_the_patient_died_first_is_warned_of() -> None:
    table, outcome = simulated(0, n=4000)
    rng = np.random.default_rng(0)
    gone = (outcome.event == 1) & (outcome.time_days < 8)
    table["interview"] = rng.normal(size=len(table))
    table.loc[gone & (rng.random(len(table)) < 0.9), "interview"] = np.nan
    table.loc[rng.random(len(table)) < 0.3, "interview"] = np.nan
    assert _one(table, outcome) == ("leak_missing", "interview")
    assert "leak_missing" not in FATAL_LEAKS


@pytest.mark.parametrize(
    "name",
    [
        *("num_hday", "slos", "LOS", "length_of_stay", "Length_of_stay", "icu_los", "hospitalDays"),
        *("dnr", "fac_dnr1", "dnr.day", "do_not_resuscitate", "code_status", "Comfort care"),
        *(
            "discharge_status",
            "hospdead",
            "In-hospital_death",
            "died",
            "Survival",
            "cause_of_death",
        ),
        *("charges", "totcst", "avtisst", "sfdm2", "bonemed_fu", "bonetreat", "x_followup"),
        *("predicted_mortality", "prg2m", "adlsc", "hospice", "readmission_30d"),
    ],
)
def test_a_name_that_speaks_of_the_future_is_flagged(name: str) -> None:
    assert reason_by_name(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("num.co", "scoma", "dzgroup", "aps1", "cat1", "adlp", "sps", "loss_of_weight", "closure"),
        *("hospital_days_before_icu", "prior_fracture", "parental_death", "history_of_discharge"),
        *("full_dose", "refused", "costal_pain", "dose", "fac_ca", "dementia", "fuo"),
    ],
)
def test_a_name_about_the_present_or_the_past_is_not(name: str) -> None:
    assert reason_by_name(name) is None


def test_no_variable_of_the_catalogue_is_flagged_by_its_name() -> None:
    assert [name for name in VARIABLES if reason_by_name(name)] == []


def test_a_name_is_excused_by_the_site_and_evidence_is_not() -> None:
    table, outcome = simulated(0)
    table["icu_stay"] = np.random.default_rng(0).normal(size=len(table))
    assert _one(table, outcome) == ("leak_name", "icu_stay")
    assert find_leaks(table, outcome, known_at_time_zero={"icu_stay"}) == []
    table["icu_stay"] = outcome.time_days
    findings = find_leaks(table, outcome, known_at_time_zero={"icu_stay"})
    assert [f.rule for f in findings] == ["leak_perfect"]


def test_without_an_outcome_only_names_are_read() -> None:
    table, outcome = simulated(0)
    table["dnr"], table["twin"] = 0.0, outcome.event
    assert [(f.rule, f.variable) for f in find_leaks(table, None)] == [("leak_name", "dnr")]


def test_a_flag_of_what_was_not_done_warns_and_is_no_leak_itself() -> None:
    table, outcome = simulated(5)
    died_first = (outcome.event == 1) & (
        outcome.time_days <= np.quantile(outcome.time_days[outcome.event == 1], 0.2)
    )
    rng = np.random.default_rng(5)
    by_chance = table.assign(ctx_s__not_done=(rng.random(len(table)) < 0.2).astype(float))
    assert find_leaks(by_chance, outcome) == find_leaks(table, outcome)
    foretelling = np.where(died_first, rng.random(len(table)) < 0.9, rng.random(len(table)) < 0.05)
    findings = find_leaks(table.assign(ctx_s__not_done=foretelling.astype(float)), outcome)
    (flag,) = [finding for finding in findings if finding.variable == "ctx_s__not_done"]
    assert flag.rule == "leak_not_done"
    assert flag.rule not in FATAL_LEAKS
    assert flag.count == int(foretelling.sum())
    assert "records where ctx_s was not done" in flag.message
    repeating = find_leaks(table.assign(sofa__not_done=(outcome.event == 1).astype(float)), outcome)
    assert [one.rule for one in repeating if "sofa" in one.variable] == ["leak_not_done"]
