"""The linear part: its path of penalties and what it makes of empty columns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.fitting.encoding import fit_scaling
from models.fitting.linear import fit_horizon_basis, fit_linear_path
from models.targets import Pairs


def cohort(n: int = 300, seed: int = 0):
    """Return two columns, the second without meaning, and pairs at three horizons."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(n, 2))
    horizon = rng.uniform(10, 300, (n, 3))
    log_odds = raw[:, :1] + np.log(horizon / 60)
    outcome = (rng.random(horizon.shape) < expit(log_odds)).astype(float)
    return raw, Pairs(horizon, outcome, np.ones_like(horizon)), log_odds


def test_a_path_goes_from_the_strongest_penalty_to_the_weakest() -> None:
    raw, pairs, _ = cohort()

    path = fit_linear_path(raw, pairs, scaling=fit_scaling(raw, 2), penalties=(0.01, 10.0, 0.3))

    sizes = [np.linalg.norm([*part.parameters.coef, *part.parameters.coef_log_h]) for part in path]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.1 < sizes[2]


def test_a_penalty_gives_the_same_fit_wherever_the_path_began() -> None:
    raw, pairs, _ = cohort()
    scaling = fit_scaling(raw, 2)

    warm = fit_linear_path(raw, pairs, scaling=scaling, penalties=(5.0, 0.5, 0.02))[-1]
    (cold,) = fit_linear_path(raw, pairs, scaling=scaling, penalties=(0.02,))

    # Newton stops once a step gains less than 1e-9 of loss.
    np.testing.assert_allclose(warm.parameters.coef, cold.parameters.coef, atol=1e-4)


def test_the_true_log_odds_are_recovered() -> None:
    raw, pairs, log_odds = cohort(n=2_000)

    (part,) = fit_linear_path(raw, pairs, scaling=fit_scaling(raw, 2), penalties=(1e-3,))

    # 2,000 patients and about ten coefficients.
    assert np.abs(part.log_odds(raw, pairs.horizon_days) - log_odds).mean() < 0.15


def test_what_never_varies_gets_no_coefficient() -> None:
    raw, pairs, _ = cohort()
    raw = np.column_stack([raw, np.full(len(raw), 7.0), np.full(len(raw), np.nan)])

    (part,) = fit_linear_path(raw, pairs, scaling=fit_scaling(raw, 4), penalties=(0.01,))

    coef = part.parameters.coef.reshape(4, 4)  # line, spline, spline, missing
    assert (coef[:, 2:] == 0).all()
    assert (coef[3] == 0).all()  # no patient lacked a value of the others
    assert (coef[0, :2] != 0).all()


def test_a_pair_without_weight_changes_nothing() -> None:
    raw, pairs, _ = cohort()
    known = np.broadcast_to((np.arange(300) < 150)[:, None], pairs.weight.shape)
    half, flipped = (
        Pairs(pairs.horizon_days, outcome, known.astype(float))
        for outcome in (pairs.outcome, np.where(known, pairs.outcome, 1 - pairs.outcome))
    )

    ours, others = (
        fit_linear_path(raw, p, scaling=fit_scaling(raw, 2), penalties=(0.01,))[0].parameters
        for p in (half, flipped)
    )

    np.testing.assert_array_equal(ours.coef, others.coef)


def test_one_horizon_gives_a_constant_basis() -> None:
    pairs = Pairs(np.full((5, 1), 30.0), np.ones((5, 1)), np.ones((5, 1)))

    basis = fit_horizon_basis(pairs)

    assert basis.knots == pytest.approx([np.log(30.0)] * 4)
    assert basis.scale.tolist() == [1.0] * 3
