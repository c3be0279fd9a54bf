"""The client of FHIR servers: resources and searches, page by page, within one deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

from data_schema.fhir.resources import Resource, listed, text
from serving.http.outbound import Unreachable, get_json

__all__ = ["FhirClient", "next_page"]


@dataclass(frozen=True, slots=True)
class FhirClient:
    """Access to one FHIR server, all requests of which end by `until` of `time.monotonic`.

    `server` is its base address without a final slash, never the choice of a caller; only this
    server receives the access token. A search may have at most `max_pages` pages.
    """

    server: str
    token: str | None = field(repr=False)
    until: float
    max_pages: int

    def read(self, path: str) -> Resource:
        """Return the resource at a path, or raise Unreachable."""
        return self._get(f"{self.server}/{path}")

    def pages(self, path: str) -> Iterator[Resource]:
        """Yield every page of a search.

        Raises
        ------
        Unreachable
            If a page is at another address, or there are too many.
        """
        url = f"{self.server}/{path}"
        for _ in range(self.max_pages):
            page = self._get(url)
            yield page
            following = next_page(page)
            if not following:
                return
            url = urljoin(f"{self.server}/", following)
            # The token must not reach another server.
            if not url.startswith((f"{self.server}/", f"{self.server}?")):
                raise Unreachable("FHIR server must keep its pages at its own address.")
        raise Unreachable(f"FHIR server must answer a search with at most {self.max_pages} pages.")

    def _get(self, url: str) -> Resource:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        headers["Accept"] = "application/fhir+json"
        resource = get_json(url, headers, seconds=self.until - time.monotonic())
        if not isinstance(resource, Mapping):
            raise Unreachable("FHIR server must answer with a resource.")
        return resource


def next_page(bundle: Resource) -> str:
    """Return the address of the next page, empty if the Bundle is the last."""
    pages = [text(link, "url") for link in listed(bundle, "link") if link.get("relation") == "next"]
    return pages[0] if pages else ""
