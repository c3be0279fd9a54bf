"""The page opened out of an EHR, and its patient's record laid into the form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

ZERO = "2026-11-25T08:00:00+01:00"
HTML = {"Accept": "text/html"}
Trail = Callable[[], list[dict[str, Any]]]


def observation(number: int, loinc: str, value: Any, unit: str = "", **changed: Any) -> Any:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-25T06:10:00+01:00",
        "valueQuantity": {
            "value": value,
            "unit": unit,
            "code": unit,
            "system": "http://unitsofmeasure.org",
        },
    } | changed


PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"use": "official", "family": "Okafor", "given": ["Ngozi"]}],
    "gender": "female",
    "birthDate": "1958-03-02",
}


@pytest.fixture(autouse=True)
def _record(provider: Any) -> None:
    provider.patient = dict(PATIENT)
    provider.observations = [
        observation(1, "2524-7", 2.8, "mmol/L"),  # lactate
        observation(2, "2524-7", 3.9, "mmol/L", effectiveDateTime="2026-11-24T22:00:00+01:00"),
        observation(3, "1751-7", 27, "g/L"),  # albumin
    ]


def open_launch(client: httpx.Client, provider: Any) -> str:
    """Be launched by the EHR and return the address of its authorization server."""
    answer = client.get("/launch", params={"iss": provider.fhir, "launch": "l1"})
    assert answer.status_code == 303
    return answer.headers["location"]


def launch(client: httpx.Client, provider: Any) -> httpx.Response:
    back = httpx.get(open_launch(client, provider)).headers["location"]
    return client.get(back)


def read(client: httpx.Client, time_zero: str = ZERO) -> httpx.Response:
    header = {"x-csrf-token": client.get("/page/session").json()["csrf"]}
    return client.post("/page/record", json={"time_zero": time_zero}, headers=header)


def record(client: httpx.Client, provider: Any, time_zero: str = ZERO) -> dict[str, Any]:
    assert launch(client, provider).status_code == 303
    answer = read(client, time_zero)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_ehr_opens_the_page_for_its_patient(
    client: httpx.Client, provider: Any, trail_of: Trail
) -> None:
    asked = parse_qs(urlsplit(open_launch(client, provider)).query)
    assert asked["aud"] == [provider.fhir]
    assert asked["launch"] == ["l1"]
    assert asked["code_challenge_method"] == ["S256"]
    scopes = set(asked["scope"][0].split())
    assert {"launch", "openid", "fhirUser", "patient/Observation.rs"} <= scopes
    kinds = ("Encounter", "Condition", "MedicationRequest")
    assert {f"patient/{kind}.rs" for kind in kinds} <= scopes
    found = record(client, provider)
    assert client.get("/", headers=HTML).status_code == 200
    assert client.get("/page/session").json()["has_record"] is True
    assert found["who"] == "Okafor, Ngozi, born 2 March 1958"
    assert (found["patient_id"], found["encounter_id"]) == ("p1", "e1")
    rows = {one["column"]: one for one in found["filled"]}
    assert rows["sex"]["value"] == "female"
    assert rows["age"]["value"] == "68.7"
    assert (rows["lactate"]["value"], rows["lactate"]["unit"]) == ("2.8", "mmol/L")
    assert rows["lactate"]["time"] == "2026-11-25T06:10:00+01:00"
    assert (rows["albumin"]["value"], rows["albumin"]["unit"]) == ("27", "g/L")
    assert found["unread"] == []
    assert found["notes"] == []
    actions = [(one["action"], one["actor"]) for one in trail_of()]
    actor = f"oidc:{provider.url}|clinician-7"
    assert actions == [("sign_in", actor), ("launch", actor)]
    assert "patient" in trail_of()[1]
    assert "Okafor" not in str(trail_of())


def test_whoever_comes_out_of_the_ehr_may_predict_and_nothing_else(
    client: httpx.Client, provider: Any
) -> None:
    provider.claims = {"roles": ["admin"]}
    assert launch(client, provider).status_code == 303
    header = {"x-csrf-token": client.get("/page/session").json()["csrf"]}
    sent = {"prediction_id": "0" * 26, "outcome": "mortality", "event": 1, "days": 3}
    assert client.post("/v1/outcomes", json=sent, headers=header).status_code == 403


def test_the_token_of_the_ehr_never_reaches_the_browser(
    client: httpx.Client, provider: Any, caplog: Any
) -> None:
    with caplog.at_level("DEBUG"):
        answers = [launch(client, provider)]
        answers += [read(client), client.get("/", headers=HTML), client.get("/page/session")]
    for answer in answers:
        assert provider.access_token not in answer.text + str(answer.headers)
    logged = caplog.text
    for secret in (provider.access_token, "Okafor", "Patient/p1", "patient=p1"):
        assert secret not in logged


@pytest.mark.parametrize(
    "iss", ["https://evil.example/fhir", "", "{fhir}/../evil", "{fhir}?x=1", "{fhir}.evil.example"]
)
def test_an_ehr_that_is_not_listed_is_never_asked(
    client: httpx.Client, provider: Any, trail_of: Trail, iss: str
) -> None:
    answer = client.get("/launch", params={"iss": iss.format(fhir=provider.fhir), "launch": "l1"})
    assert answer.status_code == 403
    assert "does not accept sign-ins from this record system" in answer.text
    assert provider.asked == []
    assert trail_of()[0]["detail"]["reason"] == "ehr"


@pytest.mark.parametrize(
    ("tokens", "claims", "reason"),
    [
        ({"patient": None}, {}, "patient"),
        ({"patient": "../p2"}, {}, "patient"),
        ({"id_token": None}, {}, "no_identity"),
        ({"access_token": None}, {}, "access"),
        ({"token_type": "mac"}, {}, "access"),
        ({}, {"aud": "another-app"}, "identity"),
        ({}, {"nonce": "another"}, "nonce"),
    ],
)
def test_a_launch_that_breaks_a_rule_opens_no_record(
    client: httpx.Client,
    provider: Any,
    trail_of: Trail,
    tokens: dict[str, Any],
    claims: dict[str, Any],
    reason: str,
) -> None:
    provider.tokens, provider.claims = tokens, claims
    assert launch(client, provider).status_code == 403
    assert client.get("/page/session").status_code == 401
    assert trail_of()[0]["detail"]["reason"] == reason


def test_an_ehr_without_pkce_is_refused(
    service: Callable[..., tuple[httpx.Client, Any]], provider: Any
) -> None:
    client, _ = service()
    provider.about = {"code_challenge_methods_supported": ["plain"]}
    answer = client.get("/launch", params={"iss": provider.fhir, "launch": "l1"})
    assert answer.status_code == 503


def test_a_launch_is_good_once_and_in_one_browser(client: httpx.Client, provider: Any) -> None:
    back = httpx.get(open_launch(client, provider)).headers["location"]
    with httpx.Client(base_url=client.base_url) as somebody_else:
        assert somebody_else.get(back).status_code == 403
    assert client.get(back).status_code == 303
    assert client.get(back).status_code == 403


def test_a_session_without_a_launch_has_no_record(client: httpx.Client, provider: Any) -> None:
    url = client.get("/sign-in").headers["location"]
    client.get(httpx.get(url).headers["location"])
    assert read(client).status_code == 404
    assert client.get("/page/session").json()["has_record"] is False


def test_a_request_for_the_record_that_another_site_makes_is_refused(
    client: httpx.Client, provider: Any
) -> None:
    launch(client, provider)
    provider.asked.clear()
    assert client.post("/page/record", json={"time_zero": ZERO}).status_code == 403
    assert provider.asked == []


def test_what_cannot_be_read_is_named_with_its_rule_and_never_filled_in(
    client: httpx.Client, provider: Any
) -> None:
    provider.observations = [
        observation(1, "2524-7", 2.8, "furlong"),
        observation(2, "1751-7", 2700, "g/L"),
        observation(3, "1988-5", 12, "mg/L", status="preliminary"),
        observation(4, "14879-1", 1.1, "mmol/L", effectiveDateTime="2026-11-25T09:00:00+01:00"),
        observation(5, "72514-3", 4, "{score}"),  # pain, which nothing reads
        observation(6, "2160-0", 1.2, "mg/dL", effectiveDateTime="2026-11-25T06:10:00"),
        observation(7, "777-3", 150, "10*9/L", subject={"reference": "Patient/p2"}),
        observation(8, "14631-6", 20, "umol/L"),
        observation(9, "14631-6", 21, "umol/L"),
        observation(10, "1996-8", 1, "", valueQuantity={}, dataAbsentReason={"text": "lost"}),
    ]
    found = record(client, provider)
    assert {one["column"] for one in found["filled"]} == {"age", "sex"}
    rules = {(one["name"], one["rule"]) for one in found["unread"]}
    assert {
        ("Lactate", "unit"),
        ("Albumin", "range"),
        ("C-reactive protein", "status"),
        ("Phosphate", "after_time_zero"),
        ("Creatinine", "time"),
        ("Platelets", "two_subjects"),
        ("Bilirubin, total", "contradiction"),
    } <= rules
    said = json.dumps(found["unread"])
    for value in ("furlong", "2700", "lost", "p2"):
        assert value not in said


def test_a_rule_names_units_as_the_form_shows_them(client: httpx.Client, provider: Any) -> None:
    provider.patient = PATIENT | {"birthDate": "2027-01-01"}
    provider.observations = [
        observation(1, "777-3", 90_000_000, "10*9/L"),
        observation(2, "2160-0", 100, "umol/L"),
        observation(3, "14631-6", 20, "furlong"),
    ]
    said = {one["name"]: one["message"] for one in record(client, provider)["unread"]}
    assert "× 10³/µL" in said["Platelets"]
    assert "(mg/dL, mg/L)" in said["Creatinine"]
    assert "µmol/L" in said["Bilirubin, total"]
    assert "years" in said["Age"]
    assert not any("10*" in text or "umol" in text for text in said.values())


@pytest.mark.parametrize("loinc", ["2744-1", "38264-8"])
def test_a_rule_says_that_a_bare_number_has_no_unit(
    client: httpx.Client, provider: Any, loinc: str
) -> None:
    provider.observations = [observation(1, loinc, 7.3, "furlong")]
    (unread,) = record(client, provider)["unread"]
    assert "an accepted unit (no unit);" in unread["message"]


def test_an_older_value_beside_a_newer_that_cannot_be_read_is_said(
    client: httpx.Client, provider: Any
) -> None:
    provider.observations = [
        observation(1, "2524-7", 2.8, "furlong"),
        observation(2, "2524-7", 3.9, "mmol/L", effectiveDateTime="2026-11-24T22:00:00+01:00"),
    ]
    found = record(client, provider)
    rows = {one["column"]: one for one in found["filled"]}
    assert rows["lactate"]["value"] == "3.9"
    [unread] = found["unread"]
    assert unread["message"].endswith("An older value is filled in.")


def test_values_since_the_stay_began_are_read(client: httpx.Client, provider: Any) -> None:
    icu = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
    lactate = observation(1, "2524-7", 2.8, "mmol/L")
    early = observation(2, "1751-7", 27, "g/L", effectiveDateTime="2026-11-12T06:00:00+01:00")
    provider.observations = [lactate, early]
    within_a_week = record(client, provider)
    assert "albumin" not in {one["column"] for one in within_a_week["filled"]}
    assert within_a_week["laboratory_days"] == 7
    provider.encounter = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "class": icu,
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2026-11-12T08:00:00+01:00"},
    }
    of_the_stay = record(client, provider)
    assert "albumin" in {one["column"] for one in of_the_stay["filled"]}
    assert of_the_stay["policy"]["icu_admission"] is not None
    assert of_the_stay["laboratory_days"] == 15


def test_what_the_record_states_beside_its_values_goes_with_the_form(
    client: httpx.Client, provider: Any
) -> None:
    provider.patient = PATIENT | {"birthDate": "1958", "deceasedDateTime": "2026-11-24"}
    provider.observations = [observation(1, "2524-7", 2.8, "furlong")]
    found = record(client, provider)
    assert found["policy"]["birth_date"] == "1958"
    assert found["policy"]["death_time"] == "2026-11-24T00:00:00+01:00"
    assert found["policy"]["unread"] == ["lactate"]
    assert any("day of birth is not known" in note for note in found["notes"])


def test_limits_and_flags_are_kept(client: httpx.Client, provider: Any) -> None:
    provider.observations = [
        observation(1, "2524-7", 0.3, "mmol/L")
        | {
            "valueQuantity": {
                "value": 0.3,
                "comparator": "<",
                "code": "mmol/L",
                "system": "http://unitsofmeasure.org",
            }
        },
    ]
    [lactate] = [one for one in record(client, provider)["filled"] if one["column"] == "lactate"]
    assert (lactate["value"], lactate["comparator"]) == ("0.3", "<")


def test_another_time_zero_reads_what_was_known_then(client: httpx.Client, provider: Any) -> None:
    found = record(client, provider, "2026-11-25T00:00:00+01:00")
    rows = {one["column"]: one for one in found["filled"]}
    assert rows["lactate"]["value"] == "3.9"
    assert {one["rule"] for one in found["unread"]} == {"after_time_zero"}


@pytest.mark.parametrize(
    ("patient", "name", "rule"),
    [
        ({"birthDate": "long ago"}, "Age", "date"),
        ({"birthDate": "2027-01-01"}, "Age", "birth_after_time_zero"),
        ({"birthDate": "1827-01-01"}, "Age", "range"),
        ({"gender": "f"}, "Sex", "category"),
    ],
)
def test_what_the_patient_resource_leaves_open_stays_open(
    client: httpx.Client, provider: Any, patient: dict[str, Any], name: str, rule: str
) -> None:
    provider.patient = PATIENT | patient
    found = record(client, provider)
    assert [(one["name"], one["rule"]) for one in found["unread"]] == [(name, rule)]
    assert name.lower() not in {one["column"] for one in found["filled"]}


def test_that_the_patient_has_died_is_said(client: httpx.Client, provider: Any) -> None:
    provider.patient = PATIENT | {"deceasedDateTime": "2026-11-24"}
    assert record(client, provider)["notes"] == ["The record says that this patient has died."]


@pytest.mark.parametrize("how", ["status", "other", "token"])
def test_a_record_that_cannot_be_had_is_a_failure_outside(
    client: httpx.Client, provider: Any, how: str
) -> None:
    assert launch(client, provider).status_code == 303
    if how == "status":
        provider.fhir_status = 403
    elif how == "other":
        provider.patient = PATIENT | {"id": "p2"}
    else:
        provider.access_token = "another"
    answer = read(client)
    assert answer.status_code == 503
    assert "p1" not in answer.text
    assert provider.url not in answer.text


def test_a_page_of_the_record_on_another_server_is_never_asked_for(
    client: httpx.Client, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.observations = [
        observation(
            number, "2524-7", 2.8, "mmol/L", effectiveDateTime=f"2026-11-25T0{number}:00:00Z"
        )
        for number in range(7)
    ]
    assert record(client, provider)["filled"]  # three pages of one server
    resource = provider.resource

    def elsewhere(path: str, query: Any) -> Any:
        found = resource(path, query)
        if "link" in found:
            found["link"][0]["url"] = "https://evil.example/fhir/Observation?page=1"
        return found

    monkeypatch.setattr(provider, "resource", elsewhere)
    assert read(client).status_code == 503


def test_what_the_record_states_as_not_done_is_filled_in_as_such(
    client: httpx.Client, provider: Any
) -> None:
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    reason = {"coding": [{"system": system, "code": "not-performed"}]}
    earlier = "2026-11-24T06:00:00+01:00"

    def not_done(number: int, code: str, **more: Any) -> dict[str, Any]:
        resource = observation(number, code, 1, "", dataAbsentReason=reason, **more)
        del resource["valueQuantity"]
        return resource

    provider.observations = [
        not_done(1, "2524-7"),
        observation(2, "1751-7", 2.8, "g/dL"),
        not_done(3, "1751-7"),
        observation(4, "1988-5", 12, "mg/L"),
        not_done(5, "1988-5", effectiveDateTime=earlier),
    ]
    found = record(client, provider)
    filled = {one["column"]: (one["value"], one["not_done"]) for one in found["filled"]}
    assert filled["lactate"] == ("", True)
    assert filled["crp"] == ("12", False)
    assert "albumin" not in filled
    assert ("Albumin", "contradiction") in {(one["name"], one["rule"]) for one in found["unread"]}
