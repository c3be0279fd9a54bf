"""How a UCUM unit is printed for a reader; units are read by `data_schema.units`, never by this."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["printed_unit", "with_unit"]

_WHOLE: Mapping[str, str] = {
    "1": "",
    "[pH]": "",
    "a": "years",
    "d": "days",
    "h": "hours",
    "/min": "per minute",
    "{beats}/min": "per minute",
    "{breaths}/min": "per minute",
    "Cel": "°C",
    "[degF]": "°F",
    "[hnsf'U]": "HU",
    "[in_i]": "inches",
    "[lb_av]": "lb",
}

_PARTS: Mapping[str, str] = {
    "mm[Hg]": "mmHg",
    "cm[Hg]": "cmHg",
    "[arb'U]": "RU",
    "{RU}": "RU",
    "[iU]": "IU",
    "[IU]": "IU",
    "10*3": "× 10³",
    "10*6": "× 10⁶",
    "10*9": "× 10⁹",
    "10*12": "× 10¹²",
    "{creat}": " creatinine",
    "{FEU}": " FEU",
    "{1.73_m2}": "1.73 m²",
    "cm2": "cm²",
    "/m2": "/m²",
    "(24.h)": "24 h",
    "(kg.d)": "kg/d",
}


def printed_unit(unit: str) -> str:
    """Return a UCUM unit as clinicians write it; empty for scores, ratios and pH.

    >>> [printed_unit(unit) for unit in ("mm[Hg]", "{score}", "10*9/L", "ug/L", "a")]
    ['mmHg', '', '× 10⁹/L', 'µg/L', 'years']
    """
    if unit in _WHOLE:
        return _WHOLE[unit]
    if unit.startswith("{") and unit.endswith("}"):
        return ""
    for ucum, printed in _PARTS.items():
        unit = unit.replace(ucum, printed)
    for prefix in ("ug", "umol", "uL"):
        unit = unit.replace(prefix, "µ" + prefix[1:])
    return unit


def with_unit(label: str, unit: str) -> str:
    """Return a label followed by its unit, after a comma, where there is one to print.

    >>> with_unit("Lactate", "mmol/L"), with_unit("SOFA", "{score}")
    ('Lactate, mmol/L', 'SOFA')
    """
    printed = printed_unit(unit)
    return f"{label}, {printed}" if printed else label
