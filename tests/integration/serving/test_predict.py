"""The answer of `POST /v1/predict`: the very numbers of the model, whole and in words."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from models.wording import NOTICE
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel
from predict_requests import (
    TIME_ZERO,
    VALUES,
    answered,
    assert_is_the_models_answer,
    assert_the_curve_is_the_models,
    broken,
    frame_of,
    request_of,
)

CAUSAL = re.compile(r"because|due to|protect|cause|leads? to", re.IGNORECASE)


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel, fracture: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[mortality, fracture]))


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
        "outcome", "status", "model", "completeness", "risks", "next_best", "curve", "summary",
        "missing", "absent", "treatment_limitation", "would_settle", "ignored", "warnings",
        "refusals", "panel", "validation", "note",
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


def test_the_range_if_complete_is_what_empty_fields_leave_open(
    client: httpx.Client, mortality: ServedModel
) -> None:
    model = mortality.loaded.risk_model
    values = {name: value for name, value in VALUES.items() if name not in ("lactate", "albumin")}
    frame = frame_of(mortality, values)
    unsettled, prediction = model.unsettled(frame), answered(client, request_of(values))
    for h, risk in enumerate(prediction["risks"]):
        at = np.log(risk["risk"] / (1 - risk["risk"]))
        reach = 1.959964 * np.sqrt(unsettled[0, h])
        given = risk["if_complete"]
        assert [given["low"], given["high"]] == pytest.approx(
            [1 / (1 + np.exp(reach - at)), 1 / (1 + np.exp(-reach - at))], abs=1e-6
        )
        assert given["low"] < risk["risk"] < given["high"]
        low, high = (round(100 * given[end]) for end in ("low", "high"))
        assert given["sentence"] == (
            f"If everything were entered, the estimate at {risk['horizon_days']} days would most "
            f"likely lie between {low} and {high} of 100."
        )
        assert given["sentence"] not in risk["sentences"]
    whole = answered(client, request_of(VALUES))["risks"][0]
    first = prediction["risks"][0]
    widths = [one["if_complete"]["high"] - one["if_complete"]["low"] for one in (whole, first)]
    assert widths[0] < widths[1]


def test_the_entries_that_would_settle_most_come_largest_first(
    client: httpx.Client, mortality: ServedModel
) -> None:
    model = mortality.loaded.risk_model
    values = {name: VALUES[name] for name in ("age", "sex", "diabetes")}
    frame = frame_of(mortality, values)
    shares = dict(zip(model.variables, model.settled_by(frame, 28.0)[0], strict=True))
    for body in (request_of(values), request_of({})):
        prediction = answered(client, body)
        assert 1 <= len(prediction["would_settle"]) <= 3
        listed = [one["share"] for one in prediction["would_settle"]]
        assert listed == sorted(listed, reverse=True)
        assert {one["variable"] for one in prediction["would_settle"]} <= {*prediction["missing"]}
    best = sorted(shares, key=lambda name: -shares[name])[:3]
    given = answered(client, request_of(values))["would_settle"]
    assert [one["variable"] for one in given] == best
    assert [one["share"] for one in given] == pytest.approx([shares[name] for name in best])
    without = answered(client, request_of(values, absent=[best[0]]))["would_settle"]
    assert best[0] not in [one["variable"] for one in without]


def test_the_grade_falls_as_entries_are_left_out(client: httpx.Client) -> None:
    grades = ["complete", "partial", "sparse", "insufficient"]
    names = list(VALUES)
    given = [
        answered(client, request_of({name: VALUES[name] for name in names[:count]}))["completeness"]
        for count in (len(names), 0)
    ]
    assert given == [grades[0], grades[-1]]


def test_what_was_not_measured_has_no_value_and_no_share_of_a_pathway(
    client: httpx.Client, mortality: ServedModel
) -> None:
    values = {name: value for name, value in VALUES.items() if name != "ctx_s"}
    prediction = answered(client, request_of(values))
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, values))
    assert prediction["missing"] == ["ctx_s"]
    risk = prediction["risks"][0]
    not_measured = risk["contributions"][-1]
    assert set(not_measured) == {
        "variable", "pathway", "measured", "log_odds", "points", "words",
    }  # fmt: skip
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
    assert tuple(asked) == mortality.contract.default_horizons_days


def test_any_horizon_may_be_asked_in_any_order(
    client: httpx.Client, mortality: ServedModel
) -> None:
    prediction = answered(client, request_of(VALUES, horizons_days=[61, 7.5]))
    assert [risk["horizon_days"] for risk in prediction["risks"]] == [61, 7.5]
    assert_is_the_models_answer(mortality, prediction, frame_of(mortality, VALUES))


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
        assert risk["sentences"][1].startswith(
            f"At {risk['horizon_days']} days, counted from the model's reference, these "
        )
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


def test_drivers_are_said_with_value_flag_and_multiple(client: httpx.Client) -> None:
    risk = answered(client, request_of(VALUES | {"fgf23_c": 1470.0, "diabetes": 0.0}))["risks"][0]
    said = {one["variable"]: one for one in risk["contributions"]}
    multiple = said["fgf23_c"]["multiple_of_reference"]
    assert said["fgf23_c"]["flag"] == "H"
    assert said["fgf23_c"]["words"] == (
        f"FGF23, C-terminal 1470 RU/mL, H, {multiple:.2g} times the upper limit"
    )
    assert said["diabetes"]["words"] == "no diabetes"
    assert said["sex"]["words"] == VALUES["sex"]
    for sentence in risk["sentences"]:
        assert "Diabetes" not in sentence


def test_the_one_comparison_is_a_patient_of_the_same_age_sex_and_severity(
    client: httpx.Client, mortality: ServedModel
) -> None:
    prediction = answered(client, request_of(VALUES))
    shared = ("age", "sex", "lactate", "albumin", "aps")
    alike = {name: value for name, value in VALUES.items() if name in shared}
    expected = mortality.loaded.risk_model.risk(frame_of(mortality, alike))
    for at, risk in enumerate(prediction["risks"]):
        assert risk["comparison"]["same"] == ["age", "sex", "severity"]
        assert risk["comparison"]["risk"] == pytest.approx(expected[0, at], abs=1e-12)
        days = risk["horizon_days"]
        (point,) = [one for one in prediction["curve"] if one["day"] == days]
        assert point["comparison_risk"] == pytest.approx(risk["comparison"]["risk"], abs=1e-12)
        assert risk["comparison"]["sentence"] in prediction["summary"] or days != 28
    same_only = answered(client, request_of(alike))
    assert same_only["risks"][0]["comparison"] is None
    assert {one["comparison_risk"] for one in same_only["curve"]} == {None}


def test_a_very_wide_interval_is_called_so(client: httpx.Client) -> None:
    for risk in answered(client, request_of(VALUES))["risks"]:
        interval = risk["interval"]
        is_wide = interval["high"] - interval["low"] > 0.4
        assert interval["very_wide"] == is_wide
        assert ("The interval is very wide" in risk["sentences"][0]) == is_wide


def test_the_note_has_ten_lines_at_most_and_what_a_note_needs(client: httpx.Client) -> None:
    for body in (request_of(VALUES), request_of(VALUES, outcomes=["fracture"])):
        prediction = answered(client, body)
        note = prediction["note"]
        assert len(note) <= 10
        assert all(line == line.strip() and "\n" not in line for line in note)
        text = "\n".join(note)
        assert f"Entries: {prediction['completeness']}." in text
        assert prediction["validation"] in text
        assert "version 3" in text
        assert "SIMULATED" in note[0]
        assert note[-1] == NOTICE
        assert "limiting or withdrawing treatment" in note[-1]
        assert not CAUSAL.search(text)
    refused = answered(client, request_of(VALUES | {"age": 15.0}))["note"]
    assert len(refused) == 4
    assert "No risk is given." in refused[1]
