"""What to measure next: which tests of the site's menu would narrow the interval, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_schema.biomarkers import VARIABLES
from models import wording
from models.inference.next_best import WORTH_POINTS, expected_narrowing
from models.inference.risk_model import Prediction, Table
from serving.prediction.schemas import ExpectedInterval, NextBest
from serving.prediction.served import ServedModel

__all__ = ["next_best"]


def next_best(
    model: ServedModel, patient: Table, answered: Prediction, menu: Sequence[str]
) -> dict[str, Any]:
    """Return what of the menu is worth telling of, and the sentence that says so.

    Parameters
    ----------
    model : ServedModel
    patient : Table
        One patient, whom the model answers.
    answered : Prediction
        The answer; its horizons are looked at.
    menu : sequence of str
        Variables of the catalogue.

    Returns
    -------
    dict
        `next_best` and `next_best_summary` of the answer.
    """
    missing = [
        name
        for name, measured in zip(answered.variables, answered.measured[0], strict=True)
        if name in menu and not measured
    ]
    days = answered.horizons_days
    found = expected_narrowing(model.loaded.risk_model, patient, missing, days)
    now = {
        float(day): (float(low), float(high))
        for day, low, high in zip(days, answered.risk_low[0], answered.risk_high[0], strict=True)
    }
    worth = [
        NextBest(
            variable=one.variable,
            horizon_days=int(one.horizon_days)
            if one.horizon_days.is_integer()
            else one.horizon_days,
            expected_interval=ExpectedInterval(low=one.low, high=one.high),
            narrowing_points=one.narrowing_points,
            narrowing_error_points=one.error_points,
            change_points=one.change_points,
            message=wording.narrowing_sentence(
                label=VARIABLES[one.variable].label,
                horizon_days=one.horizon_days,
                now=now[one.horizon_days],
                then=(one.low, one.high),
            ),
        )
        for one in found
        if one.narrowing_points >= WORTH_POINTS
    ]
    summary = wording.menu_sentence(
        on_menu=len(menu),
        missing=len(missing),
        judged=len({one.variable for one in found}),
        told=len({one.variable for one in worth}),
        points=WORTH_POINTS,
    )
    return {"next_best": worth, "next_best_summary": summary}
