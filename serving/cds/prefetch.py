"""The record behind a call: what the client sent ahead, and what it left out, fetched from it.

What the client sends decides which of the site's own FHIR servers is asked, never an address that
the site did not state.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, urljoin

from data_schema.fhir.resources import Entry, FhirBroken, entries_of, listed, text
from data_schema.fhir.subject import is_about
from serving.cds.hook_request import HookRequest
from serving.fhir.question import fhir_broken
from serving.http.outbound import Unreachable, get_json
from serving.problems.details import FieldProblem, PreconditionFailed, RequestBroken

__all__ = ["Prefetch"]

_MAX_PAGES = 10
# Of all that one call fetches together: nobody waits longer at a bedside.
_SECONDS = 10.0
# Kept in a query as FHIR's search has them.
_PLAIN = "/?&=,:{}"


class Prefetch:
    """What is known of one call's patient, key by key; what is never asked for is never fetched.

    Parameters
    ----------
    request : HookRequest
    templates : mapping of str to str
        As discovery gives them.
    servers : collection of str
        The only FHIR servers that may be asked.
    """

    def __init__(
        self, request: HookRequest, templates: Mapping[str, str], servers: Collection[str]
    ) -> None:
        self._request, self._templates = request, templates
        stated = (request.fhirServer or "").rstrip("/")
        self._server = next((server for server in servers if server == stated), None)
        self._until = time.monotonic() + _SECONDS

    def entries(self, key: str) -> list[Entry]:
        """Return the resources of one key; none if the client says that there is nothing.

        Parameters
        ----------
        key : str
            Key of a template.

        Returns
        -------
        list of Entry
            All about the patient in context, which their references then say in one way.

        Raises
        ------
        PreconditionFailed
            If it was not sent whole and cannot be fetched.
        RequestBroken
            If it is no FHIR, or of another patient or encounter.
        """
        found = self._sent(key)
        if found is None:
            try:
                found = self._fetched(key)
            except Unreachable:
                raise PreconditionFailed from None
        for entry in found:
            self._check_patient(entry)
        return [self._about_patient(entry) for entry in found]

    def _sent(self, key: str) -> list[Entry] | None:
        """Return what was sent; None if it was not, or only in part."""
        if key not in self._request.prefetch:
            return None
        sent = self._request.prefetch[key]
        if sent is None:
            return []
        kind = text(sent, "resourceType")
        if kind == "OperationOutcome" or (kind == "Bundle" and _next_page(sent)):
            return None
        return self._read(key, sent)

    def _read(self, key: str, resource: Any) -> list[Entry]:
        expected = self._templates[key].partition("?")[0].partition("/")[0]
        # Locations say which units of an encounter are intensive care.
        kinds = (expected, "Location") if expected == "Encounter" else (expected,)
        where = f"prefetch.{key}"
        if isinstance(resource, Mapping) and text(resource, "resourceType") == expected:
            return [Entry(resource, where)]
        try:
            entries = entries_of(resource, where)
        except FhirBroken as error:
            raise fhir_broken(error) from None
        return [entry for entry in entries if entry.kind in kinds]

    def _fetched(self, key: str) -> list[Entry]:
        """Return every page of what the client's FHIR server has."""
        if self._server is None:
            raise Unreachable("fhirServer must be one that this service may ask; it is not.")
        found: list[Entry] = []
        url = f"{self._server}/{self._filled(key)}"
        for _ in range(_MAX_PAGES):
            document = self._asked(url)
            try:
                found += self._read(key, document)
            except RequestBroken:
                raise Unreachable("answer must be FHIR; it is not.") from None
            following = _next_page(document)
            if not following:
                return found
            url = urljoin(f"{self._server}/", following)
            if not url.startswith((f"{self._server}/", f"{self._server}?")):
                raise Unreachable("next page must be of the same server; it is not.")
        raise Unreachable("answer must be shorter; it has too many pages.")

    def _asked(self, url: str) -> Any:
        headers = {"Accept": "application/fhir+json"}
        access = self._request.fhirAuthorization
        if access is not None:
            headers["Authorization"] = f"Bearer {access.access_token}"
        return get_json(url, headers, seconds=self._until - time.monotonic())

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
        """Return an Observation whose subject is said as the Patient itself is, by its id alone."""
        if entry.kind != "Observation":
            return entry
        subject = {"reference": f"Patient/{self._request.context.patientId}"}
        return Entry({**entry.resource, "subject": subject}, entry.expression)


def _next_page(bundle: object) -> str:
    if not isinstance(bundle, Mapping):
        return ""
    pages = [text(link, "url") for link in listed(bundle, "link") if link.get("relation") == "next"]
    return pages[0] if pages else ""
