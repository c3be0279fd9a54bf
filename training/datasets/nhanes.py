"""NHANES 2017-March 2020: fractures that had happened before the examination; for checks only."""

from __future__ import annotations

import re

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.variables import Variable
from training.datasets.columns import NOMINAL_HORIZON_DAYS, Column, adapt_table, known_at
from training.datasets.dataset import Dataset, Raw, read_folder
from training.datasets.site_variables import EVER_SMOKED, MOTHER_HIP_FRACTURE

__all__ = ["DATASET"]


def _flag(source: str, name: str, label: str) -> Column:
    return Column(source, Variable(name, label, "person", "flag"))


_COLUMNS = (
    Column("age", VARIABLES["age"], unit="a"),
    Column("gender", VARIABLES["sex"], codes={1: "male", 2: "female"}),
    Column("bmi", VARIABLES["bmi"], unit="kg/m2"),
    _flag("prednisone", "prednisone_ever", "Ever took prednisone or cortisone daily"),
    Column("diabetes_status", VARIABLES["diabetes"], codes={1: 1.0, 2: 0.0, 3: 0.0}),
    Column("mother_fx_hip", MOTHER_HIP_FRACTURE),
    _flag("father_fx_hip", "father_hip_fracture", "Father broke a hip"),
    Column("ever_smoked", EVER_SMOKED),
    _flag("arthritis", "arthritis", "Arthritis of any kind"),
    _flag("chf", "heart_failure", "Heart failure"),
    _flag("stroke", "stroke", "Stroke"),
    _flag("copd", "copd", "Chronic obstructive lung disease"),
    _flag("cancer", "cancer_ever", "Cancer ever"),
    Column("bmd_femur_neck", VARIABLES["bmd_fn"], unit="g/cm2"),
    Column("bmd_femur_total", VARIABLES["bmd_hip"], unit="g/cm2"),
    Column("bmd_spine_total", VARIABLES["bmd_ls"], unit="g/cm2"),
    Column("calcium_mg_dl", VARIABLES["calcium"], unit="mg/dL"),
    Column("phosphorus_mg_dl", VARIABLES["phosphate"], unit="mg/dL"),
    Column("albumin_g_dl", VARIABLES["albumin"], unit="g/dL"),
    Column("creatinine_mg_dl", VARIABLES["creatinine"], unit="mg/dL"),
    Column("egfr_ckdepi2021", VARIABLES["egfr"]),
    Column("bilirubin_mg_dl", VARIABLES["bilirubin"], unit="mg/dL"),
    Column("glucose_mg_dl", VARIABLES["glucose"], unit="mg/dL"),
    Column("bun_mg_dl", VARIABLES["urea_nitrogen"]),
    Column("sodium_mmol_l", VARIABLES["sodium"]),
    Column("potassium_mmol_l", VARIABLES["potassium"]),
    Column("bicarbonate_mmol_l", VARIABLES["bicarbonate"]),
    Column("alp_u_l", VARIABLES["alkaline_phosphatase"]),
)

_WHY_DROPPED = {
    r"OS[QD]\d+.*|raw_osq_hws|hx_fracture|other_fractures|had_osteoporosis": (
        "the osteoporosis questionnaire itself: it asks about the fractures"
    ),
    r"SDMV.*|samp_wt.*|folate_wt": "survey design, not a property of the person",
    r"ethnicity|income_ratio": "social description, not needed for a check of the bone variables",
    r"T_score_nk|osteo_class|bmd_femur_.*|bmd_l\d|alp|phosphate_mmol_l|calcium_mmol_l": (
        "follows from columns that are kept"
    ),
    r"mean_(systol|diastol)ic|high_.*|blood_.*|serum_folate|a1c_level|ldl_level|alc_drinks_per_day"
    r"|chd|heart_attack|liver|thyroid|overweight|asthma|sedentary_mins_day|uric_acid_mg_dl"
    r"|total_protein_g_dl|(ldh|ggt|alt|ast)_u_l|globulin_g_dl": (
        "not needed for a check of the bone variables"
    ),
}


def _dropped(raw: Raw) -> dict[str, str]:
    """Return the reason for each column left out; a new column has none and is refused."""
    used = {c.source for c in _COLUMNS} | {"SEQN", "fracture_label"}
    return {
        name: reason
        for name in raw.columns
        if name not in used
        for reason in [why for rule, why in _WHY_DROPPED.items() if re.fullmatch(rule, name)][:1]
    }


def adapt(raw: Raw) -> Cohort:
    """Return NHANES as a cohort whose outcome is already present at time zero."""
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("SEQN", "fracture_label"),
        dropped=_dropped(raw),
        patient_id=raw["SEQN"],
        outcome=known_at("prevalent_fracture", raw["fracture_label"], NOMINAL_HORIZON_DAYS),
        name="nhanes_2017_2020",
        population="Adults of 50 and over of the United States, sampled by NHANES, 2017-March 2020",
    )


DATASET = Dataset(
    name="nhanes_2017_2020",
    read=lambda folder: read_folder(
        folder, "nhanes_2017_2020_fracture/nhanes_2017_2020_fracture.csv"
    ),
    adapt=adapt,
    outcome="prevalent_fracture",
    time_zero="examination, after the fractures",
    source="CDC/NCHS NHANES P_ files, 2017-March 2020",
    purpose="checks only",
    needs_folder=True,
    notes=("Fractures lie before the bone measurements: an association, not a prediction.",),
)
