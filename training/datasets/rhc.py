"""RHC: right heart catheterisation in critically ill adults, with day-1 physiology (SurvSet)."""

from __future__ import annotations

import numpy as np

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData, TreatmentLimits
from data_schema.variables import Variable
from training.datasets.columns import Column, adapt_table
from training.datasets.dataset import Dataset, Raw, read_survset
from training.datasets.site_variables import INCOME, RACE
from training.datasets.studies import RHC

__all__ = ["DATASET"]

_YES_NO = {"Yes": 1.0, "No": 0.0}


def _flag(source: str, name: str, label: str, *, pathway: str = "person") -> Column:
    return Column(source, Variable(name, label, pathway, "flag"))


def _diagnosis(source: str, name: str, label: str) -> Column:
    return Column(source, Variable(name, label, "severity", "flag"), codes=_YES_NO)


_COLUMNS = (
    Column("num_age", VARIABLES["age"]),
    Column("fac_sex", VARIABLES["sex"], codes={"Female": "female", "Male": "male"}),
    Column("fac_race", RACE),
    Column("num_edu", VARIABLES["education_years"]),
    Column("fac_income", INCOME),
    Column("fac_ninsclas", Variable("insurance", "Medical insurance", "person", "category")),
    Column("num_wtkilo1", VARIABLES["weight"]),
    Column("fac_cat1", Variable("disease", "Primary disease category", "person", "category")),
    Column(
        "fac_cat2",
        Variable("second_disease", "Secondary disease category", "person", "category"),
        missing=("missing",),
    ),
    Column(
        "fac_ca", VARIABLES["cancer"], codes={"No": "no", "Yes": "yes", "Metastatic": "metastatic"}
    ),
    _diagnosis("fac_card", "cardiovascular_admission", "Admitted for: cardiovascular"),
    _diagnosis("fac_gastr", "gastrointestinal_admission", "Admitted for: gastrointestinal"),
    _diagnosis("fac_hema", "hematologic_admission", "Admitted for: hematologic"),
    _diagnosis("fac_meta", "metabolic_admission", "Admitted for: metabolic"),
    _diagnosis("fac_neuro", "neurological_admission", "Admitted for: neurological"),
    _diagnosis("fac_ortho", "orthopedic_admission", "Admitted for: orthopedic"),
    _diagnosis("fac_renal", "renal_admission", "Admitted for: renal"),
    _diagnosis("fac_resp", "respiratory_admission", "Admitted for: respiratory"),
    _diagnosis("fac_seps", "sepsis_admission", "Admitted for: sepsis"),
    _diagnosis("fac_trauma", "trauma_admission", "Admitted for: trauma"),
    _flag("fac_amihx", "myocardial_infarction_history", "Myocardial infarction before"),
    _flag("fac_cardiohx", "cardiovascular_history", "Cardiovascular disease before"),
    _flag("fac_chfhx", "heart_failure_history", "Heart failure before"),
    _flag("fac_chrpulhx", "lung_disease_history", "Chronic lung disease before"),
    _flag("fac_dementhx", "dementia_history", "Dementia, stroke or Parkinson's disease before"),
    _flag("fac_gibledhx", "gastrointestinal_bleeding_history", "Gastrointestinal bleeding before"),
    _flag("fac_immunhx", "immune_suppression_history", "Immune suppression or cancer care before"),
    _flag("fac_liverhx", "liver_disease_history", "Cirrhosis or liver failure before"),
    _flag("fac_malighx", "malignancy_history", "Malignancy before"),
    _flag("fac_psychhx", "psychiatric_history", "Psychiatric illness before"),
    _flag("fac_renalhx", "renal_disease_history", "Chronic renal disease before"),
    _flag("fac_transhx", "transferred", "Transferred from another hospital"),
    Column(
        "fac_swang1",
        Variable(
            "right_heart_catheter",
            "Right heart catheter in the first 24 h",
            "care",
            "flag",
            treatment=True,
        ),
        codes={"RHC": 1.0, "No RHC": 0.0},
    ),
    Column("num_aps1", VARIABLES["apache3_aps"]),
    Column("num_scoma1", VARIABLES["coma_score"]),
    Column("num_meanbp1", VARIABLES["map"], missing=(0.0,)),
    Column("num_hrt1", VARIABLES["heart_rate"], missing=(0.0,)),
    Column("num_resp1", VARIABLES["respiratory_rate"], missing=(0.0,)),
    Column("num_temp1", VARIABLES["temperature"]),
    Column("num_wblc1", VARIABLES["white_cells"]),
    Column("num_hema1", VARIABLES["hematocrit"]),
    Column("num_pafi1", VARIABLES["pf_ratio"]),
    Column("num_paco21", VARIABLES["paco2"]),
    Column("num_ph1", VARIABLES["ph"]),
    Column("num_alb1", VARIABLES["albumin"]),
    Column("num_bili1", VARIABLES["bilirubin"]),
    Column("num_crea1", VARIABLES["creatinine"]),
    Column("num_sod1", VARIABLES["sodium"]),
    Column("num_pot1", VARIABLES["potassium"]),
    Column("num_urin1", VARIABLES["urine_output"]),
)

_DROPPED = {
    "num_adld3p": "day-3 interview: after time zero, and missing exactly in those who did badly",
    "num_surv2md1": "risk of death already computed from the same patients; a comparator",
    "fac_dnr1": "a do-not-resuscitate decision foretells the death that it permits",
}


def adapt(raw: Raw) -> Cohort:
    """Return RHC as a cohort with time zero on study day 1.

    `time` counts days since study entry; no patient died within the first two days.
    """
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("pid", "event", "time"),
        dropped=_DROPPED,
        patient_id=raw["pid"],
        outcome=OutcomeData(
            name="mortality",
            time_days=raw["time"].to_numpy(dtype=np.float64),
            event=raw["event"].to_numpy(dtype=np.int64),
        ),
        treatment_limits=TreatmentLimits(
            np.select([raw["fac_dnr1"] == "No", raw["fac_dnr1"] == "Yes"], [0.0, 1.0], np.nan),
            days=np.where(raw["fac_dnr1"] == "Yes", 0.0, np.nan),
            recorded="do-not-resuscitate orders on study day 1; later orders are not recorded",
        ),
        name="rhc",
        population=(
            "Critically ill adults in five US teaching hospitals, 1989-94, who lived at least two "
            "days after study entry"
        ),
    )


DATASET = Dataset(
    name="rhc",
    read=lambda _: read_survset("rhc"),
    adapt=adapt,
    outcome="mortality",
    time_zero="study day 1",
    source="SurvSet rhc (hbiostat.org), Connors et al., JAMA 1996;276:889-897",
    shares_patients_with=("support2",),
    notes=(
        "Every patient is also in SUPPORT2.",
        "Only patients who lived two days were enrolled; a risk at day 1 does not exist here.",
        "The file holds imputed albumin, bilirubin, blood gases and blood counts as if measured.",
    ),
    study=RHC,
)
