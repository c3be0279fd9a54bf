"""What a bundle keeps to know a patient unlike its cohort."""

from __future__ import annotations

import numpy as np
import pytest

from models.fitting.novelty import fit_novelty
from models.inference.guard import novelty_score


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


def test_one_in_a_thousand_of_the_cohort_lies_beyond_refusal_and_one_in_a_hundred_is_warned_of(
    raw, novelty
) -> None:
    score = novelty_score(raw[:, list(novelty.columns)], novelty)

    assert (score > novelty.refuse_above).sum() == 1
    assert (score > novelty.warn_above).sum() == 10


def test_a_combination_that_contradicts_the_correlation_is_refused_and_its_values_alone_are_not(
    novelty,
) -> None:
    high, low = 1.6, np.exp(-1.6)  # each within what one in twenty has

    together, first, second = novelty_score(
        np.array([[high, low], [high, np.nan], [np.nan, low]]), novelty
    )

    assert together > novelty.refuse_above
    assert max(first, second) < novelty.warn_above


def test_further_out_is_more_novel_even_beyond_the_outer_quantiles(novelty) -> None:
    outwards = np.column_stack([np.linspace(3, 30, 10), np.exp(np.linspace(3, 6, 10))])

    assert (np.diff(novelty_score(outwards, novelty)) > 0).all()


def test_a_patient_without_a_judged_value_is_not_novel(novelty) -> None:
    assert novelty_score(np.full((1, 2), np.nan), novelty).tolist() == [-np.inf]


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
    assert np.isfinite(novelty_score(raw, novelty)).all()


def test_without_a_variable_to_judge_there_is_nothing_to_refuse() -> None:
    assert fit_novelty(np.zeros((100, 1)), ["flag"]).columns == ()
