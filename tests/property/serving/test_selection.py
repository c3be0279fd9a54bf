"""Which measurement counts never depends on the order in which a record lists them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.fhir.vital_status import RecordedDeath
from data_schema.measurements import Measurement
from serving.prediction.patient import Patient, read_patient
from serving.prediction.question import Question, TimedMeasurement

ZERO = datetime(2026, 11, 1, 8, tzinfo=UTC)
ADMITTED = ZERO - timedelta(hours=24)

measurements = st.builds(
    TimedMeasurement,
    st.builds(
        Measurement,
        st.sampled_from([1.0, 2.0, 2.004, 4.0, 65.0, 1e300, "HEMOLYZED", None, "<0.5", ">70"]),
        variable=st.sampled_from(["lactate", "creatinine"]),
        unit=st.sampled_from(["mmol/L", "mg/dL", "furlong"]),
    ),
    st.sampled_from([ZERO - timedelta(hours=hours) for hours in (-1, 0, 1, 5, 47, 49, 900)]),
    st.none() | st.sampled_from([ZERO - timedelta(hours=1), ZERO + timedelta(hours=1)]),
    st.booleans(),
)


def read(sent: list[TimedMeasurement]) -> Patient:
    question = Question(
        patient_id="p",
        time_zero=ZERO,
        outcomes=("mortality",),
        measurements=tuple(sent),
        icu_admission=ADMITTED,
        is_clinical=True,
    )
    return read_patient(question, own={})


@settings(max_examples=25)
@given(sent=st.lists(measurements, max_size=6), data=st.data())
def test_the_order_of_a_record_changes_nothing(
    sent: list[TimedMeasurement], data: st.DataObject
) -> None:
    one, other = read(sent), read(data.draw(st.permutations(sent)))
    assert one.values == other.values
    assert set(one.hidden) == set(other.hidden)
    assert {(w.code, w.variables) for w in one.warnings} == {
        (w.code, w.variables) for w in other.warnings
    }
    reasons = [sorted((i.variable, i.reason, i.rule) for i in p.ignored) for p in (one, other)]
    assert reasons[0] == reasons[1]


@settings(max_examples=25)
@given(sent=st.lists(measurements, max_size=6))
def test_every_value_is_used_or_listed_with_its_reason(sent: list[TimedMeasurement]) -> None:
    patient = read(sent)
    listed = {one.number for one in patient.ignored}
    assert listed | set(patient.numbers.values()) == set(range(len(sent)))
    assert not listed & set(patient.numbers.values())
    for number in patient.numbers.values():
        used = sent[number]
        assert used.time is not None
        assert ADMITTED - timedelta(hours=24) <= used.time <= ZERO
        assert used.issued is None or used.issued <= ZERO


@settings(max_examples=25)
@given(sent=st.lists(measurements, max_size=6))
def test_no_newer_number_vanishes_behind_an_older_one(sent: list[TimedMeasurement]) -> None:
    patient = read(sent)
    for number, one in enumerate(sent):
        name = one.measurement.variable or ""
        in_time = one.time is not None and ADMITTED - timedelta(hours=24) <= one.time <= ZERO
        in_time = in_time and (one.issued is None or one.issued <= ZERO)
        is_number = isinstance(one.measurement.value, float)
        if not (in_time and is_number) or patient.numbers.get(name) == number:
            continue
        used = patient.numbers.get(name)
        is_newest = used is None or (sent[used].time or ZERO) < (one.time or ZERO)
        contradicts = ("contradiction", (name,)) in {
            (w.code, w.variables) for w in patient.warnings
        }
        # A newer number is used, withholds the answer, or is named as a contradiction.
        assert not is_newest or name in patient.hidden or contradicts


@given(hours=st.integers(-100, 100))
def test_a_death_counts_from_its_moment_on(hours: int) -> None:
    death = RecordedDeath(ZERO + timedelta(hours=hours))
    question = Question("p", ZERO, ("mortality",), (), death=death)
    patient = read_patient(question, own={})
    assert patient.policy["dead_at_time_zero"] == float(hours <= 0)
    assert ("died_after_time_zero" in {w.code for w in patient.warnings}) == (hours > 0)
