"""An entry of the catalogue that leaves a question open is refused when the catalogue is built."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_schema.biomarkers import VARIABLES, variable
from data_schema.catalogue.completeness import require_complete
from data_schema.variables import Code, Variable
from data_schema.windows import Window

LACTATE, SHOCK, SEX = variable("lactate"), variable("shock"), variable("sex")


def test_every_entry_of_the_catalogue_is_complete() -> None:
    require_complete(VARIABLES.values())


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (replace(LACTATE, origin=None), "lactate: origin must be stated for a number"),
        (replace(LACTATE, unit="mmol/l"), "canonical unit with factor 1"),
        (replace(LACTATE, unit="", units={}), "canonical unit with factor 1"),
        (replace(LACTATE, units={"mmol/L": 1.0, "mg/dL": 0.0}), "positive factors"),
        (replace(LACTATE, aliases={"mM": "mol/L"}), "aliases must lead to units"),
        (replace(LACTATE, codes=(Code("2524-7", "L", units=("g/L",)),)), "codes must allow units"),
        (replace(LACTATE, high=None), "low and high must be stated"),
        (replace(LACTATE, low=50.0, high=0.1), "low below high"),
        (replace(LACTATE, typical_median=(8.0, 0.5)), "typical_median must lie between"),
        (replace(LACTATE, typical_median=(0.5, 1e6)), "typical_median must lie between"),
        (replace(LACTATE, direction={"deaths": 1}), "got 'deaths'"),
        (replace(LACTATE, near_synonyms=("pyruvate",)), "ambiguity must be stated"),
        (replace(LACTATE, categories=("low", "high")), "categories must be stated for a category"),
        (replace(LACTATE, window=Window("")), "window must have words"),
        (replace(LACTATE, pathway="acids"), "got 'acids'"),
        (replace(LACTATE, name="Lactate"), "name must be lower-case words"),
        (replace(LACTATE, name="lactate__max"), "name must be lower-case words"),
        (replace(LACTATE, label=""), "label must be stated"),
        (replace(SHOCK, origin=LACTATE.origin), "shock: origin must be stated for a number only"),
        (replace(SHOCK, atc=("C01CA",)), "treatment must be true where atc, rxnorm or procedures"),
        (replace(SHOCK, rxnorm={"7512": "norepinephrine"}), "treatment must be true where atc"),
        (replace(SEX, snomed=("248152002",)), "must be stated for a flag only"),
        (replace(SHOCK, low=0.0), "low must be stated for a number only"),
        (replace(SEX, categories=()), "sex: categories must be stated for a category"),
    ],
)
def test_an_incomplete_entry_is_refused_by_name(entry: Variable, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        require_complete([entry])


def test_two_entries_share_neither_name_nor_code() -> None:
    with pytest.raises(ValueError, match="lactate: name must belong to one entry"):
        require_complete([LACTATE, replace(LACTATE, codes=())])
    with pytest.raises(ValueError, match="code must belong to one entry"):
        require_complete([LACTATE, replace(LACTATE, name="lactate_poc")])


def test_all_problems_of_all_entries_are_listed_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)lactate: origin.*shock: label"):
        require_complete([replace(LACTATE, origin=None), replace(SHOCK, label="")])
