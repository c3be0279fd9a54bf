from __future__ import annotations

import numpy as np
import pytest

from models.metrics.metric import Metric
from models.registry.gate_criteria import reasons_against

GOOD = {
    "auroc": (0.70, 0.80),
    "ipa": (0.05, 0.20),
    "oe_ratio": (0.90, 1.10),
    "calibration_slope": (0.85, 1.15),
}


def figures(**changed: tuple[float, float]) -> list[Metric]:
    return [
        Metric(name, 28.0, estimate=0.0, low=low, high=high)
        for name, (low, high) in (GOOD | changed).items()
    ] + [metric for share in (0.2, 0.4) for metric in when_blanked(share)]


def when_blanked(share: float, **changed: tuple[float, float]) -> list[Metric]:
    return [
        Metric(name, 28.0, estimate=0.0, low=low, high=high, blank_share=share)
        for name, (low, high) in (GOOD | changed).items()
    ]


def test_nothing_speaks_against_good_figures() -> None:
    assert reasons_against(figures()) == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"auroc": (0.5, 0.6)}, "auroc at 28 days must lie above 0.5 with its interval"),
        ({"ipa": (-0.01, 0.1)}, "ipa at 28 days must lie above 0 with its interval"),
        (
            {"oe_ratio": (0.5, 0.79)},
            "oe_ratio at 28 days must have an interval that overlaps 0.8 to 1.25",
        ),
        (
            {"oe_ratio": (1.26, 1.5)},
            "oe_ratio at 28 days must have an interval that overlaps 0.8 to 1.25",
        ),
        (
            {"calibration_slope": (0.3, 0.69)},
            "calibration_slope at 28 days must have an interval that overlaps 0.7 to 1.4",
        ),
        (
            {"calibration_slope": (1.41, 2.0)},
            "calibration_slope at 28 days must have an interval that overlaps 0.7 to 1.4",
        ),
        ({"auroc": (np.nan, np.nan)}, "auroc at 28 days has no interval"),
    ],
)
def test_each_criterion_alone_refuses(changed: dict[str, tuple[float, float]], reason: str) -> None:
    (found,) = reasons_against(figures(**changed))
    assert found.startswith(reason)


def test_an_interval_that_reaches_into_the_range_passes() -> None:
    assert reasons_against(figures(oe_ratio=(0.5, 0.81), calibration_slope=(1.39, 3.0))) == ()


@pytest.mark.parametrize("share", [0.2, 0.4])
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"oe_ratio": (0.5, 0.79)}, "oe_ratio at 28 days with {} % of the fields empty must have"),
        (
            {"calibration_slope": (0.3, 0.69)},
            "calibration_slope at 28 days with {} % of the fields empty must have",
        ),
    ],
)
def test_calibration_with_fields_left_empty_is_a_criterion(
    share: float, changed: dict[str, tuple[float, float]], reason: str
) -> None:
    (found,) = reasons_against(figures() + when_blanked(share, **changed))
    assert found.startswith(reason.format(f"{100 * share:g}"))


def test_ranking_that_is_lost_with_empty_fields_is_no_criterion() -> None:
    lost = when_blanked(0.4, auroc=(0.45, 0.6), ipa=(-0.1, 0.1))
    assert reasons_against(figures() + lost) == ()


def test_figures_without_empty_fields_do_not_suffice() -> None:
    as_recorded = [metric for metric in figures() if metric.blank_share in (0.0, 0.2)]
    (found,) = reasons_against(as_recorded)
    assert found.startswith("no figures with 40 % of the fields left empty")


def test_other_metrics_and_the_whole_follow_up_are_not_criteria() -> None:
    more = [
        Metric("c_uno", None, estimate=0.1, low=0.0, high=0.2),
        Metric("of an older version", 28.0, estimate=0.1, low=0.0, high=0.2),
    ]
    assert reasons_against(figures() + more) == ()
