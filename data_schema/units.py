"""Units: an allow-list per variable, and the factor to its canonical unit.

There is no dimensional fallback. A unit converts only if the catalogue states a factor for that
variable: RU/mL and pg/mL of FGF23, or U/L and ug/L of bone alkaline phosphatase,
share a shape and not a meaning.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.errors import Finding, RulesBroken
from data_schema.printed_units import printed_unit
from data_schema.variables import Variable

__all__ = [
    "canonical_unit_spelling",
    "conversion",
    "in_range",
    "is_in_range",
    "plausible_units",
    "range_text",
    "to_canonical",
    "unit_rule",
    "units_in_words",
]

_MAY_BE_BLANK = frozenset(
    {"", "1", "{score}", "{T-score}", "{Tscore}", "{ratio}", "{count}", "{stage}", "[pH]"}
)

_PRINTED: Mapping[str, tuple[str, ...]] = {
    "U/L": ("IU/L",),
    "[iU]/d": ("IU/d", "IU/24h"),
    "mm[Hg]": ("mmHg",),
    "cm[Hg]": ("cmHg",),
    "/min": ("per minute", "1/min", "bpm", "beats/min", "breaths/min"),
    "Cel": ("°C", "degC", "C", "Celsius"),
    "[degF]": ("°F", "degF", "deg. F", "F", "Fahrenheit"),
    "[hnsf'U]": ("HU",),
    "mL/min/{1.73_m2}": ("mL/min/1.73m2", "mL/min/(1.73m2)"),
    "mg/(24.h)": ("mg/24h", "mg/24hr", "mg/d"),
    "mL/d": ("mL/24h", "mL/24hr"),
    "mg/d": ("mg/24h", "mg/24hr"),
    "10*3/uL": ("10³/uL", "K/uL", "thou/uL", "1000/uL", "10^3/mm3", "K/mm3"),
    "10*9/L": ("10⁹/L", "G/L", "giga/L"),
    "/uL": ("1/uL", "cells/uL", "/mm3", "cells/mm3"),
    "10*6/uL": ("10⁶/uL", "M/uL", "10^6/mm3"),
    "10*12/L": ("10¹²/L", "T/L"),
    "ug/mL{FEU}": ("ug/mL FEU", "ug FEU/mL"),
    "mg/L{FEU}": ("mg/L FEU", "mg FEU/L"),
    "ng/mL{FEU}": ("ng/mL FEU", "ng FEU/mL"),
    "ug/L{FEU}": ("ug/L FEU", "ug FEU/L"),
    "s": ("sec", "secs", "second", "seconds"),
    "mm/h": ("mm/hr", "mm/1h"),
    "%": ("percent",),
    "1": ("fraction", "ratio", "count"),
    "{score}": ("score", "points"),
    "{T-score}": ("T-score", "SD"),
    "{stage}": ("stage",),
    "[pH]": ("pH",),
    "a": ("y", "yr", "yrs", "year", "years"),
    "mo": ("month", "months"),
    "wk": ("week", "weeks"),
    "d": ("day", "days"),
    "h": ("hr", "hrs", "hour", "hours"),
    "[in_i]": ("in", "inch", "inches"),
    "[lb_av]": ("lb", "lbs", "pounds"),
}
"""UCUM unit -> what laboratories and spreadsheets print for it."""

_FOLDS: tuple[tuple[str, str], ...] = (
    (r"[µμ]", "u"),
    (r"[·⋅]", "."),
    (r"[×]", "x"),
    (r"\s", ""),
    (r"\^", "*"),
    (r"^x(?=10)", ""),
    (r"^10e(?=\d)", "10*"),
    (r"(?<=[a-z])\*(?=\d)", ""),
    (r"mc(?=g|l|mol)", "u"),
    (r"/day$", "/d"),
    (r"\{?(creatinine|creat|crea|cr)\}?$", ""),
)
"""Differences of spelling that never change a meaning, in the order in which they are removed."""


def _fold(text: str) -> str:
    """Reduce a unit's spelling to the form in which units are compared."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    for pattern, replacement in _FOLDS:
        folded = re.sub(pattern, replacement, folded)
    return folded


@cache
def _folded_spellings(unit: str) -> frozenset[str]:
    """Return the ways to write one UCUM unit, folded."""
    return frozenset(map(_fold, (unit, *_PRINTED.get(unit, ()))))


def canonical_unit_spelling(variable: Variable, text: str) -> str | None:
    """Return the UCUM spelling of a unit that a variable accepts, or None if it is refused.

    It is a key of `variable.units` or of `variable.offset_units`.

    Case, spaces, the micro sign and the ways to print a power do not matter: no variable accepts
    two units that differ only in them. A blank is the canonical unit of scores, ratios and the
    like, and unknown for everything else.

    >>> from data_schema.biomarkers import variable
    >>> canonical_unit_spelling(variable("fgf23_c"), "RU/mL")
    "[arb'U]/mL"
    >>> canonical_unit_spelling(variable("fgf23_i"), "RU/mL") is None
    True
    """
    stripped = text.strip()
    if not stripped:
        return variable.unit if variable.unit in _MAY_BE_BLANK else None
    accepted = (*variable.units, *variable.offset_units)
    if stripped in accepted:
        return stripped
    folded = _fold(stripped)
    for unit in accepted:
        if folded in _folded_spellings(unit):
            return unit
    aliases = {_fold(alias): unit for alias, unit in variable.aliases.items()}
    return aliases.get(folded)


def units_in_words(variable: Variable, units: Iterable[str]) -> tuple[str, ...]:
    """Return accepted units as a message lists them: as printed, where that can be read back.

    Scores, ratios and the like have no unit to print. Where a percentage is accepted, the unit 1
    is called a fraction.

    >>> from data_schema.biomarkers import variable
    >>> units_in_words(variable("pf_ratio"), ["mm[Hg]", "kPa"])
    ('mmHg', 'kPa')
    >>> units_in_words(variable("sofa"), ["{score}"])
    ()
    """
    words: dict[str, None] = {}
    for unit in units:
        printed = "fraction" if (unit, variable.unit) == ("1", "%") else printed_unit(unit)
        same = canonical_unit_spelling(variable, printed) if printed else unit
        is_read = same is not None and conversion(variable, same) == conversion(variable, unit)
        words[printed if is_read else unit] = None
    return tuple(filter(None, words))


def conversion(variable: Variable, unit: str) -> tuple[float, float]:
    """Return factor and offset: canonical value = value * factor + offset.

    `RulesBroken` with rule `unit` is raised if the variable does not accept the unit.

    >>> from data_schema.biomarkers import variable
    >>> conversion(variable("ctx_s"), "ng/mL")
    (1000.0, 0.0)
    """
    spelling = canonical_unit_spelling(variable, unit)
    if spelling is None:
        message = f"{variable.name} must {unit_rule(variable, unit)}"
        raise RulesBroken([Finding("unit", variable.name, 1, message)])
    if spelling in variable.offset_units:
        return variable.offset_units[spelling]
    return variable.units.get(spelling, 1.0), 0.0


def unit_rule(variable: Variable, unit: str) -> str:
    """Return why a unit is refused, worded to follow the variable's name and "must"."""
    # The text is not repeated, since a free-text unit may hold a patient's value.
    units = (*variable.units, *variable.offset_units)
    accepted = ", ".join(units_in_words(variable, units)) or "no unit"
    problem = "the stated unit is not accepted" if unit.strip() else "none is stated"
    return (
        f"be in an accepted unit ({accepted}); {problem}. State the unit that the laboratory "
        "reports, or convert the values."
    )


def to_canonical(variable: Variable, values: ArrayLike, unit: str) -> NDArray[np.float64]:
    """Return values in the canonical unit; NaN stays NaN."""
    factor, offset = conversion(variable, unit)
    with np.errstate(over="ignore"):  # infinity is outside every plausible range
        return np.asarray(values, dtype=np.float64) * factor + offset


def in_range(
    variable: Variable, values: ArrayLike, *, below: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Return which canonical values lie in the plausible range; NaN does.

    Where `below` is true, a value is a detection limit, which may lie under the range, above zero.
    """
    numbers = np.asarray(values, dtype=np.float64)
    low = -np.inf if variable.low is None else variable.low
    high = np.inf if variable.high is None else variable.high
    inside = np.isnan(numbers) | ((numbers >= low) & (numbers <= high))
    if below is not None:
        inside |= np.asarray(below, dtype=np.bool_) & (numbers > 0) & (numbers <= high)
    return np.asarray(inside, dtype=np.bool_)


def is_in_range(variable: Variable, value: float, *, below: bool = False) -> bool:
    """Return `in_range` of a single value, which is faster than an array.

    >>> from data_schema.biomarkers import variable
    >>> is_in_range(variable("age"), 68.0), is_in_range(variable("age"), 680.0)
    (True, False)
    """
    if math.isnan(value):
        return True
    high = math.inf if variable.high is None else variable.high
    low = -math.inf if variable.low is None else variable.low
    return value <= high and (value >= low or (below and value > 0))


def range_text(variable: Variable) -> str:
    """Return the plausible range in words, with the printed unit.

    >>> from data_schema.biomarkers import variable
    >>> range_text(variable("lactate"))
    '0.05 to 60 mmol/L'
    """
    low = "any" if variable.low is None else f"{variable.low:.10g}"
    high = "any" if variable.high is None else f"{variable.high:.10g}"
    return f"{low} to {high} {printed_unit(variable.unit)}".rstrip()


def plausible_units(variable: Variable, values: ArrayLike) -> tuple[str, ...]:
    """Return the accepted units in which every value would be plausible, the first of each factor.

    More than one is common: the range alone cannot tell 60 ng/mL of vitamin D from 60 nmol/L.

    >>> from data_schema.biomarkers import variable
    >>> plausible_units(variable("fio2"), [0.21, 0.5, 1.0])
    ('1',)
    """
    first_of = {scale: unit for unit, scale in reversed(list(variable.units.items()))}
    return tuple(
        unit
        for unit, scale in variable.units.items()
        if first_of[scale] == unit
        and in_range(variable, to_canonical(variable, values, unit)).all()
    )
