"""One measurement as it is sent: which variable, in which unit, and whether it may be read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

import pandas as pd

from data_schema.biomarkers import VARIABLES, by_code
from data_schema.errors import Finding, RulesBroken
from data_schema.units import (
    canonical_unit_spelling,
    factor,
    may_stand,
    plausible_units,
    range_text,
)
from data_schema.values import parse_numbers
from data_schema.variables import BELOW, Code, Variable, base_name

__all__ = ["CanonicalMeasurement", "Measurement", "canonical_measurement"]

_BELOW = ("<", "<=")
_ABOVE = (">", ">=")
_MATRICES = frozenset({"serum", "plasma", "urine", "blood"})
_NOT_STATED = frozenset({"other", "unknown"})


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a caller sends, by catalogue name or by LOINC code.

    Parameters
    ----------
    value : float, str or bool
        A number or the text a laboratory prints (`<9.99`); a category's text; a flag's truth.
    variable : str or None
        Name in the catalogue or in a model, with or without a feature suffix.
    loinc : str or None
        LOINC code; with `variable`, the two must agree.
    unit : str or None
        UCUM, or a spelling that laboratories print.
    comparator : str or None
        `<`, `<=`, `>` or `>=` when the value is a limit of the assay.
    assay, specimen : str or None
        What was used and sampled, where the sender knows it.
    """

    value: float | str | bool
    variable: str | None = None
    loinc: str | None = None
    unit: str | None = None
    comparator: str | None = None
    assay: str | None = None
    specimen: str | None = None


@dataclass(frozen=True, slots=True)
class CanonicalMeasurement:
    """A measurement that kept every rule, in the words of the catalogue.

    Parameters
    ----------
    column : str
        Feature column: the variable's name and its suffix, if one was sent.
    variable : Variable
        The variable it belongs to.
    value : float, str or None
        In the canonical unit; 0 or 1 for a flag; None for a category that was not stated.
    below, above : bool
        The value is the lower or the upper limit of the assay.
    """

    column: str
    variable: Variable
    value: float | str | None
    below: bool = False
    above: bool = False


def canonical_measurement(
    sent: Measurement, variables: Mapping[str, Variable] = VARIABLES
) -> CanonicalMeasurement | Finding:
    """Return a measurement in canonical form, or the rule it breaks.

    Parameters
    ----------
    sent : Measurement
        What the caller sent.
    variables : mapping of str to Variable
        The variables that may be named: the catalogue, or the catalogue and a model's own.

    Returns
    -------
    CanonicalMeasurement or Finding
        The finding's rule is one of `unknown_variable`, `assay`, `specimen`, `unit`, `comparator`,
        `not_a_number`, `infinite`, `ambiguous_number`, `range`, `category`, `flag`. Its message
        never repeats what was sent.

    Examples
    --------
    >>> found = canonical_measurement(Measurement("<9.99", loinc="2243-4", unit="pg/mL"))
    >>> found.column, found.value, found.below
    ('estradiol', 9.99, True)
    >>> canonical_measurement(Measurement(1471, variable="fgf23_i", unit="RU/mL")).rule
    'unit'
    """
    try:
        column, variable, code = _identified(sent, variables)
        _check_identity(sent, variable, code)
        if variable.kind == "number":
            return _number(sent, column, variable, code)
        return _category_or_flag(sent, column, variable)
    except RulesBroken as broken:
        return broken.findings[0]


def _identified(
    sent: Measurement, variables: Mapping[str, Variable]
) -> tuple[str, Variable, Code | None]:
    """Find the variable by name, by code, or by both, which must then agree."""
    named = _named(sent.variable, variables) if sent.variable is not None else None
    if sent.loinc is None:
        if named is None:
            _refuse("unknown_variable", "", "variable or loinc must be given; neither is.")
        return (*named, None)
    coded = by_code(sent.loinc)
    if not coded:
        _refuse("unknown_variable", "", "loinc must be a code of the catalogue; it is not.")
    if named is None:
        variable, code = coded[0]
        return variable.name, variable, code
    column, variable = named
    for candidate, code in coded:
        if candidate.name == variable.name:
            return column, variable, code
    _refuse(
        "unknown_variable",
        variable.name,
        f"{variable.name} must have its own loinc; the code sent is of another variable.",
    )


def _named(name: str, variables: Mapping[str, Variable]) -> tuple[str, Variable]:
    base = base_name(name)
    if base in variables and name != f"{base}__{BELOW}":
        return name, variables[base]
    close = get_close_matches(name, variables, n=3, cutoff=0.6)
    advice = f" Did you mean {', '.join(close)}?" if close else ""
    _refuse(
        "unknown_variable",
        "",
        f"variable must be in the catalogue or the model; it is not.{advice}",
    )


def _check_identity(sent: Measurement, variable: Variable, code: Code | None) -> None:
    """Refuse what is, or may be, another quantity under this name."""
    if code is not None and code.assay_required and not (sent.assay or "").strip():
        _refuse(
            "assay",
            variable.name,
            f"{variable.name} must state its assay under this code, which does not say what was "
            "measured; it does not.",
        )
    if sent.specimen is None or not variable.specimen:
        return
    stated = _MATRICES & set(re.findall(r"[a-z]+", sent.specimen.casefold()))
    if stated != {variable.specimen}:
        _refuse(
            "specimen",
            variable.name,
            f"{variable.name} must be measured in {variable.specimen}; the stated specimen is not. "
            "Another specimen is another variable.",
        )


def _number(
    sent: Measurement, column: str, variable: Variable, code: Code | None
) -> CanonicalMeasurement:
    value, comparator = _read(sent, variable.name)
    below, above = comparator in _BELOW, comparator in _ABOVE
    if column == f"{variable.name}__count":
        return CanonicalMeasurement(column, variable, value)
    unit = _accepted_unit(sent.unit or "", variable, code)
    canonical = value * variable.units.get(unit, 1.0)
    if column != f"{variable.name}__slope" and not may_stand(variable, canonical, below=below):
        fitting = [other for other in plausible_units(variable, value) if other != unit]
        advice = f" It would fit the unit {' or '.join(fitting)}." if fitting else ""
        _refuse(
            "range",
            variable.name,
            f"{variable.name} must be {range_text(variable)}; it is not. Check value and unit."
            f"{advice}",
        )
    return CanonicalMeasurement(column, variable, canonical, below, above)


def _accepted_unit(stated: str, variable: Variable, code: Code | None) -> str:
    """Return the UCUM unit, which the variable and the code must both accept."""
    factor(variable, stated)  # refuses what the variable does not accept
    unit = canonical_unit_spelling(variable, stated) or ""
    if code is not None and code.units and unit not in code.units:
        _refuse(
            "unit",
            variable.name,
            f"{variable.name} must be in a unit of its code ({', '.join(code.units)}); it is not. "
            "Send the code of what the laboratory reports, or the variable's name.",
        )
    return unit


def _read(sent: Measurement, name: str) -> tuple[float, str]:
    """Return the number and its comparator, from text if need be."""
    if sent.comparator not in (None, *_BELOW, *_ABOVE):
        _refuse("comparator", name, f"{name} must have a comparator of <, <=, >, >=; it has not.")
    if isinstance(sent.value, bool):
        _refuse("not_a_number", name, f"{name} must be a number; it is not.")
    if isinstance(sent.value, str):
        parsed = parse_numbers(pd.Series([sent.value], dtype=object))
        for rule in parsed.problems:
            _refuse(rule, name, f"{name} must be {_READABLE[rule]}; it is not.")
        value = float(parsed.values[0])
        comparator = "<" if parsed.below[0] else ">" if parsed.above[0] else ""
        if comparator and sent.comparator:
            _refuse("comparator", name, f"{name} must have one comparator; it has two.")
    else:
        value, comparator = _as_float(sent.value), ""
    if math.isnan(value):
        _refuse("not_a_number", name, f"{name} must be a number; it is not.")
    if math.isinf(value):
        _refuse("infinite", name, f"{name} must be finite; it is not.")
    return value, comparator or sent.comparator or ""


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf


_READABLE: Mapping[str, str] = {
    "not_a_number": "a number",
    "infinite": "finite",
    "ambiguous_number": "a number with a point as decimal mark and no other mark",
    "comparator": "a number after its comparator",
}


def _category_or_flag(sent: Measurement, column: str, variable: Variable) -> CanonicalMeasurement:
    name = variable.name
    if sent.comparator:
        _refuse("comparator", name, f"{name} must have no comparator; it has one.")
    if sent.unit:
        _refuse("unit", name, f"{name} must have no unit; it has one.")
    if variable.kind == "flag":
        if isinstance(sent.value, str) or sent.value not in (0, 1):
            _refuse("flag", name, f"{name} must be true or false, or 1 or 0; it is not.")
        return CanonicalMeasurement(column, variable, float(sent.value))
    word = sent.value.strip() if isinstance(sent.value, str) else ""
    if not variable.categories and word:
        return CanonicalMeasurement(column, variable, word)
    for category in variable.categories:
        if category.casefold() == word.casefold():
            return CanonicalMeasurement(column, variable, category)
    if word.casefold() in _NOT_STATED:
        return CanonicalMeasurement(column, variable, None)
    known = ", ".join(variable.categories) or "a text"
    _refuse("category", name, f"{name} must be one of {known}; it is not.")


def _refuse(rule: str, variable: str, message: str) -> NoReturn:
    raise RulesBroken([Finding(rule, variable, 1, message)])
