"""What an answer of CDS Hooks says when it has no card."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


def silence_of(answer: httpx.Response) -> str:
    """Return the reason why there is no card."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["cards"] == []
    silence = answer.json()["extension"]["osteon"]["noCard"]
    assert silence["message"].endswith(".")
    return str(silence["reason"])
