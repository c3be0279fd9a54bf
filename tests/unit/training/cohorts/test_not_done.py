"""Flags of "recorded as not done": described, and learned from only on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import RulesBroken, UsageError
from data_schema.variables import Variable
from training.cohorts.description import Grouping, describe
from training.cohorts.not_done import learnable_flags, with_flags
from training.cohorts.study import public_study, study_of_table
from training.config import RunConfig
from training.report.patients import table_one

N = 400
INFORMATIVE = RunConfig(missingness="informative")


def cohort(not_done: int = 60, events: int = 30) -> Cohort:
    """Return stays of which the first have no CTX, recorded as not done, and some the event."""
    rng = np.random.default_rng(0)
    ctx = rng.normal(400, 50, N)
    ctx[: not_done + 40] = np.nan
    marked = np.arange(N) < not_done
    event = np.zeros(N, dtype=np.int64)
    event[:events] = 1
    event[-100:] = 1
    return Cohort(
        features=pd.DataFrame({"age": rng.normal(60, 9, N), "ctx_s": ctx}),
        not_done=pd.DataFrame({"ctx_s__not_done": marked.astype(float)}),
        variables={
            "age": Variable("age", "Age", "person"),
            "ctx_s": Variable("ctx_s", "CTX", "resorption"),
        },
        patient_id=np.arange(N).astype(str).astype(object),
        stay_id=np.arange(N).astype(str).astype(object),
        outcome=OutcomeData("mortality", np.full(N, 30.0), event),
    )


def table(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    measured = rng.random(rows) < 0.6
    return pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(rows)],
            "age": rng.integers(40, 90, rows),
            "ctx_s": np.where(measured, rng.normal(400, 40, rows).round(1), np.nan),
            "ctx_s__not_done": np.where(~measured & (rng.random(rows) < 0.8), 1, 0),
            "mortality_days": rng.integers(1, 400, rows),
            "mortality_event": rng.integers(0, 2, rows),
        }
    )


def test_no_flag_is_a_feature_unless_it_is_asked_for() -> None:
    study = study_of_table(table(), outcome="mortality", config=RunConfig())
    assert list(study.cohort.features.columns) == ["age", "ctx_s"]
    assert study.cohort.not_done is not None
    joined = with_flags(study.cohort, ["ctx_s__not_done"])
    assert list(joined.features.columns) == ["age", "ctx_s", "ctx_s__not_done"]
    half = joined.take(np.arange(100))
    assert half.not_done is not None
    assert half.not_done["ctx_s__not_done"].equals(half.features["ctx_s__not_done"])


@pytest.mark.parametrize(
    ("not_done", "events", "learnable"),
    [
        (60, 30, True),
        (60, 9, False),
        (60, 10, True),
        (3, 30, False),
        (4, 30, False),
        (0, 30, False),
    ],
)
def test_a_flag_needs_stays_and_events(not_done: int, events: int, learnable: bool) -> None:
    assert learnable_flags(cohort(not_done, events)) == (("ctx_s__not_done",) if learnable else ())


def test_a_flag_without_its_variable_is_not_learned_from() -> None:
    whole = cohort()
    alone = replace(whole, features=whole.features[["age"]])
    assert learnable_flags(alone) == ()


def test_informative_needs_a_flag() -> None:
    with pytest.raises(UsageError, match="has no column NAME__not_done"):
        study_of_table(
            table().drop(columns="ctx_s__not_done"), outcome="mortality", config=INFORMATIVE
        )
    with pytest.raises(UsageError, match="missingness must be ignorable for flchain"):
        public_study("flchain", outcome="mortality", config=INFORMATIVE)


def test_informative_refuses_a_flag_that_repeats_the_outcome() -> None:
    leaking = table()
    died = leaking["mortality_event"] == 1
    blank = died | (np.arange(len(leaking)) % 2 == 0)
    leaking["ctx_s__not_done"] = died.astype(int)
    leaking["ctx_s"] = np.where(blank, np.nan, 400.0 + np.arange(len(leaking)))
    with pytest.raises(RulesBroken) as raised:
        study_of_table(leaking, outcome="mortality", config=INFORMATIVE)
    assert "leak_not_done" in {finding.rule for finding in raised.value.findings}


def test_a_fingerprint_tells_the_two_states_apart() -> None:
    one, other = cohort(), cohort(not_done=61)
    assert one.features["age"].equals(other.features["age"])
    assert one.fingerprint() != other.fingerprint()


def test_table_one_counts_both_states() -> None:
    described = describe(cohort())
    (age, ctx) = described["variables"]
    assert "not_done" not in age["groups"][0]
    assert ctx["groups"][0]["levels"] == [300, 100]
    assert ctx["groups"][0]["not_done"] == 60
    rows = {row[0]: row[1:] for row in table_one(described, caption="").rows}
    assert rows["\N{EM DASH} recorded as not done"] == ("", "60")
    assert rows["\N{EM DASH} not entered"] == ("", "40")


@pytest.mark.parametrize("not_done", [5, 95])
def test_a_state_of_few_patients_is_withheld(not_done: int) -> None:
    few = cohort(60)
    few.features["ctx_s"] = np.where(np.arange(N) < 100, np.nan, 1.0 + np.arange(N))
    few.not_done["ctx_s__not_done"] = (np.arange(N) < not_done).astype(float)
    (values,) = describe(few)["variables"][1]["groups"]
    assert values["levels"] == [300, 100]
    assert values["not_done"] is None


def test_states_are_withheld_where_groups_would_reveal_them() -> None:
    grouping = Grouping(labels=["a", "b"], group=(np.arange(N) < 63).astype(np.int64))
    groups = describe(cohort(), [grouping])["variables"][1]["groups"]
    # Group b has 60 recorded as not done and 3 not entered; the rest, 37 of 100, are in group a.
    assert [values["not_done"] for values in groups][2] is None
    assert [values["not_done"] for values in groups].count(None) >= 2
