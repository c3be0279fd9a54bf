"""How far missing values could still move the log-odds: fitted to training patients with blanks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.optimize import nnls

from data_schema.variables import base_name
from models.fitting.basis import Basis
from models.fitting.steps import Moved, Part
from models.fitting.training_cohort import TrainingCohort
from models.inference.matrices import (
    horizon_basis,
    linear_column_features,
    missing_columns,
)
from models.inference.missing import node_weights, variance_by_formula
from models.inference.parameters import Unsettled

__all__ = ["fit_unsettled"]

DAYS, NODES = 9, 3
MOST_PATIENTS = 10_000
REWEIGHTED = 3
SMALLEST_EIGENVALUE = 1e-9
FLOOR_SHARE = 0.01
"""Of the mean squared change, added to what is expected, so that no weight is without bound."""

RIDGE_SHARE = 0.02
"""Penalty of the linear approximation, as a share of its rows; its columns have variance 1."""

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


def fit_unsettled(
    cohort: TrainingCohort,
    basis: Basis,
    main: Part,
    sample: Rows,
    log_odds: Floats,
    moved: Moved,
) -> Unsettled:
    """Return the model's linear approximation, and how it relates to what blanks really moved.

    The log-odds of the whole model, trees included, are regressed on the columns of the linear part
    and their products with log horizon. The variance that the formula gives to what was blanked,
    b'C b of a patient with blanks less that of the same patient as recorded, is then set against
    the squared changes of the log-odds of patients held out: those of patients that a model learned
    from are larger.

    Parameters
    ----------
    sample : ndarray of int, shape (n,)
        Rows of the cohort on which the whole model is approximated.
    log_odds : ndarray of float, shape (n, n_days)
        Of those patients by the whole model, at every day of the grid.
    """
    grid = cohort.grid_days()
    at = np.unique(np.linspace(0, len(grid) - 1, DAYS).round().astype(int))
    _, lz = horizon_basis(np.log(grid[at]), main.linear.horizon)
    columns = basis.columns(cohort.raw[sample], main.linear)
    coef, coef_log_h = _approximation(log_odds[:, at], columns, basis, lz)
    rows = slice(None, MOST_PATIENTS)
    with_blanks, as_recorded = (
        missing_columns(raw, cohort.n_numbers)
        for raw in (moved.blanked[rows], cohort.raw[moved.rows[rows]])
    )
    formula = np.subtract(
        *(
            variance_by_formula(each, basis.factors, coef, coef_log_h, lz, cohort.n_numbers)
            for each in (with_blanks, as_recorded)
        )
    )
    nodes = lz[np.unique(np.linspace(0, len(lz) - 1, NODES).round().astype(int))]
    first = _first_columns(cohort)
    lost = with_blanks[:, first] & ~as_recorded[:, first]
    factor, own_first = _against_formula(
        formula, lost.astype(float), node_weights(lz, nodes), moved.change[rows][:, at] ** 2
    )
    own = np.zeros((len(nodes), columns.shape[1]))
    own[:, first] = own_first
    return Unsettled(coef, coef_log_h, nodes, factor, own)


def _approximation(eta: Floats, columns: Floats, basis: Basis, lz: Floats) -> tuple[Floats, Floats]:
    """Return coefficients of columns, and of their products with log horizon, for log-odds."""
    # Ridge regression of every patient at every day: with l = (1, lz) of a day, a row of the design
    # is (l_0 z, l_1 z), so that the blocks of its Gram matrix are z'z times sums of l_a l_b.
    z = (columns - basis.factors.mean) / basis.factors.scale
    powers = np.stack([np.ones_like(lz), lz])
    gram = np.kron(powers @ powers.T, z.T @ z)
    gram[np.diag_indices_from(gram)] += RIDGE_SHARE * eta.size
    moment = (z.T @ ((eta - eta.mean(0)) @ powers.T)).T.ravel()
    fitted = solve(gram, moment, assume_a="pos", overwrite_a=True, check_finite=False)
    coef, coef_log_h = fitted.reshape(2, -1) / basis.factors.scale
    return coef, coef_log_h


def _first_columns(cohort: TrainingCohort) -> NDArray[np.int64]:
    """Return the first column of each variable in the linear part."""
    variables = [base_name(name) for name in linear_column_features(cohort.encoding)]
    return np.array([variables.index(name) for name in dict.fromkeys(variables)])


def _against_formula(
    formula: Floats, lost: Floats, near: Floats, seen: Floats
) -> tuple[Floats, Floats]:
    """Return the factors of the formula and the variance of each variable's own, at each node.

    Non-negative least squares of the squared changes, each weighted by its expected size: the
    square of a normal change has a standard deviation in proportion to its mean.

    Parameters
    ----------
    formula, seen : ndarray of float, shape (n, h)
    lost : ndarray of float, shape (n, n_variables)
    near : ndarray of float, shape (h, k)
        From `missing.node_weights`.
    """
    anything = lost.any(1)
    formula, lost, seen = formula[anything], lost[anything], seen[anything]
    if not seen.size or not formula.any():
        return np.array([[1.0, 0.0]] * near.shape[1]), np.zeros((near.shape[1], lost.shape[1]))
    powers = np.stack([formula, formula**2], axis=-1)
    # A row of the design is the patient's powers and losses times the weights of the nodes at that
    # horizon, so the normal equations are sums over horizons of small blocks.
    scale = seen.mean() / max(formula.mean(), 1e-12)
    expected = scale * formula + FLOOR_SHARE * seen.mean()
    for _ in range(REWEIGHTED):
        gram, moment = _normal_equations(powers, lost, near, seen, 1 / expected**2)
        theta = _non_negative(gram, moment)
        of_formula, own = np.split(theta, [2 * near.shape[1]])
        of_formula, own = of_formula.reshape(-1, 2), own.reshape(near.shape[1], -1)
        expected = np.einsum("nhp,hk,kp->nh", powers, near, of_formula, optimize=True)
        expected += lost @ own.T @ near.T + FLOOR_SHARE * seen.mean()
    return of_formula, own


def _normal_equations(
    powers: Floats, lost: Floats, near: Floats, seen: Floats, weight: Floats
) -> tuple[Floats, Floats]:
    """Return A'WA and A'Wy of the design A with one row per patient and horizon.

    Parameters
    ----------
    powers : ndarray of float, shape (n, h, 2)
    lost : ndarray of float, shape (n, v)
    near : ndarray of float, shape (h, k)
    seen, weight : ndarray of float, shape (n, h)

    Returns
    -------
    tuple of ndarray of float, shapes (2k + kv, 2k + kv) and (2k + kv,)
        First each node's two powers, then each node's variables.
    """
    k, v = near.shape[1], lost.shape[1]
    of_powers = (near[None, :, :, None] * powers[:, :, None, :]).reshape(*seen.shape, 2 * k)
    gram = np.empty((2 * k + k * v, 2 * k + k * v))
    gram[: 2 * k, : 2 * k] = np.einsum(
        "nha,nh,nhb->ab", of_powers, weight, of_powers, optimize=True
    )
    beside = np.einsum("nha,nh,hk->nak", of_powers, weight, near, optimize=True)
    for a in range(k):
        rows = slice(2 * k + a * v, 2 * k + (a + 1) * v)
        gram[rows, : 2 * k] = lost.T @ beside[:, :, a]
        gram[: 2 * k, rows] = gram[rows, : 2 * k].T
        for b in range(a + 1):
            columns = slice(2 * k + b * v, 2 * k + (b + 1) * v)
            block = lost.T @ (lost * (weight @ (near[:, a] * near[:, b]))[:, None])
            gram[rows, columns], gram[columns, rows] = block, block.T
    weighted = weight * seen
    moment = np.concatenate(
        [
            np.einsum("nha,nh->a", of_powers, weighted, optimize=True),
            ((weighted @ near).T @ lost).ravel(),
        ]
    )
    return gram, moment


def _non_negative(gram: Floats, moment: Floats) -> Floats:
    """Return the non-negative least squares of normal equations; 0 for a column of zeros."""
    size = np.sqrt(np.diag(gram))
    used = size > 0
    size = size[used]
    # With each column divided by its size the Gram matrix is V T V', and V T^1/2 and T^-1/2 V'm are
    # the matrix and the target of the same problem. Directions in which the columns hardly differ
    # are left out.
    values, vectors = np.linalg.eigh(gram[np.ix_(used, used)] / np.outer(size, size))
    apart = values > SMALLEST_EIGENVALUE * values[-1]
    root = np.sqrt(values[apart])
    target = vectors[:, apart].T @ (moment[used] / size) / root
    theta = np.zeros(len(gram))
    theta[used] = nnls((vectors[:, apart] * root).T, target)[0] / size
    return theta
