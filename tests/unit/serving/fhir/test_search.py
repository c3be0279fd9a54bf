"""Searches by code are split, so that every address fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_schema.biomarkers import VARIABLES, loinc_codes
from data_schema.fhir.observations import UnknownCode
from serving.fhir.search import MAX_ADDRESS, split_codes
from serving.fhir.unknown_codes import named_codes, unknown_codes_in_words


@given(
    codes=st.lists(st.text("0123456789-", min_size=1, max_size=40), max_size=400),
    others=st.text("a", max_size=400),
)
def test_every_code_is_in_one_group_and_every_group_fits(codes: list[str], others: str) -> None:
    groups = split_codes(codes, others=others)
    assert [code for group in groups for code in group] == codes
    for group in groups:
        assert len("%2C".join(group)) + len(others) < MAX_ADDRESS - 300


def test_the_whole_catalogue_takes_two_searches() -> None:
    assert len(split_codes(loinc_codes(VARIABLES))) == 2


def test_the_most_frequent_codes_are_named_and_the_rest_counted() -> None:
    codes = [UnknownCode("", "", 9), *(UnknownCode("urn:a", f"K{i}", 2) for i in range(30))]
    assert len(named_codes(codes)) == 20
    words = unknown_codes_in_words(codes)
    assert words.startswith("urn:a|K0 (2), ")
    assert words.endswith("and 29 Observations with another code or none")
