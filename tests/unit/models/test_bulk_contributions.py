"""The contributions of many patients at a time."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from woodelf.explainer import WoodelfExplainer

from models.bulk_contributions import LEAST_ROWS, TOLERANCE, bulk_tree_contributions
from models.inference.risk_model import RiskModel
from models.inference.trees import (
    booster_at_horizon,
    booster_document,
    load_booster,
    tree_contributions,
)

ROWS = LEAST_ROWS + 100


@pytest.fixture(scope="module")
def many(patients: pd.DataFrame) -> pd.DataFrame:
    """More patients than XGBoost explains, some of their values missing, with levels of text."""
    return patients.sample(ROWS, replace=True, random_state=3).reset_index(drop=True)


@pytest.fixture(scope="module")
def resolved(mortality):
    """The boosted part at two horizons, and rows of numbers, of which a tenth are missing."""
    content = mortality.loaded.risk_model.files()["booster.ubj"]
    document = booster_document(load_booster(content, 1))
    boosters = [booster_at_horizon(document, math.log(day), threads=1) for day in (28, 90)]
    rng = np.random.default_rng(5)
    rows = rng.lognormal(2, 2, (ROWS, boosters[0].num_features())).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return boosters, rows


def test_contributions_in_bulk_are_those_of_xgboost(resolved):
    boosters, rows = resolved

    bulk = bulk_tree_contributions(boosters, rows, 1)

    np.testing.assert_allclose(bulk, tree_contributions(boosters, rows, 1), rtol=0, atol=TOLERANCE)
    assert np.abs(bulk[0, :, :-1]).max() > 0.1


def test_explained_patients_are_the_same_in_bulk(mortality, many):
    model: RiskModel = mortality.loaded.risk_model
    in_bulk = model.with_tree_contributions(bulk_tree_contributions)

    ours, native = (each.predict(many, explain=True) for each in (in_bulk, model))

    np.testing.assert_array_equal(ours.risk, native.risk)
    np.testing.assert_allclose(ours.log_odds, native.log_odds, rtol=0, atol=TOLERANCE)


def test_rows_that_do_not_add_up_are_explained_by_xgboost(resolved, monkeypatch):
    boosters, rows = resolved
    computed = WoodelfExplainer.shap_values

    def with_a_fault(self, *given, **named):
        values = computed(self, *given, **named).copy()
        values[7, 0] += 0.006
        values[11] = np.nan
        return values

    monkeypatch.setattr(WoodelfExplainer, "shap_values", with_a_fault)

    np.testing.assert_allclose(
        bulk_tree_contributions(boosters, rows, 1),
        tree_contributions(boosters, rows, 1),
        rtol=0,
        atol=TOLERANCE,
    )


def test_few_rows_are_explained_by_xgboost(resolved, monkeypatch):
    boosters, rows = resolved
    monkeypatch.setattr(WoodelfExplainer, "shap_values", None)

    few = bulk_tree_contributions(boosters, rows[: LEAST_ROWS - 1], 1)

    np.testing.assert_array_equal(few, tree_contributions(boosters, rows[: LEAST_ROWS - 1], 1))
