"""From FHIR resources to one patient's measurements.

An Observation counts when it is final, amended or corrected, is about the patient, and has the
code of a variable. One that does not count is no error, since a record holds far more than the
catalogue. One that counts and cannot be read is an error, and is reported with its place.

An Observation without a value may state why (`dataAbsentReason`). Some reasons record that it was
not done (`NOT_DONE_REASONS`); after any other, as without an Observation, the variable is not
entered, since there may be a value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Literal

from data_schema.biomarkers import VARIABLES, by_code
from data_schema.birth_dates import BirthDate
from data_schema.fhir.code_systems import UCUM, canonical_system
from data_schema.fhir.resources import (
    Entry,
    FhirProblem,
    Resource,
    codings,
    concept_words,
    contained_in,
    has_modifier,
    last_moment,
    listed,
    part,
    text,
)
from data_schema.fhir.site_codes import NO_SITE_CODES, SiteCodes
from data_schema.fhir.subject import one_subject
from data_schema.fhir.vital_status import RecordedDeath, recorded_death
from data_schema.measurements import Measurement
from data_schema.readings import names_another_vessel
from data_schema.units import canonical_unit_spelling
from data_schema.variables import LOCAL_SYSTEM, LOINC, Code, Variable, base_name

__all__ = [
    "NOT_COUNTED",
    "NOT_DONE_REASONS",
    "FhirRecord",
    "NotCounted",
    "OtherValue",
    "SentAbsence",
    "SentObservation",
    "UnknownCode",
    "other_values",
    "read_observation",
    "read_record",
]

_COUNTED_STATUS = frozenset({"final", "amended", "corrected"})
_YES_NO: Mapping[str, bool] = {
    "LA33-6": True,  # LOINC answers
    "LA32-8": False,
    "373066001": True,  # SNOMED CT qualifiers
    "373067005": False,
    "Y": True,  # HL7 table 0136
    "N": False,
}

_FEU = ("ug/mL", "mg/L", "ng/mL", "ug/L")
# A LOINC code that states the time or the kind of unit need not have it repeated by the unit.
_UNITS_OF_CODE: Mapping[tuple[str, str], str] = {
    ("9192-6", "mL"): "mL/d",
    ("9192-6", "L"): "L/d",
    **{("48065-7", unit): f"{unit}{{FEU}}" for unit in _FEU},
}

NOT_DONE_REASONS = frozenset({"not-performed", "not-asked", "asked-declined", "not-applicable"})
"""Codes of HL7's data-absent-reason that record a variable as not done.

Not `unknown`, `asked-unknown`, `temp-unknown`, `masked`, `not-permitted`, `unsupported`, `as-text`,
`error` and those of numbers that are none: there is, or may be, a value that was not sent. Of
`not-applicable`, such as the menopausal status of a man, no value is to be inferred either.
"""

# A number as a laboratory prints it, and what follows it.
_NUMBER_AND_UNIT = re.compile(r"(?P<number>[<>≤≥]?=?\s*\d[\d.,]*)\s*(?P<unit>[^\d\s.,].*)")

_DATA_ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"

# Longer, or with blanks, it may be text that someone wrote about the patient.
_CODE = re.compile(r"[A-Za-z0-9._\-]{1,40}")
_SYSTEM = re.compile(r"([a-z]+:[A-Za-z0-9._\-:/#]{1,100})?")

NotCounted = Literal["status", "modifier", "focus", "code", "assay", "body_site", "value", "time"]
NOT_COUNTED: Mapping[NotCounted, str] = {
    "status": "not final, amended or corrected",
    "modifier": "changed by an unknown extension",
    "focus": "about something other than the patient",
    "code": "with no code of the catalogue or the model",
    "assay": "with a code that needs an assay, and none stated",
    "body_site": "with a code that needs the femoral neck as body site, and it is not stated",
    "value": "without a value",
    "time": "at an unclear time",
}
"""Why an Observation does not count, in words that follow a number of Observations."""


@dataclass(frozen=True, slots=True)
class SentObservation:
    """One measurement of an Observation or of one of its components.

    Parameters
    ----------
    measurement : Measurement
        With the name of its variable.
    time : datetime or None
        The last moment at which it may have been taken; None if the Observation does not say.
    reference : str
        How the sender refers to the Observation; empty if it has neither id nor `fullUrl`.
    expression : str
        FHIRPath of the Observation within what was sent.
    issued : datetime or None
        When this version was made available; None if the Observation does not say.
    is_corrected : bool
        Whether its status is corrected or amended: it replaces a final one of the same moment.
    kind : str
        Type of the resource: a Condition or a medication may set a flag.
    """

    measurement: Measurement
    time: datetime | None
    reference: str
    expression: str
    issued: datetime | None = None
    is_corrected: bool = False
    kind: str = "Observation"


@dataclass(frozen=True, slots=True)
class SentAbsence:
    """A variable that an Observation, or one of its components, records as not done.

    The other fields are as in `SentObservation`.
    """

    variable: str
    time: datetime | None
    reference: str
    expression: str


@dataclass(frozen=True, slots=True)
class OtherValue:
    """A value of an Observation, or of a component, under a code that no variable has.

    Parameters
    ----------
    system, code : str
        The first coding.
    value : float, str or bool
    unit, comparator, assay, specimen : str or None
    time : datetime or None
        As in `SentObservation`.
    """

    system: str
    code: str
    value: float | str | bool
    unit: str | None
    comparator: str | None
    assay: str | None
    specimen: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True)
class UnknownCode:
    """The first code of `count` Observations that have no code of the catalogue or the model.

    Both parts are empty where an Observation has no code, or its code may hold free text.
    """

    system: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class FhirRecord:
    """What a Bundle says of one patient.

    Parameters
    ----------
    subject : mapping
        Reference to the patient.
    patient : mapping
        The Patient resource; empty if none was sent.
    sex : {"female", "male", "other", "unknown"} or None
    birth_date : BirthDate or None
    death : RecordedDeath or None
        None where none is recorded.
    encounter : str
        Reference to the encounter; empty unless all that are stated are the same.
    observations : tuple of SentObservation
    absent : tuple of SentAbsence
    not_counted : mapping of str to int
        Reason in `NOT_COUNTED` -> Observations.
    unread : tuple of FhirProblem
        What has the code of a variable and cannot be read, or states no time.
    unknown_codes : tuple of UnknownCode
        What `not_counted` counts as "code", the most frequent first.
    """

    subject: Resource
    patient: Resource
    sex: Literal["female", "male", "other", "unknown"] | None
    birth_date: BirthDate | None
    death: RecordedDeath | None
    encounter: str
    observations: tuple[SentObservation, ...]
    absent: tuple[SentAbsence, ...]
    not_counted: Mapping[NotCounted, int]
    unread: tuple[FhirProblem, ...]
    unknown_codes: tuple[UnknownCode, ...] = ()


def read_record(
    entries: Sequence[Entry],
    *,
    own: Mapping[str, Variable],
    zone: tzinfo = UTC,
    site: SiteCodes = NO_SITE_CODES,
) -> FhirRecord:
    """Return one patient's record from Patient, Observation and the Specimens that these name.

    `own` holds variables of the models that the catalogue lacks; `zone` is the offset of dates that
    state no time, and `site` the meaning of the site's own codes. `FhirBroken` is raised unless
    there is exactly one patient.
    """
    subject, patient = one_subject(entries)
    variables = {**VARIABLES, **own}
    specimens = {entry.reference: entry.resource for entry in entries if entry.kind == "Specimen"}
    counted: list[SentObservation] = []
    absent: list[SentAbsence] = []
    not_counted: Counter[NotCounted] = Counter()
    unread: list[FhirProblem] = []
    unknown: Counter[tuple[str, str]] = Counter()
    encounters = set()
    for entry in entries:
        if entry.kind != "Observation":
            continue
        encounters.add(text(part(entry.resource, "encounter"), "reference"))
        for read in read_observation(entry, variables, specimens, zone, site):
            if isinstance(read, SentObservation):
                if read.time is None:
                    unread.append(_without_time(read))
                else:
                    counted.append(read)
            elif isinstance(read, SentAbsence):
                absent.append(read)
            elif isinstance(read, FhirProblem):
                unread.append(read)
            else:
                not_counted[read] += 1
                if read == "code":
                    unknown[_printable_code(entry.resource)] += 1
    stated = encounters - {""}
    return FhirRecord(
        subject=subject,
        patient=patient,
        sex=_sex(patient),
        birth_date=BirthDate.of(text(patient, "birthDate")),
        death=recorded_death(patient, zone),
        encounter=stated.pop() if len(stated) == 1 else "",
        observations=tuple(counted),
        absent=tuple(absent),
        not_counted=dict(not_counted),
        unread=tuple(unread),
        unknown_codes=tuple(UnknownCode(*code, count) for code, count in unknown.most_common()),
    )


def _printable_code(observation: Resource) -> tuple[str, str]:
    """Return the first code of an Observation, empty unless it is plainly a code."""
    system, code = next(codings(part(observation, "code")), ("", ""))
    return (system, code) if _CODE.fullmatch(code) and _SYSTEM.fullmatch(system) else ("", "")


def _without_time(read: SentObservation) -> FhirProblem:
    message = "must state when it was taken."
    return FhirProblem(read.expression, "no_time", message, read.measurement.variable or "")


def _sex(patient: Resource) -> Literal["female", "male", "other", "unknown"] | None:
    gender = text(patient, "gender")
    for known in ("female", "male", "other", "unknown"):
        if gender == known:
            return known
    return None


def read_observation(
    entry: Entry,
    variables: Mapping[str, Variable],
    specimens: Mapping[str, Resource],
    zone: tzinfo = UTC,
    site: SiteCodes = NO_SITE_CODES,
) -> Iterator[SentObservation | SentAbsence | FhirProblem | NotCounted]:
    """Yield what one Observation holds: its own value, and that of each component.

    `specimens` holds the Specimens by reference, `zone` is the offset of dates without a time, and
    `site` holds the site's own codes.
    """
    resource = entry.resource
    reason = _reason_not_counted(resource)
    if reason is not None:
        yield reason
        return
    results = [
        _measured(element, resource, expression, variables, specimens, site)
        for element, expression in _elements(entry)
    ]
    # A panel's own code need not be known where a component's is, and the other way round.
    counted = [result for result in results if result != "code"]
    issued = last_moment(text(resource, "issued"), zone)
    is_corrected = text(resource, "status") != "final"
    for result in counted or results[:1]:
        time = _taken(entry, zone)
        if isinstance(result, FhirProblem):
            yield replace(result, time=time if isinstance(time, datetime) else None)
        elif not isinstance(result, Measurement | _NotDone):
            yield result
        elif isinstance(time, FhirProblem):
            yield replace(time, variable=result.variable or "")
        elif not (time is None or isinstance(time, datetime)):
            yield time
        elif isinstance(result, _NotDone):
            yield SentAbsence(result.variable, time, entry.reference, entry.expression)
        else:
            yield SentObservation(
                result, time, entry.reference, entry.expression, issued, is_corrected
            )


def other_values(
    entry: Entry,
    variables: Mapping[str, Variable],
    specimens: Mapping[str, Resource],
    zone: tzinfo = UTC,
) -> Iterator[OtherValue | FhirProblem | NotCounted]:
    """Yield the values of one Observation under codes that no variable has.

    They count under the same rules as the others. Nothing is yielded for an Observation that does
    not count, which `read_observation` reports, or for an element without a code or a value.
    """
    resource = entry.resource
    if _reason_not_counted(resource) is not None:
        return
    assay = _assay(resource)
    for element, _ in _elements(entry):
        concept = part(element, "code")
        value = _value(element)
        stated = next(codings(concept), None)
        if stated is None or value is None or any(_known_codes(concept, variables)):
            continue
        time = _taken(entry, zone)
        if not (time is None or isinstance(time, datetime)):
            yield time
            continue
        quantity = part(element, "valueQuantity")
        yield OtherValue(
            system=stated[0],
            code=stated[1],
            value=value,
            unit=_unit(quantity) or None,
            comparator=text(quantity, "comparator") or None,
            assay=assay or None,
            specimen=_specimen(resource, None, specimens) or None,
            time=time,
        )


def _reason_not_counted(observation: Resource) -> NotCounted | None:
    """Return why a whole Observation does not count, or None if it does."""
    if text(observation, "status") not in _COUNTED_STATUS:
        return "status"
    if has_modifier(observation):
        return "modifier"
    return "focus" if listed(observation, "focus") else None


def _elements(entry: Entry) -> Iterator[tuple[Resource, str]]:
    """Yield an Observation and its components, each with its FHIRPath."""
    yield entry.resource, entry.expression
    for i, component in enumerate(listed(entry.resource, "component")):
        yield component, f"{entry.expression}.component[{i}]"


def _assay(observation: Resource) -> str:
    stated = concept_words(part(observation, "method"))
    return stated or text(part(observation, "device"), "display")


@dataclass(frozen=True, slots=True)
class _NotDone:
    """The variable that an Observation or a component records as not done."""

    variable: str


def _taken(entry: Entry, zone: tzinfo) -> datetime | FhirProblem | NotCounted | None:
    """Return the last moment a measurement may have been taken; None if it is not stated."""
    resource = entry.resource
    stated = text(resource, "effectiveDateTime") or text(resource, "effectiveInstant")
    if not stated and resource.get("effectivePeriod"):
        stated = text(part(resource, "effectivePeriod"), "end")
        if not stated:
            return "time"  # it continues, or its end is unknown
    if not stated:
        return "time" if resource.get("effectiveTiming") else None
    moment = last_moment(stated, zone)
    if moment is None:
        rule = "must be a FHIR date, or a time that states its offset."
        return FhirProblem(f"{entry.expression}.effective", "time", rule, time=_naive(stated, zone))
    return moment


def _naive(stated: str, zone: tzinfo) -> datetime | None:
    """Return a time without an offset as if it were of a zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(stated)
    except ValueError:
        return None
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else None


def _measured(
    element: Resource,
    observation: Resource,
    expression: str,
    variables: Mapping[str, Variable],
    specimens: Mapping[str, Resource],
    site: SiteCodes,
) -> Measurement | _NotDone | FhirProblem | NotCounted:
    """Return the measurement of an Observation or of one component."""
    concept = part(element, "code")
    known = list(_known_codes(concept, variables)) or list(_site_codes(concept, variables, site))
    if not known:
        return "code"
    if len({column for column, _, _ in known}) > 1:
        rule = "must have codes of one variable; it has codes of several."
        return FhirProblem(f"{expression}.code", "code", rule)
    assay = _assay(observation)
    candidates = [
        (column, variable, code) for column, variable, code in known if _is_stated(code, assay)
    ]
    if not candidates:
        return "assay"
    if _is_not_done(element):
        if any(name.startswith("value") for name in element):
            rule = "must have a value or a dataAbsentReason; it has both."
            where = f"{expression}.dataAbsentReason"
            return FhirProblem(where, "not_done_with_value", rule, candidates[0][1].name)
        return _NotDone(candidates[0][1].name)
    value = _value(element)
    if value is None:
        return "value"
    unit = _unit(part(element, "valueQuantity")) or _unit_of_site(concept, site)
    implied = (_UNITS_OF_CODE.get((stated, unit)) for _, stated in codings(concept))
    unit = next(filter(None, implied), unit)
    if isinstance(value, str) and not unit:
        value, unit = _number_and_unit(value, candidates)
    column, variable, code = _code_of_unit(candidates, unit)
    if code is not None and code.body_site and not _is_at(code.body_site, observation):
        return "body_site"
    if _contradicts_itself(part(element, "valueQuantity"), variable):
        rule = f"{variable.name} must have one unit; its code and its text are of two."
        return FhirProblem(f"{expression}.value", "unit", rule, column)
    return Measurement(
        value=value,
        variable=column,
        loinc=code.code if code is not None and code.system == LOINC else None,
        unit=unit or None,
        comparator=text(part(element, "valueQuantity"), "comparator") or None,
        assay=assay or None,
        specimen=_specimen(observation, code, specimens) or None,
    )


def _known_codes(
    concept: Resource, variables: Mapping[str, Variable]
) -> Iterator[tuple[str, Variable, Code | None]]:
    """Yield column, variable and LOINC code for each coding of a variable."""
    for system, code in codings(concept):
        if system == LOCAL_SYSTEM and base_name(code) in variables:
            yield code, variables[base_name(code)], None
        elif system == LOINC:
            for variable, record in by_code(code):
                yield variable.name, variable, record


def _site_codes(
    concept: Resource, variables: Mapping[str, Variable], site: SiteCodes
) -> Iterator[tuple[str, Variable, Code | None]]:
    """Yield the same for each coding that the site's code map translates."""
    for system, code in codings(concept):
        meaning = site.meaning(system, code)
        if meaning is not None:
            coding = {"system": meaning.system, "code": meaning.code}
            yield from _known_codes(coding, variables)


def _unit_of_site(concept: Resource, site: SiteCodes) -> str:
    meanings = (site.meaning(system, code) for system, code in codings(concept))
    return next((meaning.unit for meaning in meanings if meaning is not None), "")


def _is_stated(code: Code | None, assay: str) -> bool:
    return code is None or not code.assay_required or bool(assay)


def _code_of_unit(
    known: Sequence[tuple[str, Variable, Code | None]], unit: str
) -> tuple[str, Variable, Code | None]:
    """Return the coding that allows the unit; the first if none does, which is then refused."""
    for column, variable, code in known:
        spelling = canonical_unit_spelling(variable, unit)
        if code is None or not code.units or spelling in code.units:
            return column, variable, code
    return known[0]


def _value(element: Resource) -> float | str | bool | None:
    """Return the value, or None if there is none."""
    if listed(element, "dataAbsentReason"):
        return None
    quantity = part(element, "valueQuantity")
    for value in (quantity.get("value"), *map(element.get, ("valueInteger", "valueBoolean"))):
        if isinstance(value, int | float):
            return value
    if text(element, "valueString"):
        return text(element, "valueString")
    if "valueCodeableConcept" in element:
        return _coded_value(part(element, "valueCodeableConcept"))
    # Any other kind of value (a range, a ratio, a quantity without a number) is refused as text
    # that is not a number.
    return "?" if any(name.startswith("value") for name in element) else None


def _number_and_unit(
    stated: str, known: Sequence[tuple[str, Variable, Code | None]]
) -> tuple[str, str]:
    """Return number and unit of text such as "<0.2 mg/dL"; text with no accepted unit as it is."""
    match = _NUMBER_AND_UNIT.fullmatch(stated.strip())
    if match is None or all(
        canonical_unit_spelling(variable, match["unit"]) is None for _, variable, _ in known
    ):
        return stated, ""
    return match["number"], match["unit"]


def _is_not_done(element: Resource) -> bool:
    """Return whether the reason for no value records the variable as not done."""
    stated = codings(part(element, "dataAbsentReason"))
    return any(
        system == _DATA_ABSENT_REASON and code in NOT_DONE_REASONS for system, code in stated
    )


def _coded_value(concept: Resource) -> str | bool | None:
    """Return yes or no, a category of the catalogue, or the concept's words."""
    for system, code in codings(concept):
        if system == LOCAL_SYSTEM:
            return code
        if code in _YES_NO:
            return _YES_NO[code]
    return concept_words(concept) or None


def _unit(quantity: Resource) -> str:
    """Return the UCUM code, or what is printed where there is none."""
    if text(quantity, "code") and canonical_system(text(quantity, "system")) in ("", UCUM):
        return text(quantity, "code")
    return text(quantity, "unit")


def _contradicts_itself(quantity: Resource, variable: Variable) -> bool:
    """Return whether the unit's code and its text are two accepted units that differ in size."""
    stated = [text(quantity, name) for name in ("code", "unit")]
    spelled = [canonical_unit_spelling(variable, unit) for unit in stated if unit]
    return len({variable.units.get(unit or "") for unit in spelled} - {None}) > 1


def _is_at(site: str, observation: Resource) -> bool:
    return site in concept_words(part(observation, "bodySite")).casefold()


def _specimen(observation: Resource, code: Code | None, specimens: Mapping[str, Resource]) -> str:
    """Return the specimen in words; empty for blood where the LOINC code is more precise.

    Venous and capillary blood stay named: a code of arterial blood does not make them arterial.
    """
    reference = part(observation, "specimen")
    stated = text(reference, "reference")
    specimen = contained_in(observation, stated) or specimens.get(stated, {})
    words = concept_words(part(specimen, "type")) or text(reference, "display")
    if code is None or code.system != LOINC or "blood" not in words.casefold():
        return words
    is_arterial = "arterial blood" in code.display.casefold()
    return words if is_arterial and names_another_vessel(words) else ""
