"""The public data sets by name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from training.datasets import (
    ciim_breda,
    flchain,
    framingham,
    glow,
    hipstudy,
    mgus2,
    nhanes,
    pbc,
    physionet2012,
    rhc,
    support2,
)
from training.datasets.dataset import Dataset

__all__ = ["ADAPTERS", "data_folder", "dataset", "load_dataset"]

ADAPTERS: Mapping[str, Dataset] = {
    "support2": support2.DATASET,
    "rhc": rhc.DATASET,
    "flchain": flchain.DATASET,
    "framingham": framingham.DATASET,
    "physionet2012": physionet2012.DATASET,
    "glow": glow.DATASET,
    "nhanes_2017_2020": nhanes.DATASET,
    "hipstudy": hipstudy.DATASET,
    "ciim_breda": ciim_breda.DATASET,
    "mgus2": mgus2.DATASET,
    "pbc": pbc.DATASET,
}

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def dataset(name: str, *, besides: tuple[str, ...] = ()) -> Dataset:
    """Return the record of a data set; case is ignored.

    Parameters
    ----------
    besides : tuple of str
        Other names that the caller accepts, for the error message.
    """
    known = ADAPTERS.get(name.lower())
    if known is None:
        names = (*ADAPTERS, *besides)
        close = difflib.get_close_matches(name.lower(), names, n=3)
        raise UsageError(
            f"dataset must be one of {', '.join(names)}; got {name!r}."
            + (f" Did you mean {' or '.join(close)}?" if close else "")
        )
    return known


def data_folder(data_dir: Path | None = None) -> Path | None:
    """Return the folder of data files: the argument, OSTEON_DATA_DIR, or ../shared/data."""
    if data_dir is not None:
        return data_dir
    if setting := os.environ.get("OSTEON_DATA_DIR"):
        return Path(setting)
    return _BESIDE_THE_REPOSITORY if _BESIDE_THE_REPOSITORY.is_dir() else None


def load_dataset(name: str, data_dir: Path | None = None) -> Cohort:
    """Return a public data set as a cohort."""
    known = dataset(name)
    return known.adapt(known.read(data_folder(data_dir)))
