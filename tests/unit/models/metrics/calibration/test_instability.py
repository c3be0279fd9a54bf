"""Instability of risks, against its closed form."""

import numpy as np
import pytest

from models.metrics.calibration.instability import instability


def test_instability_is_the_mean_distance_and_the_share_of_flips() -> None:
    rng = np.random.default_rng(0)
    risk = rng.uniform(0.1, 0.9, 50)
    refitted = np.clip(risk + rng.normal(0, 0.05, (400, 50)), 0, 1)

    found = instability(risk, refitted, horizon_days=28, thresholds=[0.5])

    # The mean of |N(0, s)| is s sqrt(2 / pi).
    assert found.mean_change.mean() == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.03)
    assert (found.high - found.low).mean() == pytest.approx(2 * 1.96 * 0.05, rel=0.05)
    near = int(np.abs(risk - 0.5).argmin())
    assert found.flips[0.5][near] > 0.3
    assert set(found.as_json()["share_wider_than"]) == {"0.05", "0.1", "0.2"}
