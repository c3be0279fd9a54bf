"""The record behind a CDS call: what the client sent, and the rest fetched from its FHIR server.

The client chooses among the FHIR servers that the site has stated, never another address.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from urllib.parse import quote

from data_schema.fhir.resources import Entry, FhirBroken, Resource, entries_of, text
from data_schema.fhir.subject import is_about
from serving.cds.hook_request import HookRequest
from serving.fhir.client import FhirClient, next_page
from serving.fhir.question import fhir_broken
from serving.http.outbound import Unreachable
from serving.problems.details import FieldProblem, PreconditionFailed, RequestBroken

__all__ = ["Prefetch"]

_MAX_PAGES = 10
# For all requests of one call together, since a clinician waits for it.
_SECONDS = 10.0
# Not escaped in a query, as in FHIR's search.
_PLAIN = "/?&=,:{}"


class Prefetch:
    """The data of one call's patient by key, fetched only when they are used.

    Parameters
    ----------
    request : HookRequest
    templates : mapping of str to str
        As in discovery.
    servers : collection of str
        The FHIR servers that the site has stated.
    """

    def __init__(
        self, request: HookRequest, templates: Mapping[str, str], servers: Collection[str]
    ) -> None:
        self._request, self._templates = request, templates
        stated = (request.fhirServer or "").rstrip("/")
        access = request.fhirAuthorization
        self._client = next(
            (
                FhirClient(
                    server,
                    access.access_token if access is not None else None,
                    until=time.monotonic() + _SECONDS,
                    max_pages=_MAX_PAGES,
                )
                for server in servers
                if server == stated
            ),
            None,
        )

    def entries(self, key: str) -> list[Entry]:
        """Return the resources of one key; none if the client sent null.

        Parameters
        ----------
        key : str
            Key of a template.

        Returns
        -------
        list of Entry
            All about the patient in context, with uniform references to it.

        Raises
        ------
        PreconditionFailed
            If it was not sent completely and cannot be fetched.
        RequestBroken
            If it is not FHIR, or about another patient or encounter.
        """
        entries = self._sent(key)
        if entries is None:
            try:
                entries = self._fetched(key)
            except Unreachable:
                raise PreconditionFailed from None
        for entry in entries:
            self._check_patient(entry)
        return [self._about_patient(entry) for entry in entries]

    def _sent(self, key: str) -> list[Entry] | None:
        """Return what was sent; None if nothing was, or only a part."""
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
        # Locations tell which units of an encounter are intensive care.
        kinds = (expected, "Location") if expected == "Encounter" else (expected,)
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
            raise Unreachable("fhirServer must be a server that the site has stated.")
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
        """Refuse what is of another patient, or of another encounter."""
        context, identifier = self._request.context, text(entry.resource, "id")
        if entry.kind == "Location":
            return
        is_right = is_about(entry.resource, context.patientId)
        if entry.kind == "Patient":
            is_right = identifier == context.patientId
        elif entry.kind == "Encounter":
            is_right = is_right and identifier == context.encounterId
        if not is_right:
            message = f"{entry.expression} must be of the patient and encounter in context."
            raise RequestBroken(
                [FieldProblem(field=entry.expression, rule="two_subjects", message=message)]
            )

    def _about_patient(self, entry: Entry) -> Entry:
        """Return an entry; in an Observation the subject is replaced by the Patient's id alone."""
        if entry.kind != "Observation":
            return entry
        subject = {"reference": f"Patient/{self._request.context.patientId}"}
        return Entry({**entry.resource, "subject": subject}, entry.expression)
