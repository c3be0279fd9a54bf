"""PhysioNet/CinC Challenge 2012, set A: death in hospital after 48 h of intensive care."""

from __future__ import annotations

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.variables import Variable
from training.datasets.columns import Column, adapt_table, known_at
from training.datasets.dataset import Dataset, Raw, read_folder
from training.datasets.site_variables import site_number
from training.datasets.studies import PHYSIONET2012

__all__ = ["DATASET"]

LANDMARK_DAYS = 2
LONGEST_STAY_DAYS = 154
HORIZON_DAYS = float(LONGEST_STAY_DAYS - LANDMARK_DAYS)


def _cuff(name: str, label: str) -> Variable:
    return site_number(name, label, "severity", "mm[Hg]", 0, 400)


# Raw series -> variable, and the unit of the raw numbers where it is not the canonical one.
_VITALS = {
    "GCS": (VARIABLES["gcs"], ""),
    "MAP": (VARIABLES["map"], ""),
    "HR": (VARIABLES["heart_rate"], ""),
    "RespRate": (VARIABLES["respiratory_rate"], ""),
    "Temp": (VARIABLES["temperature"], ""),
    "Glucose": (VARIABLES["glucose"], ""),
    "DiasABP": (VARIABLES["diastolic_pressure"], ""),
    "NIMAP": (_cuff("cuff_mean_pressure", "Mean arterial pressure by cuff"), ""),
    "NISysABP": (_cuff("cuff_systolic_pressure", "Systolic pressure by cuff"), ""),
    "NIDiasABP": (_cuff("cuff_diastolic_pressure", "Diastolic pressure by cuff"), ""),
    "SaO2": (VARIABLES["spo2"], ""),
}
_LABS = {
    "Albumin": (VARIABLES["albumin"], ""),
    "ALP": (VARIABLES["alkaline_phosphatase"], ""),
    "ALT": (VARIABLES["alt"], ""),
    "AST": (VARIABLES["ast"], ""),
    "Bilirubin": (VARIABLES["bilirubin"], ""),
    "BUN": (VARIABLES["urea_nitrogen"], ""),
    "Cholesterol": (VARIABLES["cholesterol"], ""),
    "Creatinine": (VARIABLES["creatinine"], ""),
    "FiO2": (VARIABLES["fio2"], "1"),
    "HCO3": (VARIABLES["bicarbonate"], ""),
    "HCT": (VARIABLES["hematocrit"], ""),
    "K": (VARIABLES["potassium"], ""),
    "Lactate": (VARIABLES["lactate"], ""),
    "Mg": (VARIABLES["magnesium"], "mg/dL"),
    "Na": (VARIABLES["sodium"], ""),
    "PaCO2": (VARIABLES["paco2"], ""),
    "PaO2": (VARIABLES["pao2"], ""),
    "pH": (VARIABLES["ph"], ""),
    "Platelets": (VARIABLES["platelets"], ""),
    "SysABP": (VARIABLES["systolic_pressure"], ""),
    "TroponinI": (VARIABLES["troponin_i"], "ug/L"),
    "TroponinT": (VARIABLES["troponin_t"], "ug/L"),
    "WBC": (VARIABLES["white_cells"], ""),
}
_STATISTICS = {"last": "", "first": "first", "lowest": "min", "highest": "max"}

_COLUMNS = (
    Column("Age", VARIABLES["age"], unit="a"),
    Column("Gender", VARIABLES["sex"], codes={0.0: "female", 1.0: "male"}),
    Column("Height", VARIABLES["height"], unit="cm"),
    Column("Weight", VARIABLES["weight"], unit="kg"),
    Column("SOFA", VARIABLES["sofa"]),
    Column("SAPS-I", VARIABLES["saps1"]),
    Column("CCU", Variable("coronary_unit", "Coronary care unit", "severity", "flag")),
    Column("CSRU", Variable("cardiac_surgery_unit", "Cardiac surgery unit", "severity", "flag")),
    Column("SICU", Variable("surgical_unit", "Surgical intensive care", "severity", "flag")),
    Column(
        "MechVentDuration",
        site_number(
            "ventilation_minutes", "Ventilation in the first 48 h", "drivers", "min", 0, 2880
        ),
    ),
    *(
        Column(f"{raw}_{statistic}", variable, unit=unit, suffix=suffix)
        for raw, (variable, unit) in (_VITALS | _LABS).items()
        for statistic, suffix in _STATISTICS.items()
        if raw in _VITALS or statistic in ("first", "last")
    ),
)

_DROPPED = {
    "Survival": "an outcome: days from admission to death",
    "Length_of_stay": "an outcome: known only at discharge",
    "Weight_first": "the same series as Weight, with more of it missing",
    "Weight_last": "the same series as Weight, with more of it missing",
    "MechVentStartTime": "minutes to the start of ventilation: adds nothing to its duration",
    "MechVentLast8Hour": "part of MechVentDuration",
    "UrineOutputSum": "holds 1 to 44 and only in the ventilated: not a volume",
} | {
    f"{raw}_median": "first, last, lowest and highest of the same series are kept"
    for raw in _VITALS
}


def adapt(raw: Raw) -> Cohort:
    """Return the challenge's set A: death in hospital, known for everyone by the longest stay.

    The file says whether a patient died in hospital, so the horizon must be one by which every
    stay had ended: 154 days after admission, 152 after time zero. This is not death from any
    cause: `Survival` also counts deaths after discharge, but not how long others were followed.
    """
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("recordid", "In-hospital_death"),
        dropped=_DROPPED,
        patient_id=raw["recordid"],
        outcome=known_at("in_hospital_death", raw["In-hospital_death"], HORIZON_DAYS),
        name="physionet2012",
        population=("Patients in intensive care for at least 48 h in one Boston hospital, 2001-08"),
    )


DATASET = Dataset(
    name="physionet2012",
    read=lambda folder: read_folder(folder, "physionet2012/set_a.csv.gz"),
    adapt=adapt,
    outcome="in_hospital_death",
    time_zero="48 h after admission to intensive care",
    source="PhysioNet challenge-2012 set A, Silva et al., Comput Cardiol 2012;39:245-248",
    needs_folder=True,
    notes=(
        "Death in hospital, not death from any cause: discharge ends the observation.",
        "26 deaths carry a survival of one day, although only stays of at least 48 h are in it.",
    ),
    study=PHYSIONET2012,
)
