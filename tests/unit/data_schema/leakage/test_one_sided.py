"""A mark or a gap that only those with the outcome have, or only the others, is a leak."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import OutcomeData
from data_schema.leakage.linter import find_leaks

_N = 400


def _rules(column: np.ndarray, event: np.ndarray) -> set[str]:
    days = np.random.default_rng(1).uniform(1, 365, _N)
    outcome = OutcomeData("mortality", days, event.astype(np.int64), None, from_entry=False)
    return {f.rule for f in find_leaks(pd.DataFrame({"column": column}), outcome)}


def _event(rate: float) -> np.ndarray:
    return np.arange(_N) < rate * _N


@pytest.mark.parametrize("marked", [20, 60])
def test_a_mark_or_gap_of_the_dead_alone_is_a_leak(marked: int) -> None:
    event = _event(0.4)
    mark = np.arange(_N) < marked
    assert _rules(mark.astype(float), event) == {"leak_outcome"}
    assert _rules(np.where(mark, "plan C", "plan A"), event) == {"leak_outcome"}
    values = np.random.default_rng(2).normal(size=_N)
    assert _rules(np.where(mark, np.nan, values), event) == {"leak_outcome"}


def test_a_gap_of_the_survivors_alone_is_a_leak() -> None:
    values = np.random.default_rng(2).normal(size=_N)
    gap = np.arange(_N) >= _N - 200
    assert _rules(np.where(gap, np.nan, values), _event(0.4)) == {"leak_outcome"}


def test_an_honest_mark_of_low_risk_is_none() -> None:
    elective = np.arange(_N) >= _N - 250
    assert _rules(elective.astype(float), _event(0.05)) == set()


def test_a_mark_with_one_exception_or_few_patients_is_none() -> None:
    few = np.arange(_N) < 12
    assert _rules(few.astype(float), _event(0.4)) == set()
    mixed = (np.arange(_N) < 20) | (np.arange(_N) >= _N - 5)
    assert _rules(mixed.astype(float), _event(0.4)) == set()
