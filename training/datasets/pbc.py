"""PBC: death in primary biliary cirrhosis, transplantation competing (R's survival package)."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.outcomes import COMPETING, EVENT
from data_schema.variables import Variable
from training.datasets.columns import Column, adapt_table
from training.datasets.dataset import Dataset, Raw
from training.datasets.r import run_r
from training.datasets.site_variables import site_number

__all__ = ["DATASET"]


def _sign(source: str, name: str, label: str) -> Column:
    return Column(source, Variable(name, label, "severity", "flag"))


_COLUMNS = (
    Column("age", VARIABLES["age"]),
    Column("sex", VARIABLES["sex"], codes={"f": "female", "m": "male"}),
    Column(
        "trt",
        Variable("penicillamine", "D-penicillamine", "care", "flag", treatment=True),
        codes={1: 1.0, 2: 0.0},
    ),
    _sign("ascites", "ascites", "Ascites"),
    _sign("hepato", "hepatomegaly", "Hepatomegaly"),
    _sign("spiders", "spider_angiomas", "Spider angiomas"),
    Column(
        "edema",
        Variable("edema", "Oedema", "severity", "category"),
        codes={0.0: "none", 0.5: "without_or_resolved_by_diuretics", 1.0: "despite_diuretics"},
    ),
    Column("bili", VARIABLES["bilirubin"]),
    Column("chol", VARIABLES["cholesterol"]),
    Column("albumin", VARIABLES["albumin"]),
    Column("copper", site_number("urine_copper", "Copper in urine", "severity", "ug/d", 0, 1000)),
    # Above 10,000 U/L in some patients, which the catalogue's variable takes for an error.
    Column(
        "alk.phos",
        site_number("alkaline_phosphatase_here", "Alkaline phosphatase", "severity", "U/L", 1, 2e4),
    ),
    Column("ast", site_number("ast_here", "AST (U/mL)", "severity", "U/mL", 1, 2000)),
    Column("trig", site_number("triglycerides", "Triglycerides", "severity", "mg/dL", 1, 5000)),
    Column("platelet", VARIABLES["platelets"]),
    Column("protime", site_number("clotting_time", "Prothrombin time", "severity", "s", 5, 60)),
    Column(
        "stage", site_number("histologic_stage", "Histologic stage", "severity", "{stage}", 1, 4)
    ),
)


def adapt(raw: Raw) -> Cohort:
    """Return PBC as a cohort: death is the event, transplantation before it competes.

    106 of the 418 patients were not in the trial of penicillamine and lack its measurements.
    """
    died, transplanted = (raw["status"].to_numpy() == status for status in (2, 1))
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("id", "time", "status"),
        dropped={},
        patient_id=raw["id"],
        outcome=OutcomeData(
            name="death_without_transplant",
            time_days=raw["time"].to_numpy(dtype=np.float64),
            event=np.where(died, EVENT, np.where(transplanted, COMPETING, 0)).astype(np.int64),
        ),
        name="pbc",
        population="Patients of the Mayo Clinic with primary biliary cirrhosis, referred 1974-84",
    )


def _read(_: Path | None) -> Raw:
    """Return R's table; its licence is the GPL, so this repository holds no copy."""
    return pd.read_csv(StringIO(run_r(Path(__file__).with_suffix(".R"))))


DATASET = Dataset(
    name="pbc",
    read=_read,
    adapt=adapt,
    outcome="death_without_transplant",
    time_zero="referral",
    source="R survival pbc, Dickson et al., Hepatology 1989;10:1-7",
    purpose="checks only",
    horizons_days=(1095, 1826, 2922),
    competing_label="liver transplantation",
    notes=(
        "Needs R with its package survival; the table is exported from it at run time.",
        "161 deaths and 25 transplantations in 418 patients.",
    ),
)
