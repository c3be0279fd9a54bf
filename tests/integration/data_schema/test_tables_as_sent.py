"""Every table of `../shared/cases` gives the answer that its README expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_schema.errors import RulesBroken
from data_schema.mapping.file import read_mapping
from data_schema.table.check import Checked, check_cohort
from data_schema.table.files import read_table

_CASES = Path(__file__).parents[4] / "shared" / "cases"

pytestmark = pytest.mark.skipif(
    not _CASES.is_dir(), reason="the inputs of ../shared/cases are not on this machine"
)

_BASE = (160, 160, 52, 46_865.0)


def _checked(name: str, *, outcome: str = "mortality", mapping: str = "") -> Checked:
    stated = read_mapping(_CASES / f"{mapping}.toml") if mapping else None
    return check_cohort(read_table(_CASES / name), outcome=outcome, mapping=stated)


def _figures(checked: Checked) -> tuple[int, int, int, float]:
    """Return rows, patients, events and the sum of days."""
    cohort = checked.cohort
    assert cohort is not None, [f.message for f in checked.report.fatal]
    assert cohort.outcome is not None
    return (
        len(cohort.patient_id),
        len(set(cohort.patient_id)),
        int((cohort.outcome.event == 1).sum()),
        round(float(cohort.outcome.time_days.sum()), 2),
    )


@pytest.mark.parametrize(
    "name",
    [
        *(f"xlsx-dimension-{kind}.xlsx" for kind in ("short-rows", "short-columns", "a1")),
        "xlsx-hidden-first-sheet.xlsx",
        *("sep-line.csv", "comma-space-quoted.csv", "cr-only.csv", "legit-multiline.csv"),
    ],
)
def test_whole_tables_are_read(name: str) -> None:
    checked = _checked(name)
    assert _figures(checked) == _BASE
    assert checked.cohort is not None
    assert checked.cohort.features["ctx_s"].notna().all()


def test_a_header_in_windows_1252_is_read() -> None:
    checked = _checked("encoding-cp1252-header.csv", mapping="encoding-cp1252-header")
    assert _figures(checked) == _BASE
    assert checked.cohort is not None
    assert checked.cohort.features["crp"].notna().all()


@pytest.mark.parametrize(
    ("name", "rule", "count", "words"),
    [
        ("two-stray-quotes.csv", "stray_quote", 1, "quotation mark"),
        ("one-stray-quote.csv", "stray_quote", 1, "quotation mark"),
        ("xlsx-formula-all-lactate.xlsx", "formula_without_value", 160, "160 formulas without a"),
        ("xlsx-merged-sepsis.xlsx", "merged_cells", 8, "L2:L21"),
        ("encoding-one-bad-byte.csv", "encoding", 1, "line 6"),
        ("title-row.xlsx", "header_row", 1, "row 2"),
        ("three-header-rows.xlsx", "header_row", 1, "row 2"),
        ("corrupt-stream.xlsx", "unreadable", 1, "damaged"),
        ("truncated-xml.xlsx", "unreadable", 1, "damaged"),
    ],
)
def test_what_is_not_one_table_is_refused_in_words(
    name: str, rule: str, count: int, words: str
) -> None:
    with pytest.raises(RulesBroken) as broken:
        read_table(_CASES / name)
    (finding,) = broken.value.findings
    assert (finding.rule, finding.count) == (rule, count)
    assert words in finding.message


def test_the_control_has_no_finding() -> None:
    report = _checked("large-correct.csv").report
    assert (report.fatal, report.warnings) == ((), ())


@pytest.mark.parametrize(
    ("name", "mapping", "rule", "variable"),
    [
        ("ids-exponent.csv", "", "id_spelling", "patient_id"),
        ("xlsx-median-row.xlsx", "", "summary_row", "patient_id"),
        ("leak-missing-only-in-dead.csv", "", "leak_outcome", "ctx_s"),
        ("leak-level-only-in-dead.csv", "plan", "leak_outcome", "plan"),
        ("list-in-category.parquet", "", "nested", "sex"),
        ("delayed-entry.csv", "delayed-entry", "delayed_entry", "entry_days"),
    ],
)
def test_tables_are_refused_by_rule(name: str, mapping: str, rule: str, variable: str) -> None:
    fatal = {f.rule: f.variable for f in _checked(name, mapping=mapping).report.fatal}
    assert fatal.get(rule) == variable


@pytest.mark.parametrize("name", ["ids-formula-wrapped.csv", "ids-formula-half.csv"])
def test_the_wrapper_of_an_identifier_is_no_part_of_it(name: str) -> None:
    assert _figures(_checked(name)) == (160, 80, 52, 46_865.0)


@pytest.mark.parametrize("kind", ["only", "one-timestamp", "death-time-last-seen-date"])
def test_one_time_of_day_moves_no_other_patient(kind: str) -> None:
    checked = _checked(f"dates-{kind}.csv", mapping="dates")
    *counts, days = _figures(checked)
    assert counts == [154, 154, 46]
    assert days == pytest.approx(46_006, abs=3 if kind.startswith("death") else 0.5)


def test_flags_with_a_fraction_are_flags() -> None:
    cohort = _checked("float-flag-only.csv").cohort
    assert cohort is not None
    assert cohort.features["sepsis"].notna().sum() == 159


def test_numbers_of_two_sites_are_different_patients() -> None:
    checked = _checked("same-ids-two-sites-time-zero.csv")
    assert _figures(checked)[:2] == (160, 160)
    assert "ids_of_sites" in {f.rule for f in checked.report.warnings}


def test_an_ignored_list_does_not_matter() -> None:
    assert _figures(_checked("list-column-two-stays.parquet"))[:2] == (160, 80)


@pytest.mark.parametrize(
    ("name", "outcome", "rule"),
    [
        ("event-swapped.csv", "mortality", "events_at_end"),
        ("follow-up-years.csv", "mortality", "no_horizon"),
        ("in-hospital-only.csv", "mortality", "no_horizon"),
        ("fracture-coded-1-2.csv", "fracture", "no_censored"),
    ],
)
def test_codes_and_units_of_the_outcome_are_questioned(name: str, outcome: str, rule: str) -> None:
    report = _checked(name, outcome=outcome).report
    assert rule in {f.rule for f in report.warnings}


@pytest.mark.parametrize(
    ("name", "longest", "can_be_learned"),
    [
        ("large-correct.csv", 1500, [True, True, True]),
        ("follow-up-years.csv", 1, [False, False, False]),
        ("in-hospital-only.csv", 24, [False, False, False]),
    ],
)
def test_the_check_states_the_longest_follow_up_and_what_can_be_learned(
    name: str, longest: float, can_be_learned: list[bool]
) -> None:
    (follow_up,) = _checked(name).report.follow_up
    assert follow_up.longest_days == pytest.approx(longest, rel=0.01)
    assert [horizon.can_be_learned for horizon in follow_up.horizons] == can_be_learned
