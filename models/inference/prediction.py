"""What a model predicts: risks, intervals, contributions, refusals and warnings.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from models.inference.completeness import Completeness
from models.inference.matrices import expit

__all__ = ["Curve", "Prediction", "Remark", "points_per_log_odds"]


class Remark(NamedTuple):
    """Why a patient is refused, or a warning beside the risk; it holds no value of a patient."""

    code: str
    message: str
    variables: tuple[str, ...]


class Prediction(NamedTuple):
    """Risks of n patients at h horizons, explained by v variables; refused patients hold NaN.

    Contributions are in log-odds (`log_odds`) and in points of risk (`points`, percent), such that
    `base_log_odds + log_odds.sum(-1) + monotone_adjustment` is the logit of `risk` and
    `points.sum(-1) + adjustment_points` is `100 * (risk - baseline_risk)`.

    Attributes
    ----------
    horizons_days : ndarray of float, shape (h,)
        Days from time zero.
    risk : ndarray of float, shape (n, h)
        Cumulative incidence, in [0, 1]; higher is riskier.
    risk_low, risk_high : ndarray of float, shape (n, h)
        The interval's ends; NaN without an interval.
    baseline_risk : ndarray of float, shape (h,)
        Inverse logit of `base_log_odds`: a reference, not the average patient.
    cohort_risk : ndarray of float, shape (h,)
        Mean risk of the training cohort.
    competing_risk : ndarray of float, shape (n, h), or None
        Risk that the competing event comes first, at most `1 - risk`; None without such a curve.
    base_log_odds : ndarray of float, shape (h,)
        What contributions start from.
    monotone_adjustment : ndarray of float, shape (n, h)
        Log-odds added by the running maximum, >= 0.
    variables, pathways : tuple of str, length v
        The variables that have contributions, and the pathway of each.
    measured : ndarray of bool, shape (n, v)
        Whether the patient has a value of the variable.
    log_odds, points : ndarray of float, shape (n, h, v), or None
        Contributions, where explained; those of pathways are sums of their variables'.
    adjustment_points : ndarray of float, shape (n, h)
        Points of the adjustment.
    unsettled : ndarray of float, shape (n, h)
        Variance that the values not entered could still add to the log-odds.
    completeness : list of str, length n
        How little that is: `complete`, `partial`, `sparse` or `insufficient`.
    status : list of str, length n
        `ok` or `refused`.
    refusals, warnings : list of list of Remark, length n
    """

    horizons_days: np.ndarray
    risk: np.ndarray
    risk_low: np.ndarray
    risk_high: np.ndarray
    baseline_risk: np.ndarray
    cohort_risk: np.ndarray
    competing_risk: np.ndarray | None
    base_log_odds: np.ndarray
    monotone_adjustment: np.ndarray
    outcome: str
    variables: tuple[str, ...]
    pathways: tuple[str, ...]
    measured: np.ndarray
    log_odds: np.ndarray | None
    points: np.ndarray | None
    adjustment_points: np.ndarray
    unsettled: np.ndarray
    completeness: list[Completeness]
    status: list[str]
    refusals: list[list[Remark]]
    warnings: list[list[Remark]]

    def to_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return one row per patient and horizon.

        Parameters
        ----------
        frame : DataFrame, shape (n, ...)
            What was predicted; `patient_id`, `stay_id` and `time_zero` are taken from it.

        Returns
        -------
        DataFrame, shape (n * h, ...)
            Codes of refusals and of warnings are joined by ";"; where an event competes, there is
            `competing_risk`; where explained, one `contribution__<variable>` (log-odds) and one
            `points__<variable>` each.
        """
        n, h = self.risk.shape

        def per_row(column: str) -> np.ndarray:
            values = frame[column] if column in frame else pd.Series([None] * n, dtype=object)
            return np.repeat(values.to_numpy(dtype=object), h)

        codes = [";".join(remark.code for remark in refusals) for refusals in self.refusals]
        warned = [
            ";".join(dict.fromkeys(remark.code for remark in warnings))
            for warnings in self.warnings
        ]
        columns: dict[str, Sequence[object] | np.ndarray | str] = {
            "patient_id": per_row("patient_id"),
            "stay_id": per_row("stay_id"),
            "outcome": self.outcome,
            "time_zero": per_row("time_zero"),
            "horizon_days": np.tile(self.horizons_days, n),
            "status": np.repeat(self.status, h),
            "refusal_code": np.repeat(codes, h),
            "warning_code": np.repeat(warned, h),
            "risk": self.risk.ravel(),
            "risk_low": self.risk_low.ravel(),
            "risk_high": self.risk_high.ravel(),
            "baseline_risk": np.tile(self.baseline_risk, n),
            "cohort_risk": np.tile(self.cohort_risk, n),
            "base_log_odds": np.tile(self.base_log_odds, n),
            "monotone_adjustment": self.monotone_adjustment.ravel(),
        }
        if self.competing_risk is not None:
            columns["competing_risk"] = self.competing_risk.ravel()
        if self.log_odds is not None and self.points is not None:
            for j, name in enumerate(self.variables):
                columns[f"contribution__{name}"] = self.log_odds[:, :, j].ravel()
            for j, name in enumerate(self.variables):
                columns[f"points__{name}"] = self.points[:, :, j].ravel()
        return pd.DataFrame(columns)


class Curve(NamedTuple):
    """Risks of n patients over g days, refused patients included; fields as in `Prediction`."""

    days: np.ndarray
    risk: np.ndarray
    risk_low: np.ndarray
    risk_high: np.ndarray
    cohort_risk: np.ndarray
    competing_risk: np.ndarray | None


def points_per_log_odds(log_odds: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return points of risk (percent) per unit of log-odds between baseline and patient.

    Parameters
    ----------
    log_odds : ndarray of float, shape (n, h)
        Logit of the risk.
    base : ndarray of float, shape (h,)
        Logit of the baseline risk.

    Returns
    -------
    ndarray of float, shape (n, h)
        The slope of the chord of the inverse logit; of its tangent where the two coincide.
    """
    p0, p = expit(base), expit(log_odds)
    step = log_odds - base
    near = np.abs(step) < 1e-6
    slope: np.ndarray = np.where(near, p0 * (1 - p0), (p - p0) / np.where(near, 1.0, step))
    return 100 * slope
