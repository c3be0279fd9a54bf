"""Contributions against SHAP's own explainers, and the resolved booster against the whole one."""

from __future__ import annotations

import json
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from numpy.typing import NDArray

from models.inference.matrices import (
    horizon_basis,
    linear_column_features,
    linear_matrix,
    raw_matrix,
)
from models.inference.parameters import ModelParameters
from models.inference.records import record_of
from models.inference.risk_model import RiskModel
from models.inference.trees import booster_at_horizon, booster_document

# shap makes its colour maps as matplotlib will not let it some day.
pytestmark = pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")

SHAPES = [
    {"max_depth": 1},
    {"max_depth": 3},
    {"max_depth": 6, "min_child_weight": 0.0},
    {"max_depth": 0, "grow_policy": "lossguide", "max_leaves": 20},
]


def random_booster(shape: dict[str, object], seed: int) -> tuple[xgb.Booster, NDArray[np.float32]]:
    """Return a booster of noise whose last column is the horizon, and rows with holes."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(300, 5)).astype(np.float32)
    rows[:, :4][rng.random((300, 4)) < 0.2] = np.nan
    outcome = (rows[:, 4] + np.nan_to_num(rows[:, 0]) * rng.normal(size=300) > 0).astype(float)
    parameters = {
        "objective": "binary:logistic", "eta": 0.5, "subsample": 0.7, "seed": seed, "nthread": 1,
        "monotone_constraints": (0, 0, 0, 0, 1), **shape,
    }  # fmt: skip
    data = xgb.DMatrix(rows, label=outcome, nthread=1)
    return xgb.train(parameters, data, 12), rows


def as_json(booster: xgb.Booster) -> dict:
    return json.loads(bytes(booster.save_raw("json")))


def resolved_at(booster: xgb.Booster, log_h: float) -> xgb.Booster:
    return booster_at_horizon(booster_document(booster), log_h, threads=1)


def at_horizon(rows: NDArray[np.float32], log_h: float) -> xgb.DMatrix:
    there = rows.copy()
    there[:, 4] = log_h
    return xgb.DMatrix(there, nthread=1)


def splits_on(booster: xgb.Booster, feature: int) -> list[float]:
    return [
        condition
        for tree in as_json(booster)["learner"]["gradient_booster"]["model"]["trees"]
        for condition, index, left in zip(
            tree["split_conditions"], tree["split_indices"], tree["left_children"], strict=True
        )
        if left >= 0 and index == feature
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_a_resolved_booster_gives_exactly_the_whole_ones_margin(shape, seed) -> None:
    booster, rows = random_booster(shape, seed)
    thresholds = splits_on(booster, 4)
    assert thresholds

    # Between the thresholds, exactly on one, and beyond all of them.
    for log_h in (-0.7, 0.0, 0.3, thresholds[0], -100.0, 100.0):
        resolved, there = resolved_at(booster, log_h), at_horizon(rows, log_h)
        assert splits_on(resolved, 4) == []
        np.testing.assert_array_equal(
            resolved.predict(there, output_margin=True), booster.predict(there, output_margin=True)
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_covers_of_a_resolved_booster_add_up_at_every_node(shape) -> None:
    model = as_json(resolved_at(random_booster(shape, 0)[0], 0.1))

    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        cover, left, right = tree["sum_hessian"], tree["left_children"], tree["right_children"]
        for node, (a, b) in enumerate(zip(left, right, strict=True)):
            if a >= 0:
                assert cover[a] + cover[b] == pytest.approx(cover[node], rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_contributions_of_a_resolved_booster_are_those_of_shaps_tree_explainer(shape) -> None:
    import shap

    booster, rows = random_booster(shape, 7)
    resolved = resolved_at(booster, 0.2)

    ours = resolved.predict(at_horizon(rows, 0.2), pred_contribs=True)

    explainer = shap.TreeExplainer(resolved, feature_perturbation="tree_path_dependent")
    # Or it would only ask XGBoost again; it then looks for its own base, which is not compared.
    explainer.model.model_type = "internal"
    rows[:, 4] = 0.2
    theirs = explainer.shap_values(rows, check_additivity=False)
    np.testing.assert_allclose(ours[:, :-1], theirs, atol=1e-4)
    assert (ours[:, 4] == 0).all()  # the horizon has no share of its own
    assert np.abs(ours[:, :4]).max() > 0.1


def expected_leaf(tree: dict, row: NDArray[np.float32], known: set[int], node: int = 0) -> float:
    """Return the mean leaf of the training rows that agree with `row` in what is known."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    if left < 0:
        return tree["split_conditions"][node]
    feature, condition = tree["split_indices"][node], np.float32(tree["split_conditions"][node])
    if feature in known:
        missing = np.isnan(row[feature])
        goes_left = tree["default_left"][node] if missing else row[feature] < condition
        return expected_leaf(tree, row, known, left if goes_left else right)
    cover = tree["sum_hessian"]
    return sum(
        cover[child] / cover[node] * expected_leaf(tree, row, known, child)
        for child in (left, right)
    )


def test_contributions_are_the_shapley_values_of_the_game_in_which_the_horizon_is_known() -> None:
    booster, rows = random_booster({"max_depth": 4}, 11)
    trees = as_json(booster)["learner"]["gradient_booster"]["model"]["trees"]
    rows[:, 4] = 0.2

    six = at_horizon(rows[:6], 0.2)
    ours = resolved_at(booster, 0.2).predict(six, pred_contribs=True)
    margins = booster.predict(six, output_margin=True)

    for row, contributions, margin in zip(rows[:6], ours, margins, strict=True):
        worth = {
            players: sum(expected_leaf(tree, row, {4, *players}) for tree in trees)
            for size in range(5)
            for players in combinations(range(4), size)
        }
        gain = worth[0, 1, 2, 3] - worth[()]
        assert margin - contributions[-1] == pytest.approx(gain, abs=1e-5)
        for player in range(4):
            shapley = sum(
                factorial(len(before))
                * factorial(3 - len(before))
                / factorial(4)
                * (worth[tuple(sorted({*before, player}))] - worth[before])
                for before in worth
                if player not in before
            )
            assert contributions[player] == pytest.approx(shapley, abs=1e-5)


def test_contributions_of_the_linear_part_are_those_of_shaps_linear_explainer(
    mortality, patients
) -> None:
    import shap

    risk_model: RiskModel = mortality.loaded.risk_model.part(1.0)
    model = record_of(ModelParameters, json.loads(risk_model.files()["model.json"]))
    encoding, main = model.encoding, model.main
    patients = patients.dropna(subset=list(risk_model.features))
    columns = linear_matrix(raw_matrix(patients, encoding), model.scaling)
    basis, lz = horizon_basis(np.log([45.0]), main.horizon)
    coef = main.coef + main.coef_log_h * lz[0]
    intercept = main.intercept + basis[0] @ main.coef_h

    background = model.factors.mean[None, :]
    explainer = shap.LinearExplainer((coef, intercept), shap.maskers.Independent(background))
    by_column = pd.DataFrame(
        explainer.shap_values(columns), columns=linear_column_features(encoding)
    )
    by_column.columns = [name.removesuffix("__below") for name in by_column.columns]
    expected = main.calibration.slope * by_column.T.groupby(level=0).sum().T

    prediction = risk_model.predict(patients, [45.0], explain=True)

    answered = np.array(prediction.status) == "ok"
    np.testing.assert_allclose(
        prediction.log_odds[answered, 0],
        expected[list(risk_model.variables)].to_numpy()[answered],
        atol=1e-10,
    )


def test_contributions_of_the_whole_are_the_mixture_of_both(mortality, patients) -> None:
    whole: RiskModel = mortality.loaded.risk_model
    weight = whole.contract.training.linear_weight

    both = [
        model.predict(patients, [45.0], explain=True).log_odds
        for model in (whole, whole.part(1.0), whole.part(0.0))
    ]

    # What rounding in XGBoost's float32 leaves over is shared out by size, differently in each.
    np.testing.assert_allclose(both[0], weight * both[1] + (1 - weight) * both[2], atol=1e-5)
