"""What is inferred of missing values, against the normal distribution that it comes from."""

from __future__ import annotations

import numpy as np
import pytest

from models.inference.matrices import ColumnGroups
from models.inference.missing import (
    DirectionLimits,
    Inferred,
    MissingTerms,
    columns_of_groups,
    infer,
    settling_variance,
    unsettled_share,
    unsettled_variance,
    variance_by_formula,
    variance_with_nothing,
)
from models.inference.parameters import Factors, Unsettled

P, K, N = 7, 2, 40


@pytest.fixture(scope="module")
def factors() -> Factors:
    rng = np.random.default_rng(0)
    loadings = rng.normal(0, 0.5, (P, K)).clip(-0.65, 0.65)
    return Factors(
        mean=rng.normal(size=P),
        scale=rng.uniform(0.5, 2, P),
        loadings=loadings,
        unique=1 - (loadings**2).sum(1),
        informs=np.ones(P, dtype=bool),
    )


@pytest.fixture(scope="module")
def columns(factors) -> np.ndarray:
    rng = np.random.default_rng(1)
    z = rng.multivariate_normal(np.zeros(P), covariance(factors), N)
    values = factors.mean + factors.scale * z
    values[rng.random((N, P)) < 0.4] = np.nan
    return values


def covariance(factors: Factors) -> np.ndarray:
    return factors.loadings @ factors.loadings.T + np.diag(factors.unique)


def conditional(factors: Factors, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the missing values of a row, by inverting its own block."""
    r, missing = covariance(factors), np.isnan(row)
    z = ((row - factors.mean) / factors.scale)[~missing]
    weights = r[np.ix_(missing, ~missing)] @ np.linalg.inv(r[np.ix_(~missing, ~missing)])
    left = r[np.ix_(missing, missing)] - weights @ r[np.ix_(~missing, missing)]
    scale = factors.scale[missing]
    return factors.mean[missing] + scale * (weights @ z), left * np.outer(scale, scale)


def test_a_missing_value_is_its_conditional_mean_and_a_measured_one_itself(
    factors, columns
) -> None:
    inferred = infer(columns, factors)

    for row, filled in zip(columns, inferred.columns, strict=True):
        missing = np.isnan(row)
        np.testing.assert_allclose(filled[missing], conditional(factors, row)[0], atol=1e-10)
        np.testing.assert_array_equal(filled[~missing], row[~missing])


def test_the_variance_by_formula_is_that_of_the_conditional_distribution(factors, columns) -> None:
    rng = np.random.default_rng(2)
    coef, slope, lz = rng.normal(size=P), rng.normal(size=P), np.array([-1.0, 0.3, 2.0])

    found = variance_by_formula(np.isnan(columns), factors, coef, slope, lz)

    for row, variances in zip(columns, found, strict=True):
        left = conditional(factors, row)[1]
        for at, variance in zip(lz, variances, strict=True):
            b = (coef + at * slope)[np.isnan(row)]
            assert variance == pytest.approx(b @ left @ b)


def test_a_value_settles_what_its_conditional_variance_says(factors, columns) -> None:
    coef = np.random.default_rng(3).normal(size=P)
    unsettled = Unsettled(coef, np.zeros(P), np.zeros(1), np.array([[1.0, 0.0]]), np.zeros((1, P)))
    # Variables of one, two and three columns.
    groups = ColumnGroups.of(["a", "b", "c", "b", "d", "d", "d"], ["a", "b", "c", "d"])
    columns_of = columns_of_groups(groups, P)
    predictors = [MissingTerms.of(factors, np.stack([coef, np.zeros(P)]), 0)]
    inferred = infer(columns, factors, predictors=predictors)

    shares = settling_variance(inferred, factors, unsettled, 0.5, columns_of)

    def left(at: Inferred) -> np.ndarray:
        return unsettled_variance(at.missing, at.open_variance[0], unsettled, np.array([0.5]))[:, 0]

    before = left(inferred)
    for j in range(groups.width):
        own = columns_of[j][columns_of[j] < P]
        known = columns.copy()
        known[:, own] = np.nan_to_num(known[:, own])
        after = left(infer(known, factors, predictors=predictors))
        open_ = before > 1e-12
        np.testing.assert_allclose(
            shares[open_, j], (before - after)[open_] / before[open_], atol=1e-10
        )


def test_the_unsettled_share_goes_from_0_to_1(factors) -> None:
    predictor, lz = np.stack([np.arange(1.0, P + 1), np.zeros(P)]), np.zeros(1)
    terms = MissingTerms.of(factors, predictor, 0)
    nothing, everything = np.full((1, P), np.nan), factors.mean[None, :]

    shares = [
        unsettled_share(
            infer(at, factors, predictors=[terms]).open_variance[0],
            variance_with_nothing(factors, predictor),
            lz,
        )[0, 0]
        for at in (everything, nothing)
    ]

    assert shares == [0.0, pytest.approx(1.0)]


def test_a_settled_variable_never_moves_the_log_odds_against_its_direction(
    factors, columns
) -> None:
    rng = np.random.default_rng(4)
    coef = rng.normal(size=(2, P))
    for j, sign in ((0, 1.0), (3, -1.0)):
        own = np.maximum(sign * coef[:, j] * factors.scale[j], 0.0)[None, :]
        limits = DirectionLimits(
            np.array([j]), np.array([sign]), own, MissingTerms.of(factors, coef, 0)
        )
        beside = columns.copy()
        beside[:, j] = factors.mean[j]
        more = beside + np.where(np.arange(P) == j, factors.scale[j], 0.0)
        for end in range(2):
            if sign * coef[end, j] < 0:
                continue  # its own effect is against the direction: `Directions` holds that
            free, held = (
                sign
                * (infer(more, factors, at).columns - infer(beside, factors, at).columns)
                @ coef[end]
                for at in (None, limits)
            )
            assert held.min() > -1e-9
            assert (held >= np.minimum(free, 0) - 1e-9).all()


@pytest.mark.parametrize("rows", [1, N])
def test_bends_that_are_missing_with_their_numbers_need_no_sums_of_their_own(
    factors, columns, rows
) -> None:
    number = np.array([0, 1, 0, 1, 0, 1, 2])  # two numbers, their bends twice, and a level
    columns = np.where(np.isnan(columns[:rows, number]), np.nan, np.nan_to_num(columns[:rows]))
    informs = Factors(
        factors.mean, factors.scale, factors.loadings, factors.unique, np.arange(P) != 3
    )
    coef = np.random.default_rng(5).normal(size=(2, P))
    lz = np.linspace(-1.0, 1.0, 3)

    one_by_one, together = (
        infer(columns, informs, predictors=[MissingTerms.of(informs, coef, n)], n_numbers=n)
        for n in (0, 2)
    )

    np.testing.assert_allclose(together.columns, one_by_one.columns, atol=1e-12)
    np.testing.assert_allclose(together.open_variance, one_by_one.open_variance, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        variance_by_formula(np.isnan(columns), informs, *coef, lz, 2),
        variance_by_formula(np.isnan(columns), informs, *coef, lz),
        atol=1e-12,
    )


def test_columns_that_inform_nothing_change_nothing_else(factors, columns) -> None:
    mute = Factors(
        factors.mean,
        factors.scale,
        factors.loadings,
        factors.unique,
        np.arange(P) != 2,
    )
    moved = columns + np.where(np.arange(P) == 2, 5.0, 0.0)

    first, second = (infer(at, mute).columns for at in (columns, moved))

    others = np.arange(P) != 2
    np.testing.assert_array_equal(first[:, others], second[:, others])
