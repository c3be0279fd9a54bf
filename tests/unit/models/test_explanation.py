"""Contributions as tables and as what SHAP's plots take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy.special import logit

from models.explanation import contributions_frame, pathway_points, shap_explanation
from models.inference.prediction import Prediction
from models.inference.risk_model import RiskModel

# shap makes its colour maps as matplotlib will not let it some day.
pytestmark = pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")


@pytest.fixture(scope="module")
def risk_model(mortality) -> RiskModel:
    return mortality.loaded.risk_model


@pytest.fixture(scope="module")
def some(patients) -> pd.DataFrame:
    """Twenty patients; the second must be refused."""
    frame = patients.iloc[:20].assign(patient_id=[f"p{i:02d}" for i in range(20)], pregnant=0)
    frame.iloc[1, frame.columns.get_loc("pregnant")] = 1
    return frame


@pytest.fixture(scope="module")
def explained(risk_model, some) -> Prediction:
    return risk_model.predict(some, [10.0, 90.0], explain=True)


def test_every_contribution_of_an_answered_patient_has_a_row(explained, some) -> None:
    table = contributions_frame(explained, some)

    refused = {p for p, s in zip(some["patient_id"], explained.status, strict=True) if s != "ok"}
    assert "p01" in refused
    assert set(table["patient"]) == set(some["patient_id"]) - refused
    assert len(table) == (20 - len(refused)) * 2 * len(explained.variables)
    row = table[
        (table["patient"] == "p05") & (table["horizon_days"] == 90) & (table["variable"] == "aps")
    ].squeeze()
    place = 5, 1, explained.variables.index("aps")
    assert row["pathway"] == "severity"
    assert row["log_odds"] == explained.log_odds[place]
    assert row["points"] == explained.points[place]
    assert row["measured"] == explained.measured[5, place[2]]


def test_points_of_pathways_sum_to_the_risk_above_the_baseline(explained, some) -> None:
    table = pathway_points(explained, some)

    answered = np.array(explained.status) == "ok"
    above = 100 * (explained.risk - explained.baseline_risk)[answered]
    sums = table.drop(columns=["patient", "horizon_days"]).sum(axis=1)
    np.testing.assert_allclose(sums, above.ravel(), atol=1e-5)  # the architecture's promise


def test_what_was_not_measured_is_in_no_pathway_but_apart(explained, some) -> None:
    table = pathway_points(explained, some).set_index(["patient", "horizon_days"])
    rows = contributions_frame(explained, some)

    by_measured = rows.groupby(["patient", "horizon_days", "measured"])["points"].sum().unstack()
    np.testing.assert_allclose(table["not_measured"], by_measured[False].fillna(0.0), atol=1e-12)
    assert (table["not_measured"] != 0).any()


def test_without_an_identifier_patients_are_known_by_the_index(explained, some) -> None:
    anonymous = some.drop(columns="patient_id").set_axis(range(100, 120))

    assert contributions_frame(explained, anonymous)["patient"].iloc[0] == 100


def test_a_prediction_without_contributions_is_refused(risk_model, explained, some) -> None:
    bare = risk_model.predict(some)

    for table in (contributions_frame, pathway_points):
        with pytest.raises(ValueError, match="Predict with explain=True"):
            table(bare, some)
    with pytest.raises(ValueError, match="number of rows differs"):
        shap_explanation(explained, some.head(3), horizon_index=0)


def test_base_and_values_sum_to_the_risk_before_the_maximum(explained, some) -> None:
    explanation = shap_explanation(explained, some, horizon_index=1)

    answered = np.array(explained.status) == "ok"
    before = (logit(explained.risk) - explained.monotone_adjustment)[answered, 1]
    np.testing.assert_allclose(
        explanation.base_values + explanation.values.sum(1), before, atol=1e-9
    )


def test_a_reader_sees_words_where_there_is_no_plain_number(risk_model, patients) -> None:
    frame = patients.iloc[:2].assign(
        fgf23_c=80.0, fgf23_c__below=[1.0, 0.0], sex=["female", None], lactate=[np.nan, 2.0]
    )
    explanation = shap_explanation(risk_model.predict(frame, explain=True), frame, horizon_index=0)

    place = explanation.feature_names.index
    shown = explanation.display_data
    assert shown[:, place("fgf23_c")].tolist() == ["< 80", 80.0]
    assert shown[:, place("sex")].tolist() == ["female", "not measured"]
    assert shown[:, place("lactate")].tolist() == ["not measured", 2.0]
    np.testing.assert_array_equal(explanation.data[:, place("lactate")], [np.nan, 2.0])
    np.testing.assert_array_equal(explanation.data[:, place("sex")], [0.0, np.nan])


PLOTS: dict[str, Callable[[Any, Any], object]] = {
    "beeswarm": lambda plots, e: plots.beeswarm(e, show=False),
    "violin": lambda plots, e: plots.violin(e, show=False),
    "bar": lambda plots, e: plots.bar(e, show=False),
    "bar of one": lambda plots, e: plots.bar(e[0], show=False),
    "waterfall": lambda plots, e: plots.waterfall(e[0], show=False),
    "force": lambda plots, e: plots.force(e[0], matplotlib=True, show=False),
    "heatmap": lambda plots, e: plots.heatmap(e, show=False),
    "scatter": lambda plots, e: plots.scatter(e[:, "age"], show=False),
    "decision": lambda plots, e: plots.decision(
        float(e.base_values[0]), e.values, feature_names=e.feature_names, show=False
    ),
}


@pytest.mark.parametrize("name", PLOTS)
def test_shaps_plots_draw_it(explained, some, name) -> None:
    mpl.use("Agg")
    explanation = shap_explanation(explained, some, horizon_index=0)
    import shap  # here, where its warning is expected

    PLOTS[name](shap.plots, explanation)

    assert plt.gcf().axes
    plt.close("all")
