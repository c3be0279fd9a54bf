"""Which sites are large enough to be held out."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError
from data_schema.outcomes import outcome
from training.cohorts.study import Study
from training.config import RunConfig
from training.validation.internal_external import internal_external


def test_a_site_of_few_patients_with_many_stays_is_not_held_out() -> None:
    stays = np.arange(240).astype(str).astype(object)
    patients = stays.copy()
    patients[:80] = [str(stay % 20) for stay in range(80)]
    cohort = Cohort(
        pd.DataFrame({"age": np.linspace(20, 90, 240)}),
        variables=VARIABLES,
        patient_id=patients,
        stay_id=stays,
        site=np.array(["A", "B", "C"], dtype=object).repeat([80, 120, 40]),
        outcome=OutcomeData("mortality", np.full(240, 28.0), np.arange(240) % 2),
    )
    study = Study(cohort, outcome("mortality"), "admission", (28.0,), "model", ())

    with pytest.raises(DataError, match="with at least 50 patients; got 1"):
        internal_external(study, RunConfig(), "site")
