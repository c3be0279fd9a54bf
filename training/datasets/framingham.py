"""Framingham: coronary heart disease in a general population (SurvSet); a benchmark only."""

from __future__ import annotations

import numpy as np

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.variables import Variable
from training.datasets.columns import Column, adapt_table
from training.datasets.dataset import Dataset, Raw, read_survset

__all__ = ["DATASET"]


_COLUMNS = (
    Column("num_age", VARIABLES["age"]),
    Column("fac_sex", VARIABLES["sex"], codes={1: "male", 2: "female"}),
    Column("num_bmi", VARIABLES["bmi"]),
    Column("num_sbp", VARIABLES["systolic_pressure"]),
    Column("num_dbp", VARIABLES["diastolic_pressure"]),
    Column("num_scl", VARIABLES["cholesterol"]),
    Column("fac_month", Variable("month", "Month of the examination", "person", "category")),
)


def adapt(raw: Raw) -> Cohort:
    """Return Framingham as a cohort; the file censors deaths without coronary heart disease."""
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("pid", "event", "time"),
        dropped={},
        patient_id=raw["pid"],
        outcome=OutcomeData(
            name="chd",
            time_days=raw["time"].to_numpy(dtype=np.float64),
            event=raw["event"].to_numpy(dtype=np.int64),
        ),
        name="framingham",
        population="Adults of Framingham, Massachusetts, aged 30-68, free of coronary disease",
    )


DATASET = Dataset(
    name="framingham",
    read=lambda _: read_survset("Framingham"),
    adapt=adapt,
    outcome="chd",
    time_zero="examination",
    source="SurvSet Framingham, Dawber et al., Am J Public Health 1951;41:279-286",
    purpose="checks only",
    notes=("The event is coronary heart disease, not death: a benchmark of the estimator only.",),
)
