"""Two outcomes of the same stays must not contradict each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_schema.cohort import OutcomeData
from data_schema.outcomes import OUTCOMES, Landmark, Outcome
from data_schema.table.rules import contradicting_outcomes

DEATH = OUTCOMES["mortality"]
DIED = OutcomeData("mortality", np.array([30.0, 300.0]), np.array([1, 0]))
DELIRIUM = replace(
    OUTCOMES["fracture"], name="delirium", endpoint="delirium", landmark=DEATH.landmark
)
LATE = OutcomeData("delirium", np.array([31.0, 40.0]), np.array([1, 1]))


def messages(other: Outcome) -> list[str]:
    """Return what contradicts when either of the two is the outcome to be predicted."""
    found = [*contradicting_outcomes((DEATH, DIED), (other, LATE))]
    reversed_ = [*contradicting_outcomes((other, LATE), (DEATH, DIED))]
    assert [one.message for one in found] == [one.message for one in reversed_]
    return [one.message for one in found]


def test_no_event_that_death_prevents_comes_after_death() -> None:
    (message,) = messages(DELIRIUM)
    assert message.startswith("delirium must not come after death")
    assert "1 of 2 rows do" in message


@pytest.mark.parametrize(
    "other",
    [
        replace(DELIRIUM, competing_label=None),
        replace(DELIRIUM, landmark=Landmark("admission", 0)),
    ],
    ids=["death does not compete", "its days begin earlier"],
)
def test_days_that_death_does_not_end_or_that_begin_earlier_are_not_compared(
    other: Outcome,
) -> None:
    assert messages(other) == []
