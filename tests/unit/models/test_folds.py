"""Folds of whole patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import DataError
from models.folds import patient_codes, patient_folds


@pytest.fixture
def stays():
    """Return 400 stays of 150 patients, most with several."""
    rng = np.random.default_rng(0)
    groups = np.concatenate([np.arange(150), rng.integers(0, 150, 250)])
    return groups, rng.random(400) < 0.1


def test_no_patient_is_on_both_sides(stays) -> None:
    groups, happened = stays
    for learn, held_out in patient_folds(groups, happened, count=5, rng=np.random.default_rng(1)):
        assert not set(groups[learn]) & set(groups[held_out])


def test_every_row_is_held_out_once(stays) -> None:
    groups, happened = stays
    folds = list(patient_folds(groups, happened, count=5, rng=np.random.default_rng(1)))

    np.testing.assert_array_equal(np.sort(np.concatenate([out for _, out in folds])), range(400))
    for learn, held_out in folds:
        np.testing.assert_array_equal(np.sort([*learn, *held_out]), range(400))


def test_folds_differ_by_one_patient_and_one_patient_with_the_event_at_most(stays) -> None:
    groups, happened = stays
    with_event = set(groups[happened])

    counts = [
        (len(set(groups[out])), len(set(groups[out]) & with_event))
        for _, out in patient_folds(groups, happened, count=7, rng=np.random.default_rng(1))
    ]

    assert np.ptp(counts, axis=0).max() <= 1


def test_an_event_rarer_than_folds_is_dealt_out_as_far_as_it_goes() -> None:
    happened = np.arange(40) < 3

    folds = patient_folds(np.arange(40), happened, count=10, rng=np.random.default_rng(1))

    assert sorted(int(happened[out].sum()) for _, out in folds) == [0] * 7 + [1] * 3


def test_another_seed_deals_otherwise(stays) -> None:
    groups, happened = stays
    first, second = (
        next(patient_folds(groups, happened, count=5, rng=np.random.default_rng(seed)))[1]
        for seed in (1, 2)
    )

    assert set(first) != set(second)


def test_patients_are_numbered_in_the_order_of_their_names(stays) -> None:
    numbers, _ = stays
    texts = np.array([f"p{number}" for number in numbers], dtype=object)

    for groups in (numbers, numbers / 7, texts, texts.astype(str), list(texts), pd.Series(texts)):
        expected = np.unique(np.asarray(groups), return_inverse=True)[1]
        np.testing.assert_array_equal(patient_codes(groups, len(numbers)), expected)


def test_numbers_beside_text_are_patients_too() -> None:
    groups = np.array(["p2", 7, "p1", 7], dtype=object)

    assert patient_codes(groups, 4).tolist() == [2, 0, 1, 0]
    assert patient_codes(list(groups), 4).tolist() == [2, 0, 1, 0]


@pytest.mark.parametrize(
    "groups",
    [
        np.array([1.0, np.nan, np.nan]),
        np.array(["a", None, None], dtype=object),
        ["a", np.nan, None],
        pd.array([1, None, None], dtype="Int64"),
    ],
)
def test_a_row_without_a_patient_is_refused_at_every_door(groups) -> None:
    with pytest.raises(DataError, match="patient of each of 3 stays; 2 have none"):
        patient_codes(groups, 3)
