"""What holds for every metric on every cohort."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.censoring import CensoringDistribution, ipcw_weights
from models.metrics.calibration.calibration import (
    calibration_error,
    calibration_intercept,
    calibration_slope,
    oe_ratio,
)
from models.metrics.comparison.net_benefit import net_benefit
from models.metrics.comparison.reclassification import idi, nri_continuous
from models.metrics.discrimination.concordance import antolini_c, harrell_c, uno_c
from models.metrics.discrimination.ranking import auprc, auroc
from models.metrics.known_outcome import known_outcome
from models.metrics.overall.brier import brier, integrated_brier, integrated_ipa, ipa
from models.metrics.overall.survival_curves import cumulative_incidence
from models.metrics.pseudo_values import pseudo_values

Array = NDArray[np.float64]
Statistic = Callable[[Array, Array, Array, Array | None], Array]

HORIZON = 10.0
DAYS = [4.0, 7.0, 10.0]


def at_horizon(metric: Callable[..., Array]) -> Statistic:
    return lambda time, event, risk, counts: metric(
        known_outcome(time, event, HORIZON, counts=counts), risk
    )


STATISTICS: dict[str, Statistic] = {
    "auroc": at_horizon(auroc),
    "auprc": at_horizon(auprc),
    "brier": at_horizon(brier),
    "ipa": at_horizon(ipa),
    "oe_ratio": at_horizon(oe_ratio),
    "calibration_intercept": at_horizon(calibration_intercept),
    "calibration_slope": at_horizon(calibration_slope),
    "net_benefit": at_horizon(lambda outcome, risk: net_benefit(outcome, risk, 0.3)),
    "c_harrell": lambda time, event, risk, counts: harrell_c(time, event, risk, counts=counts),
    "c_uno": lambda time, event, risk, counts: uno_c(
        time, event, risk, up_to_days=HORIZON, counts=counts
    ),
    "ibs": lambda time, event, risk, counts: integrated_brier(
        time, event, risk[:, None] * [0.4, 0.7, 1.0], DAYS, counts=counts
    ),
    "integrated_ipa": lambda time, event, risk, counts: integrated_ipa(
        time, event, risk[:, None] * [0.4, 0.7, 1.0], DAYS, counts=counts
    ),
    "idi": at_horizon(lambda outcome, risk: idi(outcome, risk**2, risk)),
    "nri_continuous": at_horizon(lambda outcome, risk: nri_continuous(outcome, risk**2, risk / 2)),
    "incidence": lambda time, event, risk, counts: cumulative_incidence(
        time, event, DAYS, counts=counts
    ),
}


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    """Times with ties up to day 20, events of both kinds, risks with ties."""
    n = draw(st.integers(40, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = rng.integers(1, 21, n).astype(float)
    event = rng.integers(0, draw(st.sampled_from([2, 3])), n)
    time[0], event[0] = 25.0, 0  # One patient is still observed at the horizon.
    return time, event, rng.integers(2, 19, n) / 20


@pytest.mark.parametrize("name", STATISTICS)
@given(cohort=cohorts())
@settings(max_examples=15, deadline=None)
def test_counts_are_repeated_patients(name: str, cohort: tuple[Array, Array, Array]) -> None:
    time, event, risk = cohort
    counts = np.random.default_rng(0).integers(0, 3, (len(time), 2)).astype(float)
    counts[0] = 1.0

    resampled = STATISTICS[name](time, event, risk, counts)

    for column in range(2):
        rows = np.repeat(np.arange(len(time)), counts[:, column].astype(int))
        repeated = STATISTICS[name](time[rows], event[rows], risk[rows], None)
        np.testing.assert_allclose(resampled[..., column], repeated, atol=1e-6)


@pytest.mark.parametrize("name", STATISTICS)
@given(cohort=cohorts())
@settings(max_examples=10, deadline=None)
def test_row_order_is_irrelevant(name: str, cohort: tuple[Array, Array, Array]) -> None:
    order = np.random.default_rng(0).permutation(len(cohort[0]))

    shuffled = STATISTICS[name](*(values[order] for values in cohort), None)

    np.testing.assert_allclose(shuffled, STATISTICS[name](*cohort, None), atol=1e-6)


@given(cohort=cohorts())
@settings(max_examples=25, deadline=None)
def test_calibration_error_of_counts_is_that_of_repeated_patients(
    cohort: tuple[Array, Array, Array],
) -> None:
    time, event, _ = cohort
    # Of two risks, one for each half, the knots are the same in the repeated cohort.
    risk = np.where(np.arange(len(time)) < len(time) // 2, 0.2, 0.7)
    counts = np.full((len(time), 1), 2.0)
    rows = np.repeat(np.arange(len(time)), 2)

    error = calibration_error(known_outcome(time, event, HORIZON, counts=counts), risk)
    repeated = calibration_error(known_outcome(time[rows], event[rows], HORIZON), risk[rows])

    for name in ("ici", "e50", "e90"):
        assert getattr(error, name)[0] == pytest.approx(getattr(repeated, name), abs=1e-6)


@given(cohort=cohorts())
@settings(max_examples=50, deadline=None)
def test_weights_sum_to_the_patients_and_give_aalen_johansen(
    cohort: tuple[Array, Array, Array],
) -> None:
    time, event, _ = cohort

    weights = ipcw_weights(time, event, HORIZON, CensoringDistribution.fit(time, event))

    assert weights.sum() == pytest.approx(len(time))
    outcome = known_outcome(time, event, HORIZON)
    assert outcome.event_rate == pytest.approx(cumulative_incidence(time, event, [HORIZON])[0])


@given(cohort=cohorts())
@settings(max_examples=50, deadline=None)
def test_incidences_of_both_causes_sum_to_that_of_any_event(
    cohort: tuple[Array, Array, Array],
) -> None:
    time, event, _ = cohort
    days = np.arange(0.0, 30.0)

    total = sum(cumulative_incidence(time, event, days, cause=cause) for cause in (1, 2))

    np.testing.assert_allclose(total, cumulative_incidence(time, event != 0, days), atol=1e-12)


@given(cohort=cohorts())
@settings(max_examples=25, deadline=None)
def test_ranking_depends_on_order_only_and_reverses_with_it(
    cohort: tuple[Array, Array, Array],
) -> None:
    time, event, risk = cohort
    for name in ("auroc", "c_harrell", "c_uno"):
        value = STATISTICS[name](time, event, risk, None)

        same = pytest.approx(value, nan_ok=True)  # NaN where no pair can be compared
        assert STATISTICS[name](time, event, risk**3 - 5, None) == same
        reversed_ = pytest.approx(1 - value, nan_ok=True)
        assert STATISTICS[name](time, event, -risk, None) == reversed_


@given(cohort=cohorts())
@settings(max_examples=25, deadline=None)
def test_c_is_the_auroc_where_the_outcome_is_known_at_one_day_only(
    cohort: tuple[Array, Array, Array],
) -> None:
    _, event, risk = cohort
    time = np.full(len(event), HORIZON)

    area = auroc(known_outcome(time, event, HORIZON), risk)

    assert harrell_c(time, event, risk) == pytest.approx(area)
    assert uno_c(time, event, risk, up_to_days=HORIZON) == pytest.approx(area)


@given(cohort=cohorts())
@settings(max_examples=25, deadline=None)
def test_the_time_dependent_c_is_harrells_where_curves_never_cross(
    cohort: tuple[Array, Array, Array],
) -> None:
    time, event, risk = cohort
    days = np.unique(time)
    curves = risk[:, None] * np.linspace(0.5, 1, len(days))

    expected = pytest.approx(harrell_c(time, event, risk), nan_ok=True)
    assert antolini_c(time, event, curves, days) == expected


@given(cohort=cohorts())
@settings(max_examples=15, deadline=None)
def test_pseudo_values_do_not_depend_on_the_order_of_patients(
    cohort: tuple[Array, Array, Array],
) -> None:
    time, event, _ = cohort
    order = np.random.default_rng(0).permutation(len(time))

    values = pseudo_values(time, event, HORIZON)

    assert values[order] == pytest.approx(
        pseudo_values(time[order], event[order], HORIZON), abs=1e-9
    )
