"""Drivers of bone loss in the ICU: immobility, ventilation, drugs and malnutrition."""

from __future__ import annotations

from data_schema.catalogue.unit_tables import DAYS, MG_PER_DAY
from data_schema.variables import Code, Variable

__all__ = ["ENTRIES"]

_STAY = "from ICU admission to time zero"
_UNKNOWN = "An absent entry is unknown, not no."

ENTRIES: tuple[Variable, ...] = (
    Variable(
        name="immobilisation_days",
        label="Immobilisation",
        pathway="drivers",
        unit="d",
        units=DAYS,
        low=0.0,
        high=2000.0,
        window=_STAY,
    ),
    Variable(
        name="restraint_days",
        label="Physical restraint",
        pathway="drivers",
        unit="d",
        units=DAYS,
        low=0.0,
        high=2000.0,
        treatment=True,
        window=_STAY,
    ),
    Variable(
        name="vent_days",
        label="Mechanical ventilation, days",
        pathway="drivers",
        unit="d",
        units=DAYS,
        # The code counts each partial day as one calendar day, which hours over 24 does not.
        codes=(Code("74201-5", "Days on ventilator", units=("d",)),),
        low=0.0,
        high=2000.0,
        treatment=True,
        window=_STAY,
        note="LOINC 74201-5 counts calendar days; hours are accepted for the variable only.",
    ),
    Variable(
        name="mechanical_ventilation",
        label="Mechanical ventilation",
        pathway="drivers",
        kind="flag",
        treatment=True,
        window="at time zero",
        note=_UNKNOWN,
    ),
    Variable(
        name="corticosteroid",
        label="Corticosteroid",
        pathway="drivers",
        kind="flag",
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="corticosteroid_dose",
        label="Corticosteroid dose (prednisolone equivalent)",
        pathway="drivers",
        unit="mg/d",
        units=MG_PER_DAY,
        low=0.0,
        high=5000.0,
        treatment=True,
        window=f"mean {_STAY}",
        note="Prednisolone equivalents: hydrocortisone over 4, methylprednisolone times 1.25, "
        "dexamethasone times 6.7.",
    ),
    Variable(
        name="corticosteroid_days",
        label="Corticosteroid, days",
        pathway="drivers",
        unit="d",
        units=DAYS,
        low=0.0,
        high=20000.0,
        treatment=True,
        window="before time zero, the current course",
    ),
    Variable(
        name="catecholamines",
        label="Catecholamines",
        pathway="drivers",
        kind="flag",
        treatment=True,
        window="in the 24 h before time zero",
        note=_UNKNOWN,
    ),
    Variable(
        name="loop_diuretic",
        label="Loop diuretic",
        pathway="drivers",
        kind="flag",
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="ppi",
        label="Proton pump inhibitor",
        pathway="drivers",
        kind="flag",
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="opioid",
        label="Opioid",
        pathway="drivers",
        kind="flag",
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="antibiotic",
        label="Antibiotic",
        pathway="drivers",
        kind="flag",
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="malnutrition",
        label="Malnutrition",
        pathway="drivers",
        kind="flag",
        window="at ICU admission",
        note="State the definition (GLIM, SGA or another) in the model card.",
    ),
)
