from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pandas as pd
import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

MODEL = "models:/osteon-mortality-simulated/1"
MG_DL = 9.008
"""Lactate in mg/dL for each mmol/L."""
OUTCOME = ["mortality_days", "mortality_event"]


@pytest.fixture
def followed(simulated: Any) -> pd.DataFrame:
    """500 new patients of the same population, of three sites, with what happened to them."""
    return simulated(500, 31).assign(site=np.resize(["north", "south", "west"], 500))


@pytest.fixture
def period(followed: pd.DataFrame) -> pd.DataFrame:
    """The same patients before anything is known of them."""
    return followed.drop(columns=OUTCOME)


def watched(trained: Any, table: pd.DataFrame, *options: str) -> Any:
    place, _ = trained
    path = place.folder / "period.csv"
    table.to_csv(path, index=False)
    answer = place.run("monitor", str(path), "--model", MODEL, "--json", *options)
    assert answer.code == 0, answer.out + answer.err
    return answer.json


def of_kind(found: Any, kind: str) -> list[Any]:
    return [alert for alert in found["alerts"] if alert["kind"] == kind]


def test_a_period_like_the_training_cohort_raises_no_alert(
    trained: Any, followed: pd.DataFrame
) -> None:
    found = watched(trained, followed)
    assert found["rows"] == 500
    assert found["alerts"] == []
    assert {(one["metric"], one["horizon_days"]) for one in found["expected"]} == {
        (metric, days) for metric in ("auroc", "brier") for days in (90, 365)
    }
    true = {(one["metric"], one["horizon_days"]): one["estimate"] for one in found["observed"]}
    for one in found["expected"]:
        assert one["low"] <= true[one["metric"], one["horizon_days"]] <= one["high"]


def test_a_watched_period_is_on_the_timeline(trained: Any, followed: pd.DataFrame) -> None:
    place, _ = trained
    assert watched(trained, followed)["recorded"]
    listed = place.run("registry", "osteon-mortality-simulated", "--json").json["timeline"]
    details = [event["detail"] for event in listed if event["kind"] == "monitored"]
    assert any("500 stays of a file: no alert; observed over expected" in one for one in details)
    assert sum("500 stays of a file: no alert; observed" in one for one in details) == 1


def test_a_unit_shift_names_variable_factor_and_unit(trained: Any, period: pd.DataFrame) -> None:
    found = watched(trained, period.assign(lactate=period["lactate"] * MG_DL))
    (alert,) = of_kind(found, "unit_shift")
    assert alert["variable"] == "lactate"
    assert alert["unit"] == "mg/dL"
    assert alert["factor"] == pytest.approx(MG_DL, rel=1e-3)
    assert "site" not in alert
    assert not any(other["variable"] == "lactate" for other in of_kind(found, "drift"))


def test_a_unit_shift_of_one_site_names_the_site(trained: Any, period: pd.DataFrame) -> None:
    shifted = period["lactate"].where(period["site"] != "south", period["lactate"] * MG_DL)
    found = watched(trained, period.assign(lactate=shifted))
    (alert,) = of_kind(found, "unit_shift")
    assert (alert["variable"], alert["unit"], alert["site"]) == ("lactate", "mg/dL", "south")
    assert "at site south" in alert["message"]


def test_a_shifted_decimal_point_is_a_unit_shift_without_a_unit(
    trained: Any, period: pd.DataFrame
) -> None:
    found = watched(trained, period.assign(albumin=period["albumin"] * 100))
    (alert,) = of_kind(found, "unit_shift")
    assert (alert["variable"], alert["unit"], alert["factor"]) == ("albumin", None, 100.0)


def test_a_wrong_statement_of_the_mapping_names_the_unit_that_arrives(
    trained: Any, period: pd.DataFrame
) -> None:
    place, _ = trained
    mapping = place.folder / "mapping.toml"
    mapping.write_text('[columns.lac]\nvariable = "lactate"\nunit = "mg/dL"\n')
    found = watched(trained, period.rename(columns={"lactate": "lac"}), "--mapping", str(mapping))
    (alert,) = of_kind(found, "unit_shift")
    assert (alert["variable"], alert["unit"]) == ("lactate", "mmol/L")
    assert alert["factor"] == pytest.approx(1 / MG_DL, rel=1e-3)


def test_an_earlier_period_tells_a_change_here_from_other_patients(
    trained: Any, simulated: Any, period: pd.DataFrame
) -> None:
    place, _ = trained
    earlier = place.folder / "earlier.csv"
    older = simulated(500, 32).drop(columns=OUTCOME)
    older.assign(age=older["age"] + 12).to_csv(earlier, index=False)
    now = period.assign(age=period["age"] + 12, lactate=period["lactate"] * 1.5)
    page = place.folder / "compared.html"
    found = watched(trained, now, "--earlier", str(earlier), "--out", str(page))
    assert found["earlier_rows"] == 500
    compared: dict[bool, set[str]] = {True: set(), False: set()}
    for alert in of_kind(found, "drift"):
        compared["compared_with" in alert].add(alert["variable"])
    assert "age" in compared[False]
    assert "age" not in compared[True]
    assert "lactate" in compared[True]
    text = page.read_text()
    assert "This period beside the earlier one" in text
    assert "changed here" in text


def test_sicker_patients_are_drift_and_not_a_unit_shift(trained: Any, period: pd.DataFrame) -> None:
    sicker = period.assign(lactate=period["lactate"] * 1.6, age=period["age"] + 8)
    found = watched(trained, sicker)
    assert not of_kind(found, "unit_shift")
    assert {"age", "lactate", "risk"} <= {alert["variable"] for alert in of_kind(found, "drift")}


def test_values_that_are_no_longer_recorded_are_missing(trained: Any, period: pd.DataFrame) -> None:
    period.loc[:399, "lactate"] = np.nan
    (alert,) = of_kind(watched(trained, period), "missing")
    assert alert["variable"] == "lactate"
    assert alert["expected"] == pytest.approx(0.8, abs=0.05)


def test_a_level_beyond_the_catalogue_is_counted(trained: Any, period: pd.DataFrame) -> None:
    period.loc[:29, "sex"] = "indeterminate-x"
    new = [one for one in of_kind(watched(trained, period), "drift") if one["variable"] == "sex"]
    assert "30 of 500 stays have another" in new[0]["message"]
    assert "indeterminate" not in json.dumps(new)


def test_concept_drift_shows_only_in_outcomes_and_this_is_said(
    trained: Any, followed: pd.DataFrame
) -> None:
    before = watched(trained, followed.drop(columns=OUTCOME))
    assert before["alerts"] == before["observed"] == []
    assert before["events_needed"] == 158
    assert "cannot show it before outcomes arrive" in before["statement"]
    sooner = followed.assign(mortality_days=(followed["mortality_days"] / 4).clip(lower=0.1))
    after = watched(trained, sooner)
    assert {alert["horizon_days"] for alert in of_kind(after, "calibration")} >= {90.0}
    assert all(
        "the risks are too low" in alert["message"] for alert in of_kind(after, "calibration")
    )
    assert after["statement"] == before["statement"]


def test_outcomes_that_are_not_yet_reported_are_left_out(
    trained: Any, followed: pd.DataFrame
) -> None:
    followed.loc[250:, OUTCOME] = np.nan
    found = watched(trained, followed)
    overall = [one for one in found["observed_over_expected"] if one["site"] is None]
    assert max(one["patients"] for one in overall) <= 250


@contextmanager
def listening() -> Iterator[tuple[str, list[Any]]]:
    """Yield an address on this machine and what is posted to it."""
    received: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alerts", received
    finally:
        server.shutdown()
        server.server_close()


def test_alerts_are_posted_and_written_as_a_page_without_scripts(
    trained: Any, followed: pd.DataFrame
) -> None:
    place, _ = trained
    page = place.folder / "monitoring.html"
    shifted = followed.assign(lactate=followed["lactate"] * MG_DL)
    with listening() as (address, received):
        found = watched(trained, shifted, "--webhook", address, "--out", str(page))
        assert received == [{"model": found["model"], "rows": 500, "alerts": found["alerts"]}]
        watched(trained, followed, "--webhook", address)
        assert len(received) == 1, "a period without an alert is not posted"
    text = page.read_text()
    assert text.count("<svg") == text.count("<details>") >= 6
    assert "<script" not in text
    assert "lactate must arrive in its stated unit" in text
    assert "What these figures cannot show." in text


def test_the_command_states_what_it_needs(trained: Any) -> None:
    place, _ = trained
    for options, message in (
        ((), "monitor needs --model."),
        (("--model", MODEL), "ARRIVED, a cohort file, or --from-trail, and not both"),
        (("others.csv", "--model", MODEL, "--since", "2026-11-01"), "must go with --from-trail"),
        (("others.csv", "--model", MODEL, "--out", "page.pdf"), "must end in .html"),
        (("--from-trail", "--model", MODEL, "--since", "soon"), "must be days such as"),
        (("--from-trail", "--model", MODEL, "--earlier", "o.csv"), "use --earlier-since"),
        (("o.csv", "--model", MODEL, "--earlier-since", "2026-11-01"), "and --since."),
        (("others.csv", "--model", MODEL, "--webhook", "http://a.example/"), "be an https address"),
    ):
        refused = place.run("monitor", *options)
        assert refused.code == 2
        assert message in refused.err.replace("\n", " ")
    rules = place.run("monitor", "--prometheus-rules")
    assert rules.code == 0
    names = [rule["alert"] for rule in json.loads(rules.out)["groups"][0]["rules"]]
    assert "OsteonObservedOverExpected" in names


def test_a_trail_without_predictions_is_named(
    trained: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = trained
    monkeypatch.setenv("OSTEON_STATE_DIR", str(tmp_path / "empty"))
    refused = place.run("monitor", "--from-trail", "--model", MODEL)
    assert refused.code == 1
    assert "must hold predictions of osteon-mortality-simulated version 1" in refused.err
