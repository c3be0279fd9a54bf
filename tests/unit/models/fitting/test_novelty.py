"""What a bundle stores to recognise a patient unlike its cohort, and whom the limits refuse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import genpareto, norm

from models.fitting.novelty import fit_novelty, upper_limit
from models.inference.contract import Novelty
from models.inference.novelty_scores import deviations


def names(count: int) -> list[str]:
    return [f"x{i}" for i in range(count)]


def scores(patients: int, columns: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return normal scores of patients whose columns share one factor, with correlation 0.8."""
    shared = rng.normal(size=(patients, 1))
    return np.sqrt(0.8) * shared + np.sqrt(0.2) * rng.normal(size=(patients, columns))


def is_refused(novelty: Novelty, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    limits = novelty.refuse_beyond
    assert limits is not None
    assert limits.together is not None
    found = deviations(values[:, list(novelty.columns)], novelty)
    return (found.single > limits.single) | (found.together > limits.together)


@pytest.fixture(scope="module")
def raw():
    """Return 1,000 patients: two correlated variables, a flag, and one hardly ever measured."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=1_000)
    second = np.exp(0.9 * first + np.sqrt(1 - 0.81) * rng.normal(size=1_000))
    rare = np.where(np.arange(1_000) < 49, rng.normal(size=1_000), np.nan)
    return np.column_stack([first, second, rng.integers(0, 2, 1_000), rare])


@pytest.fixture(scope="module")
def novelty(raw):
    return fit_novelty(raw, ["first", "second", "flag", "rare"])


def test_only_variables_with_enough_values_are_judged(novelty) -> None:
    assert novelty.columns == (0, 1)


def test_a_limit_flag_is_never_judged(raw) -> None:
    assert fit_novelty(raw, ["first", "second__below", "flag", "rare"]).columns == (0,)


def test_a_skewed_positive_variable_is_compared_by_its_logarithm(novelty) -> None:
    assert novelty.logarithmic == (False, True)


@pytest.mark.parametrize(("patients", "columns"), [(140, 40), (140, 80), (400, 92), (1_000, 10)])
def test_few_new_patients_of_the_same_population_are_refused_however_wide_the_panel(
    patients, columns
) -> None:
    # With limits from the patients of the fit, 32 % and 67 % of the first two were refused.
    rng = np.random.default_rng(columns)
    novelty = fit_novelty(scores(patients, columns, rng), names(columns))

    # 0.5 % is allowed; of 2,000 at 0.5 % more than 1 % are refused once in a thousand draws.
    assert is_refused(novelty, scores(2_000, columns, rng)).mean() < 0.01


@pytest.mark.parametrize("blank", [0.2, 0.4, 0.6])
def test_empty_fields_leave_the_share_refused_small(blank) -> None:
    rng = np.random.default_rng(1)
    novelty = fit_novelty(np.exp(scores(600, 30, rng)), names(30))
    new = np.exp(scores(2_000, 30, rng))

    assert is_refused(novelty, np.where(rng.random(new.shape) < blank, np.nan, new)).mean() < 0.01


@pytest.mark.parametrize("columns", [25, 60])
def test_patients_whose_values_come_from_different_patients_are_refused(columns) -> None:
    rng = np.random.default_rng(2)
    novelty = fit_novelty(scores(600, columns, rng), names(columns))
    mixed = np.column_stack([scores(500, 1, rng)[:, 0] for _ in range(columns)])

    assert is_refused(novelty, mixed).mean() > 0.9


@pytest.mark.parametrize("factor", [10, 1_000, 0.001, 88.4, 18, 1 / 18, 38.67])
def test_a_value_in_a_wrong_unit_is_refused_and_its_column_is_named(factor) -> None:
    rng = np.random.default_rng(3)
    # As widely spread as creatinine: a standard deviation of 0.4 in logarithms.
    novelty = fit_novelty(np.exp(0.4 * scores(600, 12, rng)), names(12))
    wrong = np.exp(0.4 * scores(300, 12, rng))
    wrong[:, 7] *= factor

    assert is_refused(novelty, wrong).mean() > 0.9
    assert (deviations(wrong, novelty).column == 7).mean() > 0.9


def test_fewer_patients_give_wider_limits() -> None:
    rng = np.random.default_rng(4)
    values = scores(2_000, 6, rng)
    limits = [fit_novelty(values[:n], names(6)).refuse_beyond for n in (140, 500, 2_000)]

    assert all(wide.single > close.single for wide, close in pairwise(limits))


def test_a_warning_comes_before_a_refusal(novelty) -> None:
    assert novelty.warn_beyond.single < novelty.refuse_beyond.single


def test_a_combination_that_contradicts_the_correlation_is_refused_and_its_values_alone_are_not(
    novelty,
) -> None:
    high, low = 1.6, np.exp(-1.6)  # each within what one in twenty has

    together, first, second = deviations(
        np.array([[high, low], [high, np.nan], [np.nan, low]]), novelty
    ).single

    assert together > novelty.refuse_beyond.single
    assert max(first, second) < novelty.warn_beyond.single


def test_no_quantile_lies_beyond_the_outer_ten_patients(raw, novelty) -> None:
    first = np.sort(raw[:, 0])

    assert first[9] <= novelty.quantiles[0][0]
    assert novelty.quantiles[0][-1] <= first[-10]


def test_pairs_of_variables_never_measured_together_can_still_be_judged() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(300, 3))
    raw[:150, 0] = np.nan
    raw[150:, 1] = np.nan

    novelty = fit_novelty(raw, ["a", "b", "c"])

    assert np.linalg.eigvalsh(novelty.correlation).min() > 0
    # A patient has two of the three: too few to be judged together.
    assert novelty.refuse_beyond.together is None
    assert np.isfinite(deviations(raw, novelty).single).all()


def test_a_column_that_one_patient_alone_has_in_several_stays_is_judged() -> None:
    rng = np.random.default_rng(5)
    raw = rng.normal(size=(300, 4))
    raw[60:, 3] = np.nan
    patient = np.r_[np.zeros(60), np.arange(1, 241)]

    novelty = fit_novelty(raw, names(4), groups=patient)

    assert novelty.columns == (0, 1, 2, 3)
    assert np.isfinite(deviations(raw, novelty).single).all()


def test_without_a_variable_to_judge_there_is_nothing_to_refuse() -> None:
    assert fit_novelty(np.zeros((100, 1)), ["flag"]) == Novelty()


def test_the_same_patients_give_the_same_limits(raw, novelty) -> None:
    assert fit_novelty(raw, ["first", "second", "flag", "rare"]) == novelty


@pytest.mark.parametrize("patients", [140, 500, 5_000])
@pytest.mark.parametrize("law", [norm(), genpareto(0.2)], ids=["normal", "long tail"])
def test_the_limit_seldom_lies_below_the_quantile_that_it_stands_for(patients, law) -> None:
    rng = np.random.default_rng(6)

    limits = [upper_limit(law.rvs(patients, random_state=rng), beyond=0.001) for _ in range(100)]

    # 1.3 standard errors: one limit in ten too low where the tail is a Pareto tail.
    assert np.mean(np.array(limits) < law.isf(0.001)) < 0.25
    # ... and not without bound: from 5,000 on at most five times as rare as intended.
    if patients >= 5_000:
        assert law.sf(np.median(limits)) > 0.0002
