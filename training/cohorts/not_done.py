"""Flags that a variable is recorded as not done, as columns that a model may learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_schema.cohort import Cohort, outcome_of
from data_schema.outcomes import EVENT, MIN_EVENTS
from data_schema.variables import base_name

__all__ = ["learnable_flags", "with_flags"]

LEAST_SHARE, MOST_SHARE = 0.01, 0.99
"""Share of stays in which a variable must be recorded as not done to learn from that."""


def learnable_flags(cohort: Cohort) -> tuple[str, ...]:
    """Return the flags of a cohort that there is enough to learn from.

    The variable is a feature, it is recorded as not done in 1 to 99 % of the stays, and at least
    `MIN_EVENTS` of the patients in whom it was have the event.
    """
    if cohort.not_done is None:
        return ()
    event, patient = outcome_of(cohort).event == EVENT, cohort.patient_id.astype(str)
    variables = {base_name(str(name)) for name in cohort.features.columns}
    learnable = []
    for flag in map(str, cohort.not_done.columns):
        marked = (cohort.not_done[flag] == 1.0).to_numpy()
        is_enough = (
            LEAST_SHARE <= marked.mean() <= MOST_SHARE
            and len(np.unique(patient[marked & event])) >= MIN_EVENTS
        )
        if is_enough and base_name(flag) in variables:
            learnable.append(flag)
    return tuple(learnable)


def with_flags(cohort: Cohort, flags: Sequence[str]) -> Cohort:
    """Return a cohort whose features hold these flags of its own, after all others."""
    if cohort.not_done is None or not flags:
        return cohort
    features = cohort.features.join(cohort.not_done[list(flags)])
    return replace(cohort, features=features)
