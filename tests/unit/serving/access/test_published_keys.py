from __future__ import annotations

import pytest

from data_schema.errors import OutsideError
from serving.access import published_keys
from serving.access.published_keys import PublishedKeys


def test_a_signer_that_cannot_be_reached_is_not_asked_by_every_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    def fetch() -> object:
        nonlocal asked
        asked += 1
        raise OutsideError("Nobody is there.")

    keys = PublishedKeys(fetch)
    for _ in range(3):
        with pytest.raises(OutsideError, match="must give keys"):
            keys.key("any")
    assert asked == 1
    monkeypatch.setattr(published_keys, "_SECONDS_AFTER_FAILURE", 0)
    with pytest.raises(OutsideError, match="must give keys"):
        keys.key("any")
    assert asked == 2
