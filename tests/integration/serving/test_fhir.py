from __future__ import annotations

import importlib
import re
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import fhirkit
import fhirpathpy
import pytest
from fhirpathpy.models import models as fhirpath_models

from models.wording import NOTICE
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.served import ServedModel

PATH = "/fhir/RiskAssessment/$predict"
TIME_ZERO = "2026-11-01T08:00:00+01:00"
MEASURED = "2026-11-01T06:00:00+01:00"
CAUSAL = re.compile(r"because|due to|protect|cause[^ ]|leads? to", re.IGNORECASE)

# ras-1 and ras-2 as hl7.fhir.r4b.core and hl7.fhir.r5.core write them.
RAS_1 = (
    "RiskAssessment.prediction.probability.where($this is Range).all("
    "(low.empty() or ((low.code = '%') and (low.system = 'http://unitsofmeasure.org'))) and "
    "(high.empty() or ((high.code = '%') and (high.system = 'http://unitsofmeasure.org'))))"
)
RAS_2 = (
    "RiskAssessment.prediction.all(probability is decimal implies (probability as decimal) <= 100)"
)

CODES = {
    "lactate": ("2524-7", "mmol/L", 2.5),
    "albumin": ("1751-7", "g/dL", 2.8),
    "fgf23_c": ("47855-2", "[arb'U]/mL", 900),
    "ctx_s": ("41171-0", "pg/mL", 500),
}
LOCAL = {"diabetes": {"valueBoolean": True}, "dzgroup": {"valueString": "Cirrhosis"}}


def observation(name: str, system: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name.replace("_", "-"),
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "effectiveDateTime": MEASURED,
    } | more


def patient() -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1966-11-01"}


def resources() -> list[dict[str, Any]]:
    coded = [
        observation(
            name,
            "http://loinc.org",
            code,
            valueQuantity={"value": value, "system": "http://unitsofmeasure.org", "code": unit},
        )
        for name, (code, unit, value) in CODES.items()
    ]
    local = [observation(name, "urn:osteon:codes", name, **value) for name, value in LOCAL.items()]
    aps = {"value": 40, "system": "http://unitsofmeasure.org", "code": "{score}"}
    local.append(observation("aps", "urn:osteon:codes", "aps", valueQuantity=aps))
    return [patient(), *coded, *local]


def bundle(*sent: dict[str, Any]) -> dict[str, Any]:
    entry = [{"resource": resource} for resource in sent]
    return {"resourceType": "Bundle", "type": "collection", "entry": entry}


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


@pytest.fixture(scope="module")
def client(serve: Any, real_mortality: ServedModel, real_fracture: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[real_mortality, real_fracture]))


def ask(client: httpx.Client, document: Any, query: str = "") -> httpx.Response:
    return client.post(
        f"{PATH}?{query or 'outcome=mortality'}&timeZero=2026-11-01T08:00:00%2B01:00",
        json=document,
        headers={"content-type": "application/fhir+json"},
    )


def answered(client: httpx.Client, document: Any, query: str = "") -> dict[str, Any]:
    answer = ask(client, document, query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")
    found = answer.json()
    assert_valid(found)
    return found


def assert_valid(resource: dict[str, Any]) -> None:
    """Check a resource by three validators, and RiskAssessments by the two invariants."""
    kind = resource["resourceType"]
    for package in ("fhir.resources.R4B", "fhir.resources"):
        module = importlib.import_module(f"{package}.{kind.lower()}")
        getattr(module, kind).model_validate(resource)
    if resource.get("fhirVersion", "4.0.1") == "4.0.1":
        assert fhirkit.validate(resource) == []
    entries = [entry["resource"] for entry in resource.get("entry", [])]
    for assessment in [*entries, resource]:
        if assessment["resourceType"] == "RiskAssessment":
            assert_invariants(assessment)


def assert_invariants(assessment: dict[str, Any]) -> None:
    for rule in (RAS_1, RAS_2):
        assert invariant(assessment, rule), rule


def invariant(assessment: dict[str, Any], rule: str) -> bool:
    return fhirpathpy.evaluate(assessment, rule, model=fhirpath_models["r4"]) == [True]


def issues(answer: httpx.Response, status: int = 422) -> set[tuple[str, str]]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert_valid(answer.json())
    assert answer.json()["resourceType"] == "OperationOutcome"
    return {
        (issue["expression"][0] if "expression" in issue else "", issue["details"]["text"])
        for issue in answer.json()["issue"]
    }


def test_the_answer_is_that_of_v1_in_percent(client: httpx.Client) -> None:
    found = answered(
        client, bundle(*resources()), "outcome=mortality&horizonDays=28&horizonDays=90"
    )
    expected = client.post("/v1/predict", json=same_for_v1()).json()["predictions"][0]
    assert found["resourceType"] == "RiskAssessment"
    assert found["status"] == "final"
    assert found["subject"] == {"reference": "Patient/p1"}
    assert found["encounter"] == {"reference": "Encounter/e1"}
    assert len(found["prediction"]) == 2 * len(expected["risks"])
    for number, risk in enumerate(expected["risks"]):
        estimate, interval = found["prediction"][2 * number : 2 * number + 2]
        assert estimate["probabilityDecimal"] == pytest.approx(100 * risk["risk"], abs=0.005)
        assert estimate["probabilityDecimal"] > 1
        ends = [interval["probabilityRange"][end]["value"] for end in ("low", "high")]
        assert ends == pytest.approx(
            [100 * risk["interval"][end] for end in ("low", "high")], abs=0.005
        )


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


def _lactate(value: float) -> dict[str, Any]:
    return {"value": value, "system": "http://unitsofmeasure.org", "code": "mmol/L"}


def test_the_rationale_and_the_notes_say_it_in_words(client: httpx.Client) -> None:
    sent = [one for one in resources() if one["id"] != "ctx-s"]
    found = answered(client, bundle(*sent), "outcome=mortality&horizonDays=28&horizonDays=90")
    first, second = found["prediction"][0]["rationale"], found["prediction"][2]["rationale"]
    assert re.search(r"about \d+ deaths? within 28 days of time zero \(95 % interval", first)
    assert "At 28 days, compared with the model's reference:" in first
    assert "At 90 days, compared with the model's reference:" in second
    assert "what was not measured (together)" in first
    notes = [note["text"] for note in found["note"]]
    assert "Not measured: ctx_s." in notes
    assert "The model learned from: Adults of two hospitals." in notes
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
    risk, _, dying = found["prediction"]
    assert risk["probabilityDecimal"] == pytest.approx(100 * expected["risk"], abs=0.005)
    assert dying["probabilityDecimal"] == pytest.approx(100 * expected["competing_risk"], abs=0.005)
    assert dying["outcome"]["text"].startswith("Death first")


def test_without_a_time_zero_the_newest_observation_is_it(client: httpx.Client) -> None:
    answer = client.post(f"{PATH}?outcome=mortality", json=bundle(*resources()))
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
            {"name": "horizonDays", "valueDecimal": 28},
        ],
    }
    assert_valid(parameters)
    answer = client.post(PATH, json=parameters)
    expected = answered(client, bundle(*resources()), "outcome=mortality&horizonDays=28")
    assert answer.json()["prediction"] == expected["prediction"]


def test_a_patient_the_model_is_not_for_gets_no_prediction(client: httpx.Client) -> None:
    child = resources()
    child[0]["birthDate"] = "2012-05-01"
    found = answered(client, bundle(*child))
    assert found["status"] == "cancelled"
    assert "prediction" not in found
    assert found["note"][0]["text"].startswith("No risk is given. The model is for adults")


def test_a_simulated_model_never_answers(
    serve: Any, mortality: ServedModel, real_fracture: ServedModel
) -> None:
    simulated = serve(create_app(Settings(), models=[mortality]))
    assert issues(ask(simulated, bundle(*resources())), 503) == {("outcome", "simulated")}
    assert issues(simulated.post(PATH, json=bundle(*resources())), 503) == {
        ("outcome", "simulated")
    }
    mixed = serve(create_app(Settings(), models=[mortality, real_fracture]))
    found = answered(mixed, bundle(*resources()), "horizonDays=90")
    assert found["code"]["coding"][0]["code"] == "fracture"
    both = ask(mixed, bundle(*resources()), "outcome=mortality&outcome=fracture")
    assert issues(both, 503) == {("outcome", "simulated")}


def test_two_subjects_are_an_error(client: httpx.Client) -> None:
    other = observation("x", "http://loinc.org", "2524-7", valueQuantity=_lactate(1))
    other["subject"] = {"reference": "Patient/p2"}
    assert issues(ask(client, bundle(*resources(), other))) == {("Bundle", "two_subjects")}


def test_every_broken_rule_is_an_issue_with_its_place(client: httpx.Client) -> None:
    sent = resources()
    sent[1]["valueQuantity"]["code"] = "mg/dL"
    sent[2]["valueQuantity"]["value"] = 90210471
    found = ask(client, bundle(*sent), "outcome=mortality&horizonDays=28")
    assert issues(found) == {
        ("Bundle.entry[1].resource", "unit"),
        ("Bundle.entry[2].resource", "range"),
    }
    assert "90210471" not in found.text
    assert issues(ask(client, bundle(*resources()), "outcome=mortality&horizonDays=100000")) == {
        ("horizonDays", "horizon")
    }
    assert issues(ask(client, bundle(*resources()), "outcome=Sentinel4711")) == {
        ("outcome", "unknown_outcome")
    }


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("horizonDays=soon", "not_a_number"),
        ("horizonDays=nan", "not_a_number"),
        ("horizon=28", "unknown_field"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(
    client: httpx.Client, query: str, rule: str
) -> None:
    found = issues(ask(client, bundle(*resources()), f"outcome=mortality&{query}"))
    assert [said for _, said in found] == [rule]


@pytest.mark.parametrize("stated", ["2026-11-01", "2026-11-01T08:00:00", "now"])
def test_a_time_zero_states_its_offset(client: httpx.Client, stated: str) -> None:
    answer = client.post(f"{PATH}?timeZero={stated}", json=bundle(*resources()))
    assert issues(answer) == {("timeZero", "time")}


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"{", "json"),
        (b"[" * 100_000, "json"),
        (b'{"resourceType": "Bundle", "entry": [{"resource": {"value": NaN}}]}', "json"),
        (b'{"resourceType": "Bundle", "resourceType": "Bundle"}', "json"),
        (b"\xff", "json"),
        (b"3", "structure"),
        (b'{"resourceType": "Observation"}', "structure"),
        (b'{"resourceType": "Bundle"}', "subject"),
        (b'{"resourceType": "Parameters"}', "required"),
    ],
)
def test_what_is_no_bundle_is_refused(client: httpx.Client, content: bytes, rule: str) -> None:
    answer = client.post(PATH, content=content, headers={"content-type": "application/json"})
    assert [said for _, said in issues(answer)] == [rule]


def test_every_other_error_is_an_operation_outcome_too(client: httpx.Client, serve: Any) -> None:
    def first(answer: httpx.Response, status: int) -> str:
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("application/fhir+json")
        assert_valid(answer.json())
        return str(answer.json()["issue"][0]["code"])

    assert first(client.get("/fhir/Patient/1"), 404) == "not-found"
    assert first(client.get(PATH), 405) == "not-supported"
    xml = client.post(PATH, content=b"<x/>", headers={"content-type": "application/fhir+xml"})
    assert first(xml, 415) == "not-supported"
    assert first(client.post(PATH, content=b" " * 2_000_000), 413) == "too-long"
    bare = serve(create_app(Settings()))
    assert first(bare.post(PATH, json=bundle(*resources())), 503) == "not-supported"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "4.0.1"),
        ("application/fhir+json; fhirVersion=4.3", "4.3.0"),
        ("application/fhir+json; fhirVersion=5.0", "5.0.0"),
    ],
)
def test_the_service_says_what_it_can_do(client: httpx.Client, accept: str, expected: str) -> None:
    statement = client.get("/fhir/metadata", headers={"accept": accept}).json()
    assert_valid(statement)
    assert statement["fhirVersion"] == expected
    (assessment,) = (
        one for one in statement["rest"][0]["resource"] if one["type"] == "RiskAssessment"
    )
    definition = client.get("/fhir/OperationDefinition/RiskAssessment-predict").json()
    assert_valid(definition)
    assert definition["url"] == assessment["operation"][0]["definition"]
    assert definition["code"] == "predict"


def test_there_is_one_local_code_system_and_the_answers_keep_to_it(client: httpx.Client) -> None:
    system = client.get("/fhir/CodeSystem/osteon").json()
    assert_valid(system)
    known = {concept["code"] for concept in system["concept"]}
    assert {"osteopontin", "rankl_free", "saps2", "mortality", "fracture"} <= known
    found = answered(client, bundle(*resources()))
    concepts = [found["code"], *(one["outcome"] for one in found["prediction"])]
    for coding in (coding for concept in concepts for coding in concept["coding"]):
        assert coding["system"] == system["url"]
        assert coding["code"] in known


def test_no_identifier_reaches_the_log(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    sent = resources()
    for one in sent:
        one["subject"] = {"reference": "Patient/Sentinel4711"}
    sent[0]["id"] = "Sentinel4711"
    with caplog.at_level("DEBUG", logger="serving"):
        answered(client, bundle(*sent))
        # The line of a request is written after the client has the whole answer.
        deadline = time.monotonic() + 10
        while "$predict" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("serving")]
    assert any("/fhir/RiskAssessment/$predict" in line for line in ours)
    assert "Sentinel4711" not in " ".join(ours)
