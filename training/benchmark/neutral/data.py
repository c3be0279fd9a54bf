"""The data sets, outer folds and published scores of the neutral comparison, as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import OutsideError, UsageError
from training.benchmark.neutral.scores import SurvivalTimes

__all__ = ["COX", "KAPLAN_MEIER", "MEASURES", "Measure", "NeutralData", "NeutralSet"]

FOLDER = "burk2024"
COX, KAPLAN_MEIER = "CPH", "KM"
Measure = Literal["isbs", "harrell_c"]
MEASURES: tuple[Measure, ...] = ("isbs", "harrell_c")

_SCORES, _FOLDS = "published_scores.csv.gz", "test_rows.csv.gz"
_OUTCOME = ["time", "status"]


@dataclass(frozen=True, slots=True)
class NeutralSet:
    """One data set with its outer folds.

    Parameters
    ----------
    features : DataFrame, shape (n_patients, n_features)
        Numbers as float64, categories as text.
    outcome : SurvivalTimes
        In the unit of the set.
    test_rows : mapping of int to ndarray of int
        Fold -> positions of the held-out rows, from 0.
    """

    name: str
    features: pd.DataFrame
    outcome: SurvivalTimes
    test_rows: Mapping[int, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class NeutralData:
    """The folder of the comparison.

    Parameters
    ----------
    folder : Path
        Holds `published_scores.csv.gz`, `test_rows.csv.gz` and a table for each data set.
    rows : mapping of str to mapping
        Data set -> fold -> positions of the held-out rows.
    """

    folder: Path
    published: pd.DataFrame
    rows: Mapping[str, Mapping[int, NDArray[np.int64]]]

    @classmethod
    def read(cls, data_dir: Path | None) -> NeutralData:
        """Read folds and published scores; `OutsideError` if the folder does not hold them."""
        if data_dir is None or not (data_dir / FOLDER / _SCORES).is_file():
            raise OutsideError(
                f"The data folder must hold {FOLDER}/{_SCORES}. "
                "Set OSTEON_DATA_DIR to the folder that contains it."
            )
        folder = data_dir / FOLDER
        folds = pd.read_csv(folder / _FOLDS)
        rows: dict[str, dict[int, NDArray[np.int64]]] = {}
        for name, of_set in folds.groupby("dataset"):
            rows[str(name)] = {
                int(fold): of_set.loc[of_set["fold"] == fold, "row_id"].to_numpy(np.int64) - 1
                for fold in sorted(of_set["fold"].unique())
            }
        return cls(folder, pd.read_csv(folder / _SCORES), rows)

    def sets(self, names: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the named data sets, or all; `UsageError` for an unknown name."""
        unknown = sorted(set(names) - set(self.rows))
        if unknown:
            raise UsageError(
                f"sets must be of {', '.join(sorted(self.rows))}; got {', '.join(unknown)}."
            )
        return names or tuple(self.rows)

    def load(self, name: str) -> NeutralSet:
        """Return one data set."""
        path = self.folder / f"{name}.csv.gz"
        if not path.is_file():
            raise OutsideError(f"The data folder has no {FOLDER}/{path.name}.")
        table = pd.read_csv(path)
        features = table.drop(columns=_OUTCOME)
        numbers = features.select_dtypes("number").astype(np.float64)
        texts = features.drop(columns=numbers.columns).astype(object)
        texts = texts.where(texts.notna(), None)
        outcome = SurvivalTimes(
            table["time"].to_numpy(dtype=np.float64), table["status"].to_numpy(dtype=np.int64)
        )
        ordered = pd.concat([numbers, texts], axis=1)[list(features.columns)]
        return NeutralSet(name, ordered, outcome, self.rows[name])

    def published_by_fold(self, measure: Measure) -> pd.DataFrame:
        """Return the scores of every learner that was tuned for a measure, or had no tuning.

        Parameters
        ----------
        measure : {"isbs", "harrell_c"}

        Returns
        -------
        DataFrame
            Indexed by data set and fold, a column for each learner. A score that is not published
            is Kaplan-Meier's of the same fold.
        """
        tuned = self.published["tune_measure"].str.split(",").map(lambda for_: measure in for_)
        rows = self.published[tuned]
        scores = rows.pivot(index=["task_id", "iteration"], columns="learner_id", values=measure)
        filled: pd.DataFrame = scores.apply(lambda scored: scored.fillna(scores[KAPLAN_MEIER]))
        return filled
