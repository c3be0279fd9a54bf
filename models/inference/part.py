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
from models.inference.parameters import PartParameters
from models.inference.trees import booster_at_horizon

__all__ = ["FittedPart"]

MAX_SLICES = 64


class FittedPart:
    """One fitted model on its own: linear part, booster, weight and recalibration.

    It explains; `ensemble.Ensemble` predicts. Contributions of the linear part are counted from
    `column_mean`, (n_linear_columns,).
    """

    def __init__(
        self,
        parameters: PartParameters,
        booster: xgb.Booster,
        column_mean: np.ndarray,
        threads: int,
    ) -> None:
        self.parameters = parameters
        self.column_mean = column_mean
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
        mixed = weight * float(own.intercept + basis @ own.coef_h + self.column_mean @ coef)
        if weight < 1:
            unmeasured = np.full((1, self.booster.num_features() - 1), np.nan)
            mixed += (1 - weight) * float(self._tree_contributions(unmeasured, log_h)[0, 0, -1])
        return float(own.calibration.log_odds(np.array([mixed]), np.array([log_h]))[0])

    def contributions(
        self,
        raw: np.ndarray,
        columns: np.ndarray,
        log_h: Sequence[float],
        groups: np.ndarray,
        booster_groups: np.ndarray,
    ) -> np.ndarray:
        """Return each variable's recalibrated contribution at each horizon, in log-odds.

        Parameters
        ----------
        raw : ndarray of float, shape (n, n_columns)
            From `matrices.raw_matrix`.
        columns : ndarray of float, shape (n, n_linear_columns)
            Without gaps, from `missing.infer`.
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
        mixed = weight * (((columns - self.column_mean)[:, None] * coef) @ groups)
        if weight < 1:
            trees = self._tree_contributions(raw, *log_h)[..., :-1] @ booster_groups
            mixed = mixed + (1 - weight) * trees
        return np.asarray(own.calibration.slope * mixed)

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
