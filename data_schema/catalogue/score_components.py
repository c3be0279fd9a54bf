"""What severity scores count that no other entry holds: doses of vasopressors and chronic illness.

SOFA counts the dose of each vasopressor, APACHE II and SAPS II chronic illness as their papers
define it. Corrected calcium stands here too: it is computed from two values, and never entered into
a score. The simulated cohort does not hold these variables (`training/simulation/cohort.py`).
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import DERIVED, RECORDED
from data_schema.variables import Variable
from data_schema.windows import Window

__all__ = ["ENTRIES"]

_HISTORY = Window("known before the acute illness")

_dose = partial(
    Variable,
    pathway="severity",
    origin=RECORDED,
    unit="ug/kg/min",
    # Of the base. Rates that are not per kg need the weight and are refused.
    units={"ug/kg/min": 1.0, "ug/kg/h": 1 / 60, "mg/kg/min": 1000.0, "mg/kg/h": 1000 / 60},
    aliases={
        "mcg/kg/min": "ug/kg/min",
        "mcg/kg/hour": "ug/kg/h",
        "ug/kg/hour": "ug/kg/h",
        "mg/kg/hour": "mg/kg/h",
        "ug/(kg.min)": "ug/kg/min",
        "ug/(kg.h)": "ug/kg/h",
    },
    low=0.0,
    treatment=True,
    window=Window("highest of the 24 h before time zero", timedelta(hours=24)),
    note="Of the base, not of a salt: 2 mg of norepinephrine tartrate hold 1 mg of the base.",
)


def _dose_or_flag(drug: str) -> str:
    """Return what must be known of a column that only names the drug."""
    return f"{drug} as a dose, or whether it was given: which?"


_illness = partial(Variable, pathway="person", kind="flag", window=_HISTORY)

ENTRIES: tuple[Variable, ...] = (
    _dose(
        name="norepinephrine_dose",
        hint="Of the base: 2 mg of norepinephrine tartrate hold 1 mg.",
        label="Norepinephrine, dose",
        high=10.0,
        synonyms=("norepinephrine rate", "noradrenaline dose", "noradrenaline rate"),
        near_synonyms=("norepinephrine", "noradrenaline"),
        ambiguity=_dose_or_flag("norepinephrine"),
    ),
    _dose(
        name="epinephrine_dose",
        label="Epinephrine, dose",
        high=10.0,
        synonyms=("epinephrine rate", "adrenaline dose", "adrenaline rate"),
        near_synonyms=("epinephrine", "adrenaline"),
        ambiguity=_dose_or_flag("epinephrine"),
    ),
    _dose(
        name="dopamine_dose",
        label="Dopamine, dose",
        high=100.0,
        synonyms=("dopamine rate",),
        near_synonyms=("dopamine",),
        ambiguity=_dose_or_flag("dopamine"),
    ),
    _dose(
        name="dobutamine_dose",
        label="Dobutamine, dose",
        high=100.0,
        synonyms=("dobutamine rate",),
        near_synonyms=("dobutamine",),
        ambiguity=_dose_or_flag("dobutamine"),
    ),
    Variable(
        name="corrected_calcium",
        hint="Ionised calcium is preferred in critical illness.",
        label="Calcium, corrected for albumin",
        pathway="fgf23_mineral",
        origin=DERIVED,
        unit="mg/dL",
        # 40.078 g/mol.
        units={"mg/dL": 1.0, "mmol/L": 4.0078},
        low=3.2,
        high=30.0,
        typical_median=(6.0, 13.0),
        synonyms=(
            *("corrected calcium", "calcium corrected", "albumin corrected calcium"),
            *("calcium albumin corrected", "adjusted calcium"),
        ),
        note="Total calcium as it would be at an albumin of 4 g/dL. In critical illness it agrees "
        "poorly with ionised calcium, which is to be preferred.",
    ),
    _illness(
        name="chronic_organ_insufficiency",
        hint=(
            "Cirrhosis with portal hypertension, NYHA IV, severe respiratory disease, chronic "
            "dialysis, or immunocompromise."
        ),
        label="Severe chronic organ insufficiency or immunocompromise",
        synonyms=("chronic health", "chronic organ failure"),
        note="As APACHE II defines it: cirrhosis with portal hypertension, NYHA IV, severe "
        "respiratory disease, chronic dialysis, or immunocompromise.",
    ),
    Variable(
        name="acute_renal_failure",
        hint="As APACHE II defines it: it doubles the points of creatinine.",
        label="Acute renal failure",
        pathway="severity",
        kind="flag",
        synonyms=("arf",),
        window=Window("in the 24 h before time zero", timedelta(hours=24)),
        note="As APACHE II defines it: it doubles the points of creatinine.",
    ),
    _illness(
        name="aids",
        hint="HIV with clinical complications; HIV infection alone is not.",
        label="AIDS",
        icd_10=("B20", "B21", "B22", "B24"),
        synonyms=("acquired immunodeficiency syndrome",),
        note="HIV with clinical complications, as SAPS II defines it; HIV infection alone is not.",
    ),
    _illness(
        name="hematologic_malignancy",
        hint="Lymphoma, leukemia, myeloma and other malignancies of blood.",
        label="Hematologic malignancy",
        icd_10=tuple(f"C{number}" for number in range(81, 97)),
        synonyms=("haematological malignancy", "hematological malignancy", "lymphoma or leukemia"),
        note="Lymphoma, leukemia, myeloma and other malignancies of blood, as SAPS II counts them.",
    ),
)
