"""A table of simulated patients stays recognisable, and a real one is never taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.table.check import check_cohort
from data_schema.table.files import read_table
from data_schema.table.simulated_marks import is_recognised_by_values, with_marks


def plain(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "patient_id": [f"simulated-1-{i:03d}" for i in range(rows)],
            "time_zero": pd.date_range("2024-03-01 08:11:12", periods=rows, freq="7h", tz="UTC"),
            "simulated": "published",
            "age": rng.normal(62, 12, rows).clip(19, 95).round(1),
            "lactate": np.exp(rng.normal(0.7, 0.6, rows)).round(2),
            "mortality_days": rng.uniform(1, 900, rows).round(2),
            "mortality_event": rng.integers(0, 2, rows),
        }
    )


def is_simulated(path: Path) -> bool:
    checked = check_cohort(read_table(path), outcome="mortality")
    assert checked.cohort is not None, checked.report.fatal
    return checked.cohort.simulated


RENAMED = {"patient_id": [f"p{i}" for i in range(60)]}


@pytest.mark.parametrize(
    "left",
    [
        ["patient_id", "age", "lactate", "time_zero"],  # identifiers
        ["age", "lactate", "time_zero"],  # the microseconds of time zero
        ["age", "lactate"],  # the digits of the outcome
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_each_mark_alone_is_enough(tmp_path: Path, left: list[str], suffix: str) -> None:
    marked = with_marks(plain(), "published")
    kept = marked[[*left, "mortality_days", "mortality_event"]]
    if "time_zero" in left:
        kept = kept.assign(mortality_days=kept["mortality_days"].round(2))
    if "patient_id" not in left:
        kept = kept.assign(**RENAMED)
    kept.attrs.clear()
    path = tmp_path / f"cohort{suffix}"
    kept.to_csv(path, index=False) if suffix == ".csv" else kept.to_parquet(path, index=False)
    assert is_simulated(path)


def test_the_metadata_of_a_parquet_file_alone_are_enough(tmp_path: Path) -> None:
    real = plain().assign(**RENAMED).drop(columns="simulated")
    real.attrs["osteon_simulated"] = "published"
    real.to_parquet(tmp_path / "cohort.parquet", index=False)
    assert is_simulated(tmp_path / "cohort.parquet")


def test_a_few_simulated_patients_among_real_ones_are_enough(tmp_path: Path) -> None:
    marked = with_marks(plain(), "published").head(3).assign(patient_id=["a", "b", "c"])
    mixed = pd.concat([plain().assign(**RENAMED), marked]).drop(columns=["simulated", "time_zero"])
    mixed.to_csv(tmp_path / "cohort.csv", index=False)
    assert is_simulated(tmp_path / "cohort.csv")


def test_without_any_mark_a_table_is_real(tmp_path: Path) -> None:
    real = plain().assign(**RENAMED).drop(columns="simulated")
    real.to_parquet(tmp_path / "cohort.parquet", index=False)
    assert not is_simulated(tmp_path / "cohort.parquet")


def test_numbers_of_full_precision_bear_no_mark_by_chance() -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.uniform(0, 1_000, (100_000, 4)))
    assert not is_recognised_by_values(table, None)
    times = pd.Series(pd.to_datetime(rng.integers(0, 10**15, 100_000), unit="us", utc=True))
    assert not is_recognised_by_values(pd.DataFrame(index=range(1)), times)


def test_marks_move_an_outcome_by_less_than_ten_seconds_and_nothing_else() -> None:
    before, marked = plain(), with_marks(plain(), "published")
    moved = (marked["mortality_days"] - before["mortality_days"]) * 86_400
    assert moved.between(0, 10, inclusive="neither").all()
    later = (marked["time_zero"] - before["time_zero"]).dt.total_seconds()
    assert later.between(0, 1, inclusive="neither").all()
    same = ["patient_id", "age", "lactate", "mortality_event"]
    pd.testing.assert_frame_equal(marked[same], before[same])


def test_a_number_beyond_every_float_bears_no_mark() -> None:
    assert not is_recognised_by_values(pd.DataFrame({"age": [60, -(10**400), None, "old"]}), None)
