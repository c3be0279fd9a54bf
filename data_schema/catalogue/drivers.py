"""Drivers of bone loss in the ICU: immobility, ventilation, drugs and malnutrition."""

from __future__ import annotations

from datetime import timedelta

from data_schema.catalogue.origins import RECORDED
from data_schema.catalogue.unit_tables import DAYS, MG_PER_DAY
from data_schema.variables import Code, Variable
from data_schema.windows import AT_TIME_ZERO, Since, Window

__all__ = ["ENTRIES"]

_STAY = Window("from ICU admission to time zero", Since.ADMISSION)
_UNKNOWN = "An absent entry is unknown, not no."

ENTRIES: tuple[Variable, ...] = (
    Variable(
        name="immobilisation_days",
        label="Immobilisation",
        pathway="drivers",
        origin=RECORDED,
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
        origin=RECORDED,
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
        origin=RECORDED,
        unit="d",
        units=DAYS,
        # The code counts each partial day as one calendar day, which hours over 24 does not.
        codes=(Code("74201-5", "Days on ventilator", units=("d",)),),
        low=0.0,
        high=2000.0,
        synonyms=("ventilation days", "days ventilated"),
        treatment=True,
        window=_STAY,
        note="LOINC 74201-5 counts calendar days; hours are accepted for the variable only.",
    ),
    Variable(
        name="mechanical_ventilation",
        label="Mechanical ventilation",
        pathway="drivers",
        kind="flag",
        synonyms=("ventilated", "mv", "mech vent"),
        treatment=True,
        window=AT_TIME_ZERO,
        note=_UNKNOWN,
    ),
    Variable(
        name="corticosteroid",
        label="Corticosteroid",
        pathway="drivers",
        kind="flag",
        atc=("H02AB",),
        synonyms=("steroid", "steroids", "corticosteroids", "prednisone"),
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
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
    Variable(
        name="corticosteroid_days",
        label="Corticosteroid, days",
        pathway="drivers",
        origin=RECORDED,
        unit="d",
        units=DAYS,
        low=0.0,
        high=20000.0,
        treatment=True,
        window=Window("before time zero, the current course"),
    ),
    Variable(
        name="catecholamines",
        label="Catecholamines",
        pathway="drivers",
        kind="flag",
        atc=("C01CA",),
        synonyms=("vasopressor", "vasopressors"),
        treatment=True,
        window=Window("in the 24 h before time zero", timedelta(hours=24)),
        note=_UNKNOWN,
    ),
    Variable(
        name="loop_diuretic",
        label="Loop diuretic",
        pathway="drivers",
        kind="flag",
        atc=("C03C",),
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="ppi",
        label="Proton pump inhibitor",
        pathway="drivers",
        kind="flag",
        atc=("A02BC",),
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="opioid",
        label="Opioid",
        pathway="drivers",
        kind="flag",
        atc=("N02A",),
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="antibiotic",
        label="Antibiotic",
        pathway="drivers",
        kind="flag",
        atc=("J01",),
        treatment=True,
        window=_STAY,
        note=_UNKNOWN,
    ),
    Variable(
        name="malnutrition",
        label="Malnutrition",
        pathway="drivers",
        kind="flag",
        window=Window("at ICU admission"),
        note="State the definition (GLIM, SGA or another) in the model card.",
    ),
)
