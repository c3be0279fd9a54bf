"""The linear part: a penalised logistic regression of the event on variables and horizon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import nnls
from scipy.special import expit
from threadpoolctl import threadpool_limits

from data_schema.variables import is_not_done
from models.inference.matrices import horizon_basis, level_columns, spline_basis
from models.inference.missing import slope_points
from models.inference.parameters import Encoding, HorizonBasis, Scaling
from models.targets import Pairs

__all__ = [
    "TOLERANCE_OF_CANDIDATES",
    "Directions",
    "LinearPart",
    "expected_squared_bias",
    "fit_horizon_basis",
    "linear_path",
    "path_log_odds",
    "penalty_shares",
]

Columns = NDArray[np.floating[Any]]

MAX_STEPS = 50
TOLERANCE = 1e-13
"""Gain of a last step with which the risks of the patients are within 1e-6 of those at the minimum,
wherever the fit started."""

TOLERANCE_OF_CANDIDATES = 1e-10
"""The same within 1e-5, which is plenty to choose by."""

STALLED = 0.2
"""Share of the last gain from which a gain is so slow that a new Hessian pays."""

FIRST_ROWS = 6
"""A path that starts from nothing takes one row in so many for its first Hessian, which serves for
three steps."""

UNPENALISED = 1e-9
_ROWS_AT_A_TIME = 4_096

DETAIL_PENALTY = 3.0
"""How many times more than a straight line its bends and flags of what was not done are shrunk, and
how many times more than each of them its change with the horizon: rarer effects need more evidence.
"""


@dataclass(frozen=True, slots=True, eq=False)
class LinearPart:
    """One fit: coefficients of columns without gaps and of the horizon, as in `PartParameters`."""

    horizon: HorizonBasis
    intercept: float
    coef_h: NDArray[np.float64]
    coef: NDArray[np.float64]
    coef_log_h: NDArray[np.float64]

    def log_odds(
        self, columns: NDArray[np.float64], horizon_days: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return log-odds of patients at their own horizons, both (n_patients, n_horizons)."""
        ((_, log_odds),) = path_log_odds([self], columns, horizon_days)
        return log_odds


def path_log_odds(
    path: Iterable[LinearPart], columns: NDArray[np.float64], horizon_days: NDArray[np.float64]
) -> Iterator[tuple[LinearPart, NDArray[np.float64]]]:
    """Yield each part of one path with its log-odds, as `LinearPart.log_odds` returns them."""
    shape, log_h = horizon_days.shape, np.log(horizon_days).ravel()
    of_horizon: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    for part in path:
        if of_horizon is None:  # the parts of a path have one basis of the horizon
            basis, lz = horizon_basis(log_h, part.horizon)
            of_horizon = basis, lz.reshape(shape)
        basis, lz = of_horizon
        level, slope = columns @ part.coef, columns @ part.coef_log_h
        log_odds: NDArray[np.float64] = slope[:, None] * lz
        log_odds += (basis @ part.coef_h).reshape(shape)
        log_odds += (part.intercept + level)[:, None]
        yield part, log_odds


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Settled directions as linear inequalities of the coefficients at one horizon.

    Attributes
    ----------
    rows : ndarray of float, shape (m, n_linear_columns)
        `rows @ coef >= 0` holds where the log-odds never move against a settled direction.
    ends_days : tuple of float
        The shortest and the longest horizon, where it must hold.
    """

    rows: NDArray[np.float64]
    ends_days: tuple[float, float]

    @classmethod
    def of(
        cls, directions: Sequence[int], scaling: Scaling, width: int, ends_days: tuple[float, float]
    ) -> Self:
        """Return the inequalities of the settled variables among `directions`, one per number."""
        n_numbers, rows = len(scaling.log), [np.zeros((0, width))]
        for j in np.flatnonzero(np.asarray(directions)[:n_numbers]):
            _, bends = slope_points(scaling, int(j))
            slopes = np.zeros((len(bends), width))
            slopes[:, j] = 1.0
            slopes[:, [n_numbers + j, 2 * n_numbers + j]] = bends
            rows.append(directions[int(j)] * slopes)
        return cls(np.vstack(rows), ends_days)


def fit_horizon_basis(pairs: Pairs) -> HorizonBasis:
    """Return the spline of log horizon; a single horizon gives constants."""
    log_h = np.log(pairs.horizon_days[pairs.weight > 0])
    knots = np.quantile(log_h, (0.05, 0.35, 0.65, 0.95))
    if len(np.unique(knots)) < len(knots):
        knots = np.full(4, log_h.mean())
    basis = np.column_stack([log_h, spline_basis(log_h, knots)])
    scale = basis.std(0)
    return HorizonBasis(knots, basis.mean(0), np.where(scale > 1e-9, scale, 1.0))


def linear_path(
    columns: Columns,
    pairs: Pairs,
    *,
    shares: NDArray[np.float64],
    directions: Directions,
    penalties: tuple[float, ...],
    start: LinearPart | None = None,
    tolerance: float = TOLERANCE,
) -> Iterator[LinearPart]:
    r"""Yield the linear part at each penalty, strongest first, each from the solution before it.

    Minimises the weighted mean log-loss plus `penalty / 2` times the squared coefficients, by
    Newton's method, over the coefficients that hold the settled directions. Intercept and horizon
    are free; the penalty of a column is multiplied by its share, and that of its product with log h
    by `DETAIL_PENALTY` besides. Pairs of one patient share that patient's columns, so the Hessian
    is built from sums per patient: its cost does not grow with the horizons.

    Parameters
    ----------
    columns : ndarray of float, shape (n_patients, n_linear_columns)
        Without gaps, from `missing.infer`. In single precision a step takes two thirds of the time;
        that is enough for `TOLERANCE_OF_CANDIDATES`.
    pairs : Pairs
        Of the same patients.
    shares : ndarray of float, shape (n_linear_columns,)
        From `penalty_shares`.
    penalties : tuple of float
        Positive; the loss they are added to is a mean over pairs, by weight.
    start : LinearPart, optional
        A fit to much the same patients, from which the first of the path starts: the solution does
        not depend on it.
    tolerance : float
        Gain of a step, in mean log-loss, from which a solution counts as reached.

    Yields
    ------
    LinearPart
        One per penalty, in the order of `sorted(penalties, reverse=True)`; what is not read is not
        fitted.

    Notes
    -----
    The log-odds are :math:`\alpha + s(\log h) + x'\beta + x'\gamma \log h` with s a restricted
    cubic spline; x holds standardised values, their bends and category levels.
    """
    used = _varying(columns)
    horizon = fit_horizon_basis(pairs)
    with threadpool_limits(limits=1):
        design = _Design(
            _only(columns, used), pairs, horizon, shares[used], directions.rows[:, used]
        )
        design.hold(np.log(directions.ends_days))
        theta = design.start() if start is None else design.theta(start, used)
        for penalty in sorted(penalties, reverse=True):
            theta = design.minimise(theta, penalty, tolerance)
            coef, coef_log_h = np.zeros(columns.shape[1]), np.zeros(columns.shape[1])
            coef[used], coef_log_h[used] = theta[4 : 4 + len(used)], theta[4 + len(used) :]
            yield LinearPart(horizon, float(theta[0]), theta[1:4].copy(), coef, coef_log_h)


def penalty_shares(encoding: Encoding) -> NDArray[np.float64]:
    """Return the multiple of the penalty on each column of `linear_matrix`."""
    n_numbers, n_levels = len(encoding.numbers), len(level_columns(encoding))
    # The blocks of `linear_matrix`: values, their two bends, levels.
    values = [DETAIL_PENALTY if is_not_done(name) else 1.0 for name in encoding.numbers]
    return np.concatenate([values, np.full(2 * n_numbers, DETAIL_PENALTY), np.ones(n_levels)])


def expected_squared_bias(
    part: LinearPart,
    columns: NDArray[np.float64],
    pairs: Pairs,
    *,
    shares: NDArray[np.float64],
    penalty: float,
    patients: int,
    at: NDArray[np.float64],
    days: NDArray[np.float64],
) -> NDArray[np.float64]:
    r"""Return the squared bias that the penalty is expected to leave in a patient's log-odds.

    Parameters
    ----------
    part : LinearPart
        Fitted with this penalty to these columns.
    columns, pairs, shares, penalty
        As in `linear_path`.
    patients : int
        How many patients the rows of `columns` are copies of.
    at : ndarray of float, shape (n, n_linear_columns)
        Patients to compute it for.
    days : ndarray of float, shape (h,)

    Returns
    -------
    ndarray of float, shape (n, h)
        Non-negative, log-odds squared.

    Notes
    -----
    With the penalty read as the prior :math:`N(0, 1 / \lambda)` of a coefficient, lambda in
    patients and diagonal, and H the information of the patients, the posterior variance
    :math:`(H + \lambda)^{-1}` is, on average over the patients, sampling variance
    :math:`(H + \lambda)^{-1} H (H + \lambda)^{-1}` plus squared bias [1]_. The pairs of a patient
    count as one patient.

    References
    ----------
    .. [1] Nychka. Bayesian confidence intervals for smoothing splines. JASA 83 (1988) 1134-1143.
       doi:10.1080/01621459.1988.10478711
    """
    horizon = part.horizon
    used = _varying(columns)
    with threadpool_limits(limits=1):
        none = np.zeros((0, len(used)))
        design = _Design(_only(columns, used), pairs, horizon, shares[used], none)
        ridge = design.ridge(penalty)
        # `ridge` R and the Hessian H are those of a mean loss, whose weights sum to 1. In units of
        # patients both are n times as large, n = `patients`, so that the posterior covariance is
        # V / n with V = (H + R)^-1. For a patient's log-odds g'theta it splits exactly in two,
        #   g'V g / n = g'V H V g / n + g'V R V g / n,
        # sampling variance and expected squared bias: to first order the bias of theta is -V R
        # theta, and theta has prior covariance R^-1 / n. The second term is what this function
        # returns.
        eta = design.log_odds(design.theta(part, used))
        factor = cho_factor(design.hessian(eta) + np.diag(ridge), overwrite_a=True)
        # g = d eta / d theta = (1, b(h), x, z x), in the order of `_Design`. V g is linear in its
        # three terms, of which only the first and the factor z change with the horizon.
        m, judged = len(used), at[:, used].T
        sides = np.zeros((4 + 2 * m, 4 + 2 * len(at)))
        sides[:4, :4] = np.eye(4)
        sides[4 : 4 + m, 4 : 4 + len(at)] = judged
        sides[4 + m :, 4 + len(at) :] = judged
        fixed, level, slope = np.split(cho_solve(factor, sides)[4:], [4, 4 + len(at)], axis=1)
        out = np.empty((len(at), len(days)))
        basis, lz = horizon_basis(np.log(days), horizon)
        for k in range(len(days)):
            # R is diagonal, and practically 0 for the intercept and the horizon: what is left of
            # g'V R V g is sum_k R_k (V g)_k^2 over the coefficients of columns.
            solved = level + lz[k] * slope + (fixed @ np.append(1.0, basis[k]))[:, None]
            out[:, k] = ridge[4:] @ solved**2 / patients
    return out


def _varying(columns: Columns) -> NDArray[np.int64]:
    """Return the columns that are not constant."""
    return np.flatnonzero(columns.max(0) - columns.min(0) > 1e-9)


def _only(columns: Columns, used: NDArray[np.int64]) -> Columns:
    """Return the used columns, and no copy where that is all of them."""
    return columns if len(used) == columns.shape[1] else columns[:, used]


class _Design:
    """The pairs of one fit, arranged so that sums over horizons come first.

    Parameters are ordered: intercept, three of the horizon, one per column, one per column x log h.
    """

    # The log-odds of patient i (row of `columns`) at that patient's p-th horizon are
    #   eta_ip = b_ip'theta_0 + x_i'beta + z_ip x_i'gamma,
    # with b = `basis` (1, three terms of log h), z = `lz` (standardised log h), x = `columns`, and
    # theta = (theta_0, beta, gamma). The objective, with w = `weight` summing to 1 and s =
    # `shares`, is
    #   sum_ip w_ip (log(1 + exp(eta_ip)) - y_ip eta_ip) + penalty / 2 sum_k s_k (beta, gamma)_k^2.
    def __init__(
        self,
        columns: Columns,
        pairs: Pairs,
        horizon: HorizonBasis,
        shares: NDArray[np.float64],
        directions: NDArray[np.float64],
    ) -> None:
        self.columns = columns
        self.directions = directions
        self.shares = np.concatenate([shares, DETAIL_PENALTY * shares])
        self.outcome = pairs.outcome
        self.weight = pairs.weight / pairs.weight.sum()
        basis, lz = horizon_basis(np.log(pairs.horizon_days).ravel(), horizon)
        shape = pairs.horizon_days.shape
        self.lz = lz.reshape(shape)
        # One row per pair, patient after patient.
        self.basis = np.column_stack([np.ones(len(basis)), basis])
        self.horizon = horizon
        self.inequalities = np.zeros((0, 4 + 2 * columns.shape[1]))
        self.metric: _Metric | None = None
        self.first_rows = 1

    def hold(self, ends: NDArray[np.float64]) -> None:
        """Hold the settled directions at two logarithms of horizons, and so between them."""
        # A slope is linear in z = standardised log h: `rows`'(beta + z gamma) >= 0 at both ends.
        _, lz = horizon_basis(ends, self.horizon)
        rows = [np.hstack([self.directions, at * self.directions]) for at in lz]
        free = np.zeros((sum(map(len, rows)), 4))
        self.inequalities = np.hstack([free, np.vstack(rows)])

    def start(self) -> NDArray[np.float64]:
        """Return zeros with the intercept at the overall log-odds."""
        self.first_rows = FIRST_ROWS
        theta = np.zeros(4 + 2 * self.columns.shape[1])
        # Without columns and horizon the minimiser is logit(sum w y), since sum w = 1.
        rate = float(np.clip((self.weight * self.outcome).sum(), 1e-6, 1 - 1e-6))
        theta[0] = np.log(rate / (1 - rate))
        return theta

    def theta(self, part: LinearPart, used: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the parameters of a part of which some columns are used."""
        own = part.coef[used], part.coef_log_h[used]
        return np.concatenate([[part.intercept], part.coef_h, *own])

    def log_odds(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of every pair; they are linear in theta."""
        m = self.columns.shape[1]
        own = theta.astype(self.columns.dtype, copy=False)
        level, slope = self.columns @ own[4 : 4 + m], self.columns @ own[4 + m :]
        out = (self.basis @ theta[:4]).reshape(self.lz.shape)
        out += slope[:, None] * self.lz
        out += level[:, None]
        return out

    def loss(self, theta: NDArray[np.float64], eta: NDArray[np.float64], penalty: float) -> float:
        """Return the weighted log-loss plus the penalty; `eta` are the log-odds of theta."""
        # log(1 + e^eta) - y eta = -y log p - (1 - y) log(1 - p), without overflow for any eta.
        # log(1 + e^eta) = max(eta, 0) + log(1 + e^-|eta|); to the last digit of a sum, which is all
        # that matters, log(1 + u) is exact for small u too.
        above = np.maximum(eta, 0.0) + np.log(1.0 + np.exp(-np.abs(eta)))
        fit = float(np.vdot(self.weight, above - self.outcome * eta))
        return fit + 0.5 * penalty * float(self.shares @ theta[4:] ** 2)

    def ridge(self, penalty: float) -> NDArray[np.float64]:
        """Return the penalty of every parameter."""
        # A trace on the free parameters keeps the Cholesky factor when horizons are constant.
        return np.concatenate([np.full(4, UNPENALISED), penalty * self.shares])

    def gradient(
        self, theta: NDArray[np.float64], eta: NDArray[np.float64], penalty: float
    ) -> NDArray[np.float64]:
        """Return the first derivatives of the same, with the same log-odds."""
        # With r = w (p - y) those of the log-loss have the blocks
        #   sum_ip r_ip b_ip,   sum_i x_i sum_p r_ip,   sum_i x_i sum_p r_ip z_ip.
        residual = self.weight * (expit(eta) - self.outcome)
        x = self.columns
        sums = residual.sum(1), np.einsum("np,np->n", residual, self.lz)
        gradient = np.concatenate(
            [
                residual.ravel() @ self.basis,
                *(x.T @ each.astype(x.dtype, copy=False) for each in sums),
            ]
        )
        gradient[4:] += self.ridge(penalty)[4:] * theta[4:]
        return gradient

    def hessian(self, eta: NDArray[np.float64], every: int = 1) -> NDArray[np.float64]:
        """Return the second derivatives of the weighted log-loss, without the penalty.

        `eta` are the log-odds at which they are wanted; they are estimated from one row in `every`.
        """
        # With c = w p (1 - p) and v = (b, x, z x), H = sum_ip c_ip v_ip v_ip'. As x_i is the same
        # at every horizon of a patient, sums over p come first, S_k(i) = sum_p c_ip z_ip^k =
        # `sums[k]`, and H is
        #       | sum c b b'  sum c b x'  sum c z b x' |   | hh     hx_0   hx_1  |
        #   H = |     .       X' S_0 X    X' S_1 X     | = | hx_0'  xx[0]  xx[1] |
        #       |     .           .       X' S_2 X     |   | hx_1'  xx[1]  xx[2] |
        # The cost is that of three products X' S X over patients, however many horizons each has.
        # With D = S_0 + 2 S_1 + S_2 = sum_p c_ip (1 + z_ip)^2, all three of S_0, S_2 and D are
        # squares, and a product of a matrix with itself takes half as long as one of two matrices.
        p = expit(eta[::every])
        curvature = every * self.weight[::every] * p * (1 - p)
        x, lz = self.columns[::every], self.lz[::every]
        own_basis = self.basis.reshape(*self.lz.shape, 4)[::every]
        by_power = (curvature, curvature * (1 + lz) ** 2, curvature * lz**2)
        roots = np.sqrt([each.sum(1) for each in by_power])[..., None].astype(np.float32)
        # Single precision: the products are all the cost, and an error of 1e-7 in a Hessian only
        # slows the steps that it measures.
        xx = np.zeros((3, x.shape[1], x.shape[1]))
        for at in range(0, len(x), _ROWS_AT_A_TIME):
            rows = slice(at, at + _ROWS_AT_A_TIME)
            single = x[rows].astype(np.float32, copy=False)
            for square, root in zip(xx, roots, strict=True):
                own = single * root[rows]
                square += own.T @ own
        xx[1] = (xx[1] - xx[0] - xx[2]) / 2
        flat = own_basis.reshape(-1, 4)
        hh = flat.T @ (flat * curvature.reshape(-1, 1))
        sums = [(each[:, None] @ own_basis)[:, 0].T for each in (curvature, curvature * lz)]
        hx = np.hstack([each.astype(x.dtype, copy=False) @ x for each in sums])
        return np.block([[hh, hx], [hx.T, np.block([[xx[0], xx[1]], [xx[1], xx[2]]])]])

    def minimise(
        self, theta: NDArray[np.float64], penalty: float, tolerance: float
    ) -> NDArray[np.float64]:
        """Return the minimiser; a step that would raise the loss is halved.

        A Hessian serves for further steps, of weaker penalties too, until progress stalls: it costs
        a hundred gradients.
        """
        eta = self.log_odds(theta)
        loss, last = self.loss(theta, eta, penalty), np.inf
        if self.metric is None:
            self.metric = _Metric(self.hessian(eta, self.first_rows), self.inequalities)
        self.metric.add(self.ridge(penalty))
        for _ in range(MAX_STEPS):
            step = self.metric.step(theta, self.gradient(theta, eta, penalty))
            moved = self.log_odds(step)
            whole = True
            while True:
                trial = self.loss(theta + step, eta + moved, penalty)
                # The loss is convex, so a short enough step along the direction always lowers it.
                if trial <= loss or np.abs(step).max() <= 1e-12:
                    break
                step, moved, whole = step / 2, moved / 2, False
            theta, eta, gain, loss = theta + step, eta + moved, loss - trial, trial
            if gain < tolerance:
                break
            if not whole or gain > STALLED * last:
                self.metric = _Metric(self.hessian(eta), self.inequalities)
                self.metric.add(self.ridge(penalty))
                gain = np.inf
            last = gain
        return theta


class _Metric:
    """A Hessian that steps are measured by, with its Cholesky factor."""

    def __init__(self, hessian: NDArray[np.float64], inequalities: NDArray[np.float64]) -> None:
        self.hessian = hessian
        self.inequalities = inequalities

    def add(self, ridge: NDArray[np.float64]) -> None:
        """Factorise the Hessian plus the penalty of every parameter."""
        penalised = self.hessian.copy()
        penalised[np.diag_indices_from(penalised)] += ridge
        self.lower = cholesky(penalised, lower=True, overwrite_a=True, check_finite=False)
        self.sides: NDArray[np.float64] | None = None

    def step(
        self, theta: NDArray[np.float64], gradient: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return Newton's step, within the inequalities."""
        scaled = solve_triangular(self.lower, gradient, lower=True, check_finite=False)
        step = self._back(-scaled)
        if not len(self.inequalities) or (self.inequalities @ (theta + step) >= 0).all():
            return step
        # Minimise d'Hd / 2 + g'd with A (theta + d) >= 0. In the dual, d = H^-1 (A'lambda - g) with
        # lambda >= 0 minimising |L^-1 A'lambda - L^-1 g + L'theta|^2, H = L L': non-negative least
        # squares. (The term L'theta brings in lambda'A theta.)
        if self.sides is None:
            self.sides = solve_triangular(
                self.lower, self.inequalities.T, lower=True, check_finite=False
            )
        multipliers, _ = nnls(self.sides, scaled - self.lower.T @ theta)
        return self._back(self.sides @ multipliers - scaled)

    def _back(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vector that the transposed factor turns into `scaled`."""
        return np.asarray(
            solve_triangular(self.lower, scaled, lower=True, trans=1, check_finite=False)
        )
