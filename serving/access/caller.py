"""The caller of a request: a name for the audit trail, and roles."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANONYMOUS", "LOCAL", "ROLES", "Caller"]

ROLES = ("predict", "outcomes", "audit", "admin")
"""What a caller may do: request predictions, send outcomes, read the trail, or everything."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller of one request.

    Parameters
    ----------
    actor : str
        As `AuditEvent.actor`.
    roles : frozenset of str
        Of `ROLES`.
    """

    actor: str
    roles: frozenset[str]

    def may(self, role: str) -> bool:
        """Return whether the caller has a role; admin has every role."""
        return role in self.roles or "admin" in self.roles


ANONYMOUS = Caller("unknown", frozenset())
"""The caller of what is public."""

LOCAL = Caller("local", frozenset(ROLES))
"""Any caller on this machine, where the service requires no authentication."""
