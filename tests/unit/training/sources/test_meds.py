"""MEDS shards become observations; a code's parents stand for it where it says nothing itself."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from training.sources.meds import Meds
from training.sources.observations import connection

PARENTS = {
    "LAB//CREA": ["LOCAL/CREA", "LOINC/2160-0"],
    "LAB//MINE": ["LOINC/2524-7"],
    "MEDICATION//Furosemide": ["RxNorm/4603"],
    "ATC//A02BC02": ["RxNorm/4603"],
    "LAB//UNKNOWN": ["LOCAL/1"],
}


def codes_of(folder: Path, **options: object) -> set[str]:
    with connection() as db:
        Meds(folder, **options).relations(db)  # type: ignore[arg-type]
        return {row[0] for row in db.execute("SELECT code FROM observations").fetchall()}


def test_a_parent_that_the_catalogue_knows_stands_for_a_code_that_nothing_names(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "metadata").mkdir()
    events = pd.DataFrame({"code": [*PARENTS], "numeric_value": 1.0})
    events.assign(subject_id=1, time=pd.Timestamp("2026-11-01")).to_parquet(
        tmp_path / "data" / "0.parquet"
    )
    pd.DataFrame({"code": [*PARENTS], "parent_codes": [*PARENTS.values()]}).to_parquet(
        tmp_path / "metadata" / "codes.parquet"
    )
    # What a code map or the catalogue names keeps its own code.
    assert codes_of(tmp_path, mapped=["LAB//MINE"]) == {
        *("LOINC//2160-0", "LAB//MINE", "RxNorm//4603", "ATC//A02BC02", "LAB//UNKNOWN"),
    }
