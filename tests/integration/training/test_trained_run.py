"""What training and evaluating leave: print, run in MLflow, report, bundle and gate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models.inference.records import json_of

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

MODEL = "osteon-mortality-simulated"


CHAMPION = f"models:/{MODEL}@champion"


BASIS = (
    "Performance of the procedure, estimated out of fold (5-fold cross-validation by patient, "
    "repeated 2 times); the registered model learned from all 700 patients."
)

REPORT_SECTIONS = (
    *(
        "Summary",
        "Diagnosis of the data",
        "Performance",
        "Calibration",
        "Clinical use",
        "Subgroups",
        "As at the bedside",
    ),
    *("Not done", "Intended use", "Estimand", "Patient flow", "Patient characteristics"),
    *("Missing data", "Comparison of development and evaluation data", "Predictors"),
    *("Model development", "Sample size", "Explanation", "Synthetic patient", "Limitations"),
    *("TRIPOD+AI checklist", "PROBAST+AI domains", "Provenance"),
)


def test_train_prints_the_shape_that_callers_rely_on(trained: Any) -> None:
    _, printed = trained
    assert list(printed) == [
        *("outcome", "model_name", "version", "model_uri", "run_id", "n_train", "n_evaluated"),
        *("events", "evaluation", "missingness", "linear_weight", "trees", "refused", "metrics"),
        *("blanked", "metrics_of_answered", "report"),
    ]
    assert printed["outcome"] == "mortality"
    assert printed["model_uri"] == f"models:/{MODEL}/1"
    assert printed["n_train"] == printed["n_evaluated"] == 700
    assert printed["evaluation"] == {
        "method": "cross-validation",
        "split": "patient",
        "folds": 5,
        "repeats": 2,
        "refitted": True,
    }
    entry = {"metric", "horizon_days", "estimate", "low", "high"}
    assert all(entry <= set(metric) <= entry | {"note"} for metric in printed["metrics"])
    assert {metric["horizon_days"] for metric in printed["metrics"]} == {90, 365, None}
    assert {(m["blank_share"], m["horizon_days"]) for m in printed["blanked"]} == {
        (share, days) for share in (0.2, 0.4) for days in (90, 365)
    }
    assert Path(printed["report"]).read_text().startswith("<!doctype html>")


def test_everything_about_the_run_is_in_mlflow(trained: Any) -> None:
    place, printed = trained
    with place.entered():
        from models.registry.tracking import connect

        client = connect().MlflowClient()
        run = client.get_run(printed["run_id"])
        files = {file.path for file in client.list_artifacts(printed["run_id"])}
        plots = {file.path for file in client.list_artifacts(printed["run_id"], "plots")}
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith(f"{MODEL} 2")
    assert run.data.params["seed"] == "0"
    assert run.data.params["horizons_days"] == "90, 365"
    assert run.data.params["simulated"] == "true"
    assert run.data.params["population"] == "Made-up adults of a test"
    assert run.data.params["evaluation"] == "5-fold cross-validation by patient, repeats: 2"
    assert not {"None", "()", "[]", ""} & set(run.data.params.values())
    assert 30 < len(run.data.metrics) <= 60
    tracked = {"auroc", "ipa", "oe_ratio", "calibration_slope", "net_benefit"}
    for metric in printed["metrics"]:
        if metric["metric"] in tracked:
            name = f"{metric['horizon_days']:g}d/{metric['metric']}"
            assert run.data.metrics[name] == pytest.approx(metric["estimate"])
    for metric in printed["blanked"]:
        if (metric["metric"], metric["horizon_days"]) == ("oe_ratio", 365):
            empty = f"365d/blank_{100 * metric['blank_share']:g}/oe_ratio"
            assert run.data.metrics[empty] == pytest.approx(metric["estimate"])
    assert {"metrics.json", "evaluation.json", "model_card.md", "contract.json"} <= files
    assert {"report.html", "metrics.csv"} <= files
    assert {"plots/calibration_90d.svg", "plots/example_high_risk.svg"} <= plots
    (used,) = run.inputs.dataset_inputs
    assert used.tags[0].value == "training and evaluation"
    columns = {c["name"]: c["type"] for c in json.loads(used.dataset.schema)["mlflow_colspec"]}
    assert columns["sex"] == "string"
    assert columns["age"] == "double"
    assert json.loads(used.dataset.profile)["num_rows"] == 700
    assert max(len(run.data.tags[tag]) for tag in run.data.tags if tag.startswith("osteon.")) <= 64
    assert len(run.data.tags["osteon.data_fingerprint"]) == 64
    assert run.data.tags["mlflow.source.name"] == "osteon train"


def test_mlflow_shows_the_summary_of_run_model_and_version_and_opens_on_runs(trained: Any) -> None:
    place, printed = trained
    with place.entered():
        from models.registry.tracking import connect

        client = connect().MlflowClient()
        run = client.get_run(printed["run_id"])
        experiment = client.get_experiment(run.info.experiment_id)
        model = client.get_registered_model(MODEL)
        version = client.get_model_version(MODEL, "1")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    note = run.data.tags["mlflow.note.content"]
    assert note == model.description == version.description
    assert note.count("report.html") == 1
    assert f"runs/{printed['run_id']}/artifacts/report.html" in note
    auroc = next(m for m in printed["metrics"] if m["metric"] == "auroc")
    assert f"{auroc['estimate']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f})" in note


def test_the_metrics_of_a_run_are_a_table_with_intervals(trained: Any) -> None:
    _, printed = trained
    table = pd.read_csv(Path(printed["report"]).parent / "metrics.csv")
    assert len(table) == len(printed["metrics"]) + len(printed["blanked"])
    chosen = table.query("metric == 'auroc' and horizon_days == 90 and blank_share == 0")
    (row,) = chosen.itertuples()
    auroc = next(m for m in printed["metrics"] if (m["metric"], m["horizon_days"]) == ("auroc", 90))
    assert (row.estimate, row.low) == pytest.approx((auroc["estimate"], auroc["low"]))
    assert row.label == "Area under the ROC curve"


def test_the_report_of_a_run_tells_of_everything(trained: Any) -> None:
    _, printed = trained
    page = Path(printed["report"]).read_text()
    for title in REPORT_SECTIONS:
        assert f"{title}" in page, title
    card = (Path(printed["report"]).parent / "model_card.md").read_text()
    for text in (page, card):
        assert BASIS in text
        assert "Ranking compares patients of the same fold only" in text
        assert "held-out patients" not in text
    assert "They are of the registered model, which learned from these patients." in page
    assert "Curves show the out-of-fold risks of the first of 2 repeats" in page
    auroc = next(m for m in printed["metrics"] if m["metric"] == "auroc")
    assert f"{auroc['estimate']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f})" in page
    oe = next(
        m for m in printed["blanked"] if m["metric"] == "oe_ratio" and m["blank_share"] == 0.4
    )
    assert "As at the bedside" in page
    assert f"{oe['estimate']:.3f} ({oe['low']:.3f} to {oe['high']:.3f})" in page
    assert "degrees of freedom" in page
    assert page.index('<h2 id="performance-title"') < len(page) / 3
    assert "Simulated patients. No result here applies to real patients." in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert len(page) < 4_000_000


def test_no_patient_is_in_what_the_run_left(trained: Any) -> None:
    place, printed = trained
    table = pd.read_csv(place.folder / "cohort.csv")
    marks = [str(days) for days in table["mortality_days"] if len(str(days)) == 6][:50]
    assert len(marks) == 50
    folder = Path(printed["report"]).parents[2]
    for path in folder.rglob("*"):
        if path.suffix in {".json", ".md", ".html", ".csv", ".yaml"} or path.name == "MLmodel":
            text = path.read_text()
            assert "patient-7-" not in text, path
            if path.suffix == ".md":
                assert not [mark for mark in marks if mark in text]


def test_the_evaluated_figures_travel_in_the_bundle(trained: Any) -> None:
    place, printed = trained
    with place.entered():
        from models.registry.lifecycle import load

        contract = load(printed["model_uri"]).risk_model.contract
    assert json_of(contract.evaluation.metrics) == printed["metrics"]
    assert json_of(contract.evaluation.blanked) == printed["blanked"]
    assert contract.run["seed"] == 0
    assert contract.event_label == "deaths"
    assert contract.population == "Made-up adults of a test"
    assert contract.simulated is True


def test_a_promoted_version_is_champion_with_a_signed_record(trained: Any) -> None:
    place, printed = trained
    listed = place.run("registry", MODEL, "--json").json["versions"]
    assert [one["version"] for one in listed] == ["1"]
    assert listed[0]["aliases"] == ["challenger", "champion"]
    assert listed[0]["gate"]["decision"] == "promote"
    assert listed[0]["run_id"] == printed["run_id"]
    with place.entered():
        from models.registry.gate import gate_key
        from models.registry.lifecycle import load_champion

        assert load_champion(MODEL, gate_key()).version == "1"


def test_a_model_that_fails_on_a_cohort_is_refused_with_reasons(
    trained: Any, simulated: Callable[..., pd.DataFrame]
) -> None:
    place, _ = trained
    table = simulated(300, 11)
    # Whoever is old lives: the model's order is reversed.
    table["age"] = 120 - table["age"]
    table["age"] = table["age"].clip(18.5, 95)
    table["albumin"] = (6.2 - table["albumin"]).round(1).clip(1.2, 5.2)
    table.to_csv(place.folder / "reversed.csv", index=False)
    answer = place.run("promote", MODEL, "1", "--cohort", "reversed.csv", "--json")
    assert answer.code == 1
    assert answer.json["decision"] == "refuse"
    assert answer.json["alias"] is None
    assert any(
        reason.startswith("auroc at 90 days must lie above") for reason in answer.json["reasons"]
    )
    spoken = place.run("promote", MODEL, "1", "--cohort", "reversed.csv")
    assert (spoken.code, spoken.out) == (1, "")
    assert spoken.err.count("refused: ") == len(answer.json["reasons"])


def test_a_model_is_not_judged_on_the_patients_it_learned_from(trained: Any) -> None:
    place, _ = trained
    answer = place.run("promote", MODEL, "1", "--cohort", "cohort.csv", "--json")
    assert answer.code == 2
    assert "was not trained on" in answer.json["error"]["message"]


@pytest.mark.slow
def test_many_refusals_are_stated_before_any_metric_and_all_patients_are_judged(
    trained: Any, simulated: Callable[..., pd.DataFrame]
) -> None:
    place, _ = trained
    table = simulated(300, 12)
    table.to_csv(place.folder / "usual.csv", index=False)
    usual = place.run("evaluate", "usual.csv", "--model", CHAMPION, "--json").json
    table.loc[:29, ["lactate", "albumin"]] = [29.0, 6.0]  # possible, and unlike any patient
    table.to_csv(place.folder / "mixed.csv", index=False)
    mixed = place.run("evaluate", "mixed.csv", "--model", CHAMPION, "--json").json

    assert mixed["refusals"]["by_rule"]["unlike_training_cohort"] >= 30
    assert (mixed["stays"], mixed["patients"], mixed["events"]) == (
        usual["stays"],
        usual["patients"],
        usual["events"],
    )
    answered = {(m["metric"], m["horizon_days"]): m for m in mixed["metrics_of_answered"]}
    both = [(m, answered[m["metric"], m["horizon_days"]]) for m in mixed["metrics"]]
    assert any(of_all["estimate"] != of_answered["estimate"] for of_all, of_answered in both)

    spoken = place.run("evaluate", "mixed.csv", "--model", CHAMPION, "--out", "many")
    first, *rest = spoken.out.splitlines()
    assert first.startswith("The model refuses 1")
    assert "% of the 300 stays judged (unlike training cohort: 3" in first
    assert "auroc" not in first
    assert "Without the refused stays:" in rest
    page = (place.folder / "many" / "report.html").read_text()
    assert page.index("The model refuses 1") < page.index("Main performance metrics")
    assert "Performance by horizon, stays not refused, with 95 % intervals" in page


def test_evaluate_prints_metrics_with_intervals_and_makes_a_folder(trained: Any) -> None:
    place, _ = trained
    answer = place.run("evaluate", "others.csv", "--model", CHAMPION, "--out", "judged", "--json")
    assert answer.code == 0
    auroc = next(m for m in answer.json["metrics"] if m["metric"] == "auroc")
    assert 0.5 < auroc["low"] < auroc["estimate"] < auroc["high"] < 1
    kept = json.loads((place.folder / "judged" / "metrics.json").read_text())
    assert kept["metrics"] == answer.json["metrics"]
    assert (place.folder / "judged" / "plots" / "calibration_90d.svg").is_file()
    page = (place.folder / "judged" / "report.html").read_text()
    for title in REPORT_SECTIONS:
        assert title in page, title
    assert "patients who were not part of the training run" in page
    assert "patient-9-" not in page
    card = (place.folder / "judged" / "model_card.md").read_text()
    assert "## TRIPOD+AI checklist" in card
    again = place.run("evaluate", "others.csv", "--model", CHAMPION, "--out", "judged", "--json")
    assert again.code == 2


def test_evaluate_reads_a_large_file_in_parts(
    trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = trained
    whole = place.run("evaluate", "others.csv", "--model", CHAMPION, "--json").json
    monkeypatch.setattr("training.in_parts.evaluate_file.MOST_AT_ONCE", 20)
    monkeypatch.setattr("training.in_parts.evaluate_file.RESAMPLES", 20)
    out = ("--out", "judged_in_parts")
    answer = place.run("evaluate", "others.csv", "--model", CHAMPION, *out, "--json")
    assert answer.code == 0, answer.err
    for name in ("stays", "patients", "events", "refusals", "learned_from", "model", "outcome"):
        assert answer.json[name] == whole[name], name
    for one, other in zip(answer.json["metrics"], whole["metrics"], strict=True):
        assert (one["metric"], one["horizon_days"]) == (other["metric"], other["horizon_days"])
        assert one["estimate"] == pytest.approx(other["estimate"], abs=5e-3)
    folder = place.folder / "judged_in_parts"
    assert {path.name for path in folder.iterdir()} == {"metrics.json", "metrics.csv"}
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == answer.json["metrics"]
    spoken = place.run("evaluate", "others.csv", "--model", CHAMPION)
    assert "read in parts" in spoken.out
    assert f"{whole['patients']} patients drawn by identifier" in spoken.out
