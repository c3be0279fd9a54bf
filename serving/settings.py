"""The settings of the service: one frozen record from `OSTEON_*` environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
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
from serving.access.caller import ROLES
from serving.http.outbound import is_allowed

__all__ = [
    "OTHER_VARIABLES",
    "OWN_PATHS",
    "OtherVariable",
    "RoleGroup",
    "Settings",
    "StatedSettings",
    "read_settings",
    "variable_of",
]

_PREFIX = "OSTEON_"


@dataclass(frozen=True, slots=True)
class OtherVariable:
    """An environment variable that is no setting of the service: its name, an example, its use."""

    name: str
    example: str
    description: str


OTHER_VARIABLES = (
    OtherVariable(
        "OSTEON_GATE_KEY",
        "64 random hexadecimal digits",
        "Secret that signs the gate's records of promoted versions; the service serves no champion "
        "without it.",
    ),
    OtherVariable(
        "OSTEON_PATIENT_KEY",
        "64 random hexadecimal digits",
        "Secret of the keyed fingerprints by which a model recognises patients that it learned "
        "from; by default derived from `OSTEON_GATE_KEY`.",
    ),
    OtherVariable(
        "MLFLOW_TRACKING_URI",
        "postgresql://mlflow:PASSWORD@db.example/mlflow",
        "Address of the MLflow registry that holds the models, the same for training and service; "
        "by default `sqlite:///mlflow.db` in the working directory.",
    ),
    OtherVariable(
        "OSTEON_DATA_DIR",
        "/srv/osteon/data",
        "Folder of the public data sets that are files, for `osteon datasets` and "
        "`osteon benchmark`.",
    ),
)
"""Variables that other parts read."""

OWN_PATHS = frozenset(
    {
        *("cds-services", "facts", "fhir", "health", "launch", "metrics", "monitoring"),
        *("openapi.json", "page"),
        *("sign-in", "sign-out", "signed-out", "static", "timeline", "v1", "v2"),
    }
)
"""First segments of the service's own paths, with which no public path may begin."""

_PUBLIC_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")

# IPv4 addresses as an IPv6 socket sees them.
_MAPPED = IPv6Network("::ffff:0:0/96")


def _split(names: object) -> object:
    if not isinstance(names, str):
        return names
    return tuple(name.strip() for name in names.split(",") if name.strip())


@dataclass(frozen=True, slots=True)
class RoleGroup:
    """A group of the provider, and the role of its members."""

    role: str
    group: str


def _split_role_groups(pairs: object) -> object:
    if not isinstance(pairs, str):
        return pairs
    split = [pair.strip().partition("=") for pair in pairs.split(";") if pair.strip()]
    if not all(role.strip() in ROLES and group.strip() for role, _, group in split):
        raise ValueError(f"must be pairs role=group, of the roles {', '.join(ROLES)}")
    return tuple(RoleGroup(role.strip(), group.strip()) for role, _, group in split)


_RoleGroups = Annotated[tuple[RoleGroup, ...], NoDecode, BeforeValidator(_split_role_groups)]
_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """All settings of the service; `SETTINGS.md` is made from the text below each field."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    host: str = Field(default="127.0.0.1", examples=["0.0.0.0"])
    """Address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535, examples=["8443"])
    """Port to listen on; 0 takes any free one."""
    model: str | None = Field(default=None, examples=["models:/osteon-mortality/3"])
    """Serve only this model URI, promoted or not, on loopback only."""
    demo: bool = Field(default=False, examples=["true"])
    """Serve the newest simulated model of each outcome, on loopback only, with a banner in each
    card; `osteon serve --demo` sets it."""
    names: _Names = Field(default=(), examples=["osteon-mortality,osteon-fracture"])
    """Registered models whose champions are served, comma-separated; by default every `osteon-*`
    that has one."""
    shadow: _Names = Field(default=(), examples=["osteon-mortality@challenger"])
    """Versions that score every request beside the champion of their name, on record and never
    shown, as NAME@ALIAS or NAME/VERSION, comma-separated; `osteon compare` judges them."""
    monitoring_days: int = Field(default=90, ge=1, le=3_650, examples=["180"])
    """Days of predictions that `/monitoring` and the metrics of monitoring look back on."""
    workers: int = Field(default=1, ge=1, le=64, examples=["4"])
    """Number of worker processes."""
    registry_poll_seconds: int = Field(default=30, ge=1, le=86_400, examples=["60"])
    """Interval at which the registry is polled for new champions."""
    shutdown_seconds: int = Field(default=20, ge=1, le=86_400, examples=["60"])
    """Time for requests in progress to finish when the service is stopped."""
    drain_seconds: int = Field(default=5, ge=0, le=3_600, examples=["15"])
    """Time from SIGTERM until the service takes no new connections: `/health/ready` answers 503 and
    every other request is answered, so that load balancers send requests elsewhere. At least their
    interval between two checks; 0 for none, as after SIGINT."""
    keep_alive_seconds: int = Field(default=75, ge=1, le=86_400, examples=["130"])
    """Time for which a connection stays open between two requests: longer than the proxy's time for
    idle connections to the service (60 s in nginx), or a request meets a connection that is being
    closed."""
    log_format: Literal["text", "json"] = Field(default="text", examples=["json"])
    """Form of the log on stderr: lines of text, or one JSON object a line, with request id (that of
    `traceparent` where a client sends one), prediction ids, caller, door, status and milliseconds
    of each request; never a clinical value."""
    telemetry: Literal["none", "otlp"] = Field(default="none", examples=["otlp"])
    """Whether traces and metrics go to an OpenTelemetry collector over OTLP, at the address of
    `OTEL_EXPORTER_OTLP_ENDPOINT` (http/protobuf) and as other `OTEL_*` variables say. Needs
    `pip install osteon[telemetry]`."""
    menu: _Names = Field(default=(), examples=["ctx_s,p1np"])
    """Laboratory tests that the site can order, by catalogue name, comma-separated: the candidates
    of `next_best`. Not a scan, a treatment, a score, a value calculated from others, or a bedside
    reading."""
    # A stay in intensive care has 600 to 823 Observations, 1.4 MB; a batch of 100 panels 2 MB.
    max_body_bytes: int = Field(default=8_388_608, ge=1, examples=["16777216"])
    """Largest request body."""
    state_dir: Path = Field(default=Path(".osteon"), examples=["/var/lib/osteon"])
    """Folder of the service's files on this machine: stored champions, the signed head of the audit
    trail and, by default, its key and the database."""
    database_url: SecretStr | None = Field(
        default=None, examples=["postgresql://osteon:PASSWORD@db.example/osteon"]
    )
    """Database of the audit trail, outcomes, keys and sessions: `sqlite:///FILE` or
    `postgresql://USER:PASSWORD@HOST/NAME`; by default a file in `OSTEON_STATE_DIR`."""
    audit_key: SecretStr | None = Field(default=None, examples=["64 random hexadecimal digits"])
    """Secret that signs the audit trail, at least 16 characters; by default a file in
    `OSTEON_STATE_DIR`."""
    # Ten years: most places require medical records to be stored at least as long.
    audit_retention_days: int = Field(default=3_653, ge=1, le=36_500, examples=["7305"])
    """Days after which `osteon audit prune` may delete a record."""
    authentication: Literal["none", "required"] = Field(default="none", examples=["required"])
    """Whether callers must authenticate; with `none`, only this machine may connect."""
    oidc_issuers: _Names = Field(default=(), examples=["https://id.example/realms/hospital"])
    """Issuers whose bearer tokens are accepted in addition to API keys, comma-separated."""
    oidc_audience: str | None = Field(default=None, validate_default=True, examples=["osteon"])
    """Audience that their tokens must have; required with `OSTEON_OIDC_ISSUERS`."""
    oidc_roles_claim: str = Field(default="roles", examples=["realm_access.roles"])
    """Claim that holds a caller's roles: its name, or the path to it with points."""
    oidc_role_groups: _RoleGroups = Field(
        default=(), examples=["predict=/icu/physicians;predict=CN=ICU,OU=Groups;audit=/it/audit"]
    )
    """Roles of the provider's own groups: pairs `role=group` separated by semicolons. The groups
    are those in `OSTEON_OIDC_ROLES_CLAIM`, such as `groups`; with any pair, a role's own name in
    the claim counts for nothing."""
    requests_per_minute: int = Field(default=1_200, ge=1, le=1_000_000, examples=["6000"])
    """Limit for one caller over all workers of this machine, if authentication is required."""
    tls_certificate: Path | None = Field(default=None, examples=["/etc/osteon/certificate.pem"])
    """File of the certificate; needs `OSTEON_TLS_KEY`."""
    tls_key: Path | None = Field(
        default=None, validate_default=True, examples=["/etc/osteon/key.pem"]
    )
    """File of the certificate's key, without a passphrase; needs `OSTEON_TLS_CERTIFICATE`."""
    trusted_proxies: _Names = Field(default=(), examples=["10.1.2.3,10.2.0.0/16"])
    """Addresses or networks of the proxies that encrypt the connection to callers, comma-separated;
    never every address. Their forwarding headers are trusted, and requests that did not arrive over
    https are refused."""
    tls_client_roles: _RoleGroups = Field(
        default=(), examples=["predict=interface.example;metrics=prometheus.example"]
    )
    """Machines that may call with the certificate of their TLS connection instead of a key: pairs
    `role=name` separated by semicolons, where the name is a DNS name or URI of the certificate, or
    its common name without any. Requires authentication; not for CDS Hooks or browsers."""
    tls_client_header: str | None = Field(default=None, examples=["X-Client-Certificate"])
    """Header in which a proxy of `OSTEON_TRUSTED_PROXIES` passes on the client's certificate as
    URL-encoded PEM, which the proxy must set in every request: in nginx `ssl_verify_client
    optional` and `proxy_set_header X-Client-Certificate $ssl_client_escaped_cert`. Without a proxy
    that ends TLS, leave it out."""
    tls_client_authorities: Path | None = Field(
        default=None, validate_default=True, examples=["/etc/osteon/authorities.pem"]
    )
    """File of the authorities that issue these certificates; needs `OSTEON_TLS_CERTIFICATE` or
    `OSTEON_TLS_CLIENT_HEADER`. A browser with a certificate is asked for it too."""
    public_url: str | None = Field(default=None, examples=["https://host.example/osteon"])
    """Address of the service for callers, with the path under which a proxy offers it: the start of
    the page's links, of the audience of a CDS client's token, and of the address that a sign-in
    returns to."""
    cds_clients: Annotated[Mapping[str, str], NoDecode] = Field(
        default={}, examples=["https://ehr.example=https://ehr.example/jwks.json"]
    )
    """Clients that may call CDS Hooks: comma-separated pairs `iss=jku`, where `iss` is that of a
    client's tokens and `jku` the address of its keys. Requires authentication and
    `OSTEON_PUBLIC_URL`."""
    cds_origins: _Names = Field(default=(), examples=["https://ehr.example"])
    """Web origins whose pages may call CDS Hooks, comma-separated."""
    fhir_servers: _Names = Field(default=(), examples=["https://ehr.example/fhir"])
    """Base addresses of the only FHIR servers from which missing prefetch, and further pages of a
    search sent to `$predict`, are fetched, comma-separated; without any, such calls are answered
    with 412, and such records are refused as incomplete."""
    code_map: Path | None = Field(default=None, examples=["/etc/osteon/concept-map.json"])
    """File of the site's own codes of Observations: a FHIR ConceptMap in JSON to LOINC or to
    `urn:osteon:codes`, or a code map in TOML (`[codes."SYSTEM|CODE"]` with `variable` and, where
    Observations state none, `unit`)."""
    icu_locations: _Names = Field(default=(), examples=["Location/icu-1,Location/icu-2"])
    """References to the site's intensive care units, in addition to units with a code for intensive
    care; comma-separated."""

    sign_in_client_id: str | None = Field(default=None, examples=["osteon"])
    """Registration of the service with the provider of `OSTEON_SIGN_IN_ISSUER`."""
    sign_in_client_secret: SecretStr | None = Field(default=None, examples=["SECRET"])
    """Secret of that registration; without it, a public client."""
    sign_in_scope: str = Field(default="openid profile", examples=["openid profile groups"])
    """Scope of the sign-in."""
    sign_in_issuer: str | None = Field(
        default=None, examples=["https://id.example/realms/hospital"]
    )
    """OpenID Connect provider at which clinicians sign in to the page. Requires authentication and
    `OSTEON_PUBLIC_URL`, whose `/sign-in/callback` must be registered with the provider. Roles come
    from `OSTEON_OIDC_ROLES_CLAIM` of the identity token."""
    session_idle_minutes: int = Field(default=15, ge=2, le=525_600, examples=["10"])
    """Time without use after which a clinician is signed out."""
    session_hours: int = Field(default=12, ge=1, le=8_760, examples=["8"])
    """Time after which a clinician is signed out in any case."""
    smart_client_id: str | None = Field(default=None, examples=["osteon"])
    """Registration of the service with the EHR of `OSTEON_SMART_SERVERS`."""
    smart_client_secret: SecretStr | None = Field(default=None, examples=["SECRET"])
    """Secret of that registration; without it, a public client."""
    smart_servers: _Names = Field(default=(), examples=["https://ehr.example/fhir"])
    """Base addresses of the only FHIR servers whose EHR may open the page (SMART App Launch,
    `/launch`, returning to `/launch/callback`), comma-separated. Users from there have the role
    `predict` only. The EHR must open the page in its own window: it cannot be framed."""

    @property
    def public_path(self) -> str:
        """The path under which a proxy offers the service, as `/osteon`; empty for none."""
        return urlsplit(self.public_url or "").path

    @property
    def follows_registry(self) -> bool:
        """Whether champions are served, and replaced when the registry has new ones."""
        return self.model is None and not self.demo

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
        url = url.rstrip("/")
        parts = urlsplit(url)
        path = parts.path
        if not _PUBLIC_PATH.fullmatch(path) or url != f"{parts.scheme}://{parts.netloc}{path}":
            raise ValueError("must end with its path, of letters, digits and . _ ~ - only")
        if path and path.split("/")[1] in OWN_PATHS:
            raise ValueError("must have a path that does not begin like one of the service's own")
        return url

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

    @field_validator("tls_client_authorities")
    @classmethod
    def _check_authorities(cls, authorities: Path | None, info: ValidationInfo) -> Path | None:
        stated = info.data
        if (authorities is None) != (not stated.get("tls_client_roles")):
            raise ValueError("must be stated with tls_client_roles")
        if stated.get("tls_client_header") and not stated.get("trusted_proxies"):
            raise ValueError("must be stated with trusted_proxies if tls_client_header is")
        shows_certificates = stated.get("tls_certificate") or stated.get("tls_client_header")
        if authorities is not None and (
            not shows_certificates or stated.get("authentication") != "required"
        ):
            raise ValueError(
                "must be stated with authentication=required and tls_certificate or "
                "tls_client_header"
            )
        return authorities

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
    demo: bool
    cds_origins: tuple[str, ...]
    names: tuple[str, ...]
    shadow: tuple[str, ...]
    workers: int


def read_settings(**stated: Unpack[StatedSettings]) -> Settings:
    """Return the settings of the environment, overridden by those stated.

    Raises
    ------
    UsageError
        If an `OSTEON_*` variable is unknown or breaks a rule. The message names it without its
        value, which may be a secret, except for names of the catalogue in a menu.
    """
    known = {variable_of(name) for name in Settings.model_fields}
    known |= {other.name for other in OTHER_VARIABLES}
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


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return _PREFIX + name.upper()


def _broken_rule(error: ErrorDetails) -> str:
    """Return a setting and the rule it broke; pydantic's own text may hold its value."""
    name = variable_of(str(error["loc"][0]))
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
