"""The files of TLS: certificate, key and authorities of clients, taken up again when renewed."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from data_schema.errors import UsageError

__all__ = ["TlsFiles", "check_tls"]

_LOG = logging.getLogger(__name__)

_STATUS = tuple[int, int, int]


class TlsFiles:
    """Certificate and key of one TLS context, and the authorities of its clients.

    Connections that are open continue with the certificate of their beginning. An authority that
    was taken out of its file is trusted until the service is started again.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        certificate: Path,
        key: Path,
        authorities: Path | None = None,
    ) -> None:
        self._context = context
        self._certificate = certificate
        self._key = key
        self._authorities = authorities
        self._seen = self._status()

    async def renew(self) -> None:
        """Load the files if they have changed and are a pair; otherwise the old ones stay.

        For the loop that makes the handshakes, so that none sees half of a pair.
        """
        status = self._status()
        if status == self._seen:
            return
        self._seen = status
        try:
            check_tls(self._certificate, self._key, self._authorities)
        except UsageError as error:
            _LOG.error("The renewed certificate is not used. %s", error)
            return
        self._context.load_cert_chain(self._certificate, self._key)
        if self._authorities is not None:
            self._context.load_verify_locations(self._authorities)
        _LOG.info("The renewed certificate is used for new connections")

    def _status(self) -> tuple[_STATUS | None, ...]:
        paths = (self._certificate, self._key, self._authorities)
        return tuple(_status_of(path) for path in paths if path is not None)


def check_tls(certificate: Path, key: Path | None, authorities: Path | None = None) -> None:
    """Raise unless a service can use a certificate and its key, and the authorities of clients.

    Raises
    ------
    UsageError
        If one of the files cannot be read, they are no pair, or OpenSSL refuses them.
    """

    def none() -> str:  # otherwise OpenSSL asks for a passphrase on the terminal
        raise ValueError

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=none)
    except (OSError, ValueError):
        raise UsageError(
            "OSTEON_TLS_CERTIFICATE and OSTEON_TLS_KEY must be readable PEM files of one pair, the "
            "key without a passphrase and strong enough for OpenSSL. Check both files."
        ) from None
    try:
        if authorities is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(authorities)
    except (OSError, ValueError):
        raise UsageError(
            "OSTEON_TLS_CLIENT_AUTHORITIES must be a readable PEM file of certificates. Check it."
        ) from None


def _status_of(path: Path) -> _STATUS | None:
    """Return what changes with a file, or None while it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
