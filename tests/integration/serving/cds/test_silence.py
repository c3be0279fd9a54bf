"""When there is no card: nobody is interrupted for nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import select

from cds_answers import silence_of
from contracts import restated
from models.inference.completeness import LEAST_SETTLED, completeness_grade
from serving.app import create_app
from serving.audit.opening import database_of
from serving.settings import Settings
from serving.store.tables import CARDS

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

    Ask = Callable[..., httpx.Response]
    Card = Callable[..., dict[str, Any]]

Changed = Callable[[Any], dict[str, Any]]
SNOMED = "http://snomed.info/sct"
SILENT: dict[str, Changed] = {
    "under 18": lambda b: {"patient": b.patient(birthDate=f"{b.now.year - 17}")},
    "age unknown": lambda b: {
        "patient": {k: v for k, v in b.patient().items() if k != "birthDate"}
    },
    "dead": lambda b: {"patient": b.patient(deceasedBoolean=True)},
    "dead at a time": lambda b: {"patient": b.patient(deceasedDateTime="2026-01-01")},
    "dead at an unknown time": lambda b: {
        "patient": b.patient(_deceasedDateTime={"extension": []})
    },
    "no patient": lambda b: {"patient": None},
    "no encounter": lambda b: {"encounter": None},
    "not in ICU": lambda b: {"encounter": b.encounter(**{"class": {"code": "IMP"}})},
    "in ICU some day": lambda b: {"encounter": b.encounter(b.now + timedelta(hours=1))},
    "died there": lambda b: {
        "encounter": b.encounter(
            hospitalization={"dischargeDisposition": {"coding": [{"code": "exp"}]}}
        )
    },
    "to a hospice": lambda b: {
        "encounter": b.encounter(
            hospitalization={"dischargeDisposition": {"coding": [{"code": "hosp"}]}}
        )
    },
    "comfort care": lambda b: {
        "conditions": b.bundle(b.condition("http://hl7.org/fhir/sid/icd-10-cm", "Z51.5"))
    },
    "comfort care ordered": lambda b: {
        "comfortCare": b.bundle(
            b.condition(SNOMED, "133918004")
            | {"resourceType": "ServiceRequest", "status": "active"}
        )
    },
    "no bone marker": lambda b: {
        "observations": b.bundle(b.observation("lactate"), b.observation("albumin"))
    },
    "a marker of months ago": lambda b: {
        "observations": b.bundle(
            b.observation("lactate"),
            b.observation("albumin"),
            b.observation("fgf23_c", effectiveDateTime=(b.now - timedelta(days=45)).isoformat()),
        )
    },
    "a marker without a time": lambda b: {
        "observations": b.bundle(
            b.observation("lactate"),
            b.observation("albumin"),
            b.observation("fgf23_c", effectiveDateTime=None),
        )
    },
    "pregnant": lambda b: {"conditions": b.bundle(b.condition(SNOMED, "77386006"))},
}
REASONS = {
    **dict.fromkeys(
        ("no encounter", "not in ICU", "in ICU some day", "died there", "before time zero"),
        "no_moment",
    ),
    **dict.fromkeys(("after the window", "left ICU"), "no_moment"),
    **dict.fromkeys(
        ("no bone marker", "a marker of months ago", "a marker without a time"), "says_little"
    ),
    "pregnant": "refused",
}
EARLY_OR_LATE: dict[str, Changed] = {
    "before time zero": lambda b: {"encounter": b.encounter(b.now - timedelta(hours=23))},
    "after the window": lambda b: {"encounter": b.encounter(b.now - timedelta(hours=49))},
    "left ICU": lambda b: {"encounter": b.encounter(end=b.now - timedelta(hours=1))},
}


@pytest.mark.parametrize("why", [*SILENT, *EARLY_OR_LATE])
def test_there_is_no_card_of_death(ask: Ask, card_of: Card, build: Any, why: str) -> None:
    answer = ask(prefetch=build.record(**(SILENT | EARLY_OR_LATE)[why](build)))
    assert silence_of(answer) == REASONS.get(why, "not_eligible")
    assert card_of()  # nothing else stood in the way


@pytest.mark.parametrize(
    "changed",
    [
        *SILENT.values(),
        lambda b: {
            "encounter": b.encounter(
                b.now - timedelta(days=45), b.now - timedelta(days=31), status="finished"
            )
        },
        lambda b: {"encounter": b.encounter(b.now - timedelta(days=900))},
    ],
    ids=[*SILENT, "after the window", "a stay of years"],
)
def test_there_is_no_card_of_fracture(ask: Ask, build: Any, changed: Changed) -> None:
    assert silence_of(ask("osteon-fracture", prefetch=build.record(**changed(build))))


def test_a_death_model_that_is_too_unsure_is_silent(
    build: Any, serve: Any, tmp_path: Path, less_sure: Callable[[float], ServedModel]
) -> None:
    client = serve(create_app(Settings(state_dir=tmp_path), models=[less_sure(0.0)]))
    answer = client.post("/cds-services/osteon-mortality", json=build.call())
    assert silence_of(answer) == "says_little"


def graded(model: ServedModel, grade: str, variance: float) -> ServedModel:
    """Return a model whose cohort varies so much that a variance left open has that grade."""
    shares = [
        s
        for s in np.linspace(0, 1, 101)
        if completeness_grade(float(s), LEAST_SETTLED[-1][1]) == grade
    ]
    fitted = model.loaded.risk_model
    spread = variance / (1 - float(np.median(shares)))
    contract = fitted.contract
    stated = restated(fitted, log_odds_variance=(spread,) * len(contract.grid_days))
    return replace(model, loaded=replace(model.loaded, risk_model=stated))


def test_sparse_entries_get_no_card_and_partial_ones_do(
    build: Any, serve: Any, tmp_path: Path, sure_mortality: ServedModel
) -> None:
    few = build.bundle(build.observation("fgf23_c"), build.observation("lactate"))
    sent = build.call(prefetch=build.record(observations=few))
    request = {
        "patient_id": "p1",
        "time_zero": build.measured.isoformat(timespec="seconds"),
        "sex": "female",
        "birth_date": "1966-11-01",
        "outcomes": ["mortality"],
        "measurements": [
            {"variable": "diabetes", "value": True},
            {"variable": "fgf23_c", "value": build.codes["fgf23_c"][2], "unit": "RU/mL"},
            {"variable": "lactate", "value": build.codes["lactate"][2], "unit": "mmol/L"},
        ],
    }
    for grade, cards in (("sparse", 0), ("partial", 1)):
        # The variance left open follows from the answer of a model that calls it little.
        lenient = graded(sure_mortality, "complete", 1e6)
        asked = serve(create_app(Settings(state_dir=tmp_path / f"{grade}-0"), models=[lenient]))
        risks = asked.post("/v1/predict", json=request).json()["predictions"][0]["risks"]
        ends = [[r["if_complete"][end] for end in ("low", "high")] for r in risks]
        log_odds = np.log(ends) - np.log1p(-np.array(ends))
        variance = float((np.diff(log_odds) / (2 * 1.959964)).max() ** 2)
        model = graded(sure_mortality, grade, variance)
        client = serve(create_app(Settings(state_dir=tmp_path / grade), models=[model]))
        answer = client.post("/v1/predict", json=request).json()["predictions"][0]
        assert answer["completeness"] == grade
        listed = client.post("/cds-services/osteon-mortality", json=sent).json()["cards"]
        assert len(listed) == cards
        for card in listed:
            assert "Entries: partial." in card["detail"]
            assert answer["risks"][0]["if_complete"]["sentence"] in card["detail"]
            assert "Empty fields that would settle most" in card["detail"]


def test_a_simulated_model_says_nothing_of_a_patient(
    build: Any, serve: Any, tmp_path: Path, mortality: ServedModel
) -> None:
    client = serve(create_app(Settings(state_dir=tmp_path), models=[mortality]))
    answer = client.post("/cds-services/osteon-mortality", json=build.call())
    assert silence_of(answer) == "no_model"


def test_in_a_demo_a_simulated_model_gives_cards_with_a_banner(
    build: Any, serve: Any, tmp_path: Path, sure_mortality: ServedModel
) -> None:
    simulated = restated(sure_mortality.loaded.risk_model, simulated=True)
    model = replace(sure_mortality, loaded=replace(sure_mortality.loaded, risk_model=simulated))
    path, call = "/cds-services/osteon-mortality", build.call()
    outside = serve(create_app(Settings(state_dir=tmp_path / "outside"), models=[model]))
    assert silence_of(outside.post(path, json=call)) == "no_model"
    settings = Settings(state_dir=tmp_path / "demo", demo=True)
    client = serve(create_app(settings, models=[model]))
    (card,) = client.post(path, json=call).json()["cards"]
    assert card["detail"].startswith("## DEMO: SIMULATED PATIENTS.")
    assert card["summary"].endswith("DEMO ONLY.")
    assert "simulated patients" in card["summary"]
    assert len(card["summary"]) < 140
    usage = client.get("/cds-services").json()["services"][0]["usageRequirements"]
    assert usage.endswith("Demo: cards are of simulated patients.")


def test_a_model_of_another_time_zero_says_nothing_at_this_one(
    build: Any, serve: Any, tmp_path: Path, sure_mortality: ServedModel
) -> None:
    other = restated(sure_mortality.loaded.risk_model, time_zero="study day 3")
    model = replace(sure_mortality, loaded=replace(sure_mortality.loaded, risk_model=other))
    client = serve(create_app(Settings(state_dir=tmp_path), models=[model]))
    answer = client.post("/cds-services/osteon-mortality", json=build.call())
    assert silence_of(answer) == "no_model"


def test_one_user_gets_one_card_a_day_and_another_gets_their_own(
    ask: Ask, card_of: Card, build: Any
) -> None:
    card_of()
    worse = build.record(
        observations=build.bundle(
            *(build.observation(name) for name in build.codes if name != "ctx_s")
        )
    )
    assert silence_of(ask(prefetch=worse)) == "seen"
    other = {"userId": "Practitioner/other", "patientId": "p1", "encounterId": "e1"}
    assert card_of(context=other)
    assert card_of("osteon-fracture")  # another outcome


def test_a_card_comes_again_on_another_day_only_if_it_says_something_new(
    ask: Ask, card_of: Card, build: Any, settings: Settings
) -> None:
    card_of()
    with closing(database_of(settings)) as database, database.writing() as connection:
        connection.execute(CARDS.update().values(day="2026-01-01"))
        newest = connection.execute(select(CARDS.c.id).order_by(CARDS.c.id.desc()).limit(1))
        connection.execute(CARDS.delete().where(CARDS.c.id != newest.scalar_one()))
    assert silence_of(ask()) == "seen"
    changed = [build.observation(name) for name in build.codes if name != "fgf23_c"]
    changed.append(build.observation("fgf23_c", 700))
    assert (
        "700 RU/mL" in card_of(prefetch=build.record(observations=build.bundle(*changed)))["detail"]
    )


def test_of_many_calls_at_once_one_gets_the_card(ask: Ask) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask().json()["cards"], range(16)))
    assert sorted(map(len, answers)) == [0] * 15 + [1]


def test_why_there_is_no_card_is_counted_and_told_of_nobody(
    ask: Ask, build: Any, client: httpx.Client
) -> None:
    def count() -> float:
        line = 'osteon_cds_calls_total{answer="not_eligible",service="osteon-mortality"} '
        found = re.search(re.escape(line) + r"([\d.]+)", client.get("/metrics").text)
        return float(found[1]) if found else 0.0

    before = count()
    ask(prefetch=build.record(**SILENT["dead"](build)))
    assert count() == before + 1


CODES = {
    "under 18": "under_18",
    "age unknown": "age_unknown",
    "dead": "deceased",
    "dead at an unknown time": "deceased",
    "comfort care": "comfort_care",
    "comfort care ordered": "comfort_care",
    "to a hospice": "comfort_care",
    "before time zero": "time_zero_in_future",
    "pregnant": "pregnant",
}


@pytest.mark.parametrize("why", CODES)
def test_the_reason_names_the_code_of_the_other_doors(ask: Ask, build: Any, why: str) -> None:
    answer = ask(prefetch=build.record(**(SILENT | EARLY_OR_LATE)[why](build)))
    assert answer.json()["extension"]["osteon"]["noCard"]["refusals"] == [CODES[why]]


@pytest.mark.parametrize(("days", "refusals"), [(3, None), (120, ["stale"])])
def test_a_late_call_is_stale_only_where_the_model_may_not_be_asked(
    ask: Ask, build: Any, days: int, refusals: list[str] | None
) -> None:
    stay = build.encounter(build.now - timedelta(days=days))
    none = ask(prefetch=build.record(encounter=stay)).json()["extension"]["osteon"]["noCard"]
    assert (none["reason"], none.get("refusals")) == ("no_moment", refusals)


def test_a_finished_encounter_gives_no_card_of_death(ask: Ask, build: Any) -> None:
    finished = build.encounter(status="finished")
    none = ask(prefetch=build.record(encounter=finished)).json()["extension"]["osteon"]["noCard"]
    assert none["reason"] == "no_moment"


def test_the_newest_value_that_cannot_be_read_withholds_the_card(ask: Ask, build: Any) -> None:
    slip = build.observation("ctx_s", id="newer")
    slip["valueQuantity"]["code"] = "furlong"
    slip["effectiveDateTime"] = (build.measured + timedelta(hours=1)).isoformat()
    observations = build.bundle(*map(build.observation, build.codes), slip)
    none = ask(prefetch=build.record(observations=observations)).json()["extension"]["osteon"]
    assert none["noCard"]["refusals"] == ["unreadable_value"]
    unit = {"variable": "ctx_s", "reason": "unreadable", "rule": "unit"}
    assert none["notUsed"] == [unit]


def test_what_of_the_record_was_not_used_stands_beside_a_card(ask: Ask, build: Any) -> None:
    old = build.observation("ctx_s", id="old", effectiveDateTime="1999-11-01T06:00:00Z")
    late = build.observation("albumin", 2.0, id="late", issued=build.now.isoformat())
    untimed = build.observation("ctx_s", id="untimed", effectiveDateTime=None)
    observations = build.bundle(*map(build.observation, build.codes), old, late, untimed)
    answer = ask(prefetch=build.record(observations=observations)).json()
    assert len(answer["cards"]) == 1
    assert "No comfort care is recorded" in answer["cards"][0]["detail"]
    assert answer["extension"]["osteon"]["notUsed"] == [
        {"variable": "ctx_s", "reason": "too_old"},
        {"variable": "albumin", "reason": "issued_after_time_zero"},
        {"variable": "ctx_s", "reason": "no_time"},
    ]
