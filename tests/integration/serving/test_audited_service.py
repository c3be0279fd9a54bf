from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Table, func, select, text, update

from audit_records import check as verified
from audit_records import tamper
from data_schema.errors import UsageError
from serving.app import create_app
from serving.audit.opening import audit_keys, database_of, head_path, open_trail
from serving.audit.record import AuditEvent
from serving.audit.stored_rows import digest
from serving.prediction.schemas import PredictResponse
from serving.settings import Settings
from serving.store.tables import OUTCOMES, RECORDS, RISKS

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

VALID: dict[str, Any] = {
    "patient_id": "PatientSentinel",
    "encounter_id": "EncounterSentinel",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "asked_at": "2026-11-01T08:00:00+01:00",
    "sex": "female",
    "birth_date": "1958-03-02",
    "outcomes": ["mortality"],
    "horizons_days": [28, 90],
    "measurements": [
        {"variable": "lactate", "value": 2.8271, "unit": "mmol/L"},
        {"variable": "albumin", "value": 2.7391, "unit": "g/dL"},
    ],
}
UNDER_AGE = VALID | {"birth_date": "2020-01-01"}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(state_dir=tmp_path / "state", database_url=database_url)


@pytest.fixture
def client(
    serve: Any, settings: Settings, mortality: ServedModel, fracture: ServedModel
) -> httpx.Client:
    return serve(create_app(settings, models=[mortality, fracture]))


@pytest.fixture(scope="module")
def shared(serve: Any, mortality: ServedModel) -> httpx.Client:
    """A client of one service for every test that does not count its records."""
    return serve(create_app(Settings(), models=[mortality]))


def records(settings: Settings) -> list[dict[str, Any]]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        bodies = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq)).scalars()
        return [json.loads(body) for body in bodies]


def _stored(settings: Settings, table: Table) -> list[dict[str, Any]]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        return [row._asdict() for row in connection.execute(select(table))]


def rules(answer: httpx.Response) -> set[tuple[str, str]]:
    return {(entry["field"], entry["rule"]) for entry in answer.json()["errors"]}


def test_interim_answers_are_on_record_and_only_the_final_one_counts(
    client: httpx.Client, settings: Settings
) -> None:
    sitting = VALID | {"session": "SessionSentinel"}
    stages = [("interim", 270), ("interim", 310), ("final", 310)]
    ids = []
    for stage, ctx in stages:
        measurements = [
            *VALID["measurements"],
            {"variable": "ctx_s", "value": ctx, "unit": "pg/mL"},
        ]
        asked = sitting | {"stage": stage, "measurements": measurements}
        ids.append(client.post("/v1/predict", json=asked).json()["prediction_id"])
    found = records(settings)
    assert [one["stage"] for one in found] == [stage for stage, _ in stages]
    assert len({one["session"] for one in found}) == 1
    assert "SessionSentinel" not in json.dumps(found)
    assert [one["prediction_id"] for one in _stored(settings, RISKS)] == ids[-1:]
    happened = {"outcome": "mortality", "event": 1, "days": 12}
    refused = client.post("/v1/outcomes", json=happened | {"prediction_id": ids[0]})
    assert rules(refused) == {("prediction_id", "unknown")}
    assert "final prediction" in refused.json()["errors"][0]["message"]
    kept = client.post("/v1/outcomes", json=happened | {"prediction_id": ids[-1]})
    assert kept.status_code == 201
    assert list(verified(settings).flaws) == []


def test_an_interim_answer_must_name_its_session(shared: httpx.Client) -> None:
    answer = shared.post("/v1/predict", json=VALID | {"stage": "interim"})
    assert answer.status_code == 422
    assert rules(answer) == {("session", "missing")}


def test_a_prediction_leaves_one_record_that_says_who_when_and_what(
    client: httpx.Client, settings: Settings, mortality: ServedModel, fracture: ServedModel
) -> None:
    answer = client.post(
        "/v1/predict", json=VALID | {"outcomes": ["mortality", "fracture"], "horizons_days": [90]}
    ).json()
    (record,) = records(settings)
    keys = audit_keys(settings)
    assert record.pop("input") != hashlib.sha256(json.dumps(VALID).encode()).hexdigest()
    assert record.pop("digest") == digest(keys, RISKS, _stored(settings, RISKS))
    assert record == {
        "seq": 1,
        "at": record["at"],
        "action": "predict",
        "actor": "local",
        "status": "ok",
        "route": "/v1/predict",
        "prediction_id": answer["prediction_id"],
        "patient": keys.patient("PatientSentinel"),
        "stay": keys.stay("PatientSentinel", f"encounter {VALID['encounter_id']}"),
        "moment": keys.moment("PatientSentinel", datetime.fromisoformat(VALID["time_zero"])),
        "outcomes": ["mortality", "fracture"],
        "models": [
            {
                "name": model.loaded.name,
                "version": "3",
                "sha256": model.loaded.sha256,
                "outcome": model.contract.outcome,
                "status": "ok",
            }
            for model in (mortality, fracture)
        ],
    }
    assert record["at"].replace("+00:00", "Z") == answer["created_at"]


def test_what_was_recorded_as_not_done_is_on_record_by_name(
    client: httpx.Client, settings: Settings
) -> None:
    client.post("/v1/predict", json=VALID | {"absent": ["estradiol", "ctx_s", "aps"]})
    client.post("/v1/predict", json=VALID)
    stated, silent = records(settings)
    assert stated["absent"] == ["aps", "ctx_s"]
    assert "absent" not in silent
    assert stated["input"] != silent["input"]
    with closing(database_of(settings)) as database, database.reading() as connection:
        kept = connection.execute(select(RISKS.c.absent)).scalars().all()
    assert sorted(kept, key=str) == [None, '["ctx_s","aps"]']


def test_a_batch_is_answered_as_each_alone_and_leaves_a_record_of_each(
    client: httpx.Client, settings: Settings
) -> None:
    others = [VALID, UNDER_AGE, VALID | {"patient_id": "another", "sex": "male"}]
    alone = [client.post("/v1/predict", json=body).json() for body in others]
    answer = client.post("/v1/predict/batch", json={"requests": others})
    assert answer.status_code == 200
    together = answer.json()["answers"]
    assert [one["predictions"] for one in together] == [one["predictions"] for one in alone]
    kept = records(settings)[3:]
    assert [record["prediction_id"] for record in kept] == [
        one["prediction_id"] for one in together
    ]
    assert [record["status"] for record in kept] == ["ok", "refused", "ok"]
    assert {record["route"] for record in kept} == {"/v1/predict/batch"}


@pytest.mark.parametrize(
    ("requests", "problem"),
    [
        ([], ("requests", "too_few")),
        ([VALID] * 101, ("requests", "too_many")),
        ([VALID, VALID | {"sex": 1}], ("requests[1].sex", "not_allowed")),
        ([VALID, VALID | {"horizons_days": [1e6]}], ("requests[1].horizons_days[0]", "horizon")),
        (
            [VALID, VALID | {"outcomes": ["delirium"]}],
            ("requests[1].outcomes[0]", "unknown_outcome"),
        ),
    ],
)
def test_a_batch_with_a_broken_request_is_not_answered(
    shared: httpx.Client, requests: list[Any], problem: tuple[str, str]
) -> None:
    answer = shared.post("/v1/predict/batch", json={"requests": requests})
    assert answer.status_code == 422
    assert rules(answer) == {problem}


def test_no_record_holds_what_was_sent(client: httpx.Client, settings: Settings) -> None:
    client.post("/v1/predict", json=VALID)
    with closing(database_of(settings)) as database, database.reading() as connection:
        kept = [str(row) for table in (RECORDS, RISKS) for row in connection.execute(select(table))]
    assert len(kept) == 2
    words, numbers = ("Sentinel", "female", "lactate"), ("2.8271", "2.7391", "1958")
    # Hashes, ids and fractions of a second may hold four digits by chance, but not as a number.
    sent = re.compile(
        "|".join([*words, *(rf"(?<![\w.]){re.escape(one)}(?!\w)" for one in numbers)])
    )
    assert set(sent.findall(json.dumps(VALID))) == {*words, *numbers}
    assert not any(sent.search(row) for row in kept)


def test_the_same_request_of_the_same_patient_has_the_same_hashes(
    client: httpx.Client, settings: Settings
) -> None:
    for body in (VALID, VALID, VALID | {"patient_id": "another"}, VALID | {"sex": "male"}):
        client.post("/v1/predict", json=body)
    first, same, other_patient, other_values = records(settings)
    assert first["input"] == same["input"]
    assert first["patient"] == same["patient"] == other_values["patient"]
    assert other_patient["patient"] != first["patient"]
    assert len({first["input"], other_patient["input"], other_values["input"]}) == 3


def test_a_refusal_leaves_a_record(client: httpx.Client, settings: Settings) -> None:
    answer = client.post("/v1/predict", json=UNDER_AGE).json()
    assert answer["predictions"][0]["status"] == "refused"
    (record,) = records(settings)
    assert record["status"] == "refused"
    assert record["models"][0]["status"] == "refused"


def test_what_is_no_prediction_leaves_no_record(client: httpx.Client, settings: Settings) -> None:
    assert client.post("/v1/predict", json=VALID | {"sex": 1}).status_code == 422
    assert client.post("/v1/predict", json=VALID | {"outcomes": ["delirium"]}).status_code == 422
    assert client.get("/openapi.json").status_code == 200
    assert records(settings) == []


def test_what_cannot_be_recorded_is_not_answered(client: httpx.Client, settings: Settings) -> None:
    client.post("/v1/predict", json=VALID)
    assert client.get("/health/ready").status_code == 200
    head_path(settings).write_bytes(b"")
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    answer = client.post("/v1/predict", json=VALID)
    assert answer.status_code == 503
    assert "risk" not in answer.text
    assert len(records(settings)) == 1


def fill_up(settings: Settings) -> None:
    """Have the database refuse to write a record, as a full disk does, and still be read."""
    full = (
        "CREATE TRIGGER full BEFORE INSERT ON osteon_audit_records "
        "BEGIN SELECT RAISE(FAIL, 'disk is full of PatientSentinel'); END"
    )
    with closing(database_of(settings)) as database, database.writing() as connection:
        connection.exec_driver_sql(full)


def free(settings: Settings) -> None:
    with closing(database_of(settings)) as database, database.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")


def test_while_the_disk_is_full_it_is_not_ready_and_the_log_says_why(
    serve: Any,
    tmp_path: Path,
    mortality: ServedModel,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(state_dir=tmp_path)
    client = serve(create_app(settings, models=[mortality]))
    fill_up(settings)
    assert client.post("/v1/predict", json=VALID).status_code == 503
    assert "503. The database did not answer (IntegrityError)." in caplog.text
    assert "Sentinel" not in caplog.text
    assert client.get("/health/ready").status_code == 503
    free(settings)
    later = monotonic() + 11
    with monkeypatch.context() as patch:
        patch.setattr("serving.audit.trail.monotonic", lambda: later)
        assert client.get("/health/ready").status_code == 200
    assert client.get("/health/ready").status_code == 503
    assert client.post("/v1/predict", json=VALID).status_code == 200
    assert client.get("/health/ready").status_code == 200


def test_a_database_that_is_found_newer_after_the_start_takes_no_record(
    serve: Any, tmp_path: Path, mortality: ServedModel, caplog: pytest.LogCaptureFixture
) -> None:
    kept, newer = tmp_path / "kept", tmp_path / "newer.db"
    with closing(open_trail(Settings(state_dir=kept))) as trail:
        trail.append(AuditEvent(action="start", actor="local", status="ok"))
        with trail.database.writing() as connection:
            connection.execute(text("INSERT INTO osteon_schema VALUES (4711)"))
    (kept / "osteon.db").rename(newer)
    client = serve(create_app(Settings(state_dir=kept), models=[mortality]))
    newer.rename(kept / "osteon.db")
    assert client.get("/health/ready").status_code == 503
    assert client.post("/v1/predict", json=VALID).status_code == 503
    assert "503. The database must be of version 7 or older; got version 4711" in caplog.text
    with pytest.raises(UsageError, match="got version 4711"):
        open_trail(Settings(state_dir=kept))


def test_who_cannot_be_turned_away_on_record_is_told_503_and_the_log_says_why(
    serve: Any, tmp_path: Path, mortality: ServedModel, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(state_dir=tmp_path, authentication="required")
    client = serve(create_app(settings, models=[mortality]))
    fill_up(settings)
    assert client.post("/v1/predict", json=VALID).status_code == 503
    assert "503. The database did not answer (IntegrityError)." in caplog.text
    assert client.get("/health/ready").status_code == 503


def test_a_repeated_request_gets_its_first_answer_and_leaves_one_record(
    client: httpx.Client, settings: Settings
) -> None:
    said = {"Idempotency-Key": "0b7e1c9e-a-key"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: client.post("/v1/predict", json=VALID, headers=said), range(16))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    PredictResponse.model_validate(answers[0].json())
    assert len(records(settings)) == 1
    assert "a-key" not in json.dumps(records(settings))
    without = client.post("/v1/predict", json=VALID).json()
    assert without["prediction_id"] != answers[0].json()["prediction_id"]


def test_a_repeated_key_with_another_request_is_refused(
    client: httpx.Client, settings: Settings
) -> None:
    said = {"Idempotency-Key": "a-key"}
    client.post("/v1/predict", json=VALID, headers=said)
    answer = client.post("/v1/predict", json=VALID | {"sex": "male"}, headers=said)
    assert answer.status_code == 422
    assert rules(answer) == {("Idempotency-Key", "reused")}
    assert len(records(settings)) == 1


def test_a_repeated_request_is_not_answered_by_another_model(
    serve: Any, settings: Settings, mortality: ServedModel
) -> None:
    said = {"Idempotency-Key": "a-key"}
    newer = replace(mortality, loaded=replace(mortality.loaded, version="4", sha256="1" * 64))
    before, after = (serve(create_app(settings, models=[one])) for one in (mortality, newer))
    assert before.post("/v1/predict", json=VALID, headers=said).status_code == 200
    answer = after.post("/v1/predict", json=VALID, headers=said)
    assert answer.status_code == 409
    assert rules(answer) == {("Idempotency-Key", "model_changed")}


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
def test_a_key_that_is_none_is_refused(shared: httpx.Client, key: str) -> None:
    answer = shared.post("/v1/predict", json=VALID, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert {field for field, _ in rules(answer)} == {"header.Idempotency-Key"}


def test_what_happened_is_kept_beside_the_risk_and_audited_without_it(
    client: httpx.Client, settings: Settings
) -> None:
    answer = client.post("/v1/predict", json=VALID).json()
    sent = {"prediction_id": answer["prediction_id"], "outcome": "mortality"}
    for event, days in ((0, 20.5), (1, 23.25)):
        kept = client.post("/v1/outcomes", json=sent | {"event": event, "days": days})
        assert kept.status_code == 201, kept.text
        assert kept.json()["prediction_id"] == answer["prediction_id"]
    with closing(database_of(settings)) as database, database.reading() as connection:
        risks = connection.execute(select(RISKS)).one()
        happened = connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.id)).all()
    answered = [[r["horizon_days"], r["risk"]] for r in answer["predictions"][0]["risks"]]
    assert json.loads(risks.risks) == answered
    assert [(row.event, row.days) for row in happened] == [(0, 20.5), (1, 23.25)]
    record = records(settings)[-1]
    assert record["action"] == "outcome"
    assert record["prediction_id"] == answer["prediction_id"]
    assert "23.25" not in json.dumps(record)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"prediction_id": "0" * 26}, ("prediction_id", "unknown")),
        ({"prediction_id": "short"}, ("prediction_id", "text_length")),
        ({"prediction_id": "\0" * 26}, ("prediction_id", "invalid")),
        ({"outcome": "fracture"}, ("outcome", "not_predicted")),
        ({"event": 2}, ("event", "not_allowed")),
        ({"event": 3}, ("event", "not_allowed")),
        ({"event": True}, ("event", "not_allowed")),
        ({"days": 0}, ("days", "range")),
        ({"died": True}, ("died", "unknown_field")),
    ],
)
def test_an_outcome_that_fits_no_prediction_is_refused(
    shared: httpx.Client, changed: dict[str, Any], problem: tuple[str, str]
) -> None:
    answer = shared.post("/v1/predict", json=VALID).json()
    sent = {"prediction_id": answer["prediction_id"], "outcome": "mortality", "event": 1, "days": 9}
    refused = shared.post("/v1/outcomes", json=sent | changed)
    assert refused.status_code == 422
    assert rules(refused) == {problem}


def test_the_file_of_the_database_is_made_durable(
    serve: Any, tmp_path: Path, mortality: ServedModel
) -> None:
    settings = Settings(state_dir=tmp_path)
    serve(create_app(settings, models=[mortality])).post("/v1/predict", json=VALID)
    with closing(sqlite3.connect(tmp_path / "osteon.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with closing(database_of(settings)) as database, database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL


@pytest.mark.parametrize(
    "body",
    [
        *("{", "[]", "{}", '{"at": "yesterday"}'),
        func.replace(RECORDS.c.body, '"prediction_id":"', '"prediction_id":"X'),
        func.replace(RECORDS.c.body, '"at":"20', '"at":"19'),
    ],
)
def test_a_key_whose_record_was_changed_is_answered_to_nobody(
    client: httpx.Client, settings: Settings, body: Any
) -> None:
    key = {"Idempotency-Key": "one"}
    assert client.post("/v1/predict", json=VALID, headers=key).status_code == 200
    (written,) = records(settings)
    tamper(settings, update(RECORDS).values(body=body))
    if not isinstance(body, str):
        assert records(settings) != [written]
    again = client.post("/v1/predict", json=VALID, headers=key)
    assert (again.status_code, again.json()["type"]) == (503, "urn:osteon:problem:unavailable")
    assert client.post("/v1/predict", json=VALID).status_code == 200


def test_a_key_that_was_put_on_another_record_is_answered_to_nobody(
    client: httpx.Client, settings: Settings
) -> None:
    key = {"Idempotency-Key": "one"}
    assert client.post("/v1/predict", json=VALID).status_code == 200
    assert client.post("/v1/predict", json=VALID, headers=key).status_code == 200
    (moved,) = (one["request_key"] for one in records(settings) if "request_key" in one)
    tamper(
        settings,
        update(RECORDS).where(RECORDS.c.seq == 2).values(request_key=None),
        update(RECORDS).where(RECORDS.c.seq == 1).values(request_key=moved),
    )
    assert client.post("/v1/predict", json=VALID, headers=key).status_code == 503
