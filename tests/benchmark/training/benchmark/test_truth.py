"""The whole comparison with the truth, on few patients; it takes half a minute and is skipped."""

from __future__ import annotations

import os

import pytest

from training.benchmark.truth import BOUNDS, compare_with_truth

pytestmark = pytest.mark.skipif(
    "OSTEON_BENCHMARK" not in os.environ, reason="takes half a minute: set OSTEON_BENCHMARK=1"
)


def test_every_bound_is_judged_at_every_horizon() -> None:
    said: list[str] = []
    found = compare_with_truth(
        patients=800, random_state=3, outcomes=("mortality",), progress=said.append
    )
    judged = [(one.figure, one.horizon_days) for one in found.figures]
    wanted = [bound.figure for bound in BOUNDS if bound.outcome == "mortality"]
    assert judged == [(figure, days) for days in (28.0, 90.0, 365.0) for figure in wanted]
    rows = {row.model: row.figures["auc"] for row in found.rows}
    for days in ("28", "90", "365"):
        # Nobody who knows only the record does better than the best, nor better than all-knowing.
        assert rows["osteon"][days] < rows["best attainable"][days] < rows["everything known"][days]
        assert rows["osteon"][days] > 0.7
    assert said == [
        "computing the true risks of 800 patients",
        "fitting mortality",
        "judging mortality",
    ]
