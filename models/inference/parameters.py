"""The numbers of a fitted model, as `model.json` holds them.

Part of every bundle's `model.py`: it imports only the standard library and numpy.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "Calibration",
    "Encoding",
    "HorizonBasis",
    "ModelParameters",
    "PartParameters",
    "Scaling",
]


@dataclass(frozen=True, slots=True)
class Encoding:
    """Which columns are numbers, and which levels each category has, ascending."""

    numbers: tuple[str, ...]
    levels: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How the linear part standardises each number; see `matrices.linear_matrix`.

    Attributes
    ----------
    log : ndarray of bool, shape (n_numbers,)
        Whether log(1 + x) is taken.
    low, high, center, scale : ndarray of float, shape (n_numbers,)
    knots : ndarray of float, shape (n_numbers, 4)
        Of the splines, in standardised units.
    """

    log: np.ndarray
    low: np.ndarray
    high: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    knots: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class HorizonBasis:
    """The spline of log horizon: its knots, and mean and scale of its three terms."""

    knots: np.ndarray
    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Affine in the log-odds: `shift at the horizon + slope * log-odds`.

    The shift is a line in log horizon between knots, and flat beyond the outer ones.

    Attributes
    ----------
    log_h : tuple of float
        Logarithms of the knots, ascending.
    shift : tuple of float
        Log-odds at each knot.
    slope : float
        Positive.
    """

    log_h: tuple[float, ...]
    shift: tuple[float, ...]
    slope: float

    def shift_at(self, log_h: np.ndarray) -> np.ndarray:
        """Return the shift at logarithms of horizons."""
        return np.asarray(np.interp(log_h, self.log_h, self.shift))

    def log_odds(self, mixed: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return recalibrated log-odds, before any running maximum."""
        return np.asarray(self.shift_at(log_h) + self.slope * mixed)


@dataclass(frozen=True, slots=True, eq=False)
class PartParameters:
    """One fitted model without its trees.

    Attributes
    ----------
    coef_h : ndarray of float, shape (3,)
        Of the horizon's terms.
    coef, coef_log_h : ndarray of float, shape (n_linear_columns,)
        Of each column of the linear part, and of its product with log horizon.
    column_mean : ndarray of float, shape (n_linear_columns,)
        Where contributions are counted from.
    linear_weight : float
        Share of the linear part, in [0, 1].
    """

    scaling: Scaling
    horizon: HorizonBasis
    intercept: float
    coef_h: np.ndarray
    coef: np.ndarray
    coef_log_h: np.ndarray
    column_mean: np.ndarray
    linear_weight: float
    calibration: Calibration


@dataclass(frozen=True, slots=True, eq=False)
class ModelParameters:
    """Every fitted part of a model: the main one, the fold models, the competing event's."""

    encoding: Encoding
    main: PartParameters
    folds: tuple[PartParameters, ...]
    competing: PartParameters | None

    @property
    def parts(self) -> tuple[PartParameters, ...]:
        """All of them in the order of their boosters: main, folds, competing event."""
        return (self.main, *self.folds, *(() if self.competing is None else (self.competing,)))
