"""Mean ranks and their tests, against the worked example of Demsar (2006)."""

import numpy as np
import pandas as pd
import pytest

from training.benchmark.neutral.ranks import (
    bonferroni_dunn_difference,
    friedman,
    nemenyi_difference,
    set_ranks,
    signed_ranks,
)

# Table 6 of Demsar (2006): AUC of C4.5 and three variants of it on 14 data sets.
DEMSAR = pd.DataFrame(
    {
        "C4.5": [
            *(0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661),
            *(0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957),
        ],
        "C4.5+m": [
            *(0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668),
            *(0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978),
        ],
        "C4.5+cf": [
            *(0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609),
            *(0.563, 0.866, 1.000, 0.965, 0.614, 0.9751, 0.946),
        ],
        "C4.5+m+cf": [
            *(0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685),
            *(0.625, 0.875, 1.000, 0.962, 0.669, 0.975, 0.970),
        ],
    }
)


def test_mean_ranks_and_friedman_s_statistic_are_those_of_the_worked_example():
    mean = set_ranks(DEMSAR, lower_is_better=False).mean()
    assert mean.round(3).tolist() == [3.143, 2.000, 2.893, 1.964]
    # The paper prints 9.28, without the correction for ties: three pairs and four of a kind.
    corrected = 9.28 / (1 - (3 * (2**3 - 2) + (4**3 - 4)) / (14 * 4 * (4**2 - 1)))
    test = friedman(DEMSAR)
    assert test is not None
    assert test.statistic == pytest.approx(corrected, rel=0.001)
    assert test.p == pytest.approx(0.017, abs=0.001)


def test_critical_differences_are_those_of_the_worked_example():
    assert nemenyi_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert bonferroni_dunn_difference(4, 14) == pytest.approx(1.16, abs=0.01)


def test_one_set_has_ranks_but_no_test():
    assert friedman(DEMSAR.head(1)) is None


def test_a_lower_score_is_better_only_where_it_is_said_to_be():
    ours, theirs = [0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.4, 0.3]
    lower = signed_ranks(ours, theirs, lower_is_better=True)
    higher = signed_ranks(ours, theirs, lower_is_better=False)
    assert (lower.better, lower.worse) == (higher.worse, higher.better) == (3, 1)
    assert lower.median_difference == pytest.approx(-0.1)
    assert lower.p == higher.p


def test_equal_scores_have_no_p_value():
    same = signed_ranks(np.ones(5), np.ones(5), lower_is_better=True)
    assert (same.better, same.worse, same.p) == (0, 0, None)
