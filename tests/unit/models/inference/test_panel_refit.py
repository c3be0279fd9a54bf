"""The fit without a panel of markers, carried beside a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from linear_truth import HORIZONS, SMALL, small_cohort
from models.estimator import CumulativeIncidenceModel
from models.inference.contract import PanelFacts
from models.inference.request import InferenceError
from models.inference.risk_model import RiskModel
from models.patient_explanation import explain_patient
from models.registry.bundle import read_bundle, write_bundle

PANEL = PanelFacts("Made-up panel", ("b",), "adds", 90.0, 0.02, 0.012, 0.03)


@pytest.fixture(scope="module")
def fits() -> tuple[RiskModel, CumulativeIncidenceModel]:
    """A model of three variables, and a fit to the same patients without `b`."""
    frame, target = small_cohort()
    settings = SMALL | {"horizons_days": HORIZONS}
    whole = CumulativeIncidenceModel(**settings | {"interval_folds": 2}).fit(frame, target)
    without = CumulativeIncidenceModel(**settings, risk_only=True)
    return whole.risk_model_, without.fit(frame.drop(columns="b"), target)


@pytest.fixture(scope="module")
def carrying(fits) -> RiskModel:
    whole, without = fits
    named = whole.with_contract(replace(whole.contract, panel=PANEL))
    return named.with_panel_refit(without.risk_model_)


def test_no_risk_of_the_model_moves(fits, carrying) -> None:
    frame, _ = small_cohort()
    before, after = (model.predict(frame, explain=True) for model in (fits[0], carrying))
    for name in ("risk", "risk_low", "risk_high", "log_odds", "points", "unsettled"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_the_risk_without_the_panel_is_that_of_the_fit(fits, carrying) -> None:
    frame, _ = small_cohort()
    without = fits[1].predict_risk(frame.drop(columns="b"))
    np.testing.assert_array_equal(carrying.risk_without_panel(frame), without)
    moved = carrying.risk_without_panel(frame.assign(b=3.0))
    np.testing.assert_array_equal(moved, without)


def test_a_bundle_carries_it_and_one_without_it_still_loads(fits, carrying, tmp_path) -> None:
    frame, _ = small_cohort()
    write_bundle(carrying, tmp_path / "with")
    write_bundle(fits[0], tmp_path / "without")
    again = read_bundle(tmp_path / "with").risk_model
    np.testing.assert_array_equal(
        again.risk_without_panel(frame), carrying.risk_without_panel(frame)
    )
    other = again.with_contract(replace(again.contract, population="Others."))
    np.testing.assert_array_equal(other.risk_without_panel(frame), again.risk_without_panel(frame))
    plain = read_bundle(tmp_path / "without").risk_model
    assert plain.risk_without_panel(frame) is None
    assert plain.contract.panel is None
    assert plain.contract.bundle_format == again.contract.bundle_format


def test_a_fit_of_other_columns_is_rejected(fits) -> None:
    whole, without = fits
    with pytest.raises(InferenceError, match="contract must name the panel"):
        whole.with_panel_refit(without.risk_model_)
    other = whole.with_contract(replace(whole.contract, panel=replace(PANEL, variables=("a",))))
    with pytest.raises(InferenceError, match="must read the 2 columns outside the panel"):
        other.with_panel_refit(without.risk_model_)


def test_a_model_updated_to_local_patients_drops_it(carrying) -> None:
    frame, _ = small_cohort()
    updated = carrying.with_parameters(carrying.parameters)
    assert updated.risk_without_panel(frame) is None


def test_both_estimates_are_stated_where_a_marker_was_entered(carrying) -> None:
    frame, _ = small_cohort()
    patient = frame.head(1)
    explained = explain_patient(carrying, patient)
    expected = carrying.risk_without_panel(patient)
    for at, risk in enumerate(explained.risks):
        assert risk.risk_without_panel == expected[0, at]
        assert "without the panel gives" in risk.panel_sentence
    assert "The panel (Made-up panel) improves this model" in explained.panel
    for risk in explain_patient(carrying, patient.assign(b=np.nan)).risks:
        assert risk.risk_without_panel is None
        assert risk.panel_sentence == ""
