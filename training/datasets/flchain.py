"""FLCHAIN: free light chains and death in the residents of a US county (SurvSet)."""

from __future__ import annotations

import numpy as np

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.variables import Variable
from training.datasets.columns import Column, adapt_table
from training.datasets.dataset import Dataset, Raw, read_survset
from training.datasets.site_variables import site_number
from training.datasets.studies import FLCHAIN

__all__ = ["DATASET"]

DEATH_ON_THE_DAY_OF_SAMPLING_DAYS = 0.5


def _light_chain(name: str, label: str) -> Variable:
    return site_number(name, label, "osteopontin_immune", "mg/dL", 0.0, 1000.0, specimen="serum")


_COLUMNS = (
    Column("num_age", VARIABLES["age"]),
    Column("fac_sex", VARIABLES["sex"], codes={"F": "female", "M": "male"}),
    Column("num_kappa", _light_chain("kappa_free", "Free light chains, kappa")),
    Column("num_lambda", _light_chain("lambda_free", "Free light chains, lambda")),
    Column(
        "num_flc_grp",
        site_number(
            "light_chain_tenth",
            "Tenth of the sum of free light chains",
            "osteopontin_immune",
            "{score}",
            1,
            10,
        ),
    ),
    Column("num_creatinine", VARIABLES["creatinine"]),
    Column(
        "fac_mgus",
        Variable("monoclonal_gammopathy", "Monoclonal gammopathy known", "person", "flag"),
    ),
)

_DROPPED = {
    "fac_chapter": "cause of death: known only after the outcome",
    "num_sample_yr": "year of the sample: it sets the length of follow-up, and no later patient "
    "has it; censoring would depend on it",
    "fac_sample_yr": "year of the sample, as num_sample_yr",
}


def adapt(raw: Raw) -> Cohort:
    """Return FLCHAIN as a cohort; the three deaths on the day of sampling count as half a day."""
    days = raw["time"].to_numpy(dtype=np.float64)
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("pid", "event", "time"),
        dropped=_DROPPED,
        patient_id=raw["pid"],
        outcome=OutcomeData(
            name="mortality",
            time_days=np.where(days == 0, DEATH_ON_THE_DAY_OF_SAMPLING_DAYS, days),
            event=raw["event"].to_numpy(dtype=np.int64),
        ),
        name="flchain",
        population="Residents of Olmsted County, Minnesota, aged 50 or more, sampled 1995-2003",
    )


DATASET = Dataset(
    name="flchain",
    read=lambda _: read_survset("flchain"),
    adapt=adapt,
    outcome="mortality",
    time_zero="day of the blood sample",
    source="SurvSet flchain, Dispenzieri et al., Mayo Clin Proc 2012;87:517-523",
    notes=("A general population, not patients in hospital.",),
    study=FLCHAIN,
)
