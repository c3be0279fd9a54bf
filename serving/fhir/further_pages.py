"""The further pages of a search of which a client sent one page as its Bundle.

They are fetched only from a FHIR server of the site's settings, without a token. What cannot be
fetched stays missing, and then no model answers for the record.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from urllib.parse import urljoin

from data_schema.fhir.resources import Entry, FhirBroken, Resource, entries_of, listed, part, text
from serving.fhir.client import FhirClient, next_page
from serving.fhir.question import FhirQuestion
from serving.http.outbound import Unreachable

__all__ = ["completed"]

_MAX_PAGES = 20
_SECONDS = 10.0


def completed(question: FhirQuestion, servers: Collection[str]) -> FhirQuestion:
    """Return a question with every page of its Bundles, or as it is if one cannot be fetched."""
    if not question.is_incomplete:
        return question
    until = time.monotonic() + _SECONDS
    entries = list(question.entries)
    try:
        for number, bundle in enumerate(_bundles(question.bundle)):
            entries += _further(bundle, servers, until, f"page[{number}]")
    except (Unreachable, FhirBroken):
        return question
    return replace(question, entries=tuple(entries), is_incomplete=False)


def _bundles(bundle: Resource) -> Iterator[Resource]:
    """Yield a Bundle and those within it."""
    yield bundle
    for entry in listed(bundle, "entry"):
        resource = part(entry, "resource")
        if text(resource, "resourceType") == "Bundle":
            yield from _bundles(resource)


def _further(
    bundle: Resource, servers: Collection[str], until: float, where: str
) -> Iterator[Entry]:
    """Yield the entries of the pages after a Bundle, or raise if they cannot be fetched."""
    following = next_page(bundle)
    sent = len(entries_of(bundle))
    if following:
        own = [text(link, "url") for link in listed(bundle, "link") if _is_self(link)]
        url = urljoin(own[0], following) if own else following
        server = next((one for one in servers if url.startswith(f"{one}/")), None)
        if server is None:
            raise Unreachable("FHIR server must be a server in the settings of the site.")
        client = FhirClient(server, None, until=until, max_pages=_MAX_PAGES)
        for number, page in enumerate(client.pages(url.removeprefix(f"{server}/"))):
            of_page = entries_of(page, f"{where}[{number}]")
            sent += len(of_page)
            yield from of_page
    total = bundle.get("total")
    if isinstance(total, int) and text(bundle, "type") == "searchset" and total > sent:
        raise Unreachable("FHIR server must hold all that its search counts.")


def _is_self(link: Resource) -> bool:
    return link.get("relation") == "self"
