from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

# Text and digits that no message of ours holds by itself.
TEXT = "Sentinel"
DIGITS = "90210471"

VALID: dict[str, Any] = {
    "resourceType": "Bundle",
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "p", "birthDate": "1958-03-02"}},
        {
            "fullUrl": "https://a/fhir/Observation/o",
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
                "subject": {"reference": "Patient/p"},
                "method": {"text": "x"},
                "effectiveDateTime": "2026-11-01T06:00:00+01:00",
                "valueQuantity": {"value": 2.5, "code": "mmol/L", "comparator": "<"},
            },
        },
    ],
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


sentinels = st.sampled_from(
    [TEXT, f"Patient/{TEXT}", f"<{DIGITS}", float(DIGITS), -int(DIGITS * 60), f"{TEXT}\x00", None]
)
values = (
    sentinels
    | st.lists(sentinels, max_size=2)
    | st.dictionaries(st.sampled_from(["value", "reference", "text"]), sentinels, max_size=2)
)


@pytest.fixture(scope="module")
def client(serve: Any, real_mortality: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[real_mortality]))


@settings(
    max_examples=200,
    deadline=None,  # a request takes what the machine leaves it
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.lists(st.tuples(st.sampled_from(leaves(VALID)), values), min_size=1, max_size=3))
def test_no_value_is_echoed_in_an_operation_outcome_or_a_log(
    client: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    body = copy.deepcopy(VALID)
    # The deepest first, so that no change removes the place of another.
    for path, value in sorted(changes, key=lambda change: -len(change[0])):
        place: Any = body
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    caplog.clear()
    answer = client.post(
        "/fhir/RiskAssessment/$predict",
        content=json.dumps(body),
        headers={"content-type": "application/fhir+json"},
    )
    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert TEXT not in answer.text
        assert DIGITS not in answer.text
    assert TEXT not in caplog.text
    assert DIGITS not in caplog.text
