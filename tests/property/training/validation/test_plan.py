"""Who is judged by a model of whom: every patient once a repeat, never on both sides."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError
from training.config import RunConfig
from training.validation.plan import evaluation_plan

# Patient and event of each stay; enough events for the training part of every split.
STAYS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), min_size=60, max_size=150)


def cohort_of(stays: list[tuple[int, int]]) -> Cohort:
    patients, events = zip(*stays, strict=True)
    n = len(stays)
    return Cohort(
        features=pd.DataFrame({"x": np.arange(n, dtype=float)}),
        variables={},
        patient_id=np.array([f"p{number}" for number in patients], dtype=object),
        stay_id=np.array([f"s{number}" for number in range(n)], dtype=object),
        outcome=OutcomeData("mortality", np.ones(n), np.array(events, dtype=np.int64)),
    )


@given(STAYS, st.integers(0, 2**31), st.integers(1, 4))
def test_every_stay_is_judged_once_a_repeat_by_a_model_of_other_patients(
    stays: list[tuple[int, int]], seed: int, repeats: int
) -> None:
    cohort = cohort_of(stays)
    with suppress(DataError):
        plan = evaluation_plan(cohort, RunConfig(seed=seed, repeats=repeats))
        assert (plan.method, plan.folds, len(plan.repeats)) == ("cross-validation", 5, repeats)
        for splits in plan.repeats:
            judged = np.concatenate([split.test for split in splits])
            assert sorted(judged) == list(range(len(cohort)))
            for split in splits:
                assert sorted([*split.train, *split.test]) == list(range(len(cohort)))
                learned_from, held_out = (
                    set(cohort.patient_id[rows]) for rows in (split.train, split.test)
                )
                assert not learned_from & held_out


@given(STAYS, st.integers(0, 2**31))
def test_the_partition_is_the_same_for_other_columns_and_another_order_of_the_rows(
    stays: list[tuple[int, int]], seed: int
) -> None:
    cohort = cohort_of(stays)
    config = RunConfig(seed=seed, repeats=2)
    with suppress(DataError):
        partition = evaluation_plan(cohort, config).partition(cohort)
        turned = cohort.take(np.arange(len(cohort))[::-1])
        turned.features["another"] = 1.0
        assert evaluation_plan(turned, config).partition(turned) == partition
        other_folds = RunConfig(seed=seed + 1, repeats=2)
        assert evaluation_plan(cohort, other_folds).partition(cohort) != partition


@given(STAYS, st.integers(0, 2**31), st.floats(0.2, 0.5), st.booleans())
def test_a_hold_out_is_learned_from_afterwards_unless_the_settings_say_otherwise(
    stays: list[tuple[int, int]], seed: int, fraction: float, refit: bool
) -> None:
    cohort = cohort_of(stays)
    config = RunConfig(seed=seed, test_fraction=fraction, refit_on_all=refit)
    with suppress(DataError):
        plan = evaluation_plan(cohort, config)
        assert (plan.method, plan.folds, plan.fits) == ("hold-out", 1, 1)
        held_out = set(cohort.patient_id[plan.evaluated])
        learned_from = set(plan.learned_from(cohort).patient_id)
        assert held_out <= learned_from if refit else not held_out & learned_from
