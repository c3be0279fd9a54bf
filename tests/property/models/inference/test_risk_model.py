"""What holds of every answer of a risk model, whatever the patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from contracts import restated
from models.inference.contract import Novelty
from models.inference.risk_model import RiskModel

EXAMPLES = settings(max_examples=40)
"""Each example asks a model with four boosters; more would only repeat the same splits."""

NUMBERS = {
    "age": (18.0, 100.0),
    "lactate": (0.05, 60.0),
    "albumin": (0.2, 12.0),
    "fgf23_c": (1.0, 1e6),
    "ctx_s": (5.0, 20_000.0),
    "aps": (-10.0, 500.0),
}
FLAGS = ("fgf23_c__below", "diabetes")
CATEGORIES = {"sex": ("female", "male", "other"), "dzgroup": ("COPD", "Cirrhosis", "Never seen")}

_patient = st.fixed_dictionaries(
    {name: st.none() | st.floats(low, high) for name, (low, high) in NUMBERS.items()}
    | {name: st.sampled_from([None, 0.0, 1.0]) for name in FLAGS}
    | {name: st.sampled_from([None, *levels]) for name, levels in CATEGORIES.items()}
)
_horizon = st.sampled_from([4.0, 28.0, 90.0]) | st.floats(4.0, 200.0)
_horizons = st.lists(_horizon, min_size=1, max_size=4)


def frame_of(patients: list[dict[str, object]]) -> pd.DataFrame:
    """Return patients as a frame with the types that a cohort has."""
    frame = pd.DataFrame(patients)
    numbers = [*NUMBERS, *FLAGS]
    return frame.astype(dict.fromkeys(numbers, float) | dict.fromkeys(CATEGORIES, object))


_frames = st.lists(_patient, min_size=1, max_size=4).map(frame_of)


@pytest.fixture(scope="module")
def risk_model(mortality) -> RiskModel:
    """The model without the refusals that most made-up patients would meet."""
    guarded = mortality.loaded.risk_model
    guard = replace(guarded.contract.guard, novelty=Novelty())
    boundless = tuple(1e9 for _ in guarded.contract.grid_days)
    return restated(guarded, guard=guard, log_odds_variance=boundless)


def assert_same(actual: object, expected: object) -> None:
    """Compare numbers that may have been summed in another order."""
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@EXAMPLES
@given(frame=_frames, days=_horizons)
def test_risks_lie_between_0_and_1_and_never_fall_with_the_horizon(risk_model, frame, days) -> None:
    risk = risk_model.risk(frame, sorted(days))

    assert ((risk >= 0) & (risk <= 1)).all()
    assert (np.diff(risk, axis=1) >= 0).all()


@EXAMPLES
@given(frame=_frames, days=_horizons)
def test_an_interval_holds_its_risk(risk_model, frame, days) -> None:
    prediction = risk_model.predict(frame, days)

    assert set(prediction.status) == {"ok"}
    low, risk, high = prediction.risk_low, prediction.risk, prediction.risk_high
    assert ((low >= 0) & (low <= risk) & (risk <= high) & (high <= 1)).all()


@EXAMPLES
@given(frame=_frames, days=_horizons)
def test_a_risk_depends_on_no_other_patient_and_no_other_horizon(risk_model, frame, days) -> None:
    together = risk_model.predict(frame, days)

    for i in range(len(frame)):
        for j, day in enumerate(days):
            alone = risk_model.predict(frame.iloc[[i]], [day])
            assert_same(alone.risk[0, 0], together.risk[i, j])
            assert_same(alone.risk_low[0, 0], together.risk_low[i, j])
            assert alone.refusals[0] == together.refusals[i]
            assert alone.warnings[0] == together.warnings[i]


@EXAMPLES
@given(frame=_frames, days=_horizons, data=st.data())
def test_the_order_of_the_rows_is_irrelevant(risk_model, frame, days, data) -> None:
    order = data.draw(st.permutations(range(len(frame))))

    shuffled = risk_model.predict(frame.iloc[order], days, explain=True)

    plain = risk_model.predict(frame, days, explain=True)
    assert_same(shuffled.risk, plain.risk[order])
    assert_same(shuffled.log_odds, plain.log_odds[order])
    assert shuffled.warnings == [plain.warnings[i] for i in order]


@EXAMPLES
@given(frame=_frames, days=_horizons)
def test_both_sums_are_exact(risk_model, frame, days) -> None:
    prediction = risk_model.predict(frame, days, explain=True)

    risk = prediction.risk
    log_odds = (
        prediction.base_log_odds + prediction.log_odds.sum(-1) + prediction.monotone_adjustment
    )
    points = prediction.points.sum(-1) + prediction.adjustment_points
    # What the architecture promises; rounding in the logit of a risk near 1 is below it.
    np.testing.assert_allclose(log_odds, logit(risk), rtol=0, atol=1e-5)
    np.testing.assert_allclose(points, 100 * (risk - prediction.baseline_risk), rtol=0, atol=1e-5)


@EXAMPLES
@given(frame=_frames, days=_horizons)
def test_explaining_changes_no_risk_and_no_base(risk_model, frame, days) -> None:
    plain, explained = (risk_model.predict(frame, days, explain=e) for e in (False, True))

    np.testing.assert_array_equal(plain.risk, explained.risk)
    np.testing.assert_array_equal(plain.base_log_odds, explained.base_log_odds)
    assert plain.refusals == explained.refusals


@EXAMPLES
@given(patient=_patient, level=st.text(min_size=1))
def test_an_unseen_category_is_answered_like_a_missing_one(risk_model, patient, level) -> None:
    known = risk_model.contract.features[-1].categories
    missing, unseen = (
        risk_model.predict(frame_of([patient | {"dzgroup": group}]), explain=True)
        for group in (None, level if level not in known else level + "?")
    )

    np.testing.assert_array_equal(unseen.risk, missing.risk)
    np.testing.assert_array_equal(unseen.log_odds, missing.log_odds)
    assert unseen.refusals == missing.refusals


@EXAMPLES
@given(frame=_frames)
def test_what_has_a_value_is_measured_and_nothing_else(risk_model, frame) -> None:
    prediction = risk_model.predict(frame)

    for j, name in enumerate(risk_model.variables):
        known = frame[name].notna()
        if name in CATEGORIES:
            known &= ~frame[name].isin(["other", "Never seen"])
        assert prediction.measured[:, j].tolist() == known.tolist()
