"""Drivers of bone loss in the ICU: immobility, ventilation, drugs and malnutrition."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import RECORDED
from data_schema.catalogue.unit_tables import DAYS, MG_PER_DAY
from data_schema.variables import Code, Variable
from data_schema.windows import AT_TIME_ZERO, Since, Window

__all__ = ["ENTRIES"]

_STAY = Window("from ICU admission to time zero", Since.ADMISSION)
_UNKNOWN = "An absent entry is unknown, not no."

_treatment = partial(
    Variable, pathway="drivers", kind="flag", treatment=True, note=_UNKNOWN, window=_STAY
)
_days = partial(
    Variable,
    pathway="drivers",
    origin=RECORDED,
    unit="d",
    units=DAYS,
    low=0.0,
    window=_STAY,
    high=2000.0,
)

ENTRIES: tuple[Variable, ...] = (
    _days(name="immobilisation_days", label="Immobilisation"),
    _days(name="restraint_days", label="Physical restraint", treatment=True),
    _days(
        name="vent_days",
        label="Mechanical ventilation, days",
        # The code counts each partial day as one calendar day, which hours over 24 does not.
        codes=(Code("74201-5", "Days on ventilator", units=("d",)),),
        synonyms=("ventilation days", "days ventilated"),
        treatment=True,
        note="LOINC 74201-5 counts calendar days; hours are accepted for the variable only.",
    ),
    _treatment(
        name="mechanical_ventilation",
        label="Mechanical ventilation",
        synonyms=("ventilated", "mv", "mech vent"),
        window=AT_TIME_ZERO,
    ),
    _treatment(
        name="corticosteroid",
        label="Corticosteroid",
        atc=("H02AB",),
        synonyms=("steroid", "steroids", "corticosteroids", "prednisone"),
    ),
    Variable(
        name="corticosteroid_dose",
        label="Corticosteroid dose (prednisolone equivalent)",
        pathway="drivers",
        origin=RECORDED,
        unit="mg/d",
        units=MG_PER_DAY,
        low=0.0,
        high=5000.0,
        treatment=True,
        window=Window("mean from ICU admission to time zero", Since.ADMISSION),
        note="Prednisolone equivalents: hydrocortisone over 4, methylprednisolone times 1.25, "
        "dexamethasone times 6.7.",
    ),
    _days(
        name="corticosteroid_days",
        label="Corticosteroid, days",
        high=20000.0,
        treatment=True,
        window=Window("before time zero, the current course"),
    ),
    _treatment(
        name="catecholamines",
        label="Catecholamines",
        atc=("C01CA",),
        synonyms=("vasopressor", "vasopressors"),
        window=Window("in the 24 h before time zero", timedelta(hours=24)),
    ),
    _treatment(name="loop_diuretic", label="Loop diuretic", atc=("C03C",)),
    _treatment(name="ppi", label="Proton pump inhibitor", atc=("A02BC",)),
    _treatment(name="opioid", label="Opioid", atc=("N02A",)),
    _treatment(name="antibiotic", label="Antibiotic", atc=("J01",)),
    Variable(
        name="malnutrition",
        label="Malnutrition",
        pathway="drivers",
        kind="flag",
        window=Window("at ICU admission"),
        note="State the definition (GLIM, SGA or another) in the model card.",
    ),
)
