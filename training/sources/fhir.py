"""FHIR R4 and R5, as a bulk export (NDJSON) or as Bundles, to observations, stays and persons.

Two passes over the files. The first reads what others refer to (Patient, Location, Specimen,
Medication, and the periods of Encounters) into an index on disk; the second turns every resource
into rows (`fhir_rows.py`). Of a resource that occurs in several versions, as in an export that was
continued into the same folder, only the newest counts. Each resource that leaves no row is counted
by type and reason.

An admission to hospital is an Encounter of the class inpatient. A stay in intensive care is read by
the service's rule (`data_schema/fhir/encounter.py`): beds that follow one another are one stay.
Times are in UTC; a date alone is the last moment of its day.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import groupby
from pathlib import Path

import duckdb
import pyarrow as pa

from data_schema.errors import DataError
from data_schema.fhir.encounter import IcuStay, icu_stays, icu_units
from data_schema.fhir.resources import (
    Entry,
    Resource,
    codings,
    full_date,
    last_moment,
    listed,
    part,
    reference_key,
    text,
)
from training.sources.fhir_files import StoredResources, entries_in, resource_files
from training.sources.fhir_rows import Lookup, NotRead, rows_of, utc
from training.sources.observations import (
    OBSERVATIONS,
    PERSONS,
    STAYS,
    PersonRow,
    Relation,
    StayRow,
)
from training.sources.shards import ShardWriter

__all__ = ["Fhir", "stays_of"]

_REFERRED_TO = ("Patient", "Location", "Specimen", "Medication", "Encounter")
_INPATIENT = frozenset({"IMP", "ACUTE", "NONAC"})
_NO_ENCOUNTER = frozenset({"planned", "cancelled", "entered-in-error", "unknown"})
_DIED = "exp"
_OF_ENCOUNTER = (
    *("resourceType", "id", "status", "class", "type", "serviceType", "period", "actualPeriod"),
    *("contained", "location", "hospitalization", "admission", "serviceProvider"),
)

_NUMBERED = [("number", pa.int64())]
_RESOURCES = pa.schema(
    [
        *_NUMBERED,
        ("kind", pa.string()),
        ("reference", pa.string()),
        ("updated", pa.timestamp("us")),
        ("reason", pa.string()),
    ]
)
_ENCOUNTERS = pa.schema(
    [
        *_NUMBERED,
        ("subject_id", pa.string()),
        ("start", pa.timestamp("us")),
        ("end", pa.timestamp("us")),
        ("body", pa.string()),
    ]
)


class Fhir:
    """A FHIR export: a folder with `.ndjson` and `.json` files, or such a file, also as `.gz`.

    `icu_locations` are references to the site's intensive care units, as `Location/icu-1`, where
    the types of the Locations do not name them.
    """

    def __init__(self, path: Path, *, icu_locations: Collection[str] = ()) -> None:
        self._path = path
        self._icu_locations = frozenset(icu_locations)

    def relations(self, db: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
        """Create the three relations; return how many resources were dropped, by type and reason.

        Raises
        ------
        UsageError
            If there are no such files.
        DataError
            If a file is not JSON, there is no Patient, or two servers use one id of a patient.
        """
        files = resource_files(self._path)
        with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
            folder = Path(work)
            index = _Index(
                patients=StoredResources(folder / "patients.sqlite"),
                specimens=StoredResources(folder / "specimens.sqlite"),
                medications=StoredResources(folder / "medications.sqlite"),
                encounters=StoredResources(folder / "encounters.sqlite"),
            )
            for stored in (index.patients, index.specimens, index.medications, index.encounters):
                stack.callback(stored.close)
            units = _index_references(files, index) | self._icu_locations
            if not len(index.patients):
                raise DataError(
                    "source must hold Patient resources; it holds none. Export the type Patient "
                    "too."
                )
            _write_rows(files, index, folder)
            return _create(db, folder, units)


@dataclass(frozen=True, slots=True)
class _Index:
    """What resources refer to, by reference."""

    patients: StoredResources
    specimens: StoredResources
    medications: StoredResources
    encounters: StoredResources


def _index_references(files: Sequence[Path], index: _Index) -> frozenset[str]:
    """Fill the index, and return the references to intensive care units."""
    units: set[str] = set()
    clashes = 0
    for path in files:
        for entry in entries_in(path, _REFERRED_TO):
            if entry.kind == "Patient":
                clashes += _index_patient(entry, index.patients)
            elif entry.kind == "Location":
                if icu_units([entry]):
                    units.update(_references(entry))
            elif entry.kind == "Encounter":
                period = part(entry.resource, "period") or part(entry.resource, "actualPeriod")
                _store(index.encounters, entry, period)
            elif entry.kind == "Specimen":
                _store(index.specimens, entry, {"type": part(entry.resource, "type")})
            elif entry.kind == "Medication":
                named = ("code", "form", "doseForm", "ingredient")
                body = {name: entry.resource[name] for name in named if name in entry.resource}
                _store(index.medications, entry, body)
    if clashes:
        raise DataError(
            f"Patient ids must come from one server; {clashes} occur at two. Read each server's "
            "export by itself."
        )
    return frozenset(units)


def _store(stored: StoredResources, entry: Entry, what: Resource) -> None:
    for reference in _references(entry):
        stored.store(reference, what)


def _references(entry: Entry) -> set[str]:
    """Return the references by which other resources may refer to this one.

    A Bundle's `urn:uuid:` references stay as they are when its resources are written to NDJSON,
    where the id is the same UUID.
    """
    identifier = text(entry.resource, "id")
    own = {f"{entry.kind}/{identifier}", f"urn:uuid:{identifier}"} if identifier else set()
    return own | ({entry.full_url} if entry.full_url else set())


def _subject_id(patient: Entry) -> str:
    return text(patient.resource, "id") or patient.full_url


def _index_patient(patient: Entry, patients: StoredResources) -> bool:
    """Store a Patient under each of its references; True if its id has another server already."""
    subject_id = _subject_id(patient)
    server = patient.full_url if patient.full_url.startswith("http") else ""
    before = patients.get(f"Patient/{subject_id}")
    if before is not None and text(before, "server") != server:
        return True
    what = {"subject_id": subject_id, "server": server}
    for reference in _references(patient):
        patients.store(reference, what)
    for identifier in listed(patient.resource, "identifier"):
        if text(identifier, "value"):
            patients.store(f"{text(identifier, 'system')}|{text(identifier, 'value')}", what)
    return False


def _subject_of(entry: Entry, patients: StoredResources) -> str:
    """Return the patient that a resource is about; empty if it names none that was exported."""
    reference = part(entry.resource, "subject") or part(entry.resource, "patient")
    key = reference_key(reference, entry)
    known = patients.get(key)
    if known is None and "/Patient/" in key:
        # An absolute reference to a Patient that was exported without its address.
        known = patients.get(f"Patient/{key.rpartition('/Patient/')[2]}")
        known = known if known is not None and not text(known, "server") else None
    return "" if known is None else text(known, "subject_id")


def _write_rows(files: Sequence[Path], index: _Index, folder: Path) -> None:
    """Write every resource's rows, and what became of each resource."""
    lookup = Lookup(
        specimens=index.specimens, medications=index.medications, encounters=index.encounters
    )
    every = (entry for path in files for entry in entries_in(path))
    with (
        ShardWriter(folder / "resources.parquet", _RESOURCES) as resources,
        ShardWriter(folder / "rows.parquet", _numbered(OBSERVATIONS)) as observations,
        ShardWriter(folder / "patients.parquet", _numbered(PERSONS)) as persons,
        ShardWriter(folder / "encounters.parquet", _ENCOUNTERS) as encounters,
    ):
        writers: Mapping[str, ShardWriter] = {"Patient": persons, "Encounter": encounters}
        for number, entry in enumerate(every):
            reason = None
            try:
                for row in _rows(entry, index, lookup):
                    writers.get(entry.kind, observations).add({"number": number, **row})
            except NotRead as not_read:
                reason = str(not_read)
            resources.add(
                {
                    "number": number,
                    "kind": entry.kind or "(no type)",
                    "reference": entry.full_url or entry.reference or None,
                    "updated": _utc_or_none(text(part(entry.resource, "meta"), "lastUpdated")),
                    "reason": reason,
                }
            )


def _numbered(relation: Relation) -> pa.Schema:
    return pa.schema([*_NUMBERED, *relation.schema])


def _rows(entry: Entry, index: _Index, lookup: Lookup) -> list[Mapping[str, object]]:
    """Return the rows of any resource; none for one that others only refer to."""
    if entry.kind == "Patient":
        return [_person(entry)]
    if entry.kind in _REFERRED_TO and entry.kind != "Encounter":
        return []
    subject_id = _subject_of(entry, index.patients)
    rows: Sequence[Mapping[str, object]]
    rows = [_encounter(entry)] if entry.kind == "Encounter" else rows_of(entry, lookup)
    if not subject_id:
        raise NotRead("about no patient of the export")
    return [{"subject_id": subject_id, **row} for row in rows]


def _person(entry: Entry) -> PersonRow:
    """Return the row of a Patient; a date of birth without its day gives the year alone."""
    patient = entry.resource
    born = text(patient, "birthDate")
    gender = text(patient, "gender")
    day = full_date(born)
    year = last_moment(born) if born else None
    return {
        "subject_id": _subject_id(entry),
        "sex": gender if gender in ("female", "male") else None,
        "birth_date": day,
        "birth_year": year.year if year is not None else None,
        "death_time": _utc_or_none(text(patient, "deceasedDateTime")),
    }


def _encounter(entry: Entry) -> Mapping[str, object]:
    """Return the row of an Encounter, with the parts of it that the rules of stays read."""
    encounter = entry.resource
    if text(encounter, "status") in _NO_ENCOUNTER:
        raise NotRead("planned, cancelled, unknown or entered in error")
    period = part(encounter, "period") or part(encounter, "actualPeriod")
    start = _utc_or_none(text(period, "start"))
    if start is None and not listed(encounter, "location"):
        raise NotRead("without a time")
    body = {name: encounter[name] for name in _OF_ENCOUNTER if name in encounter}
    return {
        "start": start,
        "end": _utc_or_none(text(period, "end")),
        "body": json.dumps({**body, "fullUrl": entry.full_url}),
    }


def _utc_or_none(stated: str) -> datetime | None:
    moment = last_moment(stated) if stated else None
    return None if moment is None else utc(moment)


def _create(
    db: duckdb.DuckDBPyConnection, folder: Path, units: Collection[str]
) -> Mapping[str, int]:
    """Leave superseded versions out, and create the three relations; return what was dropped."""
    for name in ("resources", "rows", "patients", "encounters"):
        db.read_parquet(str(folder / f"{name}.parquet")).create_view(f"fhir_{name}")
    db.execute(_SUPERSEDED)
    columns = ", ".join(OBSERVATIONS.names)
    db.execute(
        f"CREATE TABLE observations AS SELECT {columns} "
        "FROM fhir_rows ANTI JOIN fhir_superseded USING (number)"
    )
    db.execute(_PERSONS)
    _write_stays(db, folder / "stays.parquet", units)
    db.read_parquet(str(folder / "stays.parquet")).create_view("fhir_stays")
    # Stays in hospital alone count only where the export knows no intensive care at all.
    db.execute(
        "CREATE TABLE stays AS SELECT * FROM fhir_stays WHERE icu_admission IS NOT NULL "
        "OR NOT EXISTS (FROM fhir_stays WHERE icu_admission IS NOT NULL)"
    )
    dropped = {
        f"{kind}: {reason}": count for kind, reason, count in db.execute(_DROPPED).fetchall()
    }
    for name in ("resources", "rows", "patients", "encounters", "stays"):
        db.execute(f"DROP VIEW fhir_{name}")
    db.execute("DROP TABLE fhir_superseded")
    return dropped


# The newest version is the last one updated; without that, the last one in the export.
_SUPERSEDED = """
CREATE TEMP TABLE fhir_superseded AS
SELECT number
FROM fhir_resources SEMI JOIN (
    SELECT reference FROM fhir_resources WHERE reference IS NOT NULL
    GROUP BY reference HAVING count(*) > 1
) USING (reference)
QUALIFY row_number() OVER (
    PARTITION BY reference ORDER BY updated DESC NULLS LAST, number DESC
) > 1
"""

_DROPPED = """
SELECT kind, coalesce(superseded, reason) AS reason, count(*)
FROM fhir_resources LEFT JOIN (
    SELECT number, 'superseded by another version' AS superseded FROM fhir_superseded
) USING (number)
WHERE coalesce(superseded, reason) IS NOT NULL
GROUP BY ALL ORDER BY ALL
"""

# A patient was under observation at least until the last thing that was recorded.
_PERSONS = """
CREATE TABLE persons AS
WITH contacts AS (
    SELECT subject_id, max(time) AS moment
    FROM fhir_rows ANTI JOIN fhir_superseded USING (number) GROUP BY subject_id
    UNION ALL
    SELECT subject_id, max(coalesce("end", start))
    FROM fhir_encounters ANTI JOIN fhir_superseded USING (number) GROUP BY subject_id
), last_contact AS (
    SELECT subject_id, max(moment) AS moment FROM contacts GROUP BY subject_id
)
SELECT p.subject_id, sex, birth_date, birth_year, death_time,
    greatest(moment, death_time) AS observed_until
FROM (SELECT * FROM fhir_patients ANTI JOIN fhir_superseded USING (number)) AS p
LEFT JOIN last_contact USING (subject_id)
"""

_BY_PATIENT = """
SELECT subject_id, body, death_time
FROM (SELECT * FROM fhir_encounters ANTI JOIN fhir_superseded USING (number)) AS e
LEFT JOIN (
    SELECT subject_id, death_time FROM fhir_patients ANTI JOIN fhir_superseded USING (number)
) AS p USING (subject_id)
ORDER BY subject_id, start NULLS LAST, number
"""


def _write_stays(db: duckdb.DuckDBPyConnection, path: Path, units: Collection[str]) -> None:
    """Write the stays, with the encounters of one patient at a time in memory."""
    db.execute(_BY_PATIENT)
    fetched: Iterator[tuple[str, str, datetime | None]] = (
        row for batch in iter(lambda: db.fetchmany(10_000), []) for row in batch
    )
    with ShardWriter(path, STAYS.schema) as writer:
        for subject_id, rows in groupby(fetched, key=lambda row: row[0]):
            encounters = []
            death = None
            for _, body, death in rows:  # noqa: B007 - the same for each row
                resource = json.loads(body)
                encounters.append(Entry(resource, "", text(resource, "fullUrl")))
            for stay in stays_of(encounters, units, death):
                writer.add({"subject_id": subject_id, **stay})


def stays_of(
    encounters: Sequence[Entry], units: Collection[str], death: datetime | None
) -> Iterator[StayRow]:
    """Yield one patient's stays: those in intensive care, and admissions without such a stay.

    A stay in intensive care belongs to the admission during which it began; without one, the
    Encounter that holds it stands for the admission.
    """
    admissions = [entry for entry in encounters if _is_inpatient(entry.resource)]
    with_icu: set[int] = set()
    names: Counter[str] = Counter()
    for icu in icu_stays(encounters, icu_locations=units):
        holder = next(
            entry
            for entry in encounters
            if any(own.start == icu.start for own in icu_stays([entry], icu_locations=units))
        )
        within = [entry for entry in admissions if _holds(entry, icu)]
        # The widest one is the admission; a narrower one is a part of it.
        admission = min(within, key=lambda entry: _start(entry) or icu.start, default=holder)
        with_icu.update(id(entry) for entry in (*within, holder))
        name = text(holder.resource, "id") or holder.full_url
        names[name] += 1
        yield {
            **_admission(admission, death),
            "stay_id": name if names[name] == 1 else f"{name}#{names[name]}",
            "icu_admission": utc(icu.start),
            "icu_discharge": None if icu.end is None else utc(icu.end),
        }
    for entry in admissions:
        if id(entry) not in with_icu and _start(entry) is not None:
            stay_id = text(entry.resource, "id") or entry.full_url
            yield {**_admission(entry, death), "stay_id": stay_id}


def _is_inpatient(encounter: Resource) -> bool:
    concepts = listed(encounter, "class")  # a Coding in R4, a list of concepts in R5
    return any(code in _INPATIENT for concept in concepts for _, code in codings(concept))


def _period(entry: Entry) -> Resource:
    return part(entry.resource, "period") or part(entry.resource, "actualPeriod")


def _start(entry: Entry) -> datetime | None:
    """Return when an Encounter began; of a date alone the first moment of its day."""
    stated = text(_period(entry), "start")
    day = full_date(stated)
    if day is not None:
        return datetime.combine(day, time.min, tzinfo=UTC)
    return last_moment(stated) if stated else None


def _end(entry: Entry) -> datetime | None:
    stated = text(_period(entry), "end")
    return last_moment(stated) if stated else None


def _holds(entry: Entry, icu: IcuStay) -> bool:
    start, end = _start(entry), _end(entry)
    return start is not None and start <= icu.start and (end is None or icu.start <= end)


def _admission(entry: Entry, death: datetime | None) -> StayRow:
    """Return what an Encounter says of an admission to hospital."""
    start, end = _start(entry), _end(entry)
    stay = part(entry.resource, "hospitalization") or part(entry.resource, "admission")
    disposition = {code for _, code in codings(part(stay, "dischargeDisposition"))}
    left = None if end is None else utc(end)
    died: bool | None = None
    if _DIED in disposition or (
        death is not None and left is not None and death.date() <= left.date()
    ):
        died = True
    elif disposition:
        died = False
    provider = text(part(entry.resource, "serviceProvider"), "reference")
    return {
        "site": re.split(r"[/:]", provider)[-1] or None,
        "hospital_admission": None if start is None else utc(start),
        "hospital_discharge": left,
        "died_in_hospital": died,
    }
