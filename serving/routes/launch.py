"""`/launch`: the page opened out of an EHR (SMART App Launch 2.2), and the record it fills in."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict

from data_schema.errors import OutsideError
from serving.access.code_flow import SignInRefused
from serving.audit.record import AuditEvent
from serving.http.route_classes import StrictRoute
from serving.prediction.schemas import Time
from serving.routes.sign_in import (
    came_back,
    said,
    sent_away,
    session_of,
    sign_in_of,
    unreachable,
)
from serving.smart.form_record import FormRecord, form_record
from serving.smart.reading import FhirSource

__all__ = ["router"]

# For browsers that an EHR opens; programs send FHIR to `$predict`.
router = APIRouter(include_in_schema=False, route_class=StrictRoute)


@router.get("/launch")
def launch(request: Request, iss: str = "", launch: str = "") -> Response:
    """Opened by an EHR for one patient; goes on to the EHR's authorization server."""
    way_in = sign_in_of(request)
    try:
        url, pending = way_in.begin_launch(iss, launch)
    except SignInRefused as refused:
        way_in.browsers.refused(request.scope, refused.reason)
        return said(refused.reason)
    except OutsideError as error:
        return unreachable(error)
    return sent_away(way_in, url, pending)


@router.get("/launch/callback")
def launch_callback(request: Request) -> Response:
    """Opened by a browser that comes back from the EHR; audited, whoever was let in or not."""
    return came_back(request, sign_in_of(request).finish_launch)


class RecordAsked(BaseModel):
    """Which values of the record: the last ones at or before a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zero: Time


@router.post("/page/record")
def record(body: RecordAsked, request: Request) -> FormRecord:
    """Called by a page that an EHR opened; audited before the record is read, nothing is kept."""
    session = session_of(request)
    stated = session.content.get("record")
    if stated is None:
        raise HTTPException(404)
    source = FhirSource(**stated)
    trail = request.app.state.trail
    trail.append(
        AuditEvent(
            action="launch",
            actor=session.caller.actor,
            status="ok",
            route="/page/record",
            patient=trail.keys.patient(source.patient),
        )
    )
    return form_record(
        source,
        request.app.state.served,
        time_zero=body.time_zero,
        icu_locations=request.app.state.settings.icu_locations,
    )
