"""The Applied Model Card: its elements in the order of CHAI's schema, none of them missing."""

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts import restated
from models.metrics.metric import Metric
from models.registry.applied_model_card import (
    NAMESPACE,
    Node,
    applied_model_card,
    card_as_json,
    card_as_xml,
)
from models.registry.validations import Validation
from places import SHARED

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

SCHEMA = Path(
    os.environ.get("OSTEON_CHAI_SCHEMA", SHARED / "standards/schemas/chai_model_card.xsd")
)
METRIC = ["MetricGoal", "Results", "Interpretation", "TestType", "TestingDataDescription"]
METRIC += ["ValidationProcessAndJustification"]
# Required elements of schema 0.2 in their order; optional ones are not written.
ORDER = {
    "AppliedModelCard": [
        *("BasicInfo", "ReleaseInfo", "ModelSummary", "UsesAndDirections", "Warnings"),
        *("TrustIngredients", "KeyMetrics", "Resources", "Bibliography"),
    ],
    "BasicInfo": ["ModelName", "ModelDeveloper", "DeveloperContact"],
    "ReleaseInfo": ["ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability"],
    "ModelSummary": ["Summary", "Keywords"],
    "UsesAndDirections": [
        *("IntendedUseAndWorkflow", "PrimaryIntendedUsers", "HowToUse"),
        *("TargetedPatientPopulation", "CautionedOutOfScopeSettings"),
    ],
    "Warnings": [
        "KnownRisksAndLimitations",
        "KnownBiasesOrEthicalConsiderations",
        "ClinicalRiskLevel",
    ],
    "TrustIngredients": ["AISystemFacts", "TransparencyInformation"],
    "AISystemFacts": [
        *("OutcomesAndOutputs", "ModelType", "InputDataSource", "OutputAndInputDataTypes"),
        *("DevelopmentDataCharacterization", "BiasMitigationApproaches", "OngoingMaintenance"),
    ],
    "TransparencyInformation": ["FundingSource", "StakeholdersConsulted"],
    "KeyMetrics": ["UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"],
    "UsefulnessUsabilityEfficacy": METRIC,
    "FairnessEquity": METRIC,
    "SafetyReliability": METRIC,
    "MetricResult": ["Label", "ValueJson"],
    "Resources": ["PeerReviewedPublications", "PatientConsentOrDisclosure"],
}
VALIDATION = Validation(
    "St. Elsewhere",
    400,
    80,
    "f" * 64,
    (Metric("auroc", 90.0, 0.81, 0.77, 0.85),),
    False,
    "ann",
    "2026-03-01T10:00:00+00:00",
)


@pytest.fixture
def card(mortality: "ServedModel") -> Node:
    model = restated(mortality.loaded.risk_model, population="Adults <of> two & more hospitals\x07")
    return applied_model_card(
        model.contract,
        version="3",
        released_on="2026-01-02T00:00:00+00:00",
        validations=[VALIDATION],
    )


def test_elements_are_those_of_the_schema_in_its_order(card: Node) -> None:
    root = ET.fromstring(card_as_xml(card))

    assert root.tag == f"{{{NAMESPACE}}}AppliedModelCard"
    seen = set()
    for element in root.iter():
        name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        if name in ORDER:
            seen.add(name)
            children = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]
            assert children == ORDER[name]
    assert seen == set(ORDER)
    results = root.iter(f"{{{NAMESPACE}}}Results")
    assert all(len(each) >= 1 for each in results)


def test_a_card_states_figures_with_their_intervals_and_validations(card: Node) -> None:
    content = json.loads(card_as_json(card))["AppliedModelCard"]

    efficacy = content["KeyMetrics"]["UsefulnessUsabilityEfficacy"]
    (area,) = efficacy["Results"]
    assert "95 % interval 0.700 to 0.900" in area["Label"]
    assert json.loads(area["ValueJson"])["value"] == 0.8
    assert "St. Elsewhere" in efficacy["ValidationProcessAndJustification"]
    assert content["ReleaseInfo"]["ReleaseDate"] == "2026-01-02"
    assert "Adults <of> two & more hospitals" in content["ModelSummary"]["Summary"]


def test_a_card_is_valid_against_the_public_schema(card: Node) -> None:
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed")
    if not SCHEMA.is_file():
        pytest.skip(f"CHAI's schema 0.2 is not at {SCHEMA.name} (OSTEON_CHAI_SCHEMA)")
    schema = etree.XMLSchema(etree.parse(str(SCHEMA)))

    schema.assertValid(etree.fromstring(card_as_xml(card).encode()))
