"""Boosters as documents: XGBoost's UBJSON read and written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.inference.trees import booster_bytes, load_booster
from models.inference.ubjson import decode_ubjson, encode_ubjson


def as_lists(document):
    """Return a document with its arrays as the lists that JSON has."""
    if isinstance(document, dict):
        return {name: as_lists(held) for name, held in document.items()}
    if isinstance(document, list):
        return [as_lists(held) for held in document]
    return document.tolist() if isinstance(document, np.ndarray) else document


def test_a_booster_is_read_as_xgboosts_json_has_it(risk_model) -> None:
    booster = load_booster(risk_model.files()["booster.ubj"], 1)

    read = as_lists(decode_ubjson(booster_bytes(booster)))

    expected = json.loads(bytes(booster.save_raw("json")))
    trees, theirs = (d["learner"]["gradient_booster"]["model"] for d in (read, expected))
    for ours, other in zip(trees.pop("trees"), theirs.pop("trees"), strict=True):
        for name, values in other.items():
            if values and isinstance(values, list):
                # JSON has the shortest decimals of a float32.
                np.testing.assert_array_equal(np.float32(ours[name]), np.float32(values))
            else:
                assert ours[name] == values
    assert read == expected


def test_a_booster_that_was_read_and_written_is_the_same(risk_model) -> None:
    content = risk_model.files()["booster.ubj"]

    written = encode_ubjson(decode_ubjson(content))

    assert booster_bytes(load_booster(written, 1)) == content


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"H", "known marker; got byte 72"),
        (b"[ZZ]", "length first"),
        (b"Si\x01a", "int64"),
        (b"ZZ", "one document; got 1 bytes more"),
    ],
)
def test_another_format_is_refused(content, rule) -> None:
    with pytest.raises(ValueError, match=rule):
        decode_ubjson(content)


def test_what_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="plain values; got set"):
        encode_ubjson({"trees": {1, 2}})
