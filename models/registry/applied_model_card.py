"""The Applied Model Card of the Coalition for Health AI (CHAI), version 0.2, as XML and as JSON.

Elements and their order are those of the public schema https://mc.chai.org/v0.2/schema.xsd. What
the bundle does not know is said to be for the site to state, never left out: the schema requires
every element here, and none that it makes optional is written.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from data_schema.disclosure import shown_count
from models.inference.contract import Contract, HeldOutMetric
from models.metrics.catalogue import METRICS
from models.registry.validations import Validation
from models.wording import MISSING_VALUES, NOTICE, performance_basis

__all__ = ["NAMESPACE", "applied_model_card", "card_as_json", "card_as_xml"]

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"

Node: TypeAlias = tuple[str, "str | tuple[Node, ...]"]
"""The name of an element, and its text or its elements."""

_SITE = "To be stated by the site."
_REPEATED = {"Keywords": "Keyword", "Results": "MetricResult"}
_RANKING = ("auroc", "ipa", "net_benefit")
_CALIBRATION = ("oe_ratio", "calibration_slope", "ici")


def applied_model_card(
    contract: Contract,
    *,
    version: str,
    released_on: str,
    validations: Sequence[Validation] = (),
) -> Node:
    """Return the card of a registered version.

    Parameters
    ----------
    contract : Contract
        With an evaluation, or the card says that there is none.
    version : str
        Of the registry.
    released_on : str
        RFC 3339 date or time at which it was registered.
    validations : sequence of Validation
        Listed with the version.
    """
    return (
        "AppliedModelCard",
        (
            (
                "BasicInfo",
                (
                    ("ModelName", contract.name),
                    ("ModelDeveloper", "The Osteon developers"),
                    ("DeveloperContact", _SITE),
                ),
            ),
            (
                "ReleaseInfo",
                (
                    ("ReleaseStage", "Research use only"),
                    ("ReleaseDate", released_on[:10]),
                    ("ReleaseVersion", version),
                    ("GlobalAvailability", _SITE),
                ),
            ),
            (
                "ModelSummary",
                (
                    ("Summary", _summary(contract)),
                    (
                        "Keywords",
                        tuple(
                            ("Keyword", word)
                            for word in ("intensive care", contract.event_label, "risk prediction")
                            if word
                        ),
                    ),
                ),
            ),
            ("UsesAndDirections", _uses(contract)),
            ("Warnings", _warnings(contract)),
            ("TrustIngredients", _trust(contract)),
            ("KeyMetrics", _key_metrics(contract, validations)),
            (
                "Resources",
                (
                    ("PeerReviewedPublications", "None of this version."),
                    ("PatientConsentOrDisclosure", contract.study.ethics or _SITE),
                ),
            ),
            ("Bibliography", ""),
        ),
    )


def card_as_xml(card: Node) -> str:
    """Return a card as an XML document in the namespace of the schema."""
    ET.register_namespace("", NAMESPACE)
    root = _element(card)
    ET.indent(root)
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def card_as_json(card: Node) -> str:
    """Return a card as JSON: an object for each element, a list for those that repeat."""
    name, _ = card
    return json.dumps({name: _plain(card)}, indent=2, ensure_ascii=False)


def _element(node: Node) -> ET.Element:
    name, content = node
    element = ET.Element(f"{{{NAMESPACE}}}{name}")
    if isinstance(content, str):
        element.text = _valid(content)
    else:
        element.extend(_element(inner) for inner in content)
    return element


def _valid(text: str) -> str:
    """Return a text without the characters that XML 1.0 cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or ord(c) >= 0x20)


def _plain(node: Node) -> object:
    name, content = node
    if isinstance(content, str):
        return content
    if name in _REPEATED:
        return [_plain(inner) for inner in content]
    return {inner[0]: _plain(inner) for inner in content}


def _summary(contract: Contract) -> str:
    days = ", ".join(f"{day:g}" for day in contract.default_horizons_days)
    updated = "".join(
        f" Updated to {shown_count(update.patients)} local patients on {update.at[:10]} "
        f"({update.method}; version {update.of_version} before)."
        for update in contract.updates
    )
    return (
        f"Estimates the risk of {contract.event_label} within {days} days of time zero "
        f"({contract.time_zero}), with an interval and what raised or lowered it. Learned from: "
        f"{contract.population.rstrip('.')}.{updated}"
    )


def _uses(contract: Contract) -> tuple[Node, ...]:
    study = contract.study
    use = " ".join(part for part in (study.decision, study.action) if part)
    return (
        ("IntendedUseAndWorkflow", f"{use or 'Research.'} {NOTICE}"),
        (
            "PrimaryIntendedUsers",
            study.user or "Clinicians and researchers who can judge the estimate.",
        ),
        (
            "HowToUse",
            "Enter what is known of the patient at time zero; leave what is not known empty. The "
            "estimate stands beside its interval, its completeness and its refusals.",
        ),
        (
            "TargetedPatientPopulation",
            f"Adults who are not pregnant, like those it learned from: "
            f"{contract.population.rstrip('.')}.",
        ),
        (
            "CautionedOutOfScopeSettings",
            "Patients under 18, pregnancy, patients unlike the training cohort (all refused); "
            "triage; limiting or withdrawing treatment; choosing a treatment by a contribution.",
        ),
    )


def _warnings(contract: Contract) -> tuple[Node, ...]:
    simulated = " It learned from simulated patients." if contract.simulated else ""
    return (
        (
            "KnownRisksAndLimitations",
            "An estimate for patients like this one is no certainty for one patient. Contributions "
            f"describe the model, not what would change the outcome.{simulated}",
        ),
        (
            "KnownBiasesOrEthicalConsiderations",
            contract.study.inequalities
            or "Not studied beyond the figures by group below. Deaths after a limitation of "
            "treatment may be among the events.",
        ),
        ("ClinicalRiskLevel", "Not classified: research use only, not a medical device."),
    )


def _trust(contract: Contract) -> tuple[Node, ...]:
    training = contract.training
    variables = len({feature.variable for feature in contract.features})
    facts = (
        (
            "OutcomesAndOutputs",
            f"{contract.outcome_label}: a risk in [0, 1] at each horizon, its interval, the risk "
            "of the competing event where one competes, contributions, refusals and warnings.",
        ),
        (
            "ModelType",
            "A penalised discrete-time regression and gradient-boosted trees, mixed and "
            "recalibrated out of fold. " + MISSING_VALUES,
        ),
        ("InputDataSource", contract.study.data_source or _SITE),
        (
            "OutputAndInputDataTypes",
            f"Input: {variables} variables (numbers with unit, flags, categories). Output: "
            "numbers.",
        ),
        (
            "DevelopmentDataCharacterization",
            f"{contract.population.rstrip('.')}. {shown_count(training.patients)} patients with "
            f"{shown_count(training.events)} {contract.event_label}.",
        ),
        (
            "BiasMitigationApproaches",
            "Directions of risk are constrained only if they are known. Figures by sex, age and "
            "race are reported where recorded; nothing is adjusted for them.",
        ),
        (
            "OngoingMaintenance",
            "osteon monitor compares arriving patients and outcomes with the training cohort; a "
            f"new version is served only through the gate. How often: {_SITE}",
        ),
    )
    transparency = (
        ("FundingSource", contract.study.funding or _SITE),
        ("StakeholdersConsulted", contract.study.involvement or _SITE),
    )
    return (("AISystemFacts", facts), ("TransparencyInformation", transparency))


def _key_metrics(contract: Contract, validations: Sequence[Validation]) -> tuple[Node, ...]:
    evaluation = contract.evaluation
    basis = (
        "Not evaluated." if evaluation is None else performance_basis(evaluation, contract.training)
    )
    metrics = () if evaluation is None else evaluation.metrics
    groups = () if evaluation is None else evaluation.groups
    by_group = [
        _result(f"{metric.metric} ({group.grouping}: {group.level})", metric)
        for group in groups
        for metric in group.metrics
        if metric.metric in ("auroc", "oe_ratio") and metric.estimate is not None
    ]
    elsewhere = "; ".join(validation.sentence for validation in validations)
    described = basis if evaluation is None else f"{shown_count(evaluation.patients)} patients."
    return (
        _key_metric(
            "UsefulnessUsabilityEfficacy",
            "Ranks patients by risk, and is worth acting on.",
            list(_results(metrics, _RANKING)),
            "Area under the curve: 0.5 is chance, 1 perfect. Scaled Brier score and net benefit: "
            "above 0 is of use.",
            basis,
            described,
            f"Elsewhere: {elsewhere}." if elsewhere else "No validation elsewhere is recorded.",
        ),
        _key_metric(
            "FairnessEquity",
            "Does as well in every group.",
            by_group,
            "Groups are many and some are small: the lowest figure is low by chance.",
            basis,
            described,
            "Metrics within each group, weighted by its own censoring.",
        ),
        _key_metric(
            "SafetyReliability",
            "Of 100 patients given a risk of 20 %, about 20 have the event.",
            list(_results(metrics, _CALIBRATION)),
            "Observed over expected events and slope: 1 is ideal. Distance (ICI): 0 is ideal.",
            basis,
            described,
            "The gate requires calibration in all patients, in groups, and with 20 % and 40 % of "
            "the fields empty.",
        ),
    )


def _key_metric(
    name: str,
    goal: str,
    results: Sequence[Node],
    reading: str,
    test: str,
    patients: str,
    validation: str,
) -> Node:
    """Return one of the three groups of metrics; the schema requires one result at least."""
    known = tuple(results) or (_no_result(),)
    return (
        name,
        (
            ("MetricGoal", goal),
            ("Results", known),
            ("Interpretation", reading),
            ("TestType", test),
            ("TestingDataDescription", patients),
            ("ValidationProcessAndJustification", validation),
        ),
    )


def _results(metrics: Sequence[HeldOutMetric], names: Sequence[str]) -> Iterator[Node]:
    """Yield the named metrics at every horizon."""
    for metric in metrics:
        if metric.metric in names and metric.estimate is not None:
            label = METRICS[metric.metric].label
            yield _result(f"{label} at {metric.horizon_days:g} days", metric)


def _result(label: str, metric: HeldOutMetric) -> Node:
    """Return one figure; its interval is in the label, because the schema has no place for it."""
    ends = (
        f" (95 % interval {metric.low:.3f} to {metric.high:.3f})"
        if metric.low is not None and metric.high is not None
        else ""
    )
    assert metric.estimate is not None  # listed only then
    value = {"kind": "single", "value": round(metric.estimate, 4), "unit": ""}
    return ("MetricResult", (("Label", f"{label}{ends}"), ("ValueJson", json.dumps(value))))


def _no_result() -> Node:
    return ("MetricResult", (("Label", "Not measured"), ("ValueJson", "null")))
