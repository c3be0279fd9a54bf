"""What to measure next: which tests of the site's menu would narrow the interval, in words."""

from __future__ import annotations

from collections.abc import Sequence

from data_schema.biomarkers import VARIABLES
from models import wording
from models.inference.next_best import WORTH_POINTS, expected_narrowing
from models.inference.risk_model import Prediction, Table
from serving.prediction.answer import NextBest
from serving.prediction.served import ServedModel

__all__ = ["next_best"]


def next_best(
    model: ServedModel, patient: Table, answered: Prediction, menu: Sequence[str]
) -> tuple[tuple[NextBest, ...], str]:
    """Return the tests that would narrow the interval enough, and a sentence on the menu.

    Parameters
    ----------
    model : ServedModel
    patient : Table
        One patient that the model does not refuse.
    answered : Prediction
        The answer for this patient, at the horizons to consider.
    menu : sequence of str
        Variables of the catalogue.

    Returns
    -------
    tuple of tuple of NextBest and str
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
    worth = tuple(
        NextBest(
            one,
            wording.narrowing_sentence(
                label=VARIABLES[one.variable].label,
                horizon_days=one.horizon_days,
                now=now[one.horizon_days],
                then=(one.low, one.high),
            ),
        )
        for one in found
        if one.narrowing_points >= WORTH_POINTS
    )
    summary = wording.menu_sentence(
        on_menu=len(menu),
        missing=len(missing),
        simulated=len({one.variable for one in found}),
        narrowing=len({one.narrowing.variable for one in worth}),
        points=WORTH_POINTS,
    )
    return worth, summary
