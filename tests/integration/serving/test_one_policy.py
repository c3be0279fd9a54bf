"""One policy for the patient: the same risks or the same code at every door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import RulesBroken
from data_schema.mapping.file import CohortMapping, ColumnMapping
from five_doors import Doors, differing, draw_patient, faulty_values, observation_of
from serving.app import create_app
from serving.audit.opening import database_of
from serving.settings import Settings
from training.score import cohort_for_model

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


@pytest.fixture(scope="module")
def doors(
    serve: Any, tmp_path_factory: pytest.TempPathFactory, sure_mortality: ServedModel
) -> Iterator[Doors]:
    settings = Settings(state_dir=tmp_path_factory.mktemp("doors"))
    client = serve(create_app(settings, models=[sure_mortality]))
    with closing(database_of(settings)) as database:
        yield Doors(client, database, sure_mortality)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def compared(doors: Doors, count: int, seed: int) -> tuple[list[str], int]:
    """Return the patients for whom doors differ, in words, and how many got a risk."""
    rng = np.random.default_rng(seed)
    wrong, with_risk = [], 0
    for number in range(count):
        patient = draw_patient(rng, datetime.now(UTC))
        answers = doors.answers(patient)
        with_risk += all(answer.risks for answer in answers.values())
        if differing(answers):
            wrong.append(f"{number} ({', '.join(patient.what)}): {answers}")
    return wrong, with_risk


def test_a_patient_gets_the_same_risk_or_the_same_code_at_five_doors(doors: Doors) -> None:
    wrong, with_risk = compared(doors, 9, seed=1)
    assert wrong == []
    # Neither all answered nor all refused, so that agreement means something.
    assert 2 <= with_risk <= 7


@pytest.mark.slow
def test_200_patients_get_the_same_risk_or_the_same_code_at_five_doors(doors: Doors) -> None:
    wrong, _ = compared(doors, 200, seed=2)
    assert wrong == []


def rule_at_v1(doors: Doors, name: str, value: Any, unit: str) -> str:
    body = {"patient_id": "p", "outcomes": ["mortality"], "time_zero": now().isoformat()}
    body["measurements"] = [{"variable": name, "value": value, "unit": unit}]
    answer = doors.client.post("/v1/predict", json=body)
    assert answer.status_code == 422
    return str(answer.json()["errors"][0]["rule"])


def rule_at_fhir(doors: Doors, name: str, value: Any, unit: str) -> str:
    result = observation_of(name, value, unit, now())
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-02"}
    entry = [{"resource": one} for one in (patient, result)]
    query = f"outcome=mortality&timeZero={quote(now().isoformat())}"
    answer = doors.client.post(
        f"/fhir/RiskAssessment/$predict?{query}", json={"resourceType": "Bundle", "entry": entry}
    )
    assert answer.status_code == 200, answer.text
    notes = " ".join(note["text"] for note in answer.json()["note"])
    assert "unreadable_value" in notes
    return notes.partition("Not read: ")[2].partition(" [")[2].partition("]")[0]


def rule_at_score(doors: Doors, name: str, value: Any, unit: str) -> str:
    row = {one.name: None for one in doors.model.contract.features if "__" not in one.name}
    frame = pd.DataFrame([row | {"patient_id": "p", name: value, "unit_of_it": unit}], dtype=object)
    columns = {name: ColumnMapping(column=name, variable=name, unit_column="unit_of_it")}
    mapping = CohortMapping(columns=MappingProxyType(columns))
    contract = doors.model.contract
    with pytest.raises(RulesBroken) as broken:
        cohort_for_model(frame, contract, outcome=None, mapping=mapping)
    (finding,) = [one for one in broken.value.findings if one.variable == name]
    assert finding.count == 1
    return finding.rule


@pytest.mark.parametrize("count", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_an_unreadable_value_has_the_same_verdict_everywhere(doors: Doors, count: int) -> None:
    rules = set()
    for name, value, unit in faulty_values(np.random.default_rng(4), count):
        found = [ask(doors, name, value, unit) for ask in (rule_at_v1, rule_at_fhir, rule_at_score)]
        assert len(set(found)) == 1, (name, value, unit, found)
        rules.add(found[0])
    assert rules <= {"unit", "not_a_number", "range", "ambiguous_number"}
    assert len(rules) > 1
