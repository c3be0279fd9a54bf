"""The two services: when each is called, for which outcome, and what it needs of the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from data_schema.biomarkers import VARIABLES
from data_schema.fhir.history import COMFORT_CARE, MEDICATIONS
from data_schema.outcomes import OUTCOMES
from data_schema.variables import LOCAL_SYSTEM, LOINC, base_name
from models.wording import NOTICE
from serving.prediction.served import Served, ServedModel

__all__ = ["SERVICES", "CdsService", "discovery", "model_of", "templates"]

_AT_ONCE = 200
_SNOMED = "http://snomed.info/sct"
# A window is counted from time zero, which may be some days ago.
_MARGIN = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class CdsService:
    """One service.

    Parameters
    ----------
    id, hook, title, description : str
    outcome : str
        Name in `OUTCOMES`.
    window : timedelta
        How long after time zero a card may be asked for.
    lookback : timedelta
        How far back Observations are asked for, unless a variable counts from further back.
    """

    id: str
    hook: str
    title: str
    description: str
    outcome: str
    window: timedelta
    lookback: timedelta


SERVICES: Mapping[str, CdsService] = MappingProxyType(
    {
        service.id: service
        for service in (
            CdsService(
                id="osteon-mortality",
                hook="patient-view",
                title="Risk of death in intensive care",
                description="Expected deaths among adults like this one, from bone and endocrine "
                f"markers, 24 to 48 hours after ICU admission. {NOTICE}",
                outcome="mortality",
                window=timedelta(hours=24),
                lookback=timedelta(days=30),
            ),
            CdsService(
                id="osteon-fracture",
                hook="encounter-discharge",
                title="Risk of fracture after intensive care",
                description="Expected fractures, and deaths before a fracture, among adults like "
                f"this one after intensive care. {NOTICE}",
                outcome="fracture",
                window=timedelta(days=30),
                lookback=timedelta(days=180),
            ),
        )
    }
)
"""Every service by its id."""


def model_of(service: CdsService, served: Served) -> ServedModel | None:
    """Return the model that answers a service, or None.

    A simulated model never does, nor one that counts from another time zero than the outcome: at
    the moment of the hook its answer would be about another day.

    Parameters
    ----------
    service : CdsService
    served : Served

    Returns
    -------
    ServedModel or None
        The reserved one, or else the only one that fits.
    """
    outcome = OUTCOMES[service.outcome]
    fitting = [
        model
        for model in served.models
        if model.contract.outcome == outcome.name
        and model.contract.time_zero == outcome.time_zero
        and not model.contract.simulated
    ]
    named = [model for model in fitting if model.loaded.name == outcome.reserved_model]
    found = named or fitting
    return found[0] if len(found) == 1 else None


def discovery(served: Served, today: date) -> Mapping[str, object]:
    """Return what `GET /cds-services` answers.

    Parameters
    ----------
    served : Served
    today : date
        The day that the prefetch templates look back from.

    Returns
    -------
    dict
    """
    return {
        "services": [
            {
                "hook": service.hook,
                "title": service.title,
                "description": service.description,
                "id": service.id,
                "prefetch": templates(service, model_of(service, served), today),
                "usageRequirements": "Adults with an encounter in intensive care whose location "
                "is coded or named to the service; no card is made of a simulated model.",
            }
            for service in SERVICES.values()
        ]
    }


def templates(service: CdsService, model: ServedModel | None, today: date) -> dict[str, str]:
    """Return the prefetch templates of a service by key.

    Parameters
    ----------
    service : CdsService
    model : ServedModel or None
        Its variables are asked for; the LOINC codes of the whole catalogue without one.
    today : date

    Returns
    -------
    dict of str to str
    """
    variables = _variables(model)
    since = _since(today, service.lookback, variables)
    prescribed = _since(today, service.lookback, MEDICATIONS)
    patient, count = "patient={{context.patientId}}", f"_count={_AT_ONCE}"
    comfort = ",".join(f"{_SNOMED}|{code}" for code in COMFORT_CARE)
    return {
        "patient": "Patient/{{context.patientId}}",
        "encounter": "Encounter/{{context.encounterId}}",
        "observations": f"Observation?{patient}&code={','.join(_codes(variables, model))}"
        f"&date=ge{since}&_sort=-date&{count}",
        "conditions": f"Condition?{patient}&{count}",
        "comfortCare": f"ServiceRequest?{patient}&code={comfort}&status=active&{count}",
        "medications": f"MedicationRequest?{patient}&authoredon=ge{prescribed}&{count}",
    }


def _since(today: date, lookback: timedelta, variables: Iterable[str]) -> str:
    """Return the first day that any of the variables counts from, for whoever is asked today."""
    lengths = (VARIABLES[name].window.length for name in variables if name in VARIABLES)
    back = max([lookback, *(length for length in lengths if length is not None)])
    return (today - back - _MARGIN).isoformat()


def _variables(model: ServedModel | None) -> list[str]:
    """Return the variables to ask for, but for age and sex, which are the Patient's own."""
    if model is None:
        return sorted(set(VARIABLES) - {"age", "sex"})
    features = {base_name(feature.name) for feature in model.contract.features}
    read = features | {base_name(column) for column in model.guard_columns}
    return sorted(read - {"age", "sex"})


def _codes(variables: list[str], model: ServedModel | None) -> list[str]:
    """Return system and code of each variable, LOINC first; our own only where a model asks."""
    known = [code for name in variables if name in VARIABLES for code in VARIABLES[name].codes]
    loinc = [f"{LOINC}|{code.code}" for code in known if code.system == LOINC]
    if model is None:
        return list(dict.fromkeys(loinc))
    return list(dict.fromkeys([*loinc, *(f"{LOCAL_SYSTEM}|{name}" for name in variables)]))
