"""What is inferred where a value is missing, and how far the missing values could move a risk.

Part of every bundle's `model.py`: it imports only the standard library and numpy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.inference.matrices import spline_slope
from models.inference.parameters import Factors, Scaling, Unsettled

__all__ = [
    "DirectionLimits",
    "Inferred",
    "columns_of_groups",
    "direction_limits",
    "infer",
    "node_weights",
    "settling_variance",
    "slope_points",
    "unsettled_share",
    "unsettled_variance",
    "variance_by_formula",
]

CHUNK = 1_000
SLOPE_POINTS = 12


class Inferred(NamedTuple):
    """Columns of the linear part without gaps, and where the gaps were.

    Attributes
    ----------
    columns : ndarray of float, shape (n, n_linear_columns)
        As measured, or the conditional mean given what is measured.
    missing : ndarray of bool, shape (n, n_linear_columns)
    """

    columns: np.ndarray
    missing: np.ndarray

    def take(self, rows: slice | np.ndarray) -> "Inferred":
        """Return some of the patients."""
        return Inferred(self.columns[rows], self.missing[rows])


@dataclass(frozen=True, slots=True, eq=False)
class DirectionLimits:
    """The settled variables of one linear part: how far each may inform what is inferred.

    Attributes
    ----------
    at : ndarray of int, shape (k,)
        Their straight columns.
    sign : ndarray of float, shape (k,)
        1 where risk rises with the variable, -1 where it falls.
    own : ndarray of float, shape (k, 2)
        Least slope of the log-odds in the settled direction, in standard deviations of the column,
        at the shortest and the longest horizon; >= 0.
    coef : ndarray of float, shape (2, n_linear_columns)
        Of the linear part at both horizons.
    """

    at: np.ndarray
    sign: np.ndarray
    own: np.ndarray
    coef: np.ndarray


def infer(columns: np.ndarray, factors: Factors, limits: DirectionLimits | None = None) -> Inferred:
    """Return the columns with every gap filled by its conditional mean.

    With `limits`, a settled variable informs what is inferred only so far that the log-odds still
    move in its settled direction, through inferred columns and its own together, at every horizon.

    Parameters
    ----------
    columns : ndarray of float, shape (n, n_linear_columns)
        From `matrices.linear_matrix`, NaN where missing.

    Notes
    -----
    With O the measured columns, G = (I + L_O' U_O^-1 L_O)^-1 is the covariance of the factors given
    z_O and f = G L_O' U_O^-1 z_O their mean; a missing column has the mean L_m f. L are the
    loadings, U the unique variances. This is the conditional mean of a normal distribution with
    the correlation L L' + U, at the cost of inverting a matrix of the size of the factors [1]_.

    References
    ----------
    .. [1] Bartholomew, Knott & Moustaki. Latent Variable Models and Factor Analysis, 3rd ed. Wiley
       (2011), section 3.3. doi:10.1002/9781119970583
    """
    missing = np.isnan(columns)
    filled = columns.copy()
    weights = factors.loadings / factors.unique[:, None]
    for rows, posterior in _posteriors(missing, factors):
        informs = ~missing[rows] & factors.informs
        z = np.where(informs, (columns[rows] - factors.mean) / factors.scale, 0.0)
        score = np.einsum("nkl,nl->nk", posterior, z @ weights)
        if limits is not None and len(limits.at):
            score -= _against(limits, factors, weights, missing[rows], z, posterior)
        guess = factors.mean + factors.scale * (score @ factors.loadings.T)
        filled[rows] = np.where(missing[rows], guess, columns[rows])
    return Inferred(filled, missing)


def _posteriors(missing: np.ndarray, factors: Factors) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of patients with the covariance G of their factors, (rows, k, k)."""
    k, products = factors.loadings.shape[1], _loading_products(factors)
    for start in range(0, len(missing), CHUNK):
        rows = slice(start, start + CHUNK)
        informs = (~missing[rows] & factors.informs).astype(float)
        inner = (informs @ products).reshape(-1, k, k)
        inner += np.eye(k)
        yield rows, np.linalg.inv(inner)


@lru_cache(maxsize=4)
def _loading_products(factors: Factors) -> np.ndarray:
    """Return L_j L_j' / U_j of every column, (n_linear_columns, k * k); models are a few."""
    weights = factors.loadings / factors.unique[:, None]
    products: np.ndarray = factors.loadings[:, :, None] * weights[:, None, :]
    return products.reshape(len(weights), -1)


def _against(
    limits: DirectionLimits,
    factors: Factors,
    weights: np.ndarray,
    missing: np.ndarray,
    z: np.ndarray,
    posterior: np.ndarray,
) -> np.ndarray:
    """Return the part of the factors' mean that would move the risk against a settled direction."""
    # Variable k moves the log-odds at horizon h through inferred columns by e_k(h) z_k, with
    #   e_k(h) = u(h)' G L_k / U_k,   u(h) = sum over missing m of b_m(h) scale_m L_m,
    # and by at least own_k(h) z_k itself. Where sign_k e_k(h) < -own_k(h) at one of both ends, only
    # the share r_k = own_k(h) / |e_k(h)| of what it says about the factors is used. e_k and the
    # coefficients are linear in standardised log h, so what holds at both ends holds in between.
    by_column = (limits.coef * factors.scale)[:, None] * missing
    u = by_column @ factors.loadings
    informed = np.einsum("nkl,al->nka", posterior, weights[limits.at])
    effect = limits.sign * np.einsum("enk,nka->ena", u, informed)
    own = limits.own.T[:, None]
    holds = effect >= -own
    share = np.where(holds, 1.0, own / np.where(holds, 1.0, -effect)).min(0)
    return np.asarray(np.einsum("nka,na->nk", informed, (1 - share) * z[:, limits.at]))


def slope_points(scaling: Scaling, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the slope of a number's curve must be checked, and the slopes of its bends.

    The derivative of a restricted cubic spline is constant beyond the outer knots, and quadratic
    between any two.

    Returns
    -------
    tuple of ndarray of float, shapes (m,) and (m, 2)
        Standardised values, and the derivative of both bends with respect to the value there.
    """
    knots = scaling.knots[number]
    points = np.linspace(knots[0], knots[3], SLOPE_POINTS) if knots[3] > knots[0] else knots[:1]
    slope = spline_slope(points, np.broadcast_to(knots, (len(points), 4)))
    return points, slope - scaling.bend_line[number]


def direction_limits(
    directions: tuple[int, ...],
    coef: np.ndarray,
    coef_log_h: np.ndarray,
    lz: np.ndarray,
    scaling: Scaling,
    factors: Factors,
) -> DirectionLimits:
    """Return the limits of one linear part.

    Parameters
    ----------
    directions : tuple of int
        Settled direction of each number: 1, -1 or 0.
    lz : ndarray of float, shape (2,)
        Standardised log of the shortest and the longest horizon.
    """
    at_ends = coef + coef_log_h * lz[:, None]
    at = np.flatnonzero(np.array(directions))
    n_numbers = len(scaling.log)
    sign = np.array([float(directions[j]) for j in at])
    own = np.zeros((len(at), 2))
    for row, j in enumerate(at):
        _, bends = slope_points(scaling, int(j))
        slopes = at_ends[:, j] + bends @ at_ends[:, [n_numbers + j, 2 * n_numbers + j]].T
        own[row] = np.maximum((sign[row] * slopes).min(0), 0.0) * factors.scale[j]
    return DirectionLimits(at, sign, own, at_ends)


def unsettled_variance(
    inferred: Inferred, factors: Factors, unsettled: Unsettled, lz: np.ndarray
) -> np.ndarray:
    """Return the variance of the log-odds that the missing values could still add, (n, h).

    Parameters
    ----------
    lz : ndarray of float, shape (h,)
        Standardised log of the horizons.

    Notes
    -----
    With b(h) the coefficients of the missing columns and C = L G L' + U their covariance given what
    is measured, the variance by formula is b'C b. With the two terms of `factor` and the variance
    of each missing column's `own`, it is what was seen when values of patients held out were
    blanked.
    """
    formula = variance_by_formula(inferred, factors, unsettled.coef, unsettled.coef_log_h, lz)
    near = node_weights(lz, unsettled.nodes)
    own = inferred.missing @ unsettled.own.T
    straight, curved = (near @ unsettled.factor).T
    return np.asarray(formula * (straight + curved * formula) + own @ near.T)


def node_weights(lz: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return the weight of each node at each horizon for interpolation by lines, (h, k)."""
    return np.stack([np.interp(lz, nodes, at_node) for at_node in np.eye(len(nodes))], axis=-1)


def variance_by_formula(
    inferred: Inferred, factors: Factors, coef: np.ndarray, coef_log_h: np.ndarray, lz: np.ndarray
) -> np.ndarray:
    """Return b'C b of `unsettled_variance`, (n, h)."""
    # The coefficients are linear in z = standardised log h, so that the variance is quadratic in z:
    # three numbers per patient give it at every horizon.
    both = np.stack([coef, coef_log_h]) * factors.scale
    out = np.empty((len(inferred.missing), len(lz)))
    powers = np.stack([np.ones_like(lz), lz])
    for rows, posterior in _posteriors(inferred.missing, factors):
        b = inferred.missing[rows, None] * both
        u = b @ factors.loadings
        quadratic = np.einsum("nak,nkl,nbl->nab", u, posterior, u, optimize=True)
        quadratic += np.einsum("nap,nbp,p->nab", b, b, factors.unique, optimize=True)
        out[rows] = np.einsum("ah,nab,bh->nh", powers, quadratic, powers, optimize=True)
    return out


def unsettled_share(
    inferred: Inferred, factors: Factors, coef: np.ndarray, coef_log_h: np.ndarray, lz: np.ndarray
) -> np.ndarray:
    """Return the share of the linear part's variance that missing values leave open, (n, h).

    Parameters
    ----------
    coef, coef_log_h : ndarray of float, shape (n_linear_columns,)
        Of the linear part.
    lz : ndarray of float, shape (h,)
        Standardised log of the horizons.

    Returns
    -------
    ndarray of float, shape (n, h)
        In [0, 1]: 0 where nothing that matters is missing, 1 where all of it is.
    """
    nothing = np.ones((1, len(coef)), dtype=bool)
    whole = variance_by_formula(inferred._replace(missing=nothing), factors, coef, coef_log_h, lz)
    left = variance_by_formula(inferred, factors, coef, coef_log_h, lz)
    return np.asarray(np.divide(left, whole, out=np.zeros_like(left), where=whole > 1e-12))


def settling_variance(
    inferred: Inferred,
    factors: Factors,
    unsettled: Unsettled,
    lz: float,
    members: np.ndarray,
) -> np.ndarray:
    """Return how much of the unsettled variance a value of each variable would settle.

    Parameters
    ----------
    lz : float
        Standardised log of one horizon.
    members : ndarray of int, shape (v, most_columns)
        Columns of each variable, from `columns_of_groups`.

    Returns
    -------
    ndarray of float, shape (n, v)
        Share of the variance, in [0, 1]; 0 for a variable of which nothing is missing.

    Notes
    -----
    Once the columns g of a variable are known, b'C b falls by c'C_gg^-1 c with c = C_g b.
    """
    coef = (unsettled.coef + unsettled.coef_log_h * lz) * factors.scale
    out = np.zeros((len(inferred.missing), len(members)))
    # A row of zeros stands for the column that short groups are filled up with.
    loadings = np.vstack([factors.loadings, np.zeros(factors.loadings.shape[1])])
    unique = np.append(factors.unique, 1.0)
    for rows, posterior in _posteriors(inferred.missing, factors):
        for i, patient in enumerate(range(len(inferred.missing))[rows]):
            missing = np.append(inferred.missing[patient], False)
            # C = L G L' + U is never formed whole: C b = L G (L'b) + U b, and of C itself only the
            # small blocks C_gg are needed. A column that is measured has row and column of the
            # identity in its block and 0 in c, so that it adds nothing.
            b = np.where(missing, np.append(coef, 0.0), 0.0)
            beside = loadings @ (posterior[i] @ (b @ loadings)) + unique * b
            total = float(b @ beside)
            open_ = np.flatnonzero(missing[members].any(1)) if total > 0 else np.zeros(0, dtype=int)
            if not len(open_):
                continue
            own = members[open_]
            is_missing = missing[own]
            of_group = loadings[own] * is_missing[..., None]
            known = of_group @ posterior[i] @ of_group.transpose(0, 2, 1)
            known += np.where(is_missing, unique[own], 1.0)[..., None] * np.eye(own.shape[1])
            c = np.where(is_missing, beside[own], 0.0)
            solved = np.linalg.solve(known, c[..., None])[..., 0]
            out[patient, open_] = (c * solved).sum(1) / total
    return np.minimum(out, 1.0)


def columns_of_groups(groups: np.ndarray) -> np.ndarray:
    """Return the columns of each group, filled up with the number of columns, (v, most_columns).

    Parameters
    ----------
    groups : ndarray of float, shape (n_columns, v)
        1 where a column belongs to a group.
    """
    size = int(groups.sum(0).max(initial=0))
    out = np.full((groups.shape[1], size), len(groups))
    for v, own in enumerate(groups.T):
        at = np.flatnonzero(own)
        out[v, : len(at)] = at
    return out
