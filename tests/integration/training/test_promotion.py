from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from contracts import restated
from models.inference.contract import Contract, Evaluation

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

MODEL = "osteon-mortality-simulated"


@contextmanager
def reported_run() -> Iterator[Any]:
    """Open a run that holds a report, as every run of `osteon train` does."""
    from training.run.mlflow_run import tracked_run

    with tracked_run(MODEL) as run:
        run.log(params={}, metrics={}, tags={}, files={"report.html": "<p>A report.</p>"})
        yield run


def with_c(contract: Contract, c_harrell: float) -> Evaluation:
    """Return the evaluation of a contract with another C, on the same patients and splits."""
    assert contract.evaluation is not None
    metrics = tuple(
        replace(metric, estimate=c_harrell) if metric.metric == "c_harrell" else metric
        for metric in contract.evaluation.metrics
    )
    return replace(contract.evaluation, metrics=metrics)


@pytest.fixture
def registered(trained: Any, workplace: Any) -> Any:
    """A registry with a champion of C 0.75, a much worse challenger, and a slightly worse one."""
    place, printed = trained
    with place.entered():
        from models.registry.lifecycle import load

        risk_model = load(printed["model_uri"]).risk_model
    with workplace.entered():
        from models.registry.lifecycle import register

        for c_harrell in (0.75, 0.73, 0.745):
            evaluation = with_c(risk_model.contract, c_harrell)
            with reported_run() as run:
                register(restated(risk_model, evaluation=evaluation), run_id=run.run_id)
    assert workplace.run("promote", MODEL, "1").code == 0
    return workplace


def decided(place: Any) -> list[tuple[str, str, str]]:
    """Return what the audit trail holds of versions, the oldest first."""
    out = place.folder / "audit.ndjson"
    assert place.run("audit", "verify").code == 0
    assert place.run("audit", "export", "--out", str(out)).code == 0
    with place.entered():
        from serving.audit.opening import database_of
        from serving.settings import read_settings
        from serving.store.tables import RECORDS

        with closing(database_of(read_settings())) as database, database.reading() as connection:
            rows = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq)).scalars()
            records = [json.loads(body) for body in rows]
    assert all(record["actor"].startswith("command:") for record in records)
    return [(r["action"], r["status"], r["models"][0]["version"]) for r in records]


def champion(place: Any) -> str:
    listed = place.run("registry", MODEL, "--json").json["versions"]
    (version,) = [one["version"] for one in listed if "champion" in one["aliases"]]
    return str(version)


def test_who_has_no_service_installed_is_told_what_a_promotion_needs(
    workplace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "serving.audit.commands", None)
    answer = workplace.run("promote", MODEL, "1")
    assert answer.code == 2
    assert "Install osteon[serve]" in answer.err


def test_a_challenger_may_be_a_little_worse_than_the_champion_and_no_more(
    registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_STATE_DIR", str(registered.folder / "state"))
    worse = registered.run("promote", MODEL, "2", "--json")
    assert worse.code == 1
    (reason,) = worse.json["reasons"]
    assert reason.startswith("c_harrell must not be worse than the champion's on the same patients")
    assert champion(registered) == "1"
    assert registered.run("promote", MODEL, "3", "--json").code == 0
    assert champion(registered) == "3"
    # Version 2 was never approved, so it is passed over.
    back = registered.run("rollback", MODEL, "--json")
    assert back.json == {"name": MODEL, "version": "1", "alias": "champion"}
    assert champion(registered) == "1"
    assert decided(registered) == [
        ("promoted", "refused", "2"),
        ("promoted", "ok", "3"),
        ("rolled_back", "ok", "1"),
    ]


def test_procedures_are_compared_on_the_same_patients_and_splits_only(
    registered: Any, trained: Any
) -> None:
    same = registered.run("promote", MODEL, "3", "--json")
    assert same.json["champion"] == (
        "compared with champion 1 as procedures, on the same patients and splits"
    )
    place, printed = trained
    with place.entered():
        from models.registry.lifecycle import load

        risk_model = load(printed["model_uri"]).risk_model
    with registered.entered():
        from models.registry.lifecycle import register

        evaluation = replace(with_c(risk_model.contract, 0.6), partition="of other folds")
        with reported_run() as run:
            register(restated(risk_model, evaluation=evaluation), run_id=run.run_id)
    other = registered.run("promote", MODEL, "4", "--json")
    assert other.json["decision"] == "promote"
    assert other.json["champion"].startswith("not compared with champion 3: their runs did not")


def test_a_model_is_not_promoted_on_patients_that_it_learned_from(trained: Any) -> None:
    place, _ = trained
    others, learned_from = (
        pd.read_csv(place.folder / name) for name in ("others.csv", "cohort.csv")
    )
    # Other values of the same patients, on other days: only their identifiers give them away.
    again = learned_from.head(25).assign(lactate=2.0)
    pd.concat([others, again]).to_csv(place.folder / "mixed.csv", index=False)
    refused = place.run("promote", MODEL, "1", "--cohort", "mixed.csv", "--json")
    assert refused.code == 2
    assert "it learned from 25 of 325. Leave them out." in refused.json["error"]["message"]
    judged = place.run("evaluate", "mixed.csv", "--model", f"models:/{MODEL}/1")
    assert "The model learned from 25 of these 325 patients" in judged.out
    answer = place.run("evaluate", "mixed.csv", "--model", f"models:/{MODEL}/1", "--json").json
    assert answer["learned_from"] == {"shared": 25, "not_known": ""}
    without_key = {"OSTEON_GATE_KEY": "", "OSTEON_PATIENT_KEY": ""}
    answer = place.run(
        *("evaluate", "mixed.csv", "--model", f"models:/{MODEL}/1", "--json"), **without_key
    ).json
    assert answer["learned_from"]["shared"] is None
    assert "neither OSTEON_PATIENT_KEY nor OSTEON_GATE_KEY" in answer["learned_from"]["not_known"]


def test_fingerprints_of_patients_are_with_the_run_and_not_in_the_bundle(trained: Any) -> None:
    place, printed = trained
    artifacts = Path(printed["report"]).parent
    stored = json.loads((artifacts / "patient_fingerprints.json").read_text())
    assert len(stored["patients"]) == printed["n_train"]
    stored_at = list(place.folder.rglob("patient_fingerprints.json"))
    assert stored_at == [artifacts / "patient_fingerprints.json"]
    with place.entered():
        from models.registry.lifecycle import load

        for name, content in load(printed["model_uri"]).files.items():
            assert not any(print_.encode() in content for print_ in stored["patients"][:20]), name


def test_nothing_is_promoted_that_cannot_be_recorded(
    registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"sqlite:///{registered.folder / 'run.toml' / 'osteon.db'}"
    (registered.folder / "run.toml").touch()
    monkeypatch.setenv("OSTEON_DATABASE_URL", nowhere)
    assert registered.run("promote", MODEL, "3", "--json").code == 3
    assert champion(registered) == "1"


def test_a_model_without_figures_needs_a_cohort(trained: Any, workplace: Any) -> None:
    place, printed = trained
    with place.entered():
        from models.registry.lifecycle import load

        risk_model = load(printed["model_uri"]).risk_model
    with workplace.entered():
        from models.registry.lifecycle import register

        with reported_run() as run:
            register(restated(risk_model, evaluation=None), run_id=run.run_id)
    answer = workplace.run("promote", MODEL, "1", "--json")
    assert answer.code == 2
    assert "Give a cohort to judge it on (--cohort)." in answer.json["error"]["message"]
    judged = workplace.run(
        *("promote", MODEL, "1", "--cohort", str(place.folder / "others.csv"), "--json")
    )
    assert judged.code == 0
    assert judged.json["judged_on"] == "the given cohort"
    assert judged.json["alias"] == "champion"


def test_a_version_withdrawn_on_record_is_not_promoted_even_without_its_mark(
    registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_STATE_DIR", str(registered.folder / "withdrawn"))
    assert registered.run("withdraw", MODEL, "2", "--why", "").code == 2
    assert registered.run("withdraw", MODEL, "9", "--why", "Unfit.").code == 2
    withdrawn = registered.run("withdraw", MODEL, "2", "--why", "A unit was wrong.", "--json")
    assert withdrawn.json == {
        "name": MODEL,
        "version": "2",
        "was_champion": False,
        "why": "A unit was wrong.",
    }
    assert decided(registered) == [("withdrawn", "ok", "2")]
    assert "withdrawn: A unit was wrong." in registered.run("registry", MODEL).out
    shown = registered.run("explain", "--model", f"models:/{MODEL}/2")
    assert "version 2 was withdrawn: A unit was wrong. Use its risks for no patient." in shown.err
    with registered.entered():
        from models.registry.tracking import connect

        connect().MlflowClient().delete_model_version_tag(MODEL, "2", "osteon.withdrawn")
    refused = registered.run("promote", MODEL, "2")
    assert refused.code == 1
    assert "was withdrawn: A unit was wrong." in refused.err


def of_worse_patients(table: pd.DataFrame) -> pd.DataFrame:
    """Return patients who die much sooner than any of the model's own."""
    return table.assign(mortality_days=(table["mortality_days"] / 6).clip(lower=0.1))


def of_one_worse_group(table: pd.DataFrame) -> pd.DataFrame:
    """Return patients of whom women die sooner than the model's own, and men later."""
    factor = table["sex"].map({"female": 0.35, "male": 1.8})
    return table.assign(mortality_days=(table["mortality_days"] * factor).clip(lower=0.1))


def that_leak(table: pd.DataFrame) -> pd.DataFrame:
    """Return patients whose lactate was copied from their outcome."""
    return table.assign(lactate=1 + 10.0 / table["mortality_days"].clip(lower=1))


def too_few(table: pd.DataFrame) -> pd.DataFrame:
    return table.head(120)


# Each judges two models with 1,000 resamples; `tests/benchmark/bad_promotions.py` prints them all.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "criterion", "reason"),
    [
        (of_worse_patients, "oe_ratio", "oe_ratio at 90 days must have an interval that overlaps"),
        (
            of_one_worse_group,
            "oe_ratio",
            "oe_ratio at 90 days (sex: female) must have an interval that overlaps 0.8 to 1.25",
        ),
        (that_leak, "leakage", "leakage: [leak_"),
        (too_few, "sample_size", "the cohort must hold at least 100 patients with and 100 without"),
    ],
)
def test_a_bad_figure_on_a_named_cohort_is_refused_with_its_reason(
    registered: Any, simulated: Any, change: Any, criterion: str, reason: str
) -> None:
    cohort = registered.folder / "named.csv"
    change(simulated(600, 21)).to_csv(cohort, index=False)
    answer = registered.run("promote", MODEL, "3", "--cohort", str(cohort), "--json")
    assert answer.code == 1
    assert any(one.startswith(reason) for one in answer.json["reasons"]), answer.json["reasons"]
    missed = [one for one in answer.json["criteria"] if not one["is_met"]]
    assert criterion in {one["criterion"] for one in missed}
    assert champion(registered) == "1"


def test_the_record_holds_every_criterion_and_its_figure(registered: Any, simulated: Any) -> None:
    cohort = registered.folder / "named.csv"
    simulated(800, 22).to_csv(cohort, index=False)
    answer = registered.run("promote", MODEL, "3", "--cohort", str(cohort), "--json")
    assert answer.code == 0, answer.json["reasons"]
    (listed,) = [
        one
        for one in registered.run("registry", MODEL, "--json").json["versions"]
        if one["version"] == "3"
    ]
    recorded = listed["gate"]["criteria"]
    assert recorded == answer.json["criteria"]
    assert all(one["is_met"] for one in recorded)
    places = {one["judged_in"] for one in recorded if one["criterion"] == "oe_ratio"}
    assert {
        "at 90 days",
        "at 90 days with 20 % of the fields empty",
        "at 90 days with 40 % of the fields empty",
        "at 90 days, sex: female",
    } <= places
    assert {"sample_size", "leakage", "report", "real_patients", "not_worse"} <= {
        one["criterion"] for one in recorded
    }


def test_a_run_without_a_report_is_refused(trained: Any, workplace: Any) -> None:
    place, printed = trained
    with place.entered():
        from models.registry.lifecycle import load

        risk_model = load(printed["model_uri"]).risk_model
    with workplace.entered():
        from models.registry.lifecycle import register
        from training.run.mlflow_run import tracked_run

        with tracked_run(MODEL) as run:
            register(risk_model, run_id=run.run_id)
    refused = workplace.run("promote", MODEL, "1", "--json")
    assert refused.code == 1
    assert refused.json["reasons"] == [
        "the training run must hold report.html, which tells reviewers what the model is; it holds "
        "none. Train the model again with `osteon train`."
    ]


def test_a_clinical_registry_takes_no_simulated_model(registered: Any) -> None:
    assert registered.run("registry", "--mark-clinical", "--json").code == 0
    refused = registered.run("promote", MODEL, "3", "--json")
    assert refused.code == 1
    assert refused.json["reasons"] == [
        "the model learned from simulated patients, and a registry marked clinical takes models of "
        "real patients only."
    ]
    assert champion(registered) == "1"
    with registered.entered():
        from data_schema.errors import GateError
        from models.registry.lifecycle import load, register

        risk_model = load(f"models:/{MODEL}/1").risk_model
        with reported_run() as run, pytest.raises(GateError, match="takes models of real patients"):
            register(risk_model, run_id=run.run_id)
