"""The FHIR client follows pages of its own server, not too many, and not beyond its deadline."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from serving.fhir.client import FhirClient
from serving.http.outbound import Unreachable

# Kind of search: where its next page is.
NEXT = {
    "Observation": "{base}?page={page}",
    "Relative": "Relative?page={page}",
    "Slow": "Slow?page={page}",
    "Elsewhere": "https://elsewhere.example/fhir?page={page}",
    "Sibling": "{base}-other/Sibling?page={page}",
    "Above": "/other/Above?page={page}",
}
PAGES = 3


class Handler(BaseHTTPRequestHandler):
    """A FHIR server that answers each search with three pages."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        kind = parts.path.rpartition("/")[2]
        kind = kind if kind in NEXT else "Observation"
        if kind == "Slow":
            time.sleep(0.4)
        page = int(parse_qs(parts.query).get("page", ["1"])[0])
        bundle: dict[str, object] = {"resourceType": "Bundle", "id": f"page-{page}"}
        if page < PAGES:
            url = NEXT[kind].format(base=self.server.base, page=page + 1)  # type: ignore[attr-defined]
            bundle["link"] = [{"relation": "next", "url": url}]
        self.server.tokens.append(self.headers["Authorization"])  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(bundle).encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.base, server.tokens = f"http://127.0.0.1:{server.server_port}/fhir", []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def client_of(server: ThreadingHTTPServer, *, seconds: float = 20, pages: int = 9) -> FhirClient:
    base: str = server.base  # type: ignore[attr-defined]
    return FhirClient(base, "secret", until=time.monotonic() + seconds, max_pages=pages)


@pytest.mark.parametrize("kind", ["Observation", "Relative"])
def test_every_page_of_the_server_is_read_with_the_token(
    server: ThreadingHTTPServer, kind: str
) -> None:
    pages = [page["id"] for page in client_of(server).pages(kind)]
    assert pages == ["page-1", "page-2", "page-3"]
    assert server.tokens == ["Bearer secret"] * PAGES  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["Elsewhere", "Sibling", "Above"])
def test_a_page_at_another_address_is_not_read(server: ThreadingHTTPServer, kind: str) -> None:
    pages = client_of(server).pages(kind)
    assert next(pages)["id"] == "page-1"
    with pytest.raises(Unreachable, match="its own address"):
        next(pages)
    assert len(server.tokens) == 1  # type: ignore[attr-defined]


def test_a_search_with_too_many_pages_is_refused(server: ThreadingHTTPServer) -> None:
    assert len(list(client_of(server, pages=PAGES).pages("Observation"))) == PAGES
    with pytest.raises(Unreachable, match="at most 2 pages"):
        list(client_of(server, pages=PAGES - 1).pages("Observation"))


def test_all_pages_together_have_one_deadline(server: ThreadingHTTPServer) -> None:
    # A page takes 0.4 seconds: each is within the time, the second together with the first is not.
    with pytest.raises(Unreachable):
        list(client_of(server, seconds=0.6).pages("Slow"))
    assert len(server.tokens) < PAGES  # type: ignore[attr-defined]


def test_the_token_is_not_shown() -> None:
    shown = repr(FhirClient("https://ehr.example", "secret", until=0.0, max_pages=1))
    assert "secret" not in shown
