"""Logistic regressions of many resamples at once, against each alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit as scipy_expit

from models.metrics.calibration.logistic import expit, weighted_logistic
from models.metrics.known_outcome import KnownOutcome


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), patients=st.integers(12, 200), slope=st.floats(0.1, 4))
def test_resamples_together_are_each_alone(seed: int, patients: int, slope: float) -> None:
    # Few patients and a steep risk: some resamples are separated, others hold no event at all.
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=patients)
    happened = rng.random(patients) < scipy_expit(slope * odds - 1)
    counts = rng.multinomial(patients, np.full(patients, 1 / patients), size=6).T.astype(float)
    weight = counts * rng.uniform(1, 2, size=(patients, 1))
    design = np.column_stack([np.ones(patients), odds])
    together, settled = weighted_logistic(
        design, KnownOutcome(happened, weight, counts), identity=1
    )
    for column in range(6):
        only = KnownOutcome(happened, weight[:, column], counts[:, column])
        alone, alone_settled = weighted_logistic(design, only, identity=1)
        assert settled[column] == alone_settled
        if alone_settled:
            assert together[:, column] == pytest.approx(alone, rel=1e-6, abs=1e-6)
        else:
            risks = [expit(design @ beta) for beta in (together[:, column], alone)]
            drawn = counts[:, column] > 0
            assert risks[0][drawn] == pytest.approx(risks[1][drawn], abs=1e-3, nan_ok=True)


def test_risks_are_those_of_scipy() -> None:
    odds = np.array([-1000.0, -40.0, -1.0, 0.0, 1e-9, 3.0, 40.0, 1000.0, np.nan])
    assert expit(odds) == pytest.approx(scipy_expit(odds), rel=1e-14, nan_ok=True)
