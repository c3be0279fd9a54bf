from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_schema.errors import OutsideError, UsageError
from data_schema.table.files import read_table
from data_schema.values import cell_texts
from training.files import (
    require_new_folder,
    table_in_parts,
    whole_file,
    whole_folder,
    write_table,
)


def fail_half_way(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as draft:
        draft.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.txt") as draft:
        fail_half_way(draft)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "out") as draft:
        fail_half_way(draft / "a.txt")
    assert list(tmp_path.iterdir()) == []
    with whole_folder(tmp_path / "out") as draft:
        (draft / "a.txt").write_text("whole")
    assert (tmp_path / "out" / "a.txt").read_text() == "whole"


def test_old_and_new_results_are_never_mixed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist yet"):
        require_new_folder(tmp_path)


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv"])
def test_a_table_is_written_in_the_format_of_its_name(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"risk": [0.1, None], "status": ["ok", "refused"]})
    write_table(table, tmp_path / name)
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    pd.testing.assert_frame_equal(read(tmp_path / name), table, check_dtype=False)


@pytest.mark.parametrize("name", ["scores.xlsx", "scores", "no_folder/scores.csv"])
def test_a_path_that_no_table_can_be_written_to_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="out must"):
        write_table(pd.DataFrame(), tmp_path / name)


def test_a_disk_that_fails_is_an_outside_error(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="could not be written"), whole_file(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_csv_file_holds_no_formula_and_reads_back_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "patient_id": ["=HYPERLINK(1)", "+cmd", "-x", "@a", "-1.5", "plain"],
            "risk": [-0.5, 0.25, 1e-9, None, 2.0, 3.0],
            "=header": ["a", None, "b", "", "c", "d"],
            "kind": pd.Categorical(["=a", "b", "=a", "b", "b", "b"]),
        }
    )
    write_table(frame, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    formulas = [cell for cell in cells if cell[:1] in {"=", "+", "-", "@"}]
    assert formulas == ["-0.5", "-1.5"]
    read = read_table(tmp_path / "table.csv")
    assert list(cell_texts(read["patient_id"])) == frame["patient_id"].tolist()


def test_a_table_in_parts_is_the_table_of_all_parts(tmp_path: Path) -> None:
    parts = [
        pd.DataFrame({"risk": [0.1, None], "note": [None, None], "code": ["=1", "b"]}),
        pd.DataFrame({"risk": [0.3], "note": ["late"], "code": ["c"]}),
    ]
    parts[0].attrs["mark"] = "simulated"
    for name in ("a.parquet", "a.csv"):
        with table_in_parts(tmp_path / name) as append:
            for part in parts:
                append(part)
            assert not (tmp_path / name).exists()
    whole = pd.concat(parts, ignore_index=True)
    read = pd.read_parquet(tmp_path / "a.parquet")
    for column in whole:
        assert read[column].dropna().tolist() == whole[column].dropna().tolist()
        assert read[column].isna().tolist() == whole[column].isna().tolist()
    assert read.attrs == {"mark": "simulated"}
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2
    text = (tmp_path / "a.csv").read_text().splitlines()
    assert text[0] == "risk,note,code"
    assert [line.rsplit(",", 1)[1] for line in text[1:]] == ["'=1", "b", "c"]


def test_a_table_whose_parts_fail_is_not_written(tmp_path: Path) -> None:
    part = pd.DataFrame({"risk": [0.1]})

    def append_and_fail(append: Callable[[pd.DataFrame], None]) -> None:
        append(part)
        raise RuntimeError

    with pytest.raises(RuntimeError), table_in_parts(tmp_path / "a.parquet") as append:
        append_and_fail(append)
    assert list(tmp_path.iterdir()) == []


def test_arrow_tables_are_appended_to_a_draft_in_another_folder(tmp_path: Path) -> None:
    schema = pa.schema({"risk": pa.float64(), "code": pa.string()})
    parts = [{"risk": [0.1, None], "code": ["=1", None]}, {"risk": [None], "code": [None]}]
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    for name in ("a.parquet", "a.csv"):
        with table_in_parts(tmp_path / name, drafts=drafts) as append:
            for part in parts:
                append(pa.table(part, schema=schema))
            assert [path.suffix for path in drafts.iterdir()] == [Path(name).suffix]
        assert list(drafts.iterdir()) == []
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.num_row_groups == 2
    assert file.schema_arrow == schema
    assert file.read().to_pydict() == {"risk": [0.1, None, None], "code": ["=1", None, None]}
    assert (tmp_path / "a.csv").read_text().splitlines() == ["risk,code", "0.1,'=1", ",", ","]
