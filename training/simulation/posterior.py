"""Hidden states given recorded values: exact Gaussian conditioning, then weights.

States are Gaussian given the facts, and measured markers are linear in them with independent noise,
so that states given the measured values are Gaussian too. Values below a detection limit, and in
one scenario the ordering of tests, are not Gaussian evidence: they enter as weights of draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

__all__ = ["Evidence", "Posterior", "condition", "standard_draws"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Measured values that are linear in the states.

    Parameters
    ----------
    residual : ndarray of float, shape (n_patients, n_markers)
        Value less everything that does not depend on states, in units of spread; NaN if not
        measured.
    loads : ndarray of float, shape (n_markers, n_states)
    noise : ndarray of float, shape (n_markers,)
        Standard deviation.
    """

    residual: NDArray[np.float64]
    loads: NDArray[np.float64]
    noise: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Posterior:
    """States given the measured values.

    Parameters
    ----------
    mean : ndarray of float, shape (n_patients, n_states)
    covariance : ndarray of float, shape (n_patients, n_states, n_states)
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def draws(
        self, directions: NDArray[np.float64], standard: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return draws of linear combinations of the states.

        Parameters
        ----------
        directions : ndarray of float, shape (n_patients, n_directions, n_states)
            The first directions get the most evenly spread draws.
        standard : ndarray of float, shape (n_draws, n_directions)
            From `standard_draws`.

        Returns
        -------
        ndarray of float, shape (n_patients, n_draws, n_directions)
        """
        # With D = `directions`, D s ~ N(D m, D V D'): draws are D m + root z, root the lower
        # Cholesky factor of D V D'. The first direction depends on the first column of z alone, the
        # second on two, and so on: the columns of Sobol points that are spread most evenly serve
        # the first directions.
        mean = np.einsum("iqk,ik->iq", directions, self.mean)
        spread = directions @ self.covariance @ directions.transpose(0, 2, 1)
        # Directions may coincide, in which case one of them has no variance left.
        spread += 1e-9 * np.eye(directions.shape[1])
        root = np.linalg.cholesky(spread)
        return np.asarray(mean[:, None, :] + standard @ root.transpose(0, 2, 1))


def condition(
    prior_mean: NDArray[np.float64], prior_covariance: NDArray[np.float64], evidence: Evidence
) -> Posterior:
    """Return the states of each patient given the patient's measured values.

    Parameters
    ----------
    prior_mean : ndarray of float, shape (n_patients, n_states)
        Given the facts.
    prior_covariance : ndarray of float, shape (n_states, n_states)
    """
    # Prior s ~ N(m_0, R), evidence r_j = l_j's + n_j e_j for every measured j. Precisions add:
    #   V^-1 = R^-1 + sum_j l_j l_j' / n_j^2,   m = V (R^-1 m_0 + sum_j l_j r_j / n_j^2).
    # Row j of `information` is l_j / n_j^2, row j of `outer` the flattened l_j l_j' / n_j^2: one
    # product with the 0/1 matrix `measured` sums the latter for every patient.
    n_states = prior_mean.shape[1]
    measured = ~np.isnan(evidence.residual)
    information = evidence.loads / evidence.noise[:, None] ** 2
    outer = information[:, :, None] * evidence.loads[:, None, :]
    outer = outer.reshape(len(evidence.loads), -1)
    prior_precision = np.linalg.inv(prior_covariance)
    precision = (measured @ outer).reshape(-1, n_states, n_states) + prior_precision
    covariance = np.linalg.inv(precision)
    pulled = np.where(measured, evidence.residual, 0.0) @ information + prior_mean @ prior_precision
    return Posterior(np.einsum("ikl,il->ik", covariance, pulled), covariance)


def standard_draws(n_draws: int, n_directions: int) -> NDArray[np.float64]:
    """Return evenly spread draws of independent standard normals, the same every time.

    Parameters
    ----------
    n_draws : int
        A power of 2.

    Returns
    -------
    ndarray of float, shape (n_draws, n_directions)
        Scrambled Sobol points through the normal quantile function.
    """
    points = qmc.Sobol(n_directions, scramble=True, rng=np.random.default_rng(0)).random(n_draws)
    return np.asarray(ndtri(points.clip(1e-12, 1 - 1e-12)))
