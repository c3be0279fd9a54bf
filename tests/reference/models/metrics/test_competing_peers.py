"""What R's coefficients and hazards are made into here agrees with riskRegression's own risks."""

import shutil

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort, OutcomeData
from data_schema.variables import Variable
from training.benchmark.competing_peers import fit_cause_specific_cox, fit_fine_gray

DAYS = {"competing": [20.0, 90.0, 180.0], "tied": [10.0, 15.0, 20.0]}
PEERS = {"fine_gray": fit_fine_gray, "cause_specific_cox": fit_cause_specific_cox}

pytestmark = pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", DAYS)
def test_risks_agree_with_risk_regression(cohorts, stored, peer, name):
    rows = cohorts[name]
    ids = rows.index.astype(str).to_numpy(dtype=object)
    cohort = Cohort(
        features=pd.DataFrame({"score": rows["risk_90"], "third": (rows.index + 1) % 3.0}),
        variables={v: Variable(v, v, "severity") for v in ("score", "third")},
        patient_id=ids,
        stay_id=ids,
        outcome=OutcomeData("fracture", rows["time"].to_numpy(), rows["event"].to_numpy()),
    )
    risk = PEERS[peer](cohort)(cohort.take(np.arange(3)), DAYS[name])
    of_patient = [stored("competing_peers", f"{peer}_{patient}") for patient in (1, 2, 3)]
    expected = [[found[name, day] for day in DAYS[name]] for found in of_patient]
    # Fine and Gray's coefficients come from an iteration that stops at 1e-6.
    np.testing.assert_allclose(risk, expected, atol=1e-6)
