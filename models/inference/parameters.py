"""The numbers of a fitted model, as `model.json` holds them.

Part of every bundle's `model.py`: it imports only the standard library and numpy.
"""

from dataclasses import dataclass, field

import numpy as np

from models.inference.records import LEFT_OUT

__all__ = [
    "Calibration",
    "Encoding",
    "Factors",
    "HorizonBasis",
    "ModelParameters",
    "PartParameters",
    "Scaling",
    "SiteShifts",
    "Unsettled",
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
    bend_offset, bend_line : ndarray of float, shape (n_numbers, 2)
        Regression of both spline terms on the standardised value: intercept and slope.
    """

    log: np.ndarray
    low: np.ndarray
    high: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    knots: np.ndarray
    bend_offset: np.ndarray
    bend_line: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """A factor model of the linear part's columns, from which missing values are inferred.

    With z the columns less `mean` over `scale`, z = `loadings` f + e, where f are independent
    standard normal factors and e independent normal with the variances `unique`.

    Attributes
    ----------
    mean, scale, unique : ndarray of float, shape (n_linear_columns,)
    loadings : ndarray of float, shape (n_linear_columns, n_factors)
    informs : ndarray of bool, shape (n_linear_columns,)
        Whether a measured value of the column says something about others.
    """

    mean: np.ndarray
    scale: np.ndarray
    loadings: np.ndarray
    unique: np.ndarray
    informs: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Unsettled:
    """How far what is missing could still move the log-odds; see `missing.unsettled_variance`.

    Attributes
    ----------
    coef, coef_log_h : ndarray of float, shape (n_linear_columns,)
        Of the whole model's log-odds, approximated as linear in the columns.
    nodes : ndarray of float, shape (k,)
        Standardised logs of the horizons, ascending, between which the following are lines.
    factor : ndarray of float, shape (k, 2)
        Of the variance by formula and of its square.
    own : ndarray of float, shape (k, n_linear_columns)
        Variance that each missing column adds, whatever else is missing: what the approximation
        cannot see.
    """

    coef: np.ndarray
    coef_log_h: np.ndarray
    nodes: np.ndarray
    factor: np.ndarray
    own: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class HorizonBasis:
    """The spline of log horizon: its knots, and mean and scale of its three terms."""

    knots: np.ndarray
    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Affine in the log-odds: `shift + slope * log-odds + gap * unsettled share`.

    The shift is a line in log horizon between knots, and flat beyond the outer ones; the gap is a
    line between the outer knots. The unsettled share is `missing.unsettled_share`: the mean risk of
    patients is not the risk at their mean log-odds, the less so the more their values vary.

    Attributes
    ----------
    log_h : tuple of float
        Logarithms of the knots, ascending.
    shift : tuple of float
        Log-odds at each knot.
    slope : float
        Positive.
    gap : tuple of float
        At the first and the last knot.
    """

    log_h: tuple[float, ...]
    shift: tuple[float, ...]
    slope: float
    gap: tuple[float, float]

    def shift_at(self, log_h: np.ndarray) -> np.ndarray:
        """Return the shift at logarithms of horizons."""
        return np.asarray(np.interp(log_h, self.log_h, self.shift))

    def gap_at(self, log_h: np.ndarray) -> np.ndarray:
        """Return the gap at logarithms of horizons."""
        return np.asarray(np.interp(log_h, (self.log_h[0], self.log_h[-1]), self.gap))

    def log_odds(self, mixed: np.ndarray, unsettled: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return recalibrated log-odds, before any running maximum."""
        shift = self.shift_at(log_h) + self.gap_at(log_h) * unsettled
        return np.asarray(shift + self.slope * mixed)


@dataclass(frozen=True, slots=True, eq=False)
class PartParameters:
    """One fitted model without its trees.

    Attributes
    ----------
    coef_h : ndarray of float, shape (3,)
        Of the horizon's terms.
    coef, coef_log_h : ndarray of float, shape (n_linear_columns,)
        Of each column of the linear part, and of its product with log horizon.
    linear_weight : float
        Share of the linear part, in [0, 1].
    """

    horizon: HorizonBasis
    intercept: float
    coef_h: np.ndarray
    coef: np.ndarray
    coef_log_h: np.ndarray
    linear_weight: float
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class SiteShifts:
    """The level of each site beside that of all, in log-odds; see `fitting.recalibration`.

    Attributes
    ----------
    feature : str
        The column that names the patient's site; empty where it is not known.
    names : tuple of str
    shift, variance : tuple of float
        Of each named site: its level, shrunk towards 0, and what is unknown of it.
    between : float
        Variance between sites: what is unknown of the level of any other.
    """

    feature: str
    names: tuple[str, ...]
    shift: tuple[float, ...]
    variance: tuple[float, ...]
    between: float

    def of(self, sites: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return shift, variance and whether the site is a named one, each (n,), of site names."""
        place = {name: k for k, name in enumerate(self.names)}
        at = np.array([place.get(site, len(place)) for site in sites], dtype=int)
        shift, variance = np.array([*self.shift, 0.0]), np.array([*self.variance, self.between])
        return shift[at], variance[at], at < len(place)


@dataclass(frozen=True, slots=True, eq=False)
class ModelParameters:
    """Every fitted part of a model: the main one, the fold models, the competing event's.

    They share the scaling of their columns and what is inferred where a value is missing. `sites`
    is None unless the model was updated by site.
    """

    encoding: Encoding
    scaling: Scaling
    factors: Factors
    unsettled: Unsettled
    main: PartParameters
    folds: tuple[PartParameters, ...]
    competing: PartParameters | None
    sites: SiteShifts | None = field(default=None, metadata=LEFT_OUT)

    @property
    def parts(self) -> tuple[PartParameters, ...]:
        """All of them in the order of their boosters: main, folds, competing event."""
        return (self.main, *self.folds, *(() if self.competing is None else (self.competing,)))
