"""Splits of a cohort in which no patient is on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.errors import DataError, UsageError

__all__ = ["Split", "folds_by_patient", "repeated_folds", "repeated_splits", "split_by_patient"]

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Row positions of one split of a cohort; no patient is in both parts."""

    train: Rows
    test: Rows


def split_by_patient(
    cohort: Cohort,
    *,
    test_fraction: float = 0.3,
    random_state: int,
    by: Literal["site", "time"] | None = None,
) -> Split:
    """Split a cohort into training and test rows, all stays of a patient on one side.

    Parameters
    ----------
    cohort : Cohort
        With an outcome.
    test_fraction : float
        Share of the patients to hold out, strictly between 0 and 1.
    random_state : int
        Seed of a random split; a split by site or time is not random.
    by : {"site", "time"}, optional
        Hold out the last sites (in the order of their names), or the last patients (in the order
        of their time zero), instead of patients at random within each kind of event. Training then
        sees no stay of a held-out site, and none later than the cut: a patient with a stay beyond
        it is held out altogether.

    Raises
    ------
    UsageError
        If the fraction is out of range, or `by` names sites or times that the cohort lacks.
    DataError
        If there are too few patients or sites to hold some out.
    """
    if not 0 < test_fraction < 1:
        raise UsageError(f"test_fraction must lie strictly between 0 and 1; got {test_fraction}.")
    patient_of_row = _patient_numbers(cohort)
    if by is None:
        held_out = _random_patients(cohort, patient_of_row, test_fraction, random_state)
    else:
        held_out = _last_patients(_order(cohort, by), patient_of_row, test_fraction)
    in_test = held_out[patient_of_row]
    if in_test.all() or not in_test.any():
        raise DataError(
            f"a split by {by or 'patient'} must leave patients on both sides; got one side only. "
            f"The cohort must have at least two {'sites' if by == 'site' else 'patients'}."
        )
    return Split(train=np.flatnonzero(~in_test), test=np.flatnonzero(in_test))


def repeated_splits(
    cohort: Cohort, *, repeats: int, test_fraction: float = 0.3, random_state: int
) -> Iterator[Split]:
    """Yield random splits by patient, each with a seed of its own."""
    for seed in np.random.SeedSequence(random_state).generate_state(repeats):
        yield split_by_patient(cohort, test_fraction=test_fraction, random_state=int(seed))


def repeated_folds(
    cohort: Cohort, *, repeats: int, folds: int = 5, random_state: int
) -> Iterator[Split]:
    """Yield the folds of repeated cross-validation, each repeat with a seed of its own."""
    for seed in np.random.SeedSequence(random_state).generate_state(repeats):
        yield from folds_by_patient(cohort, folds=folds, random_state=int(seed))


def folds_by_patient(cohort: Cohort, *, folds: int, random_state: int) -> tuple[Split, ...]:
    """Return at least 2 folds of patients, stratified by event, each patient in one test part.

    Raises
    ------
    DataError
        If there are fewer patients than folds.
    """
    patient_of_row = _patient_numbers(cohort)
    stratum = _worst_event(cohort, patient_of_row)
    if len(stratum) < folds:
        raise DataError(
            f"patients must number at least {folds} for {folds} folds; got {len(stratum)}."
        )
    shuffled = np.random.default_rng(random_state).permutation(len(stratum))
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    fold = np.empty(len(stratum), dtype=np.int64)
    fold[dealt] = np.arange(len(stratum)) % folds
    row_fold = fold[patient_of_row]
    return tuple(
        Split(train=np.flatnonzero(row_fold != k), test=np.flatnonzero(row_fold == k))
        for k in range(folds)
    )


def _patient_numbers(cohort: Cohort) -> Rows:
    """Number the patients in the order of their identifiers, so that row order does not matter."""
    return np.unique(cohort.patient_id.astype(str), return_inverse=True)[1].astype(np.int64)


def _worst_event(cohort: Cohort, patient_of_row: Rows) -> Rows:
    """Return, per patient, 2 if the outcome ever happened, 1 if the competing event did, else 0."""
    if cohort.outcome is None:
        raise UsageError("a cohort must have an outcome to be split; got none.")
    rank = np.array([0, 2, 1])[cohort.outcome.event]
    worst = np.zeros(patient_of_row.max(initial=-1) + 1, dtype=np.int64)
    np.maximum.at(worst, patient_of_row, rank)
    return worst


def _random_patients(
    cohort: Cohort, patient_of_row: Rows, test_fraction: float, random_state: int
) -> NDArray[np.bool_]:
    """Hold out the share of patients at random within each kind of event."""
    rng = np.random.default_rng(random_state)
    stratum = _worst_event(cohort, patient_of_row)
    held_out = np.zeros(len(stratum), dtype=bool)
    for kind in np.unique(stratum):
        patients = rng.permutation(np.flatnonzero(stratum == kind))
        held_out[patients[: round(test_fraction * len(patients))]] = True
    return held_out


def _order(cohort: Cohort, by: Literal["site", "time"]) -> Rows:
    """Return the rank of every stay's site or time zero."""
    values = cohort.site if by == "site" else cohort.time_zero
    if values is None or pd.isna(values).any():
        raise UsageError(f"a split by {by} requires the {by} of every stay.")
    keys = values.astype(str) if by == "site" else pd.to_datetime(list(values), utc=True).to_numpy()
    rank: Rows = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return rank


def _last_patients(rank: Rows, patient_of_row: Rows, test_fraction: float) -> NDArray[np.bool_]:
    """Hold out the patients of the last ranks without dividing a site or a point in time."""
    last = np.zeros(patient_of_row.max() + 1, dtype=np.int64)
    np.maximum.at(last, patient_of_row, rank)
    share = np.array([(last >= cut).mean() for cut in np.unique(last)])
    # The smallest set that reaches the share; a large last site is held out completely.
    cut = np.unique(last)[np.flatnonzero(share >= test_fraction)[-1]]
    beyond: NDArray[np.bool_] = last >= cut
    return beyond
