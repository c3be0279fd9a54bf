"""The flags that Conditions and medications set, and whether the goal of care is comfort.

A record sets a flag to yes; a flag that nothing sets stays unknown and is never a no. Diagnoses
are read in ICD-10, and in SNOMED CT where a code is unambiguous; medications in ATC and by the
RxNorm codes of their ingredients. An order counts as treatment, as the catalogue's flags of care
mean it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from data_schema.biomarkers import VARIABLES
from data_schema.drugs import DRUGS, drug_flags
from data_schema.fhir.code_systems import ATC, RXNORM, SNOMED
from data_schema.fhir.observations import SentObservation
from data_schema.fhir.resources import (
    Entry,
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
from data_schema.measurements import Measurement
from data_schema.variables import Variable

__all__ = [
    "COMFORT_CARE",
    "MEDICATIONS",
    "drug_concept",
    "form_and_route",
    "history",
    "ingredients_of",
    "is_comfort_care",
    "is_established",
    "is_given",
    "medication_of",
    "ordered_or_given",
]

DIAGNOSES: Mapping[str, Variable] = {
    name: variable for name, variable in VARIABLES.items() if variable.icd_10 or variable.snomed
}
"""Flags that a Condition may set."""

MEDICATIONS: Mapping[str, Variable] = DRUGS
"""Flags that a medication may set."""

_INGREDIENTS = frozenset(code for entry in DRUGS.values() for code in entry.rxnorm)

COMFORT_CARE = ("103735009", "133918004", "182964004", "385736008")
"""SNOMED CT of palliative care, comfort measures, terminal care and dying care (regimes)."""

_PALLIATIVE = "Z51.5"
_NOT_ESTABLISHED = frozenset(
    {"refuted", "entered-in-error", "unconfirmed", "provisional", "differential"}
)
_PAST = frozenset({"inactive", "remission", "resolved"})
_NEVER_GIVEN = frozenset(
    {"entered-in-error", "cancelled", "stopped", "draft", "not-done", "not-taken", "unknown"}
)
_HOSPICE = frozenset({"hosp"})


def history(
    entries: Sequence[Entry], *, icu_start: datetime, time_zero: datetime
) -> list[SentObservation]:
    """Return the flags that Conditions and medications set, each true, in order of the entries.

    A medication may refer to a Medication within it or among the entries.

    Care counts from `icu_start` to `time_zero`, drugs for bone from a year before time zero.
    """
    flags: list[SentObservation] = []
    medications = {
        name: entry.resource
        for entry in entries
        if entry.kind == "Medication"
        for name in (entry.reference, entry.full_url)
        if name
    }
    for entry in entries:
        if entry.kind == "Condition":
            names = _diagnosed(entry.resource, time_zero)
        elif entry.kind.startswith("Medication") and entry.kind != "Medication":
            names = _prescribed(entry.resource, medications, icu_start, time_zero)
        else:
            continue
        flags += [
            SentObservation(
                Measurement(True, variable=name),
                None,
                entry.reference,
                entry.expression,
                kind=entry.kind,
            )
            for name in names
        ]
    return flags


def is_comfort_care(entries: Sequence[Entry]) -> bool:
    """Return whether a diagnosis, an order or the discharge states comfort as the goal of care."""
    return any(_is_for_comfort(entry) for entry in entries)


def _is_for_comfort(entry: Entry) -> bool:
    resource = entry.resource
    if entry.kind == "Encounter":
        stay = part(resource, "hospitalization") or part(resource, "admission")
        return any(code in _HOSPICE for _, code in codings(part(stay, "dischargeDisposition")))
    if entry.kind == "Condition":
        is_valid = is_established(resource) and not _is_past(resource)
    elif entry.kind == "ServiceRequest":
        is_valid = text(resource, "status") == "active" and resource.get("doNotPerform") is not True
    else:
        return False
    # R5 puts what is ordered one level deeper.
    concept = part(resource, "code")
    concept = part(concept, "concept") or concept
    return is_valid and any(
        (system == SNOMED and code in COMFORT_CARE)
        or (_is_icd_10(system) and code.startswith(_PALLIATIVE))
        for system, code in codings(concept)
    )


def _diagnosed(condition: Resource, time_zero: datetime) -> Iterator[str]:
    """Yield the flags of a diagnosis that was known at time zero."""
    if not is_established(condition) or not _known_by(text(condition, "recordedDate"), time_zero):
        return
    stated = list(codings(part(condition, "code")))
    for name, variable in DIAGNOSES.items():
        if variable.passes and _is_past(condition):
            continue
        if any(
            (system == SNOMED and code in variable.snomed)
            or (_is_icd_10(system) and code.upper().startswith(variable.icd_10))
            for system, code in stated
        ):
            yield name


def is_established(condition: Resource) -> bool:
    """Return whether a Condition is neither refuted, in doubt, nor changed by an extension."""
    status = {code for _, code in codings(part(condition, "verificationStatus"))}
    return not status & _NOT_ESTABLISHED and not has_modifier(condition)


def _is_past(condition: Resource) -> bool:
    return bool({code for _, code in codings(part(condition, "clinicalStatus"))} & _PAST)


def _is_icd_10(system: str) -> bool:
    # ICD-10 of the WHO, and the national versions built on it: -cm, -gm, -us and others.
    return "icd-10" in system.casefold()


def _prescribed(
    resource: Resource,
    medications: Mapping[str, Resource],
    icu_start: datetime,
    time_zero: datetime,
) -> Iterator[str]:
    """Yield the flags of a medication ordered, given or stated in the flag's own window."""
    if not is_given(resource):
        return
    moment = ordered_or_given(resource)
    if moment is None or moment > time_zero:
        return
    drug = medication_of(resource) or _referred_to(resource, medications)
    concept = drug_concept(resource) or part(drug, "code")
    flags = drug_flags(
        atc=[code for system, code in codings(concept) if system == ATC],
        ingredients=ingredients_of(resource, drug),
        words=form_and_route(resource, drug),
    )
    for name in flags:
        first = MEDICATIONS[name].window.start(icu_start=icu_start, time_zero=time_zero)
        if moment >= (first or icu_start):
            yield name


def is_given(resource: Resource) -> bool:
    """Return whether a medication counts as ordered, given or taken."""
    return (
        text(resource, "status") not in _NEVER_GIVEN
        and resource.get("doNotPerform") is not True
        and not has_modifier(resource)
    )


def drug_concept(resource: Resource) -> Resource:
    """Return the drug's concept: of R4, of R5, or of a Medication within the resource."""
    concept = part(resource, "medicationCodeableConcept")
    concept = concept or part(part(resource, "medication"), "concept")
    if concept:
        return concept
    return part(medication_of(resource), "code")


def medication_of(resource: Resource) -> Resource:
    """Return the Medication within a resource that it refers to; an empty one if there is none."""
    return contained_in(resource, _medication_reference(resource))


def _medication_reference(resource: Resource) -> str:
    reference = part(resource, "medicationReference") or part(
        part(resource, "medication"), "reference"
    )
    return text(reference, "reference").partition("/_history/")[0]


def _referred_to(resource: Resource, medications: Mapping[str, Resource]) -> Resource:
    """Return the Medication elsewhere in the record, by full or relative reference."""
    stated = _medication_reference(resource)
    relative = "/".join(stated.rsplit("/", 2)[-2:])
    return medications.get(stated) or medications.get(relative) or {}


def ingredients_of(resource: Resource, medication: Resource) -> tuple[str, ...]:
    """Return the RxNorm codes of a drug's ingredients, or else of the drug, as the catalogue's.

    A drug's own code is mostly that of a product with a strength and a form, which no entry lists.
    """
    stated = [
        code
        for ingredient in listed(medication, "ingredient")
        for concept in (
            part(ingredient, "itemCodeableConcept"),
            part(part(ingredient, "item"), "concept"),
        )
        for system, code in codings(concept)
        if system == RXNORM
    ]
    concept = drug_concept(resource) or part(medication, "code")
    own = [code for system, code in codings(concept) if system == RXNORM and code in _INGREDIENTS]
    return tuple(dict.fromkeys(stated or own))


def form_and_route(resource: Resource, medication: Resource) -> str:
    """Return the words that name a drug, its form, and how it is given."""
    concepts = [
        drug_concept(resource) or part(medication, "code"),
        part(medication, "form"),
        part(medication, "doseForm"),
        *(part(dosage, "route") for dosage in listed(resource, "dosageInstruction")),
        *(part(dosage, "route") for dosage in listed(resource, "dosage")),
    ]
    return " ".join(filter(None, map(concept_words, concepts)))


def ordered_or_given(resource: Resource) -> datetime | None:
    """Return when a medication was ordered, given or stated; None if that is not said."""
    for name in ("authoredOn", "effectiveDateTime", "occurenceDateTime", "dateAsserted"):
        if text(resource, name):
            return last_moment(text(resource, name), UTC)
    for name in ("effectivePeriod", "occurencePeriod"):
        if text(part(resource, name), "start"):
            return last_moment(text(part(resource, name), "start"), UTC)
    return None


def _known_by(stated: str, time_zero: datetime) -> bool:
    """Return whether something was recorded by time zero, or does not say when."""
    moment = last_moment(stated, time_zero.tzinfo or UTC)
    return not stated or (moment is not None and moment <= time_zero)
