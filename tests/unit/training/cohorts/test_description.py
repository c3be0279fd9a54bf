"""Characteristics of the patients, and which of their counts are withheld."""

from dataclasses import replace

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


def test_a_number_has_quartiles_overall_and_in_each_group() -> None:
    whole = cohort()
    groups = by_outcome(whole.outcome, 50, event_label="death", competing=None)

    description = describe(whole, [groups])

    assert [group["label"] for group in description["groups"]] == [
        *("all", "death by day 50", "no death by then")
    ]
    assert [group["stays"] for group in description["groups"]] == [200, 40, 160]
    age = named(description, "age")["groups"]
    assert age[0]["quartiles"] == pytest.approx([49.75, 99.5, 149.25])
    assert age[1]["quartiles"][1] == pytest.approx(97.5)
    assert recorded_share(named(description, "lactate")["groups"][0]) == 0.5


def test_a_rare_flag_is_withheld_with_its_complement() -> None:
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


def test_no_count_of_simulated_patients_is_withheld() -> None:
    whole = replace(cohort(), simulated=True)
    groups = by_outcome(whole.outcome, 50, event_label="death", competing=None)

    row = named(describe(whole, [groups]), "dialysis")["groups"]

    assert row[0]["levels"] == [4, 196, 0]


def test_missing_data_are_shown_where_they_differ_by_more_than_chance() -> None:
    by_chance = cohort(400)
    died = by_chance.outcome.event == 1
    more = by_chance.features.assign(lactate=np.where(died, np.nan, 1.0))
    groups = by_outcome(by_chance.outcome, 50, event_label="death", competing=None)

    assert missing_table(describe(by_chance, [groups]), caption="") is None
    table = missing_table(describe(replace(by_chance, features=more), [groups]), caption="")
    assert table is not None
    assert [row[0] for row in table.rows] == ["Lactate"]


def test_many_stays_of_few_patients_are_withheld() -> None:
    # 24 stays with a lactate, of two patients.
    few = cohort(n=240, stays=12)
    few.features["lactate"] = np.where(np.arange(240) < 24, 1.0, np.nan)

    lactate = named(describe(few), "lactate")["groups"][0]

    assert lactate["levels"] == [None, None]
    assert lactate["quartiles"] is None


def outcomes(*counts: int) -> OutcomeData:
    """Return numbers of fractures, deaths first, survivors and censored patients, by day 20."""
    time, event = np.repeat([5.0, 6.0, 30.0, 7.0], counts), np.repeat([1, 2, 0, 0], counts)
    return OutcomeData("fracture", time, event)


def test_competing_events_and_censored_patients_are_groups_of_their_own() -> None:
    groups = by_outcome(outcomes(60, 70, 80, 90), 20, event_label="fracture", competing="death")

    assert groups["labels"] == [
        *("fracture by day 20", "death first", "neither by then", "censored before then")
    ]
    assert np.bincount(groups["group"]).tolist() == [60, 70, 80, 90]


def test_few_censored_patients_are_counted_with_those_without_a_known_event() -> None:
    groups = by_outcome(outcomes(60, 0, 80, 9), 20, event_label="fracture", competing=None)

    assert groups["labels"] == ["fracture by day 20", "no fracture known by then"]
    assert np.bincount(groups["group"]).tolist() == [60, 89]


def test_two_groupings_together_do_not_reveal_what_each_withholds() -> None:
    whole = cohort(600)
    # 14 on dialysis, of them 12 among the first 300: the other 2 follow from the first and all.
    whole.features["dialysis"] = (np.isin(np.arange(600), [*range(12), 400, 401])).astype(float)
    parts = Grouping(labels=["one", "other"], group=(np.arange(600) >= 300).astype(int))
    outcome = by_outcome(whole.outcome, 50, event_label="death", competing=None)

    description = describe(whole, [outcome, parts])
    dialysis = named(description, "dialysis")["groups"]

    yes = {g["label"]: v["levels"][0] for g, v in zip(description["groups"], dialysis, strict=True)}
    assert yes["all"] == 14
    assert (yes["one"], yes["other"]) == (None, None)


def test_standardised_difference_of_numbers_is_in_standard_deviations() -> None:
    one = describe(cohort())
    moved = cohort()
    moved.features["age"] += 10
    spread = moved.features["age"].std()

    other = describe(moved, like=one)

    difference = standardised_difference(
        named(one, "age")["groups"][0], named(other, "age")["groups"][0]
    )
    assert difference == pytest.approx(10 / spread)


def test_standardised_difference_of_two_levels_is_that_of_their_share() -> None:
    one, other = (named(describe(cohort()), "sex")["groups"][0] for _ in range(2))
    other["levels"] = [100, 100, 0]  # 50 % against 75 %
    p, q = 0.75, 0.5

    difference = standardised_difference(one, other)

    assert difference == pytest.approx((p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2))


def test_levels_of_another_cohort_are_compared_under_the_same_names() -> None:
    one = describe(cohort())
    swapped = cohort()
    swapped.features["sex"] = np.where(swapped.features["sex"] == "male", "female", "male").astype(
        object
    )

    rows = comparison_table(
        one, describe(swapped, like=one), labels=("training", "held out"), caption=""
    ).rows

    male = next(row for row in rows if row[0].endswith("male") and "female" not in row[0])
    assert male[1:3] == ("150 (75 %)", "50 (25 %)")
