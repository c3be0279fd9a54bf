"""Requests for a prediction, as a client sends them, and their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from serving.prediction.schemas import PredictResponse

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

TIME_ZERO = "2026-11-01T08:00:00+01:00"
VALID: dict[str, Any] = {
    "patient_id": "p",
    "time_zero": TIME_ZERO,
    "asked_at": TIME_ZERO,
    "birth_date": "1958-03-02",
    "outcomes": ["mortality"],
    "measurements": [
        {"variable": "lactate", "value": 2.8, "unit": "mmol/L"},
        {"variable": "albumin", "value": 2.7, "unit": "g/dL"},
    ],
}
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


def request_of(values: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return the request that sends the given values, age as a date of birth."""
    body: dict[str, Any] = {
        "patient_id": "p",
        "encounter_id": "e",
        "time_zero": TIME_ZERO,
        "asked_at": TIME_ZERO,
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
        feature.name: values.get(feature.name, None if feature.kind == "category" else np.nan)
        for feature in model.contract.features
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
    days = model.contract.grid_days
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
