"""What moved one risk: contributions by variable and by pathway, with what was sent beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_schema.biomarkers import VARIABLES, reference_interval
from data_schema.measurements import CanonicalMeasurement
from data_schema.variables import PATHWAYS
from models.inference.risk_model import Prediction
from serving.prediction.patient import Patient
from serving.prediction.schemas import Contribution, PathwayPoints

__all__ = ["NOT_MEASURED", "contributions", "pathway_points"]

NOT_MEASURED = "not_measured"
"""Stands for the pathway of all that was not measured: it gets no share under any real one."""


def contributions(patient: Patient, raw: Prediction) -> list[list[Contribution]]:
    """Return each variable's contribution at each horizon: measured first, the largest first.

    Parameters
    ----------
    patient : Patient
    raw : Prediction
        Of this one patient; without contributions there are none to list.

    Returns
    -------
    list of list of Contribution
        One list for each of `raw.horizons_days`.
    """
    if raw.log_odds is None or raw.points is None:
        return [[] for _ in raw.horizons_days]
    known = [
        {
            "variable": name,
            "pathway": pathway,
            "measured": measured,
            **(_as_sent(patient, name) if measured else {}),
        }
        for name, pathway, measured in zip(
            raw.variables, raw.pathways, raw.measured[0].tolist(), strict=True
        )
    ]
    return [
        sorted(
            (
                Contribution(**one, log_odds=its_log_odds, points=its_points)
                for one, its_log_odds, its_points in zip(known, log_odds, points, strict=True)
            ),
            key=_place,
        )
        for log_odds, points in zip(raw.log_odds[0].tolist(), raw.points[0].tolist(), strict=True)
    ]


def _place(one: Contribution) -> tuple[bool, float, str]:
    return not one.measured, -abs(one.points), one.variable


def pathway_points(listed: Sequence[Contribution]) -> list[PathwayPoints]:
    """Return the sums of contributions by pathway; what was not measured is one sum apart."""
    sums: dict[str, float] = {}
    for one in listed:
        pathway = one.pathway if one.measured else NOT_MEASURED
        sums[pathway] = sums.get(pathway, 0.0) + one.points
    order = [*PATHWAYS, NOT_MEASURED]
    return [PathwayPoints(pathway=name, points=sums[name]) for name in order if name in sums]


def _as_sent(patient: Patient, name: str) -> Mapping[str, Any]:
    """Return the value behind a contribution; nothing when only a `<name>__max` or the like is."""
    found = patient.values.get(name)
    if found is None:
        return {}
    if found.variable.kind == "flag":
        return {"value": bool(found.value)}
    if found.variable.kind == "category":
        return {"value": found.value}
    shown: dict[str, Any] = {"value": found.value, "unit": found.variable.unit}
    if found.below or found.above:
        return shown | {"comparator": "<" if found.below else ">"}
    multiple = _multiple_of_reference(patient, found)
    return shown if multiple is None else shown | {"multiple_of_reference": multiple}


def _multiple_of_reference(patient: Patient, found: CanonicalMeasurement) -> float | None:
    """Return the value over this patient's upper reference limit, or None if none is known."""
    if found.variable.name not in VARIABLES or not isinstance(found.value, float):
        return None
    sex = patient.word("sex")
    reference = reference_interval(
        found.variable,
        sex="female" if sex == "female" else "male" if sex == "male" else None,
        menopause=patient.word("menopausal_status"),
        age=patient.number("age"),
    )
    return found.value / reference.high if reference and reference.high else None
