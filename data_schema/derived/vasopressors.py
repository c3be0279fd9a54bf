"""Doses of vasopressors in ug/kg/min of the base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DOSE_UNITS",
    "LEAST_HOURS",
    "Norepinephrine",
    "RateUnit",
    "dose_per_kg",
    "norepinephrine_base",
    "rate_unit",
]

Numbers = NDArray[np.float64]

Norepinephrine = Literal["base", "tartrate", "bitartrate"]
"""What a norepinephrine dose is stated as: the base, or a salt. In many countries 2 mg on a label
are 2 mg of tartrate, which hold 1 mg of the base."""

_BASE_SHARE: Mapping[Norepinephrine, float] = MappingProxyType(
    {"base": 1.0, "tartrate": 0.5, "bitartrate": 0.5}
)


@dataclass(frozen=True, slots=True)
class RateUnit:
    """A unit of a rate of infusion: its factor to ug/min, and whether it is per kg of weight."""

    factor: float
    is_per_kg: bool


DOSE_UNITS: Mapping[str, RateUnit] = MappingProxyType(
    {
        f"{mass}{per_kg}/{time}": RateUnit(factor / minutes, bool(per_kg))
        for mass, factor in (("ug", 1.0), ("ng", 0.001), ("mg", 1000.0))
        for per_kg in ("/kg", "")
        for time, minutes in (("min", 1), ("h", 60))
    }
)
"""Units in which rates of infusion are read, in UCUM."""

LEAST_HOURS = 1.0
"""How long a catecholamine must have run for SOFA to count it, in hours.

References
----------
.. [1] Vincent et al. Intensive Care Med 22 (1996) 707-710. doi:10.1007/BF01709751
"""

_SPELLINGS = (
    ("mcg", "ug"),
    ("µ", "u"),
    ("μ", "u"),
    ("hour", "h"),
    ("hr", "h"),
    ("minute", "min"),
    ("(kg.min)", "kg/min"),
    ("(kg.h)", "kg/h"),
)


def rate_unit(stated: str) -> RateUnit | None:
    """Return the unit of a rate of infusion; None for one that says no dose.

    A volume per hour says nothing without a concentration, and international units are no mass.

    >>> rate_unit("mcg/kg/min") == rate_unit("µg/kg/min") == DOSE_UNITS["ug/kg/min"]
    True
    >>> rate_unit("mL/h"), rate_unit("units/min"), rate_unit("")
    (None, None, None)
    """
    spelled = "".join(stated.casefold().split())
    for word, symbol in _SPELLINGS:
        spelled = spelled.replace(word, symbol)
    return DOSE_UNITS.get(spelled)


def dose_per_kg(rate: Numbers, unit: str, weight: Numbers) -> Numbers:
    """Return a rate of infusion in ug/kg/min.

    A rate per kg needs no weight; any other is NaN where no weight of 15 to 600 kg is recorded: an
    average weight would move a dose across the limits of SOFA.

    Raises
    ------
    ValueError
        If the unit is none of `DOSE_UNITS`; mL/h says nothing without a concentration.

    Examples
    --------
    >>> dose_per_kg(np.array([8.0, 8.0]), "mcg/min", np.array([80.0, np.nan]))
    array([0.1, nan])
    """
    how = rate_unit(unit)
    if how is None:
        raise ValueError(f"unit must be one of {', '.join(DOSE_UNITS)}; got {unit!r}.")
    if how.is_per_kg:
        return rate * how.factor
    plausible = (weight >= 15.0) & (weight <= 600.0)
    return rate * how.factor / np.where(plausible, weight, np.nan)


def norepinephrine_base(dose: Numbers, stated_as: Norepinephrine) -> Numbers:
    """Return a norepinephrine dose as base, in the unit it came in.

    SOFA does not say which it means; the joint task force of two societies asks for the base [1]_.
    Tartrate is bitartrate: 2 mg hold 1 mg of the base [2]_.

    References
    ----------
    .. [1] Wieruszewski et al. Crit Care Med 52 (2024) 521-530. doi:10.1097/CCM.0000000000006176
    .. [2] Mongardon et al. Crit Care 27 (2023) 62. doi:10.1186/s13054-023-04354-4

    Examples
    --------
    >>> norepinephrine_base(np.array([0.2]), "tartrate")
    array([0.1])
    """
    return dose * _BASE_SHARE[stated_as]
