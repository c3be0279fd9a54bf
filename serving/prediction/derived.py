"""Values that follow from what was entered, offered where a variable that a model reads was not.

An entered value always stands. What is derived is named in a warning of the answer, and so is an
entered value that differs from the derived one by more than rounding.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import Columns
from data_schema.derived.derivations import DERIVATIONS, derived_value, differs
from data_schema.derived.oxygenation import FIO2_IN_FORCE
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.sofa import SOFA
from data_schema.measurements import CanonicalMeasurement
from models.inference.prediction import Remark
from serving.prediction.patient import Patient
from serving.prediction.question import Question

__all__ = ["moved_together", "with_derived_values"]

_SCORES = {score.name: score for score in (SOFA, APACHE2, SAPS2)}


def with_derived_values(patient: Patient, question: Question, read: Collection[str]) -> Patient:
    """Return the patient with the derived values of variables that were not entered.

    Only variables in `read` are derived or compared; one that is recorded as not done, or of which
    another feature was entered, is not derived.
    """
    values = dict(patient.values)
    warnings = list(patient.warnings)
    entered = {one.variable.name for one in values.values()}
    wanted = set(read)
    # P/F is derived on the way to a score.
    on_the_way = {part for name in wanted & set(DERIVATIONS) for part in DERIVATIONS[name].reads}
    for name, derivation in DERIVATIONS.items():
        if name not in wanted | on_the_way or name in patient.absent:
            continue
        derived = float(derived_value(name, _columns(values, patient, question))[0])
        if np.isnan(derived):
            continue
        parts = tuple(part for part in derivation.reads if part in {*entered, *values})
        stated = values.get(name)
        if stated is not None:
            if isinstance(stated.value, float) and _differs(name, stated, derived):
                warnings.append(_differing(name, parts))
        elif name not in entered:
            values[name] = CanonicalMeasurement(name, VARIABLES[name], derived)
            if name in wanted:
                warnings.append(_derived(name, parts))
    return replace(patient, values=values, warnings=tuple(warnings))


def moved_together(
    entered: Patient, moved: Patient, question: Question, read: Collection[str]
) -> dict[str, float]:
    """Return the entered values of variables that follow from others, moved with those.

    Where a component of an entered score takes another number of points, the score moves by the
    difference; an entered ratio, such as a body mass index, moves in proportion.

    Parameters
    ----------
    entered, moved : Patient
        As entered, and with some values moved.
    question : Question
        That `entered` was read from.
    read : collection of str
        Variables of the model.

    Returns
    -------
    dict of str to float
        In canonical units, within the plausible range of each variable; a variable that does not
        move, or was not entered, is left out.
    """
    values = {}
    before, after = (_columns(one.values, one, question) for one in (entered, moved))
    for name in DERIVATIONS:
        stated = entered.values.get(name)
        if name not in read or stated is None or not isinstance(stated.value, float):
            continue
        value = stated.value
        if name in _SCORES:
            points = [
                float(_SCORES[name].of(columns, missing="normal", least_recorded=0).total[0])
                for columns in (before, after)
            ]
            value += points[1] - points[0]
        else:
            first, second = (float(derived_value(name, one)[0]) for one in (before, after))
            value *= second / first if first else np.nan
        variable = VARIABLES[name]
        low, high = variable.low, variable.high
        value = min(max(value, -np.inf if low is None else low), np.inf if high is None else high)
        if np.isfinite(value) and value != stated.value:
            values[name] = value
    return values


def _columns(
    values: Mapping[str, CanonicalMeasurement], patient: Patient, question: Question
) -> Columns:
    """Return the patient's values as columns of one row."""
    numbers: dict[str, NDArray[np.float64]] = {}
    words: dict[str, NDArray[np.object_]] = {}
    for column, one in values.items():
        # A limit of an assay is no number to compute with.
        if isinstance(one.value, float) and not one.below and not one.above:
            numbers[column] = np.array([one.value])
        elif isinstance(one.value, str):
            words[column] = np.array([one.value], dtype=object)
    if not _in_force(patient, question):
        numbers.pop("fio2", None)
    return Columns(1, numbers, words)


def _in_force(patient: Patient, question: Question) -> bool:
    """Return whether the FiO2 was in force when the blood gas was drawn, as far as times tell."""
    numbers = (patient.numbers.get("pao2"), patient.numbers.get("fio2"))
    times = [None if one is None else question.measurements[one].time for one in numbers]
    drawn, set_at = times
    if drawn is None or set_at is None:
        return True
    return set_at <= drawn and drawn - set_at <= FIO2_IN_FORCE


def _differs(name: str, stated: CanonicalMeasurement, derived: float) -> bool:
    if stated.below or stated.above or not isinstance(stated.value, float):
        return False
    return bool(differs(name, np.array([stated.value]), np.array([derived]))[0])


def _derived(name: str, parts: tuple[str, ...]) -> Remark:
    worst = (
        "A value entered without its worst of 24 hours was taken for it: the score may be too low. "
        if name in _SCORES
        else ""
    )
    message = (
        f"{VARIABLES[name].label} was not entered: it was derived from {_labels(parts)}. {worst}"
        f"Source: {DERIVATIONS[name].source}"
    )
    return Remark(code="derived_value", message=message, variables=(name,))


def _differing(name: str, parts: tuple[str, ...]) -> Remark:
    message = (
        f"{VARIABLES[name].label} as entered differs from what follows from {_labels(parts)} by "
        "more than rounding; the entered value was used. Check units and times."
    )
    return Remark(code="derived_differs", message=message, variables=(name,))


def _labels(parts: tuple[str, ...]) -> str:
    return ", ".join(VARIABLES[part].label if part in VARIABLES else part for part in parts)
