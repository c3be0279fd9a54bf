"""The contract as a record: read from either format, written as it was read."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from models.inference.contract import BUNDLE_FORMAT, Contract, Feature
from places import ROOT

OF_FORMAT_4 = ("event_singular", "event_verb", "is_death", "population_described")


@pytest.fixture
def older() -> dict[str, Any]:
    """A contract of format 3."""
    path = ROOT / "tests/data/bundles/631c1e3/bundle/contract.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_but_for_what_format_4_adds_a_contract_is_written_as_it_was_read(older) -> None:
    written = Contract.from_json(older).as_json()

    assert [written.pop(name) for name in OF_FORMAT_4] == ["fracture", "fracture", False, False]
    assert written["interval"].pop("available") is True
    assert written.pop("bundle_format") == BUNDLE_FORMAT
    assert written.pop("missingness") == "ignorable"
    assert json.dumps(written, sort_keys=True) == json.dumps(
        {name: value for name, value in older.items() if name != "bundle_format"}, sort_keys=True
    )


def test_a_contract_of_todays_format_is_the_same_after_a_round_trip(mortality) -> None:
    contract = mortality.contract
    again = Contract.from_json(json.loads(json.dumps(contract.as_json())))

    assert again == contract
    assert {field.name for field in fields(again)} == set(contract.as_json())


@pytest.mark.parametrize(
    ("changed", "name", "expected"),
    [
        ({"event_label": "deaths"}, "event_singular", "death"),
        ({"event_label": "deaths"}, "event_verb", ""),
        ({"event_label": "deaths"}, "is_death", True),
        ({"event_label": "hospital deaths"}, "is_death", False),
        ({"population": "Adults of two hospitals"}, "population_described", True),
    ],
)
def test_facts_that_format_3_holds_in_words_only_are_derived_once(
    older, changed, name, expected
) -> None:
    assert getattr(Contract.from_json(older | changed), name) == expected


def test_the_lack_of_an_interval_is_read_from_a_word_of_format_3(older) -> None:
    older["interval"]["kind"] = "none"
    assert not Contract.from_json(older).interval.available


def test_format_4_is_believed_and_no_word_of_it_is_read(older) -> None:
    stated = Contract.from_json(older).as_json()
    stated |= {"event_label": "deaths", "population": "nobody described them", "is_death": False}
    stated["population_described"] = True
    stated["interval"]["kind"] = "none"

    contract = Contract.from_json(stated)

    assert not contract.is_death
    assert contract.population_described
    assert contract.interval.available


def test_a_contract_of_another_format_is_refused(older) -> None:
    with pytest.raises(ValueError, match="bundle_format must be 3 or 4"):
        Contract.from_json(older | {"bundle_format": BUNDLE_FORMAT + 1})


def test_a_missing_entry_is_named(older) -> None:
    del older["features"][0]["label"]
    with pytest.raises(KeyError, match="Feature must have label"):
        Contract.from_json(older)


def test_described_patients_are_never_taken_for_real_ones_by_default(mortality, older) -> None:
    for content in (older, mortality.contract.as_json()):
        unsaid = {name: value for name, value in content.items() if name != "simulated"}
        with pytest.raises(KeyError, match="must have simulated"):
            Contract.from_json(unsaid)


def test_a_contract_cannot_be_changed(mortality) -> None:
    feature: Feature = mortality.contract.features[0]
    with pytest.raises(FrozenInstanceError):
        feature.label = "another"  # type: ignore[misc]
