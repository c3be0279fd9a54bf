"""Records as FHIR R4 AuditEvent resources, for a hospital's own audit repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

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


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


_REST = _coding(_EVENT_TYPE, "rest", "RESTful Operation")
_SECURITY = _coding(_DICOM, "110113", "Security Alert")
_ADMINISTRATION = _coding(_DICOM, "110136", "Security Roles Changed")
_AUTHENTICATION = _coding(_DICOM, "110114", "User Authentication")
_QUERY = _coding(_DICOM, "110112", "Query")
_APPLICATION = _coding(_DICOM, "110100", "Application Activity")

# The type of event of each action, and its kind: create, read, update, delete or execute.
_KINDS: Mapping[Action, tuple[dict[str, str], str]] = {
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
    "withdrawn": (_APPLICATION, "U"),
    "rows_signed": (_ADMINISTRATION, "U"),
    "pruned": (_APPLICATION, "D"),
    "adopted": (_APPLICATION, "U"),
    "joined": (_APPLICATION, "U"),
}
# The type and the role of each entity.
_ENTITIES = {
    "mac": (("2", "System Object"), ("13", "Security Resource")),
    "prediction": (("2", "System Object"), ("3", "Report")),
    "patient": (("1", "Person"), ("1", "Patient")),
}
_SUCCESS, _MINOR_FAILURE = "0", "4"


def audit_events(database: Database) -> Iterator[dict[str, object]]:
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
            try:
                event = audit_event(json.loads(body), mac)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise GateError(
                    f"Record {seq} was changed after it was written. Run `osteon audit verify`."
                ) from None
            yield event


def audit_event(record: RecordBody, mac: str) -> dict[str, object]:
    """Return one record as a FHIR R4 AuditEvent, which its mac traces back to the record."""
    kind, action = _KINDS[record["action"]]
    denied = record["action"] == "denied" or (
        record["action"] == "sign_in" and record["status"] == "refused"
    )
    entities = [_entity("mac", mac) | {"detail": _details(record)}]
    if "prediction_id" in record:
        entities.append(_entity("prediction", record["prediction_id"]))
    if "patient" in record:
        entities.append(_entity("patient", record["patient"]))
    return {
        "resourceType": "AuditEvent",
        "id": f"osteon-{record['seq']}",
        "type": kind,
        "subtype": [{"system": _SYSTEM, "code": record["action"]}],
        "action": action,
        "recorded": record["at"],
        "outcome": _MINOR_FAILURE if denied else _SUCCESS,
        "outcomeDesc": record["status"],
        "agent": [{"who": _identified("actor", record["actor"]), "requestor": True}],
        "source": {
            "observer": {"display": "Osteon"},
            "type": [_coding(_SOURCE_TYPE, "4", "Application Server")],
        },
        "entity": entities,
    }


def _entity(name: str, value: str) -> dict[str, object]:
    """Return an entity of a record; that of a patient holds a keyed hash, not an identifier."""
    kind, role = _ENTITIES[name]
    return {
        "what": _identified(name, value),
        "type": _coding(_ENTITY_TYPE, *kind),
        "role": _coding(_ENTITY_ROLE, *role),
    }


def _identified(name: str, value: str) -> dict[str, dict[str, str]]:
    return {"identifier": {"system": f"{_SYSTEM}:{name}", "value": value}}


def _details(record: RecordBody) -> list[dict[str, str]]:
    """Return as text the fields that FHIR has no element for."""
    details: dict[str, object] = {"seq": record["seq"]}
    details |= {
        name: record[name]
        for name in ("route", "input", "outcomes", "absent", "digest")
        if name in record
    }
    details |= {f"model_{n}": model for n, model in enumerate(record.get("models", ()), start=1)}
    details |= record.get("detail", {})
    return [
        {"type": name, "valueString": value if isinstance(value, str) else json.dumps(value)}
        for name, value in details.items()
    ]
