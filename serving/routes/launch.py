"""`/launch`: the page opened from an EHR (SMART App Launch 2.2), and the record for its form."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict

from data_schema.errors import OutsideError
from serving.access.code_flow import SignInRefused
from serving.audit.record import AuditEvent
from serving.http.route_classes import StrictRoute
from serving.prediction.schemas import Time
from serving.routes.sign_in import (
    finished,
    not_signed_in,
    redirected,
    session_of,
    sign_in_of,
    unreachable,
)
from serving.smart.form_record import FormRecord, form_record
from serving.smart.reading import FhirSource

__all__ = ["router"]

# For browsers opened by an EHR; programs send FHIR to `$predict`.
router = APIRouter(include_in_schema=False, route_class=StrictRoute)


@router.get("/launch")
def launch(request: Request, iss: str = "", launch: str = "") -> Response:
    """Opened by an EHR for one patient; redirects to the EHR's authorization server."""
    way_in = sign_in_of(request)
    try:
        url, pending = way_in.begin_launch(iss, launch)
    except SignInRefused as refused:
        way_in.browsers.refused(request.scope, refused.reason)
        return not_signed_in(request, refused.reason)
    except OutsideError as error:
        return unreachable(request, error)
    return redirected(way_in, url, pending)


@router.get("/launch/callback")
def launch_callback(request: Request) -> Response:
    """Opened by a browser that returns from the EHR; audited, whether it succeeds or not."""
    return finished(request, sign_in_of(request).finish_launch)


class RecordRequest(BaseModel):
    """A request for the last values of the record at or before a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zero: Time


@router.post("/page/record")
def record(body: RecordRequest, request: Request) -> FormRecord:
    """For a page opened by an EHR; audited before the record is read, which is not stored."""
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
        now=datetime.now(UTC),
        icu_locations=request.app.state.settings.icu_locations,
        site=request.app.state.site_codes,
    )
