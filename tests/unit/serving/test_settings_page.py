from __future__ import annotations

from pathlib import Path

import pytest

from serving.settings import read_settings
from serving.settings_page import documented_settings, settings_page

PAGE = Path(__file__).parents[3] / "SETTINGS.md"


def test_the_page_of_settings_is_that_of_the_settings() -> None:
    assert PAGE.read_text() == settings_page(), "run `osteon settings > SETTINGS.md`"


def test_every_setting_has_an_example_and_says_what_it_does() -> None:
    bare = [one.variable for one in documented_settings() if not (one.example and one.description)]
    assert bare == []


def test_the_examples_are_accepted_and_differ_from_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for one in documented_settings():
        assert one.example != one.default, one.variable
        monkeypatch.setenv(one.variable, one.example)
    read_settings()
