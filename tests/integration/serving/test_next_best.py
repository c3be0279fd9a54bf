"""What to measure next, over HTTP and on the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from models.inference.next_best import WORTH_POINTS, expected_changes
from page_steps import enter_value, to_the_estimate
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import pandas as pd
    from playwright.sync_api import BrowserContext

    from serving.prediction.served import ServedModel

MENU = ("ctx_s", "lactate", "opg")


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(menu=MENU), models=[mortality]))


def request_of(row: pd.Series, **changed: Any) -> dict[str, Any]:
    """Return the request of one of the patients; what is NaN was not measured."""
    sent = row.drop("fgf23_c__below").dropna().to_dict()
    units = {
        "age": "a",
        "aps": "{score}",
        "lactate": "mmol/L",
        "albumin": "g/dL",
        "fgf23_c": "RU/mL",
        "ctx_s": "pg/mL",
    }
    return {
        "patient_id": "p",
        "time_zero": "2026-11-01T08:00:00+01:00",
        "asked_at": "2026-11-01T08:00:00+01:00",
        "sex": sent.pop("sex"),
        "outcomes": ["mortality"],
        "measurements": [
            {"variable": name, "value": value, "unit": units.get(name)}
            for name, value in sent.items()
        ],
    } | changed


@pytest.fixture(scope="module")
def row(patients: pd.DataFrame) -> pd.Series:
    return patients.iloc[9].drop("lactate").reindex(patients.columns)


def first(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/predict", json=body)
    assert answer.status_code == 200, answer.text
    prediction: dict[str, Any] = answer.json()["predictions"][0]
    return prediction


def test_it_is_off_unless_asked_for(client: httpx.Client, row: pd.Series) -> None:
    prediction = first(client, request_of(row))
    assert prediction["next_best"] == []
    assert "next_best_summary" not in prediction


def test_what_moves_the_estimate_by_a_point_is_listed_with_what_to_expect(
    client: httpx.Client, mortality: ServedModel, row: pd.Series
) -> None:
    prediction = first(client, request_of(row, next_best=True))
    frame = row.to_frame().T.infer_objects()
    frame["lactate"] = np.nan
    expected = expected_changes(mortality.loaded.risk_model, frame, MENU)
    worth = [one for one in expected if one.change_points >= WORTH_POINTS]
    assert worth
    assert [(one["variable"], one["horizon_days"]) for one in prediction["next_best"]] == [
        (one.variable, one.horizon_days) for one in worth
    ]
    [first_listed, *_] = prediction["next_best"]
    assert first_listed == {
        "variable": "lactate",
        "horizon_days": worth[0].horizon_days,
        "change_points": pytest.approx(worth[0].change_points),
        "change_error_points": pytest.approx(worth[0].error_points),
        "message": first_listed["message"],
    }
    points = re.fullmatch(
        r"At \d+ days, if already available, Lactate would be expected to move the estimate by "
        r"about (\d+\.\d) points, up or down; not a recommendation to order\.",
        first_listed["message"],
    )
    assert points is not None
    assert float(points[1]) == pytest.approx(worth[0].change_points, abs=0.05)
    assert prediction["next_best_summary"].startswith("Of the one test on this site's menu")


def test_when_none_would_it_says_so(client: httpx.Client, row: pd.Series) -> None:
    whole = row.fillna({"lactate": 2.0, "albumin": 3.0, "ctx_s": 500.0, "fgf23_c": 400.0})
    prediction = first(client, request_of(whole, next_best=True))
    assert prediction["next_best"] == []
    assert prediction["next_best_summary"] == (
        "Every test on this site's menu that the model reads was entered."
    )


def test_without_a_menu_nothing_is_offered_and_it_says_so(
    serve: Any, mortality: ServedModel, row: pd.Series
) -> None:
    client = serve(create_app(Settings(), models=[mortality]))
    prediction = first(client, request_of(row, next_best=True))
    assert prediction["next_best"] == []
    assert "has no menu of tests" in prediction["next_best_summary"]


def test_the_example_in_openapi_asks_for_it_where_the_site_has_a_menu(
    client: httpx.Client, page_service: httpx.Client
) -> None:
    for service, has_menu in ((client, True), (page_service, False)):
        operation = service.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
        asked = operation["requestBody"]["content"]["application/json"]["example"]
        answer = operation["responses"]["200"]["content"]["application/json"]["example"]
        assert asked.get("next_best", False) == has_menu
        assert ("next_best_summary" in answer["predictions"][0]) == has_menu
        assert service.post("/v1/predict", json=asked).status_code == 200


def test_a_refusal_offers_nothing(client: httpx.Client, row: pd.Series) -> None:
    young = row.copy()
    young["age"] = 15.0
    prediction = first(client, request_of(young, next_best=True))
    assert (prediction["status"], prediction["next_best"]) == ("refused", [])


def test_the_page_says_it_where_the_site_has_a_menu(
    browser: Callable[..., BrowserContext], client: httpx.Client, page_service: httpx.Client
) -> None:
    for service, offered in ((client, True), (page_service, False)):
        page = browser().new_page()
        page.goto(str(service.base_url))
        to_the_estimate(page)
        enter_value(page, "lactate", "")
        asked = page.get_by_role("button", name="would move the estimate?")
        assert asked.is_visible() == offered
        if offered:
            with page.expect_response("**/v1/predict") as answered:
                asked.click()
            prediction = answered.value.json()["predictions"][0]
            page.get_by_text(prediction["next_best_summary"]).wait_for()
            shown = page.locator("#next li").all_inner_texts()
            listed = {one["variable"]: one["message"] for one in prediction["next_best"][::-1]}
            assert sorted(shown) == sorted(listed.values())
            assert not asked.is_visible()
