"""An updated model at every door of its own: risks, curves, intervals, contributions, bundle."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from models.fitting.recalibration import AffineUpdate, SiteLevels
from models.fitting.updated_model import SITE, updated_model
from models.inference.risk_model import RiskModel

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

SLOPE = 0.8


def of_all(risk_model: RiskModel, shift: float = 0.4) -> AffineUpdate:
    """Return an update with the same shift at every horizon."""
    log_h = tuple(np.log(risk_model.contract.default_horizons_days))
    return AffineUpdate(log_h, (shift,) * len(log_h), SLOPE, 0.01, 0.002, -1.0)


def test_log_odds_are_the_old_ones_times_the_slope_plus_the_shift(
    mortality: "ServedModel", patients: pd.DataFrame
) -> None:
    old = mortality.loaded.risk_model
    new = updated_model(old, of_all(old))
    days = [3.0, 28.0, 60.0, 90.0]

    assert logit(new.risk(patients, days)) == pytest.approx(
        0.4 + SLOPE * logit(old.risk(patients, days)), abs=1e-9
    )


def test_contributions_add_up_on_the_updated_scale(
    fracture: "ServedModel", patients: pd.DataFrame
) -> None:
    old = fracture.loaded.risk_model
    new = updated_model(old, of_all(old), competing=of_all(old, -0.2))

    before = old.predict(patients.head(40), explain=True)
    after = new.predict(patients.head(40), explain=True)

    assert before.log_odds is not None
    assert after.log_odds is not None
    ok = np.array([status == "ok" for status in after.status])
    total = after.base_log_odds + after.log_odds.sum(-1) + after.monotone_adjustment
    assert total[ok] == pytest.approx(logit(after.risk[ok]), abs=1e-9)
    assert after.log_odds[ok] == pytest.approx(SLOPE * before.log_odds[ok], abs=1e-5)
    assert after.competing_risk is not None
    assert (after.competing_risk[ok] + after.risk[ok] <= 1 + 1e-12).all()


def test_patients_are_refused_and_graded_as_before(
    mortality: "ServedModel", patients: pd.DataFrame
) -> None:
    old = mortality.loaded.risk_model
    frame = patients.head(60).copy()
    frame.loc[:20, ["lactate", "albumin", "fgf23_c", "ctx_s"]] = np.nan
    frame.loc[30:33, "age"] = 12.0
    new = updated_model(old, of_all(old))

    before, after = old.predict(frame), new.predict(frame)

    assert after.status == before.status
    assert after.completeness == before.completeness
    assert after.unsettled == pytest.approx(SLOPE**2 * before.unsettled, nan_ok=True)


def test_the_interval_includes_the_sampling_error_of_the_update(
    mortality: "ServedModel", patients: pd.DataFrame
) -> None:
    old = mortality.loaded.risk_model
    sure = AffineUpdate(*(getattr(of_all(old), name) for name in ("log_h", "shift")), 1.0, 0, 0, 0)
    unsure = AffineUpdate(sure.log_h, sure.shift, 1.0, 0.05, 0.01, -1.0)
    frame = patients.head(30)

    width = [
        logit(each.risk_high) - logit(each.risk)
        for each in (m.predict(frame) for m in (old, updated_model(old, sure)))
    ]
    wider = updated_model(old, unsure).predict(frame)

    assert width[1] == pytest.approx(width[0], nan_ok=True)
    half = logit(wider.risk_high) - logit(wider.risk)
    # t^2 times the variance of level and slope at the patient is added at least.
    t = old.contract.interval.t
    eta = logit(old.risk(frame))
    least = np.sqrt(width[0] ** 2 + t**2 * (0.05 + 0.01 * (eta + 1.0) ** 2))
    assert np.nanmin(half - least) > -1e-9


def test_a_curve_never_falls_and_passes_through_the_risks(
    mortality: "ServedModel", patients: pd.DataFrame
) -> None:
    old = mortality.loaded.risk_model
    log_h = tuple(np.log(old.contract.default_horizons_days))
    falling = AffineUpdate(log_h, (0.5, -0.5), SLOPE, 0.0, 0.0, 0.0)

    prediction, curve = updated_model(old, falling).predict_with_curve(patients.head(20))

    assert (np.diff(curve.risk, axis=1) >= 0).all()
    assert (np.diff(prediction.risk, axis=1) >= 0).all()


def test_a_bundle_of_an_updated_model_holds_as_much_as_before_and_predicts_the_same(
    mortality: "ServedModel", patients: pd.DataFrame
) -> None:
    old = mortality.loaded.risk_model
    sites = SiteLevels({"north": 0.3, "south": -0.2}, {"north": 0.01, "south": 0.02}, 0.09)
    new = updated_model(old, of_all(old), sites=sites)

    read = RiskModel.from_files(new.files())

    frame = patients.head(20).assign(site="north")
    assert read.predict(frame).risk == pytest.approx(new.predict(frame).risk, nan_ok=True)
    # No row of a patient can hide in it: numbers were changed, and few were added.
    for name, content in old.files().items():
        assert len(new.files()[name]) <= len(content) + 2_000


def test_a_site_raises_or_lowers_the_estimate_and_an_unknown_one_widens_the_interval(
    mortality: "ServedModel", patients: pd.DataFrame
) -> None:
    old = mortality.loaded.risk_model
    sites = SiteLevels({"north": 0.3, "south": -0.2}, {"north": 0.01, "south": 0.02}, 0.09)
    new = updated_model(old, of_all(old), sites=sites)
    alone = updated_model(old, of_all(old))
    row = patients.iloc[[0] * 4]
    frame = row.assign(site=["north", "south", "elsewhere", None]).reset_index(drop=True)

    got = new.predict(frame, explain=True)
    without = alone.predict(row.head(1), explain=True)

    moved = logit(got.risk) - logit(without.risk)
    assert moved == pytest.approx(np.array([[0.3] * 2, [-0.2] * 2, [0.0] * 2, [0.0] * 2]))
    assert got.log_odds is not None
    place = got.variables.index(SITE)
    assert got.log_odds[:, 0, place] == pytest.approx([0.3, -0.2, 0.0, 0.0])
    total = got.base_log_odds + got.log_odds.sum(-1) + got.monotone_adjustment
    assert total == pytest.approx(logit(got.risk), abs=1e-9)
    assert got.measured[:, place].tolist() == [True, True, False, False]
    width = logit(got.risk_high) - logit(got.risk)
    assert (width[2] > width[0]).all()
    assert width[3] == pytest.approx(width[2])
    codes = [[remark.code for remark in warnings] for warnings in got.warnings]
    assert ["unknown_category" in own for own in codes] == [False, False, True, False]


def test_a_second_update_keeps_the_levels_of_sites_on_the_new_scale(
    mortality: "ServedModel", patients: pd.DataFrame
) -> None:
    old = mortality.loaded.risk_model
    sites = SiteLevels({"north": 0.3, "south": -0.2}, {"north": 0.01, "south": 0.02}, 0.09)
    first = updated_model(old, of_all(old), sites=sites)
    second = updated_model(first, of_all(old, -0.1))
    frame = patients.head(5).assign(site="north")

    assert logit(second.risk(frame)) == pytest.approx(
        -0.1 + SLOPE * logit(first.risk(frame)), abs=1e-9
    )
