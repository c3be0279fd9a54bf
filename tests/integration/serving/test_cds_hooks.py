"""CDS Hooks as an electronic health record calls it: what is answered, and when nothing is."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from models.wording import NOTICE
from serving.app import create_app
from serving.audit.opening import audit_keys, database_of
from serving.settings import Settings
from serving.tables import CARD_FEEDBACK, CARDS, RECORDS

if TYPE_CHECKING:
    import httpx

    from serving.served import ServedModel

SCHEMAS = Path(__file__).parents[4] / "shared" / "standards" / "schemas"
NOW = datetime.now().astimezone()
ADMITTED = NOW - timedelta(hours=30)
MEASURED = ADMITTED + timedelta(hours=20)
CAUSAL = re.compile(r"because|due to|protect|leads? to", re.IGNORECASE)
LOINC = "http://loinc.org"
ICU = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
SNOMED = "http://snomed.info/sct"
CODES = {
    "lactate": ("2524-7", "mmol/L", 1.4),
    "albumin": ("1751-7", "g/dL", 3.0),
    "fgf23_c": ("47855-2", "[arb'U]/mL", 410),
    "ctx_s": ("41171-0", "pg/mL", 500),
}


def of_shape(name: str, document: Any) -> None:
    """Check a document against the JSON Schema of that name, where it lies beside the checkout."""
    import jsonschema

    schema = json.loads((SCHEMAS / f"cds_hooks_{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


needs_schemas = pytest.mark.skipif(
    not SCHEMAS.is_dir(), reason="shared/standards/schemas is not beside this checkout"
)


def observation(name: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    code, unit, usual = CODES[name]
    return {
        "resourceType": "Observation",
        "id": name.replace("_", "-"),
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": MEASURED.isoformat(timespec="seconds"),
        "valueQuantity": {
            "value": usual if value is None else value,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    } | more


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    entry = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entry} | more


def patient(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "gender": "female",
        "birthDate": "1966-11-01",
        "name": [{"family": "NameSentinel"}],
    } | more


def encounter(
    start: datetime = ADMITTED, end: datetime | None = None, **more: Any
) -> dict[str, Any]:
    period = {"start": start.isoformat(timespec="seconds")}
    if end:
        period["end"] = end.isoformat(timespec="seconds")
    return {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "class": ICU,
        "subject": {"reference": "Patient/p1"},
        "period": period,
    } | more


def condition(system: str, code: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": system, "code": code}]},
    }


def record(**changed: Any) -> dict[str, Any]:
    return {
        "patient": patient(),
        "encounter": encounter(),
        "observations": bundle(*(observation(name) for name in CODES)),
        "conditions": bundle(condition("http://hl7.org/fhir/sid/icd-10", "E11.9")),
        "comfortCare": bundle(),
        "medications": bundle(),
    } | changed


def call(hook: str = "patient-view", user: str = "Practitioner/a", **more: Any) -> dict[str, Any]:
    return {
        "hook": hook,
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": user, "patientId": "p1", "encounterId": "e1"},
        "prefetch": record(),
    } | more


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        state_dir=tmp_path_factory.mktemp("cds"),
        public_url="https://osteon.example/",
        cds_origins=("https://ehr.example",),
    )


@pytest.fixture(scope="module")
def client(
    serve: Any, settings: Settings, real_mortality: ServedModel, sure_fracture: ServedModel
) -> httpx.Client:
    opened: httpx.Client = serve(create_app(settings, models=[real_mortality, sure_fracture]))
    return opened


@pytest.fixture
def user() -> str:
    """Somebody who has seen no card yet."""
    return f"Practitioner/{uuid.uuid4()}"


Ask = Callable[..., "httpx.Response"]


@pytest.fixture
def ask(client: httpx.Client, user: str) -> Ask:
    def asked(service: str = "osteon-mortality", **more: Any) -> httpx.Response:
        hook = "patient-view" if service == "osteon-mortality" else "encounter-discharge"
        return client.post(f"/cds-services/{service}", json=call(hook, user) | more)

    return asked


def only_card(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    (card,) = answer.json()["cards"]
    return dict(card)


def records(settings: Settings) -> list[dict[str, Any]]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        bodies = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq)).scalars()
        return [json.loads(body) for body in bodies]


def test_discovery_names_both_services_and_what_they_need(client: httpx.Client) -> None:
    services = client.get("/cds-services").json()["services"]
    assert {(one["id"], one["hook"]) for one in services} == {
        ("osteon-mortality", "patient-view"),
        ("osteon-fracture", "encounter-discharge"),
    }
    for service in services:
        prefetch = service["prefetch"]
        observations = prefetch["observations"]
        assert observations.startswith("Observation?patient={{context.patientId}}&code=")
        assert f"{LOINC}|47855-2" in observations
        assert re.search(r"&date=ge\d{4}-\d\d-\d\d&_sort=-date&_count=200$", observations)
        kinds = {template.partition("?")[0].partition("/")[0] for template in prefetch.values()}
        assert kinds == {
            "Patient",
            "Encounter",
            "Observation",
            "Condition",
            "ServiceRequest",
            "MedicationRequest",
        }
        assert NOTICE in service["description"]


def test_the_radius_is_never_asked_for_as_hip_or_spine(serve: Any, tmp_path: Path) -> None:
    nothing_served = serve(create_app(Settings(state_dir=tmp_path)))
    for service in nothing_served.get("/cds-services").json()["services"]:
        asked_for = set(re.findall(r"loinc\.org\|([\d-]+)", service["prefetch"]["observations"]))
        assert {"38263-0", "38267-1"} <= asked_for  # femur and lumbar spine
        assert "38265-5" not in asked_for  # radius and ulna, whatever Synthea says
        assert len(service["prefetch"]["observations"]) < 4_000  # servers cut addresses at 8 kB


@needs_schemas
def test_what_goes_out_and_comes_in_has_the_standard_shape(client: httpx.Client, user: str) -> None:
    of_shape("discovery", client.get("/cds-services").json())
    for service, hook in (
        ("osteon-mortality", "patient-view"),
        ("osteon-fracture", "encounter-discharge"),
    ):
        sent = call(hook, user)
        of_shape("request", sent)
        answer = client.post(f"/cds-services/{service}", json=sent).json()
        of_shape("response", answer)
        said = {
            "feedback": [
                {
                    "card": answer["cards"][0]["uuid"],
                    "outcome": "overridden",
                    "overrideReason": {"userComment": "seen"},
                    "outcomeTimestamp": NOW.isoformat(timespec="seconds"),
                }
            ]
        }
        of_shape("feedback", said)
        assert client.post(f"/cds-services/{service}/feedback", json=said).status_code == 200
        again = client.post(f"/cds-services/{service}", json=call(hook, user)).json()
        of_shape("response", again)


def test_a_card_of_death_informs_and_explains(ask: Ask, client: httpx.Client) -> None:
    card = only_card(ask())
    assert card["indicator"] == "info"
    assert "suggestions" not in card
    assert uuid.UUID(card["uuid"])
    assert len(card["summary"]) < 140
    assert re.fullmatch(
        r"Of 100 such patients the model expects about \d+ deaths? within 28 days "
        r"\(95 % interval \d+ to \d+\)\. Research use only\.",
        card["summary"],
    )
    assert card["source"]["label"].startswith("Osteon, research use only: osteon-mortality version")
    assert card["source"]["topic"]["code"] == "AIAST"
    assert card["source"]["url"] == "https://osteon.example"
    detail = card["detail"]
    assert detail.startswith(f"**{NOTICE}**")
    for said in (
        "version 3 (champion)",
        "Adults of two hospitals.",
        "AIAST",
        "410 RU/mL",
        "Discrimination (AUROC) 0.80 (0.70 to 0.90)",
        "24 h after ICU admission, alive",
        "yes |",  # diabetes, from the Condition
    ):
        assert said in detail
    assert "Sentinel" not in json.dumps(card)
    assert not CAUSAL.search(detail)


def test_the_points_of_a_card_add_up(ask: Ask) -> None:
    rows = re.findall(r"\| \**([+\-]?\d+\.\d)\** \|$", only_card(ask())["detail"], re.MULTILINE)
    *parts, total = map(float, rows)
    assert sum(parts) == pytest.approx(total, abs=0.05 * (len(parts) + 1))  # one decimal each


def test_the_card_says_what_the_prediction_says(ask: Ask, client: httpx.Client) -> None:
    summary = only_card(ask())["summary"]
    sent = {
        "patient_id": "p1",
        "time_zero": (ADMITTED + timedelta(hours=24)).isoformat(timespec="seconds"),
        "sex": "female",
        "birth_date": "1966-11-01",
        "outcomes": ["mortality"],
        "measurements": [
            {"variable": "diabetes", "value": True},
            *(
                {"variable": name, "value": value, "unit": unit}
                for name, (_, unit, value) in CODES.items()
            ),
        ],
    }
    risk = client.post("/v1/predict", json=sent).json()["predictions"][0]["risks"][0]
    assert f"about {round(100 * risk['risk'])} death" in summary
    low, high = (round(100 * risk["interval"][end]) for end in ("low", "high"))
    assert f"interval {low} to {high})" in summary


def test_a_card_of_fracture_says_who_dies_first(ask: Ask) -> None:
    card = only_card(ask("osteon-fracture"))
    assert re.search(r"fractures? \(\d+ to \d+\) and \d+ dying first within", card["summary"])
    assert len(card["summary"]) < 140
    assert "die first" in card["detail"]


LONG_AGO = NOW - timedelta(days=45)
SILENT: dict[str, dict[str, Any]] = {
    "under 18": {"patient": patient(birthDate=f"{NOW.year - 18}")},
    "age unknown": {"patient": {k: v for k, v in patient().items() if k != "birthDate"}},
    "dead": {"patient": patient(deceasedBoolean=True)},
    "dead at a time": {"patient": patient(deceasedDateTime="2026-01-01")},
    "dead at an unknown time": {"patient": patient(_deceasedDateTime={"extension": []})},
    "no patient": {"patient": None},
    "no encounter": {"encounter": None},
    "not in ICU": {"encounter": encounter(**{"class": {"code": "IMP"}})},
    "in ICU some day": {"encounter": encounter(NOW + timedelta(hours=1))},
    "died there": {
        "encounter": encounter(
            hospitalization={"dischargeDisposition": {"coding": [{"code": "exp"}]}}
        )
    },
    "to a hospice": {
        "encounter": encounter(
            hospitalization={"dischargeDisposition": {"coding": [{"code": "hosp"}]}}
        )
    },
    "comfort care": {"conditions": bundle(condition("http://hl7.org/fhir/sid/icd-10-cm", "Z51.5"))},
    "comfort care ordered": {
        "comfortCare": bundle(
            condition(SNOMED, "133918004") | {"resourceType": "ServiceRequest", "status": "active"}
        )
    },
    "no bone marker": {"observations": bundle(observation("lactate"), observation("albumin"))},
    "a marker of months ago": {
        "observations": bundle(
            observation("lactate"),
            observation("albumin"),
            observation("fgf23_c", effectiveDateTime=LONG_AGO.isoformat()),
        )
    },
    "a marker without a time": {
        "observations": bundle(
            observation("lactate"),
            observation("albumin"),
            observation("fgf23_c", effectiveDateTime=None),
        )
    },
    "pregnant": {"conditions": bundle(condition(SNOMED, "77386006"))},
}
EARLY_OR_LATE = {
    "before time zero": {"encounter": encounter(NOW - timedelta(hours=23))},
    "after the window": {"encounter": encounter(NOW - timedelta(hours=49))},
    "left ICU": {"encounter": encounter(end=NOW - timedelta(hours=1))},
}


@pytest.mark.parametrize("why", [*SILENT, *EARLY_OR_LATE])
def test_there_is_no_card_of_death(ask: Ask, why: str) -> None:
    answer = ask(prefetch=record(**(SILENT | EARLY_OR_LATE)[why]))
    assert (answer.status_code, answer.json()) == (200, {"cards": []})
    assert only_card(ask())  # nothing else stood in the way


@pytest.mark.parametrize(
    "changed",
    [
        *SILENT.values(),
        {"encounter": encounter(LONG_AGO, NOW - timedelta(days=31), status="finished")},
        {"encounter": encounter(NOW - timedelta(days=900))},
    ],
    ids=[*SILENT, "after the window", "a stay of years"],
)
def test_there_is_no_card_of_fracture(ask: Ask, changed: dict[str, Any]) -> None:
    answer = ask("osteon-fracture", prefetch=record(**changed))
    assert (answer.status_code, answer.json()) == (200, {"cards": []})


def test_a_death_model_that_is_too_unsure_is_silent(ask: Ask) -> None:
    unsure = record(observations=bundle(*(observation(n) for n in CODES if n != "albumin")))
    unsure["observations"]["entry"].append({"resource": observation("albumin", 2.0)})
    assert ask(prefetch=unsure).json() == {"cards": []}


def test_a_horizon_with_too_wide_an_interval_is_not_shown(ask: Ask) -> None:
    detail = only_card(ask())["detail"]
    assert "within 28 days of time zero" in detail
    assert "within 90 days" not in detail


def test_a_simulated_model_says_nothing_of_a_patient(
    serve: Any, tmp_path: Path, mortality: ServedModel
) -> None:
    client = serve(create_app(Settings(state_dir=tmp_path), models=[mortality]))
    answer = client.post("/cds-services/osteon-mortality", json=call())
    assert (answer.status_code, answer.json()) == (200, {"cards": []})


def test_a_model_of_another_time_zero_says_nothing_at_this_one(
    serve: Any, tmp_path: Path, real_mortality: ServedModel
) -> None:
    other = real_mortality.loaded.risk_model.with_contract(time_zero="study day 3")
    model = replace(real_mortality, loaded=replace(real_mortality.loaded, risk_model=other))
    client = serve(create_app(Settings(state_dir=tmp_path), models=[model]))
    assert client.post("/cds-services/osteon-mortality", json=call()).json() == {"cards": []}


def test_one_user_gets_one_card_a_day_and_another_gets_their_own(ask: Ask) -> None:
    only_card(ask())
    worse = record(observations=bundle(*(observation(name) for name in CODES if name != "ctx_s")))
    assert ask(prefetch=worse).json() == {"cards": []}
    assert only_card(
        ask(
            context={
                "userId": "Practitioner/other-" + str(uuid.uuid4()),
                "patientId": "p1",
                "encounterId": "e1",
            }
        )
    )
    assert only_card(ask("osteon-fracture"))  # another outcome


def test_a_card_comes_again_on_another_day_only_if_it_says_something_new(
    ask: Ask, settings: Settings
) -> None:
    only_card(ask())
    with closing(database_of(settings)) as database, database.writing() as connection:
        connection.execute(CARDS.update().values(day="2026-01-01"))
        newest = connection.execute(select(CARDS.c.id).order_by(CARDS.c.id.desc()).limit(1))
        connection.execute(CARDS.delete().where(CARDS.c.id != newest.scalar_one()))
    assert ask().json() == {"cards": []}
    changed = [observation(name) for name in CODES if name != "fgf23_c"]
    changed.append(observation("fgf23_c", 700))
    assert "700 RU/mL" in only_card(ask(prefetch=record(observations=bundle(*changed))))["detail"]


def test_of_many_calls_at_once_one_gets_the_card(ask: Ask) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask().json()["cards"], range(16)))
    assert sorted(map(len, answers)) == [0] * 15 + [1]


def test_what_was_sent_and_cannot_be_read_is_counted_and_left_out(ask: Ask) -> None:
    slip = observation("ctx_s", id="aps")
    slip["code"] = {"coding": [{"system": "urn:osteon:codes", "code": "aps"}]}
    slip["valueQuantity"]["code"] = "g"
    unclear = observation("lactate", id="other", effectiveDateTime="yesterday")
    sent = record(observations=bundle(*map(observation, CODES), slip, unclear))
    detail = only_card(ask(prefetch=sent))["detail"]
    assert "the unit, value or time could not be read: APS and 1 more." in detail
    (missing,) = re.findall(r"Not measured: (.*)", detail)
    assert "APS" not in missing


def test_only_what_was_taken_by_time_zero_is_used(ask: Ask) -> None:
    late = observation(
        "fgf23_c", 9_000, effectiveDateTime=(ADMITTED + timedelta(hours=25)).isoformat()
    )
    observations = bundle(*(observation(name) for name in CODES), late)
    detail = only_card(ask(prefetch=record(observations=observations)))["detail"]
    assert "410 RU/mL" in detail
    assert f"{MEASURED:%Y-%m-%d %H:%M}" in detail


def test_a_subject_may_be_named_by_its_whole_address(ask: Ask) -> None:
    entries = [
        {
            "fullUrl": f"https://ehr.example/fhir/Observation/{name}",
            "resource": observation(
                name, subject={"reference": "https://ehr.example/fhir/Patient/p1"}
            ),
        }
        for name in CODES
    ]
    sent = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    only_card(ask(prefetch=record(observations=sent)))


OTHER = {"reference": "Patient/p2"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"patient": patient(id="p2")}, "prefetch.patient"),
        ({"encounter": encounter(id="e2")}, "prefetch.encounter"),
        ({"encounter": encounter(subject=OTHER)}, "prefetch.encounter"),
        (
            {"observations": bundle(observation("lactate", subject=OTHER))},
            "prefetch.observations.entry[0].resource",
        ),
        (
            {"conditions": bundle(condition(SNOMED, "1") | {"subject": OTHER})},
            "prefetch.conditions.entry[0].resource",
        ),
    ],
)
def test_the_record_of_another_patient_is_refused(
    ask: Ask, changed: dict[str, Any], field: str
) -> None:
    answer = ask(prefetch=record(**changed))
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
    silent = ask(context={"userId": "Practitioner/a", "patientId": "p1"})
    assert silent.json() == {"cards": []}  # of a view it may be left out


@pytest.mark.parametrize("path", ["osteon-nothing", "osteon-nothing/feedback"])
def test_there_is_no_other_service(client: httpx.Client, path: str) -> None:
    said = {
        "feedback": [
            {
                "card": str(uuid.uuid4()),
                "outcome": "overridden",
                "outcomeTimestamp": "2026-11-01T08:00:00Z",
            }
        ]
    }
    sent = said if path.endswith("feedback") else call()
    assert client.post(f"/cds-services/{path}", json=sent).status_code == 404


def test_every_call_is_on_record_without_a_word_of_the_patient(
    ask: Ask, settings: Settings, user: str
) -> None:
    before = len(records(settings))
    card = only_card(ask())
    ask()
    ask(
        prefetch=record(observations=bundle(observation("lactate", subject=OTHER))),
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
    assert "410" not in said
    assert "Sentinel" not in said


def test_why_there_is_no_card_is_counted_and_told_of_nobody(ask: Ask, client: httpx.Client) -> None:
    def count() -> float:
        line = 'osteon_cds_calls_total{answer="not_eligible",service="osteon-mortality"} '
        found = re.search(re.escape(line) + r"([\d.]+)", client.get("/metrics").text)
        return float(found[1]) if found else 0.0

    before = count()
    ask(prefetch=record(**SILENT["dead"]))
    assert count() == before + 1


def feedback_of(card: str) -> dict[str, Any]:
    return {
        "card": card,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-01T08:00:00+01:00",
    }


def test_feedback_is_kept_and_audited_without_its_comment(
    ask: Ask, client: httpx.Client, settings: Settings
) -> None:
    card = only_card(ask())["uuid"]
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
    ask: Ask, client: httpx.Client, changed: dict[str, Any], field: str
) -> None:
    sent = {"feedback": [feedback_of(only_card(ask())["uuid"]) | changed]}
    answer = client.post("/cds-services/osteon-mortality/feedback", json=sent)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_feedback_goes_to_the_service_that_gave_the_card(ask: Ask, client: httpx.Client) -> None:
    sent = {"feedback": [feedback_of(only_card(ask())["uuid"])]}
    answer = client.post("/cds-services/osteon-fracture/feedback", json=sent)
    assert answer.status_code == 422
