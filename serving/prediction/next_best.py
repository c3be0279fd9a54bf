"""What to measure next: the tests of the site's menu that would move the estimate."""

from __future__ import annotations

from collections.abc import Sequence

from data_schema.biomarkers import VARIABLES
from models import wording
from models.inference.next_best import WORTH_POINTS, expected_changes
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
    days = prediction.horizons_days
    changes = expected_changes(model.loaded.risk_model, patient, missing, days)
    worth = tuple(
        NextBest(
            change,
            wording.expected_change_sentence(
                label=VARIABLES[change.variable].label,
                horizon_days=change.horizon_days,
                points=change.change_points,
            ),
        )
        for change in changes
        if change.change_points >= WORTH_POINTS
    )
    summary = wording.menu_sentence(
        on_menu=len(menu),
        missing=len(missing),
        simulated=len({change.variable for change in changes}),
        moving=len({one.change.variable for one in worth}),
        points=WORTH_POINTS,
    )
    return worth, summary
