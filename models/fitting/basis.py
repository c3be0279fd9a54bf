"""The columns of the linear part: their scaling, and what is inferred where one is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_schema.variables import is_not_done
from models.fitting.encoding import fit_scaling
from models.fitting.factors import fit_factors
from models.fitting.linear import Directions, LinearPart
from models.fitting.training_cohort import TrainingCohort
from models.inference.matrices import horizon_basis, linear_matrix
from models.inference.missing import (
    CHUNK,
    DirectionLimits,
    MissingTerms,
    direction_limits,
    infer,
    unsettled_share,
    variance_with_nothing,
)
from models.inference.parameters import Factors, Scaling

__all__ = ["Basis"]

Floats = NDArray[np.float64]

_PATIENTS_AT_A_TIME = 50 * CHUNK
"""Whole chunks of what is inferred, so that the last digits are those of all at once."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Scaling and factor model, fitted on some patients.

    Attributes
    ----------
    directions : tuple of int
        Settled direction of each number: 1, -1 or 0.
    ends_days : tuple of float
        The shortest and the longest horizon.
    """

    scaling: Scaling
    factors: Factors
    directions: tuple[int, ...]
    ends_days: tuple[float, float]

    @classmethod
    def fit(cls, cohort: TrainingCohort, rows: NDArray[np.int64]) -> Self:
        """Fit both on some rows of the cohort."""
        raw, n_numbers = cohort.raw[rows], cohort.n_numbers
        scaling = fit_scaling(raw, n_numbers)
        directions = cohort.boosting.directions[:n_numbers]
        columns = linear_matrix(raw, scaling)
        # The bends of a settled variable inform nothing: a straight line is monotone, whatever it
        # is multiplied by, and so can be held in its direction. Nor do flags of what was not done.
        bent = np.array(directions, dtype=bool)
        flag = np.array([is_not_done(name) for name in cohort.encoding.numbers], dtype=bool)
        informs = np.ones(columns.shape[1], dtype=bool)
        informs[: 3 * n_numbers] = ~np.concatenate([flag, bent | flag, bent | flag])
        factors = fit_factors(columns, informs=informs)
        return cls(scaling, factors, directions, cohort.ends_days)

    def columns(self, raw: Floats, part: LinearPart | None = None) -> Floats:
        """Return columns without gaps; with a part, inferred in its settled directions."""
        out = np.empty((len(raw), len(self.factors.mean)))
        self.fill(out, raw, part)
        return out

    def columns_rounded(self, raw: Floats) -> NDArray[np.float32]:
        """Return columns without gaps in single precision, to choose by."""
        out = np.empty((len(raw), len(self.factors.mean)), dtype=np.float32)
        self.fill(out, raw)
        return out

    def fill(
        self, out: Floats | NDArray[np.float32], raw: Floats, part: LinearPart | None = None
    ) -> None:
        """Write those columns into an array, (n, n_linear_columns), some patients at a time."""
        limits = None if part is None else self.limits(part)
        for start in range(0, len(raw), _PATIENTS_AT_A_TIME):
            rows = slice(start, start + _PATIENTS_AT_A_TIME)
            columns = linear_matrix(raw[rows], self.scaling)
            out[rows] = infer(
                columns, self.factors, limits, n_numbers=len(self.scaling.log)
            ).columns

    def limits(self, part: LinearPart) -> DirectionLimits:
        """Return how far each settled variable may inform what is inferred, for a part."""
        _, lz = horizon_basis(np.log(self.ends_days), part.horizon)
        return direction_limits(
            self.directions, part.coef, part.coef_log_h, lz, self.scaling, self.factors
        )

    def columns_and_unsettled(
        self, raw: Floats, part: LinearPart, days: Floats
    ) -> tuple[Floats, Floats]:
        """Return columns inferred in a part's settled directions, and its unsettled share.

        That is the share of the part's variance that missing values leave open, (n, n_days).
        """
        predictor = np.stack([part.coef, part.coef_log_h])
        columns, n_numbers = linear_matrix(raw, self.scaling), len(self.scaling.log)
        terms = MissingTerms.of(self.factors, predictor, n_numbers)
        inferred = infer(columns, self.factors, self.limits(part), (terms,), n_numbers)
        _, lz = horizon_basis(np.log(days), part.horizon)
        with_nothing = variance_with_nothing(self.factors, predictor)
        return inferred.columns, unsettled_share(inferred.open_variance[0], with_nothing, lz)

    @property
    def inequalities(self) -> Directions:
        """The settled directions as inequalities of the coefficients."""
        width = len(self.factors.mean)
        return Directions.of(self.directions, self.scaling, width, self.ends_days)
