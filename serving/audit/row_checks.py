"""Checks of the rows that let callers in: API keys, used tokens and sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from serving.audit.record import AuditKeys, RecordBody
from serving.audit.signed_rows import KeyStatements, has_later_change, is_genuine
from serving.store.tables import API_KEYS, SEALED, USED_TOKENS

__all__ = ["CallerRows", "CallerRule"]

CallerRule = Literal["key", "token", "session"]

Report = Callable[[CallerRule, int, str], None]

_KEY_ID = re.compile(r"[0-9a-f]{12}")
_AT_ONCE = 1_000
# A used token is deleted at the earliest an hour after it expired.
_TOKENS_KEPT = timedelta(minutes=59)
# No token is valid for longer than an hour and the leeway of clocks.
_LONGEST_REPLAY = timedelta(hours=2)


@dataclass(slots=True)
class CallerRows:
    """What the records state about callers, collected while the trail is read."""

    statements: KeyStatements = field(default_factory=KeyStatements)
    tokens: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    used_twice: list[int] = field(default_factory=list)
    signed_late: list[int] = field(default_factory=list)

    def add(self, seq: int, record: RecordBody) -> None:
        """Add one unchanged record, the oldest first."""
        if record["action"] == "rows_signed" and self.statements.are_signed:
            self.signed_late.append(seq)
        if record["action"].startswith("key_") or record["action"] == "rows_signed":
            self.statements.add(record)
        token = record.get("detail", {}).get("token")
        if token is None:
            return
        at = datetime.fromisoformat(record["at"])
        if token in self.tokens:
            self.used_twice.append(seq)
        self.tokens[token] = seq, at
        if len(self.tokens) > 2 * _AT_ONCE:
            self._forget_before(at - _LONGEST_REPLAY)

    def check(self, connection: Connection, keys: AuditKeys, report: Report) -> None:
        """Report rows that were added, changed, set back or removed by other means."""
        for seq in self.signed_late:
            report("key", seq, "Rows were signed a second time, after the database was set back.")
        self._check_keys(connection, keys, report)
        self._check_tokens(connection, keys, report)
        for row in connection.execute(select(SEALED)):
            if not is_genuine(keys, SEALED, row):
                report("session", 0, "A session in osteon_sealed was added or changed.")

    def _check_keys(self, connection: Connection, keys: AuditKeys, report: Report) -> None:
        rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.id)).all()
        for row in rows:
            name = row.id if _KEY_ID.fullmatch(row.id) else "(unnamed)"
            reason = self._reason_against(connection, keys, row)
            if reason:
                report("key", 0, f"API key {name} {reason}. It is refused.")
        for lost in sorted(set(self.statements.roles) - {row.id for row in rows}):
            report("key", 0, f"API key {lost} is on record but was removed from osteon_api_keys.")

    def _reason_against(self, connection: Connection, keys: AuditKeys, row: Row[Any]) -> str | None:
        if not is_genuine(keys, API_KEYS, row):
            return "was added or changed by other means than `osteon keys`"
        if has_later_change(connection, keys, row.id, row.changes):
            return "was set back to before a change that is on record"
        return None

    def _check_tokens(self, connection: Connection, keys: AuditKeys, report: Report) -> None:
        for seq in self.used_twice:
            report("token", seq, "The token of the call was used before.")
        stored = set()
        for row in connection.execute(select(USED_TOKENS)):
            stored.add(row.token)
            if not is_genuine(keys, USED_TOKENS, row):
                report("token", 0, "A used token in osteon_used_tokens was added or changed.")
        since = datetime.now(UTC) - _TOKENS_KEPT
        for token, (seq, at) in self.tokens.items():
            if at > since and token not in stored:
                report("token", seq, "The used token of the call was removed.")

    def _forget_before(self, moment: datetime) -> None:
        self.tokens = {token: use for token, use in self.tokens.items() if use[1] >= moment}
