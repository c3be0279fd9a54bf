"""MEDS shards become observations: parents of codes, periods of what was given, and specimens."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from training.sources.meds import Meds
from training.sources.observations import checked, connection, typed_relations

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


def observations(folder, events, *, mimic_iv=False):
    frame = pd.DataFrame(events, columns=["time", "code", "numeric_value", "text_value"])
    frame["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame["time"], unit="h")
    frame.assign(subject_id=1).to_parquet(folder / "events.parquet")
    with connection(memory="200MB", threads=1) as db:
        Meds(folder / "events.parquet", mimic_iv=mimic_iv).relations(db)
        typed_relations(db)
        assert checked(db) == ()
        return db.execute("FROM checked_observations ORDER BY time, code").fetchdf()


def spans(rows, code):
    """Return each beginning of a code with the hours it lasted, and whether it had ended."""
    begun = rows[rows["code"] == code]
    hours = (begun["end_time"] - begun["time"]) / pd.Timedelta(hours=1)
    return list(zip(hours.fillna(-1), begun["is_ongoing"].astype(bool), strict=True))


def test_each_beginning_belongs_to_its_own_end(tmp_path):
    rows = observations(
        tmp_path,
        [
            (0, "INFUSION_START//1", 0.2, None),
            (2, "INFUSION_END//1", 9.0, None),
            (2, "INFUSION_START//1", 0.3, None),
            (7, "INFUSION_END//1", 9.0, None),
            (8, "INFUSION_START//1", 0.1, None),
            (1, "INFUSION_START//2", 5.0, None),
            (4, "INFUSION_END//2", 1.0, None),
            (0, "PROCEDURE//START//3", None, None),
            (50, "PROCEDURE//END//3", None, None),
        ],
    )
    assert spans(rows, "INFUSION_START//1") == [(2, False), (5, False), (-1, True)]
    assert spans(rows, "INFUSION_START//2") == [(3, False)]
    assert spans(rows, "PROCEDURE//START//3") == [(50, False)]
    # The amount that was given by the end is a record of its own, and no rate.
    assert rows.loc[rows["code"] == "INFUSION_END//1", "numeric_value"].tolist() == [9.0, 9.0]


def test_a_prescription_of_which_no_ends_are_recorded_is_a_moment(tmp_path):
    rows = observations(tmp_path, [(0, "MEDICATION//START//Propofol", None, None)])
    assert spans(rows, "MEDICATION//START//Propofol") == [(-1, False)]


@pytest.mark.parametrize(
    ("texts", "specimen"),
    [(["VEN."], "VEN."), (["ART."], "ART."), (["ART.", "VEN."], "ART., VEN."), ([], None)],
)
def test_a_blood_gas_has_the_specimen_that_the_laboratory_states_for_its_moment(
    tmp_path, texts, specimen
):
    rows = observations(
        tmp_path,
        [
            (1, "LAB//220224//mmHg", 40.0, None),
            (1, "LAB//50912//mg/dL", 1.0, None),
            (5, "LAB//52033//UNK", None, "ART."),
            *((1, "LAB//52033//UNK", None, text) for text in texts),
        ],
        mimic_iv=True,
    )
    stated = rows.set_index("code")["specimen"]
    assert (stated["LAB//220224"] or None) == specimen
    assert pd.isna(stated["LAB//50912"])
