"""Who the patients are, and which of their counts are told."""

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort, OutcomeData
from data_schema.variables import Variable
from training.cohorts.description import (
    Grouping,
    by_outcome,
    describe,
    recorded_share,
    standardised_difference,
)
from training.report.patients import comparison_table, missing_table, table_one

VARIABLES = {
    "age": Variable("age", "Age", "person", unit="a"),
    "sex": Variable("sex", "Sex", "person", kind="category"),
    "dialysis": Variable("dialysis", "Dialysis", "severity", kind="flag"),
    "lactate": Variable("lactate", "Lactate", "severity", unit="mmol/L"),
}


def cohort(n: int = 200, *, stays: int = 1) -> Cohort:
    rng = np.random.default_rng(3)
    features = pd.DataFrame(
        {
            "age": np.arange(n, dtype=float),
            "sex": np.where(np.arange(n) % 4 == 0, "female", "male").astype(object),
            "dialysis": (np.arange(n) < 4).astype(float),
            "lactate": np.where(np.arange(n) % 2 == 0, rng.random(n), np.nan),
        }
    )
    event = np.where(np.arange(n) % 5 == 0, 1, 0)
    return Cohort(
        features=features,
        variables=VARIABLES,
        patient_id=(np.arange(n) // stays).astype(object),
        stay_id=np.arange(n).astype(object),
        outcome=OutcomeData("mortality", np.full(n, 50.0), event),
    )


def named(description: dict, name: str) -> dict:
    return next(v for v in description["variables"] if v["name"] == name)


def test_a_number_is_told_by_its_quartiles_of_all_and_of_each_group() -> None:
    whole = cohort()
    groups = by_outcome(whole.outcome, 50, event_label="death", competing=None)

    told = describe(whole, [groups])

    assert [group["label"] for group in told["groups"]] == [
        *("all", "death by day 50", "no death by then")
    ]
    assert [group["stays"] for group in told["groups"]] == [200, 40, 160]
    age = named(told, "age")["groups"]
    assert age[0]["quartiles"] == pytest.approx([49.75, 99.5, 149.25])
    assert age[1]["quartiles"][1] == pytest.approx(97.5)
    assert recorded_share(named(told, "lactate")["groups"][0]) == 0.5


def test_a_flag_that_a_few_have_is_withheld_with_those_who_have_it_not() -> None:
    whole = cohort()
    groups = by_outcome(whole.outcome, 50, event_label="death", competing=None)

    row = named(describe(whole, [groups]), "dialysis")["groups"]

    assert row[0]["levels"] == [None, None, 0]
    assert "*" in " ".join(
        cell
        for cells in table_one(describe(whole, [groups]), caption="").rows
        if cells[0] == "Dialysis"
        for cell in cells
    )


def test_stays_of_a_few_patients_are_not_many_patients() -> None:
    # 24 stays with a lactate, of two patients.
    few = cohort(n=240, stays=12)
    few.features["lactate"] = np.where(np.arange(240) < 24, 1.0, np.nan)

    told = named(describe(few), "lactate")["groups"][0]

    assert told["levels"] == [None, None]
    assert told["quartiles"] is None


def fates(*counts: int) -> OutcomeData:
    """Return so many fractures, deaths first, survivors and lost ones, by day 20."""
    time, event = np.repeat([5.0, 6.0, 30.0, 7.0], counts), np.repeat([1, 2, 0, 0], counts)
    return OutcomeData("fracture", time, event)


def test_competing_and_lost_patients_are_groups_of_their_own() -> None:
    groups = by_outcome(fates(60, 70, 80, 90), 20, event_label="fracture", competing="death")

    assert groups["labels"] == [
        *("fracture by day 20", "death first", "neither by then", "lost before then")
    ]
    assert np.bincount(groups["group"]).tolist() == [60, 70, 80, 90]


def test_a_few_lost_ones_are_counted_with_those_of_whom_no_event_is_known() -> None:
    groups = by_outcome(fates(60, 0, 80, 9), 20, event_label="fracture", competing=None)

    assert groups["labels"] == ["fracture by day 20", "no fracture known by then"]
    assert np.bincount(groups["group"]).tolist() == [60, 89]


def test_two_ways_of_dividing_do_not_tell_together_what_each_withholds() -> None:
    whole = cohort(600)
    # 14 on dialysis, of them 12 among the first 300: the other 2 follow from the first and all.
    whole.features["dialysis"] = (np.isin(np.arange(600), [*range(12), 400, 401])).astype(float)
    parts = Grouping(labels=["one", "other"], group=(np.arange(600) >= 300).astype(int))
    outcome = by_outcome(whole.outcome, 50, event_label="death", competing=None)

    told = named(describe(whole, [outcome, parts]), "dialysis")

    yes = {
        g["label"]: v["levels"][0]
        for g, v in zip(describe(whole, [outcome, parts])["groups"], told["groups"], strict=True)
    }
    assert yes["all"] == 14
    assert (yes["one"], yes["other"]) == (None, None)


def test_standardised_difference_of_numbers_is_in_standard_deviations() -> None:
    one = describe(cohort())
    moved = cohort()
    moved.features["age"] += 10
    spread = moved.features["age"].std()

    other = describe(moved, like=one)

    found = standardised_difference(
        named(one, "age")["groups"][0], named(other, "age")["groups"][0]
    )
    assert found == pytest.approx(10 / spread)


def test_standardised_difference_of_two_levels_is_that_of_their_share() -> None:
    one, other = (named(describe(cohort()), "sex")["groups"][0] for _ in range(2))
    other["levels"] = [100, 100, 0]  # 50 % against 75 %
    p, q = 0.75, 0.5

    found = standardised_difference(one, other)

    assert found == pytest.approx((p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2))


def test_levels_of_another_cohort_are_compared_under_the_same_names() -> None:
    one = describe(cohort(), whole="learned from")
    swapped = cohort()
    swapped.features["sex"] = np.where(swapped.features["sex"] == "male", "female", "male").astype(
        object
    )

    rows = comparison_table(one, describe(swapped, whole="evaluated", like=one), caption="").rows

    male = next(row for row in rows if row[0].endswith("male") and "female" not in row[0])
    assert male[1:3] == ("150 (75 %)", "50 (25 %)")


def test_what_everybody_has_is_not_in_the_table_of_gaps() -> None:
    rows = missing_table(describe(cohort()), caption="").rows

    assert [row[0] for row in rows] == ["Lactate"]
    assert rows[0][1] == "100 (50 %)"
