"""`osteon landmark` on FHIR exports and OMOP databases, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import osteon
from training.cli.main import run_command

PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1958-03-02"}
ADMISSION = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "IMP"},
    "subject": {"reference": "Patient/p1"},
    "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-11-09T12:00:00Z"},
    "location": [{"location": {"reference": "Location/l1"}}],
}
CREATININE = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-11-01T06:00:00Z",
    "valueQuantity": {"value": 2, "system": "http://unitsofmeasure.org", "code": "mg/dL"},
}
PRELIMINARY = CREATININE | {"id": "o2", "status": "preliminary"}
LANDMARK = ("--time-zero", "icu_admission+24h", "--json")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run_command(osteon.app, ["landmark", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_a_fhir_export_is_a_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "export", tmp_path / "cohort.parquet"
    source.mkdir()
    resources = (PATIENT, ADMISSION, CREATININE, PRELIMINARY)
    lines = "\n".join(json.dumps(resource) for resource in resources)
    (source / "all.ndjson").write_text(lines, encoding="utf-8")
    code, printed = run(
        *(capsys, str(source), "--source", "fhir", "--icu", "Location/l1"),
        *("--out", str(out), *LANDMARK),
    )
    assert code == 0
    assert (printed["patients"], printed["stays"], printed["excluded"]) == (1, 1, {})
    assert printed["dropped"] == {"Observation: not final, amended or corrected": 1}
    (row,) = pd.read_parquet(out).to_dict("records")
    assert row["creatinine"] == 2.0


def test_the_flow_is_printed_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_an_unknown_unit = CREATININE | {"id": "o3", "effectiveDateTime": "2026-11-01T07:00:00Z"}
    in_an_unknown_unit |= {"valueQuantity": {"value": 2, "unit": "spoons"}}
    source, out = tmp_path / "export.ndjson", tmp_path / "cohort.parquet"
    resources = (PATIENT, ADMISSION, CREATININE, in_an_unknown_unit)
    source.write_text("\n".join(json.dumps(one) for one in resources), encoding="utf-8")
    code = run_command(
        osteon.app,
        [
            *("landmark", str(source), "--source", "fhir", "--icu", "Location/l1"),
            *("--out", str(out), "--time-zero", "icu_admission+24h"),
        ],
    )
    printed = capsys.readouterr().out
    assert code == 0
    assert "Left out, in a unit that is not known: 1 (creatinine 1)." in printed
    assert "Glasgow score, stays: not recorded 1." in printed


def test_an_omop_folder_is_a_cohort_by_its_code_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out, codes = tmp_path / "omop", tmp_path / "cohort.parquet", tmp_path / "codes.toml"
    source.mkdir()
    tables = {
        "person": "person_id,gender_concept_id,year_of_birth\n1,8532,1958\n",
        "visit_occurrence": "visit_occurrence_id,person_id,visit_concept_id,visit_start_datetime,"
        "visit_end_datetime\n10,1,9201,2026-11-01 00:00:00,2026-11-09 12:00:00\n",
        "visit_detail": "visit_detail_id,visit_occurrence_id,person_id,visit_detail_concept_id,"
        "visit_detail_start_datetime,visit_detail_end_datetime\n"
        "20,10,1,4712,2026-11-01 02:00:00,2026-11-05 12:00:00\n",
        "measurement": "person_id,measurement_concept_id,measurement_datetime,value_as_number,"
        "unit_source_value,measurement_source_value\n"
        "1,99,2026-11-01 06:00:00,2,mg/dL,KREA\n1,0,,2,mg/dL,KREA\n",
    }
    for name, text in tables.items():
        (source / f"{name}.csv").write_text(text, encoding="utf-8")
    codes.write_text('[codes."SOURCE//KREA"]\nvariable = "creatinine"\n', encoding="utf-8")
    code, printed = run(
        *(capsys, str(source), "--source", "omop", "--icu", "4712", "--codes", str(codes)),
        *("--out", str(out), *LANDMARK),
    )
    assert code == 0
    assert (printed["stays"], printed["unmapped_codes"]) == (1, 0)
    assert printed["dropped"] == {"measurement: without a time": 1}
    (row,) = pd.read_parquet(out).to_dict("records")
    assert (row["stay_id"], row["sex"]) == ("20", "female")
    assert row["creatinine"] == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "long", "--icu", "x"), "--icu must go with --source fhir or omop; got long."),
        (("--source", "omop", "--icu", "x"), "--icu must be concept ids for omop"),
    ],
)
def test_units_are_named_as_the_source_names_them(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = str(tmp_path / "cohort.parquet")
    code, printed = run(capsys, str(tmp_path), *arguments, "--out", out, *LANDMARK)
    assert code == 2
    assert message in printed["error"]["message"]
