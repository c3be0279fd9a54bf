"""Contributions to the estimates: as `shap.Explanation`, and on average over a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import UsageError
from models.bulk_contributions import bulk_tree_contributions
from models.inference.risk_model import InferenceError, Prediction, RiskModel
from models.patient_explanation import pathway_label, pathway_sums

if TYPE_CHECKING:
    import shap

__all__ = [
    "Importance",
    "VariableImportance",
    "explained",
    "importance",
    "importance_of",
    "points_digits",
    "recorded_values",
    "shap_by_pathway",
    "shap_by_variable",
]


@dataclass(frozen=True, slots=True)
class VariableImportance:
    """The mean of the absolute points of risk of one variable over a cohort."""

    variable: str
    label: str
    pathway: str
    mean_points: float


@dataclass(frozen=True, slots=True)
class Importance:
    """The mean contributions of variables and pathways over a cohort at one horizon.

    Parameters
    ----------
    horizon_days : float
        Days from time zero.
    variables : tuple of VariableImportance
        Mean over patients of the absolute points of risk, the largest first.
    pathways : mapping of str to float
        The same for the sum over the measured variables of each pathway, and over all variables
        not measured. Sums of their members, not Shapley values of the group.
    """

    horizon_days: float
    variables: tuple[VariableImportance, ...]
    pathways: Mapping[str, float]

    def as_json(self) -> dict[str, object]:
        """Return the importance as stored in MLflow."""
        return {
            "horizon_days": self.horizon_days,
            "variables": [asdict(variable) for variable in self.variables],
            "pathways": dict(self.pathways),
        }


def explained(
    risk_model: RiskModel, frame: pd.DataFrame, horizons_days: list[float] | None = None
) -> Prediction:
    """Return explained risks without intervals.

    Raises
    ------
    UsageError
        If a horizon lies outside the model's range.
    """
    try:
        in_bulk = risk_model.with_tree_contributions(bulk_tree_contributions)
        return in_bulk.predict(frame, horizons_days, explain=True, interval=False)
    except InferenceError as error:
        raise UsageError(str(error)) from None


def importance(
    risk_model: RiskModel, frame: pd.DataFrame, horizons_days: list[float] | None = None
) -> tuple[Importance, ...]:
    """Return the mean contributions over the patients not refused, by horizon.

    Parameters
    ----------
    risk_model : RiskModel
    frame : DataFrame
        Patients outside the training cohort.
    horizons_days : list of float, optional
        Days from time zero (default: the model's default horizons).
    """
    return importance_of(risk_model, explained(risk_model, frame, horizons_days))


def importance_of(risk_model: RiskModel, prediction: Prediction) -> tuple[Importance, ...]:
    """Return the mean contributions of an explained prediction, as `importance` does."""
    available = np.array([status == "ok" for status in prediction.status])
    assert prediction.points is not None  # the prediction is explained
    points, measured = prediction.points[available], prediction.measured[available]
    labels = _labels_of(risk_model)
    by_horizon = []
    for horizon, days in enumerate(prediction.horizons_days):
        means = np.abs(points[:, horizon]).mean(axis=0)
        variables = [
            VariableImportance(name, labels[name], pathway, float(mean))
            for name, pathway, mean in zip(
                prediction.variables, prediction.pathways, means, strict=True
            )
        ]
        sums = pathway_sums(points[:, horizon], measured, prediction.pathways)
        by_horizon.append(
            Importance(
                float(days),
                tuple(sorted(variables, key=lambda variable: -variable.mean_points)),
                {name: float(np.abs(values).mean()) for name, values in sums.items()},
            )
        )
    return tuple(by_horizon)


def shap_by_variable(
    risk_model: RiskModel, frame: pd.DataFrame, *, horizon_days: float | None = None
) -> shap.Explanation:
    """Return contributions of each variable as SHAP's own object, for all of its plots.

    Parameters
    ----------
    risk_model : RiskModel
    frame : DataFrame
        With every column that the model reads. Refused patients are left out.
    horizon_days : float, optional
        Days from time zero (default: the model's first default horizon).

    Returns
    -------
    shap.Explanation
        Values in log-odds, shape (n_not_refused, n_variables); `base_values + values.sum(1)` is
        the logit of the risk. `data` holds numbers, and categories as their position in the
        contract's list; `display_data` holds the recorded values.
    """
    prediction, available, log_odds = _at_one_horizon(risk_model, frame, horizon_days)
    data, display = recorded_values(risk_model, frame[available])
    labels = _labels_of(risk_model)
    return _shap(
        prediction,
        available,
        values=log_odds,
        data=data,
        display_data=display,
        names=[labels[name] for name in prediction.variables],
    )


def shap_by_pathway(
    risk_model: RiskModel, frame: pd.DataFrame, *, horizon_days: float | None = None
) -> shap.Explanation:
    """Return contributions summed by pathway as SHAP's own object; see `shap_by_variable`.

    A pathway has no value of its own, so `data` holds how many of its variables were measured.
    """
    prediction, available, log_odds = _at_one_horizon(risk_model, frame, horizon_days)
    measured = prediction.measured[available]
    sums = pathway_sums(log_odds, measured, prediction.pathways)
    counts = pathway_sums(np.ones(measured.shape), measured, prediction.pathways)
    data = np.column_stack(list(counts.values()))
    return _shap(
        prediction,
        available,
        values=np.column_stack(list(sums.values())),
        data=data,
        display_data=data,
        names=list(map(pathway_label, sums)),
    )


def _shap(
    prediction: Prediction,
    available: NDArray[np.bool_],
    *,
    values: NDArray[np.float64],
    data: NDArray[Any],
    display_data: NDArray[Any],
    names: list[str],
) -> shap.Explanation:
    import shap

    # The monotone adjustment belongs to no variable; in the base it keeps the sums exact.
    base = prediction.base_log_odds[0] + prediction.monotone_adjustment[available, 0]
    return shap.Explanation(
        values=values,
        base_values=base,
        data=data,
        display_data=display_data,
        feature_names=names,
        output_names=f"log-odds of risk at {prediction.horizons_days[0]:g} days",
    )


def _at_one_horizon(
    risk_model: RiskModel, frame: pd.DataFrame, horizon_days: float | None
) -> tuple[Prediction, NDArray[np.bool_], NDArray[np.float64]]:
    """Return a prediction, the patients not refused, and their contributions in log-odds."""
    days = risk_model.contract.default_horizons_days[0] if horizon_days is None else horizon_days
    prediction = explained(risk_model, frame, [float(days)])
    available = np.array([status == "ok" for status in prediction.status])
    assert prediction.log_odds is not None  # the prediction is explained
    return prediction, available, prediction.log_odds[available, 0]


def recorded_values(
    risk_model: RiskModel, frame: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Return the recorded values by variable, as numbers and as displayed."""
    own = {f.name: f for f in risk_model.contract.features if f.name == f.variable}
    numbers = np.full((len(frame), len(risk_model.variables)), np.nan)
    display = np.full(numbers.shape, None, dtype=object)
    for place, name in enumerate(risk_model.variables):
        if name not in own:  # the model reads only its maximum, slope or similar
            continue
        column = frame[name]
        if own[name].kind == "category":
            codes = {level: float(code) for code, level in enumerate(own[name].categories)}
            numbers[:, place] = column.map(codes).to_numpy(dtype=float, na_value=np.nan)
        else:
            numbers[:, place] = column.to_numpy(dtype=float, na_value=np.nan)
        display[:, place] = column.to_numpy(dtype=object)
    return numbers, display


def _labels_of(risk_model: RiskModel) -> dict[str, str]:
    return {feature.variable: feature.label for feature in risk_model.contract.features}


def points_digits(largest: float) -> int:
    """Return the decimals for points of risk: one more where all of them are small.

    Examples
    --------
    >>> points_digits(12.9), points_digits(0.7)
    (1, 2)
    """
    return 1 if largest >= 2 else 2
