"""Two states without a value in a table: recorded as not done, and not entered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checked_cohorts import N, check, clean, only, put
from data_schema.cohort import Cohort

CTX = '[columns.ctx_s]\nvariable = "ctx_s"\nunit = "pg/mL"\n'
SITE = '[columns.zebra]\nvariable = "zebra"\nkind = "number"\npathway = "person"\nunit = "1"\n'


def without_ctx(*states: object) -> pd.DataFrame:
    """Return a clean cohort whose first rows have no CTX, and the state of each of these rows."""
    table = put("ctx_s", *[""] * len(states))(clean())
    return table.assign(ctx_s__not_done=[*states, *["0"] * (N - len(states))])


def cohort_of(table: pd.DataFrame, mapping: str = "") -> Cohort:
    checked = check(table, mapping)
    assert checked.cohort is not None, checked.report.fatal
    return checked.cohort


def test_a_blank_flag_means_not_entered_and_1_recorded_as_not_done() -> None:
    cohort = cohort_of(without_ctx("1", "", "0", None, 1))
    assert cohort.not_done["ctx_s__not_done"].tolist() == [1, 0, 0, 0, 1, *[0] * (N - 5)]
    assert cohort.features["ctx_s"].isna().tolist() == [True] * 5 + [False] * (N - 5)
    assert cohort.variables["ctx_s"].name == "ctx_s"


def test_a_value_beside_the_flag_is_fatal_and_counted() -> None:
    table = without_ctx("1", "1").assign(ctx_s=clean()["ctx_s"])
    finding = only(check(table))
    assert (finding.rule, finding.variable, finding.count) == ("not_done_with_value", "ctx_s", 2)
    assert "ctx_s__not_done is 1; 2 of 120 rows have both" in finding.message


@pytest.mark.parametrize("column", ["ctx_s__max", "ctx_s__slope", "ctx_s__count"])
def test_any_value_of_the_variable_contradicts_the_flag(column: str) -> None:
    finding = only(check(without_ctx("1").assign(**{column: "300"})))
    assert (finding.rule, finding.count) == ("not_done_with_value", 1)


def test_no_sample_is_no_value() -> None:
    counted = without_ctx("1").assign(ctx_s__count=["0"] + ["2"] * (N - 1))
    assert cohort_of(counted).not_done["ctx_s__not_done"].sum() == 1


def test_a_flag_without_any_entry_is_left_out_without_a_warning() -> None:
    checked = check(clean().assign(ctx_s__not_done=""))
    assert checked.report.warnings == ()
    assert checked.cohort is not None
    assert checked.cohort.not_done is None


def test_other_cells_than_0_and_1_are_fatal() -> None:
    finding = only(check(without_ctx("2")))
    assert (finding.rule, finding.variable, finding.count) == ("flag", "ctx_s__not_done", 1)


def test_a_flag_alone_is_nothing_to_learn_from() -> None:
    table = clean()[["patient_id", "mortality_days", "mortality_event"]].assign(age__not_done="0")
    assert "no_variable" in {finding.rule for finding in check(table).report.fatal}


def test_words_in_cells_record_what_was_not_done() -> None:
    table = put("ctx_s", "not sent", "", "NOT SENT")(clean())
    cohort = cohort_of(table, CTX + 'not_done = ["not sent"]')
    assert cohort.not_done["ctx_s__not_done"].tolist() == [1, 0, 1, *[0] * (N - 3)]
    assert cohort.features["ctx_s"].isna().sum() == 3


def test_words_and_flag_are_joined() -> None:
    table = without_ctx("1", "0", "0").pipe(put("ctx_s", "", "not sent"))
    cohort = cohort_of(table, CTX + 'not_done = ["not sent"]')
    assert cohort.not_done["ctx_s__not_done"].tolist()[:3] == [1, 1, 0]


def test_words_of_a_category_record_what_was_not_asked() -> None:
    table = put("sex", "not asked", "")(clean())
    cohort = cohort_of(table, '[columns.sex]\nvariable = "sex"\nnot_done = ["not asked"]')
    assert cohort.not_done["sex__not_done"].tolist()[:3] == [1, 0, 0]
    assert cohort.features["sex"].tolist()[:2] == [None, None]


@pytest.mark.parametrize("key", ['unit = "pg/mL"', 'assay = "ELISA"', "lower_limit = 5"])
def test_what_belongs_to_a_value_must_not_be_stated_with_the_flag(key: str) -> None:
    mapping = f'[columns.lost]\nvariable = "ctx_s__not_done"\n{key}'
    finding = only(check(clean().assign(lost="0"), mapping))
    assert (finding.rule, finding.variable) == ("not_done_with_value", "ctx_s__not_done")
    assert key.split()[0] in finding.message


def test_a_variable_of_the_site_has_the_flag_too() -> None:
    rng = np.random.default_rng(0)
    table = clean().assign(zebra=rng.normal(size=N).round(3), zebra__not_done="0")
    table = put("zebra", None)(put("zebra__not_done", "1")(table))
    cohort = cohort_of(table, SITE)
    assert cohort.not_done["zebra__not_done"].tolist()[:2] == [1, 0]
    assert cohort.variables["zebra"].pathway == "person"
    both = only(check(put("zebra", "1")(table), SITE))
    assert (both.rule, both.variable, both.count) == ("not_done_with_value", "zebra", 1)


def test_a_flag_of_an_unknown_variable_is_no_column_of_the_cohort() -> None:
    checked = check(clean().assign(zebra__not_done="1"))
    assert [finding.rule for finding in checked.report.warnings] == ["ignored_columns"]
    named = check(clean().assign(z="1"), '[columns.z]\nvariable = "zebra__not_done"')
    assert only(named).rule == "unknown_variable"


@given(st.lists(st.tuples(st.sampled_from(["", "0", "1"]), st.booleans()), max_size=40))
def test_both_states_and_values_add_up_to_the_rows(rows: list[tuple[str, bool]]) -> None:
    table = clean().assign(ctx_s__not_done="0")
    for place, (state, measured) in enumerate(rows):
        table.loc[place, "ctx_s__not_done"] = state
        if not measured:
            table.loc[place, "ctx_s"] = ""
    contradictions = sum(state == "1" and measured for state, measured in rows)
    checked = check(table)
    if contradictions:
        assert only(checked).count == contradictions
        return
    assert checked.cohort is not None
    features, flags = checked.cohort.features, checked.cohort.not_done
    assert flags is not None
    measured_rows = features["ctx_s"].notna()
    not_done = flags["ctx_s__not_done"] == 1
    assert not (measured_rows & not_done).any()
    assert not_done.sum() == sum(state == "1" for state, _ in rows)
