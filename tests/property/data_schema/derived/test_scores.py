"""Invariants of the scores: bounds, direction, policies, and rows that do not know each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import Columns
from data_schema.derived.kidney import egfr_ckd_epi_2021
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.sofa import SOFA

SCORES = {score.name: score for score in (SOFA, APACHE2, SAPS2)}
FLAGS = {
    *("mechanical_ventilation", "catecholamines", "acute_renal_failure", "aids"),
    *("chronic_organ_insufficiency", "hematologic_malignancy"),
}
WORDS = {
    "admission_type": ["medical", "elective_surgery", "emergency_surgery", None],
    "cancer": ["no", "yes", "metastatic", None],
}
# Limits of bands lie among whole numbers and tenths below 200, where most draws fall.
N = 40


def rows(score):
    """Draw N patients at once from a seed: a value at a time would take minutes."""
    return st.integers(0, 2**32 - 1).map(lambda seed: _rows(score, np.random.default_rng(seed)))


def _rows(score, rng):
    numbers, words = {}, {}
    for name in score.reads:
        if name in WORDS:
            choices = np.array(WORDS[name], dtype=object)
            words[name] = choices[rng.integers(0, len(choices), N)]
            continue
        drawn = rng.choice([1.0, 10.0, 200.0, 800.0], N) * rng.random(N)
        drawn = rng.integers(0, 2, N).astype(float) if name in FLAGS else np.round(drawn, 2)
        numbers[name] = np.where(rng.random(N) < 0.3, np.nan, drawn)
    return Columns(N, numbers, words)


@pytest.mark.parametrize("name", SCORES)
@settings(max_examples=25)
@given(data=st.data())
def test_a_score_lies_within_its_bounds_whatever_is_recorded(name, data):
    score = SCORES[name]
    columns = data.draw(rows(score))
    by_policy = {
        policy: score.of(columns, missing=policy, least_recorded=0)
        for policy in ("normal", "worst", "missing")
    }
    low, high = by_policy["normal"].total, by_policy["worst"].total
    assert (low >= 0).all()
    assert (low <= high).all()
    assert (high <= sum(c.most for c in score.components)).all()
    settled = by_policy["missing"].is_settled
    np.testing.assert_array_equal(by_policy["missing"].total[settled], low[settled])
    assert np.isnan(by_policy["missing"].total[~settled]).all()
    for component in score.components:
        assert (by_policy["worst"].points[component.name] <= component.most).all()


@pytest.mark.parametrize("name", SCORES)
@settings(max_examples=25)
@given(data=st.data())
def test_recording_one_more_value_never_widens_the_range(name, data):
    score = SCORES[name]
    columns = data.draw(rows(score))
    blanked = data.draw(st.sampled_from([*columns.numbers]))
    numbers = {**columns.numbers, blanked: np.full(N, np.nan)}
    fuller = score.of(columns, missing="normal", least_recorded=0)
    replaced = {"ph", "pao2", "fio2", "pf_ratio", "pf_ratio_supported", "pf_ratio_unsupported"}
    # What stands in for a blank is another value: bicarbonate for pH, no catecholamine for a dose.
    if blanked in replaced or blanked.endswith(("_fio2", "_dose")):
        return
    emptier = score.of(Columns(N, numbers, columns.words), missing="normal", least_recorded=0)
    assert (emptier.fewest <= fuller.fewest).all()
    assert (emptier.most >= fuller.most).all()


WORSE_WHEN_LOWER = ["platelets", "map", "gcs", "urine_output", "pf_ratio_supported"]
WORSE_WHEN_HIGHER = ["bilirubin", "creatinine", "norepinephrine_dose", "dopamine_dose"]


@pytest.mark.parametrize("name", WORSE_WHEN_LOWER + WORSE_WHEN_HIGHER)
@settings(max_examples=10)
@given(data=st.data(), change=st.floats(0.0, 300.0))
def test_sofa_never_falls_as_a_value_gets_worse(name, data, change):
    columns = data.draw(rows(SOFA))
    before = np.nan_to_num(columns.number(name), nan=100.0)
    sign = 1.0 if name in WORSE_WHEN_HIGHER else -1.0
    totals = [
        SOFA.of(
            Columns(N, {**columns.numbers, name: number}), missing="normal", least_recorded=0
        ).total
        for number in (before, np.maximum(before + sign * change, 0.0))
    ]
    assert (totals[1] >= totals[0]).all()


@pytest.mark.parametrize("name", SCORES)
@settings(max_examples=25)
@given(data=st.data())
def test_each_row_is_scored_by_itself(name, data):
    score = SCORES[name]
    columns = data.draw(rows(score))
    whole = score.of(columns, missing="normal")
    turned = Columns(
        N,
        {name: column[::-1] for name, column in columns.numbers.items()},
        {name: column[::-1] for name, column in columns.words.items()},
    )
    np.testing.assert_array_equal(score.of(turned, missing="normal").total[::-1], whole.total)


@given(
    st.floats(0.1, 20.0), st.floats(18.0, 100.0), st.sampled_from([0.0, 1.0]), st.floats(0.0, 5.0)
)
def test_egfr_falls_with_creatinine_and_with_age(creatinine, age, female, more):
    def rate(creatinine, age):
        return egfr_ckd_epi_2021(*(np.array([v]) for v in (creatinine, age, female)))[0]

    assert 0 < rate(creatinine, age) < 400
    assert rate(creatinine + more, age) <= rate(creatinine, age)
    assert rate(creatinine, age + more) <= rate(creatinine, age)
