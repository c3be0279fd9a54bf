"""What the registry lists of a version's life."""

import json
from dataclasses import replace

import pytest

from data_schema.errors import UsageError
from models.metrics.metric import Metric
from models.registry.timeline import timeline
from models.registry.validations import Validation, check_site, not_of_version, validations_of
from models.registry.versions import Version

VALIDATION = Validation(
    "St. Elsewhere",
    400,
    80,
    "f" * 64,
    (Metric("auroc", 90.0, 0.81, 0.77, 0.85),),
    False,
    "ann",
    "2026-03-01T10:00:00+00:00",
)


def version(number: str, created_at: str, **tags: str) -> Version:
    return Version("m", number, (), "run", number * 64, tags, created_at)


VALIDATED = version(
    "1",
    "2026-01-01T00:00:00+00:00",
    **{"osteon.validation.ffff": json.dumps(VALIDATION.as_json())},
)
UPDATED = version("2", "2026-04-01T00:00:00+00:00", **{"osteon.updated_from": "1"})
MARK = json.dumps({"why": "wrong unit", "by": "bob", "at": "2026-05-01T00:00:00+00:00"})
WITHDRAWN = replace(VALIDATED, tags={**VALIDATED.tags, "osteon.withdrawn": MARK})


def test_the_life_of_a_model_is_in_the_order_of_time() -> None:
    events = timeline([UPDATED, WITHDRAWN])

    assert [(event.version, event.kind) for event in events] == [
        ("1", "registered"),
        ("1", "validated"),
        ("2", "updated"),
        ("1", "withdrawn"),
    ]
    assert "St. Elsewhere, 2026-03-01: 400 patients at 90 days: auroc 0.810" in events[1].detail
    assert events[2].detail == "update of version 1"
    assert events[3].detail == "wrong unit (bob)"


def test_a_validation_is_read_as_it_was_written() -> None:
    assert validations_of(VALIDATED) == (VALIDATION,)


def test_a_tag_that_cannot_be_read_is_no_validation() -> None:
    assert validations_of(version("1", "", **{"osteon.validation.x": "{"})) == ()


def test_a_validation_holds_for_its_own_bundle_only() -> None:
    (sentence,) = not_of_version(UPDATED, [UPDATED, VALIDATED])

    assert sentence.startswith("version 1 was validated at St. Elsewhere")
    assert not_of_version(VALIDATED, [UPDATED, VALIDATED]) == ()
    same = replace(UPDATED, sha256=VALIDATED.sha256)
    assert not_of_version(same, [same, VALIDATED]) == ()


@pytest.mark.parametrize("site", ["x" * 81, "two\nlines"])
def test_the_name_of_a_site_is_a_short_line(site: str) -> None:
    with pytest.raises(UsageError, match="--site must be one line of at most 80"):
        check_site(site)
