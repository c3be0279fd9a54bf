"""The record of a public data set: how to read it, and what it may be used for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from data_schema.cohort import Cohort
from data_schema.errors import OutsideError
from models.inference.contract import StudyFacts

__all__ = ["Dataset", "Purpose", "Raw", "read_folder", "read_survset"]

Raw = pd.DataFrame
Purpose = Literal["training", "checks only"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One public data set.

    Parameters
    ----------
    name : str
        Its name on the command line, and the last part of the registered model's name.
    read : callable
        Reads the raw table; takes the data folder, or None for a data set that comes in a package.
    adapt : callable
        Turns the raw table into a cohort; every raw column is either used or dropped with a reason.
    outcome : str
        Name of the outcome; `mortality` and `fracture` are reserved for death from any cause and a
        fracture, each from a time zero.
    time_zero : str
        The moment that days are counted from; no feature may be known only later.
    source : str
        Where the table comes from.
    purpose : {"training", "checks only"}
        A data set for checks never becomes a registered model: its outcome only resembles one.
    needs_folder : bool
        Whether it is read from the data folder and not from a package.
    shares_patients_with : tuple of str
        Data sets with some of the same patients: never mixed, and neither is a test of the other.
    scores : tuple of str
        Raw columns, one value per row of the cohort, that are risk scores: left out of the
        features and ranked beside the model.
    horizons_days : tuple of float
        Default horizons of an outcome that only this data set has, and that has times.
    competing_label : str, optional
        The event that competes with such an outcome.
    notes : tuple of str
        Notes for readers of its figures.
    study : StudyFacts
        What its authors published of the study, for the checklists.
    """

    name: str
    read: Callable[[Path | None], Raw]
    adapt: Callable[[Raw], Cohort]
    outcome: str
    time_zero: str
    source: str
    purpose: Purpose = "training"
    needs_folder: bool = False
    shares_patients_with: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    horizons_days: tuple[int, ...] = ()
    competing_label: str | None = None
    notes: tuple[str, ...] = ()
    study: StudyFacts = field(default_factory=StudyFacts)


def read_survset(name: str) -> Raw:
    """Return a table of the SurvSet package, which holds the data itself and needs no network."""
    try:
        from SurvSet.data import SurvLoader
    except ImportError as missing:
        raise OutsideError(
            f"{name} comes with the SurvSet package, which is not installed. "
            "Install the benchmark extra: pip install -e '.[benchmark]' in Osteon's folder."
        ) from missing
    with warnings.catch_warnings():
        # The package's tables were pickled by numpy 1 and name one of its old modules.
        warnings.filterwarnings("ignore", "numpy.core", DeprecationWarning)
        table: Raw = SurvLoader().load_dataset(name)["df"]
    return table


def read_folder(data_dir: Path | None, file: str) -> Raw:
    """Return a CSV file of the data folder."""
    if data_dir is None:
        raise OutsideError(
            f"{file} is read from the data folder, which is not set. Set OSTEON_DATA_DIR."
        )
    path = data_dir / file
    if not path.is_file():
        raise OutsideError(f"The data folder has no {file}. Check OSTEON_DATA_DIR.")
    return pd.read_csv(path)
