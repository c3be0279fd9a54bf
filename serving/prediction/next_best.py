"""What to measure next: the tests of the site's menu that would narrow the interval."""

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
    model: ServedModel, patient: Table, prediction: Prediction, menu: Sequence[str]
) -> tuple[tuple[NextBest, ...], str]:
    """Return `next_best` and `next_best_summary` of the answer for one patient.

    The model must not refuse the patient. Horizons are those of `prediction`; `menu` names
    variables of the catalogue.
    """
    missing = [
        name
        for name, measured in zip(prediction.variables, prediction.measured[0], strict=True)
        if name in menu and not measured
    ]
    days, low, high = prediction.horizons_days, prediction.risk_low[0], prediction.risk_high[0]
    narrowings = expected_narrowing(model.loaded.risk_model, patient, missing, days)
    ends = zip(map(float, low), map(float, high), strict=True)
    now = dict(zip(map(float, days), ends, strict=True))
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
        for one in narrowings
        if one.narrowing_points >= WORTH_POINTS
    )
    summary = wording.menu_sentence(
        on_menu=len(menu),
        missing=len(missing),
        simulated=len({one.variable for one in narrowings}),
        narrowing=len({one.narrowing.variable for one in worth}),
        points=WORTH_POINTS,
    )
    return worth, summary
