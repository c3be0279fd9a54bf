"""The Applied Model Card: its elements in the order of CHAI's schema, none of them missing."""

import json
import re
import xml.etree.ElementTree as ET
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

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

# The schema restated: the elements of each element, in order. "?" marks what may be left out, "*"
# and "+" what may repeat; any other element holds text. https://mc.chai.org/v0.2/schema.xsd
METRIC = (
    "MetricGoal Results Interpretation TestType TestingDataDescription "
    "ValidationProcessAndJustification"
)
ELEMENTS = {
    "AppliedModelCard": "BasicInfo ReleaseInfo ModelSummary UsesAndDirections Warnings "
    "TrustIngredients KeyMetrics Resources Bibliography Signature?",
    "BasicInfo": "ModelName ModelDeveloper DeveloperContact",
    "ReleaseInfo": "ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability EHRCompatibility? "
    "RegulatoryApproval?",
    "EHRCompatibility": "EHR*",
    "ModelSummary": "Summary Keywords",
    "Keywords": "Keyword*",
    "UsesAndDirections": "IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse "
    "TargetedPatientPopulation CautionedOutOfScopeSettings",
    "Warnings": "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
    "TrustIngredients": "AISystemFacts TransparencyInformation",
    "AISystemFacts": "OutcomesAndOutputs ModelType FoundationModels? InputDataSource "
    "OutputAndInputDataTypes DevelopmentDataCharacterization BiasMitigationApproaches "
    "OngoingMaintenance Security? Transparency?",
    "TransparencyInformation": "FundingSource ThirdPartyInformation? StakeholdersConsulted",
    "KeyMetrics": "UsefulnessUsabilityEfficacy FairnessEquity SafetyReliability",
    "UsefulnessUsabilityEfficacy": METRIC,
    "FairnessEquity": METRIC,
    "SafetyReliability": METRIC,
    "Results": "MetricResult+",
    "MetricResult": "Label ValueJson",
    "Resources": "EvaluationReferences? ClinicalTrial? PeerReviewedPublications "
    "ReimbursementStatus? PatientConsentOrDisclosure",
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


def faults(card: str) -> list[str]:
    """Return in which elements a card breaks the schema."""
    found = []
    root = ET.fromstring(card)
    if root.tag != f"{{{NAMESPACE}}}AppliedModelCard":
        found.append(root.tag)
    for element in root.iter():
        prefix = f"{{{NAMESPACE}}}"
        name = element.tag.removeprefix(prefix)
        children = "".join(f"{child.tag.removeprefix(prefix)} " for child in element)
        stated = ELEMENTS.get(name, "").split()
        rule = "".join(
            f"({part.rstrip('?*+')} ){part[len(part.rstrip('?*+')) :]}" for part in stated
        )
        has_text_beside = bool(stated) and bool((element.text or "").strip())
        if not re.fullmatch(rule, children) or has_text_beside or element.attrib:
            found.append(name)
    return found


def test_a_card_is_valid_against_the_public_schema(card: Node) -> None:
    assert faults(card_as_xml(card)) == []


@pytest.mark.parametrize(
    ("written", "instead", "where"),
    [
        ("ModelName", "Name", "BasicInfo"),
        ("<Bibliography", "<Note/><Bibliography", "AppliedModelCard"),
        ("https://mc.chai.org/v0.2", "https://mc.chai.org/v0.1", "AppliedModelCard"),
        ("<HowToUse>", "<HowToUse><Step/>", "HowToUse"),
    ],
)
def test_the_restated_schema_refuses_other_elements(
    card: Node, written: str, instead: str, where: str
) -> None:
    text = card_as_xml(card).replace(written, instead)

    assert any(where in fault for fault in faults(text))


def test_a_card_states_figures_with_their_intervals_and_validations(card: Node) -> None:
    content = json.loads(card_as_json(card))["AppliedModelCard"]

    efficacy = content["KeyMetrics"]["UsefulnessUsabilityEfficacy"]
    (area,) = efficacy["Results"]
    assert "95 % interval 0.700 to 0.900" in area["Label"]
    assert json.loads(area["ValueJson"])["value"] == 0.8
    assert "St. Elsewhere" in efficacy["ValidationProcessAndJustification"]
    assert content["ReleaseInfo"]["ReleaseDate"] == "2026-01-02"
    assert "Adults <of> two & more hospitals" in content["ModelSummary"]["Summary"]
