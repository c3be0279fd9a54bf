"""The requests of a CDS client: calls of hooks, and feedback on cards (CDS Hooks 2.0.1)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from serving.prediction.schemas import Time
from serving.problems.details import RULE_PREFIX

__all__ = ["Feedback", "HookRequest", "SentFeedback"]

_MAX_FEEDBACK = 100

# A client may use a later version, so unknown fields are ignored.
_OPEN = ConfigDict(extra="ignore", frozen=True)

# FHIR's ids without `.` and `..`, which mean folders in an address.
FhirId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9.\-]*[A-Za-z0-9\-][A-Za-z0-9.\-]*$", max_length=64)
]
# PostgreSQL's text cannot hold NUL.
_NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(pattern=_NO_NUL, min_length=1, max_length=2_000)]
Short = Annotated[str, StringConstraints(pattern=_NO_NUL, min_length=1, max_length=255)]
Uuid = Annotated[
    str,
    StringConstraints(pattern=r"^(urn:uuid:)?[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"),
    AfterValidator(lambda stated: stated.removeprefix("urn:uuid:").lower()),
]
"""A UUID in lower case, also if it was sent as `urn:uuid:`."""


class HookContext(BaseModel):
    """The user, the patient and the encounter; other parts are not used."""

    model_config = _OPEN

    userId: Short = Field(examples=["Practitioner/abc"])
    patientId: FhirId = Field(examples=["p1"])
    encounterId: FhirId | None = Field(default=None, examples=["e1"])


class FhirAuthorization(BaseModel):
    """Access to the client's FHIR server."""

    model_config = _OPEN

    # Never printed: it gives access to a whole record.
    access_token: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9\-._~+/]+=*$", max_length=16_384)
    ] = Field(repr=False)
    # RFC 6749, section 7.1: the type of a token has no case.
    token_type: Annotated[str, StringConstraints(pattern=r"^[Bb][Ee][Aa][Rr][Ee][Rr]$")]
    expires_in: int
    scope: str
    subject: str


class HookRequest(BaseModel):
    """One call of a hook."""

    model_config = _OPEN

    hook: Short = Field(examples=["patient-view"])
    hookInstance: Uuid = Field(examples=["d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"])
    context: HookContext
    fhirServer: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = None
    fhirAuthorization: FhirAuthorization | None = None
    prefetch: Annotated[
        dict[str, dict[str, Any] | None],
        BeforeValidator(lambda stated: {} if stated is None else stated),
    ] = Field(default={}, description="By the keys of discovery; null if there is no data.")

    @model_validator(mode="after")
    def _server_of_the_token(self) -> HookRequest:
        if self.fhirAuthorization is not None and self.fhirServer is None:
            raise _broken("must have fhirServer beside fhirAuthorization")
        return self


class Reason(BaseModel):
    """A reason by code."""

    model_config = _OPEN

    code: Short
    system: Short


class OverrideReason(BaseModel):
    """Why a card was overridden, as a code or as text."""

    model_config = _OPEN

    reason: Reason | None = None
    userComment: Text | None = None

    @model_validator(mode="after")
    def _has_content(self) -> OverrideReason:
        if self.reason is None and self.userComment is None:
            raise _broken("must have reason or userComment")
        return self


class AcceptedSuggestion(BaseModel):
    """An accepted suggestion; no card of this service has suggestions."""

    model_config = _OPEN

    id: Short


class Feedback(BaseModel):
    """What a user did with one card."""

    model_config = _OPEN

    card: Uuid = Field(description="The card's `uuid`.")
    outcome: Literal["accepted", "overridden"]
    outcomeTimestamp: Time
    acceptedSuggestions: (
        Annotated[list[AcceptedSuggestion], Field(min_length=1, max_length=_MAX_FEEDBACK)] | None
    ) = None
    overrideReason: OverrideReason | None = None

    @model_validator(mode="after")
    def _names_suggestions(self) -> Feedback:
        if self.outcome == "accepted" and not self.acceptedSuggestions:
            raise _broken("must name acceptedSuggestions if outcome is accepted")
        return self


class SentFeedback(BaseModel):
    """Feedback on one or more cards."""

    model_config = _OPEN

    feedback: Annotated[list[Feedback], Field(min_length=1, max_length=_MAX_FEEDBACK)]


def _broken(message: str) -> PydanticCustomError:
    return PydanticCustomError(RULE_PREFIX + "required", message)
