"""One patient has one identifier, however a program has written it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.mapping.file import IdMapping
from data_schema.table.identifiers import read_identifiers

_IDS = IdMapping(patient_id="patient_id", stay_id=None, site=None, time_zero=None)


def _patients(cells: list[object]) -> list[object]:
    read = read_identifiers(pd.DataFrame({"patient_id": cells, "row": range(len(cells))}), _IDS)
    return read.patient_id.tolist()


def _rules(cells: list[object]) -> dict[str, int]:
    read = read_identifiers(pd.DataFrame({"patient_id": cells, "row": range(len(cells))}), _IDS)
    return {f.rule: f.count for f in read.findings if f.rule != "several_stays"}


@pytest.mark.parametrize(
    "written",
    ['="00012"', "'00012", "\u200b00012", "00012\ufeff", "\uff10\uff10\uff10\uff11\uff12"],
)
def test_wrappers_and_invisible_characters_are_no_part_of_an_identifier(written: str) -> None:
    assert _patients([written, "00012", "00013"]) == ["00012", "00012", "00013"]
    assert _rules([written, "00012", "00013"]) == {}


def test_a_hyphen_that_does_not_break_is_a_hyphen() -> None:
    assert _patients(["A\u201112", "A-12"]) == ["A-12", "A-12"]


@pytest.mark.parametrize("written", ["1.2E+01", "4.71100E+15", "1,2E+01", "4.7e15"])
def test_an_exponent_is_refused_by_count(written: str) -> None:
    assert _rules([written, written, "00013"]) == {"id_spelling": 2}


def test_an_identifier_that_only_looks_like_an_exponent_is_read() -> None:
    assert _rules(["12E5", "E01", "3e10x"]) == {}


@pytest.mark.parametrize(
    ("cells", "count"),
    [
        (["12.0", "00012", "7"], 2),
        (["12.0", "13", "7"], 1),
        (["12", "00012", "7"], 2),
        (["ab12", "AB12", "ab12"], 3),
    ],
)
def test_two_spellings_of_one_identifier_are_refused_by_count(
    cells: list[object], count: int
) -> None:
    assert _rules(cells) == {"id_spelling": count}


def test_a_column_of_numbers_with_a_fraction_is_one_of_whole_numbers() -> None:
    assert _patients(["12.0", "13.0"]) == ["12", "13"] == _patients([12.0, 13.0])


@pytest.mark.parametrize(
    "word", ["Median", "mean (SD)", "Total", "TOTAL:", "Mean ± SD", "n = 160", "IQR", "Mittelwert"]
)
def test_a_summary_below_the_rows_is_refused(word: str) -> None:
    assert _rules([f"P{i}" for i in range(30)] + [word]) == {"summary_row": 1}


def test_names_that_begin_like_a_summary_are_identifiers() -> None:
    assert _rules(["Maximilian", "Nora", "Totalis", "N12", "sd-1", "P25", "Q1", "N"]) == {}


def _two_sites(sex_of_second: list[str]) -> tuple[list[object], set[str]]:
    table = pd.DataFrame(
        {
            "patient_id": [*range(20), *range(20)],
            "site": ["A"] * 20 + ["B"] * 20,
            "sex": ["male", "female"] * 10 + sex_of_second,
            "x": np.arange(40),
        }
    )
    ids = IdMapping(patient_id="patient_id", stay_id=None, site="site", time_zero=None)
    read = read_identifiers(table, ids, person=["sex"])
    return read.patient_id.tolist(), {f.rule for f in read.findings}


def test_numbers_that_two_sites_give_to_different_people_are_of_each_site() -> None:
    patients, rules = _two_sites(["female", "male"] * 10)
    assert len(set(patients)) == 40
    assert "ids_of_sites" in rules


def test_a_patient_of_two_sites_stays_one_patient() -> None:
    patients, rules = _two_sites(["male", "female"] * 10)
    assert len(set(patients)) == 20
    assert "ids_of_sites" not in rules
