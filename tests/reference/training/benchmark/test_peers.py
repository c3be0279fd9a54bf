"""Breslow's baseline agrees with scikit-survival's own."""

import numpy as np

from data_schema.cohort import OutcomeData
from training.benchmark.peers import breslow


def test_the_baseline_agrees_with_scikit_survival_in_the_presence_of_ties():
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    time_days = np.ceil(rng.exponential(10 / np.exp(x[:, 0])))
    event = rng.integers(0, 2, size=80)
    y = np.array(list(zip(event == 1, time_days, strict=True)), dtype=[("e", bool), ("t", float)])
    cox = CoxPHSurvivalAnalysis(ties="breslow").fit(x, y)
    ours = breslow(OutcomeData("mortality", time_days, event), cox.predict(x))
    theirs = cox.cum_baseline_hazard_
    np.testing.assert_allclose(ours(theirs.x), theirs.y, rtol=1e-9)
