"""Blanks fall where they are stated to fall, and nothing else changes."""

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from training.cohorts.blanks import (
    blanks_at_random,
    blanks_by_hidden_value,
    blanks_of,
    fields_of,
    measured_fields,
    transplanted_blanks,
    with_blanks,
)

N = 4_000


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    albumin = rng.normal(30, 6, N)
    albumin[rng.random(N) < 0.25] = np.nan
    return pd.DataFrame(
        {
            "age": rng.uniform(20, 90, N),
            "sex": np.where(rng.random(N) < 0.5, "female", "male"),
            "albumin": albumin,
            "albumin__below": np.where(np.isnan(albumin), 0.0, albumin < 20),
        }
    )


def cohort_of(features: pd.DataFrame) -> Cohort:
    ids = np.array([str(i) for i in range(len(features))], dtype=object)
    return Cohort(features=features, variables={}, patient_id=ids, stay_id=ids)


def test_a_field_is_a_variable_with_all_of_its_columns(features):
    assert fields_of(features) == {
        "age": ["age"],
        "sex": ["sex"],
        "albumin": ["albumin", "albumin__below"],
    }


def test_the_flag_of_a_limit_alone_is_no_measurement(features):
    assert measured_fields(features)[:, 2].tolist() == features["albumin"].notna().tolist()


def test_a_blank_empties_every_column_of_its_field_and_no_other(features):
    cohort = cohort_of(features)
    emptied = with_blanks(cohort, blanks_of(features, ["albumin"])).features
    assert emptied[["albumin", "albumin__below"]].isna().all().all()
    pd.testing.assert_frame_equal(emptied[["age", "sex"]], features[["age", "sex"]])
    assert list(emptied.columns) == list(features.columns)
    pd.testing.assert_frame_equal(cohort.features, features)


def test_a_blank_is_not_recorded_as_not_done(features):
    flagged = features.assign(albumin__not_done=features["albumin"].isna().astype(float))
    emptied = with_blanks(cohort_of(flagged), blanks_of(flagged, ["albumin"])).features
    assert (emptied["albumin__not_done"] == 0).all()
    assert measured_fields(flagged)[:, 2].tolist() == features["albumin"].notna().tolist()


def test_blanks_at_random_have_the_share_and_ignore_the_value(features):
    blanks = blanks_at_random(features, 0.4, rng=np.random.default_rng(1))
    # 4 standard errors of a share of 0.4 among 4,000.
    assert blanks.mean(axis=0) == pytest.approx([0.4] * 3, abs=4 * np.sqrt(0.24 / N))
    assert abs(np.corrcoef(blanks[:, 0], features["age"])[0, 1]) < 4 / np.sqrt(N)


def test_each_row_may_have_a_share_of_its_own(features):
    shares = np.where(np.arange(N) % 2, 0.9, 0.0)
    blanks = blanks_at_random(features, shares, rng=np.random.default_rng(1))
    assert not blanks[::2].any()
    assert blanks[1::2].mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("hidden", "sign"), [("high", 1), ("low", -1), ({"albumin": 1, "age": 1}, 1)]
)
def test_blanks_by_value_hide_the_stated_end_at_the_stated_share(features, hidden, sign):
    rng = np.random.default_rng(2)
    blanks = blanks_by_hidden_value(features, 0.2, hidden=hidden, rng=rng)
    measured = measured_fields(features)
    assert not (blanks & ~measured).any()
    for place, name in ((0, "age"), (2, "albumin")):
        seen = measured[:, place]
        assert blanks[seen, place].mean() == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / seen.sum()))
        value = features[name].to_numpy()
        gap = value[blanks[:, place]].mean() - value[seen & ~blanks[:, place]].mean()
        assert sign * gap > 0.8 * np.nanstd(value)


def test_a_field_that_a_mapping_does_not_name_is_emptied_at_random(features):
    rng = np.random.default_rng(3)
    blanks = blanks_by_hidden_value(features, 0.4, hidden={"albumin": -1}, rng=rng)
    assert abs(np.corrcoef(blanks[:, 0], features["age"])[0, 1]) < 4 / np.sqrt(N)
    assert blanks[:, 1].mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / N))


def test_a_transplanted_pattern_is_that_of_one_donor(features):
    donors = pd.DataFrame(
        {"age": [50.0, np.nan], "sex": ["male", None], "albumin": [np.nan, 31.0]}
    ).assign(albumin__below=0.0)
    blanks = transplanted_blanks(features, donors, rng=np.random.default_rng(4))
    seen = measured_fields(features)
    patterns = {tuple(row) for row in blanks[seen.all(axis=1)]}
    assert patterns == {(False, False, True), (True, True, False)}
    assert not (blanks & ~seen).any()


def test_an_unknown_field_and_a_wrong_shape_are_refused(features):
    with pytest.raises(UsageError, match=r"not among them: \['lactate'\]"):
        blanks_of(features, ["lactate", "age"])
    with pytest.raises(ValueError, match=r"must have shape \(4000, 3\); got \(4000, 4\)"):
        with_blanks(cohort_of(features), np.zeros((N, 4), dtype=bool))
