from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contracts import reading_everything
from serving.page.pasted import PastedRow, pasted_rows
from ward_names import WARD_NAMES

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


def read(text: str, model: ServedModel) -> list[PastedRow]:
    return pasted_rows(text, reading_everything(model)).rows


def settled(text: str, model: ServedModel) -> list[tuple[str, str, str, str]]:
    """Return column, value, unit and comparator of each settled result."""
    return [
        (
            one.choices[0].column,
            *(one.choices[0].value, one.choices[0].unit),
            one.choices[0].comparator,
        )
        for one in read(text, model)
        if one.settled and not one.choices[0].problem
    ]


def test_sixty_names_of_wards_are_recognised(mortality: ServedModel) -> None:
    assert len(WARD_NAMES) == 60
    for name, result, columns in WARD_NAMES:
        [row] = read(f"{name} {result}", mortality)
        found = {one.column for one in row.choices if not one.problem}
        assert found, name
        assert found <= columns, name


@pytest.mark.parametrize(
    "text",
    [
        "Crea 168 umol/L; Alb 24 g/L; CTX 0.9 ng/mL",
        "Crea 168 umol/L, Alb 24 g/L, CTX 0.9 ng/mL",
        "Creatinine: 168 µmol/l (60-110)\nAlbumin = 24 g/L L [35 - 50]\nCTX 0,9 ng/ml",
        "Creatinine\t168\tumol/L\t60-110\nAlbumin\tL\t24\tg/L\nCTX\t0.9\tng/mL",
        "Creatinine [umol/L]\tAlbumin (g/L)\tCTX ng/mL\n168\t24\t0.9",
    ],
)
def test_the_usual_shapes_are_read_alike(mortality: ServedModel, text: str) -> None:
    assert settled(text, mortality) == [
        ("creatinine", "168", "umol/L", ""),
        ("albumin", "24", "g/L", ""),
        ("ctx_s", "0.9", "ng/mL", ""),
    ]


def test_a_row_of_a_cohort_file_is_read_in_canonical_units(mortality: ServedModel) -> None:
    text = "age,sex,albumin,fgf23_c,fgf23_c__below,diabetes\n67,female,2.4,80,1,0"
    assert settled(text, mortality) == [
        ("age", "67", "a", ""),
        ("sex", "female", "", ""),
        ("albumin", "2.4", "g/dL", ""),
        ("fgf23_c", "80", "[arb'U]/mL", "<"),
        ("diabetes", "false", "", ""),
    ]


def test_the_rows_of_several_patients_are_refused(mortality: ServedModel) -> None:
    text = "age,sex,albumin\n67,female,2.4\n54,male,3.1\n71,male,2.8"
    found = pasted_rows(text, reading_everything(mortality))
    assert found.rows == []
    assert found.problem.startswith("The table must have the row of one patient; got 3 rows.")


def test_what_may_be_two_things_is_left_open(mortality: ServedModel) -> None:
    rows = {
        row.text: row
        for row in read(
            "Ca 2.1 mmol/L\nUrea 8 mg/dL\nE2 40\nFGF23 900\nAlb 24\nAlb 30 g/L", mortality
        )
    }
    assert not any(row.settled for row in rows.values())
    assert [one.column for one in rows["Ca 2.1 mmol/L"].choices] == ["calcium", "calcium_ion"]
    assert "total and ionised" in rows["Ca 2.1 mmol/L"].note
    assert "2.14 times" in rows["Urea 8 mg/dL"].note
    assert {one.unit for one in rows["E2 40"].choices} >= {"pg/mL", "pmol/L"}
    assert rows["Alb 24"].note == rows["Alb 30 g/L"].note == "Several values: choose one."


def test_a_unit_that_is_not_stated_is_the_ordinary_one_or_asked_for(mortality: ServedModel) -> None:
    [row] = read("Albumin 29", mortality)
    assert row.settled
    assert (row.choices[0].unit, row.choices[0].read_as) == ("g/L", "29 g/L (no unit stated)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Lactate 1,471 mmol/L", "point as decimal mark"),
        ("Lactate 412 mmol/L", "must be 0.05 to 60 mmol/L"),
        ("Albumin 24 furlong", "not read in this unit"),
    ],
)
def test_what_cannot_be_read_names_the_rule(
    mortality: ServedModel, text: str, message: str
) -> None:
    [row] = read(text, mortality)
    assert message in row.choices[0].problem


def test_fahrenheit_is_converted_and_shown(mortality: ServedModel) -> None:
    [row] = read("Temp 98.6 F", mortality)
    assert row.choices[0].value == "37"
    assert row.choices[0].read_as == "98.6 °F = 37 °C"


def test_words_are_read_as_flags_and_categories(mortality: ServedModel) -> None:
    text = (
        "no diabetes\nSepsis: yes\nCRRT\nsex female\nnoradrenaline\nvancomycin 12 mg/L\nChemistry"
    )
    assert (
        settled(text, mortality)
        == [
            ("diabetes", "false", "", ""),
            ("sepsis", "true", "", ""),
            ("rrt", "true", "", ""),
            ("sex", "female", "", ""),
        ]
        or settled(text, mortality)[-1][0] == "catecholamines"
    )
    unknown = [row.text for row in read(text, mortality) if not row.choices]
    assert unknown == ["vancomycin 12 mg/L"]
