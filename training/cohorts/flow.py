"""The flow of patients through a run: counts, refusals, follow-up and outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData
from data_schema.disclosure import SMALLEST_CELL, hidden_cells
from models.censoring import is_known

__all__ = ["AtHorizon", "FlowStep", "flow_step"]


@dataclass(frozen=True, slots=True)
class AtHorizon:
    """Stays by outcome at a horizon; None where the number is withheld."""

    horizon_days: float
    event: int | None
    competing: int | None
    neither: int | None
    lost: int | None


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One group of patients and their outcomes.

    Parameters
    ----------
    stays, patients : int
    refused : mapping of str to int
        Refused stays by the code of the rule; a stay may break several rules.
    n_refused : int
        Refused stays in all.
    median_follow_up_days : float
        By the reverse Kaplan-Meier estimate (Schemper & Smith 1996,
        doi:10.1016/0197-2456(96)00075-X); infinite where fewer than half were censored.
    at_horizons : tuple of AtHorizon
    """

    stays: int
    patients: int
    refused: Mapping[str, int]
    n_refused: int
    median_follow_up_days: float
    at_horizons: tuple[AtHorizon, ...]


def flow_step(
    outcome: OutcomeData,
    patient_id: NDArray[np.object_],
    horizons_days: Sequence[float],
    *,
    refused: Mapping[str, int] | None = None,
    n_refused: int = 0,
    simulated: bool = False,
) -> FlowStep:
    """Count a group of patients, and their outcomes by each horizon; arguments as in `FlowStep`.

    Small counts are withheld, unless the patients are simulated.
    """
    return FlowStep(
        stays=len(patient_id),
        patients=len(np.unique(patient_id.astype(str))),
        refused=dict(refused or {}),
        n_refused=n_refused,
        median_follow_up_days=_median_follow_up(outcome.time_days, outcome.event),
        at_horizons=tuple(
            _at_horizon(outcome, days, simulated=simulated) for days in horizons_days
        ),
    )


def _at_horizon(outcome: OutcomeData, days: float, *, simulated: bool) -> AtHorizon:
    time, event = outcome.time_days, outcome.event
    known = is_known(time, event, days)
    within = time <= days
    counts = np.array(
        [
            (known & within & (event == 1)).sum(),
            (known & within & (event == 2)).sum(),
            0,
            (~known).sum(),
        ]
    )
    counts[2] = len(time) - counts.sum()
    hidden = np.zeros(len(counts), dtype=bool) if simulated else _hidden(counts)
    return AtHorizon(
        float(days),
        *(None if hide else int(count) for count, hide in zip(counts, hidden, strict=True)),
    )


def _hidden(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which outcomes to withhold: beside a small count, first that of neither event.

    It is the least informative; the number with the event is reported elsewhere, too.
    """
    whole = np.array([[counts.sum(), *counts]])
    hidden = hidden_cells(whole)[0, 1:]
    if not hidden.any() or counts[0] < SMALLEST_CELL:
        return hidden
    small = (counts > 0) & (counts < SMALLEST_CELL)
    small[2] = True
    return small if counts[small].sum() >= SMALLEST_CELL else hidden


def _median_follow_up(time_days: NDArray[np.float64], event: NDArray[np.int64]) -> float:
    """Return the median time to censoring, with events treated as censored."""
    order = np.lexsort((event == 0, time_days))
    censored = event[order] == 0
    at_risk = np.arange(len(order), 0, -1)
    remaining = np.cumprod(1 - censored / at_risk)
    reached = np.flatnonzero(remaining <= 0.5)
    return float(time_days[order][reached[0]]) if len(reached) else float("inf")
