"""Audit records of commands that change which model version is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Literal

from serving.audit.opening import open_trail
from serving.audit.record import AuditEvent, ModelRecord
from serving.cli.audit import acting_user
from serving.settings import read_settings

__all__ = ["on_record"]


@contextmanager
def on_record() -> Iterator[Callable[..., None]]:
    """Yield a function that records a decision about a version; raise first if none can be."""
    with closing(open_trail(read_settings())) as trail:

        def note(
            action: Literal["promoted", "rolled_back"],
            status: str,
            *,
            name: str,
            version: str,
            sha256: str,
        ) -> None:
            model = ModelRecord(name=name, version=version, sha256=sha256)
            trail.append(
                AuditEvent(action=action, actor=acting_user(), status=status, models=[model])
            )

        yield note
