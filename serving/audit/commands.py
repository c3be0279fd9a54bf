"""Audit records of commands that change which model version is served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Literal

from data_schema.errors import DataError, GateError
from models.monitoring.arrivals import Arrivals
from serving.audit.opening import open_trail
from serving.audit.predicted import Shadowed, arrivals_of, predicted_rows, shadowed
from serving.audit.record import AuditEvent, Detail, ModelRecord
from serving.audit.trail import AuditTrail
from serving.audit.withdrawals import withdrawals
from serving.cli.audit import acting_user
from serving.settings import read_settings

__all__ = ["Decisions", "on_record"]


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions about versions in one audit trail."""

    trail: AuditTrail

    def note(
        self,
        action: Literal["promoted", "rolled_back", "withdrawn"],
        status: str,
        *,
        name: str,
        version: str,
        sha256: str,
        why: str = "",
    ) -> None:
        """Record a decision; of several withdrawals of one bundle, the first."""
        detail: Detail = {"why": why} if why else {}
        keys = self.trail.keys
        event = AuditEvent(
            action=action,
            actor=acting_user(),
            status=status,
            models=[ModelRecord(name=name, version=version, sha256=sha256)],
            request_key=keys.withdrawal(sha256) if action == "withdrawn" else None,
            detail=detail,
        )
        self.trail.append(event)

    def predicted(
        self,
        *,
        name: str,
        version: str,
        horizons_days: Sequence[float],
        since: date | None = None,
        until: date | None = None,
    ) -> Arrivals:
        """Return what one version of a model predicted, and what was reported, for monitoring.

        The days run from `since` to before `until`.

        Raises
        ------
        DataError
            If no prediction of the version is on record.
        """
        rows = [
            row
            for row in predicted_rows(self.trail.database, name=name, version=version, since=since)
            if until is None or row.at.date() < until
        ]
        if not rows:
            raise DataError(
                f"the audit trail must hold predictions of {name} version {version}; it holds none "
                "in this period. Check OSTEON_STATE_DIR and OSTEON_DATABASE_URL."
            )
        return arrivals_of(rows, horizons_days)

    def shadowed(self, *, name: str, since: date | None = None) -> Shadowed:
        """Return what a champion and the model in its shadow predicted, for `osteon compare`."""
        return shadowed(self.trail.database, name=name, since=since)

    def withdrawn(self, bundles: Sequence[str]) -> dict[str, str]:
        """Return the reason for each of these bundles (SHA-256) that was withdrawn on record."""
        return withdrawals(self.trail, bundles)

    def check_standing(self, *, name: str, version: str, sha256: str) -> None:
        """Raise GateError if the bundle of a version was withdrawn on record."""
        withdrawn = self.withdrawn([sha256])
        if sha256 in withdrawn:
            raise GateError(f"{name} version {version} was withdrawn: {withdrawn[sha256]}")


@contextmanager
def on_record() -> Iterator[Decisions]:
    """Yield the decisions of the trail that the settings name; raise first if none can be added."""
    with closing(open_trail(read_settings())) as trail:
        yield Decisions(trail)
