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
    "patient_id": "p",
    "encounter_id": "e",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "asked_at": "2026-11-01T08:00:00+01:00",
    "sex": "female",
    "birth_date": "1958-03-02",
    "outcomes": ["mortality"],
    "horizons_days": [28],
    "measurements": [
        {
            "variable": "lactate",
            "loinc": "2524-7",
            "value": 2.5,
            "unit": "mmol/L",
            "comparator": None,
            "time": "2026-11-01T06:00:00+01:00",
            "assay": "x",
            "specimen": "plasma",
        },
        {"variable": "dzgroup", "value": "Cirrhosis"},
    ],
}


def leaves(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every place in a body where a value can be put."""
    inner = body.items() if isinstance(body, dict) else enumerate(body)
    below = [
        leaf
        for key, value in inner
        if isinstance(value, dict | list)
        for leaf in leaves(value, (*path, key))
    ]
    keys = body.keys() if isinstance(body, dict) else range(len(body))
    return [(*path, key) for key in keys] + below


sentinels = st.sampled_from(
    [
        TEXT,
        f"{TEXT} born 1958",
        f"<{DIGITS}",
        f"1,{DIGITS}",
        f"{DIGITS}-11-01",
        f"2026-11-01T08:00:00+{DIGITS}",
        float(DIGITS),
        -float(DIGITS),
        int(DIGITS * 60),
        f"\ud800{TEXT}",
        f"{TEXT}\x00",
        TEXT * 100,
    ]
)
values = (
    sentinels
    | st.lists(sentinels, max_size=2)
    | st.dictionaries(st.sampled_from(["value", "unit", "other"]), sentinels, max_size=2)
)


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[mortality]))


@settings(
    max_examples=200,
    deadline=None,  # a request takes what the machine leaves it
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.lists(st.tuples(st.sampled_from(leaves(VALID)), values), min_size=1, max_size=3))
def test_no_value_is_echoed_in_a_problem_or_a_log(
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
        "/v1/predict", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"]
        assert TEXT not in answer.text
        assert DIGITS not in answer.text
    assert TEXT not in caplog.text
    assert DIGITS not in caplog.text
