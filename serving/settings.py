"""The settings of the service: one frozen record from `OSTEON_*` environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Unpack
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from typing_extensions import TypedDict

from data_schema.biomarkers import VARIABLES, is_laboratory_test
from data_schema.errors import UsageError
from serving.http.outbound import is_allowed

__all__ = ["Settings", "StatedSettings", "read_settings"]

_PREFIX = "OSTEON_"

# Read by other parts under the same prefix.
_KNOWN_ELSEWHERE = frozenset({"OSTEON_DATA_DIR", "OSTEON_GATE_KEY", "OSTEON_PATIENT_KEY"})

# IPv4 addresses as an IPv6 socket sees them.
_MAPPED = IPv6Network("::ffff:0:0/96")


def _split(names: object) -> object:
    if not isinstance(names, str):
        return names
    return tuple(name.strip() for name in names.split(",") if name.strip())


_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """All settings of the service.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        Port to listen on; 0 takes any free one.
    model : str or None
        Serve only this model URI, promoted or not, on loopback only.
    names : tuple of str
        Registered models whose champions are served (comma-separated in the environment; default:
        every `osteon-*` that has one).
    workers : int
        Number of worker processes.
    registry_poll_seconds : int
        Interval at which the registry is polled for new champions.
    shutdown_seconds : int
        Time for requests in progress to finish when the service is stopped.
    menu : tuple of str
        Laboratory tests that the site can order, by catalogue name, comma-separated in the
        environment: the candidates of `next_best` (default: none). Not a scan, a treatment, a
        score, a value calculated from others, or a bedside reading.
    max_body_bytes : int
        Largest request body.
    state_dir : Path
        Folder of the service's files on this machine: stored champions, the signed head of the
        audit trail and, by default, its key and the database.
    database_url : str or None
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME` (default: a file in
        `state_dir`).
    audit_key : str or None
        Secret that signs the audit trail (default: a file in `state_dir`).
    audit_retention_days : int
        Days after which `osteon audit prune` may delete a record.
    authentication : {"none", "required"}
        Whether callers must authenticate; with `none`, only this machine may connect.
    oidc_issuers : tuple of str
        Issuers whose bearer tokens are accepted in addition to API keys, comma-separated in the
        environment.
    oidc_audience : str or None
        Audience that their tokens must have; required with `oidc_issuers`.
    oidc_roles_claim : str
        Claim that holds a caller's roles, as `roles` or `realm_access.roles`.
    requests_per_minute : int
        Limit for one caller over all workers of this machine, if authentication is required.
    tls_certificate, tls_key : Path or None
        Files of the certificate and its key; both or none.
    trusted_proxies : tuple of str
        Addresses or networks of the proxies that encrypt the connection to callers, comma-separated
        in the environment; never every address. Their forwarding headers are trusted, and requests
        that did not arrive over https are refused.
    public_url : str or None
        Address of the service for callers, as `https://osteon.example`: the start of the audience
        of a CDS client's token, and of the address that a sign-in returns to.
    cds_clients : mapping of str to str
        Clients that may call CDS Hooks: `iss` of a client's tokens -> address of its keys (`jku`);
        in the environment pairs `iss=jku`, comma-separated. Requires authentication and
        `public_url`.
    cds_origins : tuple of str
        Web origins whose pages may call CDS Hooks, as `https://ehr.example`, comma-separated in the
        environment.
    fhir_servers : tuple of str
        Base addresses of the only FHIR servers from which missing prefetch is fetched,
        comma-separated in the environment; without any, such calls are answered with 412.
    icu_locations : tuple of str
        References to the site's intensive care units, as `Location/icu-1`, in addition to units
        with a code for intensive care; comma-separated in the environment.
    sign_in_issuer : str or None
        OpenID Connect provider at which clinicians sign in to the page. Requires authentication and
        `public_url`, whose `/sign-in/callback` must be registered with the provider. Roles come
        from `oidc_roles_claim` of the identity token.
    sign_in_client_id, sign_in_client_secret : str or None
        Registration of the service with the provider; without a secret, a public client.
    sign_in_scope : str
        Scope of the sign-in.
    session_idle_minutes : int
        Time without use after which a clinician is signed out.
    session_hours : int
        Time after which a clinician is signed out in any case.
    smart_servers : tuple of str
        Base addresses of the only FHIR servers whose EHR may open the page (SMART App Launch,
        `/launch`, returning to `/launch/callback`), comma-separated in the environment. Users from
        there have the role `predict` only. The EHR must open the page in its own window: it cannot
        be framed.
    smart_client_id, smart_client_secret : str or None
        Registration of the service with the EHR.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    model: str | None = None
    names: _Names = ()
    workers: int = Field(default=1, ge=1, le=64)
    registry_poll_seconds: int = Field(default=30, ge=1, le=86_400)
    shutdown_seconds: int = Field(default=20, ge=1, le=86_400)
    menu: _Names = ()
    max_body_bytes: int = Field(default=1_048_576, ge=1)
    state_dir: Path = Path(".osteon")
    database_url: SecretStr | None = None
    audit_key: SecretStr | None = None
    # Ten years: most places require medical records to be stored at least as long.
    audit_retention_days: int = Field(default=3_653, ge=1, le=36_500)
    authentication: Literal["none", "required"] = "none"
    oidc_issuers: _Names = ()
    oidc_audience: str | None = Field(default=None, validate_default=True)
    oidc_roles_claim: str = "roles"
    requests_per_minute: int = Field(default=1_200, ge=1, le=1_000_000)
    tls_certificate: Path | None = None
    tls_key: Path | None = Field(default=None, validate_default=True)
    trusted_proxies: _Names = ()
    public_url: str | None = None
    cds_clients: Annotated[Mapping[str, str], NoDecode] = {}
    cds_origins: _Names = ()
    fhir_servers: _Names = ()
    icu_locations: _Names = ()

    sign_in_client_id: str | None = None
    sign_in_client_secret: SecretStr | None = None
    sign_in_scope: str = "openid profile"
    sign_in_issuer: str | None = None
    session_idle_minutes: int = Field(default=15, ge=2, le=525_600)
    session_hours: int = Field(default=12, ge=1, le=8_760)
    smart_client_id: str | None = None
    smart_client_secret: SecretStr | None = None
    smart_servers: _Names = ()

    @property
    def model_dir(self) -> Path:
        """Folder of the models stored on this machine."""
        return self.state_dir / "models"

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        try:
            networks = [ip_network(proxy, strict=False) for proxy in proxies]
        except ValueError:
            raise ValueError("must be addresses or networks of proxies") from None
        ipv6 = (network for network in networks if isinstance(network, IPv6Network))
        if any(network.prefixlen == 0 for network in networks) or any(map(_MAPPED.subnet_of, ipv6)):
            raise ValueError("must be addresses or networks of proxies, none of every address")
        # An address with bits beyond its prefix would be taken for a name and match no proxy.
        return tuple(dict.fromkeys(str(form) for network in networks for form in _seen_as(network)))

    @field_validator("menu")
    @classmethod
    def _check_menu(cls, menu: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sum(name not in VARIABLES for name in menu)
        if unknown:
            raise ValueError(
                f"must name laboratory tests of the catalogue; names not in it: {unknown}"
            )
        others = [name for name in menu if not is_laboratory_test(name)]
        if others:
            raise ValueError(
                f"must name laboratory tests that can be ordered; got {', '.join(others)}"
            )
        return menu

    @field_validator("cds_clients", mode="before")
    @classmethod
    def _pairs(cls, clients: object) -> object:
        if not isinstance(clients, str):
            return clients
        pairs = [pair.strip().partition("=") for pair in clients.split(",") if pair.strip()]
        if not all(issuer and jku for issuer, _, jku in pairs):
            raise ValueError("must be pairs iss=jku")
        return {issuer: jku for issuer, _, jku in pairs}

    @field_validator("cds_clients")
    @classmethod
    def _check_clients(cls, clients: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        if clients and (
            info.data.get("authentication") != "required" or not info.data.get("public_url")
        ):
            raise ValueError("must be stated with authentication=required and public_url")
        if not all(is_allowed(jku) for jku in clients.values()):
            raise ValueError("must name keys at https addresses")
        return clients

    @field_validator("fhir_servers")
    @classmethod
    def _check_fhir_servers(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_allowed(server) and "?" not in server for server in servers):
            raise ValueError("must be https addresses")
        return tuple(server.rstrip("/") for server in servers)

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str | None) -> str | None:
        if not url:
            return None
        if not _is_web_address(url):
            raise ValueError("must be an http or https address with a host")
        return url.rstrip("/")

    @field_validator("sign_in_issuer", "smart_servers")
    @classmethod
    def _check_sign_in(
        cls, given: str | tuple[str, ...] | None, info: ValidationInfo
    ) -> str | tuple[str, ...] | None:
        if not given:
            return given
        client = f"{str(info.field_name).rpartition('_')[0]}_client_id"
        stated = info.data
        if stated.get("authentication") != "required" or not stated.get(client):
            raise ValueError(f"must be stated with authentication=required and {client}")
        addresses = given if isinstance(given, tuple) else (given,)
        # Over http others could steal a session; is_allowed accepts it on this machine only.
        if not all(is_allowed(url) for url in (*addresses, stated.get("public_url") or "")):
            raise ValueError("must be https addresses, and so must public_url")
        return given

    @field_validator("oidc_audience")
    @classmethod
    def _check_audience(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if not audience and info.data.get("oidc_issuers"):
            raise ValueError("must be stated with oidc_issuers")
        return audience

    @field_validator("tls_key")
    @classmethod
    def _check_key_pair(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_certificate") is None):
            raise ValueError("must be stated with tls_certificate")
        return key


class StatedSettings(TypedDict, total=False):
    """Settings that options of `osteon serve` state; they override the environment's."""

    host: str
    port: int
    model: str
    names: tuple[str, ...]
    workers: int


def read_settings(**stated: Unpack[StatedSettings]) -> Settings:
    """Return the settings of the environment, overridden by those stated.

    Raises
    ------
    UsageError
        If an `OSTEON_*` variable is unknown or breaks a rule. The message names it without its
        value, which may be a secret, except for names of the catalogue in a menu.
    """
    known = {_PREFIX + name.upper() for name in Settings.model_fields} | _KNOWN_ELSEWHERE
    # pydantic-settings ignores unknown environment variables; a misspelt one must be reported.
    unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)
    if unknown:
        raise UsageError(
            f"environment must hold only known {_PREFIX}* variables; got {', '.join(unknown)}. "
            f"Known are {', '.join(sorted(known))}."
        )
    try:
        return Settings(**stated)
    except ValidationError as error:
        broken = [_broken_rule(details) for details in error.errors()]
    raise UsageError(f"settings must be valid. Check: {'; '.join(broken)}.")


def _broken_rule(error: ErrorDetails) -> str:
    """Return a setting and the rule it broke; pydantic's own text may hold its value."""
    name = f"{_PREFIX}{str(error['loc'][0]).upper()}"
    if error["type"] == "value_error":
        return f"{name} {error['ctx']['error']}"
    for key, words in (("ge", "at least"), ("le", "at most"), ("expected", "one of")):
        if key in error.get("ctx", {}):
            return f"{name} ({words} {error['ctx'][key]})"
    return f"{name} ({'a whole number' if error['type'] == 'int_parsing' else error['type']})"


def _seen_as(network: IPv4Network | IPv6Network) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return a network as an IPv4 socket sees it, and as a dual-stack IPv6 socket does."""
    if isinstance(network, IPv6Network):
        return (network,)
    mapped = int(_MAPPED.network_address) | int(network.network_address)
    return network, IPv6Network((mapped, _MAPPED.prefixlen + network.prefixlen))


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host)
