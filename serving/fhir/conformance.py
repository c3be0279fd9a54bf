"""What the FHIR door says of itself: CapabilityStatement, OperationDefinition and CodeSystem.

They are the same in R4, R4B and R5 but for `fhirVersion`, which a client asks for in `Accept`.
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

# When these documents last changed, not when they are asked for.
_DATE = "2026-11-25"
_OPERATION = "urn:osteon:operation:risk-assessment-predict"
_VERSIONS = {"4.0": "4.0.1", "4.3": "4.3.0", "5.0": "5.0.0"}
_ASKED_VERSION = re.compile(r"fhirVersion\s*=\s*\"?(\d\.\d)")
_TYPES = {
    "observations": ("Bundle", 1, "1"),
    "outcome": ("string", 0, "*"),
    "timeZero": ("dateTime", 0, "1"),
    "horizonDays": ("decimal", 0, "*"),
}


def fhir_version(accept: str) -> str:
    """Return the FHIR version that an `Accept` header asks for; R4 if none, or another.

    >>> fhir_version("application/fhir+json; fhirVersion=5.0")
    '5.0.0'
    """
    asked = _ASKED_VERSION.search(accept)
    return _VERSIONS.get(asked[1] if asked else "", _VERSIONS["4.0"])


def capability_statement(accept: str) -> Resource:
    """Return the CapabilityStatement in the version that an `Accept` header asks for."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "Osteon", "version": version("osteon")},
        "implementation": {"description": f"Osteon, risk from bone markers. {NOTICE}"},
        "fhirVersion": fhir_version(accept),
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Answers one operation and keeps no resource.",
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
        "documentation": "A RiskAssessment, or a Bundle of them where several outcomes are asked. "
        "A patient the model must not be used for gets one of status cancelled, with its reasons.",
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
        "description": "Only Observations that are final, amended or corrected count, all of one "
        "patient. The Bundle may be the body itself, with the other parameters in the address. "
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
    """Return the one local CodeSystem: variables of the catalogue, outcomes, reasons on cards."""
    outcomes = [{"code": one.name, "display": one.label} for one in OUTCOMES.values()]
    reasons = [{"code": code, "display": said} for code, said in OVERRIDE_REASONS.items()]
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
        "title": "Variables and outcomes of Osteon, and reasons to set a card aside",
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "description": "For what LOINC has no code of. A variable that only a site's own model has "
        "goes by its name in this system, too.",
        "caseSensitive": True,
        "content": "fragment",
        "concept": [*outcomes, *variables, *reasons],
    }
