"""Hip study: death after a hip fracture, within an undocumented window (psfmi)."""

from __future__ import annotations

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.variables import Variable
from training.datasets.columns import NOMINAL_HORIZON_DAYS, Column, adapt_table, known_at
from training.datasets.dataset import Dataset, Raw, read_folder
from training.datasets.site_variables import site_number

__all__ = ["DATASET"]


def _class(source: str, name: str, label: str, highest: int) -> Column:
    return Column(source, site_number(name, label, "person", "{score}", 1, highest))


_COLUMNS = (
    Column("Age", VARIABLES["age"], unit="a"),
    Column("Gender", VARIABLES["sex"], codes={0: "female", 1: "male"}),
    _class("Mobility", "mobility_class", "Mobility before the fracture (1 best to 3)", 3),
    Column("Dementia", VARIABLES["dementia"], codes={1: 0.0, 2: 1.0}),
    _class("Home", "living_class", "Living situation (1 independent to 3)", 3),
    Column("Comorbidity", VARIABLES["comorbidities"]),
    _class("ASA", "asa_class", "ASA class", 5),
    Column("Hemoglobine", VARIABLES["hemoglobin"], unit="mmol/L"),
    Column("Leucocytes", VARIABLES["white_cells"], unit="10*9/L"),
    Column("Thrombocytes", VARIABLES["platelets"], unit="10*9/L"),
    Column("CRP", VARIABLES["crp"], unit="mg/L"),
    Column("Creatinine", VARIABLES["creatinine"], unit="umol/L"),
    Column("Urea", VARIABLES["urea_nitrogen"], unit="mmol/L"),
    Column("Albumine", VARIABLES["albumin"], unit="g/L"),
    Column(
        "Fracture",
        Variable("outside_the_capsule", "Fracture outside the joint capsule", "bone_mass", "flag"),
    ),
    Column("Delay", site_number("delay_of_surgery", "Delay of surgery", "care", "d", 0, 90)),
)


def adapt(raw: Raw) -> Cohort:
    """Return the hip study as a cohort whose horizon is nominal."""
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("pat_id", "Mortality"),
        dropped={},
        patient_id=raw["pat_id"],
        outcome=known_at("death_in_unknown_window", raw["Mortality"], NOMINAL_HORIZON_DAYS),
        name="hipstudy",
        population="Dutch patients admitted with a hip fracture",
    )


DATASET = Dataset(
    name="hipstudy",
    read=lambda folder: read_folder(folder, "hipstudy/hipstudy.csv"),
    adapt=adapt,
    outcome="death_in_unknown_window",
    time_zero="admission",
    source="psfmi hipstudy",
    purpose="checks only",
    needs_folder=True,
    notes=("The window of death is not documented, and missing values were imputed in the file.",),
)
