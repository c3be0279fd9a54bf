"""MGUS2: progression of a monoclonal gammopathy, with death competing (R's survival package)."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.outcomes import COMPETING, EVENT
from training.datasets.columns import Column, adapt_table
from training.datasets.dataset import Dataset, Raw
from training.datasets.r import run_r
from training.datasets.site_variables import site_number
from training.datasets.studies import MGUS2

__all__ = ["DATASET"]

DAYS_PER_MONTH = 365.25 / 12

_COLUMNS = (
    Column("age", VARIABLES["age"]),
    Column("sex", VARIABLES["sex"], codes={"F": "female", "M": "male"}),
    Column("hgb", VARIABLES["hemoglobin"]),
    Column("creat", VARIABLES["creatinine"]),
    Column(
        "mspike",
        site_number(
            "monoclonal_spike",
            "Monoclonal serum protein",
            "osteopontin_immune",
            "g/dL",
            0.0,
            10.0,
            specimen="serum",
        ),
    ),
)

_DROPPED = {
    "dxyr": "year of the diagnosis: it sets the length of follow-up, and no later patient has it; "
    "censoring would depend on it"
}


def adapt(raw: Raw) -> Cohort:
    """Return MGUS2 as a cohort: progression is the event, death without it competes.

    Times are whole months. A patient who progressed and died in the same month progressed first.
    """
    progressed, died = raw["pstat"].to_numpy() == 1, raw["death"].to_numpy() == 1
    months = np.where(progressed, raw["ptime"], raw["futime"]).astype(np.float64)
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("id", "ptime", "pstat", "futime", "death"),
        dropped=_DROPPED,
        patient_id=raw["id"],
        outcome=OutcomeData(
            name="progression",
            time_days=months * DAYS_PER_MONTH,
            event=np.where(progressed, EVENT, np.where(died, COMPETING, 0)).astype(np.int64),
        ),
        name="mgus2",
        population=(
            "Residents of south-eastern Minnesota with a monoclonal gammopathy of undetermined "
            "significance, diagnosed 1960-94"
        ),
    )


def _read(_: Path | None) -> Raw:
    """Return R's table; its licence is the GPL, so this repository holds no copy."""
    return pd.read_csv(StringIO(run_r(Path(__file__).with_suffix(".R"))))


DATASET = Dataset(
    name="mgus2",
    read=_read,
    adapt=adapt,
    outcome="progression",
    time_zero="diagnosis",
    source="R survival mgus2, Kyle et al., N Engl J Med 2002;346:564-569",
    horizons_days=(1826, 3652, 5479),
    competing_label="death without progression",
    notes=(
        "Needs R with its package survival; the table is exported from it at run time.",
        "Progression to multiple myeloma or another plasma-cell malignancy: 115 of 1,384.",
    ),
    study=MGUS2,
)
