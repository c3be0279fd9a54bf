"""Find values that arrive in another unit than the one stated, and name the unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.units import units_in_words
from data_schema.variables import base_name
from models.monitoring.alerts import Alert, control_limit
from models.monitoring.arrivals import Arrivals
from models.monitoring.reference import NumberReference, Reference

__all__ = ["unit_shifts"]

_Floats = NDArray[np.float64]

SMALLEST_RATIO = 1.4
"""Units nearer to each other than this cannot be distinguished from differing patients."""

EXPLAINED = 0.25
"""After conversion, values lie at most this share as far from the training cohort as before."""

FEWEST_VALUES = 20
"""Values of all patients, or of a site, that are evidence of a unit."""

_DECIMAL = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class _Conversion:
    """From the arrived value to what it is if it came in another unit: `value * scale + offset`."""

    scale: float
    offset: float
    unit: str | None


@dataclass(frozen=True, slots=True)
class _Shift:
    """A unit that explains how far the values of some patients lie from the training cohort."""

    conversion: _Conversion
    statistic: float
    values: int


def unit_shifts(arrivals: Arrivals, reference: Reference) -> list[Alert]:
    """Return an alert for each variable whose values fit another of its units.

    Values are compared as normal deviates of the training cohort. An alert needs that their mean
    lies beyond the control limit, and that another accepted unit of the variable, or a shifted
    decimal point, takes away `EXPLAINED` of the distance; so a ratio of medians near a known factor
    is what it takes, and patients who are merely sicker raise none.

    Parameters
    ----------
    arrivals : Arrivals
    reference : Reference

    Returns
    -------
    list of Alert
        One for each variable, or for each site where only some sites send another unit.
    """
    watched = [
        (known, arrivals.numbers[name])
        for name, known in reference.numbers.items()
        if name in arrivals.numbers and known.scale is not None and known.is_comparable
    ]
    members = {name: arrivals.of_site(name) for name in arrivals.sites()}
    limit = control_limit(len(watched) * (1 + len(members)))
    return [
        alert
        for known, values in watched
        for alert in _of_variable(known, values, members, arrivals, limit)
    ]


def _of_variable(
    known: NumberReference,
    values: _Floats,
    members: dict[str, NDArray[np.bool_]],
    arrivals: Arrivals,
    limit: float,
) -> Iterator[Alert]:
    """Yield the alert of all patients, or those of the sites that send another unit."""
    conversions = list(_conversions(known, arrivals.stated_units.get(known.name, (1.0, 0.0))))
    measured = np.isfinite(values)
    overall = _shift(known, values[measured], conversions, limit)
    of_sites: dict[str, _Shift] = {}
    unshifted = 0
    for site, rows in members.items():
        here = values[measured & rows]
        shift = _shift(known, here, conversions, limit)
        if shift is not None:
            of_sites[site] = shift
        elif len(here) >= FEWEST_VALUES:
            unshifted += 1
    if of_sites and unshifted:
        for site, shift in of_sites.items():
            yield _alert(known, shift, limit, site)
    elif overall is not None:
        yield _alert(known, overall, limit, None)
    else:
        for site, shift in of_sites.items():
            yield _alert(known, shift, limit, site)


def _shift(
    known: NumberReference, values: _Floats, conversions: list[_Conversion], limit: float
) -> _Shift | None:
    """Return the conversion that explains where values lie, or None if none does."""
    n = len(values)
    if n < FEWEST_VALUES:
        return None
    distances = known.distances(values)
    # Tails are longer than the normal's, and a site has patients of its own kind: their own spread
    # counts where it is wider than the training cohort's.
    error = np.sqrt(max(1.0, float(distances.var())) / n + 1 / (known.recorded or 1))
    before = float(distances.mean())
    if abs(before) / error <= limit:
        return None
    best: _Conversion | None = None
    nearest = np.inf
    for conversion in conversions:
        converted = known.distances(values * conversion.scale + conversion.offset)
        after = abs(float(converted.mean()))
        tolerated = min(max(3 * error, EXPLAINED * abs(before)), abs(before) / 2)
        if after <= tolerated and after < nearest - (0.0 if best is None else error):
            best, nearest = conversion, after
    return None if best is None else _Shift(best, abs(before) / error, n)


def _conversions(known: NumberReference, stated: tuple[float, float]) -> Iterator[_Conversion]:
    """Yield the variable's other units, then shifted decimal points, each factor once."""
    variable = VARIABLES.get(base_name(known.name))
    factor, offset = stated
    seen: set[float] = set()
    units: dict[str, tuple[float, float]] = {}
    if variable is not None:
        units = {unit: (scale, 0.0) for unit, scale in variable.units.items()}
        units |= dict(variable.offset_units)
    for unit, (scale, zero) in units.items():
        ratio = scale / factor
        is_near = 1 / SMALLEST_RATIO < ratio < SMALLEST_RATIO
        if (is_near and zero == offset) or round(ratio, 6) in seen:
            continue
        seen.add(round(ratio, 6))
        yield _Conversion(ratio, zero - offset * ratio, unit)
    for ratio in _DECIMAL:
        # Where a unit lies as near as a decimal point, the unit is the likelier error.
        if not any(1 / SMALLEST_RATIO < ratio / one < SMALLEST_RATIO for one in seen):
            yield _Conversion(ratio, 0.0, None)


def _alert(known: NumberReference, shift: _Shift, limit: float, site: str | None) -> Alert:
    conversion = shift.conversion
    factor = 1 / conversion.scale
    where = "" if site is None else f" at site {site}"
    variable = VARIABLES.get(base_name(known.name))
    words = "with a shifted decimal point"
    if conversion.unit is not None and variable is not None:
        (unit,) = units_in_words(variable, [conversion.unit]) or (conversion.unit,)
        words = f"in {unit}"
    return Alert(
        kind="unit_shift",
        variable=known.name,
        site=site,
        factor=float(f"{factor:.4g}"),
        unit=conversion.unit,
        statistic=shift.statistic,
        limit=limit,
        message=(
            f"{known.name} must arrive in its stated unit; {shift.values} values{where} look as if "
            f"they came {words} (about {factor:.3g} times what is expected). Check the unit at the "
            "source before any risk is used."
        ),
    )
