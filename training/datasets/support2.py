"""SUPPORT2: seriously ill adults in hospital, with day-3 physiology (SurvSet)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData, TreatmentLimits
from data_schema.errors import DataError
from data_schema.variables import Variable
from training.datasets.columns import Column, adapt_table
from training.datasets.dataset import Dataset, Raw, read_folder, read_survset
from training.datasets.site_variables import INCOME, RACE
from training.datasets.studies import SUPPORT2

__all__ = ["DATASET", "LANDMARK_DAY", "support2_comparators"]

LANDMARK_DAY = 3
DEATH_ON_THE_LANDMARK_DAYS = 0.5

_COLUMNS = (
    Column("num_age", VARIABLES["age"]),
    Column("fac_sex", VARIABLES["sex"]),
    Column("fac_race", RACE, missing=("missing",)),
    Column("num_edu", VARIABLES["education_years"]),
    Column("fac_income", INCOME, missing=("missing",)),
    Column("fac_dzgroup", Variable("disease_group", "Disease group", "person", "category")),
    Column("fac_dzclass", Variable("disease_class", "Disease class", "person", "category")),
    Column("num_num_co", VARIABLES["comorbidities"]),
    Column("fac_diabetes", VARIABLES["diabetes"]),
    Column("fac_dementia", VARIABLES["dementia"]),
    Column("fac_ca", VARIABLES["cancer"]),
    Column("num_scoma", VARIABLES["coma_score"]),
    Column("num_sps", VARIABLES["support_sps"]),
    Column("num_meanbp", VARIABLES["map"], missing=(0.0,)),
    Column("num_hrt", VARIABLES["heart_rate"], missing=(0.0,)),
    Column("num_resp", VARIABLES["respiratory_rate"], missing=(0.0,)),
    Column("num_temp", VARIABLES["temperature"]),
    Column("num_wblc", VARIABLES["white_cells"]),
    Column("num_pafi", VARIABLES["pf_ratio"]),
    Column("num_ph", VARIABLES["ph"]),
    Column("num_alb", VARIABLES["albumin"]),
    Column("num_bili", VARIABLES["bilirubin"]),
    Column("num_crea", VARIABLES["creatinine"]),
    Column("num_sod", VARIABLES["sodium"]),
    Column("num_glucose", VARIABLES["glucose"], missing=(0.0,)),
    Column("num_bun", VARIABLES["urea_nitrogen"]),
    Column("num_urine", VARIABLES["urine_output"]),
)

_LIMITED = ("dnr before sadm", "dnr after sadm")

_DROPPED = {
    "num_adlp": "day-3 interview with the patient: missing exactly in those too ill to answer",
    "num_adls": "day-3 interview with a relative: missing exactly in those who did badly",
    "fac_sfdm2": "functional status two months after time zero",
    "fac_dnr": "do-not-resuscitate orders written up to discharge, so after time zero",
    "num_surv2m": "risk of death already computed from the same patients; a comparator",
    "num_surv6m": "risk of death already computed from the same patients; a comparator",
    "num_hday": "day of the hospital stay on which the study began: kept out with all of the stay",
    "fac_num_co": "the same as num_num_co",
}

_SHARED_WITH_THE_FULL_FILE = {
    "num_age": "age",
    "num_num_co": "num.co",
    "num_meanbp": "meanbp",
    "num_crea": "crea",
    "time": "d.time",
    "event": "death",
}


def adapt(raw: Raw) -> Cohort:
    """Return SUPPORT2 as a cohort with time zero on study day 3.

    `time` counts study entry as day 1 (in the 2,823 deaths that can be matched one to one with RHC,
    which counts days since entry, it is larger by exactly one), so 3 is a death on day 3 itself.
    Those 138 deaths count as half a day after time zero, which keeps every time positive.
    """
    days = raw["time"].to_numpy(dtype=np.float64) - LANDMARK_DAY
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("pid", "event", "time"),
        dropped=_DROPPED,
        patient_id=raw["pid"],
        outcome=OutcomeData(
            name="mortality",
            time_days=np.where(days == 0, DEATH_ON_THE_LANDMARK_DAYS, days),
            event=raw["event"].to_numpy(dtype=np.int64),
        ),
        # The day of the order is not in this file; an order in this stay comes before the death.
        treatment_limits=TreatmentLimits(
            np.select(
                [raw["fac_dnr"] == "no dnr", raw["fac_dnr"].isin(_LIMITED)], [0.0, 1.0], np.nan
            ),
            recorded="do-not-resuscitate orders up to hospital discharge",
        ),
        name="support2",
        population=(
            "Seriously ill adults in five US teaching hospitals, 1989-94, in one of eight disease "
            "groups, alive at the start of study day 3"
        ),
    )


DATASET = Dataset(
    name="support2",
    read=lambda _: read_survset("support2"),
    adapt=adapt,
    outcome="mortality",
    time_zero="study day 3",
    source="SurvSet support2 (hbiostat.org), Knaus et al., Ann Intern Med 1995;122:191-203",
    shares_patients_with=("rhc",),
    notes=(
        "138 of 9,105 patients died on study day 3 itself, when their variables were recorded.",
        "Zeros of blood pressure (51), heart rate (83), respiratory rate (65) become missing.",
    ),
    study=SUPPORT2,
)


def support2_comparators(data_dir: Path | None) -> pd.DataFrame:
    """Return the SUPPORT model's and the physicians' estimates, row by row beside the cohort.

    Returns
    -------
    DataFrame
        `surv6m` and `prg6m` (probability of living six months, by the model and by the physician),
        `d.time` (days, study entry is day 1), `death`, and `aps` (the day-3 APACHE III physiology
        score, which SurvSet leaves out), one row per patient of the cohort.
    """
    full = read_folder(data_dir, "support2/support2.csv")
    package = DATASET.read(None)
    if len(full) != len(package):
        raise DataError(
            f"support2.csv must hold the {len(package)} patients of SurvSet; it holds {len(full)}."
        )
    for ours, theirs in _SHARED_WITH_THE_FULL_FILE.items():
        same = np.isclose(package[ours], full[theirs], rtol=1e-3, equal_nan=True)
        if not same.all():
            raise DataError(
                f"support2.csv must list the patients in SurvSet's order; {theirs} differs in "
                f"{(~same).sum()} of {len(full)} rows."
            )
    return full[["surv6m", "prg6m", "d.time", "death", "aps"]]
