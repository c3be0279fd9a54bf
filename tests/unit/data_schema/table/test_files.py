"""Files that make a table, and files that are refused before any cell is looked at."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from data_schema.errors import RulesBroken, UsageError
from data_schema.table.files import read_table
from data_schema.table.header import MAX_COLUMNS

ROWS = [("p1", "1,5", "<9,99"), ("p2", "", "12")]


def _write(tmp_path: Path, text: str, *, encoding: str = "utf-8", name: str = "cohort.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def _rule_of(path: Path) -> str:
    with pytest.raises(RulesBroken) as broken:
        read_table(path)
    return broken.value.findings[0].rule


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_any_delimiter_and_encoding_gives_the_same_text(
    tmp_path: Path, delimiter: str, encoding: str
) -> None:
    lines = [delimiter.join(row) for row in (("id", "Größe", "E2, pg/mL"), *ROWS)]
    table = read_table(_write(tmp_path, "\r\n".join(lines) + "\r\n", encoding=encoding))
    assert list(table.columns) == ["id", "Größe", "E2, pg/mL"]
    assert table.iloc[0].tolist() == list(ROWS[0])
    assert table["Größe"].isna().tolist() == [False, True]


def test_cells_of_a_csv_stay_text(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, "id,a,b\n007,1e3,NA\n008,1.50,nan\n"))
    assert table.iloc[0].tolist() == ["007", "1e3", "NA"]
    assert table["a"].tolist() == ["1e3", "1.50"]


def test_quoted_cells_may_hold_the_delimiter_and_line_ends(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, 'id,note\np1,"a, b\nc"\np2,d\n'))
    assert table["note"].tolist() == ["a, b\nc", "d"]


def test_one_column_is_a_table(tmp_path: Path) -> None:
    assert read_table(_write(tmp_path, "age\n50\n60\n"))["age"].tolist() == ["50", "60"]


def test_empty_rows_are_left_out_and_a_nameless_column_gets_its_position(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path, "id,age,\np1,50,\n,,\n\np2,60,\n"))
    assert list(table.columns) == ["id", "age", "column 3"]
    assert list(table.index) == [0, 1]


def test_a_spreadsheet_keeps_the_types_of_its_cells(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    written = pd.DataFrame({"id": ["p1", "p2"], "age": [50, 61.5], "CTX [ng/mL]": ["<0.1", None]})
    written.to_excel(path, index=False)
    table = read_table(path)
    assert table["age"].tolist() == [50, 61.5]
    assert table["CTX [ng/mL]"].tolist()[0] == "<0.1"
    assert table["CTX [ng/mL]"].isna().tolist() == [False, True]


def test_a_parquet_file_without_its_index_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cohort.parquet"
    written = pd.DataFrame({"age": [50.0, 60.0], "sex": ["female", None]}, index=[7, 3])
    written.to_parquet(path)
    table = read_table(path)
    assert list(table.columns) == ["age", "sex"]
    assert list(table.index) == [0, 1]


def test_a_missing_file_and_an_unknown_kind_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be a file"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(UsageError, match="must be a file"):
        read_table(tmp_path)
    with pytest.raises(UsageError, match=r"must be one of \.csv"):
        read_table(_write(tmp_path, "a,b\n", name="cohort.sav"))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty_file"),
        (" \n\n", "empty_file"),
        ("id,age\n", "no_rows"),
        ("id,age\n,\n", "no_rows"),
        ("id,age,age\np1,50,51\n", "duplicate_columns"),
        ("p1,63,1.5,0.3\np2,64,1.7,0.4\n", "no_header"),
        ("id,age\np1,50,9\np2,51\n", "ragged_rows"),
        ("id,age\np1\np2,51\n", "ragged_rows"),
        ("id,age\np1,\x00\n", "unreadable"),
    ],
)
def test_what_is_no_table_is_refused_by_rule(tmp_path: Path, text: str, rule: str) -> None:
    assert _rule_of(_write(tmp_path, text)) == rule


@pytest.mark.parametrize("name", ["cohort.xlsx", "cohort.parquet"])
def test_a_file_that_is_not_what_its_name_says_is_unreadable(tmp_path: Path, name: str) -> None:
    assert _rule_of(_write(tmp_path, "id,age\np1,50\n", name=name)) == "unreadable"


def test_a_spreadsheet_with_more_cells_than_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cohort.xlsx"
    pd.DataFrame([["id", "age", None], ["p1", 50, 3]]).to_excel(path, index=False, header=False)
    assert _rule_of(path) == "ragged_rows"


def test_ten_thousand_columns_are_refused_by_their_number(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(10_000))
    path = _write(tmp_path, f"{names}\n{','.join('1' * 10_000)}\n")
    with pytest.raises(RulesBroken, match=f"at most {MAX_COLUMNS} columns; it has 10000") as broken:
        read_table(path)
    assert broken.value.findings[0].rule == "too_many_columns"
    wide = tmp_path / "wide.parquet"
    pd.DataFrame([[1] * 6_000], columns=[f"c{i}" for i in range(6_000)]).to_parquet(wide)
    assert _rule_of(wide) == "too_many_columns"


def test_no_message_quotes_a_cell(tmp_path: Path) -> None:
    path = _write(tmp_path, "id,age\np1,50,SECRET-1\nSECRET-2,51\n")
    with pytest.raises(RulesBroken) as broken:
        read_table(path)
    assert "SECRET" not in str(broken.value)
    assert broken.value.__cause__ is None
