"""Survival targets, and the pairs of patient and horizon drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

from models import targets
from models.censoring import CensoringDistribution
from models.targets import MIN_G, Pairs, pairs_at, sample_pairs, survival_target


def draw(target, *, event_times, per_patient=5, horizons=(30.0, 90.0), censoring=None, seed=0):
    """Return pairs under the censoring of the same patients."""
    own = CensoringDistribution.fit(target["time_days"], target["event"])
    return sample_pairs(
        target,
        horizons_days=np.array(horizons),
        event_times=np.asarray(event_times),
        per_patient=per_patient,
        censoring=censoring or own,
        strata=None,
        rng=np.random.default_rng(seed),
    )


@pytest.fixture
def target():
    rng = np.random.default_rng(1)
    time = rng.exponential(60, 100) + 0.1
    return survival_target(time, rng.choice([0, 1, 2], 100, p=[0.4, 0.4, 0.2]))


def test_a_target_keeps_times_and_events() -> None:
    target = survival_target([3, 10.5], [2, 0])

    assert target["time_days"].tolist() == [3.0, 10.5]
    assert target["event"].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([1.0, 2.0], [0], "of the same length"),
        ([[1.0], [2.0]], [[0], [1]], "one-dimensional"),
        ([1.0, 0.0, -3.0], [0, 1, 1], "finite and > 0; 2 of 3 are not"),
        ([1.0, np.nan, np.inf], [0, 1, 1], "finite and > 0; 2 of 3 are not"),
        ([1.0, 2.0], [0, 3], "event must be 0, 1 or 2; 1 of 2 are not"),
    ],
)
def test_what_is_no_target_is_refused_with_a_count(time, event, message) -> None:
    with pytest.raises(ValueError, match=message):
        survival_target(time, event)


def test_an_outcome_is_1_only_where_the_event_happened_by_the_horizon(target) -> None:
    pairs = draw(target, event_times=np.linspace(1, 120, 50))

    time, event = target["time_days"][:, None], target["event"][:, None]
    np.testing.assert_array_equal(pairs.outcome, (event == 1) & (time <= pairs.horizon_days))


def test_a_pair_has_weight_where_its_outcome_is_known_and_only_there(target) -> None:
    pairs = draw(target, event_times=np.linspace(1, 120, 50))

    censored_before = (target["event"] == 0)[:, None] & (
        target["time_days"][:, None] < pairs.horizon_days
    )
    np.testing.assert_array_equal(pairs.weight == 0, censored_before)
    assert pairs.weight[~censored_before].min() >= 1


def test_every_patient_has_a_default_horizon_and_the_others_are_spread_over_the_events(
    target,
) -> None:
    event_times = np.linspace(1.0, 101.0, 101)
    pairs = draw(target, event_times=event_times, horizons=(30.5, 90.5))

    default = np.isin(pairs.horizon_days, [30.5, 90.5])
    assert (default.sum(1) == 1).all()
    fifth = np.floor((pairs.horizon_days - 1) / 20).clip(max=4)
    assert (default | (fifth == np.arange(5))).all()


def test_at_one_horizon_for_all_weights_sum_to_the_patients(target) -> None:
    pairs = draw(target, event_times=[50.0], horizons=(50.0,), per_patient=1)

    assert pairs.horizon_days.tolist() == [[50.0]] * 100
    assert pairs.weight.sum() == pytest.approx(100)


def test_a_horizon_at_which_hardly_anyone_is_left_teaches_nothing(target) -> None:
    # Nearly all the others were censored on day 60: from then on only their events are known.
    time = np.concatenate([np.full(97, 60.0), [200.0, 200.0, 200.0]])
    others = CensoringDistribution.fit(time, np.zeros(100, dtype=int))

    pairs = draw(target, event_times=np.linspace(10, 120, 50), censoring=others)

    late = pairs.horizon_days > 60
    assert (pairs.weight[late] == 0).all()
    assert (pairs.weight[~late] > 0).any()
    assert pairs.weight.max() <= 1 / MIN_G


def test_each_stratum_is_weighed_by_its_own_curve() -> None:
    target = survival_target(np.full(4, 50.0), [1, 1, 0, 0])
    strata = np.array(["a", "b", "a", "b"], dtype=object)
    curve = (np.array([20.0]), np.array([0.5]))
    gone = (np.array([20.0]), np.array([0.0]))
    censoring = CensoringDistribution(curve, {"a": curve, "b": gone})

    pairs = pairs_at(target, np.array([10.0, 50.0]), censoring=censoring, strata=strata)

    assert pairs.weight.tolist() == [[1.0, 2.0], [1.0, 0.0], [1.0, 2.0], [1.0, 0.0]]


def test_a_cohort_too_large_gets_fewer_horizons_for_each(target, monkeypatch) -> None:
    monkeypatch.setattr(targets, "MAX_PAIRS", 250)

    assert draw(target, event_times=np.linspace(1, 120, 50)).weight.shape == (100, 2)


def test_the_same_seed_draws_the_same_horizons(target) -> None:
    first, again, other = (
        draw(target, event_times=np.linspace(1, 120, 50), seed=seed).horizon_days
        for seed in (3, 3, 4)
    )

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_pairs_of_some_patients_are_their_rows() -> None:
    pairs = Pairs(*(np.arange(6.0).reshape(3, 2) + shift for shift in (0, 10, 20)))

    some = pairs.take(np.array([2, 0]))

    assert some.horizon_days.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert some.weight.tolist() == [[24.0, 25.0], [20.0, 21.0]]


def test_fewer_horizons_leave_the_expected_weight_of_every_pair(target) -> None:
    pairs = draw(target, event_times=np.arange(1.0, 400.0), per_patient=6)
    subsets = [pairs.every(3, np.full(len(target), first)) for first in range(3)]
    for subset in subsets:
        np.testing.assert_array_equal(subset.horizon_days, pairs.horizon_days)
        assert (subset.weight > 0).sum(axis=1).max() <= 2
    np.testing.assert_allclose(np.mean([s.weight for s in subsets], axis=0), pairs.weight)
    assert pairs.every(1, np.zeros(len(target), dtype=int)) is pairs
