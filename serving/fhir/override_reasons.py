"""Why a card may be set aside: what a clinician chooses from when dismissing it."""

from __future__ import annotations

from collections.abc import Mapping

from data_schema.variables import LOCAL_SYSTEM

__all__ = ["OVERRIDE_REASONS", "override_reasons"]

OVERRIDE_REASONS: Mapping[str, str] = {
    "card-already-known": "I knew this already",
    "card-value-wrong": "A value that it rests on is wrong or out of date",
    "card-does-not-apply": "It does not apply to this patient",
    "card-not-trusted": "I do not trust this estimate",
    "card-wrong-moment": "It is of no use at this moment",
}
"""Code of the local system -> what a clinician reads."""


def override_reasons() -> list[dict[str, str]]:
    """Return the reasons as codings, as CDS Hooks 2.0.1 wants them in a card."""
    return [
        {"code": code, "system": LOCAL_SYSTEM, "display": display}
        for code, display in OVERRIDE_REASONS.items()
    ]
