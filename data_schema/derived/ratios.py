"""Ratios of values of one patient: body mass index, corrected calcium, ratios of bone markers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "body_mass_index",
    "corrected_calcium",
    "multiple_of_reference",
    "rankl_opg_ratio",
    "uncoupling_index",
]

Numbers = NDArray[np.float64]


def body_mass_index(weight: Numbers, height: Numbers) -> Numbers:
    """Return the body mass index in kg/m2, of weight in kg and height in cm.

    References
    ----------
    .. [1] Keys et al. J Chronic Dis 25 (1972) 329-343. doi:10.1016/0021-9681(72)90027-6

    Examples
    --------
    >>> body_mass_index(np.array([81.0]), np.array([180.0]))
    array([25.])
    """
    return weight / np.square(_positive(height) / 100)


def corrected_calcium(calcium: Numbers, albumin: Numbers) -> Numbers:
    """Return total calcium in mg/dL as it would be at an albumin of 4 g/dL.

    `calcium` is in mg/dL, `albumin` in g/dL: 0.8 mg/dL are added for each g/dL below 4 [1]_. In the
    critically ill it agrees poorly with ionised calcium, which is to be preferred [2]_.

    References
    ----------
    .. [1] Correcting the calcium. Br Med J 1 (1977) 598. doi:10.1136/bmj.1.6061.598
    .. [2] Slomp et al. Crit Care Med 31 (2003) 1389-1393. doi:10.1097/01.CCM.0000063044.55669.3C

    Examples
    --------
    >>> corrected_calcium(np.array([8.4]), np.array([3.3])).round(2)
    array([8.96])
    """
    return calcium + 0.8 * (4.0 - albumin)


def rankl_opg_ratio(rankl_free: Numbers, opg: Numbers) -> Numbers:
    """Return free RANKL over OPG, both in pmol/L; total RANKL and mass units are other quantities.

    A value at its detection limit has no ratio: pass NaN.

    References
    ----------
    .. [1] Hofbauer & Schoppet. JAMA 292 (2004) 490-495. doi:10.1001/jama.292.4.490
    """
    return rankl_free / _positive(opg)


def multiple_of_reference(values: Numbers, upper_limit: Numbers) -> Numbers:
    """Return values over the upper limit of a person's reference interval, in the same unit."""
    return values / _positive(upper_limit)


def uncoupling_index(resorption_multiple: Numbers, formation_multiple: Numbers) -> Numbers:
    """Return resorption over formation, each as a multiple of its upper reference limit.

    Above 1 resorption exceeds formation. The idea is Eastell's [1]_, who subtracts z-scores;
    markers in the critically ill are skewed, so a ratio is used.

    References
    ----------
    .. [1] Eastell et al. Osteoporos Int 3 (1993) 255-260. doi:10.1007/BF01623829
    """
    return resorption_multiple / _positive(formation_multiple)


def _positive(values: Numbers) -> Numbers:
    return np.where(values > 0, values, np.nan)
