"""A panel's test does not count which tests were done, nor the curvature of the base."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from training.cohorts.comparison import Comparison, comparison_of
from training.cohorts.panel import panel_of
from training.validation.panel_value import panel_test

N = 1500


def compared(features: Mapping[str, np.ndarray], died: np.ndarray) -> Comparison:
    stays = np.arange(len(died)).astype(str).astype(object)
    cohort = Cohort(
        pd.DataFrame(features),
        VARIABLES,
        patient_id=stays,
        stay_id=stays,
        outcome=OutcomeData("mortality", np.full(len(died), 28.0), died.astype(int), 28.0),
    )
    return comparison_of(cohort, panel_of(cohort, ["ctx_s"]))


def test_noise_that_is_ordered_more_often_in_the_sick_is_not_significant() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(60):
        sofa, hidden = rng.normal(8, 3, N), rng.normal(size=N)
        died = rng.random(N) < expit((sofa - 8) / 3 + hidden - 1)
        ordered = rng.random(N) < expit((sofa - 8) / 3 + 2 * hidden)
        noise = np.where(ordered, rng.lognormal(6, 0.5, N), np.nan)
        p_values.append(panel_test(compared({"sofa": sofa, "ctx_s": noise}, died), 28.0).ratio)

    # Of 60 draws of a share of 5 %, at most 8 are significant in 99.4 % of the cases.
    assert sum(ratio.p_value < 0.05 for ratio in p_values) <= 8
    assert {ratio.degrees_of_freedom for ratio in p_values} == {1}


def test_a_marker_that_only_follows_a_curved_base_is_not_significant() -> None:
    rng = np.random.default_rng(1)
    temperature = rng.normal(37, 1.5, N)
    curve = (temperature - 37) ** 2
    died = rng.random(N) < expit(curve / 2 - 1)
    marker = np.exp(curve / 4 + rng.normal(size=N))

    found = panel_test(compared({"temperature": temperature, "ctx_s": marker}, died), 28.0)

    assert found.knots == 4
    assert found.ratio.p_value > 0.05


def test_a_marker_with_an_effect_of_its_own_is_significant() -> None:
    rng = np.random.default_rng(2)
    sofa, marker = rng.normal(size=(2, N))
    died = rng.random(N) < expit(sofa + marker / 2 - 1)

    found = panel_test(compared({"sofa": sofa + 8, "ctx_s": np.exp(marker)}, died), 28.0)

    assert found.ratio.p_value < 1e-6


@pytest.mark.parametrize(("events", "knots"), [(40, 4), (39, 3), (29, 0)])
def test_the_base_bends_as_far_as_the_events_allow(events: int, knots: int) -> None:
    # With the marker, 4, 3 or 2 parameters, each of which needs ten events.
    sofa, marker = np.random.default_rng(3).normal(size=(2, 100))
    died = np.arange(100) < events

    found = panel_test(compared({"sofa": sofa + 8, "ctx_s": np.exp(marker)}, died), 28.0)

    assert found.knots == knots
    assert found.as_json()["knots_of_base"] == knots
    assert not np.isnan(found.ratio.statistic)
