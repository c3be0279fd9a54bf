"""The patient of each row, and folds that keep a patient's rows together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from data_schema.errors import DataError

__all__ = ["patient_codes", "patient_folds"]


def patient_codes(groups: ArrayLike | None, n_rows: int) -> NDArray[np.int64]:
    """Return the patient of each row as a number, from 0 in the order of the patients' names.

    Without `groups` each row is a patient. Names that cannot be compared, such as numbers and text,
    are ordered as text.

    Raises
    ------
    DataError
        If there is not one patient for each row, or one is missing.

    Examples
    --------
    >>> patient_codes(["p7", "p3", "p7"], 3)
    array([1, 0, 1])
    """
    if groups is None:
        return np.arange(n_rows)
    if np.shape(groups) != (n_rows,):
        raise DataError(
            f"groups must hold the patient of each of {n_rows} stays; got shape "
            f"{np.shape(groups)}. Give one per row."
        )
    # A list would become an array of text, and None in it a patient.
    named = pd.Series(groups, dtype=object if isinstance(groups, list | tuple) else None)
    missing = int(named.isna().sum())
    if missing:
        raise DataError(
            f"groups must hold the patient of each of {n_rows} stays; {missing} have none. "
            "Leave them out, or give each a patient."
        )
    codes, distinct = pd.factorize(named.to_numpy())
    names = np.asarray(distinct)
    try:
        order = np.argsort(names)
    except TypeError:
        order = np.argsort(names.astype(str), kind="stable")
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return place[codes]


def patient_folds(
    groups: NDArray[Any], happened: NDArray[np.bool_], *, count: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield rows to learn from and rows held out, patient by patient.

    Patients are shuffled and dealt to the folds in turn, those with the event last, so that folds
    differ by at most one patient and by at most one patient with the event. Scikit-learn's grouped
    folds loop over patients in Python, and warn where there are fewer events than folds.

    Parameters
    ----------
    groups : ndarray, shape (n_rows,)
        Patient of each row.
    happened : ndarray of bool, shape (n_rows,)
        Whether the row has the event.
    count : int
        Number of folds, at most the number of patients. Every row is held out once.

    Examples
    --------
    >>> groups, happened = np.array([7, 7, 8, 9]), np.array([False, True, False, True])
    >>> folds = patient_folds(groups, happened, count=3, rng=np.random.default_rng(0))
    >>> sorted(held_out.tolist() for _, held_out in folds)
    [[0, 1], [2], [3]]
    """
    patients, patient_of = np.unique(groups, return_inverse=True)
    with_event = np.zeros(len(patients), dtype=bool)
    with_event[patient_of[happened]] = True
    order = rng.permutation(len(patients))
    order = order[np.argsort(with_event[order], kind="stable")]
    fold = np.empty(len(patients), dtype=np.int64)
    fold[order] = np.arange(len(patients)) % count
    for k in range(count):
        held_out = fold[patient_of] == k
        yield np.flatnonzero(~held_out), np.flatnonzero(held_out)
