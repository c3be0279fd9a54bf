"""Splits hold out what they say they hold out."""

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError, UsageError
from training.cohorts.splits import folds_by_patient, repeated_splits, split_by_patient


def cohort_of(event, *, site=None, time_zero=None, patients=None) -> Cohort:
    n = len(event)
    return Cohort(
        features=pd.DataFrame({"x": np.zeros(n)}),
        variables={},
        patient_id=np.array(patients or [f"p{i}" for i in range(n)], dtype=object),
        stay_id=np.array([str(i) for i in range(n)], dtype=object),
        outcome=OutcomeData("mortality", np.ones(n), np.array(event, dtype=np.int64)),
        site=None if site is None else np.array(site, dtype=object),
        time_zero=None if time_zero is None else np.array(time_zero, dtype=object),
    )


def test_events_of_each_kind_are_held_out_in_the_same_share():
    cohort = cohort_of([1] * 20 + [2] * 10 + [0] * 70)
    split = split_by_patient(cohort, test_fraction=0.3, random_state=1)
    assert np.bincount(cohort.outcome.event[split.test]).tolist() == [21, 6, 3]


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    cohort = cohort_of([0, 1] * 30)
    first, again, other = (
        split_by_patient(cohort, random_state=seed).test.tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_repeated_splits_differ_from_each_other():
    cohort = cohort_of([0, 1] * 30)
    tests = [tuple(s.test) for s in repeated_splits(cohort, repeats=5, random_state=0)]
    assert len(set(tests)) == 5


def test_the_last_sites_are_held_out_whole():
    cohort = cohort_of([0, 1] * 5, site=list("AAAABBBBCC"))
    split = split_by_patient(cohort, test_fraction=0.3, random_state=0, by="site")
    assert set(cohort.site[split.test]) == {"B", "C"}


def test_the_last_patients_are_held_out_when_split_by_time():
    days = [f"2026-0{month}-01T00:00:00+00:00" for month in (3, 1, 9, 2)]
    cohort = cohort_of([0, 1, 0, 1], time_zero=days)
    split = split_by_patient(cohort, test_fraction=0.25, random_state=0, by="time")
    assert split.test.tolist() == [2]


def test_times_are_ordered_as_moments_and_not_as_text():
    moments = ["2026-03-01T01:00:00+02:00", "2026-03-01T00:30:00+00:00"]
    cohort = cohort_of([0, 1], time_zero=moments)
    split = split_by_patient(cohort, test_fraction=0.5, random_state=0, by="time")
    assert split.test.tolist() == [1]


def test_a_patient_with_a_stay_at_a_held_out_site_is_held_out_altogether():
    cohort = cohort_of([0, 1, 0, 1], site=list("AABA"), patients=["p", "q", "q", "r"])
    split = split_by_patient(cohort, test_fraction=0.3, random_state=0, by="site")
    assert split.test.tolist() == [1, 2]


def test_folds_share_out_the_events():
    cohort = cohort_of([1] * 10 + [0] * 40)
    events = [
        cohort.outcome.event[s.test].sum()
        for s in folds_by_patient(cohort, folds=5, random_state=0)
    ]
    assert events == [2, 2, 2, 2, 2]


def test_a_split_by_site_of_one_site_is_refused():
    with pytest.raises(DataError, match="must leave patients on both sides"):
        split_by_patient(cohort_of([0, 1], site=["A", "A"]), random_state=0, by="site")


def test_a_split_by_time_without_times_is_refused():
    with pytest.raises(UsageError, match="requires the time of every stay"):
        split_by_patient(cohort_of([0, 1]), random_state=0, by="time")


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_a_fraction_outside_the_unit_interval_is_refused(fraction):
    with pytest.raises(UsageError, match="strictly between 0 and 1"):
        split_by_patient(cohort_of([0, 1]), test_fraction=fraction, random_state=0)


def test_more_folds_than_patients_are_refused():
    with pytest.raises(DataError, match="at least 5"):
        folds_by_patient(cohort_of([0, 1]), folds=5, random_state=0)
