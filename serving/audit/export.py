"""Records as FHIR R4 AuditEvent resources, for a hospital's own audit repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypedDict

from sqlalchemy import select

from data_schema.errors import GateError
from serving.audit.record import Action, RecordBody
from serving.store.database import Database
from serving.store.tables import RECORDS

__all__ = ["audit_event", "audit_events"]

_AT_ONCE = 2_000
_SYSTEM = "urn:osteon:audit"
_EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"


class Coding(TypedDict):
    """A FHIR Coding."""

    system: str
    code: str
    display: str


class _Detail(TypedDict):
    type: str
    valueString: str


class _Entity(TypedDict, total=False):
    what: dict[str, dict[str, str]]
    type: Coding
    role: Coding
    detail: list[_Detail]


class FhirAuditEvent(TypedDict):
    """A FHIR R4 AuditEvent."""

    resourceType: str
    id: str
    type: Coding
    subtype: list[dict[str, str]]
    action: str
    recorded: str
    outcome: str
    outcomeDesc: str
    agent: list[dict[str, object]]
    source: dict[str, object]
    entity: list[_Entity]


_REST: Coding = {"system": _EVENT_TYPE, "code": "rest", "display": "RESTful Operation"}
_SECURITY: Coding = {"system": _DICOM, "code": "110113", "display": "Security Alert"}
_ADMINISTRATION: Coding = {
    "system": _DICOM,
    "code": "110136",
    "display": "Security Roles Changed",
}
_AUTHENTICATION: Coding = {"system": _DICOM, "code": "110114", "display": "User Authentication"}
_QUERY: Coding = {"system": _DICOM, "code": "110112", "display": "Query"}
_APPLICATION: Coding = {"system": _DICOM, "code": "110100", "display": "Application Activity"}

# The type of event of each action, and its kind: create, read, update, delete or execute.
_KINDS: Mapping[Action, tuple[Coding, str]] = {
    "predict": (_REST, "E"),
    "outcome": (_REST, "C"),
    "card": (_REST, "E"),
    "feedback": (_REST, "C"),
    "denied": (_SECURITY, "E"),
    "sign_in": (_AUTHENTICATION, "E"),
    "sign_out": (_AUTHENTICATION, "E"),
    "launch": (_QUERY, "R"),
    "start": (_APPLICATION, "E"),
    "stop": (_APPLICATION, "E"),
    "model_swapped": (_APPLICATION, "U"),
    "model_refused": (_SECURITY, "E"),
    "promoted": (_APPLICATION, "U"),
    "rolled_back": (_APPLICATION, "U"),
    "key_created": (_ADMINISTRATION, "C"),
    "key_rotated": (_ADMINISTRATION, "U"),
    "key_revoked": (_ADMINISTRATION, "D"),
    "pruned": (_APPLICATION, "D"),
    "adopted": (_APPLICATION, "U"),
}
_SUCCESS, _MINOR_FAILURE = "0", "4"


def audit_events(database: Database) -> Iterator[FhirAuditEvent]:
    """Yield every record as a resource, the oldest first.

    Raises
    ------
    GateError
        If a record was changed.
    OutsideError
        If the database fails.
    """
    with database.reading() as connection:
        rows = connection.execution_options(yield_per=_AT_ONCE).execute(
            select(RECORDS.c.seq, RECORDS.c.body, RECORDS.c.mac).order_by(RECORDS.c.seq)
        )
        for seq, body, mac in rows:
            yield _resource(seq, body, mac)


def _resource(seq: int, body: str, mac: str) -> FhirAuditEvent:
    try:
        return audit_event(json.loads(body), mac)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise GateError(
            f"Record {seq} was changed after it was written. Run `osteon audit verify`."
        ) from None


def audit_event(record: RecordBody, mac: str) -> FhirAuditEvent:
    """Return one record as a FHIR R4 AuditEvent.

    Parameters
    ----------
    mac : str
        Its link in the chain, by which the resource can be traced back to the record.
    """
    kind, action = _KINDS[record["action"]]
    denied = record["action"] == "denied" or (
        record["action"] == "sign_in" and record["status"] == "refused"
    )
    event: FhirAuditEvent = {
        "resourceType": "AuditEvent",
        "id": f"osteon-{record['seq']}",
        "type": kind,
        "subtype": [{"system": _SYSTEM, "code": record["action"]}],
        "action": action,
        "recorded": record["at"],
        "outcome": _MINOR_FAILURE if denied else _SUCCESS,
        "outcomeDesc": record["status"],
        "agent": [
            {
                "who": {"identifier": {"system": f"{_SYSTEM}:actor", "value": record["actor"]}},
                "requestor": True,
            }
        ],
        "source": {
            "observer": {"display": "Osteon"},
            "type": [{"system": _SOURCE_TYPE, "code": "4", "display": "Application Server"}],
        },
        "entity": [
            {
                "what": {"identifier": {"system": f"{_SYSTEM}:mac", "value": mac}},
                "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
                "role": {"system": _ENTITY_ROLE, "code": "13", "display": "Security Resource"},
                "detail": _details(record),
            }
        ],
    }
    if "prediction_id" in record:
        event["entity"].append(_prediction(record))
    if "patient" in record:
        event["entity"].append(_patient(record))
    return event


def _prediction(record: RecordBody) -> _Entity:
    return {
        "what": {
            "identifier": {"system": f"{_SYSTEM}:prediction", "value": record["prediction_id"]}
        },
        "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
        "role": {"system": _ENTITY_ROLE, "code": "3", "display": "Report"},
    }


def _patient(record: RecordBody) -> _Entity:
    """Return the patient as a keyed hash, which only the holder of the key can compute."""
    return {
        "what": {"identifier": {"system": f"{_SYSTEM}:patient", "value": record["patient"]}},
        "type": {"system": _ENTITY_TYPE, "code": "1", "display": "Person"},
        "role": {"system": _ENTITY_ROLE, "code": "1", "display": "Patient"},
    }


def _details(record: RecordBody) -> list[_Detail]:
    """Return as text the fields that FHIR has no element for."""
    details: dict[str, object] = {"seq": record["seq"]}
    details |= {name: record[name] for name in ("route", "input", "outcomes") if name in record}
    details |= {f"model_{n}": model for n, model in enumerate(record.get("models", ()), start=1)}
    details |= record.get("detail", {})
    return [
        {"type": name, "valueString": value if isinstance(value, str) else json.dumps(value)}
        for name, value in details.items()
    ]
