"""Kidney: eGFR from stable creatinine, and urine output scaled to 24 hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["creatinine_is_stable", "egfr_ckd_epi_2021", "urine_in_24_hours"]

Numbers = NDArray[np.float64]

# KDIGO: a rise by 0.3 mg/dL in 48 h, or to 1.5 times in 7 days, is acute kidney injury.
_RISE_MG_DL = 0.3
_TIMES = 1.5

_LEAST_HOURS = 6.0


def egfr_ckd_epi_2021(creatinine: Numbers, age: Numbers, female: Numbers) -> Numbers:
    r"""Return the estimated glomerular filtration rate in mL/min/1.73 m2; lower is worse.

    Only for creatinine that is stable (`creatinine_is_stable`): while it changes, the equation does
    not hold. NaN below 18 years, and where anything is not recorded.

    Parameters
    ----------
    creatinine : ndarray of float, shape (n_patients,)
        In mg/dL, measured by an assay traceable to IDMS.
    age : ndarray of float, shape (n_patients,)
        In years.
    female : ndarray of float, shape (n_patients,)
        1 for women, 0 for men, NaN where the sex is not recorded.

    Notes
    -----
    :math:`142 \min(c/\kappa, 1)^{\alpha} \max(c/\kappa, 1)^{-1.200}\, 0.9938^{age}\,(1.012)`, with
    :math:`\kappa` 0.7 and :math:`\alpha` -0.241 in women, 0.9 and -0.302 in men; the last factor in
    women only [1]_.

    References
    ----------
    .. [1] Inker et al. N Engl J Med 385 (2021) 1737-1749. doi:10.1056/NEJMoa2102953

    Examples
    --------
    >>> egfr_ckd_epi_2021(np.array([1.2]), np.array([55.0]), np.array([0.0])).round()
    array([71.])
    """
    is_female = female == 1.0
    ratio = np.where(creatinine > 0, creatinine, np.nan) / np.where(is_female, 0.7, 0.9)
    below = np.minimum(ratio, 1.0) ** np.where(is_female, -0.241, -0.302)
    above = np.maximum(ratio, 1.0) ** -1.200
    rate = 142 * below * above * 0.9938**age * np.where(is_female, 1.012, 1.0)
    return np.where(np.isnan(female) | ~(age >= 18), np.nan, rate)


def creatinine_is_stable(
    *, lowest: Numbers, highest: Numbers, count: Numbers, aki_stage: Numbers, rrt: Numbers
) -> NDArray[np.bool_]:
    """Return where creatinine is known to be stable; not known counts as not stable.

    It is stable where acute kidney injury is recorded as absent (`aki_stage` 0), or where two or
    more values of the 7 days before time zero differ by less than 0.3 mg/dL and by less than half
    [1]_. It never is under renal replacement or from stage 1 on. One value says nothing.

    Parameters
    ----------
    lowest, highest : ndarray of float, shape (n_patients,)
        Lowest and highest creatinine of the 7 days, in mg/dL.
    count : ndarray of float, shape (n_patients,)
        Number of values in the 7 days.
    aki_stage, rrt : ndarray of float, shape (n_patients,)
        Highest KDIGO stage of the 7 days, and 1 for renal replacement; NaN where not recorded.

    References
    ----------
    .. [1] KDIGO AKI Work Group. Kidney Int Suppl 2 (2012) 1-138. doi:10.1038/kisup.2012.1

    Examples
    --------
    >>> two, none = np.array([2.0]), np.array([np.nan])
    >>> creatinine_is_stable(
    ...     lowest=np.array([0.9]), highest=np.array([1.3]), count=two, aki_stage=none, rrt=none
    ... )
    array([False])
    """
    rises = (np.round(highest - lowest, 6) >= _RISE_MG_DL) | (
        np.round(highest, 6) >= np.round(_TIMES * lowest, 6)
    )
    steady = (count >= 2) & ~np.isnan(lowest) & ~np.isnan(highest) & ~rises
    injured = (aki_stage >= 1) | (rrt == 1.0)
    # A recorded stage 0 does not outweigh values that rise.
    changes = (count >= 2) & rises
    stable = ((aki_stage == 0.0) | steady) & ~injured & ~changes
    return np.asarray(stable, dtype=np.bool_)


def urine_in_24_hours(volume: Numbers, hours: Numbers) -> Numbers:
    """Return the urine output in mL in 24 hours; NaN where it was collected for under 6 hours.

    SAPS II scales the output of a shorter stay to 24 hours. From fewer than 6 hours that is no
    measurement: one bladder that was emptied late would count four times or more.

    Parameters
    ----------
    volume : ndarray of float, shape (n_patients,)
        In mL, within `hours`; what was irrigated already subtracted.
    hours : ndarray of float, shape (n_patients,)
        Length of the collection.

    References
    ----------
    .. [1] Le Gall et al. JAMA 270 (1993) 2957-2963. doi:10.1001/jama.1993.03510240069035

    Examples
    --------
    >>> urine_in_24_hours(np.array([600.0, 50.0, 1500.0]), np.array([12.0, 2.0, 24.0]))
    array([1200.,   nan, 1500.])
    """
    enough = hours >= _LEAST_HOURS
    return np.where(enough & (volume >= 0), volume * 24 / np.where(enough, hours, 1.0), np.nan)
