"""The tables of the service's database, and the steps that migrate an older database.

Records of the audit trail can be added but not changed; they can be deleted only up to a signed
checkpoint. Triggers enforce that, and the chain of records shows where it was circumvented.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    inspect,
    select,
)

from data_schema.errors import UsageError

__all__ = [
    "API_KEYS",
    "CARDS",
    "CARD_FEEDBACK",
    "CHECKPOINT",
    "HEAD",
    "OUTCOMES",
    "RECORDS",
    "RISKS",
    "SEALED",
    "SHADOW",
    "TABLES",
    "USED_TOKENS",
    "are_made",
    "migrate",
]

_METADATA = MetaData()
_MIGRATION_LOCK = 0x05730000

RECORDS = Table(
    "osteon_audit_records",
    _METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("prediction_id", String(26), index=True),
    Column("request_key", String(64), unique=True),
    Column("body", Text, nullable=False),
    Column("mac", String(64), nullable=False),
)
"""The audit trail: `body` is the record as JSON, `mac` chains it to the previous record."""

HEAD = Table(
    "osteon_audit_head",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("origin", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("mac", String(64), nullable=False),
    Column("signature", String(64)),
)
"""One row: the newest record, or the trail's random `origin` before the first record.

`signature` is made with the audit key, so that a machine without a head of its own can continue the
trail; null until an older database is written for the first time."""

CHECKPOINT = Table(
    "osteon_audit_checkpoint",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("mac", String(64), nullable=False),
    Column("signature", String(64), nullable=False),
)
"""At most one row: the last record that was deleted because it had expired."""

RISKS = Table(
    "osteon_risks",
    _METADATA,
    Column("prediction_id", String(26), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("outcome", String(200), nullable=False),
    Column("version", String(200)),
    Column("risks", Text, nullable=False),
    Column("absent", Text),
)
"""Predicted risks, for monitoring: JSON of [days, risk] pairs. No value is stored.

`absent` is a JSON list of the variables that were recorded as not done, null if there were none.
A model that scored in the shadow of another is stored under its name and `SHADOW`.
"""

SHADOW = "@shadow"

OUTCOMES = Table(
    "osteon_outcomes",
    _METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("prediction_id", String(26), nullable=False, index=True),
    Column("outcome", String(200), nullable=False),
    Column("event", Integer, nullable=False),
    Column("days", Float, nullable=False),
    Column("at", String(40), nullable=False),
)
"""Reported outcomes; the newest row of a prediction and outcome counts."""

API_KEYS = Table(
    "osteon_api_keys",
    _METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("roles", Text, nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("expires_at", String(40)),
    Column("revoked_at", String(40)),
    Column("changes", Integer, nullable=False, server_default="0"),
    Column("mac", String(64)),
)
"""Keys of callers, without the secret itself; `changes` counts rotations and the revocation.

`mac`, here and in the tables of used tokens and sessions, is that of the audit key over the other
columns, so that a row which the service did not write is refused.
"""

CARDS = Table(
    "osteon_cds_cards",
    _METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("card", String(36), nullable=False, unique=True),
    Column("service", String(64), nullable=False),
    Column("prediction_id", String(26), nullable=False, index=True),
    Column("viewer", String(64), nullable=False),
    Column("day", String(10), nullable=False),
    Column("said", String(64), nullable=False),
    UniqueConstraint("viewer", "day"),
)
"""Cards that were shown. `viewer` is a keyed hash of user and patient, `said` that of the card's
content, so that a user does not see the same card again."""

CARD_FEEDBACK = Table(
    "osteon_cds_feedback",
    _METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("card", String(36), nullable=False, index=True),
    Column("outcome", String(16), nullable=False),
    Column("reason_system", String(255)),
    Column("reason_code", String(255)),
    Column("comment", Text),
    Column("happened_at", String(40), nullable=False),
    Column("at", String(40), nullable=False),
)
"""What users did with cards; a comment is stored as it was sent."""

USED_TOKENS = Table(
    "osteon_used_tokens",
    _METADATA,
    Column("token", String(64), primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("mac", String(64)),
)
"""Keyed hashes of tokens that may be used once, until the tokens have expired."""
SEALED = Table(
    "osteon_sealed",
    _METADATA,
    Column("id", String(64), primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("idle", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False, index=True),
    Column("mac", String(64)),
)
"""Sessions and sign-ins in progress: only the browser's cookie decrypts `sealed`."""

TABLES = tuple(_METADATA.sorted_tables)
"""Every table that holds rows of the service, in an order in which none refers to a later one."""

_VERSION = Table(
    "osteon_schema",
    _METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER osteon_audit_no_change BEFORE UPDATE ON osteon_audit_records "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
        "CREATE TRIGGER osteon_audit_no_deletion BEFORE DELETE ON osteon_audit_records "
        "WHEN OLD.seq > coalesce((SELECT max(seq) FROM osteon_audit_checkpoint), 0) "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION osteon_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'DELETE' AND OLD.seq <= "
        "coalesce((SELECT max(seq) FROM osteon_audit_checkpoint), 0) THEN RETURN OLD; END IF; "
        "RAISE EXCEPTION 'the audit trail is append-only'; END $$",
        "CREATE TRIGGER osteon_audit_append_only BEFORE UPDATE OR DELETE ON osteon_audit_records "
        "FOR EACH ROW EXECUTE FUNCTION osteon_audit_append_only()",
    ),
}


def are_made(connection: Connection) -> bool:
    """Return whether a database holds the tables, of any version."""
    return inspect(connection).has_table(_VERSION.name)


def migrate(connection: Connection) -> None:
    """Create the tables of this version, or migrate those of an older version.

    The connection is in a transaction that writes, so that a failure leaves nothing half done.

    Raises
    ------
    UsageError
        If the database is of a newer version of Osteon.
    """
    if connection.dialect.name == "postgresql":
        # Several workers start at once; in SQLite the transaction is the lock.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    _VERSION.create(connection, checkfirst=True)
    current = connection.execute(select(func.max(_VERSION.c.version))).scalar_one() or 0
    if current > len(_STEPS):
        raise UsageError(
            f"The database must be of version {len(_STEPS)} or older; got version {current}. "
            "Use the version of Osteon that created it, or a newer version."
        )
    for version, step in enumerate(_STEPS[current:], start=current + 1):
        step(connection)
        connection.execute(insert(_VERSION).values(version=version))


def _first(connection: Connection) -> None:
    _adding(RECORDS, HEAD, CHECKPOINT, RISKS, OUTCOMES, API_KEYS)(connection)
    for statement in _APPEND_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    origin = secrets.token_hex(32)
    connection.execute(insert(HEAD).values(id=1, origin=origin, seq=0, mac=origin))


def _adding(*tables: Table) -> Callable[[Connection], None]:
    return lambda connection: _METADATA.create_all(connection, tables=tables, checkfirst=False)


def _no_truncate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite has no TRUNCATE
        connection.exec_driver_sql(
            "CREATE TRIGGER osteon_audit_no_truncate BEFORE TRUNCATE ON osteon_audit_records "
            "FOR EACH STATEMENT EXECUTE FUNCTION osteon_audit_append_only()"
        )


def _adding_column(table: Table, name: str, rule: str = "") -> Callable[[Connection], None]:
    """Return a step that adds a column, which may be null unless a rule says otherwise."""

    def step(connection: Connection) -> None:
        # A database that is new in this version has the column already.
        if name not in {column["name"] for column in inspect(connection).get_columns(table.name)}:
            kind = table.c[name].type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}{rule}")

    return step


def _row_macs(connection: Connection) -> None:
    # Rows of an older version have no mac. The start of the trail signs keys that are on record,
    # and used tokens; browsers sign in again.
    connection.execute(delete(SEALED))
    for table in (API_KEYS, USED_TOKENS, SEALED):
        _adding_column(table, "mac")(connection)
    _adding_column(API_KEYS, "changes", " NOT NULL DEFAULT 0")(connection)


_STEPS: Sequence[Callable[[Connection], None]] = (
    _first,
    _adding(CARDS, CARD_FEEDBACK, USED_TOKENS),
    _adding(SEALED),
    _no_truncate,
    _adding_column(RISKS, "absent"),
    _adding_column(HEAD, "signature"),
    _row_macs,
)
"""Never change a released step: add another."""
