"""How unlike a cohort any patient is: which values count, and which way is further."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.fitting.novelty import fit_novelty
from models.inference.novelty_scores import deviations

COLUMNS = 5
_values = arrays(
    float,
    (3, COLUMNS),
    elements=st.one_of(st.just(np.nan), st.floats(-1e6, 1e6), st.floats(-4, 4)),
)


@pytest.fixture(scope="module")
def novelty():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(400, 1))
    raw = 0.8 * shared + 0.6 * rng.normal(size=(400, COLUMNS))
    raw[:, 1] = np.exp(raw[:, 1])
    raw[:, 2] = np.round(raw[:, 2], 1)
    raw[rng.random(raw.shape) < 0.2] = np.nan
    return fit_novelty(raw, [f"x{i}" for i in range(COLUMNS)])


@given(values=_values)
def test_every_patient_has_deviations_and_a_column_that_is_measured(novelty, values) -> None:
    found = deviations(values.copy(), novelty)

    measured = np.isfinite(values)
    assert np.isfinite(found.single).all()
    assert not np.isnan(found.together).any()
    assert (np.isneginf(found.together) == (measured.sum(1) < 3)).all()
    some = measured.any(1)
    assert measured[np.flatnonzero(some), found.column[some]].all()


@given(values=_values)
def test_a_patient_is_judged_alone_as_among_others(novelty, values) -> None:
    together = deviations(values.copy(), novelty)

    for i, row in enumerate(values):
        alone = deviations(row[None].copy(), novelty)
        np.testing.assert_allclose(alone.single[0], together.single[i], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(alone.together[0], together.together[i], rtol=1e-9, atol=1e-9)


@given(values=_values)
def test_the_values_given_are_not_changed(novelty, values) -> None:
    before = values.copy()

    deviations(values, novelty)

    np.testing.assert_array_equal(values, before)


@given(
    column=st.integers(0, COLUMNS - 1),
    far=st.floats(5, 1e5),
    further=st.floats(1.01, 100),
    low=st.booleans(),
)
def test_a_single_value_further_out_is_further_out(novelty, column, far, further, low) -> None:
    values = np.full((2, COLUMNS), np.nan)
    end = novelty.quantiles[column][0 if low else -1]
    ends = np.array([far, far * further])
    if novelty.logarithmic[column]:
        # At most a million times lower than the lowest quantile: beyond that all count alike.
        ends = np.minimum(ends, 5e5)
        values[:, column] = end / ends if low else end * ends
    else:
        values[:, column] = end - ends if low else end + ends

    nearer, farther = deviations(values, novelty).single

    assert farther >= nearer
    assert nearer > 0
