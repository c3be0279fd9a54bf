"""One fitted model on its own, and its trees with the horizon resolved.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from functools import cached_property, lru_cache
from threading import Lock

import numpy as np
import xgboost as xgb

from models.inference.matrices import ColumnGroups, horizon_basis, standard_log
from models.inference.missing import Inferred, unsettled_share, variance_with_nothing
from models.inference.parameters import Factors, PartParameters
from models.inference.trees import (
    TreeContributions,
    XgbModel,
    booster_at_horizon,
    booster_document,
    tree_contributions,
)

__all__ = ["FittedPart"]

MAX_SLICES = 64


class FittedPart:
    """One fitted model on its own: linear part, booster, weight and recalibration.

    It explains; `ensemble.Ensemble` predicts. Contributions of the linear part are counted from the
    columns' means. `place` is that of the part's linear predictor in `Inferred.open_variance`.
    """

    def __init__(
        self,
        parameters: PartParameters,
        booster: xgb.Booster,
        factors: Factors,
        threads: int,
        place: int,
    ) -> None:
        self.parameters = parameters
        self.factors = factors
        self.booster = booster
        self.threads = threads
        self.place = place
        self._tree_contributions: TreeContributions = tree_contributions
        self._slices: OrderedDict[float, xgb.Booster] = OrderedDict()
        self._lock = Lock()
        self.base_log_odds = lru_cache(MAX_SLICES)(self._base_log_odds)

    @property
    def linear_predictor(self) -> np.ndarray:
        """The coefficients of the linear part and of its products with log horizon."""
        return np.stack([self.parameters.coef, self.parameters.coef_log_h])

    @cached_property
    def _variance_with_nothing(self) -> np.ndarray:
        return variance_with_nothing(self.factors, self.linear_predictor)

    @cached_property
    def _document(self) -> XgbModel:
        """The booster as JSON, from which it is resolved at each horizon."""
        return booster_document(self.booster)

    def with_tree_contributions(self, explain: TreeContributions) -> "FittedPart":
        """Return the same part with its trees explained in another way."""
        part = copy(self)
        part._tree_contributions = explain
        return part

    def prepare(self, log_h: Sequence[float]) -> None:
        """Resolve the booster at logarithms of horizons now, and find where contributions start."""
        for at in log_h:
            self.base_log_odds(at)

    def at_horizon(self, log_h: float) -> xgb.Booster:
        """Return the booster resolved at a horizon; the latest `MAX_SLICES` are cached."""
        with self._lock:
            if log_h not in self._slices:
                self._slices[log_h] = booster_at_horizon(
                    self._document, log_h, threads=self.threads
                )
            self._slices.move_to_end(log_h)
            while len(self._slices) > MAX_SLICES:
                self._slices.popitem(last=False)
            return self._slices[log_h]

    def _base_log_odds(self, log_h: float) -> float:
        """Return the log-odds that contributions start from at a horizon, for every patient."""
        own, (coef,) = self.parameters, self._linear_at([log_h])
        weight, mean = own.linear_weight, self.factors.mean
        basis, _ = horizon_basis(np.array([log_h]), own.horizon)
        mixed = weight * float(own.intercept + basis[0] @ own.coef_h + mean @ coef)
        if weight < 1:
            unmeasured = np.full((1, self.booster.num_features() - 1), np.nan)
            mixed += (1 - weight) * float(self._of_trees(unmeasured, log_h)[0, 0, -1])
        settled, at = np.zeros(1), np.array([log_h])
        return float(own.calibration.log_odds(np.array([mixed]), settled, at)[0])

    def contributions(
        self,
        raw: np.ndarray,
        inferred: Inferred,
        log_h: Sequence[float],
        groups: ColumnGroups,
        booster_groups: ColumnGroups,
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
        groups : ColumnGroups
            Which columns of the linear part belong to each of v variables.
        booster_groups : ColumnGroups
            The same for the booster's columns; the horizon's belongs to none.

        Returns
        -------
        ndarray of float, shape (n, h, v)
            With `base_log_odds` they sum to the log-odds before the running maximum, but for
            XGBoost's rounding to float32.
        """
        own, weight = self.parameters, self.parameters.linear_weight
        coef = self._linear_at(log_h)
        mixed = weight * groups.sums((inferred.columns - self.factors.mean)[:, None] * coef)
        if weight < 1:
            trees = booster_groups.sums(self._of_trees(raw, *log_h))
            mixed = mixed + (1 - weight) * trees
        of_gap = groups.sums(self._gap(inferred, np.asarray(log_h), coef))
        return np.asarray(own.calibration.slope * mixed + of_gap)

    def unsettled_share(self, inferred: Inferred, log_h: np.ndarray) -> np.ndarray:
        """Return `missing.unsettled_share` of the linear part at logarithms of horizons, (n, h)."""
        lz = standard_log(log_h, self.parameters.horizon)
        return unsettled_share(inferred.open_variance[self.place], self._variance_with_nothing, lz)

    def _gap(self, inferred: Inferred, log_h: np.ndarray, coef: np.ndarray) -> np.ndarray:
        """Return what the gap of the recalibration adds, by missing column, (n, h, columns).

        Each missing column has a share by the variance that it brings to the linear part.
        """
        gap = self.parameters.calibration.gap_at(log_h) * self.unsettled_share(inferred, log_h)
        variance = inferred.missing[:, None] * (coef * self.factors.scale) ** 2
        whole = variance.sum(-1, keepdims=True)
        share = np.divide(variance, whole, out=np.zeros_like(variance), where=whole > 0)
        return np.asarray(gap[..., None] * share)

    def _linear_at(self, log_h: Sequence[float]) -> np.ndarray:
        """Return the coefficient of each column but the horizon's at each horizon, (h, columns)."""
        own = self.parameters
        lz = standard_log(np.array(log_h), own.horizon)
        return np.asarray(own.coef + own.coef_log_h * lz[:, None])

    def _of_trees(self, raw: np.ndarray, *log_h: float) -> np.ndarray:
        """Return TreeSHAP of the columns and the horizon (0), then the base, (n, h, c)."""
        # The column of the horizon is empty: no resolved booster splits on it.
        matrix = np.column_stack([raw, np.full(len(raw), np.nan)]).astype(np.float32)
        resolved = [self.at_horizon(at) for at in log_h]
        values = self._tree_contributions(resolved, matrix, self.threads)
        return np.moveaxis(np.asarray(values, dtype=float), 0, 1)
