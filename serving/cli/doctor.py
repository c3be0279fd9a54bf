"""What `osteon doctor` says of the service: may it be called, signed in to, and does it give cards?

Nothing is written: no state folder, no key and no record is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from data_schema.biomarkers import is_bone_marker
from data_schema.errors import GateError, OutsideError, UsageError
from data_schema.outcomes import OUTCOMES
from data_schema.variables import base_name
from models.registry.checks import Check
from models.registry.lifecycle import LoadedModel
from serving.access.api_keys import list_keys
from serving.access.exposure import check_exposure
from serving.access.provider import Provider
from serving.audit.head import read_database_head, read_head
from serving.audit.opening import audit_keys, database_of, database_url, head_path
from serving.cds.services import SERVICES, CdsService, model_of
from serving.cli.surroundings import (
    clock,
    database_rights,
    disk,
    fhir_servers,
    tls_certificates,
    token_keys,
)
from serving.prediction.served import Served, ServedModel
from serving.settings import Settings, read_settings
from serving.store.database import database_at

__all__ = ["examine_service"]

_TRAIL = "audit trail"


def examine_service(champions: Sequence[LoadedModel]) -> tuple[Check, ...]:
    """Check settings, surroundings, audit trail, callers, sign-in and cards of the service.

    Parameters
    ----------
    champions : sequence of LoadedModel
        The champions that may be served.
    """
    try:
        settings = read_settings()
    except UsageError as error:
        return (Check("settings", False, str(error), "usage"),)
    checks = [
        _exposure(settings),
        *tls_certificates(settings),
        disk(settings),
        *clock(settings),
        _trail(settings),
        *database_rights(settings),
        *_callers(settings),
        *token_keys(settings),
        *_sign_in(settings),
        *_served(settings, champions),
        *fhir_servers(settings),
    ]
    served, refused = _served_models(settings, champions)
    checks += refused
    checks += [_cards(settings, service, served) for service in SERVICES.values()]
    return tuple(checks)


def _exposure(settings: Settings) -> Check:
    try:
        check_exposure(settings, settings.host, ())
    except UsageError as error:
        return Check("address", False, str(error), "usage")
    except ValueError:
        return Check("address", True, f"{settings.host}, port {settings.port}")
    return Check("address", True, f"{settings.host}, port {settings.port}")


def _trail(settings: Settings) -> Check:
    """Check that the trail exists, and that its heads agree with each other and with the key."""
    try:
        with closing(database_at(database_url(settings))) as database:
            if database.is_missing or database.is_empty():
                return Check(_TRAIL, True, "none yet; the first `osteon serve` creates it")
        keys = audit_keys(settings)
        with closing(database_of(settings)) as database, database.reading() as connection:
            stored = read_database_head(connection)
        signed = read_head(head_path(settings), keys)
    except UsageError as error:
        return Check(_TRAIL, False, str(error), "usage")
    except OutsideError as error:
        return Check(_TRAIL, False, str(error), "outside")
    if stored is None:
        lost = "the database has lost its head. Run `osteon audit verify`"
        return Check(_TRAIL, False, lost, "gate")
    if stored.signature is not None and not stored.is_signed(keys):
        other = "OSTEON_AUDIT_KEY is not the key that the trail was signed with"
        return Check(_TRAIL, False, other, "gate")
    if signed is not None and signed.seq > stored.head.seq:
        count = signed.seq - stored.head.seq
        lost = f"{count} records that this machine knew are missing. Run `osteon audit verify`"
        return Check(_TRAIL, False, lost, "gate")
    where = "SQLite" if database.is_sqlite else "PostgreSQL"
    return Check(_TRAIL, True, f"{stored.head.seq} records in {where}")


def _callers(settings: Settings) -> Iterator[Check]:
    if settings.authentication == "none":
        yield Check("callers", True, "this machine only: OSTEON_AUTHENTICATION is none")
        return
    means = [f"tokens of {issuer}" for issuer in settings.oidc_issuers]
    means += ["client certificates"] if settings.tls_client_roles else []
    try:
        with closing(database_of(settings)) as database:
            listed = list_keys(database, audit_keys(settings))
        roles = sorted({role for key in listed if key.valid and key.genuine for role in key.roles})
        count = sum(key.valid and key.genuine for key in listed)
        unusable = len(listed) - count
        means.insert(0, f"{count} API keys ({', '.join(roles) or 'no role'})")
        if unusable:
            means.append(f"{unusable} keys are expired, revoked or changed")
    except (UsageError, OutsideError, GateError):
        means.insert(0, "API keys cannot be read (see audit trail)")
    yield Check("callers", True, "; ".join(means))


def _sign_in(settings: Settings) -> Iterator[Check]:
    """Check whether clinicians can sign in: at the provider, and from an EHR."""
    if settings.authentication == "none":
        yield Check("sign-in", True, "none: the page is open to this machine")
        return
    if settings.sign_in_issuer is None and not settings.smart_servers:
        yield Check(
            "sign-in",
            True,
            "none, so the page is closed to clinicians. Set OSTEON_SIGN_IN_ISSUER, "
            "OSTEON_SIGN_IN_CLIENT_ID and OSTEON_PUBLIC_URL",
        )
        return
    if settings.sign_in_issuer is not None:
        yield _provider("sign-in", Provider(settings.sign_in_issuer), "/sign-in/callback", settings)
    for server in settings.smart_servers:
        provider = Provider(server, is_ehr=True)
        yield _provider("launch from an EHR", provider, "/launch/callback", settings)


def _provider(name: str, provider: Provider, callback: str, settings: Settings) -> Check:
    try:
        provider.metadata()
    except OutsideError as error:
        return Check(name, False, f"{provider.url}: {error}", "outside")
    roles = (
        f"{len(settings.oidc_role_groups)} groups have roles"
        if settings.oidc_role_groups
        else f"roles come from the claim {settings.oidc_roles_claim}"
    )
    return Check(
        name,
        True,
        f"{provider.url} answers; it must return to {settings.public_url}{callback}; {roles}",
    )


def _served(settings: Settings, champions: Sequence[LoadedModel]) -> Iterator[Check]:
    """Name champions that a setting keeps from being served."""
    if settings.model is not None:
        yield Check("served", True, f"OSTEON_MODEL: {settings.model} only, champion or not")
    elif settings.demo:
        yield Check("served", True, "OSTEON_DEMO: the newest simulated models only")
    else:
        names = [model.name for model in champions]
        left = [name for name in names if settings.names and name not in settings.names]
        shown = ", ".join(name for name in names if name not in left) or "no model"
        more = f"; OSTEON_NAMES leaves out {', '.join(left)}" if left else ""
        yield Check("served", True, f"{shown}{more}")


def _served_models(
    settings: Settings, champions: Sequence[LoadedModel]
) -> tuple[Served, list[Check]]:
    """Return the champions as the service would hold them, and those that it would refuse."""
    models, refused = [], []
    for model in champions:
        if settings.names and model.name not in settings.names:
            continue
        try:
            models.append(ServedModel(model, promoted=True))
        except UsageError as error:
            refused.append(Check(f"champion of {model.name}", False, str(error), "gate"))
    return Served(models, demo=settings.demo), refused


def _cards(settings: Settings, service: CdsService, served: Served) -> Check:
    """Say whether a CDS service can give cards, and what each of them still depends on."""
    name = f"cards of {service.hook}"
    model = model_of(service, served)
    if model is None:
        return Check(name, True, f"none: {_why_no_model(service, served)}")
    lacking = []
    if settings.authentication == "required" and not settings.cds_clients:
        lacking.append("OSTEON_CDS_CLIENTS names no client that may call")
    if not settings.fhir_servers:
        lacking.append("OSTEON_FHIR_SERVERS is empty, so clients must send every prefetch")
    read = {base_name(feature.name) for feature in model.contract.features}
    if not any(is_bone_marker(variable) for variable in read):
        return Check(
            name,
            True,
            f"none: {model.loaded.name} reads no bone marker, so that it has nothing to add to "
            "what the ward knows and stays silent",
        )
    needs = f"; {'; '.join(lacking)}" if lacking else ""
    return Check(
        name,
        True,
        f"of {model.loaded.name}, where a bone marker was measured, the entries are complete or "
        f"partial and the interval is at most 30 points{needs}",
    )


def _why_no_model(service: CdsService, served: Served) -> str:
    outcome = OUTCOMES[service.outcome]
    same = [model for model in served.models if model.contract.outcome == outcome.name]
    if not same:
        return f"no champion of {outcome.name} is served"
    if not served.demo and all(model.contract.simulated for model in same):
        return "the models of this outcome learned from simulated patients (`osteon serve --demo`)"
    others = [model for model in same if model.contract.time_zero != outcome.time_zero]
    if len(others) == len(same):
        zero = others[0].contract.time_zero
        return f"time zero of {others[0].loaded.name} is {zero}, not {outcome.time_zero}"
    return f"several models fit; register one as {outcome.reserved_model}"
