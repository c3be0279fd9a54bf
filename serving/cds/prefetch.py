"""The data of a CDS call, sent by the client or fetched from its FHIR server.

The client can choose only a FHIR server of the site's settings.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from urllib.parse import quote

from data_schema.fhir.resources import Entry, FhirBroken, Resource, entries_of, text
from data_schema.fhir.subject import identifier_keys, is_about
from serving.cds.hook_request import HookRequest
from serving.cds.services import OBSERVATIONS
from serving.fhir.client import FhirClient, next_page
from serving.fhir.question import fhir_broken
from serving.http.outbound import Unreachable
from serving.problems.details import FieldProblem, PreconditionFailed, RequestBroken

__all__ = ["Prefetch"]

_MAX_PAGES = 10
# For all requests of one call, since a clinician waits.
_SECONDS = 10.0
# Locations state which units of an encounter are intensive care, Medications what was ordered.
_BESIDE: Mapping[str, str] = {"Encounter": "Location", "MedicationRequest": "Medication"}
# Not escaped in a query of FHIR.
_PLAIN = "/?&=,:{}"


class Prefetch:
    """The data of one call's patient by key, fetched only when they are used.

    `templates` are as in discovery, and `servers` are the FHIR servers of the site's settings.
    """

    def __init__(
        self, request: HookRequest, templates: Mapping[str, str], servers: Collection[str]
    ) -> None:
        self._request, self._templates = request, templates
        stated = (request.fhirServer or "").rstrip("/")
        access = request.fhirAuthorization
        token = None if access is None else access.access_token
        self._client = None
        self._identifiers: Collection[str] = ()
        if stated in servers:
            until = time.monotonic() + _SECONDS
            self._client = FhirClient(stated, token, until=until, max_pages=_MAX_PAGES)

    def entries(self, key: str) -> list[Entry]:
        """Return the resources of a template's key, none if the client sent null.

        All are about the patient in context, with uniform references; those that refer to the
        patient by an identifier count once the key `patient` has been read.

        Raises
        ------
        PreconditionFailed
            If they were not sent completely and cannot be fetched.
        RequestBroken
            If they are not FHIR, or about another patient or encounter.
        """
        entries = self._sent(key)
        if entries is None:
            try:
                entries = self._fetched(key)
            except Unreachable:
                raise PreconditionFailed from None
        for entry in entries:
            self._check_patient(entry)
        if key == "patient" and entries:
            self._identifiers = identifier_keys(entries[0].resource)
        return [self._about_patient(entry) for entry in entries]

    def encounters(self) -> list[Entry]:
        """Return the encounter in context, or those in progress where the client states none.

        Locations may be among them. Errors as for `entries`.
        """
        if self._request.context.encounterId is not None or self._request.prefetch.get("encounter"):
            return self.entries("encounter")
        return [
            entry
            for entry in self.entries("encounters")
            if entry.kind != "Encounter" or text(entry.resource, "status") == "in-progress"
        ]

    def observations(self) -> list[Entry]:
        """Return the Observations of every template for them; errors as for `entries`."""
        keys = [key for key in self._templates if key.startswith(OBSERVATIONS)]
        return [entry for key in keys for entry in self.entries(key)]

    def _sent(self, key: str) -> list[Entry] | None:
        """Return the sent resources; None if none or only some were sent."""
        if key not in self._request.prefetch:
            return None
        sent = self._request.prefetch[key]
        if sent is None:
            return []
        kind = text(sent, "resourceType")
        if kind == "OperationOutcome" or (kind == "Bundle" and next_page(sent)):
            return None
        return self._read(key, sent)

    def _read(self, key: str, resource: Resource) -> list[Entry]:
        expected = self._templates[key].partition("?")[0].partition("/")[0]
        kinds = (expected, _BESIDE.get(expected, expected))
        where = f"prefetch.{key}"
        if text(resource, "resourceType") == expected:
            return [Entry(resource, where)]
        try:
            entries = entries_of(resource, where)
        except FhirBroken as error:
            raise fhir_broken(error) from None
        return [entry for entry in entries if entry.kind in kinds]

    def _fetched(self, key: str) -> list[Entry]:
        """Return the entries of every page that the client's FHIR server has."""
        if self._client is None:
            raise Unreachable("fhirServer must be a server in the settings of the site.")
        try:
            return [
                entry
                for page in self._client.pages(self._filled(key))
                for entry in self._read(key, page)
            ]
        except RequestBroken:
            raise Unreachable("FHIR server must answer with FHIR.") from None

    def _filled(self, key: str) -> str:
        context = self._request.context
        filled = (
            self._templates[key]
            .replace("{{context.patientId}}", context.patientId)
            .replace("{{context.encounterId}}", context.encounterId or "")
        )
        return quote(filled, safe=_PLAIN)

    def _check_patient(self, entry: Entry) -> None:
        """Reject an entry of another patient or another encounter."""
        context, identifier = self._request.context, text(entry.resource, "id")
        if entry.kind in _BESIDE.values():
            return
        is_right = is_about(entry.resource, context.patientId, identifiers=self._identifiers)
        if entry.kind == "Patient":
            is_right = identifier == context.patientId
        elif entry.kind == "Encounter":
            is_right = is_right and context.encounterId in (None, identifier)
        if not is_right:
            message = f"{entry.expression} must be of the patient and encounter in context."
            raise RequestBroken(
                [FieldProblem(field=entry.expression, rule="two_subjects", message=message)]
            )

    def _about_patient(self, entry: Entry) -> Entry:
        """Return an entry, with the subject of an Observation as the bare id of the Patient."""
        if entry.kind != "Observation":
            return entry
        subject = {"reference": f"Patient/{self._request.context.patientId}"}
        return Entry({**entry.resource, "subject": subject}, entry.expression)
