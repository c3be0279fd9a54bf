"""Signing in to the page at a real OpenID Connect provider, and what must let nobody in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import ValidationError

from data_schema.errors import UsageError
from predict_requests import VALID
from serving.access import provider as provider_module
from serving.access.exposure import check_exposure
from serving.audit.export import audit_event
from serving.page import assets
from serving.settings import RoleGroup, Settings, read_settings
from signing_in import HTML, Trail, approve, begin, csrf, session_cookie, sign_in


def test_a_browser_is_sent_to_sign_in_and_a_program_gets_401(client: httpx.Client) -> None:
    for path in ("/", "/facts/mortality-simulated"):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 303
        sent_to = urlsplit(answer.headers["location"])
        assert sent_to.path == "/sign-in"
        assert parse_qs(sent_to.query)["to"] == [path]
        assert client.get(path).status_code == 401
    assert client.get("/v1/models", headers=HTML).status_code == 401
    assert client.post("/v1/predict", json=VALID, headers=HTML).status_code == 401
    assert client.get("/page/session").status_code == 401


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_a_clinician_signs_in_predicts_and_signs_out(
    client: httpx.Client, provider: Any, trail_of: Trail, kind: str
) -> None:
    provider.sign_as(kind)
    answer = sign_in(client)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert client.get("/", headers=HTML).status_code == 200
    about = client.get("/page/session").json()
    assert about["name"] == "Dr. Ada Moreau"
    assert about["idle_seconds"] == 900
    assert client.post("/v1/predict", json=VALID, headers=csrf(client)).status_code == 200
    answer = client.post("/sign-out", headers=csrf(client))
    out = urlsplit(answer.json()["to"])
    assert f"{out.scheme}://{out.netloc}{out.path}" == f"{provider.url}/end-session"
    asked = parse_qs(out.query)
    assert asked["post_logout_redirect_uri"] == [str(client.base_url.join("/signed-out"))]
    assert len(asked["id_token_hint"][0].split(".")) == 3
    assert client.get("/v1/models").status_code == 401
    records = trail_of()
    actor = f"oidc:{provider.url}|clinician-7"
    assert [(one["action"], one["actor"], one["status"]) for one in records[:3]] == [
        ("sign_in", actor, "ok"),
        ("predict", actor, "ok"),
        ("sign_out", actor, "ok"),
    ]
    assert records[0]["detail"]["roles"] == ["predict"]
    assert "Moreau" not in str(records)


def test_the_provider_is_asked_for_its_document_and_keys_once(
    service: Callable[..., tuple[httpx.Client, Settings]], provider: Any
) -> None:
    client, _ = service()
    for _ in range(3):
        assert sign_in(client).status_code == 303
    assert provider.asked.count("/.well-known/openid-configuration") == 1
    assert provider.asked.count("/jwks") == 1
    assert provider.asked.count("/token") == 3


def test_a_confidential_client_proves_itself(
    service: Callable[..., tuple[httpx.Client, Settings]], provider: Any
) -> None:
    provider.secret = "a secret: 100 % of the site + more"
    client, _ = service(sign_in_client_secret=provider.secret)
    assert sign_in(client).status_code == 303
    client, _ = service()
    assert sign_in(client).status_code == 403


@pytest.mark.parametrize(
    ("roles", "status"), [(["admin"], 200), (["predict"], 200), (["outcomes"], 403)]
)
def test_roles_come_from_the_claim_of_the_identity_token(
    client: httpx.Client, provider: Any, roles: list[str], status: int
) -> None:
    provider.claims = {"roles": roles}
    assert sign_in(client).status_code == 303
    answer = client.post("/v1/predict", json=VALID, headers=csrf(client))
    assert answer.status_code == status
    assert client.post("/sign-out", headers=csrf(client)).status_code == 200


def test_roles_may_come_from_the_groups_of_the_provider(
    service: Callable[..., Any], provider: Any
) -> None:
    groups = (RoleGroup("predict", "/icu/physicians"),)
    client, _ = service(oidc_roles_claim="groups", oidc_role_groups=groups)
    provider.claims = {"groups": ["/kitchen"], "roles": ["admin"]}
    assert sign_in(client).status_code == 403
    provider.claims = {"groups": ["/icu/physicians"]}
    assert sign_in(client).status_code == 303
    assert client.post("/v1/predict", json={}, headers=csrf(client)).status_code == 422


def test_whoever_has_no_role_is_told_so_and_not_signed_in(
    client: httpx.Client, provider: Any, trail_of: Trail
) -> None:
    provider.claims = {"roles": ["cook"]}
    answer = sign_in(client)
    assert answer.status_code == 403
    assert "has no role in Osteon" in answer.text
    assert session_cookie(client) is None
    [record] = trail_of()
    assert (record["status"], record["detail"]["reason"]) == ("refused", "role")
    exported = audit_event(record, "0" * 64)
    assert exported["type"]["code"] == "110114"  # DICOM: user authentication
    assert exported["outcome"] == "4"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another-service"}, "identity"),
        ({"aud": ["osteon-page", "other"], "azp": "other"}, "identity"),
        ({"exp": 1_000_000_000}, "identity"),
        ({"iss": "https://issuer.example"}, "identity"),
        ({"sub": None}, "identity"),
    ],
)
def test_an_identity_token_that_breaks_a_rule_lets_nobody_in(
    client: httpx.Client, provider: Any, trail_of: Trail, claims: dict[str, Any], reason: str
) -> None:
    provider.claims = claims
    assert sign_in(client).status_code == 403
    assert session_cookie(client) is None
    assert trail_of()[0]["detail"]["reason"] == reason


def test_a_forged_identity_token_lets_nobody_in(client: httpx.Client, provider: Any) -> None:
    for signing in (
        (provider.stranger, "RS256", "rsa"),
        (provider.stranger, "RS256", "unknown"),
        ("a secret that somebody made up, long enough", "HS256", "rsa"),
        (None, "none", "rsa"),
    ):
        provider.signing = signing
        assert sign_in(client).status_code == 403
        assert session_cookie(client) is None


def test_a_forged_state_or_code_lets_nobody_in(client: httpx.Client, trail_of: Trail) -> None:
    back = approve(begin(client))
    forged = re.sub(r"state=[^&]+", "state=forged", back)
    assert client.get(forged).status_code == 403
    assert client.get(re.sub(r"code=[^&]+", "code=forged", back)).status_code == 403
    assert client.get("/sign-in/callback").status_code == 403
    assert session_cookie(client) is None
    assert [one["detail"]["reason"] for one in trail_of()] == ["late", "code", "late"]


def test_a_code_is_good_once_and_in_the_browser_that_asked_for_it_alone(
    client: httpx.Client,
) -> None:
    back = approve(begin(client))
    with httpx.Client(base_url=client.base_url) as somebody_else:
        assert somebody_else.get(back).status_code == 403
    kept = dict(client.cookies)
    assert client.get(back).status_code == 303
    with httpx.Client(base_url=client.base_url, cookies=kept) as replaying:
        assert replaying.get(back).status_code == 403
        assert replaying.get("/v1/models").status_code == 401
    assert client.get("/v1/models").status_code == 200


def test_a_code_of_another_flow_or_a_refusal_signs_nobody_in(
    client: httpx.Client, provider: Any, trail_of: Trail
) -> None:
    launched = client.get("/launch", params={"iss": provider.fhir, "launch": "l1"})
    back = approve(launched.headers["location"])
    assert client.get(back.replace("/launch/callback", "/sign-in/callback")).status_code == 403
    provider.answer = {"error": "access_denied"}
    assert client.get(approve(begin(client))).status_code == 403
    provider.answer = {"iss": "https://another.example"}
    assert client.get(approve(begin(client))).status_code == 403
    assert [one["detail"]["reason"] for one in trail_of()] == ["state", "denied", "issuer"]


def test_two_tabs_may_sign_in_at_a_time(client: httpx.Client) -> None:
    first, second = approve(begin(client)), approve(begin(client, "/facts/mortality-simulated"))
    assert client.get(first).headers["location"] == "/"
    assert client.get(second).headers["location"] == "/facts/mortality-simulated"


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/facts/../..//evil.example",
        "/facts/x?to=//evil",
        "javascript:alert(1)",
        "/sign-out",
        "/facts/a\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_nobody_is_sent_to_another_place_after_signing_in(client: httpx.Client, to: str) -> None:
    assert client.get(approve(begin(client, to))).headers["location"] == "/"


def test_sign_ins_from_one_address_are_limited_and_the_files_of_the_page_are_not(
    client: httpx.Client,
) -> None:
    assert {client.get("/signed-out").status_code for _ in range(120)} == {200}
    for path in ("/signed-out", "/sign-in", "/sign-in/callback", "/launch"):
        # Two requests a second come free again.
        refused = next(a for _ in range(200) if (a := client.get(path)).status_code == 429)
        assert refused.headers["retry-after"] == "60"
    assert client.get(f"/static/{assets.version()}/osteon.css").status_code == 200


def test_a_provider_that_does_not_answer_is_said_in_plain_words(
    service: Callable[..., tuple[httpx.Client, Settings]],
    provider: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client, _ = service()
    provider.about = {"issuer": "https://another.example"}
    answer = client.get("/sign-in")
    assert answer.status_code == 503
    assert "Sign-in is not possible. " in caplog.text
    assert "does not answer now" in answer.text
    assert provider.url not in answer.text
    provider.about = {}
    asked = len(provider.asked)
    assert client.get("/sign-in").status_code == 503  # not asked again at once
    assert len(provider.asked) == asked
    monkeypatch.setattr(provider_module, "_SECONDS_BETWEEN_TRIES", 0)
    assert sign_in(client).status_code == 303


def test_signing_in_needs_authentication_a_client_and_https() -> None:
    whole = {
        "authentication": "required",
        "public_url": "https://osteon.example",
        "sign_in_issuer": "https://issuer.example",
        "sign_in_client_id": "osteon-page",
    }
    settings = Settings(**whole)
    assert settings.session_idle_minutes == 15
    for changed in (
        {"authentication": "none"},
        {"public_url": None},
        {"public_url": "http://osteon.example"},
        {"sign_in_issuer": "http://issuer.example"},
        {"sign_in_client_id": None},
    ):
        with pytest.raises(ValidationError, match="sign_in_issuer"):
            Settings(**(whole | changed))
    with pytest.raises(UsageError, match="OSTEON_SMART_SERVERS"):
        read_settings(smart_servers=("https://ehr.example/fhir",))


def test_a_public_address_is_allowed_with_the_sign_in_as_its_authentication() -> None:
    settings = Settings(
        authentication="required",
        public_url="https://osteon.example",
        sign_in_issuer="https://issuer.example",
        sign_in_client_id="osteon-page",
        audit_key="a key of the tests, long enough",
        trusted_proxies=("10.0.0.1",),
    )
    check_exposure(settings, "10.1.2.3", ())
    plain = settings.model_copy(update={"public_url": "http://127.0.0.1:8000"})
    with pytest.raises(UsageError, match="OSTEON_PUBLIC_URL"):
        check_exposure(plain, "10.1.2.3", ())
    with pytest.raises(UsageError, match="OSTEON_AUTHENTICATION"):
        check_exposure(settings.model_copy(update={"authentication": "none"}), "10.1.2.3", ())
