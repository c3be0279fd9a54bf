"""From a patient's record to the page's form: values to fill in, and values not read.

Nothing is guessed. A value that breaks a rule or is not final is listed with the rule and not
filled in; what the record does not hold stays empty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel

from data_schema.biomarkers import VARIABLES, by_code
from data_schema.fhir.observations import (
    NOT_COUNTED,
    SentAbsence,
    SentObservation,
    read_record,
)
from data_schema.fhir.resources import (
    Entry,
    FhirBroken,
    Resource,
    codings,
    full_date,
    last_moment,
    listed,
    part,
    text,
)
from data_schema.fhir.site_codes import NO_SITE_CODES, SiteCodes
from data_schema.measurements import CanonicalMeasurement, canonical_measurement
from data_schema.units import canonical_unit_spelling, is_in_range, range_text
from data_schema.variables import LOCAL_SYSTEM, LOINC, Variable, base_name
from serving.page.form import unit_choices
from serving.prediction.patient import age_in_years
from serving.prediction.served import Served
from serving.smart.reading import BONE_MASS_DAYS, LABORATORY_DAYS, FhirSource, fetch_record
from serving.smart.recorded_history import recorded_history

__all__ = ["FormRecord", "form_record"]

# The Patient resource states these, and Observations of them are not used.
_OF_THE_PATIENT = frozenset({"age", "sex"})

_MAX_NAME = 200


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


class FormRecord(BaseModel):
    """One patient's record for the form.

    The ids are those of the record; `who` lets the clinician recognise the patient.
    """

    patient_id: str
    encounter_id: str
    who: str
    time_zero: datetime
    laboratory_days: int = LABORATORY_DAYS
    bone_mass_days: int = BONE_MASS_DAYS
    filled: list[Filled]
    unread: list[Unread]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Read:
    """One valid measurement, as sent in `unit`, and its time."""

    measurement: CanonicalMeasurement
    unit: str
    time: datetime


def form_record(
    source: FhirSource,
    served: Served,
    *,
    time_zero: datetime,
    icu_locations: Collection[str] = (),
    site: SiteCodes = NO_SITE_CODES,
) -> FormRecord:
    """Return the form's values from a patient's record, or raise OutsideError.

    The last value at or before time zero counts. An Observation takes precedence over the history
    of the record. `icu_locations` are references to the site's intensive care units, and `site`
    holds the site's own codes.
    """
    variables = dict(VARIABLES)
    for model in served.models:
        variables |= model.own_variables
    record = fetch_record(source, time_zero, site)
    past = recorded_history(record, time_zero=time_zero, icu_locations=icu_locations)
    patient = record.patient
    filled, unread = _person(patient.resource, time_zero)
    read: list[_Read] = []
    absences: list[SentAbsence] = []
    for entry in record.observations:
        for one in _of_observation(entry, patient, variables, time_zero, site):
            if isinstance(one, Unread):
                unread.append(one)
            elif isinstance(one, SentAbsence):
                absences.append(one)
            elif one.measurement.column not in _OF_THE_PATIENT:
                read.append(one)
    latest, contradicting = _latest(read)
    times = {one.measurement.variable.label: one.time for one in latest}
    not_done, both = _not_done(absences, latest, contradicting, variables, time_zero)
    latest = [one for one in latest if one.measurement.variable.name not in both]
    contradicting += both.values()
    filled += not_done
    measured = {one.measurement.column for one in read} | {one.column for one in not_done}
    flags = [Filled(column=name, value="true") for name in past.flags if name not in measured]
    return FormRecord(
        patient_id=source.patient,
        encounter_id=source.encounter,
        who=_who(patient.resource),
        time_zero=time_zero,
        filled=[*filled, *(_filled(one) for one in latest), *flags],
        unread=[
            _beside_older(one, times.get(one.name))
            for one in sorted([*unread, *contradicting], key=lambda one: (one.name, one.rule))
        ],
        notes=[*_notes(patient.resource), *past.notes],
    )


def _of_observation(
    entry: Entry,
    patient: Entry,
    variables: Mapping[str, Variable],
    time_zero: datetime,
    site: SiteCodes,
) -> Iterator[_Read | SentAbsence | Unread]:
    """Yield each measurement of an Observation, or the rule that it breaks."""
    name, zone = _name(entry.resource, variables, site), time_zero.tzinfo or UTC
    if not name:
        return
    taken = last_moment(text(entry.resource, "effectiveDateTime"), zone)
    own = {key: one for key, one in variables.items() if key not in VARIABLES}
    try:
        record = read_record([patient, entry], own=own, zone=zone, site=site)
    except FhirBroken as error:
        for problem in error.problems:
            yield Unread(name=name, rule=problem.rule, message=problem.message, time=taken)
        return
    for problem in record.broken:
        yield Unread(name=name, rule=problem.rule, message=_rule(problem.message), time=taken)
    for reason in record.not_counted:
        if reason != "code":
            yield Unread(name=name, rule=reason, message=f"is {NOT_COUNTED[reason]}.", time=taken)
    for sent in record.observations:
        yield _checked(sent, variables, time_zero)
    yield from record.absent


def _checked(
    sent: SentObservation, variables: Mapping[str, Variable], time_zero: datetime
) -> _Read | Unread:
    label = variables[base_name(sent.measurement.variable or "")].label
    checked = canonical_measurement(sent.measurement, variables)
    if not isinstance(checked, CanonicalMeasurement):
        rule = _rule(checked.message)
        return Unread(name=label, rule=checked.rule, message=rule, time=sent.time)
    if sent.time is None:
        return Unread(name=label, rule="time", message="must state when it was taken.")
    if sent.time > time_zero:
        message = "was taken after time zero, or on its day without an hour."
        return Unread(name=label, rule="after_time_zero", message=message, time=sent.time)
    if checked.value is None:
        return Unread(name=label, rule="value", message="is recorded as unknown.", time=sent.time)
    return _Read(checked, sent.measurement.unit or "", sent.time)


def _latest(read: Sequence[_Read]) -> tuple[list[_Read], list[Unread]]:
    """Return the last value of each column, and those with several values at that time."""
    columns: dict[str, list[_Read]] = {}
    for one in sorted(read, key=lambda one: one.time):
        columns.setdefault(one.measurement.column, []).append(one)
    latest, contradicting = [], []
    for sequence in columns.values():
        first, *others = [one for one in sequence if one.time == sequence[-1].time]
        # Measurements of one column are equal if value and limits are.
        if all(one.measurement == first.measurement for one in others):
            latest.append(first)
            continue
        label, message = first.measurement.variable.label, "has several values at one time."
        unread = Unread(name=label, rule="two_values", message=message, time=first.time)
        contradicting.append(unread)
    return latest, contradicting


def _not_done(
    absences: Sequence[SentAbsence],
    latest: Sequence[_Read],
    contradicting: Sequence[Unread],
    variables: Mapping[str, Variable],
    time_zero: datetime,
) -> tuple[list[Filled], dict[str, Unread]]:
    """Return the variables recorded as not done, and those with a value at the same time.

    A value of another time is filled in instead.
    """
    measured = {base_name(one.measurement.column): one for one in latest}
    unclear = {one.name for one in contradicting}
    filled: dict[str, Filled] = {}
    both: dict[str, Unread] = {}
    for one in absences:
        name, label = one.variable, variables[one.variable].label
        if name in _OF_THE_PATIENT or one.time is None or one.time > time_zero or label in unclear:
            continue
        value = measured.get(name)
        if value is None:
            filled[name] = Filled(column=name, value="", not_done=True, time=one.time)
        elif value.time == one.time:
            message = "has a value and is recorded as not done at one time."
            both[name] = Unread(
                name=label, rule="not_done_with_value", message=message, time=one.time
            )
    return list(filled.values()), both


def _filled(one: _Read) -> Filled:
    """Return a value in its own unit if the form offers it, or else in the canonical unit."""
    measurement, variable = one.measurement, one.measurement.variable
    value = measurement.value
    if not isinstance(value, float):
        return Filled(column=measurement.column, value=str(value), time=one.time)
    if variable.kind == "flag":
        return Filled(column=measurement.column, value="true" if value else "false", time=one.time)
    spelled = canonical_unit_spelling(variable, one.unit) or variable.unit
    scale = variable.units.get(spelled, 1.0)
    # The form shows each size of unit once: pg/mL and ng/L are two spellings of one choice.
    chosen = [choice.value for choice in unit_choices(variable) if choice.scale == scale]
    unit = spelled if spelled in chosen else chosen[0] if chosen else variable.unit
    return Filled(
        column=measurement.column,
        value=f"{value / variable.units.get(unit, 1.0):.10g}",
        unit=unit,
        comparator="<" if measurement.below else ">" if measurement.above else "",
        time=one.time,
    )


def _person(patient: Resource, time_zero: datetime) -> tuple[list[Filled], list[Unread]]:
    """Return sex and age from the Patient."""
    filled, unread = [], []
    gender = text(patient, "gender")
    if gender in ("female", "male", "other", "unknown"):
        filled.append(Filled(column="sex", value="other" if gender == "unknown" else gender))
    elif gender:
        message = "must be female, male, other or unknown."
        unread.append(Unread(name=VARIABLES["sex"].label, rule="category", message=message))
    birth, label = full_date(text(patient, "birthDate")), VARIABLES["age"].label
    if birth is None:
        if text(patient, "birthDate"):
            message = "must come from a date of birth with its day."
            unread.append(Unread(name=label, rule="date", message=message))
    elif birth > time_zero.date() or not is_in_range(
        VARIABLES["age"], age := age_in_years(birth, time_zero.date())
    ):
        rule = f"must be {range_text(VARIABLES['age'])} at time zero."
        unread.append(Unread(name=label, rule="range", message=rule))
    else:
        filled.append(Filled(column="age", value=f"{age:.1f}", unit=VARIABLES["age"].unit))
    return filled, unread


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
    born = full_date(text(patient, "birthDate"))
    dated = f"born {born.day} {born:%B %Y}" if born else ""
    return ", ".join(filter(None, [name, dated]))[:_MAX_NAME]


def _notes(patient: Resource) -> list[str]:
    """Return the warnings about the record."""
    deceased = patient.get("deceasedBoolean") is True or bool(text(patient, "deceasedDateTime"))
    return ["The record says that this patient has died."] if deceased else []


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
