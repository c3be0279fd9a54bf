"""Metrics from sums over parts are those of the whole cohort in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_schema.errors import DataError
from models.metrics.in_parts import judged_part, time_counts
from models.metrics.in_parts.evaluate_parts import PartsJudgement, evaluate_parts
from models.metrics.in_parts.judged_part import JudgedPart, Levels, Survey
from models.metrics.metric import Metric
from models.metrics.subgroups import evaluate_subgroups
from models.metrics.summary import evaluate

HORIZONS = (28.0, 90.0)
DAYS = np.array([7.0, 28.0, 60.0, 90.0, 150.0])
# Of all patients: means and sums. What is left is told apart by .01 of log-odds.
EXACT = frozenset({"oe_ratio", "ibs", "d_calibration", "aj_calibration", "c_harrell", "c_uno"})
EXACT |= {"aj_calibration_competing", "net_benefit"}


def cohort(n: int, *, stays: int = 1, competing: bool = True) -> JudgedPart:
    """Return patients with censoring, refusals, groups and risks that are somewhat too extreme."""
    rng = np.random.default_rng(4)
    rate = np.exp(rng.normal(size=n)) / 150
    other = 1 / 300 if competing else 1e-12
    first, second = rng.exponential(1 / rate), rng.exponential(1 / other, n)
    lost = rng.uniform(20, 400, n)
    time = np.ceil(np.minimum(np.minimum(first, second), lost))
    event = np.where(lost <= np.minimum(first, second), 0, np.where(first <= second, 1, 2))
    patient = rng.integers(2**63, size=-(-n // stays), dtype=np.uint64).repeat(stays)[:n]

    def risk(days: Sequence[float], noise: float = 0.0) -> np.ndarray:
        own = rate * np.exp(noise * rng.normal(size=n) + 0.2)
        both = own[:, None] + other
        return own[:, None] / both * (1 - np.exp(-both * np.asarray(days)))

    curve = risk(DAYS)
    return JudgedPart(
        patient=patient,
        time_days=time,
        event=event,
        risk=risk(HORIZONS),
        score=curve.mean(axis=1),
        curve_risk=curve,
        competing_curve=curve * other / rate[:, None] if competing else None,
        blanked={share: risk(HORIZONS, 2 * share) for share in (0.2, 0.4)},
        answered=rng.random(n) > 0.1,
        levels={"sex": Levels.of(np.where(rng.random(n) < 0.4, "female", "male").astype(object))},
    )


def taken(part: JudgedPart, rows: Any) -> JudgedPart:
    return JudgedPart(
        part.patient[rows],
        part.time_days[rows],
        part.event[rows],
        part.risk[rows],
        part.score[rows],
        part.curve_risk[rows],
        None if part.competing_curve is None else part.competing_curve[rows],
        {share: risk[rows] for share, risk in part.blanked.items()},
        part.answered[rows],
        {name: Levels(of.names, of.codes[rows]) for name, of in part.levels.items()},
    )


def cut(part: JudgedPart, rows: int) -> list[JudgedPart]:
    n = len(part.event)
    return [taken(part, slice(first, first + rows)) for first in range(0, n, rows)]


def here(work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    return (work(*job) for job in jobs)


def judged(parts: list[JudgedPart], *, n_bootstrap: int = 0, groups: int = 0) -> PartsJudgement:
    return evaluate_parts(
        parts,
        Survey.joined(Survey.of(part, HORIZONS) for part in parts),
        horizons_days=HORIZONS,
        curve_days=DAYS,
        has_competing_curve=parts[0].competing_curve is not None,
        simulated=True,
        n_bootstrap=n_bootstrap,
        n_bootstrap_of_groups=groups,
        run=here,
    )


def in_memory(part: JudgedPart, n_bootstrap: int = 1, **other: Any) -> list[Metric]:
    return evaluate(
        part.time_days,
        part.event,
        part.risk,
        HORIZONS,
        n_bootstrap=n_bootstrap,
        groups=part.patient,
        curve_risk=part.curve_risk,
        curve_days=DAYS,
        competing_curve=part.competing_curve,
        **other,
    )


def compared(of_parts: Iterable[Metric], whole: Iterable[Metric]) -> dict[tuple, float]:
    pairs = zip(of_parts, whole, strict=True)
    differences = {}
    for one, other in pairs:
        assert (one.metric, one.horizon_days) == (other.metric, other.horizon_days)
        differences[one.metric, one.horizon_days] = abs(one.estimate - other.estimate)
    return differences


@pytest.mark.parametrize(("stays", "competing"), [(1, False), (2, True)])
def test_estimates_are_those_of_the_cohort_in_memory(stays: int, competing: bool) -> None:
    whole = cohort(3000, stays=stays, competing=competing)
    found = judged(cut(whole, 700))
    for name, difference in compared(found.metrics, in_memory(whole)).items():
        assert difference < (1e-9 if name[0] in EXACT else 1e-3), name
    some = taken(whole, whole.answered)
    for name, difference in compared(found.metrics_of_answered, in_memory(some)).items():
        assert difference < (1e-9 if name[0] in EXACT else 1e-3), name
    blanked = [
        metric
        for share, risk in whole.blanked.items()
        for metric in evaluate(
            whole.time_days, whole.event, risk, HORIZONS, n_bootstrap=1, blank_share=share
        )
    ]
    assert max(compared(found.blanked, blanked).values()) < 1e-3
    assert found.concordance_patients == 3000 // stays


def test_groups_are_those_of_the_cohort_in_memory() -> None:
    whole = cohort(1500, stays=2)
    names = np.array(whole.levels["sex"].names, dtype=object)[whole.levels["sex"].codes]
    in_whole = evaluate_subgroups(
        whole.time_days,
        whole.event,
        whole.risk,
        HORIZONS,
        {"sex": names},
        n_bootstrap=1,
        patients=whole.patient,
    )
    of_parts = judged(cut(whole, 400)).subgroups
    for one, other in zip(of_parts, in_whole, strict=True):
        assert (one.grouping, one.level) == (other.grouping, other.level)
        assert (one.stays, one.events) == (other.stays, other.events)
        for name, difference in compared(one.metrics, other.metrics).items():
            assert difference < (1e-9 if name[0] in EXACT else 1e-3), name


def test_intervals_are_close_to_those_of_the_bootstrap_in_memory() -> None:
    whole = cohort(1000)
    found = judged(cut(whole, 500), n_bootstrap=200)
    for one, other in zip(found.metrics, in_memory(whole, 200), strict=True):
        width = other.high - other.low
        # Both ends are percentiles of 200 draws, each uncertain by about a tenth of the width.
        assert abs(one.low - other.low) < 0.35 * width, one
        assert abs(one.high - other.high) < 0.35 * width, one


@settings(max_examples=3, deadline=None)
@given(st.integers(60, 800), st.integers(0, 2**31))
@example(799, 0)  # the last part has one row, which many resamples leave out
def test_neither_parts_nor_the_order_of_rows_matter(rows: int, seed: int) -> None:
    whole = cohort(800, stays=2)
    first = judged([whole], n_bootstrap=8, groups=4)
    shuffled = taken(whole, np.random.default_rng(seed).permutation(800))
    second = judged(cut(shuffled, rows), n_bootstrap=8, groups=4)
    for one, other in zip(
        (*first.metrics, *first.blanked, *first.metrics_of_answered),
        (*second.metrics, *second.blanked, *second.metrics_of_answered),
        strict=True,
    ):
        assert (one.metric, one.horizon_days, one.note) == (
            other.metric,
            other.horizon_days,
            other.note,
        )
        ends = [(m.estimate, m.low, m.high) for m in (one, other)]
        np.testing.assert_allclose(*ends, rtol=1e-8, atol=1e-10)
    of_groups = [[m.estimate for g in j.subgroups for m in g.metrics] for j in (first, second)]
    np.testing.assert_allclose(*of_groups, rtol=1e-8, atol=1e-10)


def test_many_times_are_rounded_and_concordance_is_of_some_patients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = cohort(3000)
    monkeypatch.setattr(time_counts, "MOST_TIMES", 100)
    monkeypatch.setattr(judged_part, "CONCORDANCE_PATIENTS", 1000)
    survey = Survey.joined(Survey.of(part, HORIZONS) for part in cut(whole, 700))
    assert 50 < len(survey.scopes[judged_part.ALL].times.days) <= 100
    found = judged(cut(whole, 700))
    assert found.concordance_patients == 1000
    for name, difference in compared(found.metrics, in_memory(whole)).items():
        # Times told apart by four days, 1,000 of the pairs' patients.
        assert difference < (0.03 if name[0].startswith("c_") else 0.01), name


def test_few_outcomes_are_named() -> None:
    whole = cohort(60)
    with pytest.raises(DataError, match="0 of 2 have"):
        judged([taken(whole, slice(0, 12))])
    # Ten stays of one patient are one patient.
    early = np.flatnonzero((whole.event == 1) & (whole.time_days <= 28))
    whole.patient[early] = whole.patient[early[0]]
    found = {(m.metric, m.horizon_days): m for m in judged(cut(whole, 20)).metrics}
    assert found["auroc", 28.0].note.startswith("needs 10 patients with and 10 without")


def test_an_outcome_known_at_one_horizon_has_no_curve() -> None:
    whole = cohort(400, competing=False)
    fixed = JudgedPart(
        whole.patient,
        np.full(400, 28.0),
        ((whole.event == 1) & (whole.time_days <= 28)).astype(np.int64),
        whole.risk[:, :1],
        whole.risk[:, 0],
        whole.risk[:, :1],
        None,
        {share: risk[:, :1] for share, risk in whole.blanked.items()},
        whole.answered,
        {},
    )
    found = evaluate_parts(
        [fixed],
        Survey.of(fixed, [28.0]),
        horizons_days=[28.0],
        curve_days=[28.0],
        has_competing_curve=False,
        simulated=True,
        n_bootstrap=10,
        n_bootstrap_of_groups=10,
        run=here,
    )
    other = evaluate(fixed.time_days, fixed.event, fixed.risk, [28.0], n_bootstrap=1)
    for one, two in zip(found.metrics, other, strict=True):
        assert (one.metric, one.note) == (two.metric, two.note)
        np.testing.assert_allclose(one.estimate, two.estimate, atol=1e-3)
    assert found.d_calibration is None
