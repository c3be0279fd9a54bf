"""Another spelling of a category is read as the level that the model learned."""

from __future__ import annotations

import numpy as np
import pytest

from data_schema.values import level_key
from models.inference.matrices import as_known_levels

_LEVELS = ["Cirrhosis", "M\u00fcller", "1", "ICU A"]


@pytest.mark.parametrize(
    ("written", "level"),
    [
        *(("cirrhosis", "Cirrhosis"), ("Mu\u0308ller", "M\u00fcller"), ("1.0", "1")),
        *(("icu  a ", "ICU A"), ("New disease", "New disease"), (None, None)),
    ],
)
def test_a_level_is_read_in_any_spelling(written: str | None, level: str | None) -> None:
    assert as_known_levels(np.array([written], dtype=object), _LEVELS).tolist() == [level]


def test_a_spelling_of_two_levels_is_neither() -> None:
    texts = np.array(["a", "A", "\u00c4"], dtype=object)
    assert as_known_levels(texts, ["a", "A"]).tolist() == ["a", "A", "\u00c4"]
    assert as_known_levels(np.array(["x Y"], dtype=object), ["X y", "x y"]).tolist() == ["x Y"]


def test_table_and_model_read_levels_alike() -> None:
    for text in ("ICU  a", "2.0", "Mu\u0308ller", "x"):
        assert as_known_levels(np.array([text], dtype=object), [level_key(text)]).tolist() == [
            level_key(text)
        ]
