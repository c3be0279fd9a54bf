"""Whether flags of "recorded as not done" pay: decided on losses out of fold."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from training.cohorts.study import Study, study_of_table
from training.config import RunConfig
from training.missingness import JudgedFlags, judge_flags, modelled_study

N = 600
CONFIG = RunConfig(missingness="informative", horizons_days=(90.0,), max_trees=10, threads=1)


def study(effect: float) -> Study:
    """Return stays in which what is not done changes the log-odds of death by `effect`."""
    rng = np.random.default_rng(4)
    age, lactate = rng.normal(62, 12, N).clip(20, 95), np.exp(rng.normal(0.7, 0.4, N))
    not_done = rng.random(N) < 0.3
    lost = rng.random(N) < 0.15
    risk = expit(-0.8 + 0.03 * (age - 62) + effect * not_done)
    died = rng.random(N) < risk
    table = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(N)],
            "age": age.round(1),
            "lactate": np.where(not_done | lost, np.nan, lactate.round(2)),
            "lactate__not_done": np.where(not_done, 1, np.where(lost, np.nan, 0)),
            "mortality_days": np.where(died, rng.integers(1, 90, N), 120),
            "mortality_event": died.astype(int),
        }
    )
    return study_of_table(table, outcome="mortality", config=CONFIG)


def test_flags_that_foretell_the_outcome_pay(caplog: pytest.LogCaptureFixture) -> None:
    informative = study(1.8)
    with caplog.at_level(logging.INFO):
        modelled = modelled_study(informative.cohort, informative, CONFIG)
    assert "lactate__not_done" in modelled.cohort.features
    assert "recorded as not done pay" in caplog.text


def test_flags_of_chance_do_not_pay_and_the_run_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    by_chance = study(0.0)
    with caplog.at_level(logging.INFO):
        modelled = modelled_study(by_chance.cohort, by_chance, CONFIG)
    assert modelled is by_chance
    assert "do not pay, so the model is ignorable" in caplog.text


def test_an_ignorable_run_fits_nothing_more() -> None:
    informative = study(1.8)
    ignorable = RunConfig(horizons_days=(90.0,))
    assert modelled_study(informative.cohort, informative, ignorable) is informative


def test_without_a_flag_to_learn_from_nothing_is_fitted() -> None:
    informative = study(1.8)
    flags = informative.cohort.not_done
    assert flags is not None
    flags["lactate__not_done"] = 0.0
    judged = judge_flags(informative.cohort, (90.0,), CONFIG)
    assert judged.flags == ()
    assert not judged.pay
    assert "No variable is recorded as not done in 1 to 99 %" in judged.sentence


def test_the_gain_needed_is_of_all_patients_together() -> None:
    flags = ("lactate__not_done",)
    assert JudgedFlags(flags, 1000, 0.5021, 0.5).pay
    assert not JudgedFlags(flags, 1000, 0.5019, 0.5).pay
    assert not JudgedFlags(flags, 1000, 0.5, 0.6).pay
