"""What a report says first about refused stays."""

from __future__ import annotations

import pytest

from models.inference.prediction import Remark
from training.validation.refusals import Refusals

CHILD = Remark("under_18", "The patient is under 18.", ("age",))
UNLIKE = Remark("unlike_training_cohort", "Unlike.", ())


def test_a_stay_that_breaks_several_rules_is_one_refused_stay() -> None:
    refusals = Refusals.of([[CHILD, UNLIKE], [], [UNLIKE, UNLIKE], []])

    assert refusals == Refusals(4, 2, {"under_18": 1, "unlike_training_cohort": 2})


@pytest.mark.parametrize(("refused", "is_stated"), [(0, False), (50, False), (51, True)])
def test_more_than_one_in_twenty_is_stated(refused: int, is_stated: bool) -> None:
    refusals = Refusals(1_000, refused, {"under_18": refused})

    assert (refusals.notice is not None) is is_stated


def test_the_notice_gives_share_stays_and_rules_with_the_commonest_first() -> None:
    notice = Refusals(120, 81, {"under_18": 12, "unlike_training_cohort": 70}).notice

    assert notice is not None
    assert "refuses 68 % of the 120 stays judged" in notice
    assert "(unlike training cohort: 70, under 18: 12)" in notice


def test_a_count_below_the_smallest_cell_does_not_follow_from_the_notice() -> None:
    notice = Refusals(90, 9, {"under_18": 9}).notice

    assert notice is not None
    assert "more than 5 % of the 90 stays" in notice
    assert "9" not in notice.replace("90", "")
