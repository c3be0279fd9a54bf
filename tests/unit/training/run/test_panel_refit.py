"""When a run adds the fit without the panel to its model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from linear_truth import HORIZONS, small_cohort
from models.inference.contract import PanelFacts, PanelVerdict
from training.config import RunConfig
from training.fit import refit, with_columns
from training.run.panel_refit import with_panel_refit

if TYPE_CHECKING:
    from models.inference.risk_model import RiskModel

CONFIG = RunConfig(max_trees=3, threads=1)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    frame, target = small_cohort()
    features = frame.set_axis(["age", "ctx_s", "lactate"], axis=1)
    ids = np.array([f"p{number}" for number in range(len(frame))], dtype=object)
    outcome = OutcomeData("mortality", target["time_days"], target["event"].astype(np.int64))
    return Cohort(features, VARIABLES, patient_id=ids, stay_id=ids, outcome=outcome)


@pytest.fixture(scope="module")
def fitted(cohort: Cohort) -> RiskModel:
    return refit(cohort, HORIZONS, CONFIG, risk_only=True).risk_model_


@pytest.mark.parametrize("verdict", get_args(PanelVerdict))
def test_only_a_panel_that_adds_is_fitted_without(
    cohort: Cohort, fitted: RiskModel, verdict: PanelVerdict
) -> None:
    panel = PanelFacts("CTX", ("ctx_s",), verdict, 90.0, 0.02, None, None)
    model = fitted.with_contract(replace(fitted.contract, panel=panel))
    carrying = with_panel_refit(model, cohort, CONFIG)
    without = carrying.risk_without_panel(cohort.features)
    if verdict != "adds":
        assert without is None
        return
    again = refit(with_columns(cohort, ["age", "lactate"]), HORIZONS, CONFIG, risk_only=True)
    np.testing.assert_array_equal(without, again.predict_risk(cohort.features[["age", "lactate"]]))
    np.testing.assert_array_equal(carrying.risk(cohort.features), fitted.risk(cohort.features))
