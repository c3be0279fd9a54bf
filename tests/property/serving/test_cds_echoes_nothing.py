from __future__ import annotations

import copy
import json
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

# Text and digits that no message of ours holds by itself.
TEXT = "Sentinel"
DIGITS = "90210471"
ADMITTED = datetime.now().astimezone() - timedelta(hours=30)
TAKEN = (ADMITTED + timedelta(hours=20)).isoformat()


def bundle(**resource: Any) -> dict[str, Any]:
    about = {"subject": {"reference": "Patient/p"}}
    return {"resourceType": "Bundle", "entry": [{"resource": resource | about}]}


VALID: dict[str, Any] = {
    "hook": "patient-view",
    "hookInstance": str(uuid.UUID(int=1)),
    "context": {"userId": "Practitioner/a", "patientId": "p", "encounterId": "e"},
    "prefetch": {
        "patient": {"resourceType": "Patient", "id": "p", "birthDate": "1958-03-02"},
        "encounter": {
            "resourceType": "Encounter",
            "id": "e",
            "status": "in-progress",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
                "code": "ICU",
            },
            "period": {"start": ADMITTED.isoformat()},
        },
        "observations": bundle(
            resourceType="Observation",
            status="final",
            code={"coding": [{"system": "http://loinc.org", "code": "47855-2"}]},
            effectiveDateTime=TAKEN,
            valueQuantity={"value": 410, "code": "[arb'U]/mL"},
        ),
        "conditions": bundle(
            resourceType="Condition",
            code={"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}]},
        ),
        "comfortCare": bundle(
            resourceType="ServiceRequest",
            status="active",
            code={"coding": [{"system": "http://snomed.info/sct", "code": "1"}]},
        ),
        "medications": bundle(
            resourceType="MedicationRequest",
            status="active",
            authoredOn=TAKEN,
            medicationCodeableConcept={
                "coding": [{"system": "http://www.whocc.no/atc", "code": "C01CA03"}]
            },
        ),
    },
}


def leaves(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every place in a body where a value can be put."""
    inner = body.items() if isinstance(body, dict) else enumerate(body)
    return [
        leaf
        for key, value in inner
        for leaf in [
            (*path, key),
            *(leaves(value, (*path, key)) if isinstance(value, dict | list) else []),
        ]
    ]


FIRST_VALUE = ("prefetch", "observations", "entry", 0, "resource")

sentinels = st.sampled_from(
    [
        *(TEXT, f"Patient/{TEXT}", f"<{DIGITS}", f"{TEXT}\x00", "\ud800", "0001-01-01", "9999"),
        *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", float(DIGITS), -int(DIGITS * 60)),
        *(None, True),
    ]
)
values = (
    sentinels
    | st.lists(sentinels, max_size=2)
    | st.dictionaries(st.sampled_from(["value", "reference", "start"]), sentinels, max_size=2)
)


@pytest.fixture(scope="module")
def client(serve: Any, real_mortality: ServedModel, sure_fracture: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[real_mortality, sure_fracture]))


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    service=st.sampled_from(
        [("osteon-mortality", "patient-view"), ("osteon-fracture", "encounter-discharge")]
    ),
    changes=st.lists(st.tuples(st.sampled_from(leaves(VALID)), values), min_size=1, max_size=3),
)
@example(
    service=("osteon-mortality", "patient-view"),
    changes=[
        (("prefetch", "observations", "entry", 0, "resource", "valueQuantity", "value"), -(10**400))
    ],
)
def test_whatever_a_record_says_the_answer_is_cards_or_a_problem_without_it(
    client: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    service: tuple[str, str],
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    body = copy.deepcopy(VALID) | {"hook": service[1]}
    body["context"]["userId"] = f"Practitioner/{uuid.uuid4()}"
    # The deepest first, so that no change removes the place of another.
    for path, value in sorted(changes, key=lambda change: -len(change[0])):
        place: Any = body
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    caplog.clear()
    answer = client.post(
        f"/cds-services/{service[0]}",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in {200, 412, 422}
    document = answer.json()
    if answer.status_code == 200:
        # What is not recognised is named by its code, and by nothing else of it.
        document["extension"]["osteon"].pop("unrecognisedCodes", None)
    assert TEXT not in json.dumps(document)
    assert DIGITS not in json.dumps(document)
    assert TEXT not in caplog.text
    assert DIGITS not in caplog.text
