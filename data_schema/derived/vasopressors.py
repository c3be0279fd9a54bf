"""Doses of vasopressors in ug/kg/min of the base."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["DOSE_UNITS", "Norepinephrine", "dose_per_kg", "norepinephrine_base"]

Numbers = NDArray[np.float64]

Norepinephrine = Literal["base", "tartrate", "bitartrate"]
"""What a norepinephrine dose is stated as: the base, or a salt. In many countries 2 mg on a label
are 2 mg of tartrate, which hold 1 mg of the base."""

_BASE_SHARE: Mapping[Norepinephrine, float] = MappingProxyType(
    {"base": 1.0, "tartrate": 0.5, "bitartrate": 0.5}
)

# Unit of a rate -> factor to ug/min, and whether the unit already is per kg.
DOSE_UNITS: Mapping[str, tuple[float, bool]] = MappingProxyType(
    {
        "ug/kg/min": (1.0, True),
        "mcg/kg/min": (1.0, True),
        "ug/kg/h": (1 / 60, True),
        "mcg/kg/hour": (1 / 60, True),
        "mg/kg/h": (1000 / 60, True),
        "mg/kg/min": (1000.0, True),
        "ug/min": (1.0, False),
        "mcg/min": (1.0, False),
        "ug/h": (1 / 60, False),
        "mcg/hour": (1 / 60, False),
        "mg/h": (1000 / 60, False),
        "mg/hour": (1000 / 60, False),
        "mg/min": (1000.0, False),
    }
)
"""Units in which rates of infusion are read: factor to ug/min, and whether they are per kg."""


def dose_per_kg(rate: Numbers, unit: str, weight: Numbers) -> Numbers:
    """Return a rate of infusion in ug/kg/min.

    A rate per kg needs no weight; any other is NaN where no weight of 15 to 600 kg is recorded: an
    average weight would move a dose across the limits of SOFA.

    Raises
    ------
    ValueError
        If the unit is not in `DOSE_UNITS`; mL/h says nothing without a concentration.

    Examples
    --------
    >>> dose_per_kg(np.array([8.0, 8.0]), "mcg/min", np.array([80.0, np.nan]))
    array([0.1, nan])
    """
    if unit not in DOSE_UNITS:
        raise ValueError(f"unit must be one of {', '.join(DOSE_UNITS)}; got {unit!r}.")
    factor, is_per_kg = DOSE_UNITS[unit]
    if is_per_kg:
        return rate * factor
    plausible = (weight >= 15.0) & (weight <= 600.0)
    return rate * factor / np.where(plausible, weight, np.nan)


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
