"""The served models and the recorder of a request."""

from __future__ import annotations

from fastapi import Request

from serving.http.request_facts import facts_of
from serving.prediction.on_record import Recorder
from serving.prediction.served import Served

__all__ = ["recorder_of", "served_models"]


def served_models(request: Request) -> Served:
    """Return the models of the application that received the request."""
    served: Served = request.app.state.served
    return served


def recorder_of(request: Request, *, idempotency_key: str | None = None) -> Recorder:
    """Return a recorder that knows the caller and the route of the request."""
    return Recorder(
        request.app.state.trail,
        actor=request.state.caller.actor,
        route=request.scope["route"].path,
        idempotency_key=idempotency_key,
        observer=facts_of(request.scope),
        token=request.state.caller.token,
    )
