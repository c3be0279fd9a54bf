"""A derived value is offered only where its variable was not entered, and is named in a warning."""

from __future__ import annotations

from typing import Any

import pytest

from serving.prediction.derived import with_derived_values
from serving.prediction.json_translation import question_of
from serving.prediction.patient import Patient, read_patient
from serving.prediction.schemas import PredictRequest

WEIGHT = {"variable": "weight", "value": 81, "unit": "kg"}
HEIGHT = {"variable": "height", "value": 180, "unit": "cm"}


def derived(*measurements: dict[str, Any], reads: set[str], **fields: Any) -> Patient:
    request = PredictRequest.model_validate(
        {
            "patient_id": "p",
            "time_zero": "2026-11-01T08:00:00+01:00",
            "outcomes": ["mortality"],
            "measurements": measurements,
            **fields,
        }
    )
    question = question_of(request)
    return with_derived_values(read_patient(question, own={}), question, reads)


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
