"""Patients with some of their fields left empty, as at the bedside, the same ones every time."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from data_schema.variables import base_name

__all__ = ["blanked"]


def blanked(
    features: pd.DataFrame, share: float, patient_ids: ArrayLike, *, seed: int = 0
) -> pd.DataFrame:
    """Return patients with each variable left empty with a given probability.

    Parameters
    ----------
    features : DataFrame, shape (n_stays, n_columns)
        Columns of the catalogue's names; those of a variable (`ctx_s`, `ctx_s__below`,
        `ctx_s__max`) are left empty together.
    share : float
        Probability that a variable is left empty, in [0, 1], independently of the others.
    patient_ids : array-like of str, shape (n_stays,)
        Patient of each stay.
    seed : int
        A different seed gives other gaps.

    Returns
    -------
    DataFrame, shape (n_stays, n_columns)
        What is left empty is NaN. Whether a variable of a patient is left empty depends on seed,
        patient and variable alone, not on the other rows and columns, so that two models or two
        folds see the same gaps; and what is empty at a share is empty at every larger one.

    Raises
    ------
    ValueError
        If the share is not a probability.

    Notes
    -----
    These gaps are random. In a hospital they follow severity and ordering, and may cost more.

    Examples
    --------
    >>> patients = pd.DataFrame({"age": [70, 60], "ctx_s": [0.4, 0.2], "ctx_s__max": [0.5, 0.2]})
    >>> blanked(patients, 0.5, ["a", "c"])
        age  ctx_s  ctx_s__max
    0   NaN    NaN         NaN
    1  60.0    NaN         NaN
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be a probability; got {share:g}.")
    patient, row = np.unique(np.asarray(patient_ids).astype(str), return_inverse=True)
    of_patient = _hashes(patient, seed, b"patient")[row]
    variable_of = {str(column): base_name(str(column)) for column in features.columns}
    variables = list(dict.fromkeys(variable_of.values()))
    empty = {
        variable: _uniform(of_patient + key) < share
        for variable, key in zip(variables, _hashes(variables, seed, b"variable"), strict=True)
    }
    return pd.DataFrame(
        {
            column: features[column].mask(empty[variable])
            for column, variable in variable_of.items()
        },
        index=features.index,
    )


def _hashes(names: ArrayLike, seed: int, what: bytes) -> NDArray[np.uint64]:
    """Return a 64-bit number for each name."""
    key = seed.to_bytes(8, "little", signed=True)
    digests = [
        hashlib.blake2b(str(name).encode(), digest_size=8, key=key, person=what).digest()
        for name in np.asarray(names)
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _uniform(number: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each 64-bit number: the finaliser of SplitMix64."""
    mixed = number
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
