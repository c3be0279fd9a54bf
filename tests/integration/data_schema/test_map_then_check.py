"""From a laboratory's file to a cohort: drafted, filled in by hand, checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomlkit

from data_schema.cohort import Cohort
from data_schema.drafting.draft import draft_mapping
from data_schema.mapping.file import parse_mapping
from data_schema.table.check import check_cohort
from data_schema.table.files import read_table

N = 120

# What a person answers to each blank of the draft: keys of the mapping -> answer.
ANSWERS = {
    ("columns", "Geschlecht", "map", "1"): "male",
    ("columns", "Geschlecht", "map", "2"): "female",
    ("columns", "FGF23", "variable"): "fgf23_c",
    ("columns", "FGF23", "unit"): "RU/mL",
    ("columns", "BSAP", "variable"): "bsap_mass",
    ("columns", "BSAP", "unit"): "µg/L",
    ("columns", "OPN (ng/mL)", "variable"): "osteopontin",
    ("columns", "25-OH-D3", "variable"): "vitd25",
    ("columns", "25-OH-D3", "unit"): "nmol/L",
    ("columns", "Diabetes", "map", "ja"): 1,
    ("columns", "Diabetes", "map", "nein"): 0,
}


def laboratory_table() -> pd.DataFrame:
    rng = np.random.default_rng(0)

    def values(median: float) -> np.ndarray:
        return np.round(median * np.exp(0.3 * rng.normal(size=N)), 2)

    return pd.DataFrame(
        {
            "Patient ID": [f"P-{i}" for i in range(N)],
            "Alter": rng.integers(40, 90, N),
            "Geschlecht": rng.choice([1, 2], N),
            "FGF23": values(250),
            "BSAP": values(14),
            "OPN (ng/mL)": values(90),
            "25-OH-D3": values(40),
            "CTX [ng/mL]": values(0.6),
            "Estradiol (pmol/L)": values(150),
            "Laktat": values(2.1),
            "Kreatinin µmol/L": values(95),
            "Diabetes": rng.choice(["ja", "nein"], N),
            "Station": rng.choice(["A", "B"], N),
            "followup_d": rng.integers(1, 365, N),
            "Status": rng.choice(["alive", "dead"], N),
        }
    )


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".xlsx":
        table.to_excel(path, index=False)
    elif path.name.startswith("german"):
        table.to_csv(path, sep=";", decimal=",", index=False, encoding="latin-1")
    else:
        table.to_csv(path, index=False)
    return path


def filled(draft: str) -> str:
    """Return a draft with its blanks answered; it must have no other blanks."""
    document = tomlkit.parse(draft)
    blanks = set(_blanks(document, ()))
    assert blanks == set(ANSWERS)
    for keys, answer in ANSWERS.items():
        table = document
        for key in keys[:-1]:
            table = table[key]  # type: ignore[assignment]
        table[keys[-1]] = answer
    return tomlkit.dumps(document)


def _blanks(table: object, keys: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(table, dict):
        return [blank for key, value in table.items() for blank in _blanks(value, (*keys, key))]
    return [keys] if table == "" else []


def through(path: Path) -> Cohort:
    table = read_table(path)
    draft = draft_mapping(table)
    blank = check_cohort(table, outcome="mortality", mapping=parse_mapping(draft)).report
    assert {f.rule for f in blank.fatal} == {"blank"}
    assert len(blank.fatal) == len({keys[:3] for keys in ANSWERS})
    checked = check_cohort(table, outcome="mortality", mapping=parse_mapping(filled(draft)))
    assert checked.report.fatal == ()
    assert [f.rule for f in checked.report.warnings] == ["ignored_columns"]
    assert checked.cohort is not None
    return checked.cohort


@pytest.mark.parametrize("name", ["lab.csv", "german.csv", "lab.xlsx"])
def test_a_filled_draft_passes_and_gives_canonical_units(tmp_path: Path, name: str) -> None:
    lab = laboratory_table()
    cohort = through(write(lab, tmp_path / name))
    features = cohort.features
    assert np.allclose(features["ctx_s"], 1000 * lab["CTX [ng/mL]"])
    assert np.allclose(features["estradiol"], lab["Estradiol (pmol/L)"] * 0.272382)
    assert np.allclose(features["vitd25"], lab["25-OH-D3"] / 2.496, rtol=1e-3)
    assert np.allclose(features["creatinine"], lab["Kreatinin µmol/L"] / 88.403, rtol=1e-4)
    assert np.allclose(features["lactate"], lab["Laktat"])
    assert (features["sex"] == lab["Geschlecht"].map({1: "male", 2: "female"})).all()
    assert cohort.outcome is not None
    assert (cohort.outcome.event == (lab["Status"] == "dead")).all()


def test_the_three_files_give_one_cohort(tmp_path: Path) -> None:
    lab = laboratory_table()
    paths = [write(lab, tmp_path / name) for name in ("lab.csv", "german.csv", "lab.xlsx")]
    assert len({through(path).fingerprint() for path in paths}) == 1
