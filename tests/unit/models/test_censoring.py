import numpy as np
import pytest

from data_schema.errors import DataError
from models.censoring import (
    MIN_PATIENTS_PER_SITE,
    CensoringDistribution,
    ipcw_weights,
    is_known,
)


def test_an_event_is_not_at_risk_of_being_censored_at_the_same_time() -> None:
    # At day 2 one of two is censored and the other has the event: 1 of 1 at risk is censored.
    censoring = CensoringDistribution.fit([1.0, 2.0, 2.0], [1, 0, 1])

    assert censoring.survival_before([2.0, 2.1]).tolist() == [1.0, 0.0]


def test_without_censoring_every_known_outcome_weighs_one() -> None:
    time, event = [3.0, 5.0, 8.0], [1, 2, 1]

    weights = ipcw_weights(time, event, 6.0, CensoringDistribution.fit(time, event))

    assert weights.tolist() == [1.0, 1.0, 1.0]


def test_a_survivor_censored_exactly_at_the_horizon_is_known() -> None:
    time, event = np.full(4, 365.0), np.array([0, 0, 0, 1])
    censoring = CensoringDistribution.fit(time, event)

    assert is_known(time, event, 365.0).all()
    assert ipcw_weights(time, event, 365.0, censoring).tolist() == [1.0] * 4


def test_each_patient_may_have_a_horizon_of_his_own() -> None:
    time, event = [1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1]
    censoring = CensoringDistribution.fit(time, event)

    each = ipcw_weights(time, event, [0.5, 2.0, 3.5, 1.5], censoring)

    one_by_one = [
        ipcw_weights(time, event, h, censoring)[row] for row, h in enumerate([0.5, 2.0, 3.5, 1.5])
    ]
    assert each.tolist() == one_by_one


def test_a_site_with_enough_patients_has_its_own_curve() -> None:
    n = MIN_PATIENTS_PER_SITE
    time = np.concatenate([np.linspace(1, 2, n), np.linspace(50, 60, n), [30.0]])
    event = np.zeros(len(time), dtype=int)
    sites = np.array(["early"] * n + ["late"] * n + ["small"])

    censoring = CensoringDistribution.fit(time, event, sites=sites)

    assert set(censoring.by_site) == {"early", "late"}
    at = censoring.survival_before([40.0] * 3, sites=["early", "late", "small"])
    assert at.tolist() == [0.0, 1.0, pytest.approx(n / (2 * n + 1))]
    assert censoring.lowest_before(40.0) == 0.0


def test_a_site_without_censoring_weighs_its_patients_alike() -> None:
    n = MIN_PATIENTS_PER_SITE
    time, event = np.tile(np.arange(1.0, n + 1), 2), np.repeat([1, 0], n)
    sites = np.repeat(["complete", "lost"], n)

    censoring = CensoringDistribution.fit(time, event, sites=sites)

    assert (censoring.survival_before(time[:n], sites=sites[:n]) == 1).all()


def test_counts_are_repeated_patients() -> None:
    time, event = np.array([1.0, 2.0, 2.0, 3.0, 5.0]), np.array([0, 1, 0, 2, 0])
    counts = np.array([[2.0, 0.0], [1.0, 3.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])

    resampled = CensoringDistribution.fit(time, event, counts=counts).survival_before(time)

    for column in range(2):
        rows = np.repeat(np.arange(5), counts[:, column].astype(int))
        repeated = CensoringDistribution.fit(time[rows], event[rows]).survival_before(time[rows])
        np.testing.assert_allclose(resampled[rows, column], repeated)


def test_an_outcome_beyond_the_last_observed_patient_is_refused() -> None:
    censoring = CensoringDistribution.fit([1.0, 2.0], [0, 0])

    with pytest.raises(DataError, match=r"horizon_days must lie where .*; 1 of 2 rows do not"):
        ipcw_weights([5.0, 1.0], [1, 1], 5.0, censoring)
