"""Who asks, as the service knows them: a name for the audit trail, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANYBODY", "LOCAL", "ROLES", "Caller"]

ROLES = ("predict", "outcomes", "audit", "admin")
"""What a caller may do: ask for predictions, send outcomes, read the trail, or everything."""


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
        """Say whether the caller has a role; admin has every one."""
        return role in self.roles or "admin" in self.roles


ANYBODY = Caller("unknown", frozenset())
"""Whoever asks what everybody may know."""

LOCAL = Caller("local", frozenset(ROLES))
"""Whoever is on this machine, where nothing else is asked for."""
