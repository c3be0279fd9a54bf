"""Calls and feedback: what is refused, and what is left on record."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from cds_answers import silence_of
from serving.audit.opening import audit_keys, database_of, open_trail
from serving.audit.verification import verify
from serving.settings import Settings
from serving.store.tables import CARD_FEEDBACK

if TYPE_CHECKING:
    import httpx

    Ask = Callable[..., httpx.Response]
    Card = Callable[..., dict[str, Any]]

SNOMED = "http://snomed.info/sct"
OTHER = {"reference": "Patient/p2"}


def feedback_of(card: str) -> dict[str, Any]:
    return {
        "card": card,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-01T08:00:00+01:00",
    }


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (lambda b: {"patient": b.patient(id="p2")}, "prefetch.patient"),
        (lambda b: {"encounter": b.encounter(id="e2")}, "prefetch.encounter"),
        (lambda b: {"encounter": b.encounter(subject=OTHER)}, "prefetch.encounter"),
        (
            lambda b: {"observations": b.bundle(b.observation("lactate", subject=OTHER))},
            "prefetch.observations.entry[0].resource",
        ),
        (
            lambda b: {"conditions": b.bundle(b.condition(SNOMED, "1") | {"subject": OTHER})},
            "prefetch.conditions.entry[0].resource",
        ),
    ],
)
def test_the_record_of_another_patient_is_refused(
    ask: Ask, build: Any, changed: Callable[[Any], dict[str, Any]], field: str
) -> None:
    answer = ask(prefetch=build.record(**changed(build)))
    assert answer.status_code == 422
    assert [(e["field"], e["rule"]) for e in answer.json()["errors"]] == [(field, "two_subjects")]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"hook": "encounter-discharge"}, "hook"),
        ({"hookInstance": "not-a-uuid"}, "hookInstance"),
        ({"context": {"userId": "Practitioner/a"}}, "context.patientId"),
        ({"context": {"userId": "Practitioner/a", "patientId": ".."}}, "context.patientId"),
        ({"context": {"userId": "Practitioner/a", "patientId": "a/b"}}, "context.patientId"),
        ({"prefetch": {"patient": [1]}}, "prefetch.patient"),
        ({"prefetch": {"patient": {"resourceType": "Group"}}}, "prefetch.patient"),
    ],
)
def test_a_call_that_breaks_the_contract_is_refused(
    ask: Ask, changed: dict[str, Any], field: str
) -> None:
    answer = ask(**changed)
    assert answer.status_code == 422
    assert field in {error["field"] for error in answer.json()["errors"]}


def test_a_discharge_must_say_of_which_encounter(ask: Ask) -> None:
    answer = ask("osteon-fracture", context={"userId": "Practitioner/a", "patientId": "p1"})
    assert answer.status_code == 422


def test_a_view_need_not_state_the_encounter(ask: Ask, build: Any) -> None:
    def cards(**record: Any) -> list[dict[str, Any]]:
        user = f"Practitioner/{uuid.uuid4()}"
        sent = {name: one for name, one in build.record().items() if name != "encounter"}
        answer = ask(context={"userId": user, "patientId": "p1"}, prefetch=sent | record)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["cards"]
        return found

    in_progress = build.encounter()
    assert len(cards(encounters=build.bundle(in_progress))) == 1
    clinic = build.encounter(id="e2") | {"class": {"code": "AMB"}}
    assert len(cards(encounters=build.bundle(clinic, in_progress))) == 1
    assert cards(encounters=build.bundle(in_progress | {"status": "finished"})) == []
    assert cards(encounters=build.bundle()) == []
    assert len(cards(encounter=in_progress)) == 1  # sent without being named
    other = ask(
        context={"userId": "Practitioner/a", "patientId": "p1"},
        prefetch=build.record(
            encounter=None, encounters=build.bundle(in_progress | {"subject": OTHER})
        ),
    )
    assert [one["rule"] for one in other.json()["errors"]] == ["two_subjects"]


@pytest.mark.parametrize("path", ["osteon-nothing", "osteon-nothing/feedback"])
def test_there_is_no_other_service(build: Any, client: httpx.Client, path: str) -> None:
    said = {
        "feedback": [
            {
                "card": str(uuid.uuid4()),
                "outcome": "overridden",
                "outcomeTimestamp": "2026-11-01T08:00:00Z",
            }
        ]
    }
    sent = said if path.endswith("feedback") else build.call()
    assert client.post(f"/cds-services/{path}", json=sent).status_code == 404


def test_every_call_is_on_record_without_a_word_of_the_patient(
    ask: Ask, card_of: Card, build: Any, records: Any, settings: Settings, user: str
) -> None:
    before = len(records(settings))
    others = (build.observation(name) for name in build.codes if name != "fgf23_c")
    measured = build.bundle(*others, build.observation("fgf23_c", 412.7391))
    card = card_of(prefetch=build.record(observations=measured))
    ask()
    ask(
        prefetch=build.record(
            observations=build.bundle(build.observation("lactate", subject=OTHER))
        ),
        context={"userId": "Patient/p1", "patientId": "p1", "encounterId": "e1"},
    )
    predicted, shown, silent, broken = records(settings)[before:]
    assert (predicted["action"], predicted["status"]) == ("predict", "ok")
    assert (shown["action"], shown["status"]) == ("card", "shown")
    assert shown["prediction_id"] == predicted["prediction_id"]
    assert shown["detail"]["card"] == card["uuid"]
    assert shown["detail"]["user"] == user
    assert shown["patient"] == predicted["patient"] == audit_keys(settings).patient("p1")
    assert (silent["action"], silent["status"]) == ("card", "no_card")
    assert (broken["action"], broken["status"]) == ("card", "not_answered")
    assert "user" not in broken["detail"]  # a patient who looks is not staff
    said = json.dumps([predicted, shown, silent, broken])
    assert "412.7391" not in said
    assert "Sentinel" not in said


def test_a_repeated_call_gets_the_same_card_and_prediction(
    ask: Ask, build: Any, records: Any, settings: Settings
) -> None:
    before = len(records(settings))
    call = build.call()
    sent = {"hookInstance": call["hookInstance"], "prefetch": call["prefetch"]}
    first = ask(**sent)
    again = ask(**sent | {"hookInstance": f"urn:uuid:{call['hookInstance'].upper()}"})
    assert len(first.json()["cards"]) == 1
    assert again.json() == first.json()
    predicted, shown, repeated = records(settings)[before:]
    assert [one["action"] for one in (predicted, shown, repeated)] == ["predict", "card", "card"]
    assert (shown["status"], repeated["status"]) == ("shown", "repeated")
    prediction_id = first.json()["extension"]["osteon"]["predictionId"]
    assert {one["prediction_id"] for one in (predicted, shown, repeated)} == {prediction_id}
    assert repeated["detail"]["card"] == first.json()["cards"][0]["uuid"]
    with closing(open_trail(settings)) as trail:
        flaws = verify(trail.database, trail.keys, None).flaws
    assert [flaw for flaw in flaws if flaw.rule == "card"] == []
    # Other data under the same instance are no repeated call.
    others = build.bundle(*(build.observation(name) for name in build.codes if name != "ctx_s"))
    changed = sent | {"prefetch": build.record(observations=others)}
    assert silence_of(ask(**changed)) == "seen"


def test_of_many_repeated_calls_at_once_all_get_the_same_card(ask: Ask, build: Any) -> None:
    call = build.call()
    sent = {"hookInstance": call["hookInstance"], "prefetch": call["prefetch"]}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(**sent).json(), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]["cards"]) == 1


def test_an_outcome_can_be_sent_back_for_a_card(ask: Ask, client: httpx.Client) -> None:
    about = ask().json()["extension"]["osteon"]
    outcome = {"outcome": "mortality", "event": 1, "days": 9}
    sent = {"prediction_id": about["predictionId"], **outcome}
    answer = client.post("/v1/outcomes", json=sent)
    assert answer.status_code == 201, answer.text


def test_the_answer_names_codes_that_were_not_recognised(ask: Ask, build: Any) -> None:
    unknown = build.observation("lactate")
    unknown["code"] = {"coding": [{"system": "urn:site:lab", "code": "K9"}]}
    known = [build.observation(name) for name in build.codes]
    answer = ask(prefetch=build.record(observations=build.bundle(*known, unknown)))
    assert answer.json()["extension"]["osteon"]["unrecognisedCodes"] == [
        {"system": "urn:site:lab", "code": "K9", "count": 1}
    ]


def test_a_refusal_states_its_code(ask: Ask, build: Any) -> None:
    pregnant = build.bundle(build.condition(SNOMED, "77386006"))
    silence = ask(prefetch=build.record(conditions=pregnant)).json()["extension"]["osteon"]
    assert silence["noCard"]["refusals"]


def test_feedback_is_kept_and_audited_without_its_comment(
    card_of: Card, records: Any, client: httpx.Client, settings: Settings
) -> None:
    card = card_of()["uuid"]
    why = {
        "reason": {"code": "patient-ineligible", "system": "urn:x", "display": "shown"},
        "userComment": "CommentSentinel",
    }
    sent = {"feedback": [feedback_of(card) | {"overrideReason": why}, feedback_of(card.upper())]}
    answer = client.post("/cds-services/osteon-mortality/feedback", json=sent)
    assert (answer.status_code, answer.json()) == (200, {})
    with closing(database_of(settings)) as database, database.reading() as connection:
        rows = connection.execute(
            select(CARD_FEEDBACK).where(CARD_FEEDBACK.c.card == card).order_by(CARD_FEEDBACK.c.id)
        ).all()
    assert [(row.outcome, row.reason_code, row.comment) for row in rows] == [
        ("overridden", "patient-ineligible", "CommentSentinel"),
        ("overridden", None, None),
    ]
    kept = records(settings)[-2:]
    assert {one["action"] for one in kept} == {"feedback"}
    assert {one["detail"]["card"] for one in kept} == {card}
    assert kept[0]["prediction_id"]
    assert "CommentSentinel" not in json.dumps(kept)


def test_a_card_may_be_set_aside_for_a_reason_that_it_offers(
    card_of: Card, client: httpx.Client, settings: Settings
) -> None:
    card = card_of()
    published = client.get("/fhir/CodeSystem/osteon").json()
    displays = {concept["code"]: concept["display"] for concept in published["concept"]}
    assert len(card["overrideReasons"]) == 5
    for reason in card["overrideReasons"]:
        assert reason["system"] == published["url"]
        assert reason["display"] == displays[reason["code"]]
    said = [
        feedback_of(card["uuid"]) | {"overrideReason": {"reason": reason}}
        for reason in card["overrideReasons"]
    ]
    answer = client.post("/cds-services/osteon-mortality/feedback", json={"feedback": said})
    assert answer.status_code == 200
    of_card = select(CARD_FEEDBACK).where(CARD_FEEDBACK.c.card == card["uuid"])
    with closing(database_of(settings)) as database, database.reading() as connection:
        rows = connection.execute(of_card.order_by(CARD_FEEDBACK.c.id)).all()
    assert [(row.reason_system, row.reason_code) for row in rows] == [
        (reason["system"], reason["code"]) for reason in card["overrideReasons"]
    ]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"card": "00000000-0000-4000-8000-000000000000"}, "feedback[0].card"),
        ({"card": "no uuid"}, "feedback[0].card"),
        ({"outcome": "accepted"}, "feedback[0]"),
        ({"outcome": "ignored"}, "feedback[0].outcome"),
        ({"overrideReason": {}}, "feedback[0].overrideReason"),
        ({"outcomeTimestamp": "2026-11-01T08:00:00"}, "feedback[0].outcomeTimestamp"),
    ],
)
def test_feedback_that_breaks_the_contract_is_refused(
    card_of: Card, client: httpx.Client, changed: dict[str, Any], field: str
) -> None:
    sent = {"feedback": [feedback_of(card_of()["uuid"]) | changed]}
    answer = client.post("/cds-services/osteon-mortality/feedback", json=sent)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_feedback_goes_to_the_service_that_gave_the_card(
    card_of: Card, client: httpx.Client
) -> None:
    sent = {"feedback": [feedback_of(card_of()["uuid"])]}
    answer = client.post("/cds-services/osteon-fracture/feedback", json=sent)
    assert answer.status_code == 422
