"""What follows from other entries is derived, and what differs from it is named, at every door."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from contracts import restated
from data_schema.biomarkers import VARIABLES
from fhir_bundles import TIME_ZERO, observation, patient
from fhir_bundles import answered as answered_in_fhir
from fhir_bundles import bundle as bundle_of
from models.estimator import CumulativeIncidenceModel
from models.targets import survival_target
from predict_requests import answered
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

# So many that the interval is narrow enough for a card.
N = 600
WEIGHT, HEIGHT, BMI = ("29463-7", "kg", 81), ("8302-2", "cm", 180), ("39156-5", "kg/m2", 31)
OTHERS = (("2524-7", "mmol/L", 2.5), ("41171-0", "pg/mL", 500))


@pytest.fixture(scope="module")
def client(serve: Any, real_mortality: ServedModel) -> httpx.Client:
    """A service whose model reads the body mass index, and neither weight nor height."""
    rng = np.random.default_rng(13)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(40, 85, N),
            "bmi": rng.normal(27, 5, N).clip(16, 45),
            "lactate": rng.lognormal(0.7, 0.5, N),
            "ctx_s": rng.lognormal(6.2, 0.4, N),
        }
    )
    log_mean = (0.1 * (frame["bmi"] - 27) - 0.4 * frame["lactate"]).to_numpy()
    times = rng.exponential(2_000 * np.exp(log_mean))
    target = survival_target(times.clip(0.5, 400), (times < 400).astype(int))
    fitted = CumulativeIncidenceModel(
        horizons_days=(28.0, 90.0),
        outcome="mortality",
        variables=VARIABLES,
        max_trees=1,
        tuning_folds=2,
        interval_folds=10,
        n_jobs=1,
    ).fit(frame, target)
    like = real_mortality.loaded.risk_model.contract
    risk_model = restated(
        fitted.risk_model_,
        **{
            name: getattr(like, name)
            for name in (
                *("name", "outcome_label", "event_label", "event_singular", "is_death"),
                *("time_zero", "population", "population_described", "simulated", "evaluation"),
            )
        },
    )
    model = replace(real_mortality, loaded=replace(real_mortality.loaded, risk_model=risk_model))
    served: httpx.Client = serve(create_app(Settings(), models=[model]))
    return served


def request(*sent: tuple[str, str, float]) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "time_zero": TIME_ZERO,
        "asked_at": TIME_ZERO,
        "sex": "female",
        "birth_date": "1966-11-01",
        "outcomes": ["mortality"],
        "horizons_days": [28],
        "measurements": [
            {"loinc": code, "value": value, "unit": unit} for code, unit, value in sent
        ],
    }


def as_resources(*sent: tuple[str, str, float], **more: Any) -> list[dict[str, Any]]:
    quantity = {"system": "http://unitsofmeasure.org"}
    return [
        observation(
            f"o{number}",
            *("http://loinc.org", code),
            **({"valueQuantity": quantity | {"code": unit, "value": value}} | more),
        )
        for number, (code, unit, value) in enumerate(sent)
    ]


def in_fhir(client: httpx.Client, *sent: tuple[str, str, float]) -> tuple[float, str]:
    """Return the risk by day 28, in percent, and the notes."""
    found = answered_in_fhir(
        client, bundle_of(patient(), *as_resources(*sent)), "outcome=mortality&horizonDays=28"
    )
    notes = " ".join(note["text"] for note in found["note"])
    return float(found["prediction"][0]["probabilityDecimal"]), notes


def card(client: httpx.Client, *sent: tuple[str, str, float]) -> str:
    """Return the text of the card about death."""
    now = datetime.now().astimezone()
    admitted = (now - timedelta(hours=30)).isoformat(timespec="seconds")
    measured = (now - timedelta(hours=10)).isoformat(timespec="seconds")
    icu = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
    encounter = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "class": icu,
        "subject": {"reference": "Patient/p1"},
        "period": {"start": admitted},
    }
    empty = bundle_of()
    call = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {
            "userId": f"Practitioner/{uuid.uuid4()}",
            "patientId": "p1",
            "encounterId": "e1",
        },
        "prefetch": {
            "patient": patient(),
            "encounter": encounter,
            "observations": bundle_of(*as_resources(*sent, effectiveDateTime=measured)),
            **dict.fromkeys(("conditions", "comfortCare", "medications"), empty),
        },
    }
    answer = client.post("/cds-services/osteon-mortality", json=call)
    assert answer.status_code == 200, answer.text
    assert answer.json()["cards"], answer.text
    (found,) = answer.json()["cards"]
    return str(found["detail"])


def test_every_door_derives_the_same_value_and_names_it(client: httpx.Client) -> None:
    entered = answered(client, request(*OTHERS, ("39156-5", "kg/m2", 25)))
    derived = answered(client, request(*OTHERS, WEIGHT, HEIGHT))
    assert derived["risks"][0]["risk"] == entered["risks"][0]["risk"]
    codes = [(one["code"], one["variables"]) for one in derived["warnings"]]
    assert ("derived_value", ["bmi"]) in codes
    risk, notes = in_fhir(client, *OTHERS, WEIGHT, HEIGHT)
    assert risk == pytest.approx(derived["risks"][0]["risk"] * 100, abs=0.006)
    assert "Body mass index was not entered: it was derived from Body weight, Body height" in notes
    assert "derived from Body weight, Body height" in card(client, *OTHERS, WEIGHT, HEIGHT)


def test_every_door_names_an_entry_that_differs_and_uses_it(client: httpx.Client) -> None:
    alone = answered(client, request(*OTHERS, BMI))
    beside = answered(client, request(*OTHERS, WEIGHT, HEIGHT, BMI))
    assert beside["risks"][0]["risk"] == alone["risks"][0]["risk"]
    codes = [(one["code"], one["variables"]) for one in beside["warnings"]]
    assert ("derived_differs", ["bmi"]) in codes
    risk, notes = in_fhir(client, *OTHERS, WEIGHT, HEIGHT, BMI)
    assert risk == pytest.approx(alone["risks"][0]["risk"] * 100, abs=0.006)
    assert "Body mass index as entered differs from what follows from Body weight" in notes
    assert "as entered differs" in card(client, *OTHERS, WEIGHT, HEIGHT, BMI)


def test_what_a_value_was_derived_from_is_not_called_unused(client: httpx.Client) -> None:
    ignored = answered(client, request(WEIGHT, HEIGHT, *OTHERS))["ignored"]
    assert {one["variable"] for one in ignored} & {"weight", "height"} == set()
    stated = answered(client, request(WEIGHT, HEIGHT, BMI, *OTHERS))["ignored"]
    assert {one["variable"] for one in stated} >= {"weight", "height"}


def test_the_page_shows_what_follows_from_other_entries(client: httpx.Client) -> None:
    read = client.post("/page/entries", json=request(WEIGHT, HEIGHT, *OTHERS)).json()
    assert {one["column"]: one["read_as"] for one in read["derived"]} == {
        "bmi": "25 kg/m²",
        "age": "60 years",
    }
    [bmi] = [one for one in read["derived"] if one["column"] == "bmi"]
    assert bmi["parts"] == ["Body weight", "Body height"]


def test_the_page_is_given_what_moves_with_an_entry(client: httpx.Client) -> None:
    def request(weight: float) -> dict[str, Any]:
        values = (("weight", "kg", weight), ("height", "cm", 180), ("bmi", "kg/m2", 31))
        return {
            "patient_id": "p",
            "time_zero": TIME_ZERO,
            "outcomes": ["mortality"],
            "measurements": [
                {"variable": name, "unit": unit, "value": value} for name, unit, value in values
            ],
        }

    moved = client.post("/page/together", json={"entered": request(81), "moved": request(162)})
    assert moved.json() == {"values": {"bmi": 62.0}, "units": {"bmi": "kg/m2"}}
    broken = client.post("/page/together", json={"entered": request(81), "moved": request(-1)})
    assert broken.status_code == 422
