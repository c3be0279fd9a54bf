"""How many deaths followed a limitation of treatment, and that no small count is printed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData, TreatmentLimits
from training.cohorts.groups import patient_groups
from training.report.limited_deaths import limited_deaths_sentence
from training.validation.limited_deaths import limited_deaths, under_full_treatment

N = 200
DIED = np.arange(N) < 100
LIMITED = np.where(np.arange(N) % 4 == 0, 0.0, 1.0)


def cohort(limits: TreatmentLimits | None, *, outcome: str = "mortality", event: int = 1) -> Cohort:
    stays = np.arange(N).astype(str).astype(object)
    happened = np.where(DIED, event, 0).astype(np.int64)
    return Cohort(
        pd.DataFrame({"age": np.linspace(40, 80, N)}),
        VARIABLES,
        patient_id=stays,
        stay_id=stays,
        outcome=OutcomeData(outcome, np.where(DIED, 10.0, 90.0), happened),
        treatment_limits=limits,
    )


def test_deaths_are_counted_after_an_order_and_not_before_it() -> None:
    found = limited_deaths(cohort(TreatmentLimits(LIMITED)))
    days = np.where((LIMITED == 1) & (np.arange(N) < 40), 20.0, 5.0)
    later = limited_deaths(cohort(TreatmentLimits(LIMITED, np.where(LIMITED == 1, days, np.nan))))

    assert found is not None
    assert later is not None
    assert (found.deaths, found.after, found.unknown) == (100, 75, 0)
    assert found.share == 0.75
    # Of the first 40, 30 orders are dated after the death, and so did not come before it.
    assert later.after == 45


def test_an_unknown_limitation_is_counted_apart() -> None:
    found = limited_deaths(cohort(TreatmentLimits(np.where(np.arange(N) < 20, np.nan, LIMITED))))

    assert found is not None
    assert (found.after, found.unknown, found.share) == (60, 20, 0.75)
    assert limited_deaths_sentence(found) == (
        "Deaths after a recorded limitation of treatment: 60 of 80 (75 %); unknown in 20 more."
    )


def test_a_cohort_without_the_column_says_that_it_is_unknown() -> None:
    found = limited_deaths(cohort(None))

    assert "unknown; the cohort does not record it" in limited_deaths_sentence(found)
    assert under_full_treatment(cohort(None)) is None


def test_where_death_competes_it_is_the_competing_deaths_that_count() -> None:
    found = limited_deaths(cohort(TreatmentLimits(LIMITED), outcome="fracture", event=2))

    assert found is not None
    assert (found.deaths, found.after) == (100, 75)


def test_an_outcome_without_deaths_has_no_such_share() -> None:
    found = limited_deaths(cohort(TreatmentLimits(LIMITED), outcome="readmission"))

    assert found is None
    assert "not applicable" in limited_deaths_sentence(found)


@pytest.mark.parametrize("few", [0.0, 1.0])
def test_a_count_of_few_deaths_is_withheld(few: float) -> None:
    limited = np.where(np.arange(N) < 7, few, 1 - few)

    found = limited_deaths(cohort(TreatmentLimits(limited, recorded="the first day")))

    assert found is not None
    assert found.after is None
    assert found.as_json()["share"] is None
    assert limited_deaths_sentence(found) == (
        "Deaths after a recorded limitation of treatment: withheld, since the numbers are small "
        "(of 100 deaths). Recorded: the first day."
    )


def test_rows_keep_their_limits_and_are_a_grouping() -> None:
    limits = TreatmentLimits(np.where(np.arange(N) < 20, np.nan, LIMITED), np.full(N, 2.0), "all")
    whole = cohort(limits)

    part = whole.take(np.array([0, 40, 41]))

    assert part.treatment_limits is not None
    assert np.array_equal(part.treatment_limits.limited, [np.nan, 0, 1], equal_nan=True)
    assert part.treatment_limits.days is not None
    assert part.treatment_limits.days.tolist() == [2, 2, 2]
    assert part.treatment_limits.recorded == "all"
    levels = patient_groups(part)["limitation of treatment"]
    assert levels.tolist() == ["unknown", "none recorded", "recorded"]
    full = under_full_treatment(part)
    assert full is not None
    assert full.tolist() == [False, True, False]
    assert "limitation of treatment" not in patient_groups(replace(whole, treatment_limits=None))
