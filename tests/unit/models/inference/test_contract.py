"""The contract as a record: read from its own format alone, written as it was read."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from models.inference.contract import BUNDLE_FORMAT, Contract, Feature


@pytest.fixture
def content(mortality) -> dict[str, Any]:
    """A contract as its bundle holds it."""
    written: dict[str, Any] = json.loads(json.dumps(mortality.contract.as_json()))
    return written


def test_a_contract_of_todays_format_is_the_same_after_a_round_trip(mortality) -> None:
    contract = mortality.contract
    again = Contract.from_json(json.loads(json.dumps(contract.as_json())))

    assert again == contract
    left_out = [field for field in fields(again) if field.name not in contract.as_json()]
    assert all(getattr(again, field.name) == field.default for field in left_out)
    assert set(contract.as_json()) <= {field.name for field in fields(again)}


@pytest.mark.parametrize("written", [3, BUNDLE_FORMAT - 1, BUNDLE_FORMAT + 1, None])
def test_a_contract_of_another_format_is_refused(content, written) -> None:
    with pytest.raises(ValueError, match=f"bundle_format must be {BUNDLE_FORMAT}"):
        Contract.from_json(content | {"bundle_format": written})


def test_a_missing_entry_is_named(content) -> None:
    del content["features"][0]["label"]
    with pytest.raises(KeyError, match="Feature must have label"):
        Contract.from_json(content)


def test_described_patients_are_never_taken_for_real_ones_by_default(content) -> None:
    del content["simulated"]
    with pytest.raises(KeyError, match="must have simulated"):
        Contract.from_json(content)


def test_a_contract_cannot_be_changed(mortality) -> None:
    feature: Feature = mortality.contract.features[0]
    with pytest.raises(FrozenInstanceError):
        feature.label = "another"  # type: ignore[misc]
