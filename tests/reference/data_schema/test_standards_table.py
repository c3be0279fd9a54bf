"""The catalogue agrees with the table of codes and units in the shared standards."""

from __future__ import annotations

import csv

import pytest

from data_schema.biomarkers import VARIABLES, by_code, variable
from data_schema.variables import LOCAL_SYSTEM, LOINC
from places import SHARED

TABLE = SHARED / "standards" / "variables.csv"

pytestmark = pytest.mark.skipif(
    not TABLE.is_file(), reason="shared/standards/variables.csv is not beside this checkout"
)

TAKEN = {"primary", "alternate", "approximate", "input"}

# The one unit of the table that the catalogue refuses under a code, and why: the code counts every
# partial day as one, which hours over 24 do not.
REFUSED = {("74201-5", "h")}

# Codes that the table does not hold: routine laboratory and vital signs, T-score of the hip (named
# in a note of the table), hormones and interferon. Check digits hold. Those of blood counts,
# clotting, liver, heart and inflammation were looked up in two public copies of LOINC.
BEYOND_THE_TABLE = {
    *("6768-6", "1742-6", "1920-8", "718-7", "4544-3", "6690-2", "2345-7", "14749-6"),
    *("2951-2", "2823-3", "2075-0", "1963-8", "19123-9", "2601-3", "3094-0", "22664-7"),
    *("2093-3", "14647-2", "10839-9", "6598-7", "9192-6", "2744-1", "2019-8"),
    *("8480-6", "8462-4", "8867-4", "9279-1", "8310-5", "59408-5", "2708-6"),
    *("2986-8", "14913-8", "13967-5", "2484-4", "2143-6", "14675-3", "27415-9", "38264-8"),
    # Blood counts, clotting, liver, heart and inflammation.
    *(
        "10834-0",
        "14629-0",
        "14630-8",
        "14804-9",
        "14927-8",
        "14933-6",
        "14979-9",
        "1798-8",
        "1968-7",
    ),
    *("1971-1", "21000-5", "2157-6", "2276-4", "2324-2", "2532-0", "2571-8", "26444-0", "26449-9"),
    *(
        "26474-7",
        "26478-8",
        "26484-6",
        "26499-4",
        "26511-6",
        "26848-2",
        "27811-9",
        "2885-2",
        "30341-2",
    ),
    *(
        "3040-3",
        "3084-1",
        "30934-4",
        "3243-3",
        "3255-7",
        "32623-1",
        "33211-4",
        "33762-6",
        "33763-4",
    ),
    *("33959-8", "48065-7", "5894-1", "5902-2", "5905-5", "6301-6", "704-7", "706-2", "711-2"),
    *("713-8", "731-0", "736-9", "742-7", "751-8", "770-8", "785-6", "786-4", "787-2"),
    *("788-0", "789-8"),
}


def rows() -> list[dict[str, str]]:
    """Return the rows of the table."""
    with TABLE.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def units_of(row: dict[str, str]) -> dict[str, float]:
    """Return the accepted units of a row, each with its factor."""
    pairs = (pair.rpartition("=") for pair in row["accepted_units_with_factors"].split(";") if pair)
    return {unit: float(scale) for unit, _, scale in pairs}


def test_every_row_that_is_taken_is_an_entry_with_its_code() -> None:
    taken = [row for row in rows() if row["role"] in TAKEN]
    assert len(taken) == 95
    for row in taken:
        codes = [(code.system, code.code) for code in variable(row["variable"]).codes]
        expected = (LOINC, row["loinc"]) if row["loinc"] else (LOCAL_SYSTEM, row["variable"])
        assert expected in codes, row["variable"]


def test_every_rejected_row_is_unknown_to_the_catalogue() -> None:
    rejected = [row["loinc"] for row in rows() if row["role"] == "reject"]
    assert rejected == ["53092-3"]
    assert not any(by_code(code) for code in rejected)


def test_every_canonical_unit_is_the_table_s() -> None:
    for row in rows():
        if row["role"] in TAKEN:
            assert variable(row["variable"]).unit == row["canonical_ucum_unit"], row["variable"]


def test_every_factor_is_the_table_s() -> None:
    for row in rows():
        for unit, scale in units_of(row).items():
            # The table prints six figures and more.
            assert variable(row["variable"]).units[unit] == pytest.approx(scale, rel=1e-6), row


def test_a_code_allows_exactly_the_units_of_its_row() -> None:
    for row in rows():
        if row["role"] not in TAKEN or not row["loinc"]:
            continue
        ((entry, code),) = by_code(row["loinc"])
        allowed = set(code.units or entry.units)
        stated = {unit for unit in units_of(row) if (row["loinc"], unit) not in REFUSED}
        assert stated <= allowed, row["loinc"]
        assert not code.units or set(code.units) == stated, row["loinc"]


def test_every_other_loinc_code_is_listed_here() -> None:
    known = {row["loinc"] for row in rows()}
    extra = {
        code.code
        for entry in VARIABLES.values()
        for code in entry.codes
        if code.system == LOINC and code.code not in known
    }
    assert extra == BEYOND_THE_TABLE


def test_long_names_are_the_table_s() -> None:
    for row in rows():
        if row["loinc"] and row["role"] in TAKEN:
            ((_, code),) = by_code(row["loinc"])
            assert code.display == row["loinc_long_name"]
