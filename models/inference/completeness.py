"""How complete the values of a patient are: by how far those not entered could still move the risk.

Part of every bundle's `model.py`: it imports only the standard library.
"""

from typing import Literal

__all__ = ["Completeness", "completeness_grade"]

Completeness = Literal["complete", "partial", "sparse", "insufficient"]
"""A grade of completeness, not of certainty."""

LEAST_SETTLED: tuple[tuple[Completeness, float], ...] = (
    ("complete", 0.85),
    ("partial", 0.75),
    ("sparse", 0.3),
)
"""The least settled share of each grade; below the last it is `insufficient`.

At that share at most one simulated patient in ten, in four or in two moves to another third of risk
of death or fracture once everything is entered (`tests/benchmark/grades_study.py`).
"""


def completeness_grade(settled: float) -> Completeness:
    """Return the grade of a settled share.

    The settled share is 1 less the variance that the values not entered could still add to the
    log-odds, over the variance that the log-odds of the training cohort would have with every value
    entered: 1 where everything that matters is entered, about 0 where nothing is.

    >>> completeness_grade(0.9), completeness_grade(-0.1)
    ('complete', 'insufficient')
    """
    for grade, least in LEAST_SETTLED:
        if settled >= least:
            return grade
    return "insufficient"
