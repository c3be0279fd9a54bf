"""Oxygenation: FiO2 in one unit, the FiO2 in force at a blood gas, P/F and A-aDO2."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "FIO2_FRACTIONS",
    "FIO2_IN_FORCE",
    "FIO2_PERCENTAGES",
    "HIGH_FIO2",
    "alveolar_arterial_difference",
    "fio2_in_force",
    "fio2_of_the_gas",
    "fio2_percent",
    "pf_ratio",
]

Numbers = NDArray[np.float64]

HIGH_FIO2 = 50.0
"""FiO2 in percent from which APACHE II scores A-aDO2 in place of PaO2."""

# Air pressure at sea level less that of water vapour in the airways, in mmHg.
_DRY_AIR = 760.0 - 47.0

FIO2_FRACTIONS = (0.2, 1.0)
"""Lowest and highest value of FiO2 that is a fraction, whatever unit it is recorded with."""

FIO2_PERCENTAGES = (20.0, 100.0)
"""Lowest and highest value of FiO2 that is a percentage."""

FIO2_IN_FORCE = timedelta(hours=4)
"""How long a setting of FiO2 counts without being recorded again.

Nurses chart a ventilator's settings every one to four hours. The code of the MIMIC database pairs a
blood gas with the last FiO2 of the four hours before it [1]_.

References
----------
.. [1] Johnson et al. J Am Med Inform Assoc 25 (2018) 32-39. doi:10.1093/jamia/ocx084
"""


def fio2_percent(values: Numbers) -> Numbers:
    """Return FiO2 in percent from values that are percentages or fractions; NaN for any other.

    From 0.2 to 1 a value is a fraction, from 20 to 100 a percentage. In between nothing is either:
    2 to 15 is mostly a flow of oxygen in L/min, from which no FiO2 follows.

    >>> fio2_percent(np.array([0.21, 1.0, 40.0, 100.0, 6.0, 0.0]))
    array([ 21., 100.,  40., 100.,  nan,  nan])
    """
    fraction = (values >= FIO2_FRACTIONS[0]) & (values <= FIO2_FRACTIONS[1])
    percent = (values >= FIO2_PERCENTAGES[0]) & (values <= FIO2_PERCENTAGES[1])
    return np.where(fraction, np.round(values * 100, 6), np.where(percent, values, np.nan))


def fio2_of_the_gas(pao2: Numbers, fio2: Numbers) -> Numbers:
    """Return FiO2 in percent where it can be that of the blood gas; NaN where PaO2 rules it out.

    Blood cannot hold more oxygen than was breathed in, at sea level 713 mmHg times FiO2. A PaO2 of
    455 with an FiO2 of 40 % was drawn at another setting, mostly a higher one that was not charted.

    >>> fio2_of_the_gas(np.array([80.0, 455.0]), np.array([40.0, 40.0]))
    array([40., nan])
    """
    return np.where(pao2 > fio2 / 100 * _DRY_AIR, np.nan, fio2)


def pf_ratio(pao2: Numbers, fio2: Numbers) -> Numbers:
    """Return PaO2 in mmHg over FiO2 as a fraction, in mmHg; lower is worse.

    `pao2` is in mmHg and `fio2`, the one in force when the blood was drawn, in percent. NaN where
    no blood can have drawn that much oxygen from it (`fio2_of_the_gas`).

    >>> pf_ratio(np.array([80.0]), np.array([40.0]))
    array([200.])
    """
    breathed = fio2_of_the_gas(pao2, fio2)
    return pao2 / np.where(breathed > 0, breathed, np.nan) * 100


def alveolar_arterial_difference(pao2: Numbers, fio2: Numbers, paco2: Numbers) -> Numbers:
    r"""Return the alveolar-arterial difference of oxygen (A-aDO2) in mmHg; higher is worse.

    Pressures are in mmHg, `fio2` is in percent.

    Notes
    -----
    At sea level, with 47 mmHg of water vapour and a respiratory quotient of 0.8 [1]_:
    :math:`\mathrm{FiO_2}\,(760 - 47) - \mathrm{PaCO_2}/0.8 - \mathrm{PaO_2}`.

    References
    ----------
    .. [1] Gilbert & Keighley. Am Rev Respir Dis 109 (1974) 142-145. doi:10.1164/arrd.1974.109.1.142

    Examples
    --------
    >>> alveolar_arterial_difference(np.array([80.0]), np.array([60.0]), np.array([40.0]))
    array([297.8])
    """
    return np.round(fio2 / 100 * _DRY_AIR - paco2 / 0.8 - pao2, 6)


def fio2_in_force(
    blood_gases: pd.DataFrame, settings: pd.DataFrame, *, at_most: timedelta = FIO2_IN_FORCE
) -> pd.DataFrame:
    """Return the setting of FiO2 that was in force at each blood gas.

    The last setting of the same stay at or before the blood gas counts, if it is no older than
    `at_most`. A later setting never does: it may be the answer to the blood gas.

    Parameters
    ----------
    blood_gases : DataFrame
        Columns `stay_id` and `time`, one row per blood gas.
    settings : DataFrame
        Columns `stay_id`, `time`, `fio2` in percent, and any others that belong to a setting.
    at_most : timedelta
        How long a setting counts.

    Returns
    -------
    DataFrame, shape (n_blood_gases, n_columns)
        `fio2` and the other columns of the setting, in the order of `blood_gases`; missing where no
        setting was in force.
    """
    drawn = blood_gases[["stay_id", "time"]].astype({"stay_id": str}).reset_index(drop=True)
    drawn["place"] = np.arange(len(drawn))
    known = settings[settings["fio2"].notna()].astype({"stay_id": str})
    paired = pd.merge_asof(
        drawn.sort_values("time", kind="stable"),
        known.sort_values("time", kind="stable"),
        on="time",
        by="stay_id",
        tolerance=pd.Timedelta(at_most),
    )
    in_order = paired.sort_values("place").reset_index(drop=True)
    return in_order.drop(columns=["place", "stay_id", "time"])
