"""Workbooks whose cells do not tell a reader what a person sees."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import openpyxl
import pytest

from data_schema.errors import RulesBroken
from data_schema.table.check import check_cohort
from data_schema.table.files import read_table

_NAMES = ["patient_id", "age", "lactate"]
_ROWS = [[f"P{i}", 40 + i, 1.0 + i / 10] for i in range(30)]


def _book(rows: list[list[object]] | None = None) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    for row in [_NAMES, *_ROWS] if rows is None else rows:
        book.active.append(row)
    return book


def _read(tmp_path: Path, book: openpyxl.Workbook):
    book.save(tmp_path / "cohort.xlsx")
    return read_table(tmp_path / "cohort.xlsx")


def _refused(tmp_path: Path, book: openpyxl.Workbook):
    with pytest.raises(RulesBroken) as broken:
        _read(tmp_path, book)
    (finding,) = broken.value.findings
    return finding


def _warnings(table) -> dict[str, str]:
    warnings = check_cohort(table, outcome=None).report.warnings
    return {finding.rule: finding.message for finding in warnings}


@pytest.mark.parametrize("stored", ["A1", "A1:C11", "A1:B31", "A1:C30", "A1:XFD31"])
def test_the_stored_dimension_does_not_matter(tmp_path: Path, stored: str) -> None:
    content = io.BytesIO()
    _book().save(content)
    path = tmp_path / "cohort.xlsx"
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                part = re.sub(
                    rb'<dimension ref="[^"]*"', b'<dimension ref="%b"' % stored.encode(), part
                )
            target.writestr(name, part)
    table = read_table(path)
    assert table.shape == (30, 3)
    assert table["lactate"].notna().all()


@pytest.mark.parametrize("column", ["A", "B", "C"])
def test_formulas_without_a_value_are_refused_by_count(tmp_path: Path, column: str) -> None:
    book = _book()
    for row in range(2, 9):
        book.active[f"{column}{row}"] = "=1+1"
    finding = _refused(tmp_path, book)
    assert (finding.rule, finding.count) == ("formula_without_value", 7)
    assert _NAMES["ABC".index(column)] in finding.message


def test_a_formula_beside_the_table_does_not_matter(tmp_path: Path) -> None:
    book = _book([["x", "y"], [1, 2], [3, 4]])
    book.active["A1"] = "x"
    assert _read(tmp_path, book).shape == (2, 2)


def test_merged_cells_are_refused_by_name_but_not_in_the_header(tmp_path: Path) -> None:
    book = _book()
    book.active.merge_cells("C3:C9")
    finding = _refused(tmp_path, book)
    assert (finding.rule, finding.count) == ("merged_cells", 1)
    assert "C3:C9" in finding.message


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_the_visible_sheet_is_read_and_others_are_named(tmp_path: Path, state: str) -> None:
    book = _book([["patient_id", "age"], ["old", 1]])
    book.active.title = "stale"
    book.active.sheet_state = state
    sheet = book.create_sheet("Data")
    for row in [_NAMES, *_ROWS]:
        sheet.append(row)
    book.create_sheet("Sheet3")
    book.active = 1
    table = _read(tmp_path, book)
    assert len(table) == 30
    message = _warnings(table)["sheets_not_read"]
    assert '"Data" is read, and 1 with cells is not: "stale" (hidden)' in message


def test_a_second_full_sheet_is_named(tmp_path: Path) -> None:
    book = _book()
    second = book.create_sheet("Site B")
    for row in [_NAMES, *_ROWS]:
        second.append(row)
    assert '"Site B"' in _warnings(_read(tmp_path, book))["sheets_not_read"]


def test_a_cover_sheet_is_passed_over(tmp_path: Path) -> None:
    book = _book([["Read me first"], ["Made by the laboratory"]])
    sheet = book.create_sheet("Data")
    for row in [_NAMES, *_ROWS]:
        sheet.append(row)
    assert len(_read(tmp_path, book)) == 30


def test_hidden_rows_and_columns_are_read_and_counted(tmp_path: Path) -> None:
    book = _book()
    for row in (5, 6, 7):
        book.active.row_dimensions[row].hidden = True
    book.active.column_dimensions["B"].hidden = True
    table = _read(tmp_path, book)
    assert len(table) == 30
    assert "3 rows and 1 columns (age)" in _warnings(table)["hidden_cells"]


def test_a_title_and_group_names_above_the_header_are_named(tmp_path: Path) -> None:
    groups = [["Patient", None, None], _NAMES, *_ROWS]
    finding = _refused(tmp_path, _book(groups))
    assert finding.rule == "header_row"
    assert "row 2, with 3 names" in finding.message


def test_blank_rows_above_the_header_are_passed_over(tmp_path: Path) -> None:
    assert len(_read(tmp_path, _book([[None], [None], _NAMES, *_ROWS]))) == 30


def test_an_ordinary_workbook_is_read_without_a_finding(tmp_path: Path) -> None:
    assert {"sheets_not_read", "hidden_cells"}.isdisjoint(_warnings(_read(tmp_path, _book())))


@pytest.mark.parametrize("damage", ["bits", "cut", "control character"])
def test_a_damaged_workbook_is_unreadable_in_words(tmp_path: Path, damage: str) -> None:
    content = io.BytesIO()
    _book().save(content)
    path = tmp_path / "cohort.xlsx"
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            if name == "xl/worksheets/sheet1.xml" and damage == "cut":
                part = part[: len(part) // 2]
            if name == "xl/worksheets/sheet1.xml" and damage == "control character":
                part = part.replace(b"P3<", b"P\x013<")
            target.writestr(name, part, zipfile.ZIP_DEFLATED)
    if damage == "bits":
        raw = bytearray(path.read_bytes())
        start = raw.index(b"xl/worksheets/sheet1.xml") + 60
        raw[start : start + 40] = bytes(40)
        path.write_bytes(raw)
    with pytest.raises(RulesBroken, match="damaged"):
        read_table(path)
