"""Records of what somebody does by a command to what the service serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal

from serving.audit.opening import open_trail
from serving.audit.record import AuditEvent
from serving.cli.audit import acting_user
from serving.settings import read_settings

__all__ = ["Note", "on_record"]

Note = Callable[..., None]


@contextmanager
def on_record() -> Iterator[Note]:
    """Give what puts a decision about a version on record, after seeing that it can be.

    Yields
    ------
    callable
        Takes `action`, `status`, and of the version `name`, `version` and `sha256`.

    Raises
    ------
    OsteonError
        As `open_trail` does, before anything was decided.
    """
    with closing(open_trail(read_settings())) as trail:

        def note(action: Literal["promoted", "rolled_back"], status: str, **version: Any) -> None:
            trail.append(
                AuditEvent(action=action, actor=acting_user(), status=status, models=[version])
            )

        yield note
