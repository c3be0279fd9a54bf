"""Refusals and warnings: which patients a model must not answer, and remarks beside a risk.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import math
from collections.abc import Sequence

import numpy as np

from models.inference.completeness import Completeness
from models.inference.contract import Contract, Feature, NoveltyLimits, SpecialCase
from models.inference.matrices import Table
from models.inference.novelty_scores import Deviations, deviations
from models.inference.prediction import Remark

__all__ = [
    "FUTURE_TOLERANCE_DAYS",
    "TOO_LITTLE_ENTERED",
    "Verdicts",
    "guard",
    "refuse_insufficient",
]

TOO_LITTLE_ENTERED = "too_little_entered"
"""Code of the refusal of a patient whose entries are insufficient."""

FUTURE_TOLERANCE_DAYS = 15 / (24 * 60)
"""How far time zero may lie in the future, since clocks differ: 15 minutes."""

ASKED_LATE_DAYS = 7.0
"""How long after time zero a risk is given without a warning that it comes late."""


class Verdicts:
    """Refusals and warnings, one list per patient; a message holds no value."""

    def __init__(self, patients: int) -> None:
        self.refusals: list[list[Remark]] = [[] for _ in range(patients)]
        self.warnings: list[list[Remark]] = [[] for _ in range(patients)]

    @property
    def status(self) -> list[str]:
        """`ok` or `refused` for each patient."""
        return ["refused" if refusals else "ok" for refusals in self.refusals]

    def refuse(self, rows: np.ndarray, code: str, message: str, *variables: str) -> None:
        """Refuse the given patients."""
        for i in np.flatnonzero(rows):
            self.refusals[i].append(Remark(code, message, variables))

    def warn(self, rows: np.ndarray, code: str, message: str, *variables: str) -> None:
        """Warn about the given patients."""
        for i in np.flatnonzero(rows):
            self.warnings[i].append(Remark(code, message, variables))


def guard(
    contract: Contract,
    table: Table,
    raw: np.ndarray,
    variables: Sequence[str],
) -> Verdicts:
    """Return the refusals and warnings of each patient.

    Parameters
    ----------
    table : Table
        Feature columns, and guard columns (`age`, `pregnant`, `rrt`, ...) where they are known.
    raw : ndarray of float, shape (n_patients, n_columns)
        From `raw_matrix`.
    variables : sequence of str, length n_variables
    """
    verdicts = Verdicts(table.rows)
    _judge_person(verdicts, table, "age" in variables)
    _judge_moment(verdicts, table, contract.asked_within_days)
    _judge_record(verdicts, table)
    for feature in contract.features:
        if feature.kind == "category":
            _judge_category(verdicts, table, feature)
        else:
            _judge_number(verdicts, table, feature)
    rules = contract.guard
    _judge_novelty(verdicts, raw, contract)
    for case in rules.special:
        _judge_special(verdicts, table, case, variables)
    return verdicts


def refuse_insufficient(verdicts: Verdicts, completeness: Sequence[Completeness]) -> None:
    """Refuse where so much is missing that a risk would hardly differ between patients."""
    verdicts.refuse(
        np.array([grade == "insufficient" for grade in completeness], dtype=bool),
        TOO_LITTLE_ENTERED,
        "Too little is entered: the model could give hardly more than the average of the patients "
        "that it learned from.",
    )


def _judge_person(verdicts: Verdicts, table: Table, age_matters: bool) -> None:
    """Refuse the dead and children; warn where age is unknown."""
    age = table.number("age")
    verdicts.refuse(
        table.number("dead_at_time_zero") > 0,
        "deceased",
        "The record states that the patient has died.",
    )
    verdicts.refuse(
        (age < 18) | (table.number("lowest_age") < 18),
        "under_18",
        "The model is for adults; the patient is under 18.",
        "age",
    )
    verdicts.warn(
        np.isnan(age) & age_matters,
        "age_unknown",
        "Age is not given: that the patient is an adult was not checked.",
        "age",
    )


def _judge_moment(verdicts: Verdicts, table: Table, asked_within_days: float) -> None:
    """Refuse a time zero in the future or too long ago; warn of one some time ago."""
    asked = table.number("asked_after_days")
    stale = asked > asked_within_days
    verdicts.refuse(
        asked < -FUTURE_TOLERANCE_DAYS,
        "time_zero_in_future",
        "Time zero must not be in the future. Check the time zero.",
    )
    verdicts.refuse(
        stale,
        "stale",
        f"The model may be asked within {asked_within_days:g} days of time zero; this request "
        "comes later. Check the time zero; for a record of the past, state when the estimate was "
        "wanted.",
    )
    verdicts.warn(
        ~stale & (asked > ASKED_LATE_DAYS),
        "asked_late",
        f"Time zero is more than {ASKED_LATE_DAYS:g} days ago. The estimate counts from then, and "
        "knows nothing of the days since.",
    )


def _judge_record(verdicts: Verdicts, table: Table) -> None:
    """Refuse comfort care, pregnancy, and a record of which a part is missing."""
    verdicts.refuse(
        table.number("comfort_care_at_time_zero") > 0,
        "comfort_care",
        "The record states comfort as the goal of care.",
    )
    verdicts.refuse(
        table.number("record_incomplete") > 0,
        "incomplete_record",
        "Further pages of the record were not sent, so the record is not whole. Send all of it.",
    )
    verdicts.refuse(
        table.number("pregnant") > 0,
        "pregnant",
        "The model was not made for pregnancy.",
        "pregnant",
    )


def _judge_category(verdicts: Verdicts, table: Table, feature: Feature) -> None:
    """Warn of a category that no training patient had, or too few of them."""
    known = {None, *feature.categories}
    verdicts.warn(
        np.array([text not in known for text in table.texts[feature.name]], dtype=bool),
        "unknown_category",
        f"{feature.label}: this category was not in the training cohort, or too rare there to "
        "learn from; it counts as not entered.",
        feature.variable,
    )


def _judge_number(verdicts: Verdicts, table: Table, feature: Feature) -> None:
    """Refuse an impossible value, such as a flag of 2; warn of one that was rare in training."""
    value, name = table.number(feature.name), feature.variable
    low = -math.inf if feature.low is None else feature.low
    high = math.inf if feature.high is None else feature.high
    impossible = (value < low) | (value > high)
    if feature.kind == "flag":
        impossible = ~np.isnan(value) & ~np.isin(value, (0.0, 1.0))
    message = f"{feature.label} lies outside its plausible range."
    verdicts.refuse(impossible, "out_of_range", message, name)
    if feature.seen is not None and feature.kind == "number":
        least, most = feature.seen
        verdicts.warn(
            ~impossible & ((value < least) | (value > most)),
            "beyond_training",
            f"{feature.label} lies further out than nearly all of the training cohort.",
            name,
        )


def _judge_novelty(verdicts: Verdicts, raw: np.ndarray, contract: Contract) -> None:
    """Refuse a value or a combination of values unlike any in training; warn of a rare one."""
    novelty = contract.guard.novelty
    refuse_beyond, warn_beyond = novelty.refuse_beyond, novelty.warn_beyond
    if refuse_beyond is None or warn_beyond is None:
        return
    # The first columns of `raw` are the numbers and flags, in the order of the contract.
    numbers = [feature for feature in contract.features if feature.kind != "category"]
    found = deviations(raw[:, list(novelty.columns)], novelty)
    single, together = _beyond(found, refuse_beyond)
    for place in np.unique(found.column[single]):
        feature = numbers[novelty.columns[place]]
        verdicts.refuse(
            single & (found.column == place),
            "unlike_training_cohort",
            f"{feature.label}, alone or beside the other values, is unlike the patients the model "
            "learned from. Check the value and its unit.",
            feature.variable,
        )
    verdicts.refuse(
        together & ~single,
        "unlike_training_cohort",
        "The combination of values is unlike the patients the model learned from.",
    )
    one_rare, rare_together = _beyond(found, warn_beyond)
    verdicts.warn(
        (one_rare | rare_together) & ~single & ~together,
        "unusual_combination",
        "The combination of values was rare in the training cohort.",
    )


def _beyond(found: Deviations, limits: NoveltyLimits) -> tuple[np.ndarray, np.ndarray]:
    """Return whether a single value, and all values together, lie beyond their limits."""
    if limits.together is None:
        return found.single > limits.single, np.zeros(len(found.single), dtype=bool)
    return found.single > limits.single, found.together > limits.together


def _judge_special(
    verdicts: Verdicts, table: Table, case: SpecialCase, variables: Sequence[str]
) -> None:
    """Warn of renal replacement or AKI, hormones, biotin, and CTX taken fed or late."""
    touched = [name for name in case.variables if name in variables]
    if case.variables and not touched:
        return
    applies = np.zeros(table.rows, dtype=bool)
    for column, low, high in case.when:
        value = table.number(column)
        applies |= (value >= low) & (value <= high)
    verdicts.warn(applies, case.code, case.message, *touched)
