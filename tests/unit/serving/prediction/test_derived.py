"""A derived value is offered only where its variable was not entered, and is named in a warning."""

from __future__ import annotations

from typing import Any

import pytest

from serving.prediction.derived import moved_together, with_derived_values
from serving.prediction.json_translation import question_of
from serving.prediction.patient import Patient, read_patient
from serving.prediction.question import Question
from serving.prediction.schemas import PredictRequest

WEIGHT = {"variable": "weight", "value": 81, "unit": "kg"}
HEIGHT = {"variable": "height", "value": 180, "unit": "cm"}


def asked(*measurements: dict[str, Any], **fields: Any) -> Question:
    request = PredictRequest.model_validate(
        {
            "patient_id": "p",
            "time_zero": "2026-11-01T08:00:00+01:00",
            "outcomes": ["mortality"],
            "measurements": measurements,
            **fields,
        }
    )
    return question_of(request)


def derived(*measurements: dict[str, Any], reads: set[str], **fields: Any) -> Patient:
    question = asked(*measurements, **fields)
    return with_derived_values(read_patient(question, own={}), question, reads)


def moved(before: list[dict[str, Any]], after: dict[str, Any], reads: set[str]) -> dict[str, float]:
    """Return what moves with one entry that replaces that of the same variable."""
    rest = [one for one in before if one["variable"] != after["variable"]]
    questions = asked(*before), asked(*rest, after)
    first, second = (read_patient(question, own={}) for question in questions)
    return moved_together(first, second, questions[0], reads)


def codes(patient: Patient) -> list[tuple[str, tuple[str, ...]]]:
    return [(warning.code, warning.variables) for warning in patient.warnings]


def test_what_was_not_entered_is_derived_and_named() -> None:
    patient = derived(WEIGHT, HEIGHT, reads={"bmi"})
    assert patient.number("bmi") == 25.0
    assert codes(patient) == [("derived_value", ("bmi",))]
    assert "derived from Body weight, Body height" in patient.warnings[0].message


def test_an_entered_value_stands_and_a_difference_is_warned_of() -> None:
    close = derived(
        WEIGHT, HEIGHT, {"variable": "bmi", "value": 25.2, "unit": "kg/m2"}, reads={"bmi"}
    )
    assert (close.number("bmi"), codes(close)) == (25.2, [])
    apart = derived(
        WEIGHT, HEIGHT, {"variable": "bmi", "value": 31, "unit": "kg/m2"}, reads={"bmi"}
    )
    assert apart.number("bmi") == 31.0
    assert codes(apart) == [("derived_differs", ("bmi",))]


def test_a_variable_that_the_model_does_not_read_is_not_derived() -> None:
    patient = derived(WEIGHT, HEIGHT, reads={"age"})
    assert (patient.number("bmi"), codes(patient)) == (None, [])


def test_what_is_recorded_as_not_done_is_not_derived() -> None:
    assert derived(WEIGHT, HEIGHT, reads={"bmi"}, absent=["bmi"]).number("bmi") is None


@pytest.mark.parametrize(
    ("drawn", "set_at", "expected"),
    [
        ("06:00", "05:00", 200.0),
        ("06:00", "06:30", None),
        ("06:00", "01:30", None),
        (None, "06:30", 200.0),
    ],
)
def test_only_the_fio2_in_force_is_paired(
    drawn: str | None, set_at: str, expected: float | None
) -> None:
    def at(clock: str | None) -> str | None:
        return None if clock is None else f"2026-11-01T{clock}:00+01:00"

    patient = derived(
        {"variable": "pao2", "value": 80, "unit": "mm[Hg]", "time": at(drawn)},
        {"variable": "fio2", "value": 40, "unit": "%", "time": at(set_at)},
        reads={"pf_ratio"},
    )
    assert patient.number("pf_ratio") == expected


def test_an_entered_score_moves_by_the_points_of_its_component() -> None:
    sofa = {"variable": "sofa", "value": 9, "unit": "{score}"}
    creatinine = {"variable": "creatinine", "value": 1.0, "unit": "mg/dL"}
    high = creatinine | {"value": 5.2}
    assert moved([sofa, creatinine], high, {"sofa"}) == {"sofa": 13.0}
    assert moved([sofa, high], creatinine, {"sofa"}) == {"sofa": 5.0}
    assert moved([sofa, creatinine], creatinine | {"value": 1.1}, {"sofa"}) == {}
    assert moved([sofa, creatinine], high, {"lactate"}) == {}
    # No score has more points than it can count.
    full = sofa | {"value": 23}
    assert moved([full, creatinine], high, {"sofa"}) == {"sofa": 24.0}


def test_an_entered_ratio_moves_in_proportion_and_one_that_was_derived_is_left_out() -> None:
    bmi = {"variable": "bmi", "value": 31, "unit": "kg/m2"}
    heavier = WEIGHT | {"value": 162}
    assert moved([WEIGHT, HEIGHT, bmi], heavier, {"bmi"}) == {"bmi": 62.0}
    assert moved([WEIGHT, HEIGHT], heavier, {"bmi"}) == {}
    assert moved([WEIGHT, bmi], heavier, {"bmi"}) == {}
