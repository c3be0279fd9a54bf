"""Drafts of code maps name what is certain, and leave the rest to be decided."""

import csv
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from data_schema.errors import UsageError
from places import SHARED
from training.sources.code_map import mimic_iv_map, parse_code_map, read_code_map
from training.sources.draft import code_names, draft_code_map
from training.sources.long import Long
from training.sources.meds import Meds
from training.sources.observations import connection

MIMIC = SHARED / "data" / "mimic_iv_demo_meds" / "events.parquet"
LABELS = Path(__file__).parents[3] / "data" / "sources" / "mimic_iv_labels.csv"


@pytest.fixture
def meds(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "metadata").mkdir()
    codes = ["L1", "L2", "L3", "LOINC//2160-0", "MEDICATION//Calcium"]
    pd.DataFrame(
        {
            "subject_id": 1,
            "time": pd.Timestamp("2026-01-01"),
            "code": codes,
            "numeric_value": [1.0, 250.0, 3.0, 1.0, None],
            "unit": ["mg/dL", None, None, None, None],
        }
    ).to_parquet(tmp_path / "data" / "0.parquet")
    described = {"L1": "Creatinine", "L2": "FGF23", "L3": "Zzyzx index"}
    pd.DataFrame({"code": [*described], "description": [*described.values()]}).to_parquet(
        tmp_path / "metadata" / "codes.parquet"
    )
    return tmp_path


def drafted(source, names):
    with connection(memory="200MB", threads=1) as db:
        return draft_code_map(db, source, names)


def test_a_draft_names_what_is_certain_and_leaves_what_is_not_blank(meds):
    with connection(memory="200MB", threads=1) as db:
        draft = draft_code_map(db, Meds(meds), code_names(db, meds))
    assert (draft.named, draft.blanks, draft.unknown) == (1, 1, 2)
    assert '# "L3": Zzyzx index; 1 records, 1 numbers, median 3' in draft.as_toml
    assert "LOINC" not in draft.as_toml
    assert '# "MEDICATION//Calcium"' in draft.as_toml  # a drug is no laboratory value
    with pytest.raises(UsageError, match="1 are blank"):
        parse_code_map(draft.as_toml)
    filled = parse_code_map(draft.as_toml.replace('variable = ""', 'variable = "fgf23_c"'))
    assert {code: entry[0].variable for code, entry in filled.codes.items()} == {
        "L1": "creatinine",
        "L2": "fgf23_c",
    }


def test_a_draft_as_csv_says_the_same_as_one_in_toml(meds, tmp_path):
    with connection(memory="200MB", threads=1) as db:
        draft = draft_code_map(db, Meds(meds), code_names(db, meds))
    file = tmp_path / "codes.csv"
    file.write_text(draft.as_csv, encoding="utf-8")
    with pytest.raises(UsageError, match="1 are blank"):
        read_code_map(file)
    rows = list(csv.DictReader(draft.as_csv.splitlines()))
    for row in rows:
        row["variable"] = "fgf23_c" if row["code"] == "L2" else row["variable"]
    pd.DataFrame(rows).to_csv(file, index=False)
    filled = parse_code_map(draft.as_toml.replace('variable = ""', 'variable = "fgf23_c"'))
    assert read_code_map(file) == filled


# What a laboratory calls a code, what its records hold -> what the draft says.
CASES = {
    "by unit, of two with the name": ("FGF23", "RU/mL", (60, 400), "fgf23_c"),
    "by values, of a count and a share": ("Lymphocytes", "%", (5, 40), "lymphocytes_share"),
    "in short and in full": ("Creatine kinase (CK)", "U/L", (40, 900), "creatine_kinase"),
    "in whole blood": ("Potassium, Whole Blood", "mmol/L", (3.2, 5.4), "potassium"),
    "degrees Fahrenheit": ("Temperature", "°F", (96.8, 101), "temperature"),
    "of urine": ("Creatinine, urine", "mg/dL", (0.6, 2), ""),
    "of urine, in another order": ("Urine magnesium", "mg/dL", (1.6, 2.4), ""),
    "of arteries by its name": ("Arterial pH", "[pH]", (7.1, 7.5), "ph"),
    "of arteries in short": ("PaO2", "mmHg", (60, 140), "pao2"),
    "of any blood": ("PO2", "mmHg", (60, 140), ""),
    "values of another quantity": ("pH", "", (5, 8), ""),
    "values in another unit": ("Albumin", "g/dL", (25, 45), ""),
    "a unit of another quantity": ("Creatinine", "mg/g", (0.6, 2), ""),
    "a dose or whether it was given": ("Norepinephrine", "ug/kg/min", (0.02, 0.9), ""),
    "a flag": ("Vasopressors", "", (1, 1), ""),
    "of no variable": ("Anion gap", "mmol/L", (8, 18), ""),
}


def long_source(folder, cases):
    """Write one code for each case, of 40 records."""
    rows = [
        (code, unit or None, value)
        for code, (_, unit, (low, high), _) in cases.items()
        for value in np.linspace(low, high, 40)
    ]
    frame = pd.DataFrame(rows, columns=["code", "unit", "numeric_value"])
    frame = frame.assign(subject_id="p", time="2026-01-01")
    frame.to_csv(folder / "observations.csv", index=False)
    stay = {"subject_id": ["p"], "stay_id": ["s"], "icu_admission": ["2026-01-01"]}
    pd.DataFrame(stay).to_csv(folder / "stays.csv", index=False)
    return Long(folder)


def test_units_and_values_settle_a_name_and_never_stand_for_it(tmp_path):
    names = {code: name for code, (name, *_) in CASES.items()}
    draft = drafted(long_source(tmp_path, CASES), names)
    assert {one.code: one.variable for one in draft.codes} == {
        code: variable for code, (*_, variable) in CASES.items()
    }


def test_a_unit_that_only_the_values_tell_is_written_into_the_map(tmp_path):
    cases = {
        "A": ("Creatinine", "", (50, 140), "creatinine"),
        "B": ("Bilirubin", "", (0.3, 1.4), "bilirubin"),
        "C": ("Magnesium", "", (1.6, 2.2), ""),  # mg/dL, or meq/L
    }
    draft = drafted(long_source(tmp_path, cases), {c: name for c, (name, *_) in cases.items()})
    found = {one.code: (one.variable, one.unit) for one in draft.codes}
    assert found == {"A": ("creatinine", "umol/L"), "B": ("bilirubin", "mg/dL"), "C": ("", "")}


def test_two_codes_of_one_name_are_both_left_open(tmp_path):
    cases = {
        "A": ("Glucose", "mg/dL", (80, 180), ""),
        "B": ("Glucose", "mg/dL", (40, 120), ""),
    }
    draft = drafted(long_source(tmp_path, cases), dict.fromkeys(cases, "Glucose"))
    assert [one.variable for one in draft.codes] == ["", ""]
    assert all("2 codes have this name" in one.reason for one in draft.codes)


def test_a_test_strip_whose_records_are_words_is_left_open(tmp_path):
    source = long_source(tmp_path, {"A": ("Glucose", "mg/dL", (100, 300), "")})
    frame = pd.read_csv(tmp_path / "observations.csv")
    frame.loc[frame.index[10:], "numeric_value"] = None
    frame.assign(text_value="NEG").to_csv(tmp_path / "observations.csv", index=False)
    (drafted_code,) = drafted(source, {"A": "Glucose"}).codes
    assert (drafted_code.variable, drafted_code.reason) == (
        "",
        "glucose; most records hold no number",
    )


@pytest.mark.skipif(not MIMIC.is_file(), reason="needs ../shared/data/mimic_iv_demo_meds")
def test_names_of_mimic_s_laboratory_lead_to_its_map_and_to_no_other_variable(tmp_path):
    with LABELS.open(encoding="utf-8") as lines:
        labels = {f"LAB//{row['item']}": row["label"] for row in csv.DictReader(lines)}
    # By its name, what a blood gas analyser reports is the variable; the map leaves it out.
    named = {"LAB//50817": {"spo2"}, "LAB//50825": {"temperature"}}
    named |= {code: {m.variable for m in listed} for code, listed in mimic_iv_map().codes.items()}
    file = tmp_path / "laboratory.parquet"
    duckdb.sql(f"COPY (FROM '{MIMIC}' WHERE starts_with(code, 'LAB//5')) TO '{file}'")
    draft = drafted(Meds(file, mimic_iv=True), labels)
    of_labels = [one for one in draft.codes if one.code in labels]
    filled = [one for one in of_labels if one.variable]
    wrong = [one.code for one in filled if one.variable not in named.get(one.code, ())]
    assert (len(labels), len(of_labels), len(filled), wrong) == (219, 211, 61, [])
