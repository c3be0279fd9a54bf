"""What the page says to somebody who is not signed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Door", "door"]


@dataclass(frozen=True, slots=True)
class Door:
    """One page: its title, its words and, where trying again may help, the words of the way."""

    title: str
    words: str
    again: str = ""


_NOT = "You are not signed in"
_OPEN_AGAIN = "Go back to the patient in the record system and open Osteon there again."

_DOORS: Mapping[str, Door] = {
    "ok": Door("You are signed out", "What was entered is gone from this page.", "Sign in again"),
    "idle": Door(
        "You are signed out",
        "Nobody used the page for a while. What was entered is gone, so that the next person at "
        "this screen does not see it.",
        "Sign in again",
    ),
    "lifetime": Door(
        "You are signed out",
        "You had been signed in for as long as this service allows.",
        "Sign in again",
    ),
    "replaced": Door(
        "Osteon was opened again",
        "You opened Osteon again in another window or tab, which goes on there. What was entered "
        "in this one is gone.",
        "Go on here",
    ),
    "away": Door(_NOT, "Osteon opens from the record system here: open it for a patient there."),
    "late": Door(
        _NOT,
        "This sign-in took too long, was begun in another browser, or was used already.",
        "Begin again",
    ),
    "role": Door(
        _NOT,
        "Your account is known but has no role in Osteon. Ask whoever runs this service for one.",
        "Try again",
    ),
    "denied": Door(_NOT, "The sign-in service did not let you in.", "Try again"),
    "unreachable": Door(
        _NOT, "The sign-in service does not answer now. Try again in a minute.", "Try again"
    ),
    "ehr": Door(_NOT, "Osteon is not set to be opened from this record system."),
    "patient": Door(_NOT, f"The record system named no patient. {_OPEN_AGAIN}"),
    "access": Door(_NOT, f"The record system gave no access to the record. {_OPEN_AGAIN}"),
}
_OTHER = Door(
    _NOT, "What came back from the sign-in service does not fit what was asked.", "Begin again"
)


def door(why: str) -> Door:
    """Return the page for a reason of `SignInRefused`, or of having been signed out."""
    return _DOORS.get(why, _OTHER)
