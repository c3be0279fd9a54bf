"""Who could reach the service as it is set, and whether that is allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from data_schema.errors import UsageError
from serving.processes.messages import CachedModel
from serving.settings import Settings

__all__ = ["check_exposure"]


def check_exposure(settings: Settings, address: str, models: Iterable[CachedModel]) -> None:
    """Raise unless it is safe to listen on an address.

    Parameters
    ----------
    settings : Settings
    address : str
        IP address that the service will listen on.
    models : iterable of CachedModel

    Raises
    ------
    UsageError
        If others than this machine could come in without authentication or without TLS, sign in
        with a cookie that is not bound to https, or ask a model that nobody promoted, or if the key
        of the audit trail would lie beside the trail.
    """
    if ipaddress.ip_address(address).is_loopback and not settings.trusted_proxies:
        return
    signs_in = bool(settings.sign_in_issuer or settings.smart_servers)
    is_https = (settings.public_url or "").startswith("https:")
    encrypted = settings.tls_certificate is not None or bool(settings.trusted_proxies)
    wanting = [
        need
        for need, there in (
            ("OSTEON_AUTHENTICATION=required", settings.authentication == "required"),
            ("OSTEON_TLS_CERTIFICATE and OSTEON_TLS_KEY, or OSTEON_TRUSTED_PROXIES", encrypted),
            ("OSTEON_AUDIT_KEY", settings.audit_key is not None),
            ("an OSTEON_PUBLIC_URL of https, to sign in at", not signs_in or is_https),
        )
        if not there
    ]
    if wanting:
        raise UsageError(
            "host must be a loopback address, as 127.0.0.1, unless callers prove who they are and "
            f"the way is encrypted; this one is not. Missing: {'; '.join(wanting)}."
        )
    if not all(model.promoted for model in models):
        raise UsageError(
            "host must be a loopback address for a model without a gate record, which must never "
            "leave the machine. Promote it, or serve it on 127.0.0.1 without a proxy."
        )
