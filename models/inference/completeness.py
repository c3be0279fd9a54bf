"""How complete the values of a patient are: by how far those not entered could still move the risk.

Part of every bundle's `model.py`: it imports only the standard library.
"""

from typing import Literal

__all__ = ["LEAST_SETTLED", "Completeness", "completeness_grade", "refused_below"]

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

ALWAYS_INSUFFICIENT = 0.1
"""Settled share below which hardly more than the cohort's average is known, in any cohort."""


def completeness_grade(settled: float, refused_below: float) -> Completeness:
    """Return the grade of a settled share.

    The settled share is 1 less the variance that the values not entered could still add to the
    log-odds, over the variance that the log-odds of the training cohort would have with every value
    entered: 1 where everything that matters is entered, about 0 where nothing is.

    Parameters
    ----------
    settled : float
    refused_below : float
        From `refused_below`: a model does not refuse patients as complete as those that its
        performance is of.

    >>> completeness_grade(0.9, 0.3), completeness_grade(0.2, 0.3), completeness_grade(0.2, 0.1)
    ('complete', 'insufficient', 'sparse')
    """
    if settled < refused_below:
        return "insufficient"
    for grade, least in LEAST_SETTLED:
        if settled >= least:
            return grade
    return LEAST_SETTLED[-1][0]


def refused_below(ordinary: float) -> float:
    """Return the settled share below which a model gives no number.

    Parameters
    ----------
    ordinary : float
        Settled share that all but a few of the training patients reach as recorded.

    >>> refused_below(0.7), refused_below(0.24), refused_below(-0.2)
    (0.3, 0.24, 0.1)
    """
    return min(max(ordinary, ALWAYS_INSUFFICIENT), LEAST_SETTLED[-1][1])
