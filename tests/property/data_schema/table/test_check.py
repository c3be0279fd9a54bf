"""What holds for any table at the door."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.drafting.draft import draft_mapping
from data_schema.mapping.file import CohortMapping, parse_mapping
from data_schema.table.check import check_cohort

# Each is recognisable wherever it turns up, and each breaks some rule in some column.
SENTINELS = [
    *("7654321", "-765.4321", "<76543.21", ">765432.1", "7,654", "7,6,5,4", "76543 ng", "NaN76543"),
    *("Sentinel76543", "2076-05-43", "inf", "", None, "1e76543", "0.076543"),
]
COLUMNS = [
    *("patient_id", "stay_id", "site", "time_zero", "age", "sex", "shock", "pregnant", "ctx_s"),
    *("estradiol", "estradiol__below", "lactate__max", "lactate__count", "menopausal_status"),
    *("mortality_days", "mortality_event", "fracture_days", "fracture_event", "own", "kit", "unit"),
]
MAPPING = parse_mapping("""
[columns.ctx_s]
variable = "ctx_s"
unit_column = "unit"
assay_column = "kit"
lower_limit = 10
[columns.own]
variable = "own"
kind = "category"
pathway = "person"
""")
DATES = parse_mapping("""
[ids]
time_zero = "time_zero"
[outcome.fracture]
event_date = "mortality_days"
last_seen_date = "fracture_days"
competing_date = "site"
""")
TELLTALE = re.compile(r"76[.,]?5[.,]?4|7654|7,65|7,6,5|inf(?!ection)|Sentinel|2076", re.IGNORECASE)


def tables() -> st.SearchStrategy[pd.DataFrame]:
    """Tables of sentinels among cells that keep the rules."""
    good = {"sex": "female", "time_zero": "2020-01-01", "unit": "pg/mL", "kit": "A", "own": "x"}

    def table(cells: list[list[str | None]]) -> pd.DataFrame:
        frame = pd.DataFrame(cells, columns=COLUMNS, dtype=object)
        rows = pd.concat([frame] * 3, ignore_index=True)
        for column in COLUMNS:
            rows.loc[rows.index >= 2 * len(frame), column] = good.get(column, "1")
        return rows

    row = st.lists(st.sampled_from(SENTINELS), min_size=len(COLUMNS), max_size=len(COLUMNS))
    return st.lists(row, min_size=1, max_size=6).map(table)


@settings(max_examples=40, deadline=None)
@given(tables(), st.sampled_from(["mortality", "fracture", None]), st.booleans())
def test_no_message_repeats_a_cell(table: pd.DataFrame, outcome: str | None, strict: bool) -> None:
    for mapping in (None, MAPPING, DATES):
        report = check_cohort(table, outcome=outcome, mapping=mapping, strict=strict).report
        for finding in (*report.fatal, *report.warnings):
            assert not TELLTALE.search(finding.message), finding
            assert not TELLTALE.search(finding.variable), finding


@settings(max_examples=25, deadline=None)
@given(tables(), st.sampled_from(["mortality", "fracture", None]))
def test_there_is_a_cohort_exactly_when_nothing_is_fatal(
    table: pd.DataFrame, outcome: str | None
) -> None:
    checked = check_cohort(table, outcome=outcome)
    assert (checked.cohort is None) == bool(checked.report.fatal)
    assert all(finding.count > 0 for finding in checked.report.fatal)


@settings(max_examples=15, deadline=None)
@given(tables(), st.integers(0, 2**16))
def test_the_order_of_rows_and_columns_is_irrelevant(table: pd.DataFrame, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffled = table.iloc[rng.permutation(len(table)), rng.permutation(len(table.columns))]
    first, second = (check_cohort(t, outcome="mortality").report for t in (table, shuffled))
    assert set(first.fatal) == set(second.fatal)
    assert {(f.rule, f.variable, f.count) for f in first.warnings} == {
        (f.rule, f.variable, f.count) for f in second.warnings
    }


@settings(max_examples=40, deadline=None)
@given(tables())
def test_any_table_gets_a_draft_that_is_a_mapping(table: pd.DataFrame) -> None:
    assert isinstance(parse_mapping(draft_mapping(table)), CohortMapping)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True))
def test_any_header_gets_a_draft_that_is_a_mapping(headers: list[str]) -> None:
    table = pd.DataFrame([["1"] * len(headers)], columns=headers)
    assert isinstance(parse_mapping(draft_mapping(table)), CohortMapping)
