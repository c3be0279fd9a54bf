"""What `osteon doctor` says of what surrounds the service: disk, clock, certificates, servers.

Nothing is written, and no part of an answer of another server is shown.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from sqlalchemy import func, select

from data_schema.errors import OutsideError, UsageError
from models.registry.checks import Check
from serving.access.published_keys import keys_in
from serving.access.signed_claims import LEEWAY_SECONDS
from serving.access.tokens import key_set_of
from serving.audit.opening import database_url
from serving.http.outbound import Unreachable, get_json, stated_time
from serving.processes.tls_files import check_tls
from serving.settings import Settings
from serving.store.database import database_at
from serving.store.rights import lacking_rights

__all__ = ["clock", "database_rights", "disk", "fhir_servers", "tls_certificates", "token_keys"]

_LEAST_FREE_BYTES = 200_000_000
_LEAST_FREE_FILES = 1_000
_RENEW_WITHIN = timedelta(days=14)
_SECONDS = 5.0


def disk(settings: Settings) -> Check:
    """Check that the state folder, and a database file elsewhere, can grow."""
    places = [settings.state_dir]
    url = database_url(settings)
    if url.startswith("sqlite:///"):
        places.append(Path(url.removeprefix("sqlite:///")).parent)
    shown = []
    for place in places:
        folder = next(
            above for above in (place.absolute(), *place.absolute().parents) if above.is_dir()
        )
        if not os.access(folder, os.W_OK):
            return Check(
                "disk",
                False,
                f"{folder} is not writable. Check its owner, or mount a volume there.",
                "outside",
            )
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        few_files = status.f_files > 0 and status.f_favail < _LEAST_FREE_FILES
        if free < _LEAST_FREE_BYTES or few_files:
            left = f"{status.f_favail} files" if few_files else f"{free / 1e6:.0f} MB"
            return Check(
                "disk",
                False,
                f"{left} are free where {folder} lies. Without a record no prediction is answered "
                f"(503): free at least {_LEAST_FREE_BYTES / 1e6:.0f} MB, or move OSTEON_STATE_DIR",
                "outside",
            )
        shown.append(f"{free / 1e9:.1f} GB free for {place}")
    return Check("disk", True, "; ".join(dict.fromkeys(shown)))


def database_rights(settings: Settings) -> Iterator[Check]:
    """Check that the role of PostgreSQL may do what serving needs."""
    try:
        with closing(database_at(database_url(settings))) as database:
            if database.is_sqlite:
                return
            with database.reading() as connection:
                lacking = lacking_rights(connection)
    except (UsageError, OutsideError):
        return  # the check of the audit trail says why
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        yield Check(
            "database role",
            False,
            f"the role of OSTEON_DATABASE_URL lacks {', '.join(lacking[:3])}{more}. Let it own the "
            "tables, or grant it these rights",
            "outside",
        )
    else:
        yield Check("database role", True, "may read and write every table")


def tls_certificates(settings: Settings) -> Iterator[Check]:
    """Check the certificates of the service, and of the proxy at its public address."""
    if settings.tls_certificate is not None:
        try:
            check_tls(settings.tls_certificate, settings.tls_key, settings.tls_client_authorities)
            loaded = x509.load_pem_x509_certificate(settings.tls_certificate.read_bytes())
        except UsageError as error:
            yield Check("certificate", False, str(error), "usage")
        except (OSError, ValueError):
            bad = "OSTEON_TLS_CERTIFICATE must be a readable PEM file of a certificate. Check it."
            yield Check("certificate", False, bad, "usage")
        else:
            yield _dated("certificate", loaded, f"{settings.tls_certificate}", "usage")
    public = urlsplit(settings.public_url or "")
    if public.scheme == "https" and public.hostname and settings.trusted_proxies:
        shown = _certificate_at(public.hostname, public.port or 443)
        name = "public address"
        if shown is None:
            yield Check(name, True, f"{settings.public_url} cannot be reached from this machine")
        else:
            yield _dated(name, shown, str(settings.public_url), "outside")


def _dated(
    name: str, certificate: x509.Certificate, where: str, trouble: Literal["usage", "outside"]
) -> Check:
    """Check the dates of a certificate."""
    now = datetime.now(UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        what = f"the certificate of {where} expired on {ends:%Y-%m-%d}: callers refuse it. Renew it"
        return Check(name, False, what, trouble)
    if begins > now:
        what = f"the certificate of {where} is valid from {begins:%Y-%m-%d} only. Check the clock"
        return Check(name, False, what, trouble)
    soon = ". Renew it now" if ends - now < _RENEW_WITHIN else ""
    return Check(name, True, f"{where} is valid until {ends:%Y-%m-%d}{soon}")


def _certificate_at(host: str, port: int) -> x509.Certificate | None:
    """Return the certificate that an address shows, whether it is trusted or not."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            shown = encrypted.getpeercert(binary_form=True)
        return None if shown is None else x509.load_der_x509_certificate(shown)
    except (OSError, ValueError):
        return None


def clock(settings: Settings) -> Iterator[Check]:
    """Compare this machine's clock with those of its database, providers and FHIR servers."""
    seen: dict[str, timedelta] = {}
    try:
        with closing(database_at(database_url(settings))) as database:
            if not database.is_sqlite:
                with database.reading() as connection:
                    there = connection.execute(select(func.clock_timestamp())).scalar_one()
                    seen["PostgreSQL"] = datetime.now(UTC) - there
    except (UsageError, OutsideError):
        pass  # the check of the audit trail says why
    issuers = (*settings.oidc_issuers, *filter(None, (settings.sign_in_issuer,)))
    for server in dict.fromkeys((*issuers, *settings.fhir_servers, *settings.smart_servers)):
        stated = stated_time(server, seconds=_SECONDS)
        if stated is not None:
            seen[server] = datetime.now(UTC) - stated
    if not seen:
        return
    where, most = max(seen.items(), key=lambda pair: abs(pair[1]))
    seconds = most.total_seconds()
    if abs(seconds) <= LEEWAY_SECONDS:
        yield Check("clock", True, f"within {abs(seconds):.0f} s of {', '.join(seen)}")
        return
    side = "ahead of" if seconds > 0 else "behind"
    yield Check(
        "clock",
        False,
        f"{abs(seconds):.0f} s {side} {where}: sign-ins and tokens are refused beyond "
        f"{LEEWAY_SECONDS} s. Synchronise both clocks (NTP)",
        "outside",
    )


def token_keys(settings: Settings) -> Iterator[Check]:
    """Check that the signers of tokens publish their keys: issuers, and clients of CDS Hooks."""
    signers = {url: partial(key_set_of, url) for url in settings.oidc_issuers}
    signers |= {client: partial(get_json, jku) for client, jku in settings.cds_clients.items()}
    for signer, fetch in signers.items():
        name = "tokens" if signer in settings.oidc_issuers else "CDS client"
        try:
            count = len(keys_in(fetch()))
        except Unreachable as error:
            yield Check(name, False, f"{signer}: {error} Its tokens are refused", "outside")
        except (KeyError, TypeError, AttributeError, ValueError):
            broken = f"{signer}: its keys must be a JSON Web Key Set. Its tokens are refused"
            yield Check(name, False, broken, "outside")
        else:
            yield Check(
                name, count > 0, f"{signer} publishes {count} keys", "" if count else "outside"
            )


def fhir_servers(settings: Settings) -> Iterator[Check]:
    """Check that the FHIR servers that records are fetched from answer."""
    for server in settings.fhir_servers:
        answers = stated_time(f"{server}/metadata", seconds=_SECONDS) is not None
        lost = "does not answer: cards without a full prefetch are refused (412)"
        yield Check(
            "FHIR server",
            answers,
            f"{server} {'answers' if answers else lost}",
            "" if answers else "outside",
        )
