"""From a patient's record to the page's form: values to fill in, and values not read.

Nothing is guessed. A value that breaks a rule or is not final is listed with the rule and not
filled in; what the record does not hold stays empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import BaseModel

from data_schema.biomarkers import VARIABLES, by_code
from data_schema.birth_dates import BirthDate
from data_schema.fhir.observations import NOT_COUNTED, FhirRecord, read_record
from data_schema.fhir.resources import (
    Entry,
    FhirBroken,
    FhirProblem,
    Resource,
    codings,
    entries_of,
    last_moment,
    listed,
    part,
    text,
)
from data_schema.fhir.site_codes import NO_SITE_CODES, SiteCodes
from data_schema.fhir.subject import one_subject
from data_schema.measurements import CanonicalMeasurement
from data_schema.units import canonical_unit_spelling, range_text
from data_schema.variables import LOCAL_SYSTEM, LOINC, Variable, base_name
from serving.fhir.question import Circumstances, question_of
from serving.page.form import unit_choices
from serving.prediction.answer import Ignored, IgnoredReason
from serving.prediction.patient import Patient, read_patient
from serving.prediction.served import Served
from serving.smart.reading import (
    BONE_MASS_DAYS,
    LABORATORY_DAYS,
    FetchedRecord,
    FhirSource,
    fetch_record,
)
from serving.smart.recorded_history import recorded_history

__all__ = ["FormRecord", "form_of_bundle", "form_record"]

# The Patient resource states these, and Observations of them are not used.
_OF_THE_PATIENT = frozenset({"age", "sex"})

_MAX_NAME = 200

_PRESCRIPTIONS = (
    "MedicationRequest",
    "MedicationStatement",
    "MedicationAdministration",
    "Medication",
)

# Warnings about what is filled in.
_NOTED = frozenset({"clipped", "birth_date_partial"})


class Filled(BaseModel):
    """One row of the form with its value, in a unit of the form.

    `not_done` says that the record states the variable as not done; there is no value then.
    """

    column: str
    value: str
    not_done: bool = False
    unit: str = ""
    comparator: str = ""
    time: datetime | None = None


class Unread(BaseModel):
    """A value of the record that is not filled in, with the rule that it breaks."""

    name: str
    rule: str
    message: str
    time: datetime | None = None


class FormPolicy(BaseModel):
    """What the form sends with its values, in fields of `POST /v1/predict`.

    `unread` names the variables whose newest value could not be read.
    """

    birth_date: str | None
    icu_admission: datetime | None
    deceased: bool
    death_time: datetime | None
    comfort_care: bool
    unread: list[str]


class FormRecord(BaseModel):
    """One patient's record for the form.

    The ids are those of the record; `who` lets the clinician recognise the patient.
    """

    patient_id: str
    encounter_id: str
    who: str
    time_zero: datetime
    laboratory_days: int
    bone_mass_days: int = BONE_MASS_DAYS
    filled: list[Filled]
    unread: list[Unread]
    notes: list[str]
    policy: FormPolicy


def form_record(
    source: FhirSource,
    served: Served,
    *,
    time_zero: datetime,
    now: datetime,
    icu_locations: Collection[str] = (),
    site: SiteCodes = NO_SITE_CODES,
) -> FormRecord:
    """Return the form's values from a patient's record, or raise OutsideError.

    The same values count as in a prediction from FHIR. An Observation takes precedence over the
    history of the record. `icu_locations` are references to the site's intensive care units,
    and `site` holds the site's own codes.
    """
    names = {base_name(f.name) for model in served.models for f in model.contract.features}
    names |= {base_name(column) for model in served.models for column in model.guard_columns}
    record = fetch_record(source, time_zero, site, names=names, icu_locations=icu_locations)
    filled_in = _filled_in(
        record, served, time_zero=time_zero, now=now, icu_locations=icu_locations, site=site
    )
    return filled_in.model_copy(
        update={"patient_id": source.patient, "encounter_id": source.encounter}
    )


def form_of_bundle(
    bundle: object,
    served: Served,
    *,
    time_zero: datetime,
    now: datetime,
    icu_locations: Collection[str] = (),
    site: SiteCodes = NO_SITE_CODES,
) -> FormRecord:
    """Return the form's values from a Bundle with the record of one patient.

    Raises
    ------
    FhirBroken
        If it is no Bundle, or not of exactly one patient.
    """
    entries = entries_of(bundle)
    one_subject(entries)  # raises for several patients
    patients = [one for one in entries if one.kind == "Patient"]
    if not patients:
        raise FhirBroken([FhirProblem("Bundle.entry", "patient", "must hold the Patient.")])
    record = FetchedRecord(
        patients[0],
        _of_kinds(entries, "Observation"),
        _of_kinds(entries, "Encounter"),
        _of_kinds(entries, "Condition"),
        _of_kinds(entries, *_PRESCRIPTIONS),
        LABORATORY_DAYS,
    )
    filled_in = _filled_in(
        record, served, time_zero=time_zero, now=now, icu_locations=icu_locations, site=site
    )
    return filled_in.model_copy(update={"patient_id": text(patients[0].resource, "id")})


def _of_kinds(entries: Sequence[Entry], *kinds: str) -> list[Entry]:
    return [one for one in entries if one.kind in kinds]


def _filled_in(
    record: FetchedRecord,
    served: Served,
    *,
    time_zero: datetime,
    now: datetime,
    icu_locations: Collection[str],
    site: SiteCodes,
) -> FormRecord:
    """Return the form's values from resources, without the ids of the record."""
    own: dict[str, Variable] = {}
    for model in served.models:
        own |= model.own_variables
    past = recorded_history(record, time_zero=time_zero, icu_locations=icu_locations)
    sent, unread = _observations(record, {**VARIABLES, **own}, time_zero, site)
    about = Circumstances(
        time_zero=time_zero,
        asked_at=now,
        icu_admission=past.icu_admission,
        is_comfort_care=past.is_comfort_care,
    )
    patient = read_patient(question_of(sent, about, outcomes=[]), own=own)
    filled = [*_person(sent, patient), *_values(sent, patient), *_not_done(sent, patient)]
    columns = {one.column for one in filled}
    labels = {**VARIABLES, **own}
    unread += [*_unread(sent, patient, labels), *_person_unread(sent, patient)]
    times = {labels[base_name(one.column)].label: one.time for one in filled if one.value}
    return FormRecord(
        patient_id="",
        encounter_id="",
        who=_who(record.patient.resource),
        time_zero=time_zero,
        laboratory_days=record.laboratory_days,
        filled=[
            *filled,
            *(Filled(column=name, value="true") for name in past.flags if name not in columns),
        ],
        unread=[
            _beside_older(one, times.get(one.name))
            for one in sorted(unread, key=lambda one: (one.name, one.rule))
        ],
        notes=[*_notes(sent, patient), *past.notes],
        policy=_policy(sent, about, patient),
    )


def _observations(
    record: FetchedRecord,
    variables: Mapping[str, Variable],
    time_zero: datetime,
    site: SiteCodes,
) -> tuple[FhirRecord, list[Unread]]:
    """Return the record of all Observations, and those that do not count with the reason."""
    own = {name: one for name, one in variables.items() if name not in VARIABLES}
    zone = time_zero.tzinfo or UTC
    whole = read_record([record.patient], own=own, zone=zone, site=site)
    observations, absent, problems = (
        list(whole.observations),
        list(whole.absent),
        list(whole.unread),
    )
    unread: list[Unread] = []
    for entry in record.observations:
        name = _name(entry.resource, variables, site)
        if not name:
            continue
        taken = last_moment(text(entry.resource, "effectiveDateTime"), zone)
        try:
            one = read_record([record.patient, entry], own=own, zone=zone, site=site)
        except FhirBroken as error:
            unread += [
                Unread(name=name, rule=problem.rule, message=problem.message, time=taken)
                for problem in error.problems
            ]
            continue
        observations += one.observations
        absent += one.absent
        problems += one.unread
        unread += [
            Unread(name=name, rule=reason, message=f"is {NOT_COUNTED[reason]}.", time=taken)
            for reason in one.not_counted
            if reason != "code"
        ]
    sent = replace(
        whole, observations=tuple(observations), absent=tuple(absent), unread=tuple(problems)
    )
    return sent, unread


def _values(sent: FhirRecord, patient: Patient) -> Iterator[Filled]:
    """Yield the value of each column that counts."""
    for column, number in patient.numbers.items():
        if column not in _OF_THE_PATIENT:
            one = sent.observations[number]
            yield _filled(patient.values[column], one.measurement.unit or "", one.time)


def _not_done(sent: FhirRecord, patient: Patient) -> Iterator[Filled]:
    """Yield the variables that are recorded as not done."""
    for name, number in patient.absent.items():
        if name not in _OF_THE_PATIENT:
            yield Filled(column=name, value="", not_done=True, time=sent.absent[number].time)


_UNREAD: Mapping[IgnoredReason, str] = {
    "after_time_zero": "was taken after time zero, or on its day without an hour.",
    "issued_after_time_zero": "has a result that was issued after time zero.",
    "too_old": "was taken before the time within which it counts.",
    "no_time": "must state when it was taken.",
    "contradiction": "has entries of one time that contradict each other.",
    "not_measured": "is recorded as unknown.",
}


def _unread(
    sent: FhirRecord, patient: Patient, variables: Mapping[str, Variable]
) -> Iterator[Unread]:
    """Yield what is not filled in, with the reason or the rule that it breaks."""
    for one in patient.ignored:
        if base_name(one.variable) in _OF_THE_PATIENT:
            continue
        known = variables.get(base_name(one.variable))
        name = "Unknown" if known is None else known.label
        time = _time_of(one, sent)
        if one.reason == "unreadable":
            yield Unread(name=name, rule=one.rule, message=_rule(one.message), time=time)
        elif one.reason in _UNREAD and (one.part != "absent" or one.reason == "contradiction"):
            yield Unread(name=name, rule=one.reason, message=_UNREAD[one.reason], time=time)


def _time_of(one: Ignored, sent: FhirRecord) -> datetime | None:
    if one.part == "absent":
        return sent.absent[one.number].time
    if one.part == "unread":
        return sent.unread[one.number].time
    return sent.observations[one.number].time


def _policy(sent: FhirRecord, about: Circumstances, patient: Patient) -> FormPolicy:
    death = sent.death
    return FormPolicy(
        birth_date=None if sent.birth_date is None or patient.refusals else str(sent.birth_date),
        icu_admission=about.icu_admission,
        deceased=death is not None and death.earliest is None,
        death_time=None if death is None else death.earliest,
        comfort_care=about.is_comfort_care,
        unread=list(patient.hidden),
    )


def _filled(measurement: CanonicalMeasurement, stated: str, time: datetime | None) -> Filled:
    """Return a value in its own unit if the form offers it, or else in the canonical unit."""
    variable, value = measurement.variable, measurement.value
    if not isinstance(value, float):
        return Filled(column=measurement.column, value=str(value), time=time)
    if variable.kind == "flag":
        return Filled(column=measurement.column, value="true" if value else "false", time=time)
    spelled = canonical_unit_spelling(variable, stated) or variable.unit
    scale = variable.units.get(spelled, 1.0)
    # The form shows each size of unit once: pg/mL and ng/L are two spellings of one choice.
    chosen = [choice.value for choice in unit_choices(variable) if choice.scale == scale]
    unit = spelled if spelled in chosen else chosen[0] if chosen else variable.unit
    return Filled(
        column=measurement.column,
        value=f"{value / variable.units.get(unit, 1.0):.10g}",
        unit=unit,
        comparator="<" if measurement.below else ">" if measurement.above else "",
        time=time,
    )


def _person(sent: FhirRecord, patient: Patient) -> Iterator[Filled]:
    """Yield sex and age from the Patient."""
    if sent.sex is not None:
        yield Filled(column="sex", value="other" if sent.sex == "unknown" else sent.sex)
    age = patient.number("age")
    if sent.birth_date is not None and age is not None:
        yield Filled(column="age", value=f"{age:.1f}", unit=VARIABLES["age"].unit)


def _person_unread(sent: FhirRecord, patient: Patient) -> Iterator[Unread]:
    """Yield what the Patient states of sex and birth and cannot be read."""
    if sent.sex is None and text(sent.patient, "gender"):
        message = "must be female, male, other or unknown."
        yield Unread(name=VARIABLES["sex"].label, rule="category", message=message)
    label = VARIABLES["age"].label
    if sent.birth_date is None and text(sent.patient, "birthDate"):
        yield Unread(name=label, rule="date", message="must come from a date of birth.")
    for refusal in patient.refusals:
        rule = f"must be {range_text(VARIABLES['age'])} at time zero."
        yield Unread(name=label, rule=refusal.code, message=rule)


def _beside_older(one: Unread, older: datetime | None) -> Unread:
    """Return an unread value that mentions an older value, if one is filled in."""
    if older is None or one.time is None or one.time <= older or one.rule == "after_time_zero":
        return one
    return one.model_copy(update={"message": f"{one.message} An older value is filled in."})


def _who(patient: Resource) -> str:
    """Return name and date of birth."""
    order = {"official": 0, "usual": 1, "": 2}
    names = sorted(listed(patient, "name"), key=lambda one: order.get(text(one, "use"), 3))
    name = ""
    if names:
        given = names[0].get("given")
        words = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
        family = text(names[0], "family")
        name = ", ".join(filter(None, [family, " ".join(words)])) or text(names[0], "text")
    born = BirthDate.of(text(patient, "birthDate"))
    dated = f"born {born.first.day} {born.first:%B %Y}" if born and born.is_exact else ""
    if born is not None and not born.is_exact:
        dated = f"born {born}"
    return ", ".join(filter(None, [name, dated]))[:_MAX_NAME]


def _notes(sent: FhirRecord, patient: Patient) -> list[str]:
    """Return the warnings about the record."""
    died = ["The record says that this patient has died."] if sent.death is not None else []
    clipped = [one.message for one in patient.warnings if one.code in _NOTED]
    return [*died, *clipped]


def _name(observation: Resource, variables: Mapping[str, Variable], site: SiteCodes) -> str:
    """Return the label of the variable of an Observation or of its component, or ""."""
    for one in [observation, *listed(observation, "component")]:
        for stated in codings(part(one, "code")):
            meaning = site.meaning(*stated)
            system, code = stated if meaning is None else (meaning.system, meaning.code)
            if system == LOCAL_SYSTEM and base_name(code) in variables:
                return variables[base_name(code)].label
            if system == LOINC and by_code(code):
                return by_code(code)[0][0].label
    return ""


def _rule(message: str) -> str:
    """Return the rule in a message, without the name at its start and the advice at its end."""
    first, _, rest = f"{message.partition('. ')[0].rstrip('.')}.".partition(" ")
    return rest if first in VARIABLES or rest.startswith("must ") else f"{first} {rest}"
