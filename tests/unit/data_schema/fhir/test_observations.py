from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.birth_dates import BirthDate
from data_schema.fhir.observations import FhirRecord, UnknownCode, read_record
from data_schema.fhir.resources import FhirBroken, entries_of
from data_schema.fhir.vital_status import RecordedDeath
from data_schema.measurements import CanonicalMeasurement, canonical_measurement
from data_schema.variables import Variable

UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"
LOCAL = "urn:osteon:codes"
OWN = {"aps": Variable("aps", "APS", "severity", unit="{score}", units={"{score}": 1.0})}
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1958-03-02"}


def quantity(value: float, code: str, **more: Any) -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "system": UCUM, "code": code, **more}}


def observation(code: str, system: str = LOINC, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-01T06:00:00+01:00",
    } | more


def lactate(**more: Any) -> dict[str, Any]:
    return observation("2524-7", **quantity(2.5, "mmol/L")) | more


def read(*resources: dict[str, Any], **more: Any) -> FhirRecord:
    entry = [{"resource": resource} for resource in resources]
    return read_record(entries_of({"resourceType": "Bundle", "entry": entry}), own=OWN, **more)


def canonical(resource: dict[str, Any]) -> CanonicalMeasurement | str:
    """Return the one measurement as the catalogue has it, or the rule it breaks."""
    (one,) = read(resource).observations
    checked = canonical_measurement(one.measurement, OWN)
    if isinstance(checked, CanonicalMeasurement):
        return checked
    checked = canonical_measurement(one.measurement)
    return checked if isinstance(checked, CanonicalMeasurement) else checked.rule


def canonical_value(resource: dict[str, Any]) -> object:
    found = canonical(resource)
    assert isinstance(found, CanonicalMeasurement), found
    return found.value


def broken(*resources: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one.expression, one.rule) for one in read(*resources).unread}


def refused(*resources: dict[str, Any]) -> str:
    with pytest.raises(FhirBroken) as raised:
        read(*resources)
    (problem,) = raised.value.problems
    return problem.rule


def test_an_observation_is_read_with_its_patient() -> None:
    record = read(PATIENT, lactate())
    assert (record.sex, record.birth_date) == ("female", BirthDate.of("1958-03-02"))
    assert record.subject == {"reference": "Patient/p1"}
    (one,) = record.observations
    assert one.measurement.variable == "lactate"
    assert one.time == datetime(2026, 11, 1, 5, tzinfo=UTC)
    assert one.reference == "Observation/o"
    assert one.expression == "Bundle.entry[1].resource"


@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_what_is_final_counts(status: str) -> None:
    assert len(read(lactate(status=status)).observations) == 1


@pytest.mark.parametrize(
    "status", ["registered", "preliminary", "cancelled", "entered-in-error", "unknown", None, 7]
)
def test_what_is_not_final_does_not_count(status: object) -> None:
    record = read(lactate(status=status))
    assert record.observations == ()
    assert record.not_counted == {"status": 1}


def test_two_subjects_are_an_error() -> None:
    assert refused(lactate(), lactate(subject={"reference": "Patient/p2"})) == "two_subjects"
    assert refused(PATIENT, lactate(subject={"reference": "Patient/p2"})) == "two_subjects"
    assert refused(PATIENT, PATIENT | {"id": "p2"}, lactate()) == "two_subjects"
    # Even where it does not count: the record is mixed up.
    preliminary = lactate(subject={"reference": "Patient/p2"}, status="preliminary")
    assert refused(lactate(), preliminary) == "two_subjects"
    # The same number at another server is another patient.
    elsewhere = [{"reference": f"https://{host}/fhir/Patient/p1"} for host in ("a", "b")]
    assert refused(*(lactate(subject=subject) for subject in elsewhere)) == "two_subjects"


def test_one_subject_may_be_referred_to_in_several_ways() -> None:
    entry = [
        {"fullUrl": "https://a/fhir/Patient/p1", "resource": PATIENT},
        {"fullUrl": "https://a/fhir/Observation/o", "resource": lactate()},
        {"resource": lactate(subject={"reference": "https://a/fhir/Patient/p1"})},
        {"resource": lactate(subject={"reference": "Patient/p1/_history/3"})},
    ]
    bundle = {"resourceType": "Bundle", "entry": entry}
    assert len(read_record(entries_of(bundle), own={}).observations) == 3


def test_a_patient_may_be_referred_to_by_the_entrys_uuid() -> None:
    uuid = "urn:uuid:11111111-1111-4111-8111-111111111111"
    entry = [
        {"fullUrl": uuid, "resource": PATIENT},
        {"resource": lactate(subject={"reference": uuid})},
        {"resource": lactate()},
    ]
    bundle = {"resourceType": "Bundle", "entry": entry}
    assert len(read_record(entries_of(bundle), own={}).observations) == 2


@pytest.mark.parametrize(
    "subject",
    [
        None,
        {},
        {"reference": "Group/g"},
        {"reference": "Device/d"},
        {"reference": "#p"},
        {"type": "Patient"},
        {"reference": "urn:uuid:1", "type": "Device"},
    ],
)
def test_an_observation_must_be_about_a_patient(subject: object) -> None:
    assert refused(lactate(subject=subject)) == "subject"


def test_a_subject_by_identifier_is_referred_to_without_the_name() -> None:
    subject = {"identifier": {"system": "urn:x", "value": "1"}, "display": "Jane Doe"}
    assert read(lactate(subject=subject)).subject == {
        "identifier": {"system": "urn:x", "value": "1"}
    }


def test_an_observation_about_a_fetus_or_a_donor_does_not_count() -> None:
    assert read(lactate(focus=[{"reference": "Patient/x"}])).not_counted == {"focus": 1}


def test_an_observation_changed_by_an_unknown_extension_does_not_count() -> None:
    assert read(lactate(modifierExtension=[{"url": "urn:not"}])).not_counted == {"modifier": 1}
    assert read(lactate(implicitRules="urn:rules")).not_counted == {"modifier": 1}


def test_an_unknown_code_does_not_count() -> None:
    assert read(observation("0000-0", **quantity(1, "mg/dL"))).not_counted == {"code": 1}


def test_the_radius_is_no_femur_whatever_synthea_calls_it() -> None:
    radius = observation("38265-5", **quantity(-2.5, "{T-score}"))
    assert read(radius).not_counted == {"code": 1}


def test_a_femur_is_a_femoral_neck_only_where_the_body_site_says_so() -> None:
    femur = observation("38263-0", **quantity(-2.5, "{T-score}"))
    assert read(femur).not_counted == {"body_site": 1}
    assert read(femur | {"bodySite": {"text": "Total hip"}}).not_counted == {"body_site": 1}
    for site in (
        {"text": "Femoral neck, left"},
        {"coding": [{"system": "http://snomed.info/sct", "code": "0", "display": "Neck of femur"}]},
    ):
        assert canonical_value(femur | {"bodySite": site}) == -2.5


def test_serum_phosphate_is_phosphorus() -> None:
    # 30.974 g/mol of P, not 94.973 of PO4.
    molar = observation("14879-1", **quantity(1.0, "mmol/L"))
    assert canonical_value(molar) == pytest.approx(3.0974, rel=1e-4)


def test_calcitriol_has_the_factor_of_its_molecular_weight() -> None:
    # 416.64 g/mol; a published table has 2.6 where this is 2.4.
    molar = observation("14566-4", **quantity(72.006, "pmol/L"))
    assert canonical_value(molar) == pytest.approx(30, rel=1e-4)


@pytest.mark.parametrize(
    ("code", "unit"),
    [
        ("47855-2", "[IU]/mL"),  # pint converts arbitrary units with a factor of 1
        ("47855-2", "10*3/uL"),  # and {RU}/mL to this
        ("47855-2", "pg/mL"),  # intact, which is another quantity
        ("54390-0", "[arb'U]/mL"),
        ("98979-8", "mL/min/1.73.m2"),  # 73 mL.m2/min
        ("2447-1", "mg/24.h"),  # mg times hours over 24
        ("2777-1", "mmol/L"),  # the code is of mass
        ("17838-4", "U/L"),  # activity of bone alkaline phosphatase is not its mass
        ("25110-8", "mg/g{creat}"),  # hydroxyproline of mass by the code of moles
    ],
)
def test_a_unit_that_is_valid_and_means_something_else_is_refused(code: str, unit: str) -> None:
    assert canonical(observation(code, **quantity(100, unit))) == "unit"


def test_relative_units_are_accepted_where_they_are_the_assays_own() -> None:
    assert canonical_value(observation("47855-2", **quantity(410, "{RU}/mL"))) == 410
    printed = {"valueQuantity": {"value": 410, "unit": "RU/mL"}}
    assert canonical_value(observation("47855-2", **printed)) == 410


def test_a_quantity_whose_code_and_text_differ_in_size_is_broken() -> None:
    ctx = observation("41171-0", **quantity(0.5, "pg/mL", unit="ng/mL"))
    assert broken(ctx) == {("Bundle.entry[0].resource.value", "unit")}
    same = observation("41171-0", **quantity(500, "pg/mL", unit="ng/L"))
    assert canonical_value(same) == 500


def test_d3_alone_is_total_vitamin_d_only_with_its_assay() -> None:
    d3 = observation("1989-3", **quantity(12, "ng/mL"))
    assert read(d3).not_counted == {"assay": 1}
    assert canonical_value(d3 | {"method": {"text": "LC-MS/MS"}}) == 12


def test_molar_ctx_has_no_conversion() -> None:
    assert read(observation("53092-3", **quantity(1, "umol/L"))).not_counted == {"code": 1}


def test_codes_of_two_variables_are_broken() -> None:
    both = [{"system": LOINC, "code": "47855-2"}, {"system": LOINC, "code": "54390-0"}]
    sent = lactate(code={"coding": both})
    assert broken(sent) == {("Bundle.entry[0].resource.code", "code")}


def test_of_two_codes_of_one_variable_the_one_that_allows_the_unit_is_taken() -> None:
    both = [{"system": LOINC, "code": "2160-0"}, {"system": LOINC, "code": "14682-9"}]
    sent = lactate(code={"coding": both}, **quantity(88.403, "umol/L"))
    assert canonical_value(sent) == pytest.approx(1.0, rel=1e-4)


def test_a_local_code_is_the_name_of_a_variable() -> None:
    opn = observation("osteopontin", LOCAL, **quantity(51, "ug/L"))
    assert canonical_value(opn) == 51
    assert canonical_value(observation("aps", LOCAL, **quantity(40, "{score}"))) == 40
    assert read(observation("nothing", LOCAL, **quantity(1, "1"))).not_counted == {"code": 1}


def test_a_value_below_its_limit_keeps_its_comparator() -> None:
    found = canonical(observation("2243-4", **quantity(9.99, "pg/mL", comparator="<")))
    assert isinstance(found, CanonicalMeasurement)
    assert (found.value, found.below) == (9.99, True)


def test_the_comparator_of_r5_for_a_sufficient_amount_is_refused() -> None:
    sent = observation("2243-4", **quantity(9.99, "pg/mL", comparator="ad"))
    assert canonical(sent) == "comparator"


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("diabetes", {"valueBoolean": True}, 1.0),
        ("diabetes", {"valueInteger": 0}, 0.0),
        ("diabetes", {"valueCodeableConcept": {"coding": [{"code": "LA33-6"}]}}, 1.0),
        ("diabetes", {"valueCodeableConcept": {"coding": [{"code": "373067005"}]}}, 0.0),
        (
            "admission_type",
            {"valueCodeableConcept": {"coding": [{"system": LOCAL, "code": "medical"}]}},
            "medical",
        ),
        ("admission_type", {"valueString": "Medical"}, "medical"),
        ("sofa", {"valueInteger": 9}, 9.0),
    ],
)
def test_flags_categories_and_scores_are_read(code: str, value: Any, expected: object) -> None:
    assert canonical_value(observation(code, LOCAL) | value) == expected


def test_what_was_not_measured_is_no_measurement() -> None:
    absent = observation("2524-7", dataAbsentReason={"coding": [{"code": "unknown"}]})
    assert read(absent).not_counted == {"value": 1}
    assert read(observation("2524-7")).not_counted == {"value": 1}


@pytest.mark.parametrize(
    "value",
    [
        {"valueRange": {"low": {"value": 1}}},
        {"valueQuantity": {"code": "mmol/L"}},
        {"valueQuantity": {"value": "2.5", "code": "mmol/L"}},
        {"valueString": "1,471"},
        {"valueBoolean": True},
    ],
)
def test_a_value_that_is_no_number_is_refused(value: dict[str, Any]) -> None:
    assert canonical(observation("2524-7", **value)) in {"not_a_number", "ambiguous_number"}


def test_components_are_measurements_of_their_own() -> None:
    mean = {"code": {"coding": [{"system": LOINC, "code": "8478-0"}]}, **quantity(65, "mm[Hg]")}
    systolic = {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, **quantity(90, "mm[Hg]")}
    panel = observation("85354-9", component=[systolic, mean])
    record = read(panel)
    assert [one.measurement.variable for one in record.observations] == ["systolic_pressure", "map"]
    assert record.not_counted == {}


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"effectiveInstant": "2026-11-01T06:00:00Z"}, datetime(2026, 11, 1, 6, tzinfo=UTC)),
        (
            {"effectivePeriod": {"start": "2026-10-31T06:00:00Z", "end": "2026-11-01T06:00:00Z"}},
            datetime(2026, 11, 1, 6, tzinfo=UTC),
        ),
    ],
)
def test_the_end_of_sampling_is_when_it_was_taken(
    stated: dict[str, Any], expected: datetime
) -> None:
    sent = {key: value for key, value in lactate().items() if key != "effectiveDateTime"}
    assert read(sent | stated).observations[0].time == expected


@pytest.mark.parametrize("issued", [{}, {"issued": "2026-11-01T06:00:00Z"}])
def test_an_observation_without_a_time_is_named_and_not_used(issued: dict[str, Any]) -> None:
    sent = {key: value for key, value in lactate().items() if key != "effectiveDateTime"}
    record = read(sent | issued)
    assert record.observations == ()
    assert [(one.rule, one.variable) for one in record.unread] == [("no_time", "lactate")]


@pytest.mark.parametrize(
    ("status", "is_corrected"), [("final", False), ("corrected", True), ("amended", True)]
)
def test_a_correction_and_when_it_was_issued_are_read(status: str, is_corrected: bool) -> None:
    (one,) = read(lactate(status=status, issued="2026-11-01T09:00:00Z")).observations
    assert one.is_corrected == is_corrected
    assert one.issued == datetime(2026, 11, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2.5 mmol/L", "2.5mmol/L", "< 2.5 mmol/L"])
def test_text_with_a_number_and_an_accepted_unit_is_read(text: str) -> None:
    assert canonical_value(observation("2524-7", valueString=text)) == pytest.approx(2.5, abs=0.01)


@pytest.mark.parametrize("text", ["2.5 furlong", "HEMOLYZED", "see comment", "2.5"])
def test_text_without_an_accepted_unit_is_listed(text: str) -> None:
    assert canonical(observation("2524-7", valueString=text)) in ("not_a_number", "unit")


def test_a_date_alone_may_be_as_late_as_its_end() -> None:
    zone = timezone(timedelta(hours=1))
    record = read(lactate(effectiveDateTime="2026-11-01"), zone=zone)
    assert record.observations[0].time == datetime(2026, 11, 1, 23, 59, 59, tzinfo=zone)


def test_a_period_without_an_end_and_a_timing_are_no_clear_time() -> None:
    for stated in ({"effectivePeriod": {"start": "2026-10-31"}}, {"effectiveTiming": {"x": 1}}):
        sent = lactate(**stated)
        del sent["effectiveDateTime"]
        assert read(sent).not_counted == {"time": 1}


@pytest.mark.parametrize("stated", ["2026-11-01T06:00:00", "yesterday", "2026-02-30"])
def test_a_time_without_an_offset_or_no_time_at_all_is_broken(stated: str) -> None:
    sent = lactate(effectiveDateTime=stated)
    assert broken(sent) == {("Bundle.entry[0].resource.effective", "time")}


def test_serum_is_no_plasma_and_blood_says_nothing_about_a_code_that_does() -> None:
    def of(words: str, code: str, system: str) -> CanonicalMeasurement | str:
        contained = [{"resourceType": "Specimen", "id": "s", "type": {"text": words}}]
        unit = "ng/mL" if system == LOCAL else "{RU}/mL"
        return canonical(
            observation(code, system, **quantity(51, unit))
            | {"specimen": {"reference": "#s"}, "contained": contained}
        )

    assert of("Serum specimen", "osteopontin", LOCAL) == "specimen"
    assert of("Venous blood", "osteopontin", LOCAL) == "specimen"
    assert isinstance(of("Plasma", "osteopontin", LOCAL), CanonicalMeasurement)
    assert isinstance(of("Venous blood", "47855-2", LOINC), CanonicalMeasurement)
    assert of("Serum", "47855-2", LOINC) == "specimen"


def test_a_code_of_arterial_blood_does_not_make_venous_blood_arterial() -> None:
    def of(words: str) -> CanonicalMeasurement | str:
        contained = [{"resourceType": "Specimen", "id": "s", "type": {"text": words}}]
        return canonical(
            observation("2703-7", LOINC, **quantity(51, "mm[Hg]"))
            | {"specimen": {"reference": "#s"}, "contained": contained}
        )

    assert of("Venous blood specimen") == of("Capillary blood") == "specimen"
    assert isinstance(of("Arterial blood specimen"), CanonicalMeasurement)
    assert isinstance(of("Blood specimen"), CanonicalMeasurement)


@pytest.mark.parametrize(
    ("stated", "sex"), [("male", "male"), ("other", "other"), ("M", None), (None, None)]
)
def test_gender_is_taken_as_fhir_states_it(stated: object, sex: str | None) -> None:
    assert read(PATIENT | {"gender": stated}).sex == sex


@pytest.mark.parametrize("stated", ["1958", "1958-03", "1958-03-02"])
def test_a_birth_date_is_read_as_far_as_it_is_known(stated: str) -> None:
    assert str(read(PATIENT | {"birthDate": stated}).birth_date) == stated


@pytest.mark.parametrize("stated", ["unknown", 1958, "1958-13", "1958-02-30"])
def test_what_is_no_birth_date_gives_no_age(stated: object) -> None:
    assert read(PATIENT | {"birthDate": stated}).birth_date is None


@pytest.mark.parametrize(
    ("stated", "earliest"),
    [
        ({"deceasedBoolean": True}, None),
        ({"_deceasedDateTime": {"extension": []}}, None),
        ({"deceasedDateTime": "2026-11"}, datetime(2026, 11, 1, tzinfo=UTC)),
        ({"deceasedDateTime": "2026-11-03"}, datetime(2026, 11, 3, tzinfo=UTC)),
        ({"deceasedDateTime": "2026-11-03T04:05:06Z"}, datetime(2026, 11, 3, 4, 5, 6, tzinfo=UTC)),
    ],
)
def test_a_death_is_read_at_its_first_possible_moment(
    stated: dict[str, Any], earliest: datetime | None
) -> None:
    assert read(PATIENT | stated).death == RecordedDeath(earliest)


@pytest.mark.parametrize("stated", [{}, {"deceasedBoolean": False}, {"deceasedDateTime": None}])
def test_no_death_is_read_where_none_is_stated(stated: dict[str, Any]) -> None:
    assert read(PATIENT | stated).death is None


def test_the_encounter_is_told_only_if_all_agree() -> None:
    first, second = ({"encounter": {"reference": f"Encounter/{i}"}} for i in (1, 2))
    assert read(lactate(**first), lactate()).encounter == "Encounter/1"
    assert read(lactate(**first), lactate(**second)).encounter == ""


@pytest.mark.parametrize(
    "document",
    [None, [], 3, {}, {"resourceType": "Patient"}, {"resourceType": "Bundle", "entry": 1}],
)
def test_what_is_no_bundle_is_refused(document: object) -> None:
    with pytest.raises(FhirBroken, match="structure"):
        entries_of(document)


REASONS = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def absence(reason: str, code: str = "2524-7", **more: Any) -> dict[str, Any]:
    coding = {"coding": [{"system": REASONS, "code": reason}]}
    return observation(code, dataAbsentReason=coding, **more)


@pytest.mark.parametrize(
    "reason", ["not-performed", "not-asked", "asked-declined", "not-applicable"]
)
def test_a_reason_may_record_a_variable_as_not_done(reason: str) -> None:
    record = read(absence(reason))
    assert [one.variable for one in record.absent] == ["lactate"]
    assert record.absent[0].time is not None
    assert (record.observations, record.not_counted, record.unread) == ((), {}, ())


@pytest.mark.parametrize(
    "reason",
    [
        *("unknown", "asked-unknown", "temp-unknown", "masked", "unsupported", "as-text", "error"),
        *("not-a-number", "negative-infinity", "positive-infinity", "not-permitted"),
    ],
)
def test_any_other_reason_leaves_a_variable_not_entered(reason: str) -> None:
    record = read(absence(reason))
    assert (record.absent, record.not_counted) == ((), {"value": 1})


def test_a_reason_of_another_code_system_or_in_words_records_nothing() -> None:
    elsewhere = {"coding": [{"system": "urn:other", "code": "not-performed"}]}
    for reason in (elsewhere, {"text": "not-performed"}):
        assert read(observation("2524-7", dataAbsentReason=reason)).absent == ()


@pytest.mark.parametrize("value", [quantity(2, "mmol/L"), {"valueQuantity": {"unit": "mmol/L"}}])
def test_a_value_or_a_unit_beside_not_done_is_refused(value: dict[str, Any]) -> None:
    (problem,) = read(absence("not-performed", **value)).unread
    assert problem.rule == "not_done_with_value"
    assert problem.expression.endswith(".dataAbsentReason")


def test_a_component_may_be_recorded_as_not_done() -> None:
    not_done = {"coding": [{"system": REASONS, "code": "not-performed"}]}
    mean = {"code": {"coding": [{"system": LOINC, "code": "8478-0"}]}, "dataAbsentReason": not_done}
    systolic = {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, **quantity(90, "mm[Hg]")}
    record = read(observation("85354-9", component=[systolic, mean]))
    assert [one.measurement.variable for one in record.observations] == ["systolic_pressure"]
    assert [one.variable for one in record.absent] == ["map"]


def test_a_code_that_needs_an_assay_records_no_variable_as_not_done() -> None:
    record = read(absence("not-performed", "46699-5"))
    assert (record.absent, record.not_counted) == ((), {"assay": 1})


@pytest.mark.parametrize(
    ("code", "unit", "name"),
    [
        ("26464-8", "10*3/uL", "white_cells"),
        ("20570-8", "%", "hematocrit"),
        ("38483-4", "mg/dL", "creatinine"),
        ("2028-9", "mmol/L", "bicarbonate"),
        ("2947-0", "mmol/L", "sodium"),
        ("41653-7", "mg/dL", "glucose"),
        ("3150-6", "%", "fio2"),
    ],
)
def test_a_sibling_of_a_code_is_read_as_that_code(code: str, unit: str, name: str) -> None:
    (one,) = read(observation(code, **quantity(30, unit))).observations
    assert one.measurement.variable == name
    assert one.measurement.loinc in {known.code for known in VARIABLES[name].codes}


@pytest.mark.parametrize(
    "system", ["https://loinc.org", "http://loinc.org/", "urn:oid:2.16.840.1.113883.6.1"]
)
def test_loinc_is_loinc_however_its_address_is_written(system: str) -> None:
    assert canonical_value(observation("2524-7", system, **quantity(2.5, "mmol/L"))) == 2.5


def test_what_was_not_recognised_is_named_by_code_and_never_by_text() -> None:
    sent = [
        observation("K1", "urn:lab", **quantity(1, "mg/dL")),
        observation("K1", "urn:lab", **quantity(2, "mg/dL")),
        observation("seen by Dr Who", "urn:lab", **quantity(2, "mg/dL")),
        observation("", **quantity(2, "mg/dL")),
        lactate(),
    ]
    found = read(*sent)
    assert found.unknown_codes == (UnknownCode("urn:lab", "K1", 2), UnknownCode("", "", 2))
    assert found.not_counted == {"code": 4}


@pytest.mark.parametrize(
    ("code", "sent", "unit", "value"),
    [
        ("9192-6", 1_500, "mL", 1_500.0),  # in 24 hours, as the code says
        ("9192-6", 1.5, "L", 1_500.0),
        ("48065-7", 1.5, "ug/mL", 1.5),  # in fibrinogen equivalents, as the code says
        ("48065-7", 1_500, "ng/mL", 1.5),
    ],
)
def test_a_code_may_say_what_its_unit_leaves_out(
    code: str, sent: float, unit: str, value: float
) -> None:
    assert canonical_value(observation(code, **quantity(sent, unit))) == pytest.approx(value)


def test_another_code_says_nothing_of_the_time() -> None:
    assert canonical(observation("2160-0", **quantity(1_500, "mL"))) == "unit"
