"""Patients are drawn by identifier and seed, in any order of the rows and on any machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_schema.table.simulated_marks import FILE_MARK
from training.cohorts.drawn_patients import drawn_from_file, drawn_rows, patient_keys
from training.config import RunConfig

PATIENTS, STAYS = 3_000, 5_000


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Return stays of patients, some of whom have several."""
    rng = np.random.default_rng(1)
    patient = rng.permutation(
        np.concatenate([np.arange(PATIENTS), rng.integers(0, PATIENTS, 2_000)])
    )
    return pd.DataFrame(
        {
            "patient_id": [f"p{k}" for k in patient],
            "stay_id": [f"s{k}" for k in range(STAYS)],
            "age": rng.normal(60, 10, STAYS).round(1),
        }
    )


def settings(most: int, seed: int = 0) -> RunConfig:
    return RunConfig(max_patients=most, seed=seed)


def write(table: pd.DataFrame, path: Path, rows: int) -> Path:
    table.to_parquet(path, index=False, row_group_size=rows)
    return path


def test_so_many_patients_are_drawn_each_with_all_stays(table: pd.DataFrame) -> None:
    drawn = drawn_rows(table, settings(1_000))
    chosen = set(drawn.table["patient_id"])
    assert len(chosen) == 1_000
    whole = table[table["patient_id"].isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(drawn.table, whole)
    (finding,) = drawn.findings
    assert finding.rule == "drawn_patients"
    assert finding.count == STAYS - len(whole)
    assert "1000 patients drawn at random" in finding.message


def test_a_cohort_of_fewer_patients_is_read_whole(table: pd.DataFrame, tmp_path: Path) -> None:
    path = write(table, tmp_path / "c.parquet", 700)
    for drawn in (drawn_rows(table, settings(3_000)), drawn_from_file(path, settings(3_000))):
        pd.testing.assert_frame_equal(drawn.table, table, check_dtype=False)
        assert drawn.findings == ()


@pytest.mark.parametrize("rows", [5_000, 700, 64])
def test_row_groups_draw_the_patients_that_the_table_does(
    table: pd.DataFrame, tmp_path: Path, rows: int
) -> None:
    drawn = drawn_from_file(write(table, tmp_path / "c.parquet", rows), settings(1_000))
    expected = drawn_rows(table, settings(1_000))
    pd.testing.assert_frame_equal(drawn.table, expected.table, check_dtype=False)
    assert drawn.findings == expected.findings


def test_the_order_of_rows_and_a_csv_draw_the_same_patients(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    expected = set(drawn_rows(table, settings(1_000)).table["patient_id"])
    shuffled = table.sample(frac=1, random_state=5)
    assert set(drawn_rows(shuffled, settings(1_000)).table["patient_id"]) == expected
    table.to_csv(tmp_path / "c.csv", index=False)
    drawn = drawn_from_file(tmp_path / "c.csv", settings(1_000))
    assert set(drawn.table["patient_id"]) == expected
    another = set(drawn_rows(table, settings(1_000, seed=1)).table["patient_id"])
    # Two independent draws of a third share a third.
    assert 250 < len(another & expected) < 420


def test_a_larger_draw_holds_the_smaller(table: pd.DataFrame) -> None:
    smaller, larger = (set(drawn_rows(table, settings(n)).table["stay_id"]) for n in (1_000, 2_000))
    assert smaller < larger


def test_rows_without_a_patient_are_patients_of_their_own(tmp_path: Path) -> None:
    table = pd.DataFrame({"age": np.arange(3_000.0)})
    path = write(table, tmp_path / "c.parquet", 400)
    drawn = drawn_from_file(path, settings(1_200))
    assert len(drawn.table) == 1_200
    assert drawn.table["age"].is_monotonic_increasing
    pd.testing.assert_frame_equal(drawn.table, drawn_rows(table, settings(1_200)).table)


def test_a_number_is_the_same_patient_however_it_is_stored() -> None:
    keys = [patient_keys(pd.Series(cells), 3)[0] for cells in ([12], [12.0], ["12"], [" 12 "])]
    assert len(set(keys)) == 1


def test_drawn_simulated_patients_keep_the_mark_of_their_file(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    marked = table.copy()
    marked.attrs[FILE_MARK] = "published"
    path = write(marked, tmp_path / "c.parquet", 700)
    assert drawn_from_file(path, settings(1_000)).table.attrs == {FILE_MARK: "published"}


def test_empty_rows_and_a_written_index_are_left_out(table: pd.DataFrame, tmp_path: Path) -> None:
    gaps = pd.concat([table, pd.DataFrame([{}], columns=table.columns)], ignore_index=True)
    arrow = pa.Table.from_pandas(gaps.set_axis(gaps.index + 7))
    with_index = arrow.append_column("__index_level_0__", [[None] * len(gaps)])
    pq.write_table(with_index, tmp_path / "c.parquet", row_group_size=900)
    drawn = drawn_from_file(tmp_path / "c.parquet", settings(4_000))
    pd.testing.assert_frame_equal(drawn.table, table, check_dtype=False)
    assert drawn.findings == ()
