"""The linear part against scikit-learn, and without variables against Aalen and Johansen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator

from models.censoring import CensoringDistribution
from models.fitting.encoding import fit_scaling
from models.fitting.linear import (
    DETAIL_PENALTY,
    Directions,
    LinearPart,
    expected_squared_bias,
    linear_path,
)
from models.inference.matrices import horizon_basis, linear_matrix
from models.targets import Pairs, sample_pairs, survival_target

Path = list[LinearPart]

SHARES = np.array([1.0] * 3 + [DETAIL_PENALTY] * 6 + [1.0])
"""How many times the penalty each column bears: three numbers, their bends, a level."""


def random_pairs(per_patient: int, seed: int = 0) -> tuple[NDArray[np.float64], Pairs]:
    """Return the linear part's columns of three numbers and a category, and weighted pairs."""
    rng = np.random.default_rng(seed)
    category = rng.random(150) < 0.4
    raw = np.column_stack([rng.normal(size=(150, 2)), rng.exponential(1, 150), category])
    horizon = rng.uniform(5, 400, (150, per_patient))
    if per_patient == 1:
        horizon[:] = 90.0
    log_odds = raw[:, :1] + np.log(horizon / 90)
    outcome = (rng.random(horizon.shape) < expit(log_odds)).astype(float)
    weight = rng.uniform(1, 3, horizon.shape) * (rng.random(horizon.shape) < 0.8)
    return linear_matrix(raw, fit_scaling(raw, 3)), Pairs(horizon, outcome, weight)


def fit(columns: NDArray[np.float64], pairs: Pairs, *, penalties: tuple[float, ...]) -> Path:
    """Return the path without settled directions."""
    free = Directions(np.zeros((0, columns.shape[1])), (1.0, 400.0))
    shares = SHARES[: columns.shape[1]]
    return list(linear_path(columns, pairs, shares=shares, directions=free, penalties=penalties))


@pytest.mark.parametrize("penalty", [0.3, 0.01])
def test_at_one_horizon_the_fit_is_scikit_learns_logistic_regression(penalty) -> None:
    columns, pairs = random_pairs(1)

    (ours,) = fit(columns, pairs, penalties=(penalty,))

    weight = pairs.weight[:, 0] / pairs.weight.sum()
    # Scikit-learn penalises every column alike: one half as large bears four times as much.
    size = 1 / np.sqrt(SHARES)
    theirs = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-10)
    theirs.fit(columns * size, pairs.outcome[:, 0], sample_weight=weight)
    np.testing.assert_allclose(ours.coef, size * theirs.coef_[0], atol=1e-5)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_[0], atol=1e-5)
    assert np.abs(ours.coef_log_h).max() < 1e-9


def test_over_horizons_the_fit_is_scikit_learns_on_the_expanded_design() -> None:
    columns, pairs = random_pairs(4)

    # The first of the path is only the start of the second.
    ours = fit(columns, pairs, penalties=(0.05, 1.0))[1]

    basis, lz = horizon_basis(np.log(pairs.horizon_days).ravel(), ours.horizon)
    each = np.repeat(columns, 4, axis=0)
    # Scikit-learn penalises every coefficient: one that is a thousandth as large costs nothing.
    size = np.concatenate([[1e3] * 3, 1 / np.sqrt(SHARES), 1 / np.sqrt(DETAIL_PENALTY * SHARES)])
    design = size * np.column_stack([basis, each, each * lz[:, None]])
    theirs = LogisticRegression(C=1 / 0.05, solver="newton-cholesky", tol=1e-10)
    weight = (pairs.weight / pairs.weight.sum()).ravel()
    theirs.fit(design, pairs.outcome.ravel(), sample_weight=weight)
    expected = size * theirs.coef_[0]
    np.testing.assert_allclose(ours.coef_h, expected[:3], atol=1e-4)
    np.testing.assert_allclose([*ours.coef, *ours.coef_log_h], expected[3:], atol=1e-5)
    np.testing.assert_allclose(
        ours.log_odds(columns, pairs.horizon_days).ravel(),
        theirs.decision_function(design),
        atol=1e-4,
    )


def test_the_expected_squared_bias_is_what_posterior_variance_adds_to_sampling_variance() -> None:
    columns, pairs = random_pairs(4)
    (part,) = fit(columns, pairs, penalties=(0.05,))
    days = np.array([20.0, 200.0])

    found = expected_squared_bias(
        part,
        columns,
        pairs,
        shares=SHARES,
        penalty=0.05,
        patients=150,
        at=columns[:7],
        days=days,
    )

    def design(horizon_days: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
        basis, lz = horizon_basis(np.log(horizon_days), part.horizon)
        return np.column_stack([np.ones(len(basis)), basis, of, of * lz[:, None]])

    everyone = design(pairs.horizon_days.ravel(), np.repeat(columns, 4, axis=0))
    risk = expit(part.log_odds(columns, pairs.horizon_days)).ravel()
    weight = 150 * pairs.weight.ravel() / pairs.weight.sum()
    information = everyone.T @ (everyone * (weight * risk * (1 - risk))[:, None])
    shares = np.concatenate([SHARES, DETAIL_PENALTY * SHARES])
    prior = np.diag([*[1e-8] * 4, *(150 * 0.05 * shares)])
    posterior = np.linalg.inv(information + prior)
    for k, day in enumerate(days):
        asked = design(np.full(7, day), columns[:7])
        extra = asked @ (posterior - posterior @ information @ posterior) @ asked.T
        np.testing.assert_allclose(found[:, k], np.diag(extra), rtol=1e-5)


def intercept_only(time: NDArray[np.float64], event: NDArray[np.int64], horizon: float) -> float:
    """Return the risk at a horizon of direct binomial regression on a constant."""
    target = survival_target(time, event)
    pairs = sample_pairs(
        target,
        horizons_days=np.array([horizon]),
        event_times=np.array([horizon]),
        per_patient=1,
        censoring=CensoringDistribution.fit(time, event),
        strata=None,
        rng=np.random.default_rng(0),
    )
    assert pairs.weight.sum() == pytest.approx(len(time))
    columns = np.zeros((len(time), 1))
    (part,) = fit(columns, pairs, penalties=(1.0,))
    return float(expit(part.log_odds(columns[:1], np.array([[horizon]]))[0, 0]))


@pytest.mark.parametrize("horizon", [3.0, 10.0, 20.0])
def test_without_variables_it_is_kaplan_meier(horizon) -> None:
    rng = np.random.default_rng(1)
    time = rng.exponential(15, 200).round() + 1  # whole days, so that events and censorings tie
    event = (rng.random(200) < 0.6).astype(int)

    days, survival = kaplan_meier_estimator(event == 1, time)

    expected = 1 - survival[days <= horizon][-1]
    assert intercept_only(time, event, horizon) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("horizon", [3.0, 10.0, 20.0])
def test_without_variables_it_is_aalen_johansen_where_an_event_competes(horizon) -> None:
    rng = np.random.default_rng(2)
    time = rng.exponential(15, 200).round() + 1
    event = rng.choice([0, 1, 2], size=200, p=[0.35, 0.4, 0.25])

    days, incidence = cumulative_incidence_competing_risks(event, time)

    expected = incidence[1][days <= horizon][-1]
    assert intercept_only(time, event, horizon) == pytest.approx(expected, abs=1e-6)
