"""The description of the FHIR interface: CapabilityStatement, OperationDefinition, CodeSystem.

They are the same in R4, R4B and R5 but for `fhirVersion`, which a client requests in `Accept`.
"""

from __future__ import annotations

import re
from importlib.metadata import version

from data_schema.biomarkers import VARIABLES
from data_schema.fhir.resources import Resource
from data_schema.outcomes import OUTCOMES
from data_schema.variables import LOCAL_SYSTEM
from models.wording import NOTICE
from serving.fhir.override_reasons import OVERRIDE_REASONS
from serving.fhir.question import PARAMETERS

__all__ = ["capability_statement", "code_system", "fhir_version", "operation_definition"]

# When these documents last changed.
_DATE = "2026-11-30"
_OPERATION = "urn:osteon:operation:risk-assessment-predict"
_VERSIONS = {"4.0": "4.0.1", "4.3": "4.3.0", "5.0": "5.0.0"}
_REQUESTED_VERSION = re.compile(r"fhirVersion\s*=\s*\"?(\d\.\d)")
_TYPES = {
    "observations": ("Bundle", 1, "1"),
    "outcome": ("string", 0, "*"),
    "timeZero": ("dateTime", 0, "1"),
    "askedAt": ("dateTime", 0, "1"),
    "horizonDays": ("decimal", 0, "*"),
}


def fhir_version(accept: str) -> str:
    """Return the FHIR version that an `Accept` header requests (default: R4).

    >>> fhir_version("application/fhir+json; fhirVersion=5.0")
    '5.0.0'
    """
    requested = _REQUESTED_VERSION.search(accept)
    return _VERSIONS.get(requested[1] if requested else "", _VERSIONS["4.0"])


def capability_statement(accept: str) -> Resource:
    """Return the CapabilityStatement in the version that an `Accept` header requests."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "Osteon", "version": version("osteon")},
        "implementation": {"description": f"Osteon, risk from bone markers. {NOTICE}"},
        "fhirVersion": fhir_version(accept),
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Answers one operation and stores no resource.",
                "resource": [
                    {
                        "type": "RiskAssessment",
                        "operation": [{"name": "predict", "definition": _OPERATION}],
                    },
                    {"type": "OperationDefinition", "interaction": [{"code": "read"}]},
                    {"type": "CodeSystem", "interaction": [{"code": "read"}]},
                ],
            }
        ],
    }


def operation_definition() -> Resource:
    """Return the OperationDefinition of `RiskAssessment/$predict`."""
    taken = [
        {
            "name": name,
            "use": "in",
            "min": least,
            "max": most,
            "documentation": PARAMETERS[name],
            "type": kind,
        }
        for name, (kind, least, most) in _TYPES.items()
    ]
    given = {
        "name": "return",
        "use": "out",
        "min": 1,
        "max": "1",
        "documentation": "A RiskAssessment, or a Bundle of them if several outcomes are requested. "
        "If the model refuses the patient: status cancelled, with the reasons.",
        "type": "Resource",
    }
    return {
        "resourceType": "OperationDefinition",
        "id": "RiskAssessment-predict",
        "url": _OPERATION,
        "version": version("osteon"),
        "name": "PredictRisk",
        "title": "Risk of death or fracture from bone markers",
        "status": "active",
        "kind": "operation",
        "date": _DATE,
        "description": "Only final, amended or corrected Observations count, all of one patient; "
        "Conditions and medications set flags. "
        "The body may be the Bundle, with the other parameters in the query. "
        f"{NOTICE}",
        "affectsState": False,
        "code": "predict",
        "resource": ["RiskAssessment"],
        "system": False,
        "type": True,
        "instance": False,
        "parameter": [*taken, given],
    }


def code_system() -> Resource:
    """Return the local CodeSystem: outcomes, variables of the catalogue, reasons on cards."""
    outcomes = [{"code": one.name, "display": one.label} for one in OUTCOMES.values()]
    reasons = [{"code": code, "display": words} for code, words in OVERRIDE_REASONS.items()]
    variables = [
        {"code": entry.name, "display": entry.label}
        | ({"definition": f"Canonical unit: {entry.unit}."} if entry.unit else {})
        for entry in VARIABLES.values()
    ]
    return {
        "resourceType": "CodeSystem",
        "id": "osteon",
        "url": LOCAL_SYSTEM,
        "version": version("osteon"),
        "name": "OsteonCodes",
        "title": "Variables and outcomes of Osteon, and reasons to override a card",
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "description": "For concepts without a LOINC code. A variable that only a site's own model "
        "has uses its name in this system, too.",
        "caseSensitive": True,
        "content": "fragment",
        "concept": [*outcomes, *variables, *reasons],
    }
