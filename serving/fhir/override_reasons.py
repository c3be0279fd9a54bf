"""The reasons from which a clinician chooses when overriding a card."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OVERRIDE_REASONS"]

OVERRIDE_REASONS: Mapping[str, str] = {
    "card-already-known": "I knew this already",
    "card-value-wrong": "A value that it uses is wrong or out of date",
    "card-does-not-apply": "It does not apply to this patient",
    "card-not-trusted": "I do not trust this estimate",
    "card-wrong-moment": "It is not useful now",
}
"""Code of the local system -> text for the clinician."""
