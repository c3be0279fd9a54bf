"""A cohort that a model, or an update of it, learned from is recognised without a key."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_schema.cohort import Cohort
from models.inference.contract import ModelUpdate
from training.validation.overlap import overlap_with_training

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


def test_the_cohort_of_an_update_is_recognised(mortality: "ServedModel") -> None:
    ids = np.array(["p1", "p2", "p2"], dtype=object)
    cohort = Cohort(pd.DataFrame({"age": [60.0, 70.0, 71.0]}), {}, ids, ids)
    update = ModelUpdate(
        *("slope", "1", "a" * 64, 2, 3, 1, (28.0,), (0.1,), 1.0, False),
        cohort_fingerprint=cohort.fingerprint(),
        at="2026-01-01T00:00:00+00:00",
    )
    old = mortality.loaded.risk_model
    updated = old.with_contract(replace(old.contract, updates=(update,)))

    known = overlap_with_training(replace(mortality.loaded, risk_model=updated), cohort)
    unknown = overlap_with_training(mortality.loaded, cohort)

    assert (known.shared, known.patients) == (2, 2)
    assert unknown.shared is None
