"""Rows that were changed by hand are refused, and named by `osteon audit verify`."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, delete, insert, select, update

from audit_records import check
from predict_requests import VALID
from serving.access import api_keys
from serving.access.sealed import SealedStore
from serving.app import create_app
from serving.audit.opening import audit_keys, database_of, open_trail
from serving.audit.record import AuditEvent, AuditKeys
from serving.audit.trail import Entry
from serving.settings import Settings
from serving.store.tables import (
    API_KEYS,
    CARD_FEEDBACK,
    CARDS,
    OUTCOMES,
    RISKS,
    SEALED,
    USED_TOKENS,
)

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

PUBLIC = "https://osteon.example"
SERVICE = "/cds-services/osteon-mortality"
ISSUER = "https://ehr.example"
CLIENT_KEY = ec.generate_private_key(ec.SECP384R1())
TABLES = (API_KEYS, RISKS, OUTCOMES, CARDS, CARD_FEEDBACK, USED_TOKENS, SEALED)
SECRET = "0" * 64


@dataclass(frozen=True)
class Site:
    """A service that answered, with its keys: a valid one and one that was revoked."""

    settings: Settings
    client: httpx.Client
    valid: tuple[str, str]
    revoked: tuple[str, str]
    before_revocation: dict[str, Any]

    def rules(self) -> list[str]:
        return sorted({flaw.rule for flaw in check(self.settings).flaws})

    def status(self, text: str) -> int:
        headers = {"Authorization": f"Bearer {text}"}
        return self.client.get("/v1/models", headers=headers).status_code


def _signed(path: str) -> dict[str, str]:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": PUBLIC + path, "iat": now, "exp": now + 300}
    token = jwt.encode(
        claims | {"jti": str(uuid.uuid4())}, CLIENT_KEY, algorithm="ES384", headers={"kid": "ec"}
    )
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    serve: Any,
    running: Any,
    build: Any,
    sure_mortality: ServedModel,
) -> Site:
    folder = tmp_path_factory.mktemp("changed")
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgresql_database")()
    running.published |= {"ec": CLIENT_KEY}
    settings = Settings(
        state_dir=folder,
        database_url=url,
        authentication="required",
        public_url=PUBLIC,
        cds_clients={ISSUER: f"{running.url}/jwks"},
    )
    with closing(open_trail(settings)) as trail:
        made = [
            api_keys.create(trail, "a test", ["predict", "outcomes"], days=9, actor="command:a")
            for _ in range(2)
        ]
        (key, text), (old, old_text) = made
        with trail.database.reading() as connection:
            row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == old.id)).one()
        api_keys.revoke(trail, old.id, actor="command:a")
        store: SealedStore[Any] = SealedStore(
            trail.database, trail.keys, "session", idle_seconds=900, lifetime_seconds=3_600
        )
        store.put({"actor": "oidc:a", "roles": ["predict"]})
    client = serve(create_app(settings, models=[sure_mortality]))
    header = {"Authorization": f"Bearer {text}"}
    for _ in range(2):
        answer = client.post("/v1/predict", json=VALID, headers=header).json()
        sent = {"prediction_id": answer["prediction_id"], "outcome": "mortality"}
        for event, days in ((0, 2.5), (1, 2.75)):
            body = sent | {"event": event, "days": days}
            assert client.post("/v1/outcomes", json=body, headers=header).status_code == 201
    answer = client.post(SERVICE, json=build.call(), headers=_signed(SERVICE))
    (card,) = answer.json()["cards"]
    feedback = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-25T10:00:00Z",
    }
    path = f"{SERVICE}/feedback"
    given = client.post(path, json={"feedback": [feedback]}, headers=_signed(path))
    assert given.status_code == 200, given.text
    return Site(settings, client, (key.id, text), (old.id, old_text), dict(row._mapping))


@contextmanager
def changed(site: Site, change: Callable[[Connection], object]) -> Iterator[None]:
    """Change the database by hand for as long as the block runs."""
    with closing(database_of(site.settings)) as database:
        with database.writing() as connection:
            before = {
                table: [dict(row._mapping) for row in connection.execute(select(table))]
                for table in TABLES
            }
            change(connection)
        try:
            yield
        finally:
            with database.writing() as connection:
                for table, rows in before.items():
                    connection.execute(delete(table))
                    if rows:
                        connection.execute(insert(table), rows)


def _first(connection: Connection, table: Any) -> dict[str, Any]:
    row = connection.execute(select(table)).first()
    assert row is not None
    return dict(row._mapping)


def _admin_key(connection: Connection, **changed: Any) -> None:
    row = _first(connection, API_KEYS)
    secret = hashlib.sha256(SECRET.encode()).hexdigest()
    forged = {"id": "0" * 12, "secret_sha256": secret, "roles": '["admin"]', "revoked_at": None}
    connection.execute(insert(API_KEYS).values(row | forged | changed))


def _other_prediction(connection: Connection) -> None:
    row = _first(connection, RISKS) | {"prediction_id": "0" * 26}
    connection.execute(insert(RISKS).values(row))


def _first_outcome_again(connection: Connection) -> None:
    rows = connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.id)).all()
    row = dict(rows[0]._mapping) | {"id": rows[-1].id + 1}
    connection.execute(insert(OUTCOMES).values(row))


def _outcomes_swapped(connection: Connection) -> None:
    first, second = connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.id).limit(2)).all()
    for old, new in ((first.id, 9_999), (second.id, first.id), (9_999, second.id)):
        connection.execute(update(OUTCOMES).where(OUTCOMES.c.id == old).values(id=new))


def _other_card(connection: Connection) -> None:
    row = _first(connection, CARDS) | {"id": 9_999, "card": str(uuid.uuid4()), "day": "2026-01-01"}
    connection.execute(insert(CARDS).values(row))


def _other_feedback(connection: Connection) -> None:
    row = _first(connection, CARD_FEEDBACK) | {"id": 9_999, "outcome": "accepted"}
    connection.execute(insert(CARD_FEEDBACK).values(row))


def _other_token(connection: Connection) -> None:
    row = _first(connection, USED_TOKENS) | {"token": "0" * 64}
    connection.execute(insert(USED_TOKENS).values(row))


def _other_session(connection: Connection) -> None:
    row = _first(connection, SEALED) | {"id": "0" * 64}
    connection.execute(insert(SEALED).values(row))


CHANGES: dict[str, tuple[str, Callable[[Connection], object]]] = {
    "an inserted key": ("key", _admin_key),
    "an inserted key without a mac": ("key", lambda c: _admin_key(c, mac=None)),
    "changed roles": ("key", lambda c: c.execute(update(API_KEYS).values(roles='["admin"]'))),
    "roles that are none": ("key", lambda c: c.execute(update(API_KEYS).values(roles="1"))),
    "a later end": ("key", lambda c: c.execute(update(API_KEYS).values(expires_at=None))),
    "an ended revocation": ("key", lambda c: c.execute(update(API_KEYS).values(revoked_at=None))),
    "removed keys": ("key", lambda c: c.execute(delete(API_KEYS))),
    "changed risks": ("risks", lambda c: c.execute(update(RISKS).values(risks="[[28,0.5]]"))),
    "another version": ("risks", lambda c: c.execute(update(RISKS).values(version="9"))),
    "removed risks": ("risks", lambda c: c.execute(delete(RISKS))),
    "inserted risks": ("risks", _other_prediction),
    "changed outcomes": ("outcome", lambda c: c.execute(update(OUTCOMES).values(event=0))),
    "changed days": ("outcome", lambda c: c.execute(update(OUTCOMES).values(days=1.0))),
    "removed outcomes": ("outcome", lambda c: c.execute(delete(OUTCOMES))),
    "an outcome twice": ("outcome", _first_outcome_again),
    "outcomes in another order": ("outcome", _outcomes_swapped),
    "a changed card": ("card", lambda c: c.execute(update(CARDS).values(said="0" * 64))),
    "a removed card": ("card", lambda c: c.execute(delete(CARDS))),
    "an inserted card": ("card", _other_card),
    "changed feedback": (
        "feedback",
        lambda c: c.execute(update(CARD_FEEDBACK).values(outcome="accepted")),
    ),
    "removed feedback": ("feedback", lambda c: c.execute(delete(CARD_FEEDBACK))),
    "inserted feedback": ("feedback", _other_feedback),
    "a changed token": ("token", lambda c: c.execute(update(USED_TOKENS).values(expires=1))),
    "removed tokens": ("token", lambda c: c.execute(delete(USED_TOKENS))),
    "an inserted token": ("token", _other_token),
    "a longer session": ("session", lambda c: c.execute(update(SEALED).values(ends=2**40))),
    "an inserted session": ("session", _other_session),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_row_changed_by_hand_is_named(site: Site, name: str) -> None:
    rule, change = CHANGES[name]
    with changed(site, change):
        assert rule in site.rules()


def test_rows_that_were_not_changed_have_no_flaw(site: Site) -> None:
    assert site.rules() == []


def test_a_changed_row_is_reported_with_its_record(site: Site) -> None:
    with changed(site, CHANGES["changed outcomes"][1]):
        flaws = check(site.settings).flaws
    numbered = [flaw for flaw in flaws if flaw.seq]
    assert len(numbered) == 2
    assert all("outcome" in flaw.message for flaw in numbered)


def test_an_inserted_admin_key_is_refused(site: Site) -> None:
    assert site.status(site.valid[1]) == 200
    with changed(site, _admin_key):
        assert site.status(f"osteon_{'0' * 12}_{SECRET}") == 401


def test_a_revoked_key_whose_row_is_set_back_is_refused_and_named(site: Site) -> None:
    key_id, text = site.revoked
    before = site.before_revocation

    def set_back(connection: Connection) -> None:
        connection.execute(update(API_KEYS).where(API_KEYS.c.id == key_id).values(before))

    with changed(site, set_back):
        assert site.status(text) == 401
        (flaw,) = check(site.settings).flaws
        assert flaw.rule == "key"
        assert key_id in flaw.message
        assert "set back" in flaw.message


def test_a_session_made_by_hand_opens_nothing(site: Site) -> None:
    forger = AuditKeys(b"not the audit key of the site")
    with closing(database_of(site.settings)) as database:
        own, forged = (
            SealedStore[Any](database, keys, "session", idle_seconds=9, lifetime_seconds=9)
            for keys in (audit_keys(site.settings), forger)
        )
        secret, write = forged.new({"actor": "oidc:a", "roles": ["admin"]})
        with changed(site, write):
            found = own.get(secret)
            assert found is not None
            assert found.content == {}
            assert site.rules() == ["session"]


def test_a_changed_key_can_be_revoked_which_settles_it(site: Site) -> None:
    with (
        changed(site, lambda connection: None),
        closing(open_trail(site.settings)) as trail,
    ):
        with trail.database.writing() as connection:
            _admin_key(connection)
        listed = {key.id: key for key in api_keys.list_keys(trail.database, trail.keys)}
        assert not listed["0" * 12].genuine
        assert not listed["0" * 12].valid
        api_keys.revoke(trail, "0" * 12, actor="command:a")
        assert site.rules() == []


def test_keys_of_an_older_version_are_signed_once_if_they_are_on_record(
    settings_of_older_site: tuple[Settings, str, str],
) -> None:
    settings, stated, text = settings_of_older_site
    with closing(open_trail(settings)) as trail:
        listed = {key.id: key.valid for key in api_keys.list_keys(trail.database, trail.keys)}
        assert listed == {stated: True, "0" * 12: False}
        ring = api_keys.KeyRing(trail.database, trail.keys)
        assert ring.caller(text) is not None
        assert ring.caller(f"osteon_{'0' * 12}_{SECRET}") is None
    messages = [flaw.message for flaw in check(settings).flaws]
    assert messages == [
        f"API key {'0' * 12} was added or changed by other means than `osteon keys`. It is refused."
    ]
    # Without a mac again, as if the database were of the older version: it is not signed again.
    with closing(database_of(settings)) as database, database.writing() as connection:
        secret = hashlib.sha256(SECRET.encode()).hexdigest()
        connection.execute(
            update(API_KEYS).where(API_KEYS.c.id == stated).values(mac=None, secret_sha256=secret)
        )
    with closing(open_trail(settings)) as trail:
        ring = api_keys.KeyRing(trail.database, trail.keys)
        assert ring.caller(f"osteon_{stated}_{SECRET}") is None
    assert len([flaw for flaw in check(settings).flaws if flaw.rule == "key"]) == 2


@pytest.fixture
def settings_of_older_site(tmp_path: Any, database_url: str) -> tuple[Settings, str, str]:
    """A database of version 5, with a key that is on record and one that is not."""
    settings = Settings(state_dir=tmp_path / "older", database_url=database_url)
    older = {"key": secrets.token_hex(6), "name": "a ward", "roles": ["predict"]}
    secret = secrets.token_hex(32)
    row = {
        "id": older["key"],
        "name": older["name"],
        "secret_sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "roles": json.dumps(older["roles"]),
        "created_at": "2026-01-01T00:00:00.000000+00:00",
    }
    with closing(open_trail(settings)) as trail:
        event = AuditEvent(action="key_created", actor="command:a", status="ok", detail=older)
        trail.append_all([Entry(event, beside=lambda c: c.execute(insert(API_KEYS).values(row)))])
        with trail.database.writing() as connection:
            _admin_key(connection)
            for table in ("osteon_api_keys", "osteon_used_tokens", "osteon_sealed"):
                connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN mac")
            connection.exec_driver_sql("ALTER TABLE osteon_api_keys DROP COLUMN changes")
            connection.exec_driver_sql("DELETE FROM osteon_schema WHERE version >= 7")
    return settings, older["key"], f"osteon_{older['key']}_{secret}"
