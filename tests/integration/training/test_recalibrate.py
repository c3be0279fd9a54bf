"""`osteon recalibrate`, `validate` and `pool` over one registry: a version's life elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = [pytest.mark.filterwarnings("ignore:::mlflow"), pytest.mark.slow]

MODEL = "osteon-mortality-simulated"


@pytest.fixture(scope="module")
def place(
    trained: Any,
    make_workplace: Callable[[str], Any],
    simulated: Callable[[int, int], pd.DataFrame],
) -> Any:
    """A registry with one version, and a cohort of two local sites in which more patients die."""
    source, printed = trained
    with source.entered():
        from models.registry.lifecycle import load

        risk_model = load(printed["model_uri"]).risk_model
    workplace = make_workplace("recalibrate")
    with workplace.entered():
        from models.registry.lifecycle import register
        from training.run.mlflow_run import tracked_run

        with tracked_run(MODEL) as run:
            run.log(params={}, metrics={}, tags={}, files={"report.html": "<!doctype html>"})
            register(risk_model, run_id=run.run_id)
    table = simulated(600, 31)
    table["mortality_days"] = (table["mortality_days"] / 2).clip(0.5).round(2)
    table["site"] = np.where(np.arange(600) % 2, "north", "south")
    table.to_csv(workplace.folder / "local.csv", index=False)
    assert workplace.run("promote", MODEL, "1").code == 0
    return workplace


def test_an_update_is_a_new_version_with_lineage_and_the_same_name(place: Any) -> None:
    printed = place.run(
        *("recalibrate", "local.csv", "--model", f"models:/{MODEL}/1"),
        *("--method", "intercept", "--json"),
    )

    assert printed.code == 0, printed.err
    done = printed.json
    assert done["model_name"] == MODEL
    assert done["model_uri"] == f"models:/{MODEL}/{done['version']}"
    with place.entered():
        from models.registry.lifecycle import load
        from models.registry.versions import find_version

        old, new = load(f"models:/{MODEL}/1"), load(done["model_uri"])
        version = find_version(MODEL, version=done["version"])
    (update,) = new.risk_model.contract.updates
    assert (update.method, update.of_version, update.of_sha256) == ("intercept", "1", old.sha256)
    assert version.updated_from == "1"
    assert "challenger" in version.aliases
    # Half the time to the event: more patients die by each horizon, so that the level rises.
    assert min(update.shift) > 0.2
    before, after = (
        next(m["estimate"] for m in done[which] if m["metric"] == "oe_ratio")
        for which in ("before", "after")
    )
    assert abs(np.log(after)) < abs(np.log(before))
    assert b"patient-31-" not in b"".join(new.files.values())
    report = Path(done["report"]).read_text(encoding="utf-8")
    assert "Old and new version in the same patients" in report


def test_an_update_by_site_is_read_from_the_cohort_and_passes_the_gate(place: Any) -> None:
    printed = place.run(
        *("recalibrate", "local.csv", "--model", f"models:/{MODEL}/1", "--method", "site", "--json")
    )
    assert printed.code == 0, printed.err
    uri = printed.json["model_uri"]

    again = place.run("validate", "local.csv", "--model", uri, "--no-refit")
    assert again.code == 2
    assert "it learned from 600 of 600" in again.err
    scored = place.run("score", "local.csv", "--model", uri, "--out", "scored.csv", "--json")
    promoted = place.run("promote", MODEL, printed.json["version"], "--json")

    assert scored.code == 0, scored.err
    assert pd.read_csv(place.folder / "scored.csv")["risk"].notna().mean() > 0.9
    assert promoted.code == 0, promoted.out


@pytest.fixture(scope="module")
def refitted(place: Any, trained: Any) -> dict[str, Any]:
    """What a refit to the training cohort and new patients, 40 of them old, prints."""
    source, _ = trained
    # The file as it was: the model recognises it by every digit.
    shutil.copy(source.folder / "cohort.csv", place.folder / "old.csv")
    old = pd.read_csv(place.folder / "old.csv")
    local = pd.read_csv(place.folder / "local.csv", dtype={"patient_id": str, "stay_id": str})
    again = old[old["patient_id"].isin(old["patient_id"].unique()[:40])]
    both = pd.concat([local, again], ignore_index=True).drop(columns="site")
    both.to_csv(place.folder / "both.csv", index=False)
    answer = place.run(
        *("recalibrate", "both.csv", "--model", f"models:/{MODEL}/1", "--old", "old.csv"),
        *("--method", "refit", "--json"),
    )
    assert answer.code == 0, answer.err
    return dict(answer.json)


def test_a_refit_to_old_and_new_patients_is_a_version_with_lineage(
    place: Any, refitted: dict[str, Any]
) -> None:
    assert refitted["method"] == "refit"
    assert refitted["in_both"] == 40
    with place.entered():
        from models.registry.lifecycle import load
        from models.registry.versions import find_version

        old, new = load(f"models:/{MODEL}/1"), load(refitted["model_uri"])
        version = find_version(MODEL, version=refitted["version"])
    assert version.updated_from == "1"
    contract, before = new.risk_model.contract, old.risk_model.contract
    (update,) = contract.updates
    assert (update.method, update.of_sha256, update.patients) == ("refit", old.sha256, 640)
    # 700 old and 600 new patients; those in both count once.
    assert contract.training.patients == 1300
    assert contract.evaluation is not None
    assert contract.evaluation.patients == 600
    assert {feature.name for feature in contract.features} == {
        feature.name for feature in before.features
    }
    assert (contract.event_label, contract.time_zero) == (before.event_label, before.time_zero)
    assert before.provenance is not None
    assert before.provenance.data_fingerprint in contract.learned_from


def test_the_report_of_a_refit_compares_with_the_old_version_in_new_patients(
    refitted: dict[str, Any],
) -> None:
    report = Path(refitted["report"]).read_text(encoding="utf-8")

    assert "40 patients are in both cohorts" in report
    assert "Change by the refit against the version before" in report
    assert "Both are judged on the 600 new patients" in report
    assert "patient-31-" not in report
    # Half the time to the event: fits that have seen such patients expect more events.
    before, after = (
        next(m["estimate"] for m in refitted[which] if m["metric"] == "oe_ratio")
        for which in ("before", "after")
    )
    assert abs(np.log(after)) < abs(np.log(before))


def test_a_refit_may_pass_the_gate_and_its_patients_are_recognised(
    place: Any, refitted: dict[str, Any]
) -> None:
    again = place.run("validate", "old.csv", "--model", refitted["model_uri"], "--no-refit")
    promoted = place.run("promote", MODEL, refitted["version"], "--json")

    assert again.code == 2
    assert "it learned from 700 of 700" in again.err
    judged = {one["criterion"] for one in promoted.json["criteria"]}
    assert {"oe_ratio", "auroc"} <= judged
    assert any("sex" in one["judged_in"] for one in promoted.json["criteria"])


def test_a_refit_needs_the_cohort_that_the_model_learned_from(place: Any) -> None:
    model = ("--model", f"models:/{MODEL}/1")

    without = place.run("recalibrate", "local.csv", *model, "--method", "refit")
    wrong = place.run("recalibrate", "local.csv", *model, "--old", "local.csv")
    beside = place.run(
        "recalibrate", "local.csv", *model, "--old", "old.csv", "--method", "intercept"
    )

    assert (without.code, wrong.code, beside.code) == (2, 2, 2)
    assert "Give the cohort that the model learned from (--old)" in without.err
    assert "the old cohort must be the one that the model learned from" in wrong.err
    assert "an update by intercept reads the new patients alone" in beside.err


def test_the_closed_test_may_refuse_to_update(
    place: Any, simulated: Callable[[int, int], pd.DataFrame]
) -> None:
    # So few that they could show no more than a gross error.
    simulated(120, 35).to_csv(place.folder / "alike.csv", index=False)

    printed = place.run("recalibrate", "alike.csv", "--model", f"models:/{MODEL}/1", "--json")

    assert printed.code == 1
    assert "the closed test supports no update" in printed.json["error"]["message"]


def test_patients_that_the_model_learned_from_are_refused(trained: Any) -> None:
    place, printed = trained
    answer = place.run(
        *("recalibrate", "cohort.csv", "--model", printed["model_uri"], "--method", "slope")
    )

    assert answer.code == 2
    assert "must be updated with patients that it did not learn from" in answer.err


def test_a_bundle_without_a_version_has_no_lineage(place: Any, trained: Any) -> None:
    with place.entered():
        from models.registry.bundle import write_files
        from models.registry.lifecycle import load

        write_files(load(f"models:/{MODEL}/1").files, place.folder / "bundle")

    answer = place.run("recalibrate", "local.csv", "--model", "bundle", "--method", "slope")

    assert answer.code == 2
    assert "must be a registered version" in answer.err


def test_validations_are_listed_with_their_version_pooled_and_named_at_a_promotion(
    place: Any, simulated: Callable[[int, int], pd.DataFrame]
) -> None:
    for number in range(3):
        simulated(300, 50 + number).to_csv(place.folder / f"site{number}.csv", index=False)
        printed = place.run(
            *("validate", f"site{number}.csv", "--model", f"models:/{MODEL}/1", "--no-refit"),
            *("--site", f"Hospital {number}", "--share", f"shared{number}", "--json"),
            *(("--out", "validated") if number == 0 else ()),
        )
        assert printed.code == 0, printed.err
        assert [update["method"] for update in printed.json["updates"]] == [
            "none",
            "intercept",
            "slope",
        ]
        assert {"auroc", "d_calibration", "aj_calibration"} <= {
            metric["metric"] for metric in printed.json["metrics"]
        }
    folder = place.folder / "validated"
    assert {"report.html", "validation.html", "validation.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert "What an update would gain" in (folder / "validation.html").read_text(encoding="utf-8")
    assert "patient-" not in (place.folder / "shared0" / "validation.json").read_text()

    pooled = place.run("pool", "shared0", "shared1", "shared2", "--out", "pooled", "--json")
    assert pooled.code == 0, pooled.err
    assert {mean["metric"] for mean in pooled.json["pooled"]} >= {"auroc", "oe_ratio"}
    assert (place.folder / "pooled" / "plots" / "forest_auroc_90d.svg").is_file()

    listed = place.run("registry", MODEL, "--json").json
    first = next(version for version in listed["versions"] if version["version"] == "1")
    assert [one["site"] for one in first["validations"]] == [
        "Hospital 0",
        "Hospital 1",
        "Hospital 2",
    ]
    assert [event["kind"] for event in listed["timeline"]].count("validated") == 3

    update = place.run(
        *("recalibrate", "local.csv", "--model", f"models:/{MODEL}/1"),
        *("--method", "intercept", "--json"),
    )
    promoted = place.run("promote", MODEL, update.json["version"], "--json")
    assert promoted.code == 0, promoted.out
    assert len(promoted.json["validations_of_others"]) == 3


def test_patients_that_were_learned_from_are_no_validation(trained: Any) -> None:
    place, printed = trained
    answer = place.run("validate", "cohort.csv", "--model", printed["model_uri"], "--no-refit")

    assert answer.code == 2
    assert "must be of patients that the model did not learn from" in answer.err
