"""What tests of a read model look at."""

from __future__ import annotations

import json

import numpy as np
from scipy.special import logit

from models.inference.prediction import Remark
from models.inference.risk_model import RiskModel

TOLERANCE = 1e-5
"""What the architecture promises of both sums."""


def codes(entries: list[Remark]) -> list[str]:
    return [entry.code for entry in entries]


def rebuilt(risk_model: RiskModel, **main: object) -> RiskModel:
    """Return the model with entries of its main part replaced, and without its folds."""
    files = risk_model.files()
    model = json.loads(files["model.json"])
    changed = {**model, "main": {**model["main"], **main}, "folds": [], "competing": None}
    return RiskModel.from_files({**files, "model.json": json.dumps(changed).encode()})


def assert_sums_hold(prediction) -> None:
    answered = np.array(prediction.status) == "ok"
    assert answered.any()
    log_odds = (
        prediction.base_log_odds + prediction.log_odds.sum(-1) + prediction.monotone_adjustment
    )
    points = prediction.points.sum(-1) + prediction.adjustment_points
    risk = prediction.risk[answered]
    np.testing.assert_allclose(log_odds[answered], logit(risk), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        points[answered], 100 * (risk - prediction.baseline_risk), rtol=0, atol=TOLERANCE
    )
