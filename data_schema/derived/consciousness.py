"""The Glasgow coma score that severity is scored with: intubation and sedation are no coma."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Intubated", "gcs_for_severity", "gcs_total", "verbal_score_intubated"]

Numbers = NDArray[np.float64]

Intubated = Literal["estimated", "missing", "normal"]
"""What the verbal score of an intubated patient is: estimated from eye and motor score, not known,
or 5. The 1 that is charted for a tube is never taken for mute."""


def verbal_score_intubated(eye: Numbers, motor: Numbers) -> Numbers:
    """Return the verbal score that eye and motor score predict, rounded to whole points, 1 to 5.

    References
    ----------
    .. [1] Meredith et al. J Trauma 44 (1998) 839-844. doi:10.1097/00005373-199805000-00016

    Examples
    --------
    >>> verbal_score_intubated(np.array([4.0, 1.0]), np.array([6.0, 1.0]))
    array([5., 1.])
    """
    predicted = -0.3756 + 0.5713 * motor + 0.4233 * eye
    return np.clip(np.floor(predicted + 0.5), 1.0, 5.0)


def gcs_total(
    eye: Numbers, verbal: Numbers, motor: Numbers, intubated: Numbers, *, when_intubated: Intubated
) -> Numbers:
    """Return the Glasgow coma score, 3 to 15; lower is worse, NaN where a part is not known.

    Parameters
    ----------
    eye, verbal, motor : ndarray of float, shape (n_patients,)
        1 to 4, 1 to 5 and 1 to 6, charted at one time.
    intubated : ndarray of float, shape (n_patients,)
        1 where a tube prevents speech; NaN, not recorded, counts as 0.
    when_intubated : {"estimated", "missing", "normal"}
        What counts as the verbal score then.
    """
    of_tube = {
        "estimated": verbal_score_intubated(eye, motor),
        "missing": np.full(len(eye), np.nan),
        "normal": np.full(len(eye), 5.0),
    }[when_intubated]
    return eye + motor + np.where(intubated == 1.0, of_tube, verbal)


def gcs_for_severity(gcs: Numbers, sedated: Numbers, before_sedation: Numbers) -> Numbers:
    """Return the score to be used in SOFA, APACHE II and SAPS II.

    Under sedation it is the one before sedation, as SAPS II states [1]_; where that is not known,
    there is none, and the policy of the score decides. A sedated 3 is never taken for coma.

    References
    ----------
    .. [1] Le Gall et al. JAMA 270 (1993) 2957-2963. doi:10.1001/jama.1993.03510240069035

    Examples
    --------
    >>> scores, sedated = np.array([3.0, 3.0, 14.0]), np.array([1.0, 1.0, 0.0])
    >>> gcs_for_severity(scores, sedated, np.array([15.0, np.nan, np.nan]))
    array([15., nan, 14.])
    """
    return np.where(sedated == 1.0, before_sedation, gcs)
