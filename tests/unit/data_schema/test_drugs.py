"""Drugs set flags by their class, or by what they hold and how they are given."""

from __future__ import annotations

import pytest

from data_schema.drugs import DRUGS, IN_COMBINATION, drug_flags, is_given_locally


def test_every_flag_of_a_drug_has_a_class_in_atc() -> None:
    assert all(entry.atc for entry in DRUGS.values())
    assert {*IN_COMBINATION} <= {*DRUGS}
    # One ingredient never means two flags.
    codes = [code for entry in DRUGS.values() for code in entry.rxnorm]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("atc", "flag"),
    [
        *(("N01AH06", "opioid"), ("N02AB03", "opioid"), ("N07BC02", "opioid")),
        *(("C01CA03", "catecholamines"), ("J01CR05", "antibiotic"), ("H02AB09", "corticosteroid")),
        *(("B05BA10", "parenteral_feeding"), ("G03CA03", "exogenous_hormones")),
        *(("M05BX06", "sclerostin_antibody"), ("A12CE02", "selenium_supplement")),
    ],
)
def test_a_class_says_what_a_drug_is_given_for(atc: str, flag: str) -> None:
    assert drug_flags(atc=[atc]) == (flag,)


@pytest.mark.parametrize(
    "atc",
    ["D07AA02", "S01BA04", "R03BA02", "N05CM18", "B05BA03", "C01DA02", "J02AC01", "A07EA06", ""],
)
def test_other_classes_set_none(atc: str) -> None:
    assert drug_flags(atc=[atc]) == ()


@pytest.mark.parametrize(
    ("ingredients", "words", "flags"),
    [
        (["7512"], "norepinephrine 1 MG/ML Injection", ("catecholamines",)),
        (["6387", "3992"], "lidocaine / epinephrine Injection", ()),
        (["8163"], "phenylephrine 10 MG Oral Tablet", ()),
        (["8163"], "phenylephrine Injection", ("catecholamines",)),
        (["5492"], "hydrocortisone 100 MG Injection", ("corticosteroid",)),
        (["5492"], "Hydrocortisone (Rectal) 2.5% Cream", ()),
        (["8638"], "PrednisoLONE Acetate 1% Ophth. Susp.", ()),
        (["7804", "161"], "oxycodone / acetaminophen Oral Tablet", ("opioid",)),
        (["4337"], "fentanyl Transdermal System", ("opioid",)),
        (["7646", "7258"], "naproxen / esomeprazole", ()),
        (["11124"], "vancomycin Injectable Solution", ("antibiotic",)),
        (["82122"], "levofloxacin Ophthalmic Solution", ()),
        (["161"], "acetaminophen", ()),
    ],
)
def test_an_ingredient_counts_of_a_drug_that_acts_throughout_and_holds_nothing_else(
    ingredients: list[str], words: str, flags: tuple[str, ...]
) -> None:
    assert drug_flags(ingredients=ingredients, words=words) == flags


def test_words_of_a_route_are_whole_words() -> None:
    assert not is_given_locally("Creamy milk of Transdermal nearby years")
    assert is_given_locally("0.5 MG Inhalation Solution")
