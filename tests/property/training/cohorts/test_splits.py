"""No patient is ever on both sides of a split."""

from contextlib import suppress

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError
from training.cohorts.splits import folds_by_patient, repeated_splits, split_by_patient

stays = st.lists(
    st.tuples(
        st.integers(0, 12),  # patient
        st.integers(0, 2),  # event
        st.sampled_from(["A", "B", "C"]),  # site
        st.integers(1, 28),  # day of time zero
    ),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({patient for patient, *_ in rows}) >= 5)


def cohort_of(rows) -> Cohort:
    patients, events, sites, days = zip(*rows, strict=True)
    n = len(rows)
    return Cohort(
        features=pd.DataFrame({"x": np.arange(n, dtype=float)}),
        variables={},
        patient_id=np.array([f"p{p}" for p in patients], dtype=object),
        stay_id=np.array([str(i) for i in range(n)], dtype=object),
        outcome=OutcomeData("mortality", np.ones(n), np.array(events, dtype=np.int64)),
        site=np.array(sites, dtype=object),
        time_zero=np.array([f"2026-01-{day:02d}T00:00:00+00:00" for day in days], dtype=object),
    )


def assert_divides_patients(cohort, split):
    assert sorted([*split.train, *split.test]) == list(range(len(cohort)))
    assert not set(cohort.patient_id[split.train]) & set(cohort.patient_id[split.test])


@given(stays, st.integers(0, 2**31), st.floats(0.2, 0.8))
def test_no_patient_is_on_both_sides_of_a_random_split(rows, seed, fraction):
    cohort = cohort_of(rows)
    with suppress(DataError):
        split = split_by_patient(cohort, test_fraction=fraction, random_state=seed)
        assert_divides_patients(cohort, split)


@given(stays, st.integers(0, 2**31))
def test_no_patient_is_in_two_folds_and_everyone_is_tested_once(rows, seed):
    cohort = cohort_of(rows)
    folds = folds_by_patient(cohort, folds=5, random_state=seed)
    for split in folds:
        assert_divides_patients(cohort, split)
    assert sorted(np.concatenate([split.test for split in folds])) == list(range(len(cohort)))


@given(stays, st.integers(0, 2**31))
def test_the_split_of_a_patient_does_not_depend_on_the_order_of_rows(rows, seed):
    cohort = cohort_of(rows)
    backwards = cohort.take(np.arange(len(cohort))[::-1])
    for there, here in zip(
        repeated_splits(backwards, repeats=2, test_fraction=0.5, random_state=seed),
        repeated_splits(cohort, repeats=2, test_fraction=0.5, random_state=seed),
        strict=True,
    ):
        assert set(backwards.patient_id[there.test]) == set(cohort.patient_id[here.test])


@given(stays)
def test_training_never_sees_a_held_out_site_nor_a_stay_after_the_cut(rows):
    cohort = cohort_of(rows)
    for by, values in (("site", cohort.site), ("time", cohort.time_zero)):
        with suppress(DataError):
            split = split_by_patient(cohort, test_fraction=0.3, random_state=0, by=by)
            assert_divides_patients(cohort, split)
            last_of_tested = {
                patient: max(values[split.test][cohort.patient_id[split.test] == patient])
                for patient in set(cohort.patient_id[split.test])
            }
            assert max(values[split.train]) < min(last_of_tested.values())
