"""Answers of the page in gzip, where the browser takes it.

Only what holds no secret and is the same for every user is compressed: the files, and the pages
without a patient. An answer to a request never is.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import lru_cache

from fastapi import Request, Response

__all__ = ["compressible"]


def compressible(
    request: Request, content: bytes, *, media_type: str, headers: Mapping[str, str]
) -> Response:
    """Return a response with the content, in gzip if the request accepts it."""
    varying = {**headers, "vary": "accept-encoding"}
    if _accepts_gzip(request):
        varying["content-encoding"] = "gzip"
        content = _in_gzip(content)
    return Response(content, media_type=media_type, headers=varying)


def _accepts_gzip(request: Request) -> bool:
    """Return whether the request takes gzip, which `gzip;q=0` forbids."""
    for stated in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = stated.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False


@lru_cache(maxsize=64)
def _in_gzip(content: bytes) -> bytes:
    # Without the time, so that the same file always has the same bytes.
    return gzip.compress(content, mtime=0)
