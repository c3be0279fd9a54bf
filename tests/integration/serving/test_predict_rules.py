"""What `POST /v1/predict` refuses, leaves out and warns of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from models.wording import NOTICE
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel
from predict_requests import (
    VALUES,
    answered,
    assert_is_the_models_answer,
    broken,
    frame_of,
    request_of,
)


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel, fracture: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[mortality, fracture]))


def test_a_horizon_outside_the_models_range_is_refused(client: httpx.Client) -> None:
    body = request_of(VALUES, horizons_days=[28, 100_000, 0.001])
    assert broken(client, body) == {
        ("horizons_days[1]", "horizon"),
        ("horizons_days[2]", "horizon"),
    }


@pytest.mark.parametrize(
    ("variable", "value", "unit", "field", "rule"),
    [
        ("ctx_s", 500, "pmol/L", "unit", "unit"),  # wrong unit
        ("ctx_s", 500, None, "unit", "unit"),  # no unit
        ("ctx_s", 500, "ng/mL", "value", "range"),  # the number of pg/mL
        ("fgf23_c", 900, "pg/mL", "unit", "unit"),  # the unit of the intact assay
        ("lactate", 1e9, "mmol/L", "value", "range"),
        ("lactate", -1, "mmol/L", "value", "range"),
        ("lactate", "much", "mmol/L", "value", "not_a_number"),
        ("lactate", "1,471", "mmol/L", "value", "ambiguous_number"),
        ("lactate", True, "mmol/L", "value", "not_a_number"),
        ("diabetes", 7, None, "value", "flag"),
        ("no_such_marker", 1, None, "variable", "unknown_variable"),
        ("aps", 40, "mmol/L", "unit", "unit"),  # a variable of the model's own
        ("aps", 1e300, None, "value", "too_large"),  # it has no range
    ],
)
def test_a_measurement_that_breaks_a_rule_is_refused(
    client: httpx.Client, variable: str, value: object, unit: str | None, field: str, rule: str
) -> None:
    body = request_of(VALUES)
    body["measurements"].append({"variable": variable, "value": value, "unit": unit})
    number = len(body["measurements"]) - 1
    assert broken(client, body) == {(f"measurements[{number}].{field}", rule)}


def test_an_unknown_category_counts_as_not_measured_with_a_warning(
    client: httpx.Client, mortality: ServedModel
) -> None:
    prediction = answered(client, request_of(VALUES | {"dzgroup": "Sentinel4711"}))
    without = {name: value for name, value in VALUES.items() if name != "dzgroup"}
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, without))
    assert prediction["missing"] == ["dzgroup"]
    assert ("unknown_category", ["dzgroup"]) in [
        (warning["code"], warning["variables"]) for warning in prediction["warnings"]
    ]
    assert "Sentinel4711" not in str(prediction)


@pytest.mark.parametrize("spelled", ["cirrhosis", " CIRRHOSIS ", "Cirrhosis\u200b"])
def test_a_category_of_the_site_s_own_is_read_whatever_its_case_and_spaces(
    client: httpx.Client, mortality: ServedModel, spelled: str
) -> None:
    prediction = answered(client, request_of(VALUES | {"dzgroup": spelled}))
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, VALUES))
    assert "unknown_category" not in {warning["code"] for warning in prediction["warnings"]}


def test_duplicates_and_late_measurements_change_nothing_and_are_listed(
    client: httpx.Client, mortality: ServedModel
) -> None:
    body = request_of(VALUES)
    body["measurements"][0]["time"] = "2026-11-01T06:00:00+01:00"
    body["measurements"] += [
        {"variable": "lactate", "value": 9, "unit": "mmol/L", "time": "2026-11-01T05:00:00+01:00"},
        {"variable": "lactate", "value": 8, "unit": "mmol/L", "time": "2026-11-01T09:00:00+01:00"},
        {"variable": "estradiol", "value": 50, "unit": "pg/mL"},
    ]
    prediction = answered(client, body)
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, VALUES))
    assert {(one["variable"], one["reason"]) for one in prediction["ignored"]} == {
        ("lactate", "duplicate"),
        ("lactate", "after_time_zero"),
        ("estradiol", "not_in_model"),
    }


@pytest.mark.parametrize(
    ("values", "more", "code"),
    [
        (VALUES | {"age": 17.0}, [], "under_18"),
        (VALUES, [{"variable": "pregnant", "value": True}], "pregnant"),
        ({}, [], "too_little_entered"),
    ],
)
def test_a_refusal_is_an_answer_without_a_risk(
    client: httpx.Client, values: dict[str, Any], more: list[dict[str, Any]], code: str
) -> None:
    body = request_of(values)
    body["measurements"] += more
    prediction = answered(client, body)
    assert prediction["status"] == "refused"
    assert prediction["risks"] == []
    assert prediction["curve"] == []
    assert code in [refusal["code"] for refusal in prediction["refusals"]]
    assert prediction["summary"].startswith("No risk is given.")
    assert NOTICE in prediction["summary"]


def test_a_variable_that_only_guards_reaches_the_guard(client: httpx.Client) -> None:
    body = request_of(VALUES)
    body["measurements"].append({"variable": "rrt", "value": 1})
    prediction = answered(client, body)
    assert "renal_replacement" in [warning["code"] for warning in prediction["warnings"]]
    assert prediction["ignored"] == []


def test_an_outcome_without_a_champion_fails_the_request(
    serve: Any, mortality: ServedModel
) -> None:
    only_mortality = serve(create_app(Settings(), models=[mortality]))
    body = request_of(VALUES, outcomes=["mortality", "fracture"])
    answer = only_mortality.post("/v1/predict", json=body)
    assert answer.status_code == 503
    assert [(e["field"], e["rule"]) for e in answer.json()["errors"]] == [
        ("outcomes[1]", "no_champion")
    ]


def test_what_is_recorded_as_not_done_is_repeated_and_changes_no_number(
    client: httpx.Client, mortality: ServedModel
) -> None:
    without = {name: value for name, value in VALUES.items() if name not in ("ctx_s", "albumin")}
    not_entered = answered(client, request_of(without))
    prediction = answered(client, request_of(without, absent=["ctx_s", "estradiol"]))
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, without))
    assert prediction["risks"] == not_entered["risks"]
    assert prediction["absent"] == ["ctx_s"]
    assert set(prediction["missing"]) == {"ctx_s", "albumin"}
    assert [(one["field"], one["variable"], one["reason"]) for one in prediction["ignored"]] == [
        ("absent[1]", "estradiol", "not_in_model")
    ]
    assert not_entered["absent"] == []


def test_absent_beside_a_value_unknown_or_repeated_is_refused(client: httpx.Client) -> None:
    assert broken(client, request_of(VALUES, absent=["no_such_marker", "ctx_s"])) == {
        ("absent[0]", "unknown_variable"),
        ("absent[1]", "not_done_with_value"),
    }
    assert broken(client, request_of({}, absent=["ctx_s", "ctx_s"])) == {("absent", "repeated")}
    assert broken(client, request_of({}, absent={"ctx_s": "lost"})) == {("absent", "list")}


def test_an_informative_model_says_that_a_request_counts_as_not_entered(
    serve: Any, mortality: ServedModel
) -> None:
    contract = replace(mortality.contract, missingness="informative")
    loaded = replace(
        mortality.loaded, risk_model=mortality.loaded.risk_model.with_contract(contract)
    )
    client = serve(create_app(Settings(), models=[replace(mortality, loaded=loaded)]))
    without = {name: value for name, value in VALUES.items() if name != "ctx_s"}
    prediction = answered(client, request_of(without, absent=["ctx_s"]))
    assert ("absent_as_not_entered", ["ctx_s"]) in [
        (warning["code"], warning["variables"]) for warning in prediction["warnings"]
    ]
    plain = answered(client, request_of(without))
    assert "absent_as_not_entered" not in {warning["code"] for warning in plain["warnings"]}
