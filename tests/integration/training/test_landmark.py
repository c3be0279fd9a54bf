"""`osteon landmark` as a user runs it: long tables become a cohort that can be checked."""

import json

import pandas as pd
import pytest
import typer

from training.cli.main import add_commands, run_command


@pytest.fixture
def folder(tmp_path):
    """Write sixty stays of two measurements each, as CSV."""
    stays, rows, persons = [], [], []
    for number in range(60):
        subject = f"p{number}"
        stays.append((subject, f"s{number}", "2026-01-01 00:00", "2026-01-20 00:00"))
        died = f"2026-0{2 + number % 7}-01" if number % 3 == 0 else None
        born = f"{1930 + number}-06-01"
        sex = "female" if number % 2 else "male"
        persons.append((subject, sex, born, f"2026-12-{1 + number % 28:02}", died))
        rows += [
            (subject, f"2026-01-01 {hour:02}:00", "LOINC//2160-0", 0.5 + number / 10, "mg/dL")
            for hour in (3, 9)
        ]
        rows.append((subject, "2026-01-05 00:00", "LOINC//2160-0", 40, "mg/dL"))
        rows.append((subject, "2026-01-01 05:00", "SITE//1", 1, ""))
    names = ["subject_id", "stay_id", "icu_admission", "icu_discharge"]
    pd.DataFrame(stays, columns=names).to_csv(tmp_path / "stays.csv", index=False)
    names = ["subject_id", "sex", "birth_date", "observed_until", "death_time"]
    pd.DataFrame(persons, columns=names).to_csv(tmp_path / "persons.csv", index=False)
    names = ["subject_id", "time", "code", "numeric_value", "unit"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "observations.csv", index=False)
    return tmp_path


def test_a_folder_of_long_tables_becomes_a_cohort_that_is_fit_for_use(folder, capsys):
    app = typer.Typer()
    add_commands(app)
    out = folder / "cohort.parquet"
    arguments = ["landmark", str(folder), "--source", "long", "--out", str(out), "--json"]
    assert run_command(app, [*arguments, "--time-zero", "icu_admission+24h"]) == 0
    printed = json.loads(capsys.readouterr().out)
    counts = {name: printed[name] for name in ("patients", "stays", "excluded", "unmapped_codes")}
    assert counts == {"patients": 60, "stays": 60, "excluded": {}, "unmapped_codes": 1}
    cohort = pd.read_parquet(out)
    assert cohort["creatinine__max"].max() == pytest.approx(6.4)
    assert cohort["creatinine__count"].eq(2).all()
    run_command(app, ["check", str(out), "--json"])
    assert json.loads(capsys.readouterr().out)["fatal"] == []


def test_a_missing_folder_is_wrong_usage(tmp_path):
    app = typer.Typer()
    add_commands(app)
    arguments = ["landmark", str(tmp_path / "no"), "--source", "long", "--time-zero", "x"]
    assert run_command(app, [*arguments, "--out", str(tmp_path / "c.parquet")]) == 2
