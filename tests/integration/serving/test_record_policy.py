"""Which of a record's values and patients count, at `/v1/predict` and `$predict`.

The inputs of the kinds K4, K12, K13, K18 and K19 lie in `../shared/cases`, and what is expected of
them in its README. The model reads what they hold.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from contracts import restated
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

CASES = Path(__file__).parents[4] / "shared" / "cases"
PATH = "/fhir/RiskAssessment/$predict"
AT = "2026-11-01T08:00:00%2B01:00"
# What the cases hold, in the catalogue's units, with a typical value and its spread.
READ = {
    "creatinine": (1.6, 0.8),
    "albumin": (2.8, 0.6),
    "sodium": (139.0, 5.0),
    "urea_nitrogen": (32.0, 15.0),
    "glucose": (150.0, 40.0),
    "lactate": (2.2, 1.2),
    "crp": (90.0, 60.0),
    "platelets": (210.0, 90.0),
    "heart_rate": (98.0, 18.0),
    "map": (74.0, 10.0),
    "bilirubin": (1.2, 0.8),
    "temperature": (37.4, 0.8),
}


@pytest.fixture(scope="module")
def model(real_mortality: ServedModel) -> ServedModel:
    """A small model, as if of real patients, of the variables that the cases hold."""
    from data_schema.biomarkers import VARIABLES
    from models.estimator import CumulativeIncidenceModel
    from models.targets import survival_target

    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            name: np.clip(
                rng.normal(middle, spread, 300), VARIABLES[name].low, VARIABLES[name].high
            )
            for name, (middle, spread) in READ.items()
        }
    )
    frame["creatinine"] = np.exp(rng.normal(0.4, 0.7, 300)).clip(0.3, 14)
    frame["age"] = rng.normal(63, 13, 300).clip(19, 95)
    log_odds = 0.9 * np.log(frame["creatinine"]) + 0.03 * (frame["age"] - 63) - 0.5
    times = rng.exponential(200 * np.exp(-log_odds))
    target = survival_target(np.minimum(times, 400).clip(0.5), (times <= 400).astype(int))
    fitted = CumulativeIncidenceModel(
        horizons_days=(28.0, 90.0), outcome="mortality", max_trees=5, max_depth=2, tuning_folds=3,
        interval_folds=3, n_jobs=1, variables=VARIABLES,
    ).fit(frame, target).risk_model_  # fmt: skip
    described = real_mortality.contract
    same = ("name", "outcome_label", "event_label", "event_singular", "is_death", "population")
    stated = {name: getattr(described, name) for name in same}
    contract = restated(
        fitted, **stated, time_zero="24 h after ICU admission, alive", population_described=True
    )
    return replace(real_mortality, loaded=replace(real_mortality.loaded, risk_model=contract))


@pytest.fixture(scope="module")
def client(serve: Any, model: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[model]))


def case(name: str) -> Any:
    path = CASES / name
    if not path.exists():
        pytest.skip("the shared cases are not on this machine")
    return json.loads(path.read_text())


Assess = Callable[[Any], dict[str, Any]]


@pytest.fixture(scope="module")
def assess(client: httpx.Client) -> Assess:
    """Return a function that posts a Bundle, as of the cases' time zero."""

    def posted(bundle: Any) -> dict[str, Any]:
        query = f"outcome=mortality&timeZero={AT}&askedAt={AT}"
        answer = client.post(f"{PATH}?{query}", json=bundle)
        assert answer.status_code == 200, answer.text
        assessment: dict[str, Any] = answer.json()
        return assessment

    return posted


def risks(assessment: dict[str, Any]) -> list[float]:
    return [
        one["probabilityDecimal"] for one in assessment["prediction"] if "probabilityDecimal" in one
    ]


def notes(assessment: dict[str, Any]) -> str:
    return " ".join(note["text"] for note in assessment["note"])


def code(assessment: dict[str, Any]) -> str:
    assert assessment["status"] == "cancelled"
    assert "prediction" not in assessment
    return notes(assessment).partition("Code of the refusal: ")[2].partition(".")[0]


def with_creatinine(*changed: dict[str, Any]) -> Any:
    """Return the base case with creatinines in place of its own, each with what it changes."""
    bundle = case("fhir-base.json")
    (own,) = (e for e in bundle["entry"] if e["resource"].get("id") == "crea")
    bundle["entry"].remove(own)
    for number, more in enumerate(changed):
        entry = copy.deepcopy(own)
        entry["resource"] |= {"id": f"crea{number}"} | more
        entry["fullUrl"] = f"https://ehr.example/fhir/Observation/crea{number}"
        bundle["entry"].append(entry)
    return bundle


def creatinine(value: float, unit: str = "mg/dL", **more: Any) -> dict[str, Any]:
    quantity = {"value": value, "system": "http://unitsofmeasure.org", "code": unit}
    return {"valueQuantity": quantity} | more


def test_k4_a_corrected_result_counts_whatever_the_order(assess: Assess) -> None:
    base = risks(assess(case("fhir-base.json")))
    before = risks(assess(case("fhir-corrected-before-final.json")))
    after = risks(assess(case("fhir-corrected-after-final.json")))
    assert before == after == risks(assess(with_creatinine(creatinine(4.4))))
    assert before != base


def test_k4_contradicting_finals_are_unused_and_named(assess: Assess, client: Any) -> None:
    without = risks(assess(with_creatinine()))
    found = assess(case("fhir-two-finals-same-time.json"))
    assert risks(found) == without
    assert "contradicting another of the same time: 2 (creatinine)" in notes(found)
    assert "contradict each other" in notes(found)
    answers = []
    for name in ("two-creatinines-same-time.json", "two-creatinines-same-time-reversed.json"):
        body = case(name) | {"asked_at": "2026-11-01T08:00:00+01:00"}
        (prediction,) = client.post("/v1/predict", json=body).json()["predictions"]
        answers.append([risk["risk"] for risk in prediction["risks"]])
        named = [
            one["variable"] for one in prediction["ignored"] if one["reason"] == "contradiction"
        ]
        assert named == ["creatinine", "creatinine"]
        assert "contradiction" in {one["code"] for one in prediction["warnings"]}
    assert answers[0] == answers[1] != []


def test_k4_a_result_issued_after_time_zero_or_without_a_time_is_named(assess: Assess) -> None:
    without = risks(assess(with_creatinine()))
    untimed = assess(case("fhir-issued-only-after-time-zero.json"))
    assert risks(untimed) == without
    assert "without the time at which they were taken: 1 (creatinine)" in notes(untimed)
    late = assess(with_creatinine(creatinine(9.9, issued="2026-11-01T08:00:01+01:00")))
    assert risks(late) == without
    assert "issued after time zero: 1 (creatinine)" in notes(late)
    in_time = assess(with_creatinine(creatinine(1.9, issued="2026-11-01T07:59:59+01:00")))
    assert risks(in_time) == risks(assess(case("fhir-base.json")))


def test_k4_values_of_years_ago_are_named_and_not_used(assess: Assess, client: Any) -> None:
    found = assess(case("fhir-all-values-three-years-old.json"))
    assert code(found) == "too_little_entered"
    assert "before the window of the variable: 14 (albumin, bilirubin, " in notes(found)
    old = case("http-base.json") | {"asked_at": "2026-11-01T08:00:00+01:00"}
    for sent in old["measurements"]:
        sent["time"] = "1999-11-01T06:10:00+01:00"
    (prediction,) = client.post("/v1/predict", json=old).json()["predictions"]
    assert prediction["status"] == "refused"
    assert {one["reason"] for one in prediction["ignored"]} <= {"too_old", "not_in_model"}


@pytest.mark.parametrize(
    ("stated", "is_refused"),
    [
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2026-10-31"}, True),
        ({"deceasedDateTime": "2026-11-01T07:59:00+01:00"}, True),
        ({"deceasedDateTime": "2026-11-01T08:01:00+01:00"}, False),
        ({"deceasedDateTime": "2026-12"}, False),
        ({"_deceasedDateTime": {"extension": [{"url": "masked", "valueCode": "masked"}]}}, True),
        ({"deceasedBoolean": False}, False),
    ],
)
def test_k12_the_dead_get_no_risk(assess: Assess, stated: dict[str, Any], is_refused: bool) -> None:
    bundle = case("fhir-base.json")
    bundle["entry"][0]["resource"] |= stated
    found = assess(bundle)
    if is_refused:
        assert code(found) == "deceased"
        return
    assert risks(found) == risks(assess(case("fhir-base.json")))
    died = "deceasedDateTime" in stated
    assert ("has died since time zero" in notes(found)) == died


def test_k12_the_case_itself(assess: Assess) -> None:
    assert code(assess(case("fhir-deceased-boolean.json"))) == "deceased"


def test_k13_half_a_record_is_never_answered_as_if_whole(assess: Assess) -> None:
    found = assess(case("fhir-next-link.json"))
    assert code(found) == "incomplete_record"
    assert "Further pages of the record were not sent" in notes(found)
    short = case("fhir-base.json") | {"type": "searchset", "total": 412}
    assert code(assess(short)) == "incomplete_record"
    whole = case("fhir-base.json") | {"type": "searchset", "total": 15}
    assert risks(assess(whole)) == risks(assess(case("fhir-base.json")))


@pytest.fixture
def pages() -> Iterator[tuple[str, list[Any]]]:
    """A FHIR server on loopback that answers every request with the next of some pages."""
    left: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if left else 404)
            self.end_headers()
            self.wfile.write(json.dumps(left.pop(0) if left else {}).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/fhir", left
    server.shutdown()
    server.server_close()


def test_k13_further_pages_are_fetched_from_an_allowed_server_only(
    serve: Any, model: ServedModel, pages: tuple[str, list[Any]], assess: Assess
) -> None:
    server, left = pages
    base = case("fhir-base.json")

    def first(link: str, total: int = 15) -> Any:
        links = [
            {"relation": "self", "url": f"{server}/Observation?patient=p1"},
            {"relation": "next", "url": link},
        ]
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": total,
            "link": links,
            "entry": base["entry"][:5],
        }

    def second() -> list[Any]:
        rest = {"resourceType": "Bundle", "type": "searchset", "entry": base["entry"][9:]}
        link = [{"relation": "next", "url": f"{server}/Observation?page=3"}]
        return [rest | {"entry": base["entry"][5:9], "link": link}, rest]

    allowed = serve(create_app(Settings(fhir_servers=(server,)), models=[model]))
    query = f"{PATH}?outcome=mortality&timeZero={AT}&askedAt={AT}"
    for link in (f"{server}/Observation?page=2", "/fhir/Observation?page=2"):
        left[:] = second()
        found = allowed.post(query, json=first(link)).json()
        assert risks(found) == risks(assess(base))
        assert left == []
    left[:] = second()
    assert code(allowed.post(query, json=first("https://evil.example/fhir?page=2")).json()) == (
        "incomplete_record"
    )
    assert len(left) == 2
    # The server lost a page, or counts more than it gives.
    left[:] = second()[:1]
    lost = allowed.post(query, json=first(f"{server}/Observation?page=2"))
    assert code(lost.json()) == "incomplete_record"
    left[:] = second()
    short = allowed.post(query, json=first(f"{server}/Observation?page=2", total=99))
    assert code(short.json()) == "incomplete_record"
    left[:] = second()
    assert code(assess(first(f"{server}/Observation?page=2"))) == "incomplete_record"
    assert len(left) == 2


def test_k18_what_could_not_have_been_used_fails_nobody(assess: Assess) -> None:
    base = risks(assess(case("fhir-base.json")))
    found = assess(case("fhir-unreadable-older-creatinine.json"))
    assert risks(found) == base
    assert "Measurements not used" in notes(found)
    assert risks(assess(case("fhir-subject-by-identifier-of-the-patient.json"))) == base
    unused = case("fhir-base.json")
    extra = copy.deepcopy(unused["entry"][1])
    extra["fullUrl"] += "x"
    extra["resource"] |= {
        "id": "ferritin",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2276-4"}]},
        "valueQuantity": {"value": 3, "code": "furlong"},
    }
    unused["entry"].append(extra)
    listed = assess(unused)
    assert risks(listed) == base
    assert "[unit]: ferritin" in notes(listed)


def test_k19_loinc_by_its_oid_is_read(assess: Assess) -> None:
    base = risks(assess(case("fhir-base.json")))
    assert risks(assess(case("fhir-loinc-by-oid.json"))) == base


@pytest.mark.parametrize(
    ("sent", "rule"),
    [
        (creatinine(1.9, "furlong"), "unit"),
        (creatinine(1e300), "range"),
        (creatinine(-1.9), "range"),
        ({"valueQuantity": None, "valueString": "HEMOLYZED"}, "not_a_number"),
        ({"valueQuantity": None, "valueString": "1.9"}, "unit"),
        (creatinine(1.9, effectiveDateTime="2026-11-01T06:00:00"), "time"),
        (creatinine(1.9) | {"dataAbsentReason": {"coding": [{"code": "not-performed"}]}}, ""),
    ],
)
def test_an_unreadable_value_of_a_strong_variable_withholds_the_number(
    assess: Assess, sent: dict[str, Any], rule: str
) -> None:
    found = assess(with_creatinine(sent))
    if not rule:  # stated as not performed: there is no value to be read
        assert found["status"] == "final"
        return
    assert code(found) == "unreadable_value"
    assert f"[{rule}]: creatinine" in notes(found)
    # A newer value that can be read takes its place, and an older one of words does not.
    newer = creatinine(1.9, effectiveDateTime="2026-11-01T07:00:00+01:00")
    assert risks(assess(with_creatinine(sent, newer))) == risks(assess(case("fhir-base.json")))


@pytest.mark.parametrize(
    ("value", "comparator", "used"),
    [(50.5, None, 50.0), (54.9, None, 50.0), (70.0, ">", 50.0), (50.0, ">", 50.0)],
)
def test_an_extreme_becomes_the_nearer_end_and_never_lowers_the_risk(
    assess: Assess, value: float, comparator: str | None, used: float
) -> None:
    sent = creatinine(value)
    if comparator:
        sent["valueQuantity"]["comparator"] = comparator
    found, at_end = assess(with_creatinine(sent)), assess(with_creatinine(creatinine(used)))
    assert found["status"] == at_end["status"]
    if found["status"] == "final":
        assert risks(found) == risks(at_end)
        assert min(risks(found)) >= min(risks(assess(with_creatinine(creatinine(4.0)))))
    if value > used:
        assert "the nearer end of the range was used" in notes(found)


def test_an_absurd_value_is_no_extreme(assess: Assess) -> None:
    assert code(assess(with_creatinine(creatinine(56)))) == "unreadable_value"


def test_v1_refuses_what_a_programmer_sends_out_of_range(client: httpx.Client) -> None:
    body = case("http-base.json") | {"asked_at": "2026-11-01T08:00:00+01:00"}
    body["measurements"][0]["value"] = 50.5
    answer = client.post("/v1/predict", json=body)
    assert answer.status_code == 422
    assert [one["rule"] for one in answer.json()["errors"]] == ["range"]


def test_a_year_of_birth_is_the_last_day_for_adults_and_the_middle_for_age(assess: Assess) -> None:
    def born(stated: str) -> dict[str, Any]:
        bundle = case("fhir-base.json")
        bundle["entry"][0]["resource"]["birthDate"] = stated
        return assess(bundle)

    assert code(born("2008")) == "under_18"
    assert code(born("2008-11")) == "under_18"
    assert born("2008-10")["status"] == "final"
    year, middle = born("1958"), born("1958-07-02")
    assert risks(year) == risks(middle)
    assert "The day of birth is not known" in notes(year)
    assert "The day of birth is not known" not in notes(middle)


def test_time_zero_is_compared_with_the_moment_of_the_request(client: httpx.Client) -> None:
    def asked(time_zero: str, **more: Any) -> tuple[list[str], set[str]]:
        body = case("http-base.json")
        for sent in body["measurements"]:
            sent["time"] = time_zero
        answer = client.post("/v1/predict", json=body | {"time_zero": time_zero} | more)
        assert answer.status_code == 200, answer.text
        (prediction,) = answer.json()["predictions"]
        codes = [one["code"] for one in prediction["refusals"]]
        return codes, {one["code"] for one in prediction["warnings"]}

    now = pd.Timestamp.now(tz="UTC").floor("s")

    def at(**more: float) -> str:
        return (now + pd.Timedelta(**more)).isoformat()

    assert asked(at(minutes=-5)) == ([], set())
    assert asked(at(minutes=14))[0] == []
    assert asked(at(minutes=20))[0] == ["time_zero_in_future"]
    assert asked(at(days=-8)) == ([], {"asked_late"})
    assert asked(at(days=-91))[0] == ["stale"]
    past = asked("2020-11-01T08:00:00+01:00", asked_at="2020-11-01T09:00:00+01:00")
    assert past == ([], {"retrospective"})


def test_a_moment_of_the_request_in_the_future_is_refused(client: httpx.Client) -> None:
    body = case("http-base.json")
    later = (pd.Timestamp.now(tz="UTC") + pd.Timedelta(hours=1)).isoformat()
    for more, rule in (
        ({"asked_at": later}, ("asked_at", "in_future")),
        ({"icu_admission": "2026-11-01T08:00:01+01:00"}, ("icu_admission", "after_time_zero")),
        ({"unread": ["no_such"]}, ("unread[0]", "unknown_variable")),
    ):
        answer = client.post("/v1/predict", json=body | more)
        assert answer.status_code == 422
        assert [(one["field"], one["rule"]) for one in answer.json()["errors"]] == [rule]


def test_without_a_time_zero_the_record_must_state_one_encounter(client: httpx.Client) -> None:
    bundle = case("fhir-base.json")
    answer = client.post(f"{PATH}?outcome=mortality&askedAt={AT}", json=bundle)
    assert answer.status_code == 422
    assert "the record does not state one encounter" in answer.text
    stay = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2026-10-31T08:00:00+01:00", "end": "2026-11-01T07:00:00+01:00"},
    }
    bundle["entry"].append({"fullUrl": "https://ehr.example/fhir/Encounter/e1", "resource": stay})
    future = copy.deepcopy(bundle["entry"][1])
    future["fullUrl"] += "x"
    future["resource"] |= {"id": "future", "effectiveDateTime": "2026-11-01T06:30:00+01:00"}
    bundle["entry"].append(future)
    stay["period"]["end"] = "2026-11-01T06:10:00+01:00"
    found = client.post(f"{PATH}?outcome=mortality&askedAt={AT}", json=bundle).json()
    start = found["prediction"][0]["whenPeriod"]["start"]
    assert pd.Timestamp(start) == pd.Timestamp("2026-11-01T06:00:00+01:00")


def test_comfort_care_is_refused_and_its_absence_is_not_a_finding(assess: Assess) -> None:
    bundle = case("fhir-base.json")
    assert "No comfort care is recorded" in notes(assess(bundle))
    goal = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "103735009"}]},
    }
    bundle["entry"].append({"fullUrl": "https://ehr.example/fhir/Condition/c1", "resource": goal})
    found = assess(bundle)
    assert code(found) == "comfort_care"
    assert "No comfort care is recorded" not in notes(found)
