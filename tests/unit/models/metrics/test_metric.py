"""Which horizon a report is mainly about."""

import numpy as np

from models.metrics.metric import Metric, primary_horizon

HORIZONS = (28.0, 90.0, 365.0)


def auroc(days: float, *, judged: bool) -> Metric:
    value = 0.8 if judged else np.nan
    return Metric("auroc", days, value, value, value, "" if judged else "too few")


def test_the_middle_horizon_is_the_primary_one() -> None:
    assert primary_horizon(HORIZONS, [auroc(days, judged=True) for days in HORIZONS]) == 90.0


def test_where_the_middle_horizon_cannot_be_judged_the_first_that_can_is_primary() -> None:
    late = [auroc(days, judged=days > 90) for days in HORIZONS]

    assert primary_horizon(HORIZONS, late) == 365.0
    assert primary_horizon(HORIZONS, [auroc(days, judged=False) for days in HORIZONS]) == 90.0
