"""The form of a question: the same rules in the same words as the JSON schema states them."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import select

from data_schema.measurements import Measurement
from serving.audit.opening import open_trail
from serving.prediction import predictor
from serving.prediction.json_translation import question_of
from serving.prediction.on_record import Recorder
from serving.prediction.question import (
    MAX_HORIZONS,
    MAX_MEASUREMENTS,
    MAX_OUTCOMES,
    MAX_TEXT,
    Place,
    Question,
    QuestionBroken,
    TimedAbsence,
    TimedMeasurement,
    check_form,
)
from serving.prediction.schemas import PredictRequest
from serving.prediction.served import Served
from serving.problems.details import field_problems
from serving.settings import Settings
from serving.store.tables import RECORDS

if TYPE_CHECKING:
    from pathlib import Path

    from serving.prediction.served import ServedModel

TIME_ZERO = "2026-11-01T08:00:00+01:00"

texts = st.sampled_from(["", "x", "x" * MAX_TEXT, "x" * (MAX_TEXT + 1)])
numbers = st.sampled_from([float("nan"), float("inf"), -float("inf"), 10**400, 0, -1.5, 2.5])
measurements = st.fixed_dictionaries(
    {
        "value": numbers | texts | st.booleans() | st.none(),
        "variable": st.none() | texts,
        "loinc": st.none() | texts,
        "unit": st.none() | texts,
        "comparator": st.none() | st.sampled_from(["<", ">=", "ad", ""]),
        "assay": st.none() | texts,
        "specimen": st.none() | texts,
    }
)
lengths = st.sampled_from([1, 2, MAX_HORIZONS, MAX_HORIZONS + 1])
bodies = st.fixed_dictionaries(
    {
        "patient_id": texts,
        "encounter_id": st.none() | texts,
        "time_zero": st.just(TIME_ZERO),
        "outcomes": st.lists(st.just("x"), min_size=1, max_size=MAX_OUTCOMES + 1),
        "horizons_days": st.none()
        | st.lists(numbers, min_size=1, max_size=4)
        | lengths.map(lambda n: [float(day + 1) for day in range(n)]),
        "measurements": st.lists(measurements, max_size=3)
        | st.just([{"value": 1, "variable": "lactate"}] * (MAX_MEASUREMENTS + 1)),
        "absent": st.lists(texts, max_size=2, unique=True)
        | st.just([f"x{number}" for number in range(MAX_MEASUREMENTS + 1)]),
    }
)


def rules_of_json(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    try:
        PredictRequest.model_validate(body)
    except ValidationError as error:
        return [(one.field, one.rule, one.message) for one in field_problems(error.errors())]
    return []


def rules_of_form(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    horizons_days = body["horizons_days"]
    question = Question(
        patient_id=body["patient_id"],
        encounter_id=body["encounter_id"],
        time_zero=datetime.fromisoformat(body["time_zero"]),
        outcomes=tuple(body["outcomes"]),
        horizons_days=None if horizons_days is None else tuple(horizons_days),
        measurements=tuple(TimedMeasurement(Measurement(**one)) for one in body["measurements"]),
        absent=tuple(map(TimedAbsence, body["absent"])),
    )
    try:
        check_form(question)
    except QuestionBroken as error:
        return [(str(one.place), one.rule, one.message) for one in error.broken]
    return []


@given(body=bodies)
def test_a_question_that_did_not_come_as_json_keeps_the_rules_of_the_schema(
    body: dict[str, Any],
) -> None:
    assert rules_of_form(body) == rules_of_json(body)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Place("birth_date"), "birth_date"),
        (Place("outcomes", 0), "outcomes[0]"),
        (Place("measurements", 3, "unit"), "measurements[3].unit"),
    ],
)
def test_a_place_is_named_as_the_field_of_the_json(place: Place, name: str) -> None:
    assert str(place) == name


def test_the_hash_on_record_is_of_the_request_as_json(
    mortality: ServedModel, tmp_path: Path
) -> None:
    """It must not change with our types: a repeated request would not be recognised as such."""
    request = PredictRequest.model_validate(
        {
            "patient_id": "p",
            "time_zero": "2026-11-01T08:00:00.25Z",
            "sex": "female",
            "birth_date": "1958-03-02",
            "outcomes": ["mortality"],
            "horizons_days": [28, 90.5],
            "measurements": [
                {"variable": "lactate", "value": 3, "unit": "mmol/L", "time": TIME_ZERO},
                {"loinc": "2243-4", "value": 9.99, "comparator": "<", "unit": "pg/mL"},
                {"variable": "diabetes", "value": True},
                {"variable": "dzgroup", "value": "Cirrhosis"},
            ],
        }
    )
    with closing(open_trail(Settings(state_dir=tmp_path))) as trail:
        question, served = question_of(request), Served([mortality])
        recorders = [
            Recorder(trail, actor="local", route="/v1/predict", idempotency_key=key)
            for key in ("a", "a", "b")
        ]
        answers = [predictor.predict(question, served, recorder) for recorder in recorders]
        # What no earlier version could state is in the text only where it is stated.
        later = {"absent", "unread", "icu_admission", "asked_at", "deceased", "death_time"}
        later |= {"comfort_care", "record_incomplete", "session", "stage"}
        stated = request.model_dump_json(warnings=False, exclude=later)
        expected = trail.keys.input(stated)
        with trail.database.reading() as connection:
            bodies = connection.execute(select(RECORDS.c.body)).scalars().all()
    assert answers[0].prediction_id == answers[1].prediction_id != answers[2].prediction_id
    assert len(bodies) == 2
    assert all(expected in body for body in bodies)


def test_what_a_request_states_of_the_moment_is_part_of_it_and_its_own_moment_is_not(
    mortality: ServedModel, tmp_path: Path
) -> None:
    plain = {"patient_id": "p", "time_zero": TIME_ZERO, "outcomes": ["mortality"]}
    plain |= {"measurements": [{"variable": "lactate", "value": 3, "unit": "mmol/L"}]}
    stated = [
        {},
        {"deceased": True},
        {"death_time": TIME_ZERO},
        {"comfort_care": True},
        {"icu_admission": "2026-10-31T08:00:00Z"},
        {"unread": ["creatinine"]},
        {"record_incomplete": True},
        {"asked_at": TIME_ZERO},
    ]
    first = datetime.fromisoformat(TIME_ZERO)
    with closing(open_trail(Settings(state_dir=tmp_path))) as trail:
        recorder = Recorder(trail, actor="local", route="/v1/predict")
        for moment in (first, first + timedelta(hours=1)):
            for more in stated:
                request = PredictRequest.model_validate(plain | more)
                question = question_of(request, now=moment)
                predictor.predict(question, Served([mortality]), recorder)
        with trail.database.reading() as connection:
            rows = connection.execute(select(RECORDS.c.body)).scalars().all()
    inputs = [json.loads(body)["input"] for body in rows]
    assert len(set(inputs)) == len(stated)
    assert inputs[: len(stated)] == inputs[len(stated) :]
