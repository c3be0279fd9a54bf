from __future__ import annotations

import re

import pytest
from pydantic import ValidationError
from uvicorn.middleware.proxy_headers import _TrustedHosts

from data_schema.errors import UsageError
from serving.settings import Settings, read_settings


def test_the_default_listens_on_loopback_only() -> None:
    assert read_settings().host == "127.0.0.1"


def test_settings_come_from_prefixed_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_PORT", "8123")
    monkeypatch.setenv("OSTEON_NAMES", "osteon-mortality, osteon-fracture")
    settings = read_settings()
    assert settings.port == 8123
    assert settings.names == ("osteon-mortality", "osteon-fracture")


def test_what_is_stated_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_PORT", "8123")
    assert read_settings(port=0).port == 0


def test_an_unknown_prefixed_variable_fails_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_PROT", "8123")
    with pytest.raises(UsageError, match="OSTEON_PROT") as raised:
        read_settings()
    assert "8123" not in str(raised.value)


@pytest.mark.parametrize("name", ["OSTEON_GATE_KEY", "OSTEON_DATA_DIR"])
def test_a_variable_that_another_part_reads_is_no_slip(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "anything")
    read_settings()


@pytest.mark.parametrize("port", ["not-a-port-4711", "65536", "-1"])
def test_a_setting_that_breaks_its_rule_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("OSTEON_PORT", port)
    with pytest.raises(UsageError, match="OSTEON_PORT") as raised:
        read_settings()
    assert port not in str(raised.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


@pytest.mark.parametrize(
    "name",
    [
        *("apache2", "gcs", "aki_stage", "uncoupling_index", "rankl_opg_ratio", "pf_ratio", "egfr"),
        *("sampling_hour", "map", "fio2", "bmd_hip", "l1_hu", "denosumab", "biotin", "age", "sex"),
    ],
)
def test_a_menu_holds_only_what_a_laboratory_measures(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OSTEON_MENU", f"ctx_s, {name}")
    with pytest.raises(UsageError, match=f"OSTEON_MENU must name laboratory .*; got {name}\\."):
        read_settings()


def test_what_is_not_in_the_catalogue_is_counted_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OSTEON_MENU", "ctx_s,no-such-4711,neither-4711")
    with pytest.raises(UsageError, match=r"OSTEON_MENU must .* names not in it: 2") as raised:
        read_settings()
    assert "4711" not in str(raised.value)


@pytest.mark.parametrize(
    "proxies",
    [
        *("*", "10.0.0.1,proxy.example", "10.0.0.1/33"),
        *("0.0.0.0/0", "::/0", "::ffff:0:0/96", "::/64"),
    ],
)
def test_trusted_proxies_are_addresses_and_never_everybody(
    monkeypatch: pytest.MonkeyPatch, proxies: str
) -> None:
    monkeypatch.setenv("OSTEON_TRUSTED_PROXIES", proxies)
    with pytest.raises(
        UsageError, match="OSTEON_TRUSTED_PROXIES must be addresses or networks of proxies"
    ) as raised:
        read_settings()
    assert proxies not in str(raised.value)


def test_a_network_of_proxies_may_be_written_by_any_of_its_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OSTEON_TRUSTED_PROXIES", "10.1.2.3/16, 192.0.2.1, fd00::1")
    trusted = _TrustedHosts(list(read_settings().trusted_proxies))
    for proxy in ("10.1.2.3", "10.1.255.1", "192.0.2.1", "fd00::1"):
        assert proxy in trusted
    for other in ("10.2.0.1", "192.0.2.2", "fd00::2"):
        assert other not in trusted


def test_a_proxy_is_known_by_its_ipv4_address_on_a_socket_of_ipv6_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OSTEON_TRUSTED_PROXIES", "10.1.0.0/16, 192.0.2.1")
    trusted = _TrustedHosts(list(read_settings().trusted_proxies))
    for proxy in ("::ffff:10.1.2.3", "::ffff:192.0.2.1"):
        assert proxy in trusted
    for other in ("::ffff:10.2.0.1", "::ffff:192.0.2.2", "::10.1.2.3"):
        assert other not in trusted


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("PORT", "99999", "(at most 65535)"),
        ("PORT", "-47110", "(at least 0)"),
        ("PORT", "one-4711", "(a whole number)"),
        ("AUTHENTICATION", "secret-4711", "(one of 'none' or 'required')"),
        ("AUDIT_RETENTION_DAYS", "9" * 30, "(at most 36500)"),
        ("REGISTRY_POLL_SECONDS", "9" * 30, "(at most 86400)"),
        ("SHUTDOWN_SECONDS", "9" * 400, "(at most 86400)"),
        ("REQUESTS_PER_MINUTE", "9" * 400, "(at most 1000000)"),
        ("SESSION_HOURS", "9" * 30, "(at most 8760)"),
        ("SESSION_IDLE_MINUTES", "9" * 30, "(at most 525600)"),
        ("PUBLIC_URL", "nonsense-4711", "must be an http or https address with a host"),
    ],
)
def test_a_broken_rule_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, rule: str
) -> None:
    monkeypatch.setenv(f"OSTEON_{name}", value)
    with pytest.raises(UsageError, match=re.escape(f"OSTEON_{name} {rule}.")) as raised:
        read_settings()
    assert value not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["https://", "https:osteon.example", "ftp://osteon.example", "https://osteon:port"]
)
def test_a_public_url_has_a_host_that_a_browser_can_reach(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("OSTEON_PUBLIC_URL", url)
    with pytest.raises(UsageError, match="OSTEON_PUBLIC_URL must be an http or https address"):
        read_settings()


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://host.example/a b", "of letters, digits"),
        ("https://host.example/osteon?site=1", "of letters, digits"),
        ("https://host.example/osteon#top", "of letters, digits"),
        ("https://host.example/osteon//x", "of letters, digits"),
        ("https://host.example/fhir", "does not begin like one of the service's own"),
        ("https://host.example/v1/osteon", "does not begin like one of the service's own"),
    ],
)
def test_a_public_path_is_one_that_no_route_is_mistaken_for(
    monkeypatch: pytest.MonkeyPatch, url: str, rule: str
) -> None:
    monkeypatch.setenv("OSTEON_PUBLIC_URL", url)
    with pytest.raises(UsageError, match=f"OSTEON_PUBLIC_URL must .*{rule}"):
        read_settings()


def test_the_public_path_is_the_path_of_the_public_url() -> None:
    for url, path in (
        (None, ""),
        ("https://host.example", ""),
        ("https://host.example/", ""),
        ("https://host.example/osteon/", "/osteon"),
        ("https://host.example:8443/icu/osteon", "/icu/osteon"),
    ):
        assert Settings(public_url=url).public_path == path
