"""Refusals and warnings: which patients a model must not answer, and remarks beside a risk.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import math
from collections.abc import Sequence

import numpy as np

from models.inference.contract import Contract, Feature, Guard, Novelty, SpecialCase
from models.inference.matrices import Table
from models.inference.prediction import Remark

__all__ = ["Verdicts", "guard", "novelty_score"]

TAIL = 3
"""How many quantiles inwards from the outermost the slope of a tail is measured."""


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
    measured: np.ndarray,
    variables: Sequence[str],
) -> Verdicts:
    """Return the refusals and warnings of each patient.

    Parameters
    ----------
    table : Table
        Feature columns, and guard columns (`age`, `pregnant`, `rrt`, ...) where they are known.
    raw : ndarray of float, shape (n_patients, n_columns)
        From `raw_matrix`.
    measured : ndarray of bool, shape (n_patients, n_variables)
    variables : sequence of str, length n_variables
    """
    verdicts = Verdicts(table.rows)
    _judge_person(verdicts, table, "age" in variables)
    for feature in contract.features:
        if feature.kind == "category":
            _judge_category(verdicts, table, feature)
        else:
            _judge_number(verdicts, table, feature)
    rules = contract.guard
    _judge_information(verdicts, measured, variables, rules)
    _judge_novelty(verdicts, raw, rules.novelty)
    for case in rules.special:
        _judge_special(verdicts, table, case, variables)
    return verdicts


def _judge_person(verdicts: Verdicts, table: Table, age_matters: bool) -> None:
    """Refuse children and pregnancy; warn where age is unknown."""
    age = table.number("age")
    pregnant = table.number("pregnant") == 1
    verdicts.refuse(
        age < 18, "under_18", "The model is for adults; the patient is under 18.", "age"
    )
    verdicts.refuse(pregnant, "pregnant", "The model was not made for pregnancy.", "pregnant")
    verdicts.warn(
        np.isnan(age) & age_matters,
        "age_unknown",
        "Age is not given: that the patient is an adult was not checked.",
        "age",
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
    """Refuse an impossible value; warn of a value that was rare in training."""
    value, name = table.number(feature.name), feature.variable
    low = -math.inf if feature.low is None else feature.low
    high = math.inf if feature.high is None else feature.high
    impossible = (value < low) | (value > high)
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


def _judge_information(
    verdicts: Verdicts, measured: np.ndarray, variables: Sequence[str], rules: Guard
) -> None:
    """Refuse where the measured variables hold too little of what the model usually uses."""
    share = measured @ np.array([rules.information[name] for name in variables])
    verdicts.refuse(
        share < rules.min_information,
        "too_little_measured",
        f"The values given carry less than {100 * rules.min_information:.0f} % "
        "of what the model uses.",
    )


def _judge_novelty(verdicts: Verdicts, raw: np.ndarray, novelty: Novelty) -> None:
    """Refuse a combination of values unlike any in training; warn of a rare one."""
    if not novelty.columns:
        return
    score = novelty_score(raw[:, list(novelty.columns)], novelty)
    unlike = score > novelty.refuse_above
    verdicts.refuse(
        unlike,
        "unlike_training_cohort",
        "The combination of values is unlike the patients the model learned from.",
    )
    verdicts.warn(
        ~unlike & (score > novelty.warn_above),
        "unusual_combination",
        "The combination of values was rare in the training cohort.",
    )


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


def novelty_score(values: np.ndarray, novelty: Novelty) -> np.ndarray:
    """Return how far each row lies from the training cohort, as a standard normal deviate.

    Values become normal scores through the cohort's quantiles; the Mahalanobis distance over what
    is measured is compared with its chi-square law by Wilson and Hilferty's cube root, so that
    patients with different numbers of measurements share one scale.

    Parameters
    ----------
    values : ndarray of float, shape (n_patients, n_columns)
        The columns of `novelty`; NaN where not measured.

    Returns
    -------
    ndarray of float, shape (n_patients,)
        Higher is further; minus infinity where nothing is measured.
    """
    normal = np.asarray(novelty.normal_scores)
    scores = np.column_stack(
        [
            _normal_score(values[:, j], np.asarray(quantiles), normal)
            for j, quantiles in enumerate(novelty.quantiles)
        ]
    )
    correlation = np.asarray(novelty.correlation)
    out = np.full(len(values), -np.inf)
    patterns, which = np.unique(~np.isnan(scores), axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        k = int(pattern.sum())
        if k == 0:
            continue
        rows = np.flatnonzero(which.ravel() == i)
        z = scores[np.ix_(rows, np.flatnonzero(pattern))]
        # D^2 = z' R_oo^-1 z over the k measured columns o is about chi-square with k degrees of
        # freedom, and (D^2 / k)^(1/3) about normal with mean 1 - 2 / (9 k) and variance 2 / (9 k):
        # Wilson & Hilferty. PNAS 17 (1931) 684-688. doi:10.1073/pnas.17.12.684
        distance = (z * np.linalg.solve(correlation[np.ix_(pattern, pattern)], z.T).T).sum(1)
        spread = 2 / (9 * k)
        out[rows] = (np.cbrt(distance / k) - (1 - spread)) / math.sqrt(spread)
    return out


def _normal_score(value: np.ndarray, quantiles: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return a variable's values as normal deviates; NaN stays NaN.

    Beyond the outer quantiles each tail continues with its own slope, since most markers are
    skewed: on one scale for both, every high value would be novel and no low one.
    """
    score = np.interp(value, quantiles, normal)
    whole = max(quantiles[-1] - quantiles[0], 1e-12) / (normal[-1] - normal[0])
    for end, inside, beyond in ((0, TAIL, np.minimum), (-1, -1 - TAIL, np.maximum)):
        tail = (quantiles[end] - quantiles[inside]) / (normal[end] - normal[inside])
        score = score + beyond(value - quantiles[end], 0.0) / (tail if tail > 0 else whole)
    return np.where(np.isnan(value), np.nan, score)
