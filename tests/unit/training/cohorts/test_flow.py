"""Patient flow: counts by outcome at each horizon, follow-up, and refusals."""

import numpy as np
import pytest

from data_schema.cohort import OutcomeData
from training.cohorts.flow import flow_step
from training.report.patients import flow_section


def test_each_stay_is_counted_under_one_of_four_outcomes() -> None:
    time = np.concatenate([np.full(20, 5.0), np.full(15, 6.0), np.full(30, 7.0), np.full(35, 40.0)])
    event = np.concatenate([np.full(20, 1), np.full(15, 2), np.zeros(65)]).astype(int)

    step = flow_step(OutcomeData("fracture", time, event), np.arange(100).astype(object), [20.0])

    at = step.at_horizons[0]
    assert (at.event, at.competing, at.neither, at.lost) == (20, 15, 35, 30)


def test_a_small_count_is_withheld_with_another() -> None:
    time = np.concatenate([np.full(4, 5.0), np.full(40, 30.0), np.full(56, 10.0)])
    event = np.concatenate([np.ones(4), np.zeros(40), np.zeros(56)]).astype(int)

    at = flow_step(
        OutcomeData("mortality", time, event), np.arange(100).astype(object), [20.0]
    ).at_horizons[0]

    assert (at.event, at.neither) == (None, None)
    assert at.lost == 56


def test_no_count_of_simulated_patients_is_withheld() -> None:
    time = np.concatenate([np.full(4, 5.0), np.full(40, 30.0), np.full(56, 10.0)])
    event = np.concatenate([np.ones(4), np.zeros(40), np.zeros(56)]).astype(int)

    at = flow_step(
        OutcomeData("mortality", time, event),
        np.arange(100).astype(object),
        [20.0],
        simulated=True,
    ).at_horizons[0]

    assert (at.event, at.neither, at.lost) == (4, 40, 56)


def test_median_follow_up_treats_events_as_censored() -> None:
    # Reverse Kaplan-Meier by hand: censored at 10 (4 at risk), 20 (3), 30 (1): 3/4, 1/2, 0.
    outcome = OutcomeData("mortality", np.array([10.0, 20.0, 25.0, 30.0]), np.array([0, 0, 1, 0]))

    step = flow_step(outcome, np.arange(4).astype(object), [15.0])

    assert step.median_follow_up_days == pytest.approx(20.0)


def test_few_refusals_cannot_be_derived_from_the_boxes() -> None:
    outcome = OutcomeData("mortality", np.full(100, 30.0), np.ones(100, dtype=int))
    step = flow_step(
        outcome, np.arange(100).astype(object), [20.0], refused={"under_18": 3}, n_refused=3
    )

    section = flow_section({"Held out": step}, whole="Cohort", event="death", competing=None)

    held_out = section.flow[0]
    text = " ".join(line for box in held_out.next for line in (box.title, *box.lines))
    assert "under 18: fewer than 10" in text
    assert "3" not in text
    assert "97" not in text
