from __future__ import annotations

import pytest

from data_schema.errors import UsageError
from serving.access.tokens import claimed_roles
from serving.settings import RoleGroup, read_settings

ICU = RoleGroup("predict", "/icu/physicians")
DIRECTORY = RoleGroup("audit", "CN=Audit Office,OU=Groups,DC=hospital")


@pytest.mark.parametrize(
    ("claim", "roles"),
    [
        (["/icu/physicians"], {"predict"}),
        (["/icu/physicians", "CN=Audit Office,OU=Groups,DC=hospital"], {"predict", "audit"}),
        ("/icu/physicians", {"predict"}),
        ("/ward /icu/physicians", {"predict"}),
        ("CN=Audit Office,OU=Groups,DC=hospital", {"audit"}),
        (["predict", "admin"], set()),
        (["/icu/physicians/former", "/icu"], set()),
        ([7, None, {"name": "/icu/physicians"}], set()),
        (None, set()),
        (7, set()),
    ],
)
def test_roles_come_from_the_groups_of_the_provider(claim: object, roles: set[str]) -> None:
    assert claimed_roles({"groups": claim}, "groups", [ICU, DIRECTORY]) == roles


def test_a_claim_may_be_named_like_an_address_or_lie_in_another() -> None:
    named = {"https://hospital.example/groups": ["/icu/physicians"]}
    assert claimed_roles(named, "https://hospital.example/groups", [ICU]) == {"predict"}
    inside = {"realm_access": {"roles": ["predict", "cook"]}}
    assert claimed_roles(inside, "realm_access.roles") == {"predict"}


def test_groups_are_stated_by_role(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = "predict=/icu/physicians; audit=CN=Audit Office,OU=Groups,DC=hospital"
    monkeypatch.setenv("OSTEON_OIDC_ROLE_GROUPS", pairs)
    assert read_settings().oidc_role_groups == (ICU, DIRECTORY)


@pytest.mark.parametrize("pairs", ["/icu/physicians", "cook=/kitchen", "predict=", "=x"])
def test_a_group_without_a_known_role_is_refused(
    monkeypatch: pytest.MonkeyPatch, pairs: str
) -> None:
    monkeypatch.setenv("OSTEON_OIDC_ROLE_GROUPS", pairs)
    with pytest.raises(
        UsageError, match="OSTEON_OIDC_ROLE_GROUPS must be pairs role=group"
    ) as said:
        read_settings()
    assert pairs not in str(said.value)
