"""Updates of a model to local patients: what is fitted, what is chosen, what is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from data_schema.errors import DataError
from models.fitting.recalibration import (
    AffineUpdate,
    LocalPatients,
    closed_test,
    fit_site_levels,
    fit_update,
)

HORIZONS = (28.0, 90.0)


def local(
    n: int, *, shift: float = 0.0, slope: float = 1.0, seed: int = 0, by_site: float = 0.0
) -> tuple[LocalPatients, NDArray[np.object_]]:
    """Return patients whose true log-odds are the model's times a slope plus a shift."""
    rng = np.random.default_rng(seed)
    site = rng.choice(np.array(["a", "b", "c"], dtype=object), n)
    early = rng.normal(-1.5, 1.2, n)
    eta = np.column_stack([early, early + 0.6])
    moved = by_site * (np.array([{"a": -1, "b": 0, "c": 1}[one] for one in site]))
    risk = expit(shift + slope * eta + moved[:, None])
    drawn = rng.random(n)
    time = np.where(drawn < risk[:, 0], 10.0, np.where(drawn < risk[:, 1], 60.0, 200.0))
    event = (time < 200).astype(int)
    patients = np.array([f"p{i}" for i in range(n)])
    return LocalPatients.of(eta, time, event, HORIZONS, patients=patients), site


def test_a_large_cohort_has_its_own_level_and_spread() -> None:
    patients, _ = local(20_000, shift=0.5, slope=0.7)

    update = fit_update(patients, "slope")

    assert update.slope == pytest.approx(0.7, abs=0.04)
    assert update.shift == pytest.approx((0.5, 0.5), abs=0.08)


def test_without_an_outcome_known_early_a_fit_is_that_of_a_logistic_regression() -> None:
    # With one horizon and a flat prior the score equation holds: expected events are those seen.
    patients, _ = local(20_000, shift=0.3)
    one = LocalPatients(
        patients.log_odds[:, :1],
        patients.happened[:, :1],
        patients.weight[:, :1],
        (28.0,),
        patients.patient,
    )

    update = fit_update(one, "intercept")

    expected = expit(update.log_odds(one.log_odds, [28.0])).sum()
    assert expected == pytest.approx(one.happened.sum(), rel=0.005)


def test_few_patients_move_a_model_less_than_their_own_estimate() -> None:
    few, _ = local(100, shift=0.8, seed=3)
    many, _ = local(20_000, shift=0.8, seed=3)

    assert abs(fit_update(few, "intercept").shift[0]) < 0.8
    assert fit_update(many, "intercept").shift[0] == pytest.approx(0.8, abs=0.06)
    assert fit_update(few, "intercept").variance_of_level > 0.005


def test_an_adequate_model_is_updated_in_about_one_cohort_in_twenty() -> None:
    chosen = [closed_test(local(300, seed=seed)[0]).chosen for seed in range(100)]

    # Binomial with p = 0.05 and n = 100: 99.9 % of draws lie at or below 13.
    assert sum(choice != "none" for choice in chosen) <= 13


@pytest.mark.parametrize(
    ("shift", "slope", "chosen"), [(0.6, 1.0, "intercept"), (0.0, 0.6, "slope")]
)
def test_the_closed_test_chooses_the_smallest_update_that_suffices(
    shift: float, slope: float, chosen: str
) -> None:
    patients, _ = local(4_000, shift=shift, slope=slope)

    assert closed_test(patients).chosen == chosen


def test_two_stays_of_a_patient_count_as_one_observation() -> None:
    once, _ = local(500, shift=0.3)
    twice = LocalPatients(
        np.repeat(once.log_odds, 2, axis=0),
        np.repeat(once.happened, 2, axis=0),
        np.repeat(once.weight, 2, axis=0),
        once.horizons_days,
        np.repeat(once.patient, 2),
    )

    before, after = (closed_test(each).tests[0].statistic for each in (once, twice))
    assert after == pytest.approx(before, rel=1e-6)


def test_a_model_that_ranks_the_wrong_way_round_is_not_updated() -> None:
    patients, _ = local(20_000, slope=-1.0)

    with pytest.raises(DataError, match=r"slope of an update must be at least 0.05"):
        fit_update(patients, "slope")


def test_too_few_outcomes_are_refused() -> None:
    with pytest.raises(DataError, match="an update needs 10 patients with and 10 without"):
        local(12)


def test_levels_of_sites_are_shrunk_towards_all() -> None:
    patients, site = local(3_000, by_site=0.5)
    update = fit_update(patients, "intercept")

    levels = fit_site_levels(patients, update, site)

    assert levels.shift["a"] == pytest.approx(-0.5, abs=0.15)
    assert levels.shift["c"] == pytest.approx(0.5, abs=0.15)
    assert levels.of(np.array(["a", "elsewhere"], dtype=object))[1] == 0
    assert 0 < levels.variance["a"] < 0.02 < levels.between


def test_sites_that_do_not_differ_have_no_level_of_their_own() -> None:
    patients, site = local(20_000, seed=5)

    levels = fit_site_levels(patients, fit_update(patients, "intercept"), site)

    assert max(map(abs, levels.shift.values())) < 0.05


def test_one_site_is_no_update_by_site() -> None:
    patients, site = local(500)

    with pytest.raises(DataError, match="needs at least 2 sites"):
        fit_site_levels(patients, fit_update(patients, "intercept"), np.full_like(site, "a"))


def test_a_shift_is_a_line_in_log_horizon_and_flat_beyond() -> None:
    update = AffineUpdate((np.log(10), np.log(1000)), (0.0, 1.0), 1.0, 0.01, 0.0, 0.0)

    assert update.shift_at([1, 10, 100, 1000, 9000]) == pytest.approx([0, 0, 0.5, 1, 1])
