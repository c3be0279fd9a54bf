"""Sizes of a study against R: pmsampsize's own tests, integration and pROC (README.md)."""

from collections.abc import Callable

import pytest

from models.metrics.gain_size import gain_size, gain_variance
from models.metrics.sample_size import sample_size

Stored = Callable[[str, str], dict[tuple[str, float], float]]

# The tests of R's pmsampsize 1.0 (tests/testthat/test_bin.R): R2, parameters, prevalence ->
# patients by criterion.
PMSAMPSIZE = {
    (0.288, 24, 0.174): (623, 668, 221),
    (0.55, 24, 0.174): (255, 532, 221),
    (0.288, 36, 0.174): (934, 1002, 221),
    (0.288, 24, 0.25): (623, 583, 289),
}


@pytest.mark.parametrize(("given", "patients"), PMSAMPSIZE.items())
def test_rileys_criteria_agree_with_pmsampsize(
    given: tuple[float, int, float], patients: tuple[int, int, int]
) -> None:
    r2, parameters, rate = given

    size = sample_size(horizon_days=28, parameters=parameters, event_rate=rate, r2=r2)

    assert (size.for_shrinkage, size.for_overall_risk) == (patients[0], patients[2])
    # That version rounds the largest R2 to two digits and the shrinkage to three.
    assert size.for_optimism == pytest.approx(patients[1], rel=0.02)


@pytest.mark.parametrize("design", ["0.75_0.03_0.25", "0.8_0.05_0.1", "0.7_0.1_0.5"])
def test_the_variance_of_a_gain_agrees_with_integration_and_with_proc(
    design: str, stored: Stored
) -> None:
    base, gain, rate = map(float, design.split("_"))

    variance = gain_variance(base, gain, rate)

    integrated = stored("gain_size", "variance_by_integration")[design, 0.0]
    assert variance == pytest.approx(integrated, rel=1e-4)  # quadrature of both
    # 50,000 simulated patients, whose markers correlate with the base: a standard error of the
    # variance of about 2 %.
    assert variance == pytest.approx(stored("gain_size", "variance_by_proc")[design, 0.0], rel=0.05)


def test_a_larger_gain_a_commoner_event_and_less_power_need_fewer_patients() -> None:
    plain = gain_size(base_auroc=0.75, gain=0.03, event_rate=0.25).for_power

    assert gain_size(base_auroc=0.75, gain=0.05, event_rate=0.25).for_power < plain
    assert gain_size(base_auroc=0.75, gain=0.03, event_rate=0.5).for_power < plain
    assert gain_size(base_auroc=0.75, gain=0.03, event_rate=0.25, power=0.8).for_power < plain


def test_a_gain_up_to_the_margin_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gain must exceed the margin of 0\.01; got 0\.01"):
        gain_size(base_auroc=0.75, gain=0.01, event_rate=0.25)
