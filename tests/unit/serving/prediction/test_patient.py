from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from data_schema.variables import Variable
from serving.prediction.json_translation import question_of
from serving.prediction.patient import Patient, read_patient
from serving.prediction.question import Question, QuestionBroken, TimedAbsence
from serving.prediction.schemas import PredictRequest

OWN = {
    "dzgroup": Variable(
        "dzgroup", "Disease group", "person", kind="category", categories=("Cirrhosis", "COPD")
    )
}


def read(*measurements: dict[str, Any], **fields: Any) -> Patient:
    request = PredictRequest.model_validate(
        {
            "patient_id": "p",
            "time_zero": "2026-11-01T08:00:00+01:00",
            "outcomes": ["mortality"],
            "measurements": measurements,
            **fields,
        }
    )
    return read_patient(question_of(request), own=OWN, elsewhere={"aps"})


def lactate(value: object, time: str | None = None, unit: str = "mmol/L") -> dict[str, Any]:
    return {"variable": "lactate", "value": value, "unit": unit, "time": time}


def broken(*measurements: dict[str, Any], **fields: Any) -> set[tuple[str, str]]:
    with pytest.raises(QuestionBroken) as raised:
        read(*measurements, **fields)
    return {(str(one.place), one.rule) for one in raised.value.broken}


def ignored(patient: Patient) -> set[tuple[int, str, str]]:
    return {(one.number, one.variable, one.reason) for one in patient.ignored}


def test_a_value_is_read_in_the_canonical_unit() -> None:
    patient = read({"variable": "ctx_s", "value": 0.5, "unit": "ng/mL"})
    assert patient.number("ctx_s") == pytest.approx(500)


def test_a_value_below_its_limit_stays_censored() -> None:
    patient = read({"loinc": "2243-4", "value": 9.99, "comparator": "<", "unit": "pg/mL"})
    assert patient.number("estradiol") == 9.99
    assert patient.values["estradiol"].below


@pytest.mark.parametrize("word", ["", "NA", "none", None])
def test_a_word_for_missing_is_ignored_with_its_reason(word: str | None) -> None:
    patient = read(
        lactate(2, "2026-11-01T06:00:00+01:00"), lactate(word, "2026-11-01T07:00:00+01:00")
    )
    assert patient.number("lactate") == 2
    assert ignored(patient) == {(1, "lactate", "not_measured")}


def test_every_broken_rule_is_reported_at_once_with_its_field() -> None:
    assert broken(
        lactate("1,471"),
        lactate(-3),
        lactate(1e9),
        lactate(2, unit="pg/mL"),
        {"variable": "fgf23_i", "value": 1471, "unit": "RU/mL"},
        {"variable": "no_such_marker", "value": 1},
        {"loinc": "0000-0", "value": 1},
        {"loinc": "46699-5", "value": 100, "unit": "RU/mL"},
        {"value": 1},
        birth_date="2026-11-02",
    ) == {
        ("measurements[0].value", "ambiguous_number"),
        ("measurements[1].value", "range"),
        ("measurements[2].value", "range"),
        ("measurements[3].unit", "unit"),
        ("measurements[4].unit", "unit"),
        ("measurements[5].variable", "unknown_variable"),
        ("measurements[6].loinc", "unknown_variable"),
        ("measurements[7].assay", "assay"),
        ("measurements[8].variable", "unknown_variable"),
        ("birth_date", "birth_after_time_zero"),
    }


def test_of_duplicates_the_latest_counts_and_the_others_are_listed() -> None:
    patient = read(
        lactate(3.0, "2026-11-01T06:00:00+01:00"),
        lactate(4.0, "2026-11-01T05:30:00Z"),  # 06:30 in the zone of the others
        lactate(5.0, "2026-11-01T05:00:00+01:00"),
        lactate(6.0),
    )
    assert patient.number("lactate") == 4.0
    assert ignored(patient) == {
        (0, "lactate", "duplicate"),
        (2, "lactate", "duplicate"),
        (3, "lactate", "duplicate"),
    }


@pytest.mark.parametrize("time", [None, "2026-11-01T06:00:00+01:00"])
@pytest.mark.parametrize("values", [(3.0, 4.0), (4.0, 3.0)])
def test_values_of_one_time_that_differ_are_not_used_but_named(
    time: str | None, values: tuple[float, float]
) -> None:
    older = lactate(2.0, "2026-11-01T05:00:00+01:00") if time else lactate(None)
    patient = read(*(lactate(value, time) for value in values), older)
    assert patient.number("lactate") is None
    assert {(0, "lactate", "contradiction"), (1, "lactate", "contradiction")} <= ignored(patient)
    assert [(w.code, w.variables) for w in patient.warnings] == [("contradiction", ("lactate",))]


def test_equal_values_of_one_time_count_once_in_either_unit() -> None:
    creatinine = {"variable": "creatinine", "value": 1.9, "unit": "mg/dL"}
    again = {"variable": "creatinine", "value": 168, "unit": "umol/L"}
    for sent in ([creatinine, again], [again, creatinine]):
        patient = read(*sent)
        assert patient.number("creatinine") == pytest.approx(168 / 88.42, rel=1e-3)
        assert {reason for _, _, reason in ignored(patient)} == {"duplicate"}
    either = {
        read(*sent).number("creatinine") for sent in ([creatinine, again], [again, creatinine])
    }
    assert len(either) == 1


def test_a_measurement_after_time_zero_is_not_used() -> None:
    patient = read(
        lactate(3.0, "2026-11-01T08:00:00+01:00"), lactate(9.0, "2026-11-01T08:00:01+01:00")
    )
    assert patient.number("lactate") == 3.0
    assert ignored(patient) == {(1, "lactate", "after_time_zero")}


def test_a_broken_measurement_after_time_zero_is_still_broken() -> None:
    assert broken(lactate(1e9, "2026-11-01T09:00:00+01:00")) == {("measurements[0].value", "range")}


@pytest.mark.parametrize(
    ("birth_date", "age"),
    [("2008-11-01", 18.0), ("1958-05-02", 68.5), ("1964-02-29", 62.67), ("2026-11-01", 0.0)],
)
def test_age_is_counted_at_time_zero(birth_date: str, age: float) -> None:
    assert read(birth_date=birth_date).number("age") == pytest.approx(age, abs=0.01)


def test_nobody_is_an_adult_the_day_before_the_18th_birthday() -> None:
    age = read(birth_date="2008-11-02").number("age")
    assert age is not None
    assert 17.99 < age < 18


def test_an_impossible_age_is_refused() -> None:
    assert broken(birth_date="1858-03-02") == {("birth_date", "range")}


@pytest.mark.parametrize("sex", ["other", "unknown"])
def test_sex_other_or_unknown_is_missing(sex: str) -> None:
    assert read(sex=sex).word("sex") is None


def test_the_requests_own_fields_come_before_measurements() -> None:
    patient = read(
        {"variable": "age", "value": 50, "unit": "a"},
        {"variable": "sex", "value": "male"},
        sex="female",
        birth_date="1958-05-02",
    )
    assert (patient.word("sex"), patient.number("age")) == ("female", pytest.approx(68.5, abs=0.01))
    assert {reason for _, _, reason in ignored(patient)} == {"stated_elsewhere"}


def test_sex_and_age_may_come_as_measurements() -> None:
    patient = read(
        {"variable": "age", "value": 50, "unit": "a"},
        {"variable": "sex", "value": "male"},
        sex="unknown",
    )
    assert (patient.word("sex"), patient.number("age")) == ("male", 50.0)


def test_an_unknown_category_is_missing_with_a_warning_that_does_not_repeat_it() -> None:
    patient = read({"variable": "dzgroup", "value": "Sentinel4711"})
    assert patient.word("dzgroup") is None
    assert [(w.code, w.variables) for w in patient.warnings] == [("unknown_category", ("dzgroup",))]
    assert "Sentinel4711" not in str(patient)


def test_a_category_that_is_not_stated_leaves_an_earlier_one_standing() -> None:
    patient = read(
        {
            "variable": "admission_type",
            "value": "medical",
            "time": "2026-11-01T06:00:00+01:00",
        },
        {
            "variable": "admission_type",
            "value": "unknown",
            "time": "2026-11-01T07:00:00+01:00",
        },
    )
    assert patient.word("admission_type") == "medical"


@pytest.mark.parametrize(("sent", "kept"), [(True, 1.0), (1, 1.0), (False, 0.0), (0, 0.0)])
def test_a_flag_is_true_or_false(sent: object, kept: float) -> None:
    assert read({"variable": "diabetes", "value": sent}).number("diabetes") == kept


def test_a_flag_that_is_neither_is_refused() -> None:
    assert broken({"variable": "diabetes", "value": 2}) == {("measurements[0].value", "flag")}


def test_a_variable_of_another_model_asked_is_ignored() -> None:
    patient = read({"variable": "aps", "value": 30})
    assert ignored(patient) == {(0, "aps", "not_in_model")}


def test_recorded_as_not_done_and_not_entered_are_two_states() -> None:
    patient = read(lactate(2), absent=["ctx_s", "dzgroup"])
    assert dict(patient.absent) == {"ctx_s": 0, "dzgroup": 1}
    assert patient.number("ctx_s") is None
    assert "albumin" not in patient.absent


@pytest.mark.parametrize(
    "measurement",
    [
        lactate(2),
        lactate("<0.5"),
        {"variable": "lactate__max", "value": 2, "unit": "mmol/L"},
        {"variable": "lactate__count", "value": 2},
        {"loinc": "2524-7", "value": 2, "unit": "mmol/L"},
    ],
)
def test_a_value_beside_absent_is_refused_by_name(measurement: dict[str, Any]) -> None:
    assert broken(measurement, absent=["ctx_s", "lactate"]) == {
        ("absent[1]", "not_done_with_value")
    }


@pytest.mark.parametrize(
    "measurement",
    [
        lactate(None),
        lactate("NA"),
        {"variable": "lactate__count", "value": 0},
        lactate(2, "2026-11-01T09:00:00+01:00"),
    ],
)
def test_no_value_by_time_zero_contradicts_nothing(measurement: dict[str, Any]) -> None:
    assert dict(read(measurement, absent=["lactate"]).absent) == {"lactate": 0}


def test_sex_and_age_of_the_request_contradict_absent_too() -> None:
    assert broken(sex="male", birth_date="1960-01-01", absent=["sex", "age"]) == {
        ("absent[0]", "not_done_with_value"),
        ("absent[1]", "not_done_with_value"),
    }


@pytest.mark.parametrize("name", ["no_such_marker", "lactate__max", "lactate__not_done"])
def test_absent_names_variables_only(name: str) -> None:
    assert broken(absent=[name]) == {("absent[0]", "unknown_variable")}


def test_a_variable_of_another_model_is_listed() -> None:
    patient = read(absent=["aps"])
    assert [(one.part, one.number, one.reason) for one in patient.ignored] == [
        ("absent", 0, "not_in_model")
    ]


def test_a_value_of_another_time_supersedes_the_record_of_not_done() -> None:
    sent = question_of(
        PredictRequest.model_validate(
            {
                "patient_id": "p",
                "time_zero": "2026-11-01T08:00:00+01:00",
                "outcomes": ["mortality"],
                "measurements": [lactate(2, "2026-11-01T06:00:00+01:00")],
            }
        )
    )

    def stated_at(time: str | None) -> Question:
        at = None if time is None else datetime.fromisoformat(time)
        return replace(sent, absent=(TimedAbsence("lactate", at),))

    earlier = read_patient(stated_at("2026-11-01T05:00:00+01:00"), own={})
    assert (earlier.number("lactate"), dict(earlier.absent)) == (2, {})
    assert [(one.part, one.reason) for one in earlier.ignored] == [("absent", "measured")]
    late = read_patient(stated_at("2026-11-01T09:00:00+01:00"), own={})
    assert [(one.part, one.reason) for one in late.ignored] == [("absent", "after_time_zero")]
    for same in ("2026-11-01T05:00:00Z", None):
        with pytest.raises(QuestionBroken, match="lactate must have no value"):
            read_patient(stated_at(same), own={})
