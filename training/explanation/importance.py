"""What moved the estimates: as `shap.Explanation`, and on average over a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import UsageError
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
    "labels_of",
    "points_digits",
    "recorded_values",
    "shap_by_pathway",
    "shap_by_variable",
]


@dataclass(frozen=True, slots=True)
class VariableImportance:
    """How much one variable moved the estimates of a cohort."""

    variable: str
    label: str
    pathway: str
    mean_points: float


@dataclass(frozen=True, slots=True)
class Importance:
    """How much variables and pathways moved the estimates of a cohort at one horizon.

    Parameters
    ----------
    horizon_days : float
        Days from time zero.
    variables : tuple of VariableImportance
        Mean over patients of |points of risk|, the largest first.
    pathways : mapping of str to float
        The same of the sum over the measured variables of each pathway, and of all that was not
        measured. Sums of their members, not a Shapley value of the group.
    """

    horizon_days: float
    variables: tuple[VariableImportance, ...]
    pathways: Mapping[str, float]

    def as_json(self) -> dict[str, object]:
        """Return the figures as they are kept in MLflow."""
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
        return risk_model.predict(frame, horizons_days, explain=True, interval=False)
    except InferenceError as error:
        raise UsageError(str(error)) from None


def importance(
    risk_model: RiskModel, frame: pd.DataFrame, horizons_days: list[float] | None = None
) -> tuple[Importance, ...]:
    """Return what moved the estimates of the patients that the model answers for, by horizon.

    Parameters
    ----------
    risk_model : RiskModel
    frame : DataFrame
        Patients that the model did not learn from.
    horizons_days : list of float, optional
        The model's default horizons without it.

    Returns
    -------
    tuple of Importance
        One for each horizon.
    """
    return importance_of(risk_model, explained(risk_model, frame, horizons_days))


def importance_of(risk_model: RiskModel, prediction: Prediction) -> tuple[Importance, ...]:
    """Return what moved the estimates of an explained prediction, as `importance` does."""
    answered = np.array([status == "ok" for status in prediction.status])
    assert prediction.points is not None  # it was asked to explain
    points, measured = prediction.points[answered], prediction.measured[answered]
    labels = labels_of(risk_model)
    found = []
    for horizon, days in enumerate(prediction.horizons_days):
        means = np.abs(points[:, horizon]).mean(axis=0)
        variables = [
            VariableImportance(name, labels[name], pathway, float(mean))
            for name, pathway, mean in zip(
                prediction.variables, prediction.pathways, means, strict=True
            )
        ]
        sums = pathway_sums(points[:, horizon], measured, prediction.pathways)
        found.append(
            Importance(
                float(days),
                tuple(sorted(variables, key=lambda one: -one.mean_points)),
                {name: float(np.abs(values).mean()) for name, values in sums.items()},
            )
        )
    return tuple(found)


def shap_by_variable(
    risk_model: RiskModel, frame: pd.DataFrame, *, horizon_days: float | None = None
) -> shap.Explanation:
    """Return contributions of each variable as SHAP's own object, for every one of its plots.

    Parameters
    ----------
    risk_model : RiskModel
    frame : DataFrame
        With every column that the model reads. Refused patients are left out.
    horizon_days : float, optional
        The model's first default horizon without it.

    Returns
    -------
    shap.Explanation
        Values in log-odds, shape (n_answered, n_variables); `base_values + values.sum(1)` is the
        logit of the risk. `data` holds numbers, categories by their place in the contract's list;
        `display_data` holds what was recorded.
    """
    prediction, answered, log_odds = _at_one_horizon(risk_model, frame, horizon_days)
    data, display = recorded_values(risk_model, frame[answered])
    labels = labels_of(risk_model)
    return _shap(
        prediction,
        answered,
        values=log_odds,
        data=data,
        display_data=display,
        names=[labels[name] for name in prediction.variables],
    )


def shap_by_pathway(
    risk_model: RiskModel, frame: pd.DataFrame, *, horizon_days: float | None = None
) -> shap.Explanation:
    """Return contributions summed by pathway as SHAP's own object; as `shap_by_variable`.

    A pathway has no value of its own, so `data` holds how many of its variables were measured.
    """
    prediction, answered, log_odds = _at_one_horizon(risk_model, frame, horizon_days)
    measured = prediction.measured[answered]
    sums = pathway_sums(log_odds, measured, prediction.pathways)
    counts = pathway_sums(np.ones(measured.shape), measured, prediction.pathways)
    data = np.column_stack(list(counts.values()))
    return _shap(
        prediction,
        answered,
        values=np.column_stack(list(sums.values())),
        data=data,
        display_data=data,
        names=list(map(pathway_label, sums)),
    )


def _shap(
    prediction: Prediction,
    answered: NDArray[np.bool_],
    *,
    values: NDArray[np.float64],
    data: NDArray[Any],
    display_data: NDArray[Any],
    names: list[str],
) -> shap.Explanation:
    import shap

    # The running maximum has no variable; in the base it keeps the sums exact.
    base = prediction.base_log_odds[0] + prediction.monotone_adjustment[answered, 0]
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
    """Return a prediction, whom it answers, and their contributions in log-odds."""
    days = risk_model.contract.default_horizons_days[0] if horizon_days is None else horizon_days
    prediction = explained(risk_model, frame, [float(days)])
    answered = np.array([status == "ok" for status in prediction.status])
    assert prediction.log_odds is not None  # it was asked to explain
    return prediction, answered, prediction.log_odds[answered, 0]


def recorded_values(
    risk_model: RiskModel, frame: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Return, by variable, what was recorded as numbers and as it is shown."""
    own = {f.name: f for f in risk_model.contract.features if f.name == f.variable}
    numbers = np.full((len(frame), len(risk_model.variables)), np.nan)
    shown = np.full(numbers.shape, None, dtype=object)
    for place, name in enumerate(risk_model.variables):
        if name not in own:  # only its maximum, slope or the like is read
            continue
        column = frame[name]
        if own[name].kind == "category":
            codes = {level: float(code) for code, level in enumerate(own[name].categories)}
            numbers[:, place] = column.map(codes).to_numpy(dtype=float, na_value=np.nan)
        else:
            numbers[:, place] = column.to_numpy(dtype=float, na_value=np.nan)
        shown[:, place] = column.to_numpy(dtype=object)
    return numbers, shown


def labels_of(risk_model: RiskModel) -> dict[str, str]:
    """Return the label of each variable that a model reads."""
    return {feature.variable: feature.label for feature in risk_model.contract.features}


def points_digits(largest: float) -> int:
    """Return the decimals to print points of risk with: one more where all of them are small.

    Examples
    --------
    >>> points_digits(12.9), points_digits(0.7)
    (1, 2)
    """
    return 1 if largest >= 2 else 2
