"""The same patient through every door: `/v1/predict`, `$predict`, CDS Hooks, SMART, `osteon score`.

A patient is drawn with values in the units that a laboratory prints, and with what goes wrong in
records: a time zero in the future or long ago, a death, a child, a year of birth alone, comfort
care, old values, results issued late, corrections and contradictions. Each door is asked as its
clients ask it, and answers with risks or with a code.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np
import pandas as pd
from sqlalchemy import select

from data_schema.errors import RulesBroken
from serving.prediction.served import Served, ServedModel
from serving.smart.form_record import form_record
from serving.smart.reading import FhirSource
from serving.store.tables import RISKS
from training.score import cohort_for_model, score

if TYPE_CHECKING:
    import httpx

    from serving.store.database import Database

__all__ = [
    "DOORS",
    "Answer",
    "Doors",
    "Patient",
    "differing",
    "draw_patient",
    "faulty_values",
    "observation_of",
]

DAYS = (28, 90)
ICU = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
LOINC = "http://loinc.org"
LOCAL = "urn:osteon:codes"
# LOINC code, unit and range of each variable of the tests' model that a record states by LOINC.
CODES = {
    "lactate": ("2524-7", "mmol/L", (0.5, 6.0)),
    "albumin": ("1751-7", "g/dL", (2.0, 4.5)),
    "fgf23_c": ("47855-2", "[arb'U]/mL", (100.0, 4_000.0)),
    "ctx_s": ("41171-0", "pg/mL", (100.0, 2_000.0)),
}
DOORS = ("/v1/predict", "$predict", "CDS Hooks", "SMART", "osteon score")


@dataclass(frozen=True)
class Value:
    """One result: when it was taken and issued, and whether it corrects another."""

    name: str
    value: float
    time: datetime
    issued: datetime | None = None
    is_corrected: bool = False


@dataclass(frozen=True)
class Patient:
    """What one record states, whatever the door.

    `used` holds the values that count, computed from how the patient was drawn and not by the
    product: `osteon score` takes one value for each variable.
    """

    now: datetime
    time_zero: datetime
    sex: str
    birth_date: str
    values: tuple[Value, ...]
    used: Mapping[str, float]
    aps: float
    group: str
    diabetes: bool
    death: datetime | None = None
    is_dead: bool = False
    is_comfort_care: bool = False
    what: tuple[str, ...] = field(default=())

    @property
    def admitted(self) -> datetime:
        """The start of the stay in intensive care, 24 hours before time zero."""
        return self.time_zero - timedelta(hours=24)


@dataclass(frozen=True)
class Answer:
    """The risks by horizon in percent, or the first code of a refusal or an error."""

    risks: tuple[float, ...] = ()
    code: str = ""


def draw_patient(rng: np.random.Generator, now: datetime) -> Patient:
    """Return a patient, of whom about half have something wrong."""
    what: list[str] = []
    kind = rng.choice(["now", "future", "stale"], p=[0.76, 0.12, 0.12])
    if kind == "now":
        time_zero = now - timedelta(hours=float(rng.uniform(1, 23)))
    elif kind == "future":
        time_zero = now + timedelta(hours=float(rng.uniform(1, 23)))
        what.append("time zero in the future")
    else:
        time_zero = now - timedelta(days=float(rng.uniform(91, 700)))
        what.append("time zero long ago")
    time_zero = time_zero.replace(microsecond=0)
    birth_date, about = _birth(rng, time_zero)
    what += about
    values, used, more = _values(rng, time_zero)
    what += more
    fate = rng.choice(["alive", "dead", "dead before", "died after"], p=[0.82, 0.07, 0.07, 0.04])
    death = None
    if fate == "dead before":
        death = time_zero - timedelta(hours=float(rng.uniform(0, 40)))
    comfort = bool(rng.random() < 0.07)
    what += [] if fate == "alive" else [str(fate)]
    what += ["comfort care"] if comfort else []
    if fate == "died after":
        # The card is for the living: a later death is for the other doors alone.
        fate, what = "alive", what[:-1]
    return Patient(
        now=now,
        time_zero=time_zero,
        sex=str(rng.choice(["female", "male"])),
        birth_date=birth_date,
        values=tuple(values),
        used=used,
        aps=float(rng.integers(10, 80)),
        group=str(rng.choice(["Cirrhosis", "COPD"])),
        diabetes=bool(rng.random() < 0.5),
        death=None if death is None else death.replace(microsecond=0),
        is_dead=fate == "dead",
        is_comfort_care=comfort,
        what=tuple(what),
    )


def _birth(rng: np.random.Generator, time_zero: datetime) -> tuple[str, list[str]]:
    day = (time_zero - timedelta(days=float(rng.uniform(19 * 366, 95 * 365)))).date().isoformat()
    kind = rng.choice(
        ["day", "month", "year", "child", "of 18 years or not"], p=[0.7] + [0.075] * 4
    )
    if kind == "month":
        return day[:7], ["a month of birth"]
    if kind == "year":
        return day[:4], ["a year of birth"]
    if kind == "child":
        young = time_zero - timedelta(days=float(rng.uniform(200, 17 * 365)))
        return young.date().isoformat(), ["a child"]
    if kind == "of 18 years or not":
        return str(time_zero.year - 18), ["18 or not by the year of birth"]
    return day, []


def _values(
    rng: np.random.Generator, time_zero: datetime
) -> tuple[list[Value], dict[str, float], list[str]]:
    """Return results, those that count, and what is wrong with them."""
    values: list[Value] = []
    used: dict[str, float] = {}
    what: list[str] = []
    for name, (_, _, (low, high)) in CODES.items():
        good = round(float(rng.uniform(low, high)), 2)
        other = round(float(rng.uniform(low, high)), 2)
        taken = time_zero - timedelta(hours=float(rng.uniform(1, 40)))
        taken = taken.replace(microsecond=0)
        kind = rng.choice(
            [
                "plain",
                "older beside",
                "too old",
                "after",
                "issued late",
                "corrected",
                "contradicted",
            ],
            p=[0.52, 0.08, 0.08, 0.08, 0.08, 0.08, 0.08],
        )
        if kind != "plain":
            what.append(f"{name} {kind}")
        if kind == "too old":
            values.append(
                Value(name, good, time_zero - timedelta(days=float(rng.uniform(3, 9_000))))
            )
            continue
        if kind == "issued late":
            values.append(Value(name, good, taken, issued=time_zero + timedelta(minutes=5)))
            continue
        first = Value(name, good, taken)
        used[name] = good
        if kind == "older beside":
            values.append(Value(name, other, taken - timedelta(minutes=30)))
        elif kind == "after":
            values.append(Value(name, other, time_zero + timedelta(hours=1)))
        elif kind == "corrected":
            values.append(Value(name, other, taken))
            first = Value(name, good, taken, is_corrected=True)
        elif kind == "contradicted" and abs(good - other) > 0.01 * good:
            values.append(Value(name, other, taken))
            del used[name]
        values.insert(int(rng.integers(0, len(values) + 1)), first)
    return values, used, what


class Doors:
    """A service with one model, and the ways to ask it for a patient."""

    def __init__(self, client: httpx.Client, database: Database, model: ServedModel) -> None:
        self.client, self.database, self.model = client, database, model

    def answers(self, patient: Patient) -> dict[str, Answer]:
        """Return the answer at each door."""
        asked: dict[str, Callable[[Patient], Answer]] = {
            "/v1/predict": self.v1,
            "$predict": self.fhir,
            "CDS Hooks": self.cds,
            "SMART": self.smart,
            "osteon score": self.score,
        }
        return {door: asked[door](patient) for door in DOORS}

    def v1(self, patient: Patient) -> Answer:
        """Ask `/v1/predict` with every result; a corrected one is sent in place of the other."""
        corrected = {one.name for one in patient.values if one.is_corrected}
        sent = [
            {
                "variable": one.name,
                "value": one.value,
                "unit": CODES[one.name][1],
                "time": _written(one.time),
            }
            for one in patient.values
            if one.issued is None and (one.is_corrected or one.name not in corrected)
        ]
        sent += [
            {"variable": "aps", "value": patient.aps, "unit": "{score}"},
            {"variable": "dzgroup", "value": patient.group},
            {"variable": "diabetes", "value": patient.diabetes},
        ]
        return self._of_v1(
            {
                "time_zero": _written(patient.time_zero),
                "icu_admission": _written(patient.admitted),
                "sex": patient.sex,
                "birth_date": patient.birth_date,
                "measurements": sent,
                "deceased": patient.is_dead,
                "comfort_care": patient.is_comfort_care,
            }
            | ({} if patient.death is None else {"death_time": _written(patient.death)})
        )

    def _of_v1(self, body: dict[str, Any]) -> Answer:
        asked = {"patient_id": "p1", "outcomes": ["mortality"], "horizons_days": list(DAYS)}
        answer = self.client.post("/v1/predict", json=asked | body)
        if answer.status_code == 422:
            return Answer(code=answer.json()["errors"][0]["rule"])
        assert answer.status_code == 200, answer.text
        (prediction,) = answer.json()["predictions"]
        if prediction["refusals"]:
            return Answer(code=prediction["refusals"][0]["code"])
        return Answer(tuple(100 * risk["risk"] for risk in prediction["risks"]))

    def fhir(self, patient: Patient) -> Answer:
        """Post the record to `$predict` as one Bundle."""
        record = fhir_record(patient)
        resources = [record["patient"], record["encounter"], *record["observations"]]
        resources += record["conditions"]
        bundle = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": one} for one in resources],
        }
        query = f"outcome=mortality&timeZero={quote(_written(patient.time_zero))}"
        query += "".join(f"&horizonDays={days}" for days in DAYS)
        answer = self.client.post(f"/fhir/RiskAssessment/$predict?{query}", json=bundle)
        assert answer.status_code == 200, answer.text
        assessment = answer.json()
        if assessment["status"] == "cancelled":
            (codes,) = (
                note["text"].removeprefix("Code of the refusal: ").rstrip(".")
                for note in assessment["note"]
                if note["text"].startswith("Code of the refusal: ")
            )
            return Answer(code=codes.split(", ")[0])
        stated = [
            one["probabilityDecimal"]
            for one in assessment["prediction"]
            if "probabilityDecimal" in one
        ]
        return Answer(tuple(stated))

    def cds(self, patient: Patient) -> Answer:
        """Call the hook as an EHR does; the risks are those on record for the call."""
        record = fhir_record(patient)
        before = self._predicted()
        call = {
            "hook": "patient-view",
            "hookInstance": str(uuid.uuid4()),
            "context": {
                "userId": f"Practitioner/{uuid.uuid4()}",
                "patientId": "p1",
                "encounterId": "e1",
            },
            "prefetch": {
                "patient": record["patient"],
                "encounter": record["encounter"],
                **_searches(record["observations"]),
                "conditions": _bundle(record["conditions"]),
                "comfortCare": _bundle([]),
                "medications": _bundle([]),
            },
        }
        answer = self.client.post("/cds-services/osteon-mortality", json=call)
        assert answer.status_code == 200, answer.text
        none = answer.json()["extension"]["osteon"].get("noCard")
        if none is not None and none["reason"] not in ("says_little", "refused"):
            return Answer(code=next(iter(none.get("refusals", [none["reason"]]))))
        if none is not None and none["reason"] == "refused":
            return Answer(code=none["refusals"][0])
        (made,) = self._predicted() - before
        with self.database.reading() as connection:
            stored = connection.execute(
                select(RISKS.c.risks).where(RISKS.c.prediction_id == made)
            ).scalar_one()
        by_day = dict(json.loads(stored))
        return Answer(tuple(100 * by_day[days] for days in DAYS))

    def _predicted(self) -> set[str]:
        with self.database.reading() as connection:
            return set(connection.execute(select(RISKS.c.prediction_id)).scalars())

    def smart(self, patient: Patient) -> Answer:
        """Read the record into the form, and send what the form then holds."""
        with _fhir_server(fhir_record(patient)) as url:
            form = form_record(
                FhirSource(url, "token", "p1", "e1"),
                Served([self.model]),
                time_zero=patient.time_zero,
                now=patient.now,
            )
        stated = form.policy.model_dump(mode="json")
        rows = {one.column: one for one in form.filled if not one.not_done}
        sent = [
            {"variable": name, "value": _typed(one.value), "unit": one.unit or None}
            | ({"comparator": one.comparator} if one.comparator else {})
            for name, one in rows.items()
            if name != "sex"
        ]
        body = {"time_zero": _written(patient.time_zero), "measurements": sent}
        body |= {name: value for name, value in stated.items() if value}
        return self._of_v1(body | ({"sex": rows["sex"].value} if "sex" in rows else {}))

    def score(self, patient: Patient) -> Answer:
        """Score a table of one row, which states its own times."""
        row: dict[str, Any] = {name: patient.used.get(name) for name in CODES}
        row |= {
            "patient_id": "p1",
            "time_zero": _written(patient.time_zero),
            "asked_at": _written(patient.now),
            "sex": patient.sex,
            "birth_date": patient.birth_date,
            "aps": patient.aps,
            "dzgroup": patient.group,
            "diabetes": float(patient.diabetes),
            "comfort_care": float(patient.is_comfort_care),
        }
        death = patient.death or (patient.time_zero if patient.is_dead else None)
        if death is not None:
            row["death_time"] = _written(death)
        fitted = self.model.loaded.risk_model
        try:
            cohort = cohort_for_model(pd.DataFrame([row]), fitted.contract, outcome=None)
        except RulesBroken as broken:
            return Answer(code=broken.findings[0].rule)
        found = score(fitted, cohort, horizons_days=DAYS)
        if (found["status"] == "refused").all():
            return Answer(code=found["refusal_code"].iloc[0].split(";")[0])
        return Answer(tuple(100 * found["risk"]))


def differing(answers: Mapping[str, Answer]) -> bool:
    """Return whether doors differ in code, or by more than FHIR's two digits of a percentage."""
    first, *others = answers.values()
    for one in others:
        if one.code != first.code or len(one.risks) != len(first.risks):
            return True
        if any(abs(a - b) > 0.0051 for a, b in zip(one.risks, first.risks, strict=True)):
            return True
    return False


def fhir_record(patient: Patient) -> dict[str, Any]:
    """Return the record as FHIR resources."""
    person: dict[str, Any] = {
        "resourceType": "Patient",
        "id": "p1",
        "gender": patient.sex,
        "birthDate": patient.birth_date,
    }
    if patient.is_dead:
        person["deceasedBoolean"] = True
    if patient.death is not None:
        person["deceasedDateTime"] = _written(patient.death)
    stays = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "class": ICU,
        "subject": {"reference": "Patient/p1"},
        "period": {"start": _written(patient.admitted)},
    }
    results = [
        _observation(number, LOINC, CODES[one.name][0], one.time)
        | {"status": "corrected" if one.is_corrected else "final"}
        | ({} if one.issued is None else {"issued": _written(one.issued)})
        | {"valueQuantity": _quantity(one.value, CODES[one.name][1])}
        for number, one in enumerate(patient.values)
    ]
    at = patient.time_zero - timedelta(hours=1)
    results += [
        _observation(100, LOCAL, "aps", at) | {"valueQuantity": _quantity(patient.aps, "{score}")},
        _observation(101, LOCAL, "dzgroup", at) | {"valueString": patient.group},
        _observation(102, LOCAL, "diabetes", at) | {"valueBoolean": patient.diabetes},
    ]
    comfort = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "Z51.5"}]},
    }
    return {
        "patient": person,
        "encounter": stays,
        "observations": results,
        "conditions": [comfort] if patient.is_comfort_care else [],
    }


def _observation(number: int, system: str, code: str, time: datetime) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "effectiveDateTime": _written(time),
    }


def observation_of(name: str, value: object, unit: str, time: datetime) -> dict[str, Any]:
    """Return one result as an Observation, as a quantity or as text."""
    stated = (
        {"valueString": f"{value} {unit}" if "," in str(value) else value}
        if isinstance(value, str)
        else {"valueQuantity": {"value": value, "unit": unit, "code": unit}}
    )
    return _observation(1, LOINC, CODES[name][0], time) | stated


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "system": "http://unitsofmeasure.org", "code": unit}


def _bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entry = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entry}


def _searches(observations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"observations": _bundle(observations)}


def _typed(value: str) -> float | str | bool:
    if value in ("true", "false"):
        return value == "true"
    try:
        return float(value)
    except ValueError:
        return value


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


@contextmanager
def _fhir_server(record: Mapping[str, Any]) -> Iterator[str]:
    """Serve a record as FHIR on a free port, and yield its base address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            found = {
                "/Patient/p1": record["patient"],
                "/Encounter/e1": record["encounter"],
                "/Condition": _bundle(record["conditions"]),
            }.get(path)
            if path == "/Observation":
                codes = self.path.split("code=")[1].split("&")[0]
                asked = set(codes.replace("%2C", ",").replace("%7C", "|").split(","))
                found = _bundle(
                    [
                        one
                        for one in record["observations"]
                        if asked
                        & {
                            spelled
                            for coding in one["code"]["coding"]
                            for spelled in (coding["code"], f"{coding['system']}|{coding['code']}")
                        }
                    ]
                )
            body = json.dumps(found or _bundle([])).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def faulty_values(rng: np.random.Generator, count: int) -> list[tuple[str, Any, str]]:
    """Return variables of the model with a value and a unit that no reader may take."""
    faults: list[tuple[str, Any, str]] = []
    for _ in range(count):
        name = str(rng.choice(list(CODES)))
        _, unit, (_, high) = CODES[name]
        value: Any = round(float(rng.uniform(0.5, 1) * high), 2)
        fault = rng.choice(["unit", "text", "large", "negative", "huge", "comma"])
        if fault == "unit":
            unit = str(rng.choice(["furlong", "U/L", "mg"]))
        elif fault == "text":
            value = str(rng.choice(["HEMOLYZED", "see comment", "ND", "clotted"]))
        elif fault == "large":
            value = float(rng.uniform(1e7, 1e9))
        elif fault == "negative":
            value = -value
        elif fault == "huge":
            value = 1e300
        else:
            value = "1,471"
        faults.append((name, value, unit))
    return faults
