"""Callers that TLS identifies by the certificate of their machine.

The service reads it from its own TLS connection, or from the header of a trusted proxy that ends
TLS. A proxy proves that the machine holds the key; the service checks the issuer itself, since a
proxy may be set to pass any certificate on.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from starlette.types import Scope

from data_schema.errors import UsageError
from serving.access.caller import Caller
from serving.settings import Settings

__all__ = ["NAMES", "PEER", "MachineCallers", "certificate_names"]

NAMES = "certificate_names"
"""Where the state of a scope holds the names in the certificate of the connection."""
PEER = "peer"
"""Where it holds the address at the other end of the connection, which may be a proxy's."""

# Sent by browsers, which add a certificate to requests of any site.
_OF_BROWSERS = frozenset({b"origin", b"sec-fetch-site"})


def certificate_names(connection: ssl.SSLObject) -> tuple[str, ...]:
    """Return the names in the verified certificate of a connection; none without one."""
    der = connection.getpeercert(binary_form=True)
    return () if der is None else _names(x509.load_der_x509_certificate(der))


class MachineCallers:
    """The machines that the settings name, by the names in their certificates.

    Raises
    ------
    UsageError
        If the file of the authorities cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._roles = settings.tls_client_roles
        self._header = (settings.tls_client_header or "").casefold().encode()
        self._proxies = [ipaddress.ip_network(proxy) for proxy in settings.trusted_proxies]
        self._authorities: list[x509.Certificate] = []
        if self._header and settings.tls_client_authorities is not None:
            try:
                text = settings.tls_client_authorities.read_bytes()
                self._authorities = x509.load_pem_x509_certificates(text)
            except (OSError, ValueError):
                raise UsageError(
                    "OSTEON_TLS_CLIENT_AUTHORITIES must be a readable PEM file of certificates. "
                    "Check it."
                ) from None

    def caller(self, scope: Scope) -> Caller | None:
        """Return the machine that the certificate of a request identifies, or None."""
        if not self._roles or any(name in _OF_BROWSERS for name, _ in scope["headers"]):
            return None
        for name in (*scope["state"].get(NAMES, ()), *self._passed_on(scope)):
            granted = frozenset(one.role for one in self._roles if one.group == name)
            if granted:
                return Caller(f"tls:{name}", granted)
        return None

    def _passed_on(self, scope: Scope) -> tuple[str, ...]:
        """Return the names in the certificate that a trusted proxy passes on."""
        stated = [text for name, text in scope["headers"] if name == self._header]
        if len(stated) != 1 or not self._is_proxy(scope["state"].get(PEER, "")):
            return ()
        try:
            pem = unquote(str(stated[0], "latin-1")).encode("latin-1")
            certificate = x509.load_pem_x509_certificate(pem)
            return _names(certificate) if self._is_valid(certificate) else ()
        except ValueError:  # empty, or no certificate that can be read
            return ()

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def _is_valid(self, certificate: x509.Certificate) -> bool:
        """Return whether one of the authorities issued a certificate, for the present time."""
        if (
            not certificate.not_valid_before_utc
            <= datetime.now(UTC)
            <= (certificate.not_valid_after_utc)
        ):
            return False
        return any(_is_issuer(authority, certificate) for authority in self._authorities)


def _is_issuer(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names and URIs of a certificate, or its common name without any."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        alternatives: Iterable[str] = ()
    else:
        kinds = (x509.DNSName, x509.UniformResourceIdentifier)
        alternatives = (
            name for kind in kinds for name in extension.value.get_values_for_type(kind)
        )
    if names := tuple(alternatives):
        return names
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return tuple(str(one.value) for one in common)
