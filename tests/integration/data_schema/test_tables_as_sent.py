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
