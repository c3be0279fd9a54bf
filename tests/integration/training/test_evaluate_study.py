"""`osteon evaluate` without a model: added value, sites and years never seen, instability."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from models.metrics.comparison.paired_changes import Verdict

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

SETTINGS = """
simulated = true
horizons_days = [90, 365]
max_trees = 5
interval_folds = 3
bootstrap_resamples = 100
threads = 1
repeats = 1
"""


def written(workplace: Any, simulated: Any, n: int = 150, **columns: Any) -> None:
    simulated(n, 3).assign(**columns).to_csv(workplace.folder / "cohort.csv", index=False)
    (workplace.folder / "run.toml").write_text(SETTINGS)


def asked(workplace: Any, *options: str) -> Any:
    return workplace.run(
        *("evaluate", "cohort.csv", "--outcome", "mortality", "--config", "run.toml"), *options
    )


def test_added_value_is_judged_out_of_fold_and_kept(workplace: Any, simulated: Any) -> None:
    written(workplace, simulated)

    answer = asked(
        workplace, "--added-value", "lactate,albumin", "--over", "person", "--out", "o", "--json"
    )

    assert answer.code == 0, answer.err
    printed = answer.json["added_value"]
    assert printed["added"] == {"lactate": ["lactate"], "albumin": ["albumin"]}
    assert printed["over"] == ["age", "sex"]
    # Half of the panel's two variables is one, and every patient has one.
    assert printed["among_measured"]["share"] == 1
    assert printed["among_measured"]["changes"] == printed["changes"]
    assert printed["under_full_treatment"] is None
    assert printed["limited_deaths"]["is_recorded"] is False
    assert printed["primary_horizon_days"] == 365
    primary = printed["primary"]
    assert primary["metric"] == "auroc"
    assert primary["low"] < primary["change"] < primary["high"]
    assert printed["verdict"] in get_args(Verdict)
    names = {(c["metric"], c["horizon_days"], c["secondary"]) for c in printed["changes"]}
    assert {("ipa", 90, False), ("net_benefit", 365, False), ("idi", 365, True)} <= names
    parts = {one["name"]: one for one in printed["pathways"]}
    # Of two parts, what one adds on top of the other starts from where the other is alone.
    alone = parts["albumin"]["alone"][0]["with_panel"]
    assert parts["lactate"]["on_top"][0]["without"] == pytest.approx(alone)
    assert printed["likelihood_ratio"]["p_value"] < 0.05
    assert len(printed["test_trade_off"]) == 3
    assert len(printed["decision"]["gain"]["low"]) == len(printed["decision"]["thresholds"])
    kept = json.loads((workplace.folder / "o" / "evaluation.json").read_text())
    page = (workplace.folder / "o" / "report.html").read_text()
    assert f"Verdict: {kept['added_value']['verdict']}." in page
    assert "Prediction models of death from any cause: added value of a panel." in page
    assert "Fewer patients than the sample size calculation requires." in page
    assert (workplace.folder / "o" / "plots" / "added_value_net_benefit.svg").is_file()
    assert kept["added_value"]["primary"] == primary


def test_added_value_is_printed_and_the_notebook_gives_the_same(
    workplace: Any, simulated: Any
) -> None:
    import osteon
    from training.config import parse_config

    written(workplace, simulated, n=100)

    answer = asked(
        workplace, "--added-value", "lactate", "--horizon", "90", "--thresholds", "0.1,0.2"
    )
    found = osteon.added_value(
        pd.read_csv(workplace.folder / "cohort.csv"),
        outcome="mortality",
        added=["lactate"],
        config=parse_config(SETTINGS),
        horizon_days=90,
        thresholds=[0.1, 0.2],
    )

    assert answer.code == 0, answer.err
    assert f"Verdict at 90 days: {found.verdict}. AUROC" in answer.out
    assert f"change {found.primary.change:+.4f} ({found.primary.low:+.4f} to" in answer.out
    assert "net_benefit at 0.1" in answer.out
    assert "Secondary, no proof of added value:" in answer.out
    assert "Test trade-off at a threshold of 20 %:" in answer.out


def test_a_training_run_tells_what_a_panel_adds_wherever_it_is_read(
    workplace: Any, simulated: Any
) -> None:
    written(workplace, simulated)
    one_hold_out = SETTINGS.replace("repeats = 1", "test_fraction = 0.3")
    # The horizon of the verdict is fixed beforehand, as by `osteon protocol`; what the command line
    # states of the panel and its base takes the place of what the settings state.
    fixed = 'added_value = ["lactate"]\nover = ["severity"]\nprimary_horizon_days = 90\n'
    (workplace.folder / "run.toml").write_text(fixed + one_hold_out)

    answer = workplace.run(
        *("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml", "--json"),
        *("--added-value", "lactate+albumin", "--over", "person"),
    )

    assert answer.code == 0, answer.err
    printed = answer.json["added_value"]
    assert printed["added"] == {"lactate+albumin": ["lactate", "albumin"]}
    assert printed["patients"] == answer.json["n_train"]
    folder = Path(answer.json["report"]).parent
    verdict = f"Verdict: {printed['verdict']}."
    for file in ("report.html", "model_card.md"):
        text = (folder / file).read_text()
        assert verdict in text, file
        assert "Estimated by cross-validation in all patients of the run." in text, file
    assert (folder / "plots" / "added_value_net_benefit.svg").is_file()
    contract = json.loads((folder / "contract.json").read_text())
    assert contract["run"]["added_value"] == ["lactate+albumin"]
    assert contract["panel"] == {
        "label": "lactate + albumin",
        "variables": ["lactate", "albumin"],
        "verdict": printed["verdict"],
        "horizon_days": 90.0,
        **{name: printed["primary"][name] for name in ("change", "low", "high")},
    }
    with workplace.entered():
        from models.registry.lifecycle import load

        risk_model = load(answer.json["model_uri"]).risk_model
    # The fit without the panel is in the bundle where the panel adds something, and only there.
    carried = {"without_panel.json", "without_panel.ubj"} & risk_model.files().keys()
    assert bool(carried) == (printed["verdict"] == "adds")
    with workplace.entered():
        from models.registry.tracking import connect

        run = connect().MlflowClient().get_run(answer.json["run_id"]).data
    assert run.metrics["90d/added_auroc"] == pytest.approx(printed["primary"]["change"])
    assert run.tags["osteon.panel_verdict"] == f"{printed['verdict']}, at 90 days"


def test_a_panel_that_the_cohort_lacks_is_refused_before_any_fit(
    workplace: Any, simulated: Any
) -> None:
    written(workplace, simulated)
    with (workplace.folder / "run.toml").open("a") as settings:
        settings.write('added_value = ["resorption"]\n')

    answer = workplace.run(
        *("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml")
    )

    assert answer.code == 2
    assert "got resorption without one" in answer.err
    assert "fitted on" not in answer.err


def test_each_site_is_judged_by_a_model_that_never_saw_it(workplace: Any, simulated: Any) -> None:
    sites = np.repeat(["A", "B", "C", "D"], [80, 80, 80, 10])
    written(workplace, simulated, n=250, site=sites)

    answer = asked(workplace, "--internal-external", "site", "--json")

    assert answer.code == 0, answer.err
    printed = answer.json["internal_external"]
    assert [(c["level"], c["stays"]) for c in printed["clusters"]] == [
        ("A", 80),
        ("B", 80),
        ("C", 80),
        ("D", 10),
    ]
    assert printed["clusters"][3]["note"] == "fewer than 50 patients"
    pooled = {(p["metric"], p["horizon_days"]): p for p in printed["pooled"]}
    auroc = pooled["auroc", 365]
    assert auroc["clusters"] == 3
    assert auroc["next_low"] <= auroc["low"] < auroc["estimate"] < auroc["high"]
    assert auroc["high"] <= auroc["next_high"] <= 1


def test_each_year_is_judged_by_a_model_of_the_others(workplace: Any, simulated: Any) -> None:
    days = pd.date_range("2021-01-01", "2022-12-31", periods=250, tz="UTC")
    written(workplace, simulated, n=250, time_zero=days.strftime("%Y-%m-%dT%H:%M:%SZ"))

    answer = asked(workplace, "--internal-external", "year", "--json")

    assert answer.code == 0, answer.err
    printed = answer.json["internal_external"]
    assert [c["level"] for c in printed["clusters"]] == ["2021", "2022"]
    assert printed["pooled"] == []


def test_instability_is_printed_of_the_cohort_and_of_no_patient(
    workplace: Any, simulated: Any
) -> None:
    written(workplace, simulated, n=80)

    answer = asked(workplace, "--instability", "20", "--json")

    assert answer.code == 0, answer.err
    (first, second) = answer.json["instability"]
    assert (first["horizon_days"], second["horizon_days"]) == (90, 365)
    assert 0.005 < first["mean_absolute_change"] < 0.2
    assert set(first) == {
        *("horizon_days", "refits", "mean_absolute_change", "p90_mean_absolute_change"),
        *("median_interval_width", "share_wider_than", "mean_share_flipped"),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs at least one of added value"),
        (["--added-value", "resorption"], "each part of a panel must have a marker in the cohort"),
        (["--added-value", "lactate", "--horizon", "28"], "must be one of 90, 365 days; got 28"),
        (["--added-value", "lactate", "--thresholds", "1.5"], "strictly between 0 and 1"),
        (["--added-value", "lactate", "--thresholds", "a"], "must be risks, e.g. 0.1,0.2"),
        (["--over", "person", "--instability", "20"], "stated with an added_value only"),
        (["--internal-external", "ward"], "must be site or year"),
        (["--internal-external", "site"], "needs the site of every stay"),
        (["--instability", "3"], "at least 20"),
        (["--model", "models:/some/1", "--over", "person"], "cannot be combined with --outcome"),
    ],
)
def test_wrong_questions_are_refused_before_any_fit(
    options: list[str], message: str, workplace: Any, simulated: Any
) -> None:
    written(workplace, simulated, n=60)

    answer = asked(workplace, *options, "--json")

    assert answer.code == 2
    assert message in answer.json["error"]["message"]


def test_neither_model_nor_outcome_is_wrong_usage(workplace: Any) -> None:
    answer = workplace.run("evaluate", "cohort.csv")

    assert answer.code == 2
    assert "needs --model, or --outcome" in answer.err
