"""Risk curves of both events of a cohort with a competing event, each judged as the outcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_schema.cohort import Cohort, outcome_of
from data_schema.outcomes import COMPETING, EVENT
from training.benchmark.comparison import Comparison
from training.benchmark.curves import Progress, compare_curves

__all__ = ["compare_causes"]

PROTOCOL = (
    "Each event in turn, the other competing with it. {outcome}: {protocol} {competing}: the same, "
    "with folds and days of its own events."
)


def compare_causes(
    cohort: Cohort, competing: str, *, repeats: int, random_state: int, progress: Progress
) -> Comparison:
    """Fit and judge every model for the outcome, then for the event that competes with it.

    Parameters
    ----------
    cohort : Cohort
        With times, and patients who had either event.
    competing : str
        The competing event in words.
    repeats : int
        Partitions into five folds of patients.
    random_state : int
        Seed of the folds and of Osteon.

    Returns
    -------
    Comparison
        Rows and differences carry the name of their outcome.
    """
    outcomes = {outcome_of(cohort).name.replace("_", " "): cohort, competing: _exchanged(cohort)}
    compared = {
        name: compare_curves(
            of_event,
            repeats=repeats,
            random_state=random_state,
            progress=lambda line, name=name: progress(f"{name}: {line}"),  # type: ignore[misc]
        )
        for name, of_event in outcomes.items()
    }
    outcome = next(iter(outcomes))
    return Comparison(
        PROTOCOL.format(outcome=outcome, competing=competing, protocol=compared[outcome].protocol),
        tuple(replace(row, outcome=name) for name, of in compared.items() for row in of.rows),
        tuple(
            replace(gap, outcome=name) for name, of in compared.items() for gap in of.differences
        ),
    )


def _exchanged(cohort: Cohort) -> Cohort:
    """Return the cohort with the competing event as its outcome, and the outcome competing."""
    outcome = outcome_of(cohort)
    event = np.select(
        [outcome.event == EVENT, outcome.event == COMPETING], [COMPETING, EVENT], outcome.event
    )
    return replace(cohort, outcome=replace(outcome, name="competing_event", event=event))
