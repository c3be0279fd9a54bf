"""One measurement as it is sent: which variable, in which unit, and whether it may be read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

import pandas as pd

from data_schema.biomarkers import VARIABLES, by_code, did_you_mean
from data_schema.errors import Finding, RulesBroken
from data_schema.readings import (
    LARGEST,
    accepted_specimen,
    basis,
    category_of,
    flag_of,
    has_range,
)
from data_schema.units import is_in_range, plausible_units, range_text, unit_rule, units_in_words
from data_schema.values import cell_text, parse_numbers
from data_schema.variables import Code, Variable, base_name, is_state

__all__ = ["CanonicalMeasurement", "Measurement", "absent_variable", "canonical_measurement"]

# How far outside the plausible range, as a share of its end, a value is taken for that end.
_CLIPPED_SHARE = 0.1

_COMPARATORS = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value as a caller sends it, by catalogue name or by LOINC code.

    Parameters
    ----------
    value : float, str or bool
        A number or the text a laboratory prints (`<9.99`); a category; a flag as truth, 1 or 0, or
        the words of a table. None or a word such as "NA" states no value: not entered.
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

    value: float | str | bool | None
    variable: str | None = None
    loinc: str | None = None
    unit: str | None = None
    comparator: str | None = None
    assay: str | None = None
    specimen: str | None = None


@dataclass(frozen=True, slots=True)
class CanonicalMeasurement:
    """A measurement that meets every rule, in the words of the catalogue.

    Parameters
    ----------
    column : str
        Feature column: the variable's name and its suffix, if one was sent.
    variable : Variable
        The variable it belongs to.
    value : float, str or None
        In the canonical unit; 0 or 1 for a flag; None if it states no value.
    below, above : bool
        The value is the lower or the upper limit of the assay.
    clipped : bool
        The value lay a little outside the plausible range, and is its nearer end.
    """

    column: str
    variable: Variable
    value: float | str | None
    below: bool = False
    above: bool = False
    clipped: bool = False


def canonical_measurement(
    sent: Measurement,
    variables: Mapping[str, Variable] = VARIABLES,
    *,
    extremes: Literal["refuse", "clip"] = "refuse",
) -> CanonicalMeasurement | Finding:
    """Return a measurement in canonical form, or the rule it breaks.

    `variables` are those that may be named: the catalogue, or the catalogue and a model's own. With
    `extremes` "clip", what a laboratory or a monitor measures and lies outside the plausible range
    becomes the nearer end of the range, if it lies outside by at most a tenth of that end, or is
    reported only as more than a limit beyond it. Everything else outside is refused: it is an error
    of value or unit rather than an extreme.

    The finding's rule is one of `unknown_variable`, `assay`, `specimen`, `unit`, `comparator`,
    `not_a_number`, `infinite`, `ambiguous_number`, `range`, `too_large`, `category`, `flag`. Its
    message never repeats what was sent.

    >>> estradiol = canonical_measurement(Measurement("<9.99", loinc="2243-4", unit="pg/mL"))
    >>> estradiol.column, estradiol.value, estradiol.below
    ('estradiol', 9.99, True)
    >>> canonical_measurement(Measurement(1471, variable="fgf23_i", unit="RU/mL")).rule
    'unit'
    """
    try:
        column, variable, code = _identified(sent, variables)
        if code is not None and code.assay_required and not (sent.assay or "").strip():
            must = "state its assay under this code, which does not say what was measured"
            _refuse("assay", variable, f"{must}.")
        if variable.kind == "number":
            return _number(sent, column, variable, code, extremes)
        return _category_or_flag(sent, column, variable)
    except RulesBroken as broken:
        return broken.findings[0]


def absent_variable(
    name: str, variables: Mapping[str, Variable] = VARIABLES, listed_in: str = "absent"
) -> Variable | Finding:
    """Return the variable that is recorded as not done, or the rule `unknown_variable`.

    It is named without a suffix: none of its features has a value then. `listed_in` is the field
    that names it.

    >>> absent_variable("ctx_s").name, absent_variable("ctx_s__max").rule
    ('ctx_s', 'unknown_variable')
    """
    if name in variables:
        return variables[name]
    if base_name(name) in variables:
        advice = f" Name {base_name(name)}, without a suffix."
    else:
        advice = did_you_mean(name, variables)
    message = f"{listed_in} must name variables of the catalogue or the model.{advice}"
    return Finding("unknown_variable", "", 1, message)


def _identified(
    sent: Measurement, variables: Mapping[str, Variable]
) -> tuple[str, Variable, Code | None]:
    """Return column, variable and LOINC record; name and code must agree if both are sent."""
    named = _named(sent.variable, variables) if sent.variable is not None else None
    if sent.loinc is None:
        if named is None:
            _refuse("unknown_variable", None, "variable or loinc must be given.")
        return (*named, None)
    coded = by_code(sent.loinc)
    if not coded:
        _refuse("unknown_variable", None, "loinc must be a code of the catalogue.")
    if named is None:
        variable, code = coded[0]
        return variable.name, variable, code
    column, variable = named
    for candidate, code in coded:
        if candidate.name == variable.name:
            return column, variable, code
    must = "have its own loinc; the code sent belongs to another variable."
    _refuse("unknown_variable", variable, must)


def _named(name: str, variables: Mapping[str, Variable]) -> tuple[str, Variable]:
    base = base_name(name)
    if base in variables and not is_state(name):
        return name, variables[base]
    advice = did_you_mean(name, variables)
    message = f"variable must be in the catalogue or the model.{advice}"
    _refuse("unknown_variable", None, message)


def _number(
    sent: Measurement,
    column: str,
    variable: Variable,
    code: Code | None,
    extremes: Literal["refuse", "clip"],
) -> CanonicalMeasurement:
    value, below, above = _read(sent, variable)
    if math.isnan(value):
        return CanonicalMeasurement(column, variable, None)
    unit = sent.unit or ""
    how = basis(
        variable, column, unit=unit, assays=(sent.assay or "",), specimen=sent.specimen or ""
    )
    for rule in how.broken:
        _refuse(rule, variable, _refusal(rule, variable, unit))
    if code is not None and code.units and how.unit and how.unit not in code.units:
        of_code = ", ".join(units_in_words(variable, code.units))
        must = f"be in a unit of its code ({of_code})"
        advice = "Send the code of what the laboratory reports, or the variable's name."
        _refuse("unit", variable, f"{must}. {advice}")
    canonical = value * how.factor + how.offset
    if has_range(column) and not is_in_range(variable, canonical, below=below):
        nearer = _nearer_end(variable, canonical, above=above) if extremes == "clip" else None
        if nearer is not None:
            return CanonicalMeasurement(column, variable, nearer, below, above, clipped=True)
        others = [unit for unit in plausible_units(variable, value) if unit != how.unit]
        fitting = units_in_words(variable, others)
        advice = f" It would fit the unit {' or '.join(fitting)}." if fitting else ""
        must = f"be {range_text(variable)}. Check value and unit.{advice}"
        _refuse("range", variable, must)
    if abs(canonical) > LARGEST:
        must = f"lie between -{LARGEST:.2g} and {LARGEST:.2g}. Check value and unit."
        _refuse("too_large", variable, must)
    return CanonicalMeasurement(column, variable, canonical, below, above)


def _nearer_end(variable: Variable, value: float, *, above: bool) -> float | None:
    """Return the end of the plausible range for an extreme outside it; None for an error."""
    if variable.origin is None or variable.origin.kind not in ("sample", "bedside"):
        return None
    low, high = variable.low, variable.high
    if high is not None and value > high:
        return high if above or value - high <= _CLIPPED_SHARE * abs(high) else None
    if low is not None and value < low:
        return low if low - value <= _CLIPPED_SHARE * abs(low) else None
    return None


def _refusal(rule: str, variable: Variable, unit: str) -> str:
    """Return what a rule of `readings.basis` demands, after the variable's name."""
    if rule == "assay":
        return (
            "be measured by its own assay; the stated assay belongs to another variable. Send the "
            "value as that variable."
        )
    if rule == "specimen":
        return (
            f"be measured in {accepted_specimen(variable)}; the stated specimen is not. Another "
            "specimen is another variable."
        )
    return unit_rule(variable, unit)


def _read(sent: Measurement, variable: Variable) -> tuple[float, bool, bool]:
    """Return the number, and whether it lies below or above a limit; NaN is no value."""
    comparator = sent.comparator or ""
    if comparator and comparator not in _COMPARATORS:
        _refuse("comparator", variable, "have a comparator of <, <=, > or >=.")
    if sent.value is None:
        if comparator:
            _refuse("comparator", variable, f"be {_READABLE['comparator']}.")
        return math.nan, False, False
    if isinstance(sent.value, str | bool):
        parsed = parse_numbers(pd.Series([f"{comparator}{sent.value}"], dtype=object))
        for rule in parsed.problems:
            _refuse(rule, variable, f"be {_READABLE[rule]}.")
        return float(parsed.values[0]), bool(parsed.below[0]), bool(parsed.above[0])
    value = _as_float(sent.value)
    rule = "infinite" if math.isinf(value) else "comparator"
    if math.isinf(value) or (math.isnan(value) and comparator):
        _refuse(rule, variable, f"be {_READABLE[rule]}.")
    return value, comparator.startswith("<"), comparator.startswith(">")


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf


_READABLE: Mapping[str, str] = {
    "not_a_number": "a number",
    "infinite": "finite",
    "ambiguous_number": "a number with a point as decimal mark and no other mark",
    "comparator": "a number after one comparator",
}


def _category_or_flag(sent: Measurement, column: str, variable: Variable) -> CanonicalMeasurement:
    if sent.comparator:
        _refuse("comparator", variable, "have no comparator.")
    if (sent.unit or "").strip():
        _refuse("unit", variable, "have no unit.")
    text = None if sent.value is None else cell_text(sent.value)
    word = flag_of(text) if variable.kind == "flag" else category_of(variable, text)
    if word.broken is not None:
        known = ", ".join(variable.categories)
        words = f"one of {known}" if known else "true or false, yes or no, or 1 or 0"
        _refuse(word.broken, variable, f"be {words}.")
    return CanonicalMeasurement(column, variable, word.value)


def _refuse(rule: str, variable: Variable | None, message: str) -> NoReturn:
    """Refuse a measurement; the message follows the variable's name and "must", if it is known."""
    name = variable.name if variable is not None else ""
    text = f"{name} must {message}" if name else message
    raise RulesBroken([Finding(rule, name, 1, text)])
