"""Check that the settings do not expose the service to other machines unprotected."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from data_schema.errors import UsageError
from serving.processes.messages import CachedModel
from serving.settings import Settings

__all__ = ["check_exposure"]


def check_exposure(settings: Settings, address: str, models: Iterable[CachedModel]) -> None:
    """Raise unless it is safe to listen on an IP address.

    Raises
    ------
    UsageError
        If other machines could connect without authentication or TLS, sign in with a cookie that is
        not bound to https, or use a model that was not promoted, or if the audit trail's key would
        be stored beside the trail.
    """
    if ipaddress.ip_address(address).is_loopback and not settings.trusted_proxies:
        return
    signs_in = bool(settings.sign_in_issuer or settings.smart_servers)
    is_https = (settings.public_url or "").startswith("https:")
    encrypted = settings.tls_certificate is not None or bool(settings.trusted_proxies)
    missing = [
        need
        for need, is_met in (
            ("OSTEON_AUTHENTICATION=required", settings.authentication == "required"),
            ("OSTEON_TLS_CERTIFICATE and OSTEON_TLS_KEY, or OSTEON_TRUSTED_PROXIES", encrypted),
            ("OSTEON_AUDIT_KEY", settings.audit_key is not None),
            ("an OSTEON_PUBLIC_URL of https, to sign in at", not signs_in or is_https),
        )
        if not is_met
    ]
    if missing:
        raise UsageError(
            "host must be a loopback address such as 127.0.0.1 unless authentication and "
            f"encryption are set. Missing: {'; '.join(missing)}."
        )
    if not all(model.promoted for model in models):
        raise UsageError(
            "host must be a loopback address for a model without a gate record. Promote the model, "
            "or serve it on 127.0.0.1 without a proxy."
        )
