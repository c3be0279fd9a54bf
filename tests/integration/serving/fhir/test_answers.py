"""The RiskAssessment that answers a Bundle of Observations, checked by validators of others."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fhirkit
import pytest

from models.wording import NOTICE
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

from fhir_bundles import (
    CODES,
    LOCAL,
    MEASURED,
    PATH,
    RAS_1,
    RAS_2,
    TIME_ZERO,
    _lactate,
    answered,
    assert_valid,
    bundle,
    invariant,
    issues,
    observation,
    resources,
)

CAUSAL = re.compile(r"because|due to|protect|cause[^ ]|leads? to", re.IGNORECASE)


def same_for_v1(**changed: Any) -> dict[str, Any]:
    """Return the request of /v1/predict that says what `resources` say."""
    measurements = [
        {"loinc": code, "value": value, "unit": unit, "time": MEASURED}
        for code, unit, value in CODES.values()
    ]
    measurements += [
        {"variable": "diabetes", "value": True, "time": MEASURED},
        {"variable": "dzgroup", "value": "Cirrhosis", "time": MEASURED},
        {"variable": "aps", "value": 40, "unit": "{score}", "time": MEASURED},
    ]
    return {
        "patient_id": "p1",
        "time_zero": TIME_ZERO,
        "sex": "female",
        "birth_date": "1966-11-01",
        "outcomes": ["mortality"],
        "horizons_days": [28, 90],
        "measurements": measurements,
    } | changed


def test_the_answer_is_that_of_v1_in_percent(client: httpx.Client) -> None:
    found = answered(
        client, bundle(*resources()), "outcome=mortality&horizonDays=28&horizonDays=90"
    )
    expected = client.post("/v1/predict", json=same_for_v1()).json()["predictions"][0]
    assert found["resourceType"] == "RiskAssessment"
    assert found["status"] == "final"
    assert found["subject"] == {"reference": "Patient/p1"}
    assert found["encounter"] == {"reference": "Encounter/e1"}
    assert len(found["prediction"]) == 3 * len(expected["risks"])
    for number, risk in enumerate(expected["risks"]):
        estimate, interval, if_complete = found["prediction"][3 * number : 3 * number + 3]
        assert estimate["probabilityDecimal"] == pytest.approx(100 * risk["risk"], abs=0.005)
        assert estimate["probabilityDecimal"] > 1
        ends = [interval["probabilityRange"][end]["value"] for end in ("low", "high")]
        assert ends == pytest.approx(
            [100 * risk["interval"][end] for end in ("low", "high")], abs=0.005
        )
        ends = [if_complete["probabilityRange"][end]["value"] for end in ("low", "high")]
        assert ends == pytest.approx(
            [100 * risk["if_complete"][end] for end in ("low", "high")], abs=0.005
        )
        assert "if everything were entered" in if_complete["outcome"]["text"]
        assert if_complete["rationale"] == risk["if_complete"]["sentence"]


def test_a_horizon_is_a_period_and_never_an_age(client: httpx.Client) -> None:
    found = answered(client, bundle(*resources()), "outcome=mortality&horizonDays=28")
    for prediction in found["prediction"]:
        assert "whenRange" not in prediction
        start, end = (
            datetime.fromisoformat(prediction["whenPeriod"][name]) for name in ("start", "end")
        )
        assert start == datetime.fromisoformat(TIME_ZERO)
        assert end - start == timedelta(days=28)


def test_the_validators_find_what_is_wrong() -> None:
    # So that their silence above means something.
    when = {"whenPeriod": {"start": TIME_ZERO}}
    quantity = {"value": 15, "unit": "%", "code": "%"}
    wrong = {
        "resourceType": "RiskAssessment",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "prediction": [
            {"probabilityDecimal": 234, **when},
            {"probabilityRange": {"low": quantity}, **when},
        ],
    }
    assert not invariant(wrong, RAS_1)
    assert not invariant(wrong, RAS_2)
    assert fhirkit.validate({key: value for key, value in wrong.items() if key != "status"})
    with pytest.raises(ValueError):
        assert_valid(wrong | {"statuss": "x"})


def test_it_says_that_an_artificial_intelligence_made_it(client: httpx.Client) -> None:
    found = answered(client, bundle(*resources()))
    assert found["meta"]["security"] == [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "AIAST",
            "display": "Artificial Intelligence asserted",
        }
    ]
    assert found["method"]["text"] == "osteon-mortality version 3 (Osteon)"
    assert found["code"]["coding"][0]["system"] == "urn:osteon:codes"


def test_the_basis_is_what_was_used_and_nothing_else(client: httpx.Client) -> None:
    later = observation("later", "http://loinc.org", "2524-7", valueQuantity=_lactate(9))
    later["effectiveDateTime"] = "2026-11-01T08:00:01+01:00"
    earlier = observation("earlier", "http://loinc.org", "2524-7", valueQuantity=_lactate(9))
    earlier["effectiveDateTime"] = "2026-10-31T06:00:00+01:00"
    preliminary = observation("quick", "http://loinc.org", "2524-7", valueQuantity=_lactate(9))
    preliminary["status"] = "preliminary"
    other = observation("sofa", "http://loinc.org", "96790-1", valueInteger=9)
    unknown = observation("hair", "http://example.org", "colour", valueString="grey")
    sent = bundle(*resources(), later, earlier, preliminary, other, unknown)
    found = answered(client, sent)
    plain = answered(client, bundle(*resources()))
    assert found["prediction"] == plain["prediction"]
    assert [one["reference"] for one in found["basis"]] == [
        "Patient/p1",
        *(f"Observation/{name.replace('_', '-')}" for name in [*CODES, *LOCAL, "aps"]),
    ]
    notes = " ".join(note["text"] for note in found["note"])
    assert "taken after time zero: 1." in notes
    assert "another of the same variable was used: 1." in notes
    assert "not a variable of this model: 1." in notes
    assert "not final, amended or corrected: 1." in notes
    assert "with no code of the catalogue or the model: 1." in notes
    assert "Codes that were not recognised: http://example.org|colour (1)." in notes


def test_the_rationale_and_the_notes_say_it_in_words(client: httpx.Client) -> None:
    sent = [one for one in resources() if one["id"] != "ctx-s"]
    found = answered(client, bundle(*sent), "outcome=mortality&horizonDays=28&horizonDays=90")
    first, second = found["prediction"][0]["rationale"], found["prediction"][3]["rationale"]
    assert re.search(r"about \d+ deaths? within 28 days of time zero \(95 % interval", first)
    assert "At 28 days, counted from the model's reference, these " in first
    assert "At 90 days, counted from the model's reference, these " in second
    assert "what the model inferred for what was not entered (together)" in first
    assert "For a patient of the same age, sex and severity with nothing else entered" in first
    notes = [note["text"] for note in found["note"]]
    assert "Not entered: ctx_s." in notes
    assert [note for note in notes if note.startswith("Entries: ")]
    (settling,) = [note for note in notes if note.startswith("Empty fields that would settle")]
    assert settling.endswith("not a recommendation to order.")
    assert "The model learned from: Adults of two hospitals." in notes
    assert "Judged on patients of its own cohort only; not validated elsewhere." in notes
    assert notes[-1] == NOTICE
    assert not CAUSAL.search(" ".join([first, second, *notes]))


def test_several_outcomes_come_as_a_bundle(client: httpx.Client) -> None:
    found = answered(client, bundle(*resources()), "outcome=fracture&outcome=mortality")
    assert (found["resourceType"], found["type"]) == ("Bundle", "collection")
    codes = [entry["resource"]["code"]["coding"][0]["code"] for entry in found["entry"]]
    assert codes == ["fracture", "mortality"]
    # Without an outcome, every model that is served answers.
    everything = answered(client, bundle(*resources()), "horizonDays=90")
    assert len(everything["entry"]) == 2


def test_the_risk_of_dying_first_stands_beside_that_of_fracture(client: httpx.Client) -> None:
    found = answered(client, bundle(*resources()), "outcome=fracture&horizonDays=90")
    expected = client.post(
        "/v1/predict", json=same_for_v1(outcomes=["fracture"], horizons_days=[90])
    ).json()["predictions"][0]["risks"][0]
    risk, _, _, dying = found["prediction"]
    assert risk["probabilityDecimal"] == pytest.approx(100 * expected["risk"], abs=0.005)
    assert dying["probabilityDecimal"] == pytest.approx(100 * expected["competing_risk"], abs=0.005)
    assert dying["outcome"]["text"].startswith("Death first")


def test_without_a_time_zero_the_newest_observation_of_the_encounter_is_it(
    client: httpx.Client,
) -> None:
    asked = "askedAt=2026-11-01T08:00:00%2B01:00"
    answer = client.post(f"{PATH}?outcome=mortality&{asked}", json=bundle(*resources()))
    period = answer.json()["prediction"][0]["whenPeriod"]
    assert datetime.fromisoformat(period["start"]) == datetime.fromisoformat(MEASURED)
    without = [one | {"effectiveDateTime": None} for one in resources()]
    assert issues(client.post(PATH, json=bundle(*without))) == {("timeZero", "required")}


def test_parameters_may_hold_the_bundle_and_the_rest(client: httpx.Client) -> None:
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "observations", "resource": bundle(*resources())},
            {"name": "outcome", "valueString": "mortality"},
            {"name": "timeZero", "valueDateTime": TIME_ZERO},
            {"name": "askedAt", "valueDateTime": TIME_ZERO},
            {"name": "horizonDays", "valueDecimal": 28},
        ],
    }
    assert_valid(parameters)
    answer = client.post(PATH, json=parameters)
    expected = answered(client, bundle(*resources()), "outcome=mortality&horizonDays=28")
    assert answer.json()["prediction"] == expected["prediction"]


def not_done(name: str, code: str, reason: str = "not-performed", **more: Any) -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    stated = {"coding": [{"system": system, "code": reason}]}
    return observation(name, "http://loinc.org", code, dataAbsentReason=stated, **more)


def test_a_note_names_what_is_recorded_as_not_done(client: httpx.Client) -> None:
    sent = [one for one in resources() if one["id"] not in ("ctx-s", "albumin")]
    query = "outcome=mortality&horizonDays=28"
    with_reason = [not_done("ctx_s", "41171-0"), not_done("albumin", "1751-7", "unknown")]
    found = answered(client, bundle(*sent, *with_reason), query)
    notes = [note["text"] for note in found["note"]]
    assert "Recorded as not done, which the estimate takes as not entered: ctx_s." in notes
    assert "Not entered: albumin." in notes
    assert found["prediction"] == answered(client, bundle(*sent), query)["prediction"]


def test_a_value_and_not_done_at_one_time_count_as_neither(client: httpx.Client) -> None:
    query = "outcome=mortality&horizonDays=28"
    found = answered(client, bundle(*resources(), not_done("again", "41171-0")), query)
    without = [one for one in resources() if one["id"] != "ctx-s"]
    assert found["prediction"] == answered(client, bundle(*without), query)["prediction"]
    notes = " ".join(note["text"] for note in found["note"])
    assert "contradicting another of the same time: 1 (ctx_s)." in notes


def test_a_value_of_another_time_is_used(client: httpx.Client) -> None:
    later = not_done("again", "41171-0", effectiveDateTime="2026-11-01T07:00:00+01:00")
    sent = bundle(*resources(), later)
    found = answered(client, sent, "outcome=mortality")
    notes = " ".join(note["text"] for note in found["note"])
    assert "records of not done beside a value of another time: 1." in notes
    assert "Recorded as not done" not in notes


def test_a_sites_own_codes_are_read_by_its_concept_map(
    serve: Any, tmp_path: Path, real_mortality: ServedModel
) -> None:
    meant = {"code": "LAC", "target": [{"code": "2524-7", "equivalence": "equal"}]}
    group = {"source": "urn:site:lab", "target": "http://loinc.org", "element": [meant]}
    mapped = tmp_path / "map.json"
    mapped.write_text(json.dumps({"resourceType": "ConceptMap", "group": [group]}))
    settings = Settings(state_dir=tmp_path, code_map=mapped)
    of_site = serve(create_app(settings, models=[real_mortality]))
    sent = resources()
    expected = answered(of_site, bundle(*sent))
    sent[1]["code"]["coding"] = [{"system": "urn:site:lab", "code": "LAC"}]
    found = answered(of_site, bundle(*sent))
    assert found["prediction"] == expected["prediction"]
    assert found["basis"] == expected["basis"]
    discovered = of_site.get("/cds-services").json()["services"][0]["prefetch"]
    asked_for = [one for key, one in discovered.items() if key.startswith("observations")]
    assert any(",LAC&" in one for one in asked_for)


def condition(code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]},
    } | more


def test_conditions_and_medications_set_flags(client: httpx.Client) -> None:
    without = [one for one in resources() if one["id"] != "diabetes"]
    with_observation = answered(client, bundle(*resources()))
    found = answered(client, bundle(*without, condition("E11.9")))
    assert found["prediction"] == with_observation["prediction"]
    assert found["prediction"] != answered(client, bundle(*without))["prediction"]
    (basis,) = (one for one in found["basis"] if one.get("reference") == "Condition/c1")
    assert basis["type"] == "Condition"
    # What was recorded after time zero was not known then.
    later = condition("E11.9", recordedDate="2026-11-02")
    assert answered(client, bundle(*without, later))["prediction"] != found["prediction"]


def test_the_identifier_is_that_of_the_outcome_and_the_record(client: httpx.Client) -> None:
    found = answered(client, bundle(*resources()))
    (identifier,) = found["identifier"]
    assert identifier["system"] == "urn:osteon:prediction"
    sent = {"prediction_id": identifier["value"], "outcome": "mortality", "event": 1, "days": 9}
    assert client.post("/v1/outcomes", json=sent).status_code == 201
    both = answered(client, bundle(*resources()), "outcome=fracture&outcome=mortality")
    values = {one["resource"]["identifier"][0]["value"] for one in both["entry"]}
    assert len(values) == 1
    assert len({one["resource"]["id"] for one in both["entry"]}) == 2


def test_a_request_repeated_with_its_key_gets_its_first_answer(client: httpx.Client) -> None:
    query = "outcome=fracture&outcome=mortality&timeZero=2026-11-01T08:00:00%2B01:00"
    header = {"Idempotency-Key": "a-key-of-this-test"}
    sent = bundle(*resources())
    first, again = (client.post(f"{PATH}?{query}", json=sent, headers=header) for _ in range(2))
    assert first.status_code == 200, first.text
    assert again.json() == first.json()
    other = client.post(f"{PATH}?{query}&horizonDays=28", json=sent, headers=header)
    assert issues(other) == {("Idempotency-Key", "reused")}
    unlike = client.post(f"{PATH}?{query}", json=sent)
    assert unlike.json()["entry"][0]["resource"]["id"] != first.json()["entry"][0]["resource"]["id"]


def test_time_zero_may_be_an_instant(client: httpx.Client) -> None:
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "observations", "resource": bundle(*resources())},
            {"name": "outcome", "valueCode": "mortality"},
            {"name": "timeZero", "valueInstant": "2026-11-01T08:00:00.000+01:00"},
        ],
    }
    answer = client.post(PATH, json=parameters)
    assert answer.status_code == 200, answer.text
    expected = answered(client, bundle(*resources()))
    assert answer.json()["prediction"] == expected["prediction"]


def test_a_whole_stay_in_intensive_care_is_read(client: httpx.Client) -> None:
    note = [{"text": "x" * 1_500}]
    unknown = [
        observation(f"o{number}", "urn:site:monitor", "K1", valueInteger=1, note=note)
        for number in range(823)
    ]
    sent = bundle(*resources(), *unknown)
    assert len(json.dumps(sent)) > 1_400_000
    found = answered(client, sent)
    assert found["prediction"] == answered(client, bundle(*resources()))["prediction"]
    notes = [one["text"] for one in found["note"]]
    assert "Codes that were not recognised: urn:site:monitor|K1 (823)." in notes
