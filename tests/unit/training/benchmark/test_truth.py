"""The truth as a yardstick: it finds itself perfect, and a distorted copy wanting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.metrics.calibration.calibration import calibration_error
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import KnownOutcome
from training.benchmark.truth import expected_outcome, true_shares


def test_expectations_are_the_means_over_drawn_outcomes() -> None:
    rng = np.random.default_rng(1)
    true = rng.uniform(0.02, 0.9, 400)
    predicted = np.clip(true + rng.normal(0, 0.2, 400), 0.01, 0.99)
    expected = auroc(expected_outcome(true), np.tile(predicted, 2))
    drawn = np.mean(
        [
            auroc(KnownOutcome(rng.random(400) < true, np.ones(400), np.ones(400)), predicted)
            for _ in range(400)
        ]
    )
    # 400 draws of an area whose standard error is about 0.025.
    assert expected == pytest.approx(drawn, abs=0.005)


def test_true_risks_are_calibrated_and_halved_ones_are_not() -> None:
    true = np.random.default_rng(2).uniform(0.02, 0.9, 2000)
    exact, halved = (
        calibration_error(expected_outcome(true), np.tile(risk, 2)).ici for risk in (true, true / 2)
    )
    assert exact < 1e-6
    assert halved == pytest.approx((true / 2).mean(), rel=0.05)


def test_points_of_a_pathway_are_the_way_from_reference_to_risk() -> None:
    rows = pd.DataFrame(
        {"risk_recorded": [0.5, 0.2], "base_log_odds": [np.log(0.25), np.log(0.25)]}
    )
    for pathway in ("resorption", "formation", "opg_rankl", "wnt", "estrogen_endocrine"):
        rows[f"contribution__{pathway}"] = 0.0
    for pathway in ("fgf23_mineral", "osteopontin_immune", "bone_mass", "drivers", "care"):
        rows[f"contribution__{pathway}"] = 0.0
    rows["contribution__severity"] = [np.log(4), 0.0]
    rows["contribution__person"] = 0.0
    # From a reference of 20 % to 50 %: 30 points in one of two patients.
    assert true_shares(rows)["severity"] == pytest.approx(15.0)
    assert true_shares(rows)["person"] == 0.0
