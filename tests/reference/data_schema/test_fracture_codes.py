"""The fracture codes agree with HCUP's classification of every ICD-10-CM code around them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from data_schema.catalogue import fracture_codes
from data_schema.catalogue.fracture_codes import (
    INCIDENT_KINDS,
    fracture_kind,
    is_incident_fracture,
    names_a_fracture,
    unlisted_fracture,
)

_CCSR = Path(__file__).with_name("fracture_codes") / "ccsr.csv.gz"
_FIRST_ENCOUNTER = {*(f"INJ00{n}" for n in range(1, 7)), "MUS013", "MUS014", "MUS016"}
_LATER_ENCOUNTER = {*(f"INJ0{n}" for n in range(38, 44)), "MUS015", "MUS017"}
_WITHOUT_FRACTURE = {"M810", "M816", "M818"}


def _by_category() -> pd.DataFrame:
    codes = pd.read_csv(_CCSR)
    codes["kind"] = [fracture_kind("icd10", code) for code in codes["code"]]
    return codes


def test_every_first_encounter_of_the_classification_is_a_new_fracture_and_no_other_is() -> None:
    codes = _by_category()
    assert len(codes) == 18354
    first = codes[codes["category"].isin(_FIRST_ENCOUNTER) & ~codes["code"].isin(_WITHOUT_FRACTURE)]
    assert len(first) == 4052
    assert set(first["kind"]) <= INCIDENT_KINDS
    later = codes[codes["category"].isin(_LATER_ENCOUNTER)]
    assert Counter(later["kind"]) == {"subsequent": 11629}
    rest = codes[~codes["category"].isin(_FIRST_ENCOUNTER | _LATER_ENCOUNTER)]
    new = rest[rest["kind"].isin(INCIDENT_KINDS)]
    # Jaws are dental there (S02.4, S02.6), and atypical femoral fractures "other bone disease".
    assert Counter(new["category"]) == {"DEN001": 68, "MUS018": 10}
    assert set(new["code"].str[:4]) == {"S024", "S026", "M847"}
    assert codes.loc[codes["code"].isin(_WITHOUT_FRACTURE), "kind"].isna().sum() == 3


def test_codes_of_healing_late_effects_and_history_are_no_new_fracture() -> None:
    for code in ("S72.001D", "S72.001K", "S72.001S", "M80.08XD", "Z87.310", "Z87.81", "T93.1"):
        assert not is_incident_fracture("icd10", code), code
        assert fracture_kind("icd10", code) is not None
    for code in ("733.82", "905.3", "V54.13", "V13.51"):
        assert not is_incident_fracture("icd9", code), code
        assert fracture_kind("icd9", code) is not None


def test_open_pathological_and_who_codes_have_their_kinds() -> None:
    kinds = {
        "S72.001B": "open",
        "S72.001C": "open",
        "M80.051A": "pathological",
        "M84.551A": "neoplastic",
        "M84.351A": "stress",
        "M97.01XA": "periprosthetic",
        "M96.A3": "resuscitation",
        "S72.0": "unspecified",
        "S72.01": "open",
        "T14.2": "unspecified",
        "M48.5": "pathological",
    }
    assert {code: fracture_kind("icd10", code) for code in kinds} == kinds
    for code in ("S02.5XXA", "S82", "S71.001A", "M81.0", "S73.001A", "M84.10"):
        expected = "unspecified" if code == "S82" else None
        assert fracture_kind("icd10", code) == expected


def test_icd_9_fractures_are_the_chapter_and_the_pathological_ones() -> None:
    new = {"80000", "8208", "8290", "80600", "73310", "73319", "73393", "73398", "99644"}
    assert all(is_incident_fracture("icd9", code) for code in new)
    assert not any(
        is_incident_fracture("icd9", code) for code in ("8300", "7330", "73300", "83000", "E8000")
    )


def test_a_code_outside_the_lists_that_names_a_fracture_is_reported() -> None:
    assert unlisted_fracture("snomed", "1", "Closed fracture of hip (disorder)")
    assert not unlisted_fracture("snomed", "359817006", "Closed fracture of hip (disorder)")
    for text in (
        "History of fracture of hip",
        "Malunion of fracture",
        "Fracture care",
        "At risk of fracture",
        "Osteoporosis without current pathological fracture",
        "Closed reduction of fracture (procedure)",
    ):
        assert not names_a_fracture(text), text


def test_snomed_codes_bear_a_valid_check_digit() -> None:
    """Verhoeff's scheme, in which SNOMED CT identifiers end, detects a mistyped digit."""
    source = Path(fracture_codes.__file__).read_text(encoding="utf-8")
    codes = set(re.findall(r'"(\d{6,18})"', source))
    listed = [code for code in codes if fracture_kind("snomed", code) is not None]
    assert len(listed) >= 200
    assert all(_verhoeff(code) == 0 for code in listed)


def _verhoeff(number: str) -> int:
    """Return the check sum in the dihedral group of order ten; 0 is valid (Verhoeff 1969)."""
    permutation = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    total = 0
    for position, digit in enumerate(map(int, reversed(number))):
        for _ in range(position % 8):
            digit = permutation[digit]
        total = _dihedral(total, digit)
    return total


def _dihedral(a: int, b: int) -> int:
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5
