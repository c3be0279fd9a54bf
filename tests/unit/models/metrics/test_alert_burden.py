"""What a threshold of risk asks of a ward."""

import numpy as np
import pytest

from models.metrics.alert_burden import alert_burden, usual_thresholds


def test_flags_events_and_numbers_are_counted() -> None:
    risk = np.repeat([0.6, 0.3, 0.1], [20, 30, 50])
    days = np.concatenate([np.full(15, 4.0), np.full(5, 40.0), np.full(6, 8.0), np.full(74, 40.0)])
    event = np.where(days < 10, 1, 0)

    high, low = alert_burden(days, event, risk, horizon_days=30, thresholds=[0.5, 0.2])

    assert high.flagged.estimate == pytest.approx(0.2)
    assert high.number_to_evaluate.estimate == pytest.approx(20 / 15)
    assert high.sensitivity.estimate == pytest.approx(15 / 21)
    assert high.lead_days == (4.0, 4.0, 4.0)
    assert low.flagged.estimate == pytest.approx(0.5)
    assert low.number_to_evaluate.estimate == pytest.approx(50 / 21)
    assert low.sensitivity.estimate == 1
    assert high.flagged.low < 0.2 < high.flagged.high


def test_a_competing_event_is_no_event_and_needs_an_evaluation_all_the_same() -> None:
    risk, days = np.full(40, 0.9), np.full(40, 5.0)
    event = np.repeat([1, 2], [10, 30])

    (burden,) = alert_burden(days, event, risk, horizon_days=10, thresholds=[0.5])

    assert burden.number_to_evaluate.estimate == pytest.approx(4)


def test_lead_time_is_withheld_where_few_are_known_or_there_are_no_times() -> None:
    risk, days = np.full(40, 0.9), np.full(40, 5.0)
    few = alert_burden(
        np.where(np.arange(40) < 9, 5.0, 90.0),
        (np.arange(40) < 9).astype(int),
        risk,
        horizon_days=10,
        thresholds=[0.5],
    )
    fixed = alert_burden(
        days, np.ones(40, dtype=int), risk, horizon_days=10, thresholds=[0.5], has_times=False
    )

    assert few[0].lead_days is None
    assert fixed[0].lead_days is None


def test_censoring_does_not_change_whom_a_threshold_flags() -> None:
    rng = np.random.default_rng(0)
    risk = rng.random(400)
    died, lost = rng.exponential(20 / risk), rng.uniform(5, 60, 400)
    known = alert_burden(
        np.minimum(died, 1000), (died <= 1000).astype(int), risk, horizon_days=30, thresholds=[0.5]
    )
    censored = alert_burden(
        np.minimum(died, lost), (died <= lost).astype(int), risk, horizon_days=30, thresholds=[0.5]
    )

    assert censored[0].flagged.estimate == known[0].flagged.estimate
    # Weighted for censoring, the number stays what it is without (its error here is about .15).
    assert censored[0].number_to_evaluate.estimate == pytest.approx(
        known[0].number_to_evaluate.estimate, abs=0.4
    )


@pytest.mark.parametrize("highest", [0.03, 0.3, 0.95])
def test_usual_thresholds_flag_some_but_not_nearly_all(highest: float) -> None:
    risk = np.linspace(0, highest, 1000)

    thresholds = usual_thresholds(risk)

    assert 1 <= len(thresholds) <= 6
    assert list(thresholds) == sorted(thresholds)
    for at in thresholds:
        assert 0.01 <= (risk >= at).mean() <= 0.95
