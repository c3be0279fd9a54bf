from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from data_schema.variables import PATHWAYS
from models.patient_explanation import (
    NOT_MEASURED,
)
from read_model import rebuilt
from training.explanation.importance import (
    importance,
    shap_by_pathway,
    shap_by_variable,
)

if TYPE_CHECKING:
    from models.inference.risk_model import RiskModel
    from serving.prediction.served import ServedModel

# shap 0.51 colours its plots in a way that matplotlib is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:::shap")


@pytest.fixture
def risk_model(mortality: ServedModel) -> RiskModel:
    return mortality.loaded.risk_model


def test_shap_values_and_base_sum_to_the_logit_of_the_risk(
    risk_model: RiskModel, patients: pd.DataFrame
) -> None:
    risk = risk_model.predict(patients, [28.0], interval=False).risk[:, 0]
    answered = ~np.isnan(risk)
    for explanation in (
        shap_by_variable(risk_model, patients, horizon_days=28.0),
        shap_by_pathway(risk_model, patients, horizon_days=28.0),
    ):
        log_odds = explanation.base_values + explanation.values.sum(axis=1)
        logit = np.log(risk[answered] / (1 - risk[answered]))
        np.testing.assert_allclose(log_odds, logit, atol=1e-9)


@pytest.mark.parametrize("by", [shap_by_variable, shap_by_pathway])
def test_the_base_holds_what_the_running_maximum_adds(
    risk_model: RiskModel, patients: pd.DataFrame, by: Any
) -> None:
    """It belongs to no variable, and `shap.plots` print base + values as the estimate."""
    falling = rebuilt(risk_model, linear_weight=1.0, coef_h=[-1.0, 0.0, 0.0])
    days = falling.contract.grid_days[-1]
    prediction = falling.predict(patients, [days], interval=False)
    answered = ~np.isnan(prediction.risk[:, 0])
    risk = prediction.risk[answered, 0]
    assert prediction.monotone_adjustment[answered].max() > 0.5
    explanation = by(falling, patients, horizon_days=days)
    log_odds = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(log_odds, np.log(risk / (1 - risk)), atol=1e-9)


@pytest.mark.parametrize("by", [shap_by_variable, shap_by_pathway])
def test_every_plot_of_shap_takes_our_explanation(
    risk_model: RiskModel, patients: pd.DataFrame, by: Any
) -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import shap

    explanation = by(risk_model, patients.head(60))
    name = explanation.feature_names[0]
    shap.plots.waterfall(explanation[0], show=False)
    shap.plots.bar(explanation, show=False)
    shap.plots.bar(explanation[0], show=False)
    shap.plots.beeswarm(explanation, show=False)
    shap.plots.violin(explanation, show=False)
    shap.plots.heatmap(explanation, show=False)
    shap.plots.scatter(explanation[:, name], show=False)
    shap.plots.decision(
        float(explanation.base_values[0]), explanation.values, explanation.feature_names, show=False
    )
    shap.plots.force(explanation[0], matplotlib=True, show=False)
    plt.close("all")


def test_importance_is_the_mean_size_of_points(
    risk_model: RiskModel, patients: pd.DataFrame
) -> None:
    prediction = risk_model.predict(patients, explain=True, interval=False)
    answered = np.array([status == "ok" for status in prediction.status])
    assert prediction.points is not None
    for horizon, one in enumerate(importance(risk_model, patients)):
        means = np.abs(prediction.points[answered, horizon]).mean(axis=0)
        mean_points = {variable.variable: variable.mean_points for variable in one.variables}
        for name, mean in zip(prediction.variables, means, strict=True):
            assert mean_points[name] == pytest.approx(mean)
        assert list(mean_points.values()) == sorted(mean_points.values(), reverse=True)
        assert set(one.pathways) <= {*PATHWAYS, NOT_MEASURED}
