"""The commands as a user runs them: what they print, and the code they end with."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

MODEL = "osteon-mortality-simulated"


CHAMPION = f"models:/{MODEL}@champion"


HEAVY = {"numpy", "pandas", "xgboost", "mlflow", "sklearn", "scipy", "shap", "matplotlib", "rich"}


CAUSAL = re.compile(r"because|due to|protect|cause|leads? to", re.IGNORECASE)


def test_help_imports_nothing_heavy() -> None:
    seen = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, osteon\n"
            "from training.cli.main import run_command\n"
            "code = run_command(osteon.app, ['--help'])\n"
            "print(code, *sorted({name.split('.')[0] for name in sys.modules}))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    code, *modules = seen.splitlines()[-1].split()
    assert code == "0"
    assert not HEAVY & set(modules)
    for command in ("map", "check", "train", "score", "evaluate", "explain", "serve", "doctor"):
        assert f"  {command} " in seen


def test_check_prints_rows_fatal_warnings_and_follow_up(trained: Any) -> None:
    place, _ = trained
    answer = place.run("check", "cohort.csv", "--json")
    table = pd.read_csv(place.folder / "cohort.csv")
    report = answer.json
    (follow_up,) = report.pop("follow_up")
    assert (answer.code, report) == (0, {"rows": 700, "fatal": [], "warnings": []})
    assert (follow_up["outcome"], follow_up["stays"]) == ("mortality", 700)
    assert follow_up["longest_days"] == pytest.approx(table["mortality_days"].max(), abs=0.01)
    assert follow_up["events"] == table["mortality_event"].sum()


def test_check_tells_a_cohort_without_an_outcome_from_one_with_half_of_it(
    workplace: Any, simulated: Callable[..., pd.DataFrame]
) -> None:
    table = simulated(60, 1)
    table.drop(columns=["mortality_days", "mortality_event"]).to_csv(workplace.folder / "a.csv")
    table.drop(columns="mortality_event").to_csv(workplace.folder / "b.csv")
    without = workplace.run("check", "a.csv", "--json")
    assert without.code == 0
    assert "no_outcome" in {finding["rule"] for finding in without.json["warnings"]}
    half = workplace.run("check", "b.csv", "--json")
    assert half.code == 1
    assert [finding["variable"] for finding in half.json["fatal"]] == ["mortality_event"]


def test_a_drafted_mapping_says_how_many_blanks_are_to_be_filled(
    workplace: Any, simulated: Callable[..., pd.DataFrame]
) -> None:
    table = simulated(120, 3).rename(columns={"lactate": "Lactate (mmol/L)"})
    table["Estradiol"] = 55.5
    table.to_csv(workplace.folder / "site.csv", sep=";", index=False)
    answer = workplace.run("map", "site.csv", "--out", "m.toml", "--json")
    assert answer.json == {"out": "m.toml", "columns": 6, "blanks": 1}
    blank = workplace.run("check", "site.csv", "--mapping", "m.toml", "--json")
    assert blank.code == 1
    assert {finding["rule"] for finding in blank.json["fatal"]} == {"blank"}
    drafted = (workplace.folder / "m.toml").read_text()
    (workplace.folder / "m.toml").write_text(drafted.replace('unit = ""', 'unit = "pg/mL"'))
    assert workplace.run("check", "site.csv", "--mapping", "m.toml").code == 0


def test_data_sets_are_listed_with_what_they_are_for(workplace: Any) -> None:
    listed = {one["name"]: one for one in workplace.run("datasets", "--json").json["datasets"]}
    assert listed["support2"]["purpose"] == "training"
    assert listed["hipstudy"]["purpose"] == "checks only"


def test_the_score_file_is_what_any_mlflow_client_gets(trained: Any) -> None:
    place, _ = trained
    answer = place.run(
        *("score", "others.csv", "--model", CHAMPION, "--out", "s.parquet", "--explain", "--json")
    )
    assert answer.code == 0
    assert answer.json == {
        "rows": 600,
        "patients": 300,
        "refused": answer.json["refused"],
        "unknown_category": 0,
        "out": "s.parquet",
    }
    scored = pd.read_parquet(place.folder / "s.parquet")
    table = pd.read_csv(place.folder / "others.csv").astype({"sex": object})
    with place.entered():
        from models.registry.tracking import connect

        model = connect().pyfunc.load_model(CHAMPION)
        theirs = model.predict(table, params={"horizons_days": [90.0, 365.0], "explain": True})
    assert list(scored.columns) == list(theirs.columns)
    numbers = theirs.select_dtypes("number").columns
    np.testing.assert_allclose(scored[numbers], theirs[numbers], atol=1e-9)
    assert (scored["status"] == theirs["status"]).all()
    assert scored["risk"].isna().sum() == 2 * answer.json["refused"]


def test_a_refused_patient_stays_with_a_code_and_no_risk(trained: Any) -> None:
    place, _ = trained
    table = pd.read_csv(place.folder / "others.csv").head(60)
    table.loc[0, "age"] = 17.0
    table.to_csv(place.folder / "child.csv", index=False)
    answer = place.run(
        *("score", "child.csv", "--model", CHAMPION, "--out", "c.csv", "--horizons", "90", "--json")
    )
    assert answer.code == 0
    first = pd.read_csv(place.folder / "c.csv").iloc[0]
    assert (first["status"], first["horizon_days"]) == ("refused", 90)
    assert "under_18" in first["refusal_code"].split(";")
    assert np.isnan(first["risk"])


def test_an_empty_column_is_not_measured_and_an_absent_one_is_an_error(trained: Any) -> None:
    place, _ = trained
    table = pd.read_csv(place.folder / "others.csv").head(60)
    table.assign(lactate=None).to_csv(place.folder / "empty.csv", index=False)
    table.drop(columns="lactate").to_csv(place.folder / "absent.csv", index=False)
    score = ("score", "--model", CHAMPION, "--out", "no.parquet", "--json")
    empty = place.run(*score, "empty.csv")
    assert (empty.code, empty.json["patients"]) == (0, 60)
    (place.folder / "no.parquet").unlink()
    absent = place.run(*score, "absent.csv")
    assert absent.code == 1
    finding = absent.json["error"]["findings"][0]
    assert (finding["rule"], finding["variable"]) == ("missing_column", "lactate")
    assert not (place.folder / "no.parquet").exists()


def test_an_explanation_adds_up_and_claims_no_cause(trained: Any) -> None:
    place, _ = trained
    answer = place.run("explain", "--model", CHAMPION, "--json")
    assert answer.code == 0
    printed = answer.json
    assert printed["model"] == {"name": MODEL, "version": "1", "alias": "champion"}
    assert [risk["horizon_days"] for risk in printed["risks"]] == [90, 365]
    for risk in printed["risks"]:
        moved = 100 * (risk["risk"] - risk["baseline_risk"])
        adjustment = risk["monotone_adjustment_points"]
        for parts in (risk["contributions"], risk["pathways"]):
            total = sum(part["points"] for part in parts) + adjustment
            assert total == pytest.approx(moved, abs=1e-5)
        assert risk["risk_low"] < risk["risk"] < risk["risk_high"]
    assert "Among 100 patients with these recorded values" in printed["summary"]
    assert "Made-up adults of a test" in printed["summary"]
    assert not CAUSAL.search(printed["summary"])


def test_a_row_is_explained_with_what_was_not_measured_apart(trained: Any) -> None:
    place, _ = trained
    table = pd.read_csv(place.folder / "others.csv")
    row = str(int(np.flatnonzero(table["lactate"].isna())[0]))
    asked = ("explain", "others.csv", "--model", CHAMPION, "--row", row, "--horizon", "90")
    risk = place.run(*asked, "--json").json["risks"][0]
    unmeasured = [part for part in risk["contributions"] if not part["measured"]]
    assert [part["variable"] for part in unmeasured] == ["lactate"]
    apart = next(part for part in risk["pathways"] if part["pathway"] == "not_measured")
    assert apart["points"] == pytest.approx(unmeasured[0]["points"])
    shown = place.run(*asked).out
    assert "Inferred for what was not entered" in shown
    assert "95 % interval" in shown
    assert not re.search(r"[-+]0\.0+$|\d a\b|\[[a-z]", shown, flags=re.MULTILINE)
    assert place.run("explain", "others.csv", "--model", CHAMPION, "--row", "300").code == 2


def test_doctor_finds_all_well_and_says_what_is_not(trained: Any) -> None:
    place, _ = trained
    well = place.run("doctor", "--json")
    assert (well.code, well.json["ok"]) == (0, True)
    other_key = place.run("doctor", "--json", OSTEON_GATE_KEY="another key, and long enough")
    assert other_key.code == 1
    wrong = [check for check in other_key.json["checks"] if not check["ok"]]
    assert [check["check"] for check in wrong] == [f"champion of {MODEL}"]
    short = place.run("doctor", "--json", OSTEON_GATE_KEY="too short")
    wrong = [check["check"] for check in short.json["checks"] if not check["ok"]]
    assert (short.code, "gate key" in wrong) == (2, True)
    without = place.run("doctor", "--json", OSTEON_GATE_KEY="")
    assert "gate key" in [check["check"] for check in without.json["checks"] if check["ok"]]


def test_rollback_without_an_earlier_approved_version_says_no(trained: Any) -> None:
    place, _ = trained
    answer = place.run("rollback", MODEL, "--json")
    assert answer.code == 1
    assert answer.json["error"]["kind"] == "gate"


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("explain", "--model", "models:/osteon-nobody/1"), 2, "usage"),
        (("explain", "--model", f"models:/{MODEL}/9"), 2, "usage"),
        (("explain", "--model", CHAMPION, "--horizon", "100000"), 2, "usage"),
        (("score", "others.csv", "--model", CHAMPION, "--out", "s.xlsx"), 2, "usage"),
        (
            ("score", "others.csv", "--model", CHAMPION, "--out", "s.csv", "--horizons", "28,28"),
            2,
            "usage",
        ),
        (("score", "others.csv", "--model", CHAMPION, "--out", "no/s.csv"), 2, "usage"),
        (("score", "nothing.csv", "--model", CHAMPION, "--out", "s.csv"), 2, "usage"),
        (("train", "cohort.csv", "--outcome", "falls"), 2, "usage"),
        (("train", "--outcome", "mortality"), 2, "usage"),
        (("train", "cohort.csv"), 2, "usage"),
        (("train", "--dataset", "hipstudy", "--outcome", "fracture"), 2, "usage"),
        (("train", "--dataset", "support2", "--outcome", "fracture"), 2, "usage"),
        (("train", "cohort.csv", "--outcome", "mortality", "--exclude", "lactat"), 2, "usage"),
        (("promote", MODEL), 2, "usage"),
        (("nonsense",), 2, "usage"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(
    trained: Any, arguments: tuple[str, ...], code: int, kind: str
) -> None:
    place, _ = trained
    before = place.files()
    answer = place.run(*arguments, "--json")
    assert (answer.code, answer.json["error"]["kind"]) == (code, kind)
    spoken = place.run(*arguments)
    assert (spoken.code, spoken.out) == (code, "")
    assert spoken.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in answer.err + spoken.err
    assert place.files() == before


def test_a_registry_that_does_not_answer_is_exit_code_3(trained: Any) -> None:
    place, _ = trained
    # Port 9 is closed; MLflow would otherwise ask again for seconds.
    down = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    answer = place.run("explain", "--model", CHAMPION, "--json", **down)
    assert (answer.code, answer.json["error"]["kind"]) == (3, "outside")
    assert place.run("doctor", "--json", **down).code == 3


# shap 0.51 colours its plots in a way that matplotlib is about to drop.
@pytest.mark.filterwarnings("ignore:::shap")
def test_the_notebook_gives_what_the_command_gives(trained: Any) -> None:
    import osteon

    place, printed = trained
    cohort = pd.read_csv(place.folder / "cohort.csv")
    others = pd.read_csv(place.folder / "others.csv")
    with place.entered():
        assert osteon.check(cohort, outcome="mortality").empty
        scored = osteon.score(others, model=printed["model_uri"], horizons_days=[90])
        judged = osteon.evaluate(others, model=printed["model_uri"])
        explained = osteon.explain(others, model=printed["model_uri"], horizon_days=90)
        by_pathway = osteon.explain(
            others, model=printed["model_uri"], horizon_days=90, by="pathway"
        )
        example = osteon.explain(model=printed["model_uri"])
    answered = scored["risk"].dropna().to_numpy()
    for explanation in (explained, by_pathway):
        log_odds = explanation.base_values + explanation.values.sum(axis=1)
        np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), answered, atol=1e-9)
    assert example.values.shape == (1, 5)
    spoken = place.run("evaluate", "others.csv", "--model", printed["model_uri"], "--json").json
    assert judged["estimate"].tolist() == [m["estimate"] for m in spoken["metrics"]]
