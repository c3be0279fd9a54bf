"""The two services, each with its hook, its outcome and the data that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from data_schema.biomarkers import VARIABLES, loinc_codes
from data_schema.fhir.history import COMFORT_CARE, MEDICATIONS
from data_schema.fhir.site_codes import NO_SITE_CODES, SiteCodes
from data_schema.outcomes import OUTCOMES
from data_schema.variables import base_name
from models.wording import NOTICE
from serving.fhir.search import split_codes
from serving.prediction.served import Served, ServedModel

__all__ = ["OBSERVATIONS", "SERVICES", "CdsService", "discovery", "model_of", "templates"]

_NOT_OF_SIMULATED = "Simulated models give no cards."
_OF_SIMULATED = "Demo: cards are of simulated patients."

OBSERVATIONS = "observations"
"""The keys of templates for Observations begin with this."""

_AT_ONCE = 200
# Windows count from time zero, which may be some days ago.
_MARGIN = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class CdsService:
    """One service, whose cards are due within `window` after time zero.

    It requests Observations from `lookback` on, or earlier if a variable counts from further back.
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
    """Return the reserved model of a service, or else the only suitable model, or None.

    A model is not suitable if it is simulated, except in a demo, or if its time zero is not that of
    the outcome: when the hook is called, its answer would be about another day.
    """
    outcome = OUTCOMES[service.outcome]
    fitting = [
        model
        for model in served.models
        if model.contract.outcome == outcome.name
        and model.contract.time_zero == outcome.time_zero
        and (served.demo or not model.contract.simulated)
    ]
    named = [model for model in fitting if model.loaded.name == outcome.reserved_model]
    candidates = named or fitting
    return candidates[0] if len(candidates) == 1 else None


def discovery(served: Served, today: date, site: SiteCodes = NO_SITE_CODES) -> Mapping[str, object]:
    """Return the body of `GET /cds-services`, whose templates look back from today."""
    return {
        "services": [
            {
                "hook": service.hook,
                "title": service.title,
                "description": service.description,
                "id": service.id,
                "prefetch": templates(service, model_of(service, served), today, site),
                "usageRequirements": "Adults with an encounter in intensive care, whose location "
                "is coded or is in the settings of the service. "
                + (_OF_SIMULATED if served.demo else _NOT_OF_SIMULATED),
            }
            for service in SERVICES.values()
        ]
    }


def templates(
    service: CdsService,
    model: ServedModel | None,
    today: date,
    site: SiteCodes = NO_SITE_CODES,
) -> dict[str, str]:
    """Return the prefetch templates of a service by key.

    They request the variables of the model, or the LOINC codes of the whole catalogue if None, and
    the site's own codes. Observations are split over `observations`, `observations2` and so on, so
    that no address reaches 2,000 characters. Where a hook need not state an encounter, `encounters`
    requests those in progress.
    """
    variables = _variables(model)
    since = _since(today, service.lookback, variables)
    prescribed = _since(today, service.lookback, MEDICATIONS)
    patient, count = "patient={{context.patientId}}", f"_count={_AT_ONCE}"
    comfort = ",".join(COMFORT_CARE)
    in_progress = {"encounters": f"Encounter?{patient}&status=in-progress&{count}"}
    rest = f"&date=ge{since}&_sort=-date&{count}"
    groups = split_codes([*_codes(variables, model), *site.codes], others=f"{patient}{rest}")
    return {
        "patient": "Patient/{{context.patientId}}",
        "encounter": "Encounter/{{context.encounterId}}",
        **(in_progress if service.hook == "patient-view" else {}),
        **{
            f"{OBSERVATIONS}{number if number > 1 else ''}": f"Observation?{patient}"
            f"&code={','.join(codes)}{rest}"
            for number, codes in enumerate(groups, start=1)
        },
        "conditions": f"Condition?{patient}&{count}",
        "comfortCare": f"ServiceRequest?{patient}&code={comfort}&status=active&{count}",
        "medications": f"MedicationRequest?{patient}&authoredon=ge{prescribed}&{count}",
    }


def _since(today: date, lookback: timedelta, variables: Iterable[str]) -> str:
    """Return the first day from which any of the variables counts."""
    lengths = (VARIABLES[name].window.length for name in variables if name in VARIABLES)
    back = max([lookback, *(length for length in lengths if length is not None)])
    return (today - back - _MARGIN).isoformat()


def _variables(model: ServedModel | None) -> list[str]:
    """Return the variables to request, without age and sex, which the Patient states."""
    if model is None:
        return sorted(set(VARIABLES) - {"age", "sex"})
    features = {base_name(feature.name) for feature in model.contract.features}
    read = features | {base_name(column) for column in model.guard_columns}
    return sorted(read - {"age", "sex"})


def _codes(variables: list[str], model: ServedModel | None) -> list[str]:
    """Return the codes of each variable, LOINC first; our own codes only for a model."""
    return [*loinc_codes(variables), *(variables if model is not None else ())]
