"""`GET /`: the clinician's page, its files, the model facts, and the check of entries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints

from data_schema.fhir.resources import FhirBroken
from serving.http.route_classes import StrictRoute
from serving.http.security_headers import PAGE_POLICY
from serving.page import assets
from serving.page.compressed import compressible
from serving.page.entries import Entries, read_entries
from serving.page.pasted import MAX_PASTED, Pasted, pasted_rows
from serving.page.rendering import facts_page, front_page
from serving.page.together import Moved, Together, values_together
from serving.prediction.caller import served_models
from serving.prediction.json_translation import question_of, rules_in_json
from serving.prediction.schemas import Name, PredictRequest, Time
from serving.problems.details import FieldProblem, RequestBroken
from serving.smart.form_record import FormRecord, form_of_bundle

__all__ = ["router"]

# Pages for people; the other routes are the contract for programs.
router = APIRouter(include_in_schema=False, route_class=StrictRoute)

_FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/")
def page(request: Request) -> Response:
    """Opened by clinicians; without patients, and not audited."""
    served, base = served_models(request), request.app.state.settings.public_path
    return _html(request, front_page(served, base=base, signed_in=_has_session(request)))


@router.get("/facts/{requested_as}")
def facts(requested_as: str, request: Request) -> Response:
    """Opened for the facts about a model; not audited."""
    for model in served_models(request).models:
        if model.requested_as == requested_as:
            base = request.app.state.settings.public_path
            text = facts_page(model, base=base, signed_in=_has_session(request))
            return _html(request, text)
    raise HTTPException(404)


@router.post("/page/entries")
def entries(body: PredictRequest, request: Request) -> Entries:
    """For the page, while values are typed; nothing is stored and nothing is predicted."""
    with rules_in_json():
        return read_entries(question_of(body), served_models(request))


class PastedText(BaseModel):
    """A pasted list of results, and the model for which it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Name
    text: Annotated[str, StringConstraints(max_length=MAX_PASTED)]


@router.post("/page/pasted")
def pasted(body: PastedText, request: Request) -> Pasted:
    """For the page, to confirm pasted results; nothing is stored and nothing is predicted."""
    with rules_in_json():
        (model,) = served_models(request).find([body.outcome])
        return pasted_rows(body.text, model)


class DroppedBundle(BaseModel):
    """A FHIR Bundle with the record of one patient, and the time up to which values count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zero: Time
    bundle: dict[str, JsonValue]


@router.post("/page/bundle")
def bundle(body: DroppedBundle, request: Request) -> FormRecord:
    """For the page, to fill in a file's values; nothing is stored and nothing is predicted."""
    state = request.app.state
    try:
        return form_of_bundle(
            body.bundle,
            served_models(request),
            time_zero=body.time_zero,
            now=datetime.now(UTC),
            icu_locations=state.settings.icu_locations,
            site=state.site_codes,
        )
    except FhirBroken as error:
        problems = [
            FieldProblem(field="bundle", rule=one.rule, message=f"{one.expression} {one.message}")
            for one in error.problems
        ]
        raise RequestBroken(problems) from None


@router.post("/page/together")
def together(body: Moved, request: Request) -> Together:
    """For "check an entry": what moves with the entries moved; nothing is stored or predicted."""
    served = served_models(request)
    with rules_in_json():
        return values_together(question_of(body.entered), question_of(body.moved), served)


@router.get("/static/{version}/{name}")
def static(version: str, name: str, request: Request) -> Response:
    """For browsers: the page's scripts and styles."""
    asset = assets.asset(name)
    if asset is None or version != assets.version():
        raise HTTPException(404)
    headers = {"cache-control": _FOR_EVER}
    return compressible(request, asset.content, media_type=asset.media_type, headers=headers)


def _has_session(request: Request) -> bool:
    return getattr(request.state, "session", None) is not None


def _html(request: Request, text: str) -> Response:
    headers = {"content-security-policy": PAGE_POLICY}
    return compressible(
        request, text.encode(), media_type="text/html; charset=utf-8", headers=headers
    )
