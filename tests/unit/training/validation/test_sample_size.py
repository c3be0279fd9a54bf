"""Which columns count as parameters, and when patients are too few for them."""

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from models.metrics.sample_size import sample_size
from training.validation.sample_size import patients_needed, too_few_patients


def test_too_few_patients_are_a_warning_with_both_numbers() -> None:
    needed = sample_size(horizon_days=28, parameters=24, event_rate=0.174, r2=0.288)

    (warning,) = too_few_patients(500, [needed])

    assert (warning.rule, warning.count) == ("sample_size", 500)
    assert "at least 662 training patients for 24 candidate parameters" in warning.message
    assert not too_few_patients(662, [needed])


def test_parameters_are_numbers_and_levels_beyond_the_first() -> None:
    stays = np.arange(40).astype(str).astype(object)
    cohort = Cohort(
        features=pd.DataFrame(
            {
                "age": np.arange(40.0),
                "sex": np.tile(np.array(["female", "male"], dtype=object), 20),
                "admission_type": np.tile(np.array(["a", "b", "c", "d"], dtype=object), 10),
            }
        ),
        variables=VARIABLES,
        patient_id=stays,
        stay_id=stays,
        outcome=OutcomeData("mortality", np.full(40, 28.0), np.arange(40) % 2),
    )

    (needed,) = patients_needed(cohort, [28.0])

    assert (needed.parameters, needed.event_rate) == (1 + 1 + 3, 0.5)


def test_a_level_of_few_patients_with_many_stays_is_no_parameter() -> None:
    stays = np.arange(60).astype(str).astype(object)
    patients = stays.copy()
    patients[:20] = "0"
    cohort = Cohort(
        pd.DataFrame({"admission_type": np.array(["a", "b", "c"], dtype=object).repeat(20)}),
        variables=VARIABLES,
        patient_id=patients,
        stay_id=stays,
        outcome=OutcomeData("mortality", np.full(60, 28.0), np.arange(60) % 2),
    )

    (needed,) = patients_needed(cohort, [28.0])

    assert needed.parameters == 1
