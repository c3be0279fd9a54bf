"""Read FHIR JSON: the resources of a Bundle, codings, references and times.

R4, R4B and R5 write what is read here in the same way, or both ways are read. An element of the
wrong shape counts as absent. Nothing of a resource is ever part of a message.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo

from data_schema.errors import DataError
from data_schema.fhir.code_systems import canonical_system

__all__ = [
    "Entry",
    "FhirBroken",
    "FhirProblem",
    "Resource",
    "codings",
    "concept_words",
    "contained_in",
    "entries_of",
    "first_moment",
    "full_date",
    "has_modifier",
    "is_partial",
    "last_moment",
    "listed",
    "part",
    "reference_key",
    "text",
]

Resource = Mapping[str, object]

_DATE_TIME = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2})"
    r"(?P<time>T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?P<offset>Z|[+-]\d{2}:\d{2})?)?)?)?"
)
_ABSOLUTE = re.compile(r"(https?://\S+|urn:\S+)")
_HISTORY = re.compile(r"/_history/[A-Za-z0-9.\-]+$")


@dataclass(frozen=True, slots=True)
class FhirProblem:
    """One rule that one element breaks; `expression` is its FHIRPath within what was sent.

    For an Observation of a variable, `variable` is its name, and `time` the last moment at which it
    may have been taken, None where that is unknown.
    """

    expression: str
    rule: str
    message: str
    variable: str = ""
    time: datetime | None = None


class FhirBroken(DataError):
    """What was sent breaks the rules listed in `problems`."""

    def __init__(self, problems: Sequence[FhirProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"[{p.rule}] {p.expression}: {p.message}" for p in problems))


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource, its FHIRPath (`Bundle.entry[3].resource`) and `fullUrl` in what was sent."""

    resource: Resource
    expression: str
    full_url: str = ""

    @property
    def kind(self) -> str:
        """The resource's type."""
        return text(self.resource, "resourceType")

    @property
    def reference(self) -> str:
        """The reference by which resources of the same sender refer to this one; may be empty."""
        identifier = text(self.resource, "id")
        return f"{self.kind}/{identifier}" if identifier else self.full_url


def entries_of(bundle: object, expression: str = "Bundle") -> list[Entry]:
    """Return the resources of a Bundle of any type, and of Bundles within it, in their order.

    The answer to a batch holds a Bundle for each of its searches. Entries that hold no resource, or
    only the outcome of a search, are left out. `expression` is the Bundle's FHIRPath. `FhirBroken`
    is raised for anything but a Bundle of entries.

    >>> bundle = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}
    >>> [(entry.kind, entry.expression) for entry in entries_of(bundle)]
    [('Patient', 'Bundle.entry[0].resource')]
    """
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        raise FhirBroken([FhirProblem(expression, "structure", "must be a Bundle.")])
    sent = bundle.get("entry", [])
    if not isinstance(sent, list) or not all(isinstance(entry, Mapping) for entry in sent):
        where = f"{expression}.entry"
        raise FhirBroken([FhirProblem(where, "structure", "must be a list of entries.")])
    entries: list[Entry] = []
    for i, entry in enumerate(sent):
        resource, where = entry.get("resource"), f"{expression}.entry[{i}].resource"
        if not isinstance(resource, Mapping) or text(part(entry, "search"), "mode") == "outcome":
            continue
        if text(resource, "resourceType") == "Bundle":
            entries += entries_of(resource, where)
        else:
            entries.append(Entry(resource, where, text(entry, "fullUrl")))
    return entries


def is_partial(bundle: object) -> bool:
    """Return whether a Bundle, or one within it, says that the server has more than was sent.

    >>> is_partial({"resourceType": "Bundle", "link": [{"relation": "next", "url": "?page=2"}]})
    True
    >>> is_partial({"resourceType": "Bundle", "type": "searchset", "total": 9, "entry": []})
    True
    """
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        return False
    if any(link.get("relation") == "next" for link in listed(bundle, "link")):
        return True
    entries = listed(bundle, "entry")
    modes = [text(part(entry, "search"), "mode") for entry in entries]
    matches = len([mode for mode in modes if mode in ("", "match")])
    total = bundle.get("total")
    if isinstance(total, int) and text(bundle, "type") == "searchset" and total > matches:
        return True
    return any(is_partial(part(entry, "resource")) for entry in entries)


def part(resource: Resource, name: str) -> Resource:
    """Return an element that is an object, or an empty one."""
    element = resource.get(name)
    return element if isinstance(element, Mapping) else {}


def listed(resource: Resource, name: str) -> list[Resource]:
    """Return the objects of an element that may repeat; a single object counts as a list."""
    element = resource.get(name)
    items = element if isinstance(element, list) else [element]
    return [item for item in items if isinstance(item, dict)]


def text(resource: Resource, name: str) -> str:
    """Return an element that is text, or an empty one."""
    element = resource.get(name)
    return element if isinstance(element, str) else ""


def codings(concept: Resource) -> Iterator[tuple[str, str]]:
    """Yield the (system, code) pairs of a CodeableConcept, or of a Coding by itself.

    >>> list(codings({"coding": [{"system": "https://loinc.org", "code": "2160-0"}]}))
    [('http://loinc.org', '2160-0')]
    """
    for coding in [*listed(concept, "coding"), concept]:
        if text(coding, "code").strip():
            yield canonical_system(text(coding, "system")), text(coding, "code").strip()


def concept_words(concept: Resource) -> str:
    """Return the text of a CodeableConcept, or else the displays of its codings."""
    displays = [text(coding, "display") for coding in listed(concept, "coding")]
    return text(concept, "text") or " ".join(filter(None, displays))


def contained_in(resource: Resource, reference: str) -> Resource:
    """Return the contained resource that `#id` refers to, or an empty one."""
    contained = listed(resource, "contained")
    return next((item for item in contained if f"#{text(item, 'id')}" == reference), {})


def has_modifier(resource: Resource) -> bool:
    """Return whether an extension may change the meaning of a resource's elements."""
    return bool(resource.get("modifierExtension")) or bool(resource.get("implicitRules"))


def reference_key(reference: Resource, entry: Entry) -> str:
    """Return what a reference points to, so that two references to one resource are equal.

    A relative reference is resolved against the `fullUrl` of the entry that holds it, as FHIR
    requires; a version is left out; a reference by identifier alone is that identifier. Empty if it
    points to nothing.

    >>> entry = Entry({"resourceType": "Observation", "id": "o"}, "", "https://a/fhir/Observation/o")
    >>> reference_key({"reference": "Patient/p1/_history/2"}, entry)
    'https://a/fhir/Patient/p1'
    """
    stated = _HISTORY.sub("", text(reference, "reference").strip())
    if not stated:
        identifier = part(reference, "identifier")
        value = text(identifier, "value")
        return f"{text(identifier, 'system')}|{value}" if value else ""
    own = f"{entry.kind}/{text(entry.resource, 'id')}"
    is_relative = not _ABSOLUTE.fullmatch(stated) and not stated.startswith("#")
    if is_relative and entry.full_url.startswith("http") and entry.full_url.endswith(f"/{own}"):
        return entry.full_url.removesuffix(own) + stated
    return stated


def last_moment(stated: str, zone: tzinfo = UTC) -> datetime | None:
    """Return the last moment that a FHIR dateTime may mean; None for text that is no dateTime.

    A date alone, whose offset is `zone`, may be any moment of its day. Taking the last one leaves
    out a measurement of the day of time zero unless it states that it was taken before. A time
    without an offset is no dateTime.

    >>> last_moment("2026-01-02T06:00:00+01:00").isoformat()
    '2026-01-02T06:00:00+01:00'
    >>> last_moment("2026-02").isoformat()
    '2026-02-28T23:59:59+00:00'
    >>> last_moment("2026-01-02T06:00:00") is None
    True
    """
    match = _DATE_TIME.fullmatch(stated)
    if match is None or (match["time"] and not match["offset"]):
        return None
    try:
        if match["time"]:
            return datetime.fromisoformat(stated)
        year, month = int(match["year"]), int(match["month"] or 12)
        day = int(match["day"] or calendar.monthrange(year, month)[1])
        return datetime.combine(date(year, month, day), time(23, 59, 59), tzinfo=zone)
    except ValueError:  # month 13, the 30th of February, hour 25
        return None


def first_moment(stated: str, zone: tzinfo = UTC) -> datetime | None:
    """Return the first moment that a FHIR dateTime may mean; None for text that is no dateTime.

    >>> first_moment("2026-02").isoformat()
    '2026-02-01T00:00:00+00:00'
    """
    last = last_moment(stated, zone)
    if last is None or "T" in stated:
        return last
    month = 1 if len(stated) == 4 else last.month
    day = last.day if len(stated) == 10 else 1
    return last.replace(month=month, day=day, hour=0, minute=0, second=0)


def full_date(stated: str) -> date | None:
    """Return a date that states its day; None for anything else, such as a month."""
    match = _DATE_TIME.fullmatch(stated)
    if match is None or not match["day"] or match["time"]:
        return None
    moment = last_moment(stated, UTC)
    return moment.date() if moment else None
