from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts import restated
from data_schema.disclosure import SMALLEST_CELL
from models.registry.life_events import Event, ModelTimeline
from predict_requests import VALID
from serving.app import create_app, swap
from serving.prediction.served import Served
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

NAME = "osteon-mortality-simulated"
DESCRIBED = {
    "groups": [{"label": "all", "stays": 300}],
    "variables": [
        {
            "name": "lactate",
            "label": "Lactate",
            "unit": "mmol/L",
            "pathway": "severity",
            "kind": "number",
            "levels": ["recorded", "not recorded"],
            "groups": [
                {"levels": [250, 50], "quartiles": [1.0, 1.6, 2.7], "mean": 2.1, "deviation": 1.6}
            ],
        }
    ],
}


@pytest.fixture
def described(mortality: ServedModel) -> ServedModel:
    """The model with a description of its training patients, as a training run gives it."""
    changed = restated(mortality.loaded.risk_model, described=DESCRIBED)
    return replace(mortality, loaded=replace(mortality.loaded, risk_model=changed))


@pytest.fixture
def client(serve: Any, tmp_path: Path, described: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(state_dir=tmp_path), models=[described]))


def ask(client: httpx.Client, number: int, **stated: Any) -> str:
    answer = client.post("/v1/predict", json=VALID | {"patient_id": f"p{number}"} | stated)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["prediction_id"])


def samples(client: httpx.Client, name: str) -> list[tuple[dict[str, str], float]]:
    """Return the labels but for model and version, and the value, of each sample of a metric."""
    found = []
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name:
                labels = dict(sample.labels)
                assert (labels.pop("model"), labels.pop("version")) == (NAME, "3")
                found.append((labels, sample.value))
    return found


def test_predictions_and_outcomes_are_figures_of_the_service(client: httpx.Client) -> None:
    for number in range(30):
        identity = ask(client, number)
        reported = {
            "outcome": "mortality",
            "event": number % 2,
            "days": 10 + 90 * (number % 2 == 0),
        }
        sent = client.post("/v1/outcomes", json=reported | {"prediction_id": identity})
        assert sent.is_success
    assert samples(client, "osteon_monitoring_predictions") == [({}, 30)]
    assert samples(client, "osteon_monitoring_known_outcomes") == [({}, 30)]
    promised = {
        labels["end"]: value
        for labels, value in samples(client, "osteon_monitoring_expected")
        if (labels["metric"], labels["horizon_days"]) == ("brier", "28")
    }
    assert promised["low"] < promised["estimate"] < promised["high"]
    ratios = samples(client, "osteon_monitoring_oe_ratio")
    assert {labels["horizon_days"] for labels, _ in ratios} >= {"28"}
    kinds = {labels["kind"] for labels, _ in samples(client, "osteon_monitoring_alerts")}
    assert kinds == {"calibration", "discrimination", "drift"}
    page = client.get("/monitoring/mortality-simulated")
    assert page.status_code == 200
    assert "What these figures cannot show" in page.text
    assert "30 stays, each by the last answer at its first time zero" in page.text
    assert page.text.count("<svg") == page.text.count("<details>") >= 3
    assert not re.search(r"style=|<style|p\d+</", page.text)
    assert client.get("/monitoring/mortality-of-none").status_code == 404


def test_before_any_prediction_there_is_nothing_to_show(client: httpx.Client) -> None:
    page = client.get("/monitoring/mortality-simulated")
    assert "Nothing to show yet" in page.text
    assert samples(client, "osteon_monitoring_predictions") == []
    assert 'href="/monitoring/mortality-simulated"' in client.get("/").text


EVENTS = (
    Event("2026-01-01T00:00:00+00:00", "3", "registered", "trained and registered"),
    Event("2026-02-01T12:30:00+01:00", "3", "promoted", "promote by <ann>"),
    Event("2026-06-01T00:00:00+00:00", "2", "withdrawn", "wrong unit (bob)"),
)


def test_the_timeline_shows_what_the_registry_held_the_newest_first(
    serve: Any, tmp_path: Path, described: ServedModel
) -> None:
    app = create_app(Settings(state_dir=tmp_path), models=[described])
    client = serve(app)
    assert "Nothing to show" in client.get("/timeline/mortality-simulated").text
    swap(app, Served([described], timelines=[ModelTimeline(NAME, EVENTS)]))
    page = client.get("/timeline/mortality-simulated").text
    assert re.findall(r"<strong>([^<]*)</strong>", page.split("<ol")[1]) == [
        "Withdrawn",
        "Passed the gate",
        "Registered",
    ]
    assert '<time datetime="2026-02-01T11:30Z">2026-02-01 11:30</time>' in page
    assert "version 3, served here" in page
    assert "&lt;ann&gt;" in page
    assert "<ann>" not in page
    for other in ("/facts/mortality-simulated", "/monitoring/mortality-simulated"):
        assert 'href="/timeline/mortality-simulated"' in client.get(other).text
    assert client.get("/timeline/mortality-of-none").status_code == 404


def test_inputs_are_counted_for_several_patients_at_a_time(client: httpx.Client) -> None:
    high = [{"variable": "lactate", "value": 20, "unit": "mmol/L"}]
    for number in range(SMALLEST_CELL - 1):
        ask(client, number, measurements=high)
    assert samples(client, "osteon_input_values_total") == []
    ask(client, 99, measurements=[])
    ask(client, 100, measurements=high)
    counted: Counter[str] = Counter()
    for labels, number in samples(client, "osteon_input_values_total"):
        assert labels["variable"] == "lactate"
        counted[labels["place"]] += int(number)
    assert counted == {"above": SMALLEST_CELL - 1, "missing": 1}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_monitoring_page(
    serve: Any, tmp_path: Path, described: ServedModel, browser: Any, theme: str
) -> None:
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    app = create_app(Settings(state_dir=tmp_path), models=[described])
    client = serve(app)
    for number in range(40):
        lactate = [{"variable": "lactate", "value": 1 + number % 9, "unit": "mmol/L"}]
        identity = ask(client, number, measurements=lactate, birth_date=f"19{30 + number}-03-02")
        event = int(number % 3 == 0)
        reported = {"outcome": "mortality", "event": event, "days": 10 if event else 100}
        client.post("/v1/outcomes", json=reported | {"prediction_id": identity})
    page = browser(color_scheme=theme, viewport={"width": 1000, "height": 900}).new_page()
    page.add_init_script(
        "globalThis.broken = []; document.addEventListener('securitypolicyviolation', "
        "one => broken.push(one.effectiveDirective))"
    )
    page.goto(f"{client.base_url}/monitoring/mortality-simulated")
    page.locator("summary").first.click()
    found = axe_module.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate("broken") == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    swap(app, Served([described], timelines=[ModelTimeline(NAME, EVENTS)]))
    page.goto(f"{client.base_url}/timeline/mortality-simulated")
    found = axe_module.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
