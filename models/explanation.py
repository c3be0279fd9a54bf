"""A prediction's contributions as tables, and as what SHAP's plots take.

Contributions of a pathway are sums of its variables'; they are not the Shapley value of the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.variables import BELOW, base_name
from models.inference.prediction import Prediction

if TYPE_CHECKING:
    import shap

__all__ = [
    "MONOTONE_ADJUSTMENT",
    "NOT_MEASURED",
    "contributions_frame",
    "pathway_points",
    "shap_explanation",
]

NOT_MEASURED = "not_measured"
"""Column of what variables without a value contribute together: it is given to no pathway."""

MONOTONE_ADJUSTMENT = "monotone_adjustment"
"""Column of what keeping the risk from falling with the horizon adds."""


def contributions_frame(prediction: Prediction, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the contributions with one row per patient, horizon and variable.

    Parameters
    ----------
    prediction : Prediction
        With contributions: made with `explain=True`.
    frame : DataFrame, shape (n_patients, ...)
        What was predicted; `patient_id` is taken from it, or else its index.

    Returns
    -------
    DataFrame
        Columns `patient`, `horizon_days`, `variable`, `pathway`, `measured`, `log_odds` and
        `points`; refused patients are left out. The sum of points over the variables misses what
        the running maximum adds (`adjustment_points`).

    Raises
    ------
    ValueError
        If the prediction has no contributions, or is of another number of patients.
    """
    log_odds, points = _contributions(prediction, frame)
    n, n_horizons, n_variables = log_odds.shape
    each = n_horizons * n_variables
    table = pd.DataFrame(
        {
            "patient": np.repeat(_patients(frame), each),
            "horizon_days": np.tile(np.repeat(prediction.horizons_days, n_variables), n),
            "variable": np.tile(np.array(prediction.variables, dtype=object), n * n_horizons),
            "pathway": np.tile(np.array(prediction.pathways, dtype=object), n * n_horizons),
            "measured": np.repeat(prediction.measured, n_horizons, axis=0).ravel(),
            "log_odds": log_odds.ravel(),
            "points": points.ravel(),
        }
    )
    return table[np.repeat(_answered(prediction), each)].reset_index(drop=True)


def pathway_points(prediction: Prediction, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the points of risk of each pathway, with one row per patient and horizon.

    Parameters
    ----------
    prediction : Prediction
        With contributions: made with `explain=True`.
    frame : DataFrame, shape (n_patients, ...)
        What was predicted; `patient_id` is taken from it, or else its index.

    Returns
    -------
    DataFrame
        Columns `patient`, `horizon_days`, one per pathway, `not_measured` and
        `monotone_adjustment`; all but the first two sum to 100 * (risk - baseline_risk). Refused
        patients are left out.

    Raises
    ------
    ValueError
        If the prediction has no contributions, or is of another number of patients.
    """
    points = _contributions(prediction, frame)[1]
    n, n_horizons, _ = points.shape
    measured = prediction.measured[:, None, :]
    columns: dict[str, NDArray[np.float64]] = {
        pathway: (points * measured)[:, :, np.array(prediction.pathways) == pathway].sum(-1)
        for pathway in dict.fromkeys(prediction.pathways)
    }
    columns[NOT_MEASURED] = (points * ~measured).sum(-1)
    columns[MONOTONE_ADJUSTMENT] = np.asarray(prediction.adjustment_points)
    table = pd.DataFrame(
        {
            "patient": np.repeat(_patients(frame), n_horizons),
            "horizon_days": np.tile(prediction.horizons_days, n),
            **{name: values.ravel() for name, values in columns.items()},
        }
    )
    return table[np.repeat(_answered(prediction), n_horizons)].reset_index(drop=True)


def shap_explanation(
    prediction: Prediction, frame: pd.DataFrame, *, horizon_index: int
) -> shap.Explanation:
    """Return the contributions at one horizon as SHAP's plots take them.

    Parameters
    ----------
    prediction : Prediction
        With contributions: made with `explain=True`.
    frame : DataFrame, shape (n_patients, ...)
        What was predicted.
    horizon_index : int
        Position of the horizon in `prediction.horizons_days`.

    Returns
    -------
    shap.Explanation
        In log-odds, of the patients who were answered. Base and values sum to the logit of the
        risk before the running maximum. `data` are numbers, NaN where not measured, categories
        counted in alphabetical order; `display_data` has words for these, and "< 80" for a value
        below its limit.

    Raises
    ------
    ValueError
        If the prediction has no contributions, or is of another number of patients.
    """
    import shap  # takes seconds, and only plots need it

    values = _contributions(prediction, frame)[0][:, horizon_index]
    shown = [_shown(frame, name) for name in prediction.variables]
    rows = _answered(prediction)
    return shap.Explanation(
        values=values[rows],
        base_values=np.full(int(rows.sum()), prediction.base_log_odds[horizon_index]),
        data=np.column_stack([numbers for numbers, _ in shown])[rows],
        display_data=np.column_stack([words for _, words in shown])[rows],
        feature_names=list(prediction.variables),
    )


def _contributions(
    prediction: Prediction, frame: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log-odds and points, (n, h, v), of a prediction that has them."""
    if prediction.log_odds is None or prediction.points is None:
        raise ValueError("prediction must have contributions. Predict with explain=True.")
    if len(frame) != len(prediction.risk):
        raise ValueError("frame must be what was predicted; its number of rows differs.")
    return prediction.log_odds, prediction.points


def _answered(prediction: Prediction) -> NDArray[np.bool_]:
    """Return whether each patient was answered."""
    return np.array([status == "ok" for status in prediction.status], dtype=bool)


def _patients(frame: pd.DataFrame) -> NDArray[np.object_]:
    """Return what each row is known by."""
    known_by = frame.get("patient_id", frame.index)
    return known_by.to_numpy(dtype=object)


def _shown(frame: pd.DataFrame, variable: str) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Return a variable's values as numbers, and as what a reader sees of them."""
    # A variable may have none but its other features, such as the highest value of a day.
    columns = [name for name in frame if base_name(str(name)) == variable]
    column = variable if variable in columns else columns[0]
    values = frame[column]
    words = values.to_numpy(dtype=object).copy()
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        if f"{column}__{BELOW}" in frame:
            limited = (frame[f"{column}__{BELOW}"] == 1).to_numpy(dtype=bool)
            words[limited] = [f"< {value:g}" for value in numbers[limited]]
    else:
        codes = pd.Categorical(values).codes
        numbers = np.where(codes < 0, np.nan, codes.astype(float))
    words[values.isna().to_numpy()] = "not measured"
    return numbers, words
