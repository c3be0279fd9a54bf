"""What is inferred where a value is missing, and how far the missing values could move a risk.

Part of every bundle's `model.py`: it imports only the standard library and numpy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.inference.matrices import ColumnGroups, spline_slope
from models.inference.parameters import Factors, Scaling, Unsettled

__all__ = [
    "CHUNK",
    "DirectionLimits",
    "Inferred",
    "MissingTerms",
    "columns_of_groups",
    "direction_limits",
    "infer",
    "node_weights",
    "settling_variance",
    "slope_points",
    "unsettled_share",
    "unsettled_variance",
    "variance_by_formula",
    "variance_with_nothing",
]

CHUNK = 250
"""Patients whose matrices of factors are solved together: more of them leave the cache."""

SLOPE_POINTS = 12


class Inferred(NamedTuple):
    """Columns of the linear part without gaps, and where the gaps were.

    Attributes
    ----------
    columns : ndarray of float, shape (n, n_linear_columns)
        As measured, or the conditional mean given what is measured.
    missing : ndarray of bool, shape (n, n_linear_columns)
    open_variance : tuple of ndarray of float, each of shape (n, 2, 2)
        What `variance_by_formula` gives for each linear predictor that was stated, at every
        horizon: it is quadratic in standardised log h.
    """

    columns: np.ndarray
    missing: np.ndarray
    open_variance: tuple[np.ndarray, ...] = ()

    def take(self, rows: slice | np.ndarray) -> "Inferred":
        """Return some of the patients."""
        of_rows = tuple(each[rows] for each in self.open_variance)
        return Inferred(self.columns[rows], self.missing[rows], of_rows)


class MissingTerms(NamedTuple):
    """Two coefficients of every column, prepared for the sums over what a patient has missing.

    With b_i the coefficients times standard deviations of the missing columns, and 0 elsewhere:

    Attributes
    ----------
    factors : ndarray of float, shape (n_values, 2 k)
        What each value, if missing, adds to u_i = L'b_i.
    unique : ndarray of float, shape (n_values, 4)
        What it adds to b_i' U b_j.
    """

    factors: np.ndarray
    unique: np.ndarray

    @classmethod
    def of(cls, factors: Factors, coefficients: np.ndarray, n_numbers: int) -> "MissingTerms":
        """Prepare coefficients, (2, n_linear_columns); `n_numbers` as for `infer`."""
        b = (coefficients * factors.scale).T
        by_factor = b[:, :, None] * factors.loadings[:, None]
        by_pair = b[:, :, None] * b[:, None] * factors.unique[:, None, None]
        return cls(
            *(_by_value(each.reshape(len(b), -1), n_numbers) for each in (by_factor, by_pair))
        )

    def of_factors(self, missing: np.ndarray) -> np.ndarray:
        """Return u, (n, 2, k), for what is missing of the values, (n, n_values), as 0 and 1."""
        return np.asarray(missing @ self.factors).reshape(len(missing), 2, -1)

    def variance(self, missing: np.ndarray, u: np.ndarray, solved: np.ndarray) -> np.ndarray:
        """Return b'C b, (n, 2, 2); `solved` is u multiplied by G."""
        # The coefficients are linear in z = standardised log h, so that the variance is quadratic
        # in z: with b(z) = b_0 + z b_1, entry (i, j) is b_i' C b_j, where C = L G L' + U.
        of_unique = np.asarray(missing @ self.unique).reshape(len(missing), 2, 2)
        return np.asarray(u @ solved.swapaxes(1, 2) + of_unique)


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
    terms : MissingTerms
        Of the linear part's coefficients at both horizons.
    """

    at: np.ndarray
    sign: np.ndarray
    own: np.ndarray
    terms: MissingTerms


def infer(
    columns: np.ndarray,
    factors: Factors,
    limits: DirectionLimits | None = None,
    predictors: Sequence[MissingTerms] = (),
    n_numbers: int = 0,
) -> Inferred:
    """Return the columns with every gap filled by its conditional mean.

    With `limits`, a settled variable informs what is inferred only so far that the log-odds still
    move in its settled direction, through inferred columns and its own together, at every horizon.

    Parameters
    ----------
    columns : ndarray of float, shape (n, n_linear_columns)
        From `matrices.linear_matrix`, NaN where missing.
    predictors : sequence of MissingTerms
        Of linear predictors, `coef` and `coef_log_h`, of which to return the open variance. It
        needs the same matrix as the conditional mean, which costs most of both.
    n_numbers : int
        How many numbers the columns begin with, if they are those of `matrices.linear_matrix`: a
        number and its bends are missing together, so that sums over them are taken once.

    Notes
    -----
    With O the measured columns, G = (I + L_O' U_O^-1 L_O)^-1 is the covariance of the factors given
    z_O and f = G L_O' U_O^-1 z_O their mean; a missing column has the mean L_m f. L are the
    loadings, U the unique variances. This is the conditional mean of a normal distribution with
    the correlation L L' + U, at the cost of solving a system of the size of the factors [1]_.

    References
    ----------
    .. [1] Bartholomew, Knott & Moustaki. Latent Variable Models and Factor Analysis, 3rd ed. Wiley
       (2011), section 3.3. doi:10.1002/9781119970583
    """
    missing = np.isnan(columns)
    filled = columns.copy()
    open_variance = tuple(np.empty((len(columns), 2, 2)) for _ in predictors)
    weights = factors.loadings / factors.unique[:, None]
    held = None if limits is None or not len(limits.at) else limits
    for rows, precision in _precisions(missing, factors, n_numbers):
        own, gone = missing[rows], _of_values(missing[rows], n_numbers).astype(float)
        z = np.where(~own & factors.informs, (columns[rows] - factors.mean) / factors.scale, 0.0)
        # All that G is multiplied by, side by side: one factorisation serves them all.
        of_predictors = [terms.of_factors(gone) for terms in predictors]
        sides = [(z @ weights)[:, None], *of_predictors]
        if held is not None:
            sides.append(np.broadcast_to(weights[held.at], (len(z), *weights[held.at].shape)))
        ends = np.cumsum([side.shape[1] for side in sides])[:-1]
        first, *others = np.split(_solved(precision, np.concatenate(sides, axis=1)), ends, axis=1)
        score = first[:, 0]
        if held is not None:
            score = score - _against(held, held.terms.of_factors(gone), z, others.pop())
        guess = factors.mean + factors.scale * (score @ factors.loadings.T)
        filled[rows] = np.where(own, guess, columns[rows])
        for terms, u, solved, out in zip(
            predictors, of_predictors, others, open_variance, strict=True
        ):
            out[rows] = terms.variance(gone, u, solved)
    return Inferred(filled, missing, open_variance)


def _solved(precision: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return each patient's sides multiplied by G, both (n, r, k)."""
    return np.linalg.solve(precision, sides.swapaxes(1, 2)).swapaxes(1, 2)


def _of_values(missing: np.ndarray, n_numbers: int) -> np.ndarray:
    """Return what is missing of the values alone: bends are missing with their numbers."""
    if not n_numbers:
        return missing
    return np.concatenate([missing[:, :n_numbers], missing[:, 3 * n_numbers :]], axis=1)


def _by_value(of_columns: np.ndarray, n_numbers: int) -> np.ndarray:
    """Return sums over the columns of each value; columns are the first axis."""
    if not n_numbers:
        return of_columns
    numbers = of_columns[: 3 * n_numbers].reshape(3, n_numbers, -1).sum(0)
    return np.concatenate([numbers, of_columns[3 * n_numbers :]])


def _precisions(
    missing: np.ndarray, factors: Factors, n_numbers: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of patients with the precision of their factors, the inverse of G, (rows, k, k).

    `n_numbers` as for `infer`.
    """
    k = factors.loadings.shape[1]
    for start in range(0, len(missing), CHUNK):
        rows = slice(start, start + CHUNK)
        if len(missing) == 1:
            # The products of all columns are megabytes, which would push trees out of the cache.
            informs = ~missing[0] & factors.informs
            own = factors.loadings[informs]
            inner = ((own / factors.unique[informs, None]).T @ own)[None]
        else:
            # Symmetric: each pair of factors once, and both of its places afterwards.
            present = ~_of_values(missing[rows], n_numbers)
            once = present.astype(float) @ _loading_products(factors, n_numbers)
            inner = once[:, _places_of_pairs(k)].reshape(-1, k, k)
        inner += np.eye(k)
        yield rows, inner


@lru_cache(maxsize=4)
def _loading_products(factors: Factors, n_numbers: int) -> np.ndarray:
    """Return L_j L_j' / U_j of every value that informs, (n_values, k (k + 1) / 2).

    Of the symmetric product the part on and below the diagonal, row after row. Models are a few.
    """
    weights = np.where(factors.informs, 1 / factors.unique, 0.0)[:, None] * factors.loadings
    row, column = np.tril_indices(weights.shape[1])
    return _by_value(factors.loadings[:, row] * weights[:, column], n_numbers)


@lru_cache(maxsize=4)
def _places_of_pairs(k: int) -> np.ndarray:
    """Return where each entry of a symmetric matrix stands in `_loading_products`, (k * k,)."""
    row, column = np.indices((k, k))
    row, column = np.maximum(row, column), np.minimum(row, column)
    return np.asarray(row * (row + 1) // 2 + column).ravel()


def _against(
    limits: DirectionLimits, u: np.ndarray, z: np.ndarray, informed: np.ndarray
) -> np.ndarray:
    """Return the part of the factors' mean that would move the risk against a settled direction.

    `u` is that of `MissingTerms`, (n, 2, k), for the coefficients at both horizons; `informed` are
    the weights of the settled variables multiplied by G, (n, a, k).
    """
    # Variable k moves the log-odds at horizon h through inferred columns by e_k(h) z_k, with
    #   e_k(h) = u(h)' G L_k / U_k,   u(h) = sum over missing m of b_m(h) scale_m L_m,
    # and by at least own_k(h) z_k itself. Where sign_k e_k(h) < -own_k(h) at one of both ends, only
    # the share r_k = own_k(h) / |e_k(h)| of what it says about the factors is used. e_k and the
    # coefficients are linear in standardised log h, so what holds at both ends holds in between.
    effect = limits.sign * (u @ informed.swapaxes(1, 2))
    own = limits.own.T
    holds = effect >= -own
    share = np.where(holds, 1.0, own / np.where(holds, 1.0, -effect)).min(1)
    return np.asarray(np.einsum("nak,na->nk", informed, (1 - share) * z[:, limits.at]))


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
    return DirectionLimits(at, sign, own, MissingTerms.of(factors, at_ends, n_numbers))


def unsettled_variance(
    missing: np.ndarray, open_variance: np.ndarray, unsettled: Unsettled, lz: np.ndarray
) -> np.ndarray:
    """Return the variance of the log-odds that the missing values could still add, (n, h).

    Parameters
    ----------
    missing : ndarray of bool, shape (n, n_linear_columns)
    open_variance : ndarray of float, shape (n, 2, 2)
        As in `Inferred`, of the coefficients of `unsettled`.
    lz : ndarray of float, shape (h,)
        Standardised log of the horizons.

    Notes
    -----
    With b(h) the coefficients of the missing columns and C = L G L' + U their covariance given what
    is measured, the variance by formula is b'C b. With the two terms of `factor` and the variance
    of each missing column's `own`, it is what was seen when values of patients held out were
    blanked.
    """
    formula = _variance_at(open_variance, lz)
    near = node_weights(lz, unsettled.nodes)
    own = missing @ unsettled.own.T
    straight, curved = (near @ unsettled.factor).T
    return np.asarray(formula * (straight + curved * formula) + own @ near.T)


def node_weights(lz: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return the weight of each node at each horizon for interpolation by lines, (h, k)."""
    return np.stack([np.interp(lz, nodes, at_node) for at_node in np.eye(len(nodes))], axis=-1)


def variance_by_formula(
    missing: np.ndarray,
    factors: Factors,
    coef: np.ndarray,
    coef_log_h: np.ndarray,
    lz: np.ndarray,
    n_numbers: int = 0,
) -> np.ndarray:
    """Return b'C b of `unsettled_variance` from what is missing alone, (n, h).

    `n_numbers` as for `infer`.
    """
    open_variance = _open_variance(missing, factors, np.stack([coef, coef_log_h]), n_numbers)
    return _variance_at(open_variance, lz)


def _open_variance(
    missing: np.ndarray, factors: Factors, coefficients: np.ndarray, n_numbers: int = 0
) -> np.ndarray:
    """Return b'C b as a quadratic form of (1, standardised log h), (n, 2, 2)."""
    opening = MissingTerms.of(factors, coefficients, n_numbers)
    out = np.empty((len(missing), 2, 2))
    for rows, precision in _precisions(missing, factors, n_numbers):
        gone = _of_values(missing[rows], n_numbers).astype(float)
        u = opening.of_factors(gone)
        out[rows] = opening.variance(gone, u, _solved(precision, u))
    return out


def _variance_at(open_variance: np.ndarray, lz: np.ndarray) -> np.ndarray:
    """Return the open variance at standardised logs of horizons, (n, h)."""
    powers = np.stack([np.ones_like(lz), lz])
    return np.asarray(np.einsum("ah,nab,bh->nh", powers, open_variance, powers, optimize=True))


def variance_with_nothing(factors: Factors, coefficients: np.ndarray) -> np.ndarray:
    """Return the open variance of a patient with no value, (1, 2, 2)."""
    return _open_variance(np.ones((1, len(factors.mean)), dtype=bool), factors, coefficients)


def unsettled_share(
    open_variance: np.ndarray, with_nothing: np.ndarray, lz: np.ndarray
) -> np.ndarray:
    """Return the share of the linear part's variance that missing values leave open, (n, h).

    Parameters
    ----------
    open_variance : ndarray of float, shape (n, 2, 2)
        As in `Inferred`, of the linear part's coefficients.
    with_nothing : ndarray of float, shape (1, 2, 2)
        From `variance_with_nothing`, of the same coefficients.
    lz : ndarray of float, shape (h,)
        Standardised log of the horizons.

    Returns
    -------
    ndarray of float, shape (n, h)
        In [0, 1]: 0 where nothing that matters is missing, 1 where all of it is.
    """
    whole, left = _variance_at(with_nothing, lz), _variance_at(open_variance, lz)
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
    for rows, precision in _precisions(inferred.missing, factors, 0):
        posterior = np.linalg.inv(precision)
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


def columns_of_groups(groups: ColumnGroups, n_columns: int) -> np.ndarray:
    """Return the columns of each variable, filled up with `n_columns`, (v, most_columns)."""
    of_present = np.split(groups.order, groups.first[1:])
    out = np.full((groups.width, max((len(own) for own in of_present), default=0)), n_columns)
    for v, own in zip(groups.present, of_present, strict=False):
        out[v, : len(own)] = own
    return out
