"""Which patients were followed up differently."""

from __future__ import annotations

import numpy as np
import pytest

from models.fitting.censoring_strata import MOST_STRATA, censoring_strata
from models.targets import survival_target


def cohort(n: int, seed: int, *, ends: np.ndarray | None = None):
    """Return columns of which the first tells of death, and times censored at `ends` if given."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(n, 30))
    raw[rng.random(raw.shape) < 0.2] = np.nan
    time = rng.exponential(200 * np.exp(-1.5 * np.nan_to_num(raw[:, 0])))
    censored = rng.uniform(50, 900, n) if ends is None else rng.uniform(0.8 * ends, ends)
    target = survival_target(np.minimum(time, censored).clip(0.5), (time <= censored).astype(int))
    return raw, target


def strata(raw, target, learn=None, sites=None):
    learn = np.arange(len(raw)) if learn is None else learn
    return censoring_strata(raw, target, learn, sites=sites, random_state=0)


@pytest.mark.parametrize("n", [150, 2_000])
def test_a_variable_related_to_death_alone_makes_no_strata(n) -> None:
    assert len(set(strata(*cohort(n, 1)))) == 1


def test_that_a_value_was_measured_can_tell_follow_up_apart() -> None:
    late = np.random.default_rng(2).random(2_000) < 0.4
    raw, target = cohort(2_000, 3, ends=np.where(late, 100.0, 800.0))
    raw[:, 7] = np.where(late, 1.0 + np.arange(2_000) % 5, np.nan)

    found = strata(raw, target)

    assert len(set(found)) == 2
    assert len(set(found[late])) == len(set(found[~late])) == 1


def test_strata_are_found_on_those_learned_from_and_given_to_all() -> None:
    late = np.arange(2_000) % 2 == 0
    raw, target = cohort(2_000, 4, ends=np.where(late, 100.0, 800.0))
    raw[:, 3] = late
    learn = np.arange(1_000)
    other = target.copy()
    other["time_days"][1_000:] = 1.0

    found = strata(raw, target, learn)

    assert found.tolist() == strata(raw, other, learn).tolist()
    assert len(set(found[1_000:])) == 2


def test_there_are_never_more_than_a_few_and_they_lie_within_sites() -> None:
    wave = np.arange(6_000) % 20
    raw, target = cohort(6_000, 5, ends=100.0 + 40 * wave)
    raw[:, 0] = wave
    sites = np.where(np.arange(6_000) < 3_000, "a", "b").astype(object)

    found = strata(raw, target, sites=sites)

    assert 3 < len(set(strata(raw, target))) <= MOST_STRATA
    assert {label.split("/")[0] for label in found[:3_000]} == {"a"}


@pytest.mark.parametrize(("event_at_end", "n"), [(False, 300), (True, 300), (True, 4_000)])
def test_one_day_on_which_follow_up_ends_for_all_makes_no_strata(event_at_end, n) -> None:
    raw, target = cohort(n, 6, ends=np.full(n, 1e9))
    end = 28.0
    event = (target["time_days"] <= end).astype(int)
    event[::7] = np.where(event_at_end, 1, event[::7])
    target = survival_target(np.minimum(target["time_days"], end), event)

    assert len(set(strata(raw, target))) == 1


def test_small_sites_share_the_curves_of_strata_across_them() -> None:
    late = np.random.default_rng(7).random(3_000) < 0.5
    raw, target = cohort(3_000, 8, ends=np.where(late, 100.0, 800.0))
    raw[:, 3] = late
    sites = (np.arange(3_000) % 60).astype(str).astype(object)
    sites[:1_000] = "large"

    found = strata(raw, target, sites=sites)

    assert set(found) == {"large/0", "large/1", "0", "1"}
    assert len(set(found[late])) == len(set(found[~late])) == 2
