"""The caller of a request: a name for the audit trail, and roles."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

__all__ = ["ANONYMOUS", "LOCAL", "ROLES", "Caller", "address_of"]

ROLES = ("predict", "outcomes", "audit", "metrics", "admin")
"""What a caller may do: request predictions, send outcomes, read the trail, read the counters of
`/metrics` (and nothing else), or everything."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller of one request: a name, as in `AuditEvent.actor`, and roles out of `ROLES`.

    `token` is the keyed hash of a token that may be used once, which the record of the call states.
    """

    actor: str
    roles: frozenset[str]
    token: str | None = None

    def may(self, role: str) -> bool:
        """Return whether the caller has a role; admin has every role."""
        return role in self.roles or "admin" in self.roles


ANONYMOUS = Caller("unknown", frozenset())
"""The caller of what is public."""

LOCAL = Caller("local", frozenset(ROLES))
"""Any caller on this machine, where the service requires no authentication."""


def address_of(scope: Scope) -> str:
    """Return the address of a request's sender, as the audit trail holds it."""
    return str(scope["client"][0]) if scope.get("client") else "local"
