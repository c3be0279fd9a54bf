"""Gaps that depend on the patient and the variable alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.validation.blanked import blanked

COLUMNS = ("age", "sex", "ctx_s", "ctx_s__below", "ctx_s__max", "lactate", "albumin", "sofa")

Ids = list[str]
IDS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40)
SHARES = st.floats(0, 1)


def patients(n: int) -> pd.DataFrame:
    """Patients in whom every field is filled."""
    return pd.DataFrame({name: np.arange(n) + 1.0 for name in COLUMNS} | {"sex": ["female"] * n})[
        list(COLUMNS)
    ]


def gaps(frame: pd.DataFrame) -> NDArray[np.bool_]:
    return frame.isna().to_numpy()


@given(ids=IDS, share=SHARES, seed=st.integers(0, 5))
def test_a_patient_has_the_same_gaps_among_other_patients_and_columns(
    ids: Ids, share: float, seed: int
) -> None:
    whole = gaps(blanked(patients(len(ids)), share, ids, seed=seed))

    alone = gaps(blanked(patients(1), share, ids[-1:], seed=seed))
    fewer = blanked(patients(len(ids))[["lactate", "age"]], share, ids, seed=seed)

    assert (whole[-1] == alone[0]).all()
    assert (gaps(fewer) == whole[:, [COLUMNS.index("lactate"), 0]]).all()


@given(ids=IDS, shares=st.tuples(SHARES, SHARES))
def test_what_is_empty_at_a_share_is_empty_at_a_larger_one(
    ids: Ids, shares: tuple[float, float]
) -> None:
    fewer, more = (gaps(blanked(patients(len(ids)), share, ids)) for share in sorted(shares))

    assert (fewer <= more).all()


@given(ids=IDS, share=SHARES)
def test_columns_of_a_variable_are_empty_together_and_the_rest_is_unchanged(
    ids: Ids, share: float
) -> None:
    frame = patients(len(ids))

    result = blanked(frame, share, ids)

    empty = gaps(result)
    assert list(result.columns) == list(COLUMNS)
    assert (empty[:, 2:3] == empty[:, 3:5]).all()
    assert (result.mask(empty, 0) == frame.mask(empty, 0)).all(axis=None)


def test_stays_of_a_patient_share_their_gaps_and_numbers_are_ids_like_texts() -> None:
    result = blanked(patients(4), 0.5, [7, "7", 8, "8"])

    assert (gaps(result)[[0, 2]] == gaps(result)[[1, 3]]).all()


def test_each_variable_is_left_empty_with_the_given_probability_independently() -> None:
    n = 20_000
    frame = patients(n)[["age", "ctx_s", "lactate", "albumin", "sofa"]]

    empty = gaps(blanked(frame, 0.4, np.arange(n)))

    # Five standard errors of a share are .017, of a correlation .035.
    assert empty.mean(axis=0) == pytest.approx(0.4, abs=0.018)
    correlation = np.corrcoef(empty.T) - np.eye(5)
    assert np.abs(correlation).max() < 0.036
    other = gaps(blanked(frame, 0.4, np.arange(n), seed=1))
    assert np.abs(np.corrcoef(empty[:, 0], other[:, 0])[0, 1]) < 0.036


def test_all_or_nothing_is_left_empty_at_the_ends() -> None:
    assert not gaps(blanked(patients(50), 0.0, range(50))).any()
    assert gaps(blanked(patients(50), 1.0, range(50))).all()


def test_a_share_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share must be a probability; got 1\.5\."):
        blanked(patients(1), 1.5, ["a"])
