"""Refusals and warnings: which patients a model must not answer, and remarks beside a risk.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.inference.completeness import Completeness
from models.inference.contract import Contract, Feature, Novelty, NoveltyLimits, SpecialCase
from models.inference.matrices import Table, number_rows
from models.inference.novelty_scores import Deviations, deviations
from models.inference.prediction import Remark

__all__ = [
    "FUTURE_TOLERANCE_DAYS",
    "TOO_LITTLE_ENTERED",
    "GuardRules",
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


class _Cases(NamedTuple):
    """The special cases that a model warns of; their conditions follow each other in arrays.

    Attributes
    ----------
    cases : tuple of SpecialCase
    touched : tuple of tuple of (str, int)
        Variables of the model that each names, with their places in the model.
    columns : tuple of str, length n_conditions
    low, high : ndarray of float, shape (n_conditions, 1)
    first : ndarray of int, shape (n_cases,)
        Place of the first condition of each case.
    """

    cases: tuple[SpecialCase, ...]
    touched: tuple[tuple[tuple[str, int], ...], ...]
    columns: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, special: Sequence[SpecialCase], variables: Sequence[str]) -> "_Cases":
        """Return the cases that name no variable, or one that the model reads."""
        place = {name: v for v, name in enumerate(variables)}
        named = [
            (case, tuple((name, place[name]) for name in case.variables if name in place))
            for case in special
            if case.when
        ]
        read = [(case, touched) for case, touched in named if touched or not case.variables]
        conditions = [condition for case, _ in read for condition in case.when]
        ends = np.cumsum([0, *(len(case.when) for case, _ in read)])
        return cls(
            tuple(case for case, _ in read),
            tuple(touched for _, touched in read),
            tuple(column for column, _, _ in conditions),
            np.array([[low] for _, low, _ in conditions]),
            np.array([[high] for _, _, high in conditions]),
            ends[:-1],
        )


class GuardRules(NamedTuple):
    """What the guard of one model compares patients with, in arrays over features.

    Attributes
    ----------
    features : tuple of Feature
        Of the contract.
    places : tuple of int, length n_numbers
        Of numbers and flags among the features: the first columns of the raw matrix.
    names : tuple of str, length n_numbers
    flags : ndarray of bool, shape (n_numbers, 1)
        Which are flags: 0 or 1.
    low, high : ndarray of float, shape (n_numbers, 1)
        Plausible range.
    least, most : ndarray of float, shape (n_numbers, 1)
        Range of nearly all training patients; infinite for a flag.
    categories : tuple of int
        Places of the categories among the features.
    cases : _Cases
    novelty : Novelty
    age_matters : bool
        Whether the model reads age.
    asked_within_days : float
        As in the contract.
    """

    features: tuple[Feature, ...]
    places: tuple[int, ...]
    names: tuple[str, ...]
    flags: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    most: np.ndarray
    categories: tuple[int, ...]
    cases: _Cases
    novelty: Novelty
    age_matters: bool
    asked_within_days: float

    @classmethod
    def of(cls, contract: Contract, variables: Sequence[str]) -> "GuardRules":
        """Return the rules of a contract whose model reads these variables."""
        features = contract.features
        places = tuple(j for j, feature in enumerate(features) if feature.kind != "category")
        bounds = np.array(
            [
                (
                    -math.inf if feature.low is None else feature.low,
                    math.inf if feature.high is None else feature.high,
                    *(
                        (-math.inf, math.inf)
                        if feature.seen is None or feature.kind != "number"
                        else feature.seen
                    ),
                )
                for feature in (features[j] for j in places)
            ]
        ).reshape(-1, 4)
        low, high, least, most = (bounds[:, [j]] for j in range(4))
        return cls(
            features,
            places,
            tuple(features[j].name for j in places),
            np.array([[features[j].kind == "flag"] for j in places]).reshape(-1, 1),
            low,
            high,
            least,
            most,
            tuple(j for j, feature in enumerate(features) if feature.kind == "category"),
            _Cases.of(contract.guard.special, variables),
            contract.guard.novelty,
            "age" in variables,
            contract.asked_within_days,
        )


def guard(rules: GuardRules, table: Table, raw: np.ndarray, measured: np.ndarray) -> Verdicts:
    """Return the refusals and warnings of each patient.

    Parameters
    ----------
    table : Table
        Feature columns, and guard columns (`age`, `pregnant`, `rrt`, ...) where they are known.
    raw : ndarray of float, shape (n_patients, n_columns)
        From `raw_matrix`.
    measured : ndarray of bool, shape (n_patients, n_variables)
        Whether each variable of the model has a value.
    """
    verdicts = Verdicts(table.rows)
    _judge_person(verdicts, table, rules.age_matters)
    _judge_moment(verdicts, table, rules.asked_within_days)
    _judge_record(verdicts, table)
    _judge_features(verdicts, table, rules)
    _judge_novelty(verdicts, raw, rules)
    _judge_special(verdicts, table, rules.cases, measured)
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


def _judge_features(verdicts: Verdicts, table: Table, rules: GuardRules) -> None:
    """Refuse impossible values, such as a flag of 2; warn of what training hardly had."""
    # All numbers at once, then remarks on those few that any patient needs one for.
    values = number_rows(table, rules.names)
    no_flag = ~np.isnan(values) & (values != 0) & (values != 1)
    outside = (values < rules.low) | (values > rules.high)
    impossible = np.where(rules.flags, no_flag, outside)
    rare = ~impossible & ((values < rules.least) | (values > rules.most))
    unknown = {place: _unknown_category(table, rules.features[place]) for place in rules.categories}
    flagged = {rules.places[j]: j for j in np.flatnonzero((impossible | rare).any(1))}
    for place in sorted(flagged.keys() | unknown.keys()):
        feature = rules.features[place]
        if place in unknown:
            verdicts.warn(
                unknown[place],
                "unknown_category",
                f"{feature.label}: this category was not in the training cohort, or too rare there "
                "to learn from; it counts as not entered.",
                feature.variable,
            )
            continue
        verdicts.refuse(
            impossible[flagged[place]],
            "out_of_range",
            f"{feature.label} lies outside its plausible range.",
            feature.variable,
        )
        verdicts.warn(
            rare[flagged[place]],
            "beyond_training",
            f"{feature.label} lies further out than nearly all of the training cohort.",
            feature.variable,
        )


def _unknown_category(table: Table, feature: Feature) -> np.ndarray:
    """Return which patients have a category that no training patient had, or too few of them."""
    known = {None, *feature.categories}
    return np.array([text not in known for text in table.texts[feature.name]], dtype=bool)


def _judge_novelty(verdicts: Verdicts, raw: np.ndarray, rules: GuardRules) -> None:
    """Refuse a value or a combination of values unlike any in training; warn of a rare one."""
    novelty = rules.novelty
    refuse_beyond, warn_beyond = novelty.refuse_beyond, novelty.warn_beyond
    if refuse_beyond is None or warn_beyond is None:
        return
    found = deviations(raw[:, list(novelty.columns)], novelty)
    single, together = _beyond(found, refuse_beyond)
    for place in np.unique(found.column[single]):
        feature = rules.features[rules.places[novelty.columns[place]]]
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


def _judge_special(verdicts: Verdicts, table: Table, special: _Cases, measured: np.ndarray) -> None:
    """Warn of renal replacement or AKI, hormones, biotin, and CTX taken fed or late.

    What concerns some variables is said only of those that have a value.
    """
    if not special.cases:
        return
    values = number_rows(table, special.columns)
    holds = (values >= special.low) & (values <= special.high)
    applies = np.logical_or.reduceat(holds, special.first)
    for case, touched, rows in zip(special.cases, special.touched, applies, strict=True):
        if not case.variables:
            verdicts.warn(rows, case.code, case.message)
            continue
        for i in np.flatnonzero(rows):
            entered = tuple(name for name, v in touched if measured[i, v])
            if entered:
                verdicts.warnings[i].append(Remark(case.code, case.message, entered))
