from __future__ import annotations

from types import SimpleNamespace

import pytest

from serving.access.browser import Session, SessionContent
from serving.access.caller import Caller
from serving.http.request_facts import request_facts

LAUNCHED: SessionContent = {
    "record": {"server": "https://ehr.example", "token": "t", "patient": "p", "encounter": "e"}
}


def session(content: SessionContent) -> Session:
    return Session("secret", Caller("oidc:a|b", frozenset({"predict"})), content, 60.0)


@pytest.mark.parametrize(
    ("route", "content", "door"),
    [
        ("/v1/predict", None, "api"),
        ("/v1/predict/batch", None, "batch"),
        ("/v1/outcomes", None, "api"),
        ("/fhir/RiskAssessment/$predict", None, "fhir"),
        ("/cds-services/{service_id}", None, "cds"),
        ("/v1/predict", {}, "page"),
        ("/v1/predict", LAUNCHED, "smart"),
        ("/launch", None, "smart"),
        ("/metrics", None, "operations"),
        ("/v12", None, "page"),
    ],
)
def test_the_door_is_that_of_the_route_or_of_the_session(
    route: str, content: SessionContent | None, door: str
) -> None:
    state = {} if content is None else {"session": session(content)}
    scope = {"headers": [], "route": SimpleNamespace(path=route), "state": state}
    facts = request_facts(scope, lambda *_: None, lambda *_: None, None)
    assert facts.door == door


def test_a_request_of_no_route_and_no_caller_says_so() -> None:
    scope = {"headers": [], "method": "GET"}
    facts = request_facts(scope, lambda *_: None, lambda *_: None, None)
    said = facts.as_json(404, 0.0125)
    assert (said["route"], said["caller"], said["milliseconds"]) == ("(no route)", None, 12.5)
