"""Rows of observations of one FHIR resource, by the reading rules of the service.

Which Observations, Conditions and medications count, and what their codes, values, units and times
mean, is decided in `data_schema/fhir/`. This module only turns the answer into rows, and names the
reason where a resource leaves none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from data_schema.biomarkers import VARIABLES, by_code
from data_schema.drugs import GIVEN_LOCALLY, HOLDS_MORE, drug_flags, is_given_locally
from data_schema.fhir.code_systems import ATC, RXNORM, SNOMED
from data_schema.fhir.history import (
    drug_concept,
    form_and_route,
    ingredients_of,
    is_established,
    is_given,
    medication_of,
    ordered_or_given,
)
from data_schema.fhir.observations import (
    NOT_COUNTED,
    OtherValue,
    SentAbsence,
    SentObservation,
    other_values,
    read_observation,
)
from data_schema.fhir.resources import (
    Entry,
    FhirProblem,
    Resource,
    codings,
    concept_words,
    has_modifier,
    last_moment,
    part,
    text,
)
from data_schema.measurements import Measurement
from data_schema.variables import LOCAL_SYSTEM, LOINC, not_done_column
from training.sources.code_systems import coded, system_name
from training.sources.observations import ObservationRow

__all__ = ["Lookup", "NotRead", "rows_of", "utc"]

_NOT_DONE = frozenset({"preparation", "not-done", "entered-in-error", "unknown", "stopped"})
_SERVICE_STATUS = frozenset({"active", "completed"})
_ONGOING = "in-progress"


class NotRead(Exception):
    """A resource leaves no row; the reason follows a number of resources."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the resources of an export refer to, by reference.

    `encounters` holds the period of each Encounter, for Conditions that state no time of their own.
    """

    specimens: Mapping[str, Resource]
    medications: Mapping[str, Resource]
    encounters: Mapping[str, Resource]


def rows_of(entry: Entry, lookup: Lookup) -> list[ObservationRow]:
    """Return the rows of one resource, at least one.

    Raises
    ------
    NotRead
        If it leaves none, with the reason.
    """
    match entry.kind:
        case "Observation":
            return _observation(entry, lookup.specimens)
        case "Condition":
            return _condition(entry.resource, lookup.encounters)
        case "MedicationAdministration" | "MedicationRequest":
            return _medication(entry.resource, lookup.medications)
        case "Procedure":
            return _procedure(entry.resource)
        case "ServiceRequest":
            return _service(entry.resource)
        case _:
            raise NotRead("of a type that is not read")


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC, without its zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _observation(entry: Entry, specimens: Mapping[str, Resource]) -> list[ObservationRow]:
    """Return a row for each value of an Observation: of variables, and under any other code."""
    issued = last_moment(text(entry.resource, "issued"))
    rows: list[ObservationRow] = []
    reasons: list[str] = []
    for reading in read_observation(entry, VARIABLES, specimens):
        if isinstance(reading, SentObservation):
            sent = reading.measurement
            time = reading.time or issued
            if time is None:
                reasons.append("without a time")
                continue
            row = _timed(time, issued, _code_of(sent))
            row |= _valued(sent.value)
            row |= ObservationRow(unit=sent.unit, specimen=sent.specimen, assay=sent.assay)
            row["comparator"] = sent.comparator
            rows.append(row)
        elif isinstance(reading, SentAbsence):
            time = reading.time or issued
            if time is None:
                reasons.append("without a time")
                continue
            rows.append(_not_done(reading.variable, time, issued))
        elif isinstance(reading, FhirProblem):
            reasons.append(f"that break the rule {reading.rule}")
        else:
            reasons.append(NOT_COUNTED[reading])
    for other in other_values(entry, VARIABLES, specimens):
        if isinstance(other, OtherValue):
            time = other.time or issued
            if time is None:
                reasons.append("without a time")
                continue
            row = _timed(time, issued, coded(other.system, other.code))
            row |= _valued(other.value)
            row |= ObservationRow(unit=other.unit, specimen=other.specimen, assay=other.assay)
            row["comparator"] = other.comparator
            rows.append(row)
        elif isinstance(other, FhirProblem):
            reasons.append(f"that break the rule {other.rule}")
        else:
            reasons.append(NOT_COUNTED[other])
    if rows:
        return rows
    # An Observation without a known code has no value either, or it would have left a row.
    first = next((reason for reason in reasons if reason != NOT_COUNTED["code"]), None)
    raise NotRead(first or "without a code, or without a value")


def _not_done(variable: str, time: datetime, available: datetime | None = None) -> ObservationRow:
    """Return the row that a variable is recorded as not done."""
    row = _timed(time, available, coded(LOCAL_SYSTEM, not_done_column(variable)))
    return row | ObservationRow(numeric_value=1.0)


def _code_of(sent: Measurement) -> str:
    """Return the LOINC code, or the variable's name where the code alone does not say it."""
    records = [] if sent.loinc is None else by_code(sent.loinc)
    if records and not any(record.assay_required or record.body_site for _, record in records):
        return coded(LOINC, sent.loinc or "")
    return coded(LOCAL_SYSTEM, sent.variable or "")


def _timed(time: datetime, available: datetime | None, code: str) -> ObservationRow:
    known = utc(available) if available else None
    taken = utc(time)
    # A result cannot be known before its sample is taken: such a time of issue is not used.
    return ObservationRow(
        time=taken, available_time=known if known and known >= taken else None, code=code
    )


def _valued(value: float | str | bool | None) -> ObservationRow:
    if isinstance(value, str):
        return ObservationRow(text_value=value)
    return ObservationRow(numeric_value=None if value is None else float(value))


def _condition(condition: Resource, encounters: Mapping[str, Resource]) -> list[ObservationRow]:
    """Return a row for each code of a diagnosis, at its onset; known when it was recorded.

    A diagnosis that states no time was coded at the end of its encounter, and is dated so.
    """
    if not is_established(condition):
        raise NotRead("refuted, not confirmed, or changed by an unknown extension")
    recorded = _earliest(text(condition, "recordedDate"))
    onset = _earliest(
        text(condition, "onsetDateTime") or text(part(condition, "onsetPeriod"), "start")
    )
    reference = text(part(condition, "encounter"), "reference")
    coded_at = _earliest(text(encounters.get(reference, {}), "end"))
    time = onset or recorded or coded_at
    if time is None:
        raise NotRead("without a time")
    known = recorded or (None if onset else coded_at)
    return _coded_rows(part(condition, "code"), time, known)


def _medication(medication: Resource, medications: Mapping[str, Resource]) -> list[ObservationRow]:
    """Return a row for each code of a drug, with its rate, or else its dose, where stated.

    Of a drug that is recorded as not given, a row for each flag that it would have set.
    """
    is_not_given = text(medication, "status") == _NOT_GIVEN and not has_modifier(medication)
    if not (is_not_given or is_given(medication)):
        raise NotRead("not ordered, not given, stopped, or changed by an unknown extension")
    moment = ordered_or_given(medication)
    if moment is None:
        raise NotRead("without a time")
    reference = part(medication, "medicationReference") or part(
        part(medication, "medication"), "reference"
    )
    drug = medication_of(medication) or medications.get(text(reference, "reference"), {})
    concept = drug_concept(medication) or part(drug, "code")
    words = form_and_route(medication, drug)
    ingredients = ingredients_of(medication, drug)
    if is_not_given:
        atc = [code for system, code in codings(concept) if system == ATC]
        flags = drug_flags(atc=atc, ingredients=ingredients, words=words)
        if not flags:
            raise NotRead("not given, of no drug that is read")
        return [_not_done(flag, moment) for flag in flags]
    flags = drug_flags(ingredients=ingredients, words=words)
    of_flags = [code for code in ingredients if any(code in VARIABLES[f].rxnorm for f in flags)]
    rows = [
        row
        for row in _coded_rows(concept, moment, None, more=[(RXNORM, code) for code in of_flags])
        if not _is_unsaid(row["code"], of_flags)
    ]
    if not rows:
        raise NotRead(GIVEN_LOCALLY if is_given_locally(words) else HOLDS_MORE)
    rows = _until(rows, medication, _GIVEN)
    stated_dose = _rate_or_dose(part(medication, "dosage"))
    if stated_dose is not None:
        value, unit = stated_dose
        for row in rows:
            row["numeric_value"] = value
            row["unit"] = unit
    return rows


def _rate_or_dose(dosage: Resource) -> tuple[float, str | None] | None:
    """Return the rate of an infusion with its unit, or else the dose; None if neither is stated."""
    ratio = part(dosage, "rateRatio")
    amount, per = part(ratio, "numerator"), part(ratio, "denominator")
    given, time = amount.get("value"), per.get("value")
    if isinstance(given, int | float) and isinstance(time, int | float) and time > 0:
        units = [text(one, "code") or text(one, "unit") for one in (amount, per)]
        return given / time, "/".join(units) if all(units) else None
    stated = part(dosage, "rateQuantity") or part(dosage, "dose")
    value = stated.get("value")
    if not isinstance(value, int | float):
        return None
    return float(value), text(stated, "code") or text(stated, "unit") or None


_NOT_GIVEN = "not-done"
_GIVEN = ("effectivePeriod", "occurencePeriod")
_DONE = ("performedPeriod", "occurrencePeriod")


def _until(
    rows: list[ObservationRow], resource: Resource, names: tuple[str, ...]
) -> list[ObservationRow]:
    """Return rows with the end of what was given or done, or the word that it had not ended."""
    period = next((part(resource, name) for name in names if part(resource, name)), {})
    end = last_moment(text(period, "end")) if text(period, "end") else None
    for row in rows:
        if end is not None:
            ended = utc(end)
            # Of a date alone the last moment counts, which may lie after an end with a time.
            same_day = ended.date() == row["time"].date()
            row["end_time"] = max(ended, row["time"]) if same_day else ended
        elif text(period, "start") and text(resource, "status") == _ONGOING:
            row["is_ongoing"] = True
    return rows


def _procedure(procedure: Resource) -> list[ObservationRow]:
    """Return a row for each code of a procedure, from its beginning to its end.

    Of one that is recorded as not done, a row for each flag that it would have set.
    """
    flags = [
        name
        for name, entry in VARIABLES.items()
        if any(
            system == SNOMED and code in entry.procedures
            for system, code in codings(part(procedure, "code"))
        )
    ]
    is_not_done = text(procedure, "status") == _NOT_GIVEN and bool(flags)
    if has_modifier(procedure) or (text(procedure, "status") in _NOT_DONE and not is_not_done):
        raise NotRead("not done, stopped, or changed by an unknown extension")
    stated = [
        text(procedure, name) or text(part(procedure, name.replace("DateTime", "Period")), "start")
        for name in ("performedDateTime", "occurrenceDateTime")
    ]
    time = _earliest(stated[0] or stated[1])
    if time is None:
        raise NotRead("without a time")
    if is_not_done:
        return [_not_done(flag, time) for flag in flags]
    return _until(_coded_rows(part(procedure, "code"), time, None), procedure, _DONE)


def _service(request: Resource) -> list[ObservationRow]:
    """Return a row for each code of an order, such as one for comfort care."""
    if text(request, "status") not in _SERVICE_STATUS or request.get("doNotPerform") is True:
        raise NotRead("not active or completed, or not to be performed")
    time = last_moment(text(request, "authoredOn"))
    if time is None:
        raise NotRead("without a time")
    concept = part(request, "code")
    return _coded_rows(part(concept, "concept") or concept, time, None)


def _is_unsaid(code: str, of_flags: Collection[str]) -> bool:
    """Return whether an ingredient's code sets no flag, since the drug is local or holds more."""
    system, _, plain = code.rpartition("//")
    return (
        system == system_name(RXNORM)
        and plain not in of_flags
        and bool(drug_flags(ingredients=[plain]))
    )


def _coded_rows(
    concept: Resource,
    time: datetime,
    available: datetime | None,
    more: Sequence[tuple[str, str]] = (),
) -> list[ObservationRow]:
    """Return a row for each coding of a concept, and for `more`, with the concept's words."""
    words = concept_words(concept) or None
    stated = (coded(system, code) for system, code in (*codings(concept), *more))
    rows = [
        _timed(time, available, code) | ObservationRow(text_value=words)
        for code in dict.fromkeys(stated)
    ]
    if not rows:
        raise NotRead("without a code")
    return rows


def _earliest(stated: str) -> datetime | None:
    """Return a stated moment; of a date alone the last of its day, as the service reads it."""
    return last_moment(stated) if stated else None
