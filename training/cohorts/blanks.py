"""Fields left empty, as at the bedside: at random, by hidden value, or as in other patients.

A field is a variable with all of its columns. A blank means "not entered", as an empty cell of a
table does, whether the variable was measured or is recorded as not done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtri

from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from data_schema.variables import base_name, is_not_done, is_state

__all__ = [
    "blanks_at_random",
    "blanks_by_hidden_value",
    "blanks_of",
    "fields_of",
    "measured_fields",
    "transplanted_blanks",
    "with_blanks",
]

Blanks = NDArray[np.bool_]

RISE_PER_SD = 2.0
"""By how much the log-odds of a blank rise with each SD of a hidden value."""


def fields_of(features: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of each field, in the order of the first column of each.

    Examples
    --------
    >>> fields_of(pd.DataFrame(columns=["age", "crp", "crp__below"]))
    {'age': ['age'], 'crp': ['crp', 'crp__below']}
    """
    fields: dict[str, list[str]] = {}
    for column in map(str, features.columns):
        fields.setdefault(base_name(column), []).append(column)
    return fields


def measured_fields(features: pd.DataFrame) -> Blanks:
    """Return whether each field has a value, (n_rows, n_fields); flags of a state are none."""
    values = [
        [column for column in columns if not is_state(column)]
        for columns in fields_of(features).values()
    ]
    return np.column_stack([features[columns].notna().any(axis=1) for columns in values])


def with_blanks(cohort: Cohort, blanks: Blanks) -> Cohort:
    """Return the cohort with some fields empty.

    Parameters
    ----------
    blanks : ndarray of bool, shape (n_rows, n_fields)
        Fields to empty, in the order of `fields_of`.
    """
    fields = fields_of(cohort.features)
    if blanks.shape != (len(cohort), len(fields)):
        raise ValueError(
            f"blanks must have shape ({len(cohort)}, {len(fields)}); got {blanks.shape}. "
            "Give one row per row of the cohort and one column per field."
        )
    emptied = {
        column: cohort.features[column].mask(
            blanks[:, place], 0.0 if is_not_done(column) else np.nan
        )
        for place, columns in enumerate(fields.values())
        for column in columns
    }
    return replace(cohort, features=pd.DataFrame(emptied)[list(cohort.features.columns)])


def blanks_of(features: pd.DataFrame, names: Collection[str]) -> Blanks:
    """Return blanks of the named fields in every row, (n_rows, n_fields)."""
    fields = fields_of(features)
    unknown = sorted(set(names) - set(fields))
    if unknown:
        raise UsageError(f"names must be fields of the cohort; not among them: {unknown}.")
    return np.tile([field in names for field in fields], (len(features), 1))


def blanks_at_random(
    features: pd.DataFrame, share: ArrayLike, *, rng: np.random.Generator
) -> Blanks:
    """Return blanks that are independent of everything, (n_rows, n_fields).

    Parameters
    ----------
    share : float, or array-like of float, shape (n_rows,)
        Probability that a field is empty, for all rows or by row.
    """
    shape = (len(features), len(fields_of(features)))
    shares = np.broadcast_to(np.asarray(share, dtype=np.float64), len(features))
    return np.asarray(rng.random(shape) < shares[:, None])


def blanks_by_hidden_value(
    features: pd.DataFrame,
    share: float,
    *,
    hidden: Mapping[str, Literal[-1, 1]] | Literal["high", "low"],
    rng: np.random.Generator,
) -> Blanks:
    r"""Return blanks whose probability rises, or falls, with the value that they hide.

    Parameters
    ----------
    features : DataFrame
        The values; a category has no order, and is emptied at random.
    share : float
        Mean share of the measured values of a field that are emptied, between 0 and 1.
    hidden : {"high", "low"}, or mapping of str to {-1, 1}
        Which values are hidden more often; or by field 1 for high and -1 for low ones. A field that
        a mapping does not name is emptied at random.

    Returns
    -------
    ndarray of bool, shape (n_rows, n_fields)
        Fields that were not measured are not among the blanks.

    Notes
    -----
    :math:`\mathrm{logit} P = a + b z`, with z the normal score of the value's rank in its field
    (of several columns, the first numeric one), b = 2 in the direction hidden, and a such that the
    mean of P is `share`.
    """
    fields, measured = fields_of(features), measured_fields(features)
    probability = np.zeros(measured.shape)
    for place, (field, columns) in enumerate(fields.items()):
        way = (1 if hidden == "high" else -1) if isinstance(hidden, str) else hidden.get(field, 0)
        rows = measured[:, place]
        score = way * _normal_scores(features.loc[rows, columns])
        probability[rows, place] = _rising(score, share)
    return np.asarray(rng.random(measured.shape) < probability)


def transplanted_blanks(
    features: pd.DataFrame, donors: pd.DataFrame, *, rng: np.random.Generator
) -> Blanks:
    """Return blanks such that a patient lacks what another, drawn at random, lacks.

    Parameters
    ----------
    features, donors : DataFrame
        Patients, and those whose gaps they get; with the same columns.

    Returns
    -------
    ndarray of bool, shape (n_rows, n_fields)
        Only measured fields of `features` are among the blanks.
    """
    gaps = ~measured_fields(donors[list(features.columns)])
    drawn = gaps[rng.integers(len(donors), size=len(features))]
    return np.asarray(drawn & measured_fields(features))


def _normal_scores(values: pd.DataFrame) -> NDArray[np.float64]:
    """Return the normal scores of the ranks of the first numeric column, 0 where there is none."""
    numbers = [column for column in values if pd.api.types.is_numeric_dtype(values[column])]
    if not numbers or not len(values):
        return np.zeros(len(values))
    ranks = values[numbers[0]].rank(method="average", na_option="keep")
    scores = ndtri((ranks - 0.5) / max(int(ranks.notna().sum()), 1))
    return np.nan_to_num(np.asarray(scores, dtype=np.float64))


def _rising(score: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return probabilities that rise with a score and have a stated mean."""
    if not len(score) or share <= 0:
        return np.zeros(len(score))
    slope = RISE_PER_SD * score
    reach = 40.0 + float(np.abs(slope).max())
    level = brentq(lambda a: float(expit(a + slope).mean()) - share, -reach, reach)
    return np.asarray(expit(level + slope))
