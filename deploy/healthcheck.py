"""Exit with 0 if the service of this container answers `/health/live`, else with 1."""

from __future__ import annotations

import os
import ssl
import sys
import urllib.error
import urllib.request

_SECONDS = 4


def main() -> int:
    """Ask the port of `OSTEON_PORT`, over TLS where the service has a certificate."""
    port = os.environ.get("OSTEON_PORT", "8000")
    is_encrypted = "OSTEON_TLS_CERTIFICATE" in os.environ
    scheme = "https" if is_encrypted else "http"
    # The certificate names the public host; this connection does not leave the container.
    context = ssl._create_unverified_context() if is_encrypted else None
    try:
        with urllib.request.urlopen(
            f"{scheme}://127.0.0.1:{port}/health/live", timeout=_SECONDS, context=context
        ) as answer:
            return 0 if answer.status == 200 else 1
    except (OSError, urllib.error.URLError):
        return 1


if __name__ == "__main__":
    sys.exit(main())
