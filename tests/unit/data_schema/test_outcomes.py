"""Outcomes state their estimand."""

from __future__ import annotations

import re

import pytest

from data_schema.errors import UsageError
from data_schema.outcomes import ENDPOINTS, OUTCOMES, RESERVED_MODEL_NAMES, outcome


def test_each_outcome_states_its_time_zero_horizons_and_competing_event() -> None:
    stated = {
        name: (
            entry.landmark.words if entry.landmark else None,
            entry.horizons_days,
            entry.competing_label,
            entry.reserved_model,
        )
        for name, entry in OUTCOMES.items()
        if name in ("mortality", "mortality-72h", "fracture")
    }
    assert stated == {
        "mortality": ("24h", (28, 90, 365), None, "osteon-mortality"),
        "mortality-72h": ("72h", (28, 90, 365), None, "osteon-mortality-72h"),
        "fracture": (
            "discharge",
            (365, 730, 1826),
            "death without fracture",
            "osteon-fracture",
        ),
    }
    assert all("alive" in entry.time_zero for entry in OUTCOMES.values())


def test_reserved_names_are_those_of_the_outcomes() -> None:
    reserved = {"osteon-mortality", "osteon-mortality-72h", "osteon-fracture"}
    assert reserved <= RESERVED_MODEL_NAMES
    assert len(RESERVED_MODEL_NAMES) == len(OUTCOMES)


def test_only_an_outcome_with_a_competing_event_may_hold_a_two() -> None:
    assert outcome("mortality").events == (0, 1)
    assert outcome("fracture").events == (0, 1, 2)


def test_two_landmarks_of_one_endpoint_share_its_columns() -> None:
    late = outcome("mortality", "72h")
    assert late is outcome("mortality-72h")
    assert (late.days_column, late.event_column) == (
        "mortality_days",
        "mortality_event",
    )
    assert (late.days_column, late.event_column) == (
        outcome("mortality").days_column,
        outcome("mortality").event_column,
    )


@pytest.mark.parametrize(
    ("name", "landmark"),
    [("falls", ""), ("mortality", "48h"), ("mortality-72h", "72h"), ("", "")],
)
def test_an_unknown_outcome_is_refused_with_the_known_ones(name: str, landmark: str) -> None:
    with pytest.raises(UsageError, match="must be one of mortality at 24h"):
        outcome(name, landmark)


def test_an_endpoint_is_described_by_its_first_outcome() -> None:
    assert list(ENDPOINTS) == [name for name in OUTCOMES if name in ENDPOINTS]
    for endpoint, entry in ENDPOINTS.items():
        assert entry == next(one for one in OUTCOMES.values() if one.endpoint == endpoint)


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_is_complete(name: str) -> None:
    entry = OUTCOMES[name]
    assert re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", name)
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", entry.endpoint)
    assert all((entry.label, entry.event_label, entry.event_singular, entry.time_zero))
    assert entry.landmark is not None
    assert list(entry.horizons_days) == sorted(set(entry.horizons_days))
    assert entry.horizons_days[0] > 0
    assert not (entry.is_death and entry.competing_label)


def test_landmarks_follow_one_another_in_a_stay() -> None:
    landmarks = [OUTCOMES[n].landmark for n in ("mortality", "mortality-72h", "fracture")]
    stated = [landmark for landmark in landmarks if landmark is not None]
    assert [landmark.hours for landmark in stated] == [24, 72, None]
    before = [[one.is_before(other) for other in stated] for one in stated]
    assert before == [[False, True, True], [False, False, True], [False, False, False]]
