"""The linear part: its path of penalties and what it makes of empty columns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.fitting.encoding import fit_scaling
from models.fitting.linear import (
    Directions,
    LinearPart,
    fit_horizon_basis,
    linear_path,
    penalty_shares,
)
from models.inference.matrices import linear_matrix
from models.inference.parameters import Encoding
from models.targets import Pairs


def cohort(n: int = 300, seed: int = 0):
    """Return two columns, the second without meaning, and pairs at three horizons."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(n, 2))
    horizon = rng.uniform(10, 300, (n, 3))
    log_odds = raw[:, :1] + np.log(horizon / 60)
    outcome = (rng.random(horizon.shape) < expit(log_odds)).astype(float)
    return raw, Pairs(horizon, outcome, np.ones_like(horizon)), log_odds


def fit(raw, pairs, *, penalties, settled=None, start=None) -> list[LinearPart]:
    """Return the path of numbers without gaps, with the directions given."""
    k = raw.shape[1]
    scaling = fit_scaling(raw, k)
    return list(
        linear_path(
            linear_matrix(raw, scaling),
            pairs,
            shares=penalty_shares(Encoding(tuple(f"x{j}" for j in range(k)), ())),
            directions=Directions.of(settled or (0,) * k, scaling, 3 * k, (10.0, 300.0)),
            penalties=penalties,
            start=start,
        )
    )


def test_a_path_goes_from_the_strongest_penalty_to_the_weakest() -> None:
    raw, pairs, _ = cohort()

    path = fit(raw, pairs, penalties=(0.01, 10.0, 0.3))

    sizes = [np.linalg.norm([*part.coef, *part.coef_log_h]) for part in path]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.1 < sizes[2]


def test_a_penalty_gives_the_same_fit_wherever_the_path_began() -> None:
    raw, pairs, _ = cohort()

    warm = fit(raw, pairs, penalties=(5.0, 0.5, 0.02))[-1]
    (cold,) = fit(raw, pairs, penalties=(0.02,))
    (elsewhere,) = fit(raw, pairs, penalties=(0.02,), start=fit(raw, pairs, penalties=(1e-4,))[0])

    # Steps end once one gains less than 1e-13 of loss.
    np.testing.assert_allclose(warm.coef, cold.coef, atol=1e-6)
    np.testing.assert_allclose(elsewhere.coef, cold.coef, atol=1e-6)
    assert abs(elsewhere.intercept - cold.intercept) < 1e-6


def test_the_true_log_odds_are_recovered() -> None:
    raw, pairs, log_odds = cohort(n=2_000)

    (part,) = fit(raw, pairs, penalties=(1e-3,))

    # 2,000 patients and about ten coefficients.
    columns = linear_matrix(raw, fit_scaling(raw, 2))
    assert np.abs(part.log_odds(columns, pairs.horizon_days) - log_odds).mean() < 0.15


def test_what_never_varies_gets_no_coefficient() -> None:
    raw, pairs, _ = cohort()
    raw = np.column_stack([raw, np.full(len(raw), 7.0)])

    (part,) = fit(raw, pairs, penalties=(0.01,))

    coef = part.coef.reshape(3, 3)  # line, bend, bend
    assert (coef[:, 2] == 0).all()
    assert (coef[0, :2] != 0).all()


def test_a_pair_without_weight_changes_nothing() -> None:
    raw, pairs, _ = cohort()
    known = np.broadcast_to((np.arange(300) < 150)[:, None], pairs.weight.shape)
    half, flipped = (
        Pairs(pairs.horizon_days, outcome, known.astype(float))
        for outcome in (pairs.outcome, np.where(known, pairs.outcome, 1 - pairs.outcome))
    )

    ours, others = (fit(raw, p, penalties=(0.01,))[0] for p in (half, flipped))

    np.testing.assert_array_equal(ours.coef, others.coef)


def test_one_horizon_gives_a_constant_basis() -> None:
    pairs = Pairs(np.full((5, 1), 30.0), np.ones((5, 1)), np.ones((5, 1)))

    basis = fit_horizon_basis(pairs)

    assert basis.knots == pytest.approx([np.log(30.0)] * 4)
    assert basis.scale.tolist() == [1.0] * 3


@pytest.mark.parametrize("direction", [1, -1])
def test_a_settled_direction_holds_at_every_value_and_horizon(direction) -> None:
    raw, pairs, _ = cohort(n=150, seed=3)
    raw[:, 1] = -(raw[:, 0] ** 2)  # an effect that rises and then falls
    days = np.array([[10.0, 40.0, 120.0, 300.0]])
    scaling = fit_scaling(raw, 2)
    swept = np.zeros((60, 2))
    swept[:, 1] = np.linspace(raw[:, 1].min(), raw[:, 1].max(), 60)

    (free,), (held,) = (
        fit(raw, pairs, penalties=(1e-4,), settled=settled) for settled in ((0, 0), (0, direction))
    )

    curves = [
        direction
        * np.diff(part.log_odds(linear_matrix(swept, scaling), days.repeat(60, 0)), axis=0)
        for part in (free, held)
    ]
    assert curves[0].min() < -1e-3
    assert curves[1].min() > -1e-9


def test_a_direction_that_already_holds_changes_nothing() -> None:
    raw, pairs, _ = cohort(n=1_000)

    (free,), (held,) = (fit(raw, pairs, penalties=(1.0,), settled=s) for s in ((0, 0), (1, 0)))

    np.testing.assert_allclose(held.coef, free.coef, atol=1e-9)
