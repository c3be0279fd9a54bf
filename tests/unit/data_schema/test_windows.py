"""The words of a window and what code reads from its record say the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.windows import Since, Window

ADMISSION, ZERO = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
UNITS = {"h": 1 / 24, "day": 1, "month": 31, "year": 366}


def in_words(words: str) -> timedelta | Since | None:
    """Return what a reader takes from the words."""
    span = re.search(r"\b(?:(\d+) )?(h|day|month|year)s? before time zero", words)
    if span:
        return timedelta(days=int(span[1] or 1) * UNITS[span[2]])
    if "from ICU admission" in words:
        return Since.ADMISSION
    of_stay = ("at or before" in words or "at time zero" in words) and "illness" not in words
    return Since.STAY if of_stay else None


@pytest.mark.parametrize("name", VARIABLES)
def test_a_window_begins_when_its_words_say(name: str) -> None:
    window = VARIABLES[name].window
    assert window.begins == in_words(window.words)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("lactate", datetime(2026, 10, 31, tzinfo=UTC)),
        ("catecholamines", datetime(2026, 11, 2, tzinfo=UTC)),
        ("ppi", ADMISSION),
        ("diabetes", None),
    ],
)
def test_the_earliest_moment_of_a_window(name: str, first: datetime | None) -> None:
    assert VARIABLES[name].window.start(icu_start=ADMISSION, time_zero=ZERO) == first


def test_only_a_fixed_span_has_a_length() -> None:
    assert VARIABLES["t_fn"].window.length == timedelta(days=732)
    assert VARIABLES["lactate"].window.length is None
    assert Window("before the acute illness").length is None
