"""How a run is judged: by the number of patients, and by what is known of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError
from training.config import RunConfig
from training.validation.plan import evaluation_plan


def cohort_of(patients: int) -> Cohort:
    names = np.arange(patients).astype(str).astype(object)
    event = (np.arange(patients) % 3 == 0).astype(np.int64)
    return Cohort(
        features=pd.DataFrame({"x": np.zeros(patients)}),
        variables={},
        patient_id=names,
        stay_id=names,
        outcome=OutcomeData("mortality", np.ones(patients), event),
    )


@pytest.mark.parametrize(("patients", "repeats"), [(999, 10), (1_000, 4), (3_001, 1), (20_000, 1)])
def test_fewer_patients_are_cross_validated_more_often(patients: int, repeats: int) -> None:
    plan = evaluation_plan(cohort_of(patients), RunConfig())
    assert (plan.method, plan.folds, len(plan.repeats)) == ("cross-validation", 5, repeats)
    assert plan.refitted


def test_a_very_large_cohort_is_split_by_time_then_by_site_then_at_random() -> None:
    cohort = cohort_of(20_001)
    site = (np.arange(20_001) % 2).astype(str).astype(object)
    time = np.array([f"2026-01-{1 + k % 28:02d}T00:00:00+00:00" for k in range(20_001)], object)
    for known, split in (
        ({}, "patient"),
        ({"site": np.full(20_001, "A", dtype=object)}, "patient"),
        ({"site": site}, "site"),
        ({"site": site, "time_zero": time}, "time"),
    ):
        plan = evaluation_plan(replace(cohort, **known), RunConfig())
        assert (plan.method, plan.split, plan.refitted) == ("hold-out", split, True)
        assert 0.25 < len(plan.evaluated) / len(cohort) < 0.55


def test_a_split_by_site_holds_out_thirty_percent_unless_stated() -> None:
    cohort = replace(cohort_of(300), site=(np.arange(300) % 10).astype(str).astype(object))
    for stated, sites in ((None, {"7", "8", "9"}), (0.2, {"8", "9"})):
        plan = evaluation_plan(cohort, RunConfig(split="site", test_fraction=stated))
        assert cohort.site is not None
        assert set(cohort.site[plan.evaluated]) == sites


def test_a_partition_differs_where_the_outcome_does() -> None:
    cohort = cohort_of(100)
    assert cohort.outcome is not None
    later = replace(cohort, outcome=replace(cohort.outcome, time_days=np.full(100, 2.0)))
    plan = evaluation_plan(cohort, RunConfig())
    assert plan.partition(cohort) != plan.partition(later)


def test_a_training_part_with_too_few_events_is_refused() -> None:
    cohort = cohort_of(100)
    few = OutcomeData("mortality", np.ones(100), (np.arange(100) < 12).astype(np.int64))
    with pytest.raises(DataError, match="at least 10 in the training part of every split"):
        evaluation_plan(replace(cohort, outcome=few), RunConfig())
