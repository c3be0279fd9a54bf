from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from models.wording import NOTICE
from serving.app import create_app
from serving.schemas import PredictResponse
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.served import ServedModel

TIME_ZERO = "2026-11-01T08:00:00+01:00"
CURVE = ("day", "risk", "low", "high", "cohort_risk")

# What each variable is sent as; the values are in the catalogue's units, but for ctx_s.
UNITS = {
    "lactate": "mmol/L",
    "albumin": "g/dL",
    "fgf23_c": "RU/mL",
    "ctx_s": "pg/mL",
    "aps": "{score}",
}
VALUES: dict[str, Any] = {
    "age": 60.0,
    "lactate": 2.5,
    "albumin": 2.8,
    "fgf23_c": 900.0,
    "ctx_s": 500.0,
    "diabetes": 1.0,
    "aps": 40.0,
    "sex": "female",
    "dzgroup": "Cirrhosis",
}
CAUSAL = re.compile(r"because|due to|protect|cause|leads? to", re.IGNORECASE)


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel, fracture: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[mortality, fracture]))


def request_of(values: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return the request that sends the given values, age as a date of birth."""
    body: dict[str, Any] = {
        "patient_id": "p",
        "encounter_id": "e",
        "time_zero": TIME_ZERO,
        "outcomes": ["mortality"],
        "horizons_days": [28, 90],
        "measurements": [
            {"variable": name, "value": value, "unit": UNITS.get(name)}
            for name, value in values.items()
            if name not in ("age", "sex")
        ],
    }
    if "age" in values:
        # Whole years, so that no part of a year depends on how it is counted.
        body["birth_date"] = f"{2026 - int(values['age'])}-11-01"
    if "sex" in values:
        body["sex"] = values["sex"]
    return body | changed


def frame_of(model: ServedModel, values: dict[str, Any], **extra: Any) -> pd.DataFrame:
    """Return the same patient as the row that the model reads."""
    row = {
        feature["name"]: values.get(
            feature["name"], None if feature["kind"] == "category" else np.nan
        )
        for feature in model.contract["features"]
    }
    return pd.DataFrame([row | {"fgf23_c__below": 0.0} | extra])


def answered(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    """Return the first prediction of an answer that is none of a problem."""
    answer = client.post("/v1/predict", json=body)
    assert answer.status_code == 200, answer.text
    PredictResponse.model_validate(answer.json())
    prediction: dict[str, Any] = answer.json()["predictions"][0]
    return prediction


def broken(client: httpx.Client, body: dict[str, Any]) -> set[tuple[str, str]]:
    answer = client.post("/v1/predict", json=body)
    assert answer.status_code == 422, answer.text
    return {(entry["field"], entry["rule"]) for entry in answer.json()["errors"]}


def assert_is_the_models_answer(
    model: ServedModel, prediction: dict[str, Any], frame: pd.DataFrame
) -> None:
    """Check every number of an answer against the model itself."""
    horizons_days = [risk["horizon_days"] for risk in prediction["risks"]]
    raw = model.loaded.risk_model.predict(frame, horizons_days, explain=True)
    for h, risk in enumerate(prediction["risks"]):
        given = [
            risk["risk"],
            risk["interval"]["low"],
            risk["interval"]["high"],
            risk["baseline_risk"],
            risk["cohort_risk"],
            risk["monotone_adjustment"],
            risk["monotone_adjustment_points"],
        ]
        expected = [
            raw.risk[0, h],
            raw.risk_low[0, h],
            raw.risk_high[0, h],
            raw.baseline_risk[h],
            raw.cohort_risk[h],
            raw.monotone_adjustment[0, h],
            raw.adjustment_points[0, h],
        ]
        np.testing.assert_allclose(given, expected, rtol=0, atol=1e-9)
        by_name = {one["variable"]: one for one in risk["contributions"]}
        assert set(by_name) == set(raw.variables)
        for v, name in enumerate(raw.variables):
            one = by_name[name]
            assert one["measured"] == raw.measured[0, v]
            assert one["log_odds"] == pytest.approx(raw.log_odds[0, h, v], abs=1e-9)
            assert one["points"] == pytest.approx(raw.points[0, h, v], abs=1e-9)


def assert_the_curve_is_the_models(
    model: ServedModel, prediction: dict[str, Any], frame: pd.DataFrame
) -> None:
    days = model.contract["grid_days"]
    raw = model.loaded.risk_model.predict(frame, days)
    curve = {name: [point[name] for point in prediction["curve"]] for name in CURVE}
    np.testing.assert_allclose(curve["day"], days)
    for name, values in (
        ("risk", raw.risk[0]),
        ("low", raw.risk_low[0]),
        ("high", raw.risk_high[0]),
        ("cohort_risk", raw.cohort_risk),
    ):
        np.testing.assert_allclose(curve[name], values, rtol=0, atol=1e-9)


def test_the_answer_is_the_models(client: httpx.Client, mortality: ServedModel) -> None:
    prediction = answered(client, request_of(VALUES))
    assert prediction["status"] == "ok"
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, VALUES))
    assert_the_curve_is_the_models(mortality, prediction, frame_of(mortality, VALUES))


def test_an_answer_has_the_fields_of_the_contract(client: httpx.Client) -> None:
    answer = client.post("/v1/predict", json=request_of(VALUES)).json()
    assert list(answer) == [
        "prediction_id", "created_at", "time_zero", "predictions", "notice",
    ]  # fmt: skip
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", answer["prediction_id"])
    assert answer["time_zero"] == TIME_ZERO
    assert answer["notice"] == NOTICE
    prediction = answer["predictions"][0]
    assert list(prediction) == [
        "outcome", "status", "model", "risks", "next_best", "curve", "summary", "missing",
        "ignored", "warnings", "refusals",
    ]  # fmt: skip
    assert prediction["outcome"] == "mortality"
    assert prediction["model"] == {
        "name": "osteon-mortality-simulated",
        "version": "3",
        "alias": "champion",
    }
    assert prediction["next_best"] == []
    risk = prediction["risks"][0]
    assert (risk["horizon_days"], risk["competing_risk"]) == (28, None)
    assert risk["interval"]["level"] == 0.95


def test_what_was_not_measured_has_no_value_and_no_share_of_a_pathway(
    client: httpx.Client, mortality: ServedModel
) -> None:
    values = {name: value for name, value in VALUES.items() if name != "ctx_s"}
    prediction = answered(client, request_of(values))
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, values))
    assert prediction["missing"] == ["ctx_s"]
    risk = prediction["risks"][0]
    not_measured = risk["contributions"][-1]
    assert set(not_measured) == {"variable", "pathway", "measured", "log_odds", "points"}
    assert {pathway["pathway"] for pathway in risk["pathways"]} == {
        "fgf23_mineral", "severity", "person", "not_measured",
    }  # fmt: skip
    assert risk["pathways"][-1]["points"] == pytest.approx(not_measured["points"])


@pytest.mark.parametrize("left_out", [[], ["ctx_s", "lactate", "sex"]])
def test_every_sum_is_exact(client: httpx.Client, left_out: list[str]) -> None:
    values = {name: value for name, value in VALUES.items() if name not in left_out}
    for risk in answered(client, request_of(values))["risks"]:
        log_odds = sum(one["log_odds"] for one in risk["contributions"])
        total = np.log(risk["baseline_risk"] / (1 - risk["baseline_risk"])) + log_odds
        assert total + risk["monotone_adjustment"] == pytest.approx(
            np.log(risk["risk"] / (1 - risk["risk"])), abs=1e-5
        )
        difference = 100 * (risk["risk"] - risk["baseline_risk"])
        for parts in (risk["contributions"], risk["pathways"]):
            points = sum(part["points"] for part in parts) + risk["monotone_adjustment_points"]
            assert points == pytest.approx(difference, abs=1e-5)


def test_measured_values_come_back_in_canonical_units_with_their_multiple_of_reference(
    client: httpx.Client,
) -> None:
    body = request_of(VALUES)
    body["measurements"][3] = {"variable": "ctx_s", "value": 0.5, "unit": "ng/mL"}
    body["measurements"].append({"variable": "menopausal_status", "value": "post"})
    listed = answered(client, body)["risks"][0]["contributions"]
    sent = {one["variable"]: one for one in listed}
    assert sent["ctx_s"]["value"] == pytest.approx(500)
    assert sent["ctx_s"]["unit"] == "pg/mL"
    # 1018 pg/mL is the upper limit after menopause.
    assert sent["ctx_s"]["multiple_of_reference"] == pytest.approx(500 / 1018)
    assert sent["fgf23_c"]["unit"] == "[arb'U]/mL"
    assert sent["diabetes"]["value"] is True
    assert sent["dzgroup"]["value"] == "Cirrhosis"
    assert "unit" not in sent["dzgroup"]


def test_a_reference_of_one_sex_is_not_used_when_sex_is_not_known(client: httpx.Client) -> None:
    for sex in ("other", "unknown"):
        prediction = answered(client, request_of(VALUES, sex=sex))
        listed = prediction["risks"][0]["contributions"]
        ctx = next(one for one in listed if one["variable"] == "ctx_s")
        assert "multiple_of_reference" not in ctx
        assert "sex" in prediction["missing"]


def test_a_value_below_its_limit_reaches_the_model_as_one(
    client: httpx.Client, mortality: ServedModel
) -> None:
    body = request_of(VALUES)
    body["measurements"][2] |= {"value": 80, "comparator": "<"}
    prediction = answered(client, body)
    values = VALUES | {"fgf23_c": 80.0}
    assert_is_the_models_answer(
        mortality, prediction, frame_of(mortality, values, fgf23_c__below=1.0)
    )
    listed = prediction["risks"][0]["contributions"]
    assert next(one for one in listed if one["variable"] == "fgf23_c")["comparator"] == "<"


def test_a_limit_that_the_model_cannot_tell_from_a_value_is_warned_of(client: httpx.Client) -> None:
    body = request_of(VALUES)
    body["measurements"][0] |= {"value": 15, "comparator": ">"}
    warnings = answered(client, body)["warnings"]
    assert ("beyond_assay_limit", ["lactate"]) in [(w["code"], w["variables"]) for w in warnings]


def test_horizons_are_the_models_own_when_none_is_asked(
    client: httpx.Client, mortality: ServedModel
) -> None:
    prediction = answered(client, request_of(VALUES, horizons_days=None))
    asked = [risk["horizon_days"] for risk in prediction["risks"]]
    assert asked == mortality.contract["default_horizons_days"]


def test_any_horizon_may_be_asked_in_any_order(
    client: httpx.Client, mortality: ServedModel
) -> None:
    prediction = answered(client, request_of(VALUES, horizons_days=[61, 7.5]))
    assert [risk["horizon_days"] for risk in prediction["risks"]] == [61, 7.5]
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, VALUES))


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
        ({"aps": 40.0}, [], "too_little_measured"),
        ({}, [], "too_little_measured"),
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


def test_outcomes_are_answered_in_the_order_asked_each_by_its_own_model(
    client: httpx.Client, mortality: ServedModel, fracture: ServedModel
) -> None:
    body = request_of(VALUES, outcomes=["fracture", "mortality-simulated"], horizons_days=[60])
    answer = client.post("/v1/predict", json=body).json()
    first, second = answer["predictions"]
    assert (first["outcome"], second["outcome"]) == ("fracture", "mortality")
    assert_is_the_models_answer(fracture, first, frame_of(fracture, VALUES))
    assert_is_the_models_answer(mortality, second, frame_of(mortality, VALUES))


def test_the_risk_of_dying_first_stands_beside_that_of_fracture(
    client: httpx.Client, fracture: ServedModel
) -> None:
    prediction = answered(client, request_of(VALUES, outcomes=["fracture"], horizons_days=[90]))
    raw = fracture.loaded.risk_model.predict(frame_of(fracture, VALUES), [90])
    (risk,) = prediction["risks"]
    assert risk["competing_risk"] == pytest.approx(raw.competing_risk[0, 0], abs=1e-9)
    assert risk["risk"] + risk["competing_risk"] <= 1
    at_90 = next(point for point in prediction["curve"] if point["day"] == 90)
    assert at_90["competing_risk"] == pytest.approx(risk["competing_risk"], abs=1e-9)
    said = re.search(r"would fracture, (\d+) die first, (\d+) neither", prediction["summary"])
    assert said is not None
    assert int(said[1]) == round(100 * risk["competing_risk"])


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


def test_the_summary_says_each_risk_and_who_the_model_learned_from(client: httpx.Client) -> None:
    summary = answered(client, request_of(VALUES))["summary"]
    assert re.search(
        r"Among 100 patients with these recorded values, the model expects about \d+ deaths? "
        r"within 28 days of time zero \(95 % interval \d+ to \d+\)\.",
        summary,
    )
    assert "within 90 days" in summary
    assert "The model learned from: Made-up patients of a test." in summary
    for risk in answered(client, request_of(VALUES))["risks"]:
        assert risk["sentences"][0] in summary
        assert f"within {risk['horizon_days']} days" in risk["sentences"][0]
        assert risk["sentences"][1].startswith(f"At {risk['horizon_days']} days, compared with")
    assert not CAUSAL.search(summary)


def test_a_simulated_or_unpromoted_model_says_so(
    serve: Any, client: httpx.Client, mortality: ServedModel
) -> None:
    codes = [w["code"] for w in answered(client, request_of(VALUES))["warnings"]]
    assert "simulated" in codes
    assert "not_promoted" not in codes
    unpromoted = serve(create_app(Settings(), models=[replace(mortality, promoted=False)]))
    prediction = answered(unpromoted, request_of(VALUES))
    assert prediction["model"]["alias"] is None
    assert "not_promoted" in [warning["code"] for warning in prediction["warnings"]]


def test_64_clients_at_once_get_the_answer_of_one(client: httpx.Client) -> None:
    rng = np.random.default_rng(0)
    bodies = [
        request_of(
            VALUES
            | {
                "age": float(rng.integers(20, 95)),
                "lactate": float(rng.uniform(0.3, 10)),
                "albumin": float(rng.uniform(1.5, 4.5)),
                "sex": str(rng.choice(["female", "male"])),
                "dzgroup": str(rng.choice(["Cirrhosis", "COPD"])),
            },
            outcomes=["mortality", "fracture"],
            horizons_days=[int(rng.choice([30, 60])), 90],
        )
        for _ in range(64)
    ]

    def predictions(body: dict[str, Any]) -> Any:
        return client.post("/v1/predict", json=body).json()["predictions"]

    alone = [predictions(body) for body in bodies]
    with ThreadPoolExecutor(64) as pool:
        together = list(pool.map(predictions, bodies))
    assert together == alone


def test_without_explanation_the_risk_is_the_same(client: httpx.Client) -> None:
    explained = answered(client, request_of(VALUES))

    bare = answered(client, request_of(VALUES, explain=False))

    assert bare["curve"] == explained["curve"]
    for with_it, without in zip(explained["risks"], bare["risks"], strict=True):
        assert with_it["contributions"]
        assert without["contributions"] == without["pathways"] == []
        assert len(without["sentences"]) == 1
        for name in ("risk", "interval", "baseline_risk", "monotone_adjustment_points"):
            assert with_it[name] == without[name]
    assert broken(client, request_of(VALUES, explain=1)) == {("explain", "flag")}
