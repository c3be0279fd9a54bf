"""One fitted model on its own, and its trees with the horizon resolved.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
import xgboost as xgb

from models.inference.matrices import horizon_basis
from models.inference.missing import Inferred, unsettled_share
from models.inference.parameters import Factors, PartParameters
from models.inference.trees import booster_at_horizon

__all__ = ["FittedPart"]

MAX_SLICES = 64


class FittedPart:
    """One fitted model on its own: linear part, booster, weight and recalibration.

    It explains; `ensemble.Ensemble` predicts. Contributions of the linear part are counted from the
    columns' means.
    """

    def __init__(
        self,
        parameters: PartParameters,
        booster: xgb.Booster,
        factors: Factors,
        threads: int,
    ) -> None:
        self.parameters = parameters
        self.factors = factors
        self.booster = booster
        self.threads = threads
        self._slices: OrderedDict[float, xgb.Booster] = OrderedDict()
        self._lock = Lock()
        self.base_log_odds = lru_cache(MAX_SLICES)(self._base_log_odds)

    def at_horizon(self, log_h: float) -> xgb.Booster:
        """Return the booster resolved at a horizon; the latest `MAX_SLICES` are cached."""
        with self._lock:
            if log_h not in self._slices:
                self._slices[log_h] = booster_at_horizon(self.booster, log_h, threads=self.threads)
            self._slices.move_to_end(log_h)
            while len(self._slices) > MAX_SLICES:
                self._slices.popitem(last=False)
            return self._slices[log_h]

    def _base_log_odds(self, log_h: float) -> float:
        """Return the log-odds that contributions start from at a horizon, for every patient."""
        own, (basis, coef) = self.parameters, self._linear_at(log_h)
        weight = own.linear_weight
        mixed = weight * float(own.intercept + basis @ own.coef_h + self.factors.mean @ coef)
        if weight < 1:
            unmeasured = np.full((1, self.booster.num_features() - 1), np.nan)
            mixed += (1 - weight) * float(self._tree_contributions(unmeasured, log_h)[0, 0, -1])
        settled, at = np.zeros(1), np.array([log_h])
        return float(own.calibration.log_odds(np.array([mixed]), settled, at)[0])

    def contributions(
        self,
        raw: np.ndarray,
        inferred: Inferred,
        log_h: Sequence[float],
        groups: np.ndarray,
        booster_groups: np.ndarray,
    ) -> np.ndarray:
        """Return each variable's recalibrated contribution at each horizon, in log-odds.

        Parameters
        ----------
        raw : ndarray of float, shape (n, n_columns)
            From `matrices.raw_matrix`.
        inferred : Inferred
            From `missing.infer`, for the same patients.
        log_h : sequence of float, length h
            Logarithms of the horizons in days.
        groups : ndarray of float, shape (n_linear_columns, v)
            1 where a column of the linear part belongs to a variable.
        booster_groups : ndarray of float, shape (n_columns + 1, v)
            The same for the booster's columns; the horizon's belongs to none.

        Returns
        -------
        ndarray of float, shape (n, h, v)
            With `base_log_odds` they sum to the log-odds before the running maximum, but for
            XGBoost's rounding to float32.
        """
        own, weight = self.parameters, self.parameters.linear_weight
        coef = np.stack([self._linear_at(at)[1] for at in log_h])
        mixed = weight * (((inferred.columns - self.factors.mean)[:, None] * coef) @ groups)
        if weight < 1:
            trees = self._tree_contributions(raw, *log_h)[..., :-1] @ booster_groups
            mixed = mixed + (1 - weight) * trees
        of_gap = self._gap(inferred, np.asarray(log_h), coef) @ groups
        return np.asarray(own.calibration.slope * mixed + of_gap)

    def unsettled_share(self, inferred: Inferred, log_h: np.ndarray) -> np.ndarray:
        """Return `missing.unsettled_share` of the linear part at logarithms of horizons, (n, h)."""
        own = self.parameters
        _, lz = horizon_basis(log_h, own.horizon)
        return unsettled_share(inferred, self.factors, own.coef, own.coef_log_h, lz)

    def _gap(self, inferred: Inferred, log_h: np.ndarray, coef: np.ndarray) -> np.ndarray:
        """Return what the gap of the recalibration adds, by missing column, (n, h, columns).

        Each missing column has a share by the variance that it brings to the linear part.
        """
        gap = self.parameters.calibration.gap_at(log_h) * self.unsettled_share(inferred, log_h)
        variance = inferred.missing[:, None] * (coef * self.factors.scale) ** 2
        whole = variance.sum(-1, keepdims=True)
        share = np.divide(variance, whole, out=np.zeros_like(variance), where=whole > 0)
        return np.asarray(gap[..., None] * share)

    def _linear_at(self, log_h: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the horizon's columns and the coefficient of each other column at a horizon."""
        own = self.parameters
        basis, lz = horizon_basis(np.array([log_h]), own.horizon)
        return basis[0], own.coef + own.coef_log_h * lz[0]

    def _tree_contributions(self, raw: np.ndarray, *log_h: float) -> np.ndarray:
        """Return TreeSHAP of the columns and the horizon (0), then the base, (n, h, c)."""
        # The column of the horizon is empty: no resolved booster splits on it.
        matrix = np.column_stack([raw, np.full(len(raw), np.nan)]).astype(np.float32)
        rows = xgb.DMatrix(matrix, nthread=self.threads)
        values = [
            self.at_horizon(at).predict(rows, pred_contribs=True, validate_features=False)
            for at in log_h
        ]
        shape = (len(log_h), len(raw), matrix.shape[1] + 1)
        return np.moveaxis(np.asarray(values, dtype=float).reshape(shape), 0, 1)
