"""Sample size, against the worked example of R's pmsampsize."""

import pytest

from models.metrics.sample_size import sample_size


def test_sample_size_agrees_with_the_worked_example_of_pmsampsize() -> None:
    # R's pmsampsize: csrsquared 0.288, 24 parameters, prevalence 0.174.
    found = sample_size(horizon_days=28, parameters=24, event_rate=0.174, r2=0.288)

    assert (found.for_shrinkage, found.for_optimism, found.for_overall_risk) == (623, 662, 221)
    assert found.needed == 662


def test_the_usual_share_of_the_largest_r2_is_expected_where_none_is_stated() -> None:
    found = sample_size(horizon_days=28, parameters=10, event_rate=0.5)

    assert found.r2 == pytest.approx(0.15 * 0.75)
