"""The header by which a repeated request is no second prediction, for every route that takes it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

__all__ = ["IdempotencyKey"]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]+$",
        max_length=255,
        description="Any text, new for every prediction, such as a UUID.",
    ),
]
