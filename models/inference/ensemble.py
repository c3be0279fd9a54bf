"""Several fitted parts that read the same patients, predicted together.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property

import numpy as np
import xgboost as xgb

from models.inference.matrices import horizon_basis
from models.inference.missing import Inferred
from models.inference.parameters import HorizonBasis
from models.inference.part import FittedPart
from models.inference.trees import joint_booster

__all__ = ["FEW_PATIENTS", "Ensemble"]


FEW_PATIENTS = 100
"""Fewer are predicted sooner by the joint booster than by each booster in turn."""


class Ensemble:
    """Fitted parts of one encoding: their numbers stacked in arrays, their trees in one booster.

    A model and its ten fold models then take little longer for one patient than the model alone.
    Many patients are given to each booster in turn, with the same results, and so are few before
    `prepare` has joined the boosters: that takes as long as it spares in hundreds of requests.
    """

    def __init__(self, parts: Sequence[FittedPart]) -> None:
        fits = [part.parameters for part in parts]
        self._first = parts[0]
        self._calibrations = tuple(fit.calibration for fit in fits)
        self._horizon = _stacked([fit.horizon for fit in fits])
        self._coef = np.stack([fit.coef for fit in fits])[..., None]
        self._coef_log_h = np.stack([fit.coef_log_h for fit in fits])[..., None]
        self._coef_h = np.stack([fit.coef_h for fit in fits])[..., None]
        self._intercept, self._weight, self._slope = (
            np.array(values)[:, None, None]
            for values in (
                [fit.intercept for fit in fits],
                [fit.linear_weight for fit in fits],
                [fit.calibration.slope for fit in fits],
            )
        )
        self._boosters = [part.booster for part in parts]
        self._uses_trees = bool((self._weight < 1).any())

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._calibrations)

    @cached_property
    def _booster(self) -> xgb.Booster:
        """The boosters as one."""
        first, *others = self._boosters
        return joint_booster(self._boosters, self._first.threads) if others else first

    def _boosters_for(self, patients: int) -> Sequence[xgb.Booster]:
        """Return the boosters to ask for patients: each of them, or the joint one."""
        if "_booster" in vars(self) and patients < FEW_PATIENTS:
            return [self._booster]
        return self._boosters

    def prepare(self) -> None:
        """Join the boosters now."""
        if self._uses_trees:
            _ = self._booster

    def log_odds(self, raw: np.ndarray, inferred: Inferred, log_h: np.ndarray) -> np.ndarray:
        """Return the recalibrated log-odds before the running maximum.

        Parameters
        ----------
        raw : ndarray of float, shape (n, n_columns)
            From `matrices.raw_matrix`.
        inferred : Inferred
            From `missing.infer`, for the same patients.
        log_h : ndarray of float, shape (h,)
            Logarithms of horizons in days.

        Returns
        -------
        ndarray of float, shape (n_parts, n, h)
        """
        # Part j: eta_j = a_j(h) + c_j(h) u + b_j (w_j eta_linear,j + (1 - w_j) eta_boosted,j), with
        # a = `shift`, c = `gap`, b = `_slope` and w = `_weight`, as `tuning.recalibration` fitted
        # them, and u the unsettled share, which is that of the first part for all.
        mixed = self._weight * self._linear(inferred.columns, log_h)
        if self._uses_trees:
            mixed = mixed + (1 - self._weight) * self._boosted(raw, log_h)
        shift = np.stack([own.shift_at(log_h) for own in self._calibrations])[:, None]
        gap = np.stack([own.gap_at(log_h) for own in self._calibrations])[:, None]
        unsettled = self._first.unsettled_share(inferred, log_h)
        return np.asarray(shift + gap * unsettled + self._slope * mixed)

    def _linear(self, columns: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the log-odds of the linear parts, (n_parts, n, h)."""
        # alpha_j + b_j(h)'theta_j + x'beta_j + z_j(h) x'gamma_j, as in `models/fitting/linear.py`.
        # The axes are (part, patient, horizon): each part scales log h by its own constants, so
        # that z_j = `lz` carries the part's index too; x = `columns` is the same for all.
        basis, lz = horizon_basis(log_h, self._horizon)
        at_horizon = np.swapaxes(basis @ self._coef_h, 1, 2)
        slope = (columns @ self._coef_log_h) * lz[:, None]
        return np.asarray(self._intercept + at_horizon + columns @ self._coef + slope)

    def _boosted(self, raw: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the log-odds of the boosted parts, (n_parts, n, h)."""
        # Every patient at every horizon in turn; the joint booster returns one margin per row and
        # part, each of the others one per row.
        n, columns = raw.shape
        stacked = np.empty((n, len(log_h), columns + 1), dtype=np.float32)
        stacked[..., :-1] = raw[:, None]
        stacked[..., -1] = log_h
        margins = [
            booster.inplace_predict(
                stacked.reshape(-1, columns + 1),
                predict_type="margin",
                missing=np.nan,
                validate_features=False,
            )
            for booster in self._boosters_for(n)
        ]
        by_part = np.column_stack(margins).astype(float).reshape(n, len(log_h), len(self))
        return np.moveaxis(by_part, -1, 0)


def _stacked(parts: Sequence[HorizonBasis]) -> HorizonBasis:
    """Return the arrays of several parts in one, on a first axis of n_parts and a second of 1."""
    return HorizonBasis(
        **{
            field.name: np.stack([getattr(part, field.name) for part in parts])[:, None]
            for field in fields(HorizonBasis)
        }
    )
