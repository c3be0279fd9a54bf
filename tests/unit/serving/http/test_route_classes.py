from __future__ import annotations

import pytest

from serving.http.route_classes import strict_json
from serving.problems.details import RequestBroken


@pytest.mark.parametrize(
    "body",
    [b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff", b'"\\ud800"', b'{"\\uDC00a": 1}'],
)
def test_what_no_two_readers_would_read_alike_is_refused(body: bytes) -> None:
    with pytest.raises(RequestBroken, match="one valid JSON document"):
        strict_json(body)


def test_a_pair_of_escapes_is_one_character() -> None:
    assert strict_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"
