"""How a clinician states a value: with its unit, its flag and how far it exceeds the limit.

A finding is stated as present or absent: "infection", "no infection".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data_schema.biomarkers import VARIABLES, reference_interval
from data_schema.printed_units import printed_unit
from data_schema.variables import Reference

__all__ = ["Comparator", "Flag", "Person", "RecordedValue", "in_words", "recorded_value"]

Flag = Literal["H", "L"]
"""Above the upper or below the lower reference limit of this patient."""

Comparator = Literal["<", ">"]

# A multiple such as 1.02 says no more than the flag.
_MENTIONED_MULTIPLE = 1.05

_ABSENT = ("no", "none")
_PRESENT = "yes"
_BARE_CATEGORIES = ("sex",)
"""Categories whose value needs no label beside it."""


@dataclass(frozen=True, slots=True)
class Person:
    """What decides which reference interval applies; None where it is not known."""

    sex: str | None = None
    menopause: str | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class RecordedValue:
    """The value of a variable, in the canonical unit; a flag is true or false.

    `multiple_of_reference` is the value over this patient's upper reference limit, and `flag` says
    on which side of the reference interval the value lies; None inside or without an interval.
    """

    value: float | str | bool | None = None
    comparator: Comparator | None = None
    multiple_of_reference: float | None = None
    flag: Flag | None = None


def recorded_value(
    variable: str, value: float, person: Person, *, comparator: Comparator | None = None
) -> RecordedValue:
    """Return a number with its flag and its multiple of the upper reference limit.

    Parameters
    ----------
    variable : str
        Base name; one outside the catalogue has no reference interval.
    value : float
        In the canonical unit.
    person : Person
        Whose reference interval is meant.
    comparator : {"<", ">"}, optional
        Set where the value is a limit of the assay, which is no multiple of anything.

    Examples
    --------
    >>> recorded_value("ctx_s", 2036.0, Person(sex="female", menopause="post"))
    RecordedValue(value=2036.0, comparator=None, multiple_of_reference=2.0, flag='H')
    >>> recorded_value("ctx_s", 2036.0, Person()).flag is None
    True
    """
    reference = _reference(variable, person)
    if reference is None:
        return RecordedValue(value, comparator)
    flag = _flag(value, comparator, reference)
    limit = reference.high
    multiple = value / limit if limit and comparator is None else None
    return RecordedValue(value, comparator, multiple, flag)


def in_words(variable: str, label: str, unit: str, recorded: RecordedValue) -> str:
    """Return a variable with its value as a clinician says it; the label where there is no value.

    Parameters
    ----------
    variable, label, unit : str
        Base name, printed name and UCUM unit.
    recorded : RecordedValue

    Examples
    --------
    >>> in_words("infection", "Infection", "", RecordedValue(False))
    'no infection'
    >>> high = RecordedValue(1471.0, multiple_of_reference=8.17, flag="H")
    >>> in_words("fgf23_c", "FGF23, C-terminal", "{RU}/mL", high)
    'FGF23, C-terminal 1471 RU/mL, H, 8.2 times the upper limit'
    >>> in_words("albumin", "Albumin", "g/dL", RecordedValue(2.4, flag="L"))
    'Albumin 2.4 g/dL, L'
    >>> in_words("sex", "Sex", "", RecordedValue("female"))
    'female'
    >>> in_words("age", "Age", "a", RecordedValue(68.7))
    'Age 68 years'
    """
    value = recorded.value
    if value is None:
        return label
    if isinstance(value, bool):
        return _finding(variable, label, present=value)
    if isinstance(value, str):
        return _category(variable, label, value)
    # Age in completed years: a patient is not said to be of another age every day.
    number = f"{int(value)}" if variable == "age" else _number(value)
    printed = f"{recorded.comparator or ''}{number} {printed_unit(unit)}".rstrip()
    parts = [f"{label} {printed}", *filter(None, [recorded.flag])]
    multiple = recorded.multiple_of_reference
    if recorded.flag == "H" and multiple is not None and multiple >= _MENTIONED_MULTIPLE:
        parts.append(f"{_multiple(multiple)} times the upper limit")
    return ", ".join(parts)


def _reference(variable: str, person: Person) -> Reference | None:
    if variable not in VARIABLES:
        return None
    sex = person.sex
    return reference_interval(
        VARIABLES[variable],
        sex="female" if sex == "female" else "male" if sex == "male" else None,
        menopause=person.menopause,
        age=person.age,
    )


def _flag(value: float, comparator: Comparator | None, reference: Reference) -> Flag | None:
    """Return the flag; that of a limit of the assay only where the limit alone decides it."""
    high, low = reference.high, reference.low
    if high is not None and comparator != "<" and value > high:
        return "H"
    if low is not None and comparator != ">":
        below = value <= low if comparator == "<" else value < low
        return "L" if below else None
    return None


def _finding(variable: str, label: str, *, present: bool) -> str:
    if variable not in VARIABLES:
        return f"{label}: {'yes' if present else 'no'}"
    if present:
        return label
    return VARIABLES[variable].absence or f"no {_begun_small(label)}"


def _category(variable: str, label: str, value: str) -> str:
    words = value.replace("_", " ")
    if variable in _BARE_CATEGORIES:
        return words
    if value.casefold() in _ABSENT:
        return f"no {_begun_small(label)}"
    return label if value.casefold() == _PRESENT else f"{label}: {words}"


def _begun_small(label: str) -> str:
    """Return a label with a small first letter, unless it begins with an abbreviation.

    >>> _begun_small("Chronic kidney disease"), _begun_small("AIDS")
    ('chronic kidney disease', 'AIDS')
    """
    return label if label[1:2].isupper() else f"{label[:1].lower()}{label[1:]}"


def _number(value: float) -> str:
    """Return a number to four digits without an exponent; whole from 1000 on.

    >>> _number(1471.2), _number(0.00012), _number(7.4)
    ('1471', '0.00012', '7.4')
    """
    if abs(value) >= 1_000:
        return f"{value:.0f}"
    return f"{value:.10f}".rstrip("0").rstrip(".") if 0 < abs(value) < 1e-4 else f"{value:.4g}"


def _multiple(multiple: float) -> str:
    return f"{multiple:.0f}" if multiple >= 100 else f"{multiple:.2g}"
