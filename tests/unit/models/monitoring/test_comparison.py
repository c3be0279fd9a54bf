from __future__ import annotations

import numpy as np
import pytest

from data_schema.errors import UsageError
from models.monitoring.comparison import BOUNDARIES, ShadowedPatients, compare

RNG = np.random.default_rng(3)


def patients(n: int, *, champion_noise: float, challenger_noise: float) -> ShadowedPatients:
    odds = RNG.normal(-1, 1, n)
    happened = RNG.random(n) < 1 / (1 + np.exp(-odds))
    risks = [
        (1 / (1 + np.exp(-(odds + noise * RNG.normal(size=n)))))[:, None]
        for noise in (champion_noise, challenger_noise)
    ]
    return ShadowedPatients(
        time_days=np.where(happened, 10.0, 100.0),
        event=happened.astype(np.int64),
        champion=risks[0],
        challenger=risks[1],
        horizons_days=(28.0,),
    )


def test_a_much_better_challenger_is_found_before_the_last_look() -> None:
    shadowed = patients(2_000, champion_noise=1.5, challenger_noise=0.0)
    compared = compare(shadowed, planned=5_000, looks=5)
    assert compared.verdict == "better"
    assert [look.patients for look in compared.looks] == [1_000, 2_000]
    assert [look.boundary for look in compared.looks] == pytest.approx(
        [2.040 * np.sqrt(5), 2.040 * np.sqrt(5 / 2)]
    )
    assert {(one.metric, one.estimate > 0) for one in compared.differences} == {
        ("auroc", True),
        ("brier", False),
    }
    assert {one.nearer for one in compared.disagreements} == {"challenger"}


def test_the_same_look_says_the_same_however_many_patients_followed() -> None:
    shadowed = patients(3_000, champion_noise=0.5, challenger_noise=0.5)
    first, later = (
        compare(
            ShadowedPatients(
                shadowed.time_days[:n],
                shadowed.event[:n],
                shadowed.champion[:n],
                shadowed.challenger[:n],
                shadowed.horizons_days,
            ),
            planned=5_000,
            looks=5,
        )
        for n in (1_100, 1_900)
    )
    assert first.looks == later.looks
    assert first.verdict == later.verdict == "not yet"


def test_refusals_of_one_model_are_counted_and_not_compared() -> None:
    shadowed = patients(200, champion_noise=0.2, challenger_noise=0.2)
    shadowed.challenger[:15] = np.nan
    shadowed.champion[190:] = np.nan
    compared = compare(shadowed, planned=500, looks=2)
    assert compared.refused_by_challenger_only == 15
    assert compared.refused_by_champion_only == 10
    assert compared.patients == 175


@pytest.mark.parametrize(("looks", "constant"), BOUNDARIES.items())
def test_an_equal_challenger_crosses_a_boundary_in_five_of_a_hundred(
    looks: int, constant: float
) -> None:
    steps = np.random.default_rng(looks).normal(size=(100_000, looks))
    walk = steps.cumsum(axis=1) / np.sqrt(np.arange(1, looks + 1))
    boundary = constant * np.sqrt(looks / np.arange(1, looks + 1))
    assert (walk >= boundary).any(axis=1).mean() == pytest.approx(0.025, abs=0.0015)


def test_looks_and_planned_patients_have_limits() -> None:
    shadowed = patients(20, champion_noise=0.1, challenger_noise=0.1)
    with pytest.raises(UsageError, match="--looks must be 1 to 5; got 6"):
        compare(shadowed, planned=100, looks=6)
    with pytest.raises(UsageError, match="--planned must be at least 50; got 20"):
        compare(shadowed, planned=20, looks=5)
