from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serving.audit.predicted import PredictedRow, counted_answers

START = datetime(2026, 11, 1, tzinfo=UTC)


def answer(minutes: int, *, stay: str = "s", moment: str = "m", **stated: Any) -> PredictedRow:
    """Return an answer so many minutes after the first; its risk is the minutes."""
    row = PredictedRow(
        prediction_id=f"{minutes:026d}",
        at=START + timedelta(minutes=minutes),
        patient="p",
        stay=stay,
        moment=moment,
        risks={28.0: minutes / 1_000},
        report=0,
        reported_at=None,
        event=None,
        days=None,
    )
    return replace(row, **stated)


def reported(minutes: int, *, number: int = 1, event: int = 1, days: float = 9.0) -> dict[str, Any]:
    at = START + timedelta(minutes=minutes)
    return {"report": number, "reported_at": at, "event": event, "days": days}


def test_two_final_answers_of_a_stay_count_once_by_the_later() -> None:
    (counted,) = counted_answers([answer(0), answer(5)])
    assert counted.risks == {28.0: 0.005}


def test_an_outcome_of_the_earlier_answer_is_that_of_the_stay() -> None:
    (counted,) = counted_answers([answer(0, **reported(90)), answer(5)])
    assert (counted.risks, counted.event, counted.days) == ({28.0: 0.005}, 1, 9.0)


def test_an_answer_after_the_outcome_was_reported_does_not_count() -> None:
    (counted,) = counted_answers([answer(0, **reported(60)), answer(120)])
    assert counted.risks == {28.0: 0.0}


def test_the_newest_report_of_a_stay_is_the_outcome() -> None:
    first = answer(0, **reported(60, number=4, event=0, days=3.0))
    (counted,) = counted_answers([first, answer(5, **reported(61, number=9, event=1))])
    assert (counted.event, counted.days) == (1, 9.0)


def test_a_later_time_zero_of_a_stay_does_not_count() -> None:
    later = answer(3_000, moment="three days later", **reported(9_000))
    (counted,) = counted_answers([answer(0), later])
    assert (counted.moment, counted.event) == ("m", None)


def test_two_stays_of_a_patient_count_each() -> None:
    rows = [answer(0, stay="a"), answer(1, stay="b"), answer(2, stay="a")]
    assert [one.stay for one in counted_answers(rows)] == ["b", "a"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.booleans()), max_size=12)
)
def test_each_stay_counts_once_at_its_first_time_zero(steps: list[tuple[str, str, bool]]) -> None:
    rows = [
        answer(
            at, stay=stay, moment=stay + zero, **(reported(at + 1, number=at + 1) if known else {})
        )
        for at, (stay, zero, known) in enumerate(steps)
    ]
    counted = counted_answers(rows)
    assert sorted(one.stay for one in counted) == sorted({row.stay for row in rows})
    for one in counted:
        first = next(row for row in rows if row.stay == one.stay)
        assert one.moment == first.moment
        assert one.reported_at is None or one.at <= one.reported_at
    assert counted_answers(counted) == counted
