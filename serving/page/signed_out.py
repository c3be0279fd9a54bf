"""The messages of the page for a browser that is not signed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SignedOutMessage", "signed_out_message"]


@dataclass(frozen=True, slots=True)
class SignedOutMessage:
    """The title, the text and, if a retry may help, the label of its link."""

    title: str
    text: str
    retry: str = ""


_NOT, _OUT = "You are not signed in", "You are signed out"
_OPEN_AGAIN = "Go back to the patient in the record system and open Osteon from there again."

_MESSAGES: Mapping[str, SignedOutMessage] = {
    why: SignedOutMessage(*words)
    for why, words in {
        "ok": (_OUT, "All entries on this page were deleted.", "Sign in again"),
        "idle": (
            _OUT,
            "The page was not used for a while. All entries were deleted, so that the next person "
            "at this screen does not see them.",
            "Sign in again",
        ),
        "lifetime": (_OUT, "Your session has reached its longest duration.", "Sign in again"),
        "replaced": (
            "Osteon was opened again",
            "You opened Osteon in another window or tab. The entries in this one were deleted.",
            "Continue here",
        ),
        "away": (_NOT, "Open Osteon for a patient in the record system."),
        "late": (
            _NOT,
            "This sign-in took too long, began in another browser, or was used already.",
            "Start again",
        ),
        "role": (
            _NOT,
            "Your account has no role in Osteon. Ask the administrator of this service for a role.",
            "Try again",
        ),
        "denied": (_NOT, "The sign-in service refused the sign-in.", "Try again"),
        "unreachable": (
            _NOT,
            "The sign-in service does not answer now. Try again in a minute.",
            "Try again",
        ),
        "ehr": (_NOT, "Osteon does not accept sign-ins from this record system."),
        "patient": (_NOT, f"The record system named no patient. {_OPEN_AGAIN}"),
        "access": (_NOT, f"The record system gave no access to the record. {_OPEN_AGAIN}"),
    }.items()
}
_OTHER = SignedOutMessage(
    _NOT, "The answer of the sign-in service does not match the request.", "Start again"
)


def signed_out_message(why: str) -> SignedOutMessage:
    """Return the message for a reason of `SignInRefused` or of a sign-out."""
    return _MESSAGES.get(why, _OTHER)
