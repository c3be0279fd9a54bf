"""Factors are recomputed from atomic masses, and by another library that reads UCUM."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from data_schema.biomarkers import VARIABLES, variable

# Standard atomic weights, IUPAC 2021 (abridged).
ATOMIC_MASS = {
    "C": 12.011,
    "H": 1.008,
    "N": 14.007,
    "O": 15.999,
    "P": 30.974,
    "S": 32.06,
    "Ca": 40.078,
    "Mg": 24.305,
}
FORMULA = {
    "estradiol": "C18H24O2",
    "testosterone": "C19H28O2",
    "cortisol": "C21H30O5",
    "vitd25": "C27H44O2",  # D3 by convention
    "vitd125": "C27H44O3",
    "pth": "C408H674N126O126S2",  # 1-84, human
    "calcium": "Ca",
    "corrected_calcium": "Ca",
    "calcium_ion": "Ca",
    "magnesium": "Mg",
    "phosphate": "P",  # mg/dL is mg of phosphorus
    "creatinine": "C4H7N3O",
    "bilirubin": "C33H36N4O6",
    "bilirubin_direct": "C33H36N4O6",
    "bilirubin_indirect": "C33H36N4O6",
    "uric_acid": "C5H4N4O3",
    "triglyceride": "C57H104O6",  # triolein by convention
    "lactate": "C3H6O3",  # the acid
    "glucose": "C6H12O6",
    "cholesterol": "C27H46O",
    "urea_nitrogen": "N2",  # nitrogen in one mole of urea
    "hyp_u": "C5H9NO3",
    "angiotensin2": "C50H71N13O12",
}
# Too large for a formula: the intact 1-49 molecule, one chain of hemoglobin with its heme, and
# amino acids 1-76 of proBNP.
MASS = {
    "osteocalcin": 5845.0,
    "nt_probnp": 8457.0,
    **dict.fromkeys(("hemoglobin", "mch", "mchc"), 16114.0),
}
HYDROXYPROLINE, CREATININE = "C5H9NO3", "C4H7N3O"

# Atomic weights are abridged and the catalogue's factors rounded to six figures.
TOLERANCE = 2e-4


def molar_mass(formula: str) -> float:
    """Return grams per mole."""
    return sum(
        ATOMIC_MASS[element] * int(count or 1)
        for element, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    )


@pytest.fixture(scope="module")
def ucum() -> Any:
    """Return pint's registry of UCUM units."""
    with warnings.catch_warnings():
        # Its grammar's cache and pint's redefinitions warn when it is built, not when it converts.
        warnings.simplefilter("ignore")
        from ucumvert import PintUcumRegistry

        return PintUcumRegistry()


def quantity(ucum: Any, unit: str) -> Any:
    """Read a UCUM unit; a bare annotation is a pure number."""
    if re.fullmatch(r"\{[^}]*\}|\[pH\]", unit):
        return ucum.from_ucum("1")
    return ucum.from_ucum(unit)


def in_moles(ucum: Any, name: str, value: Any) -> Any:
    """Turn a mass (per volume) into moles (per volume) of the variable's substance."""
    if "[mass]" not in value.dimensionality:
        return value
    grams = MASS[name] if name in MASS else molar_mass(FORMULA[name])
    return value / (grams * ucum.from_ucum("g/mol"))


def test_every_unit_is_ucum(ucum: Any) -> None:
    for entry in VARIABLES.values():
        for unit in entry.units:
            quantity(ucum, unit)


def test_every_factor_within_a_dimension_is_ucum_s(ucum: Any) -> None:
    compared = 0
    for entry in VARIABLES.values():
        for unit, scale in entry.units.items():
            one, canonical = quantity(ucum, unit), quantity(ucum, entry.unit)
            # Three traps of reading UCUM by dimension, each tested on its own below.
            traps = unit in ("meq/L", "mg/g{creat}") or (entry.name, unit) == (
                "vitamin_d_dose",
                "ug/d",
            )
            if unit == entry.unit or traps or one.dimensionality != canonical.dimensionality:
                continue
            assert scale == pytest.approx((one / canonical).to("").magnitude, rel=1e-6), entry.name
            compared += 1
    assert compared > 120


def test_every_factor_between_mass_and_moles_follows_from_the_molar_mass(ucum: Any) -> None:
    compared = set()
    for entry in VARIABLES.values():
        for unit, scale in entry.units.items():
            one, canonical = quantity(ucum, unit), quantity(ucum, entry.unit)
            if one.dimensionality == canonical.dimensionality or entry.name == "vitamin_d_dose":
                continue
            if unit == "meq/L":
                continue
            ratio = in_moles(ucum, entry.name, one) / in_moles(ucum, entry.name, canonical)
            assert scale == pytest.approx(ratio.to("").magnitude, rel=TOLERANCE), entry.name
            compared.add(entry.name)
    assert compared == set(FORMULA) | set(MASS)


def test_hydroxyproline_over_creatinine_follows_from_both_masses() -> None:
    ratio = molar_mass(CREATININE) / molar_mass(HYDROXYPROLINE)
    assert variable("hyp_u_cr").units["mg/g{creat}"] == pytest.approx(ratio, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "valence"),
    [
        ("calcium", 2),
        ("calcium_ion", 2),
        ("magnesium", 2),
        ("sodium", 1),
        ("potassium", 1),
        ("chloride", 1),
        ("bicarbonate", 1),
    ],
)
def test_an_equivalent_is_a_mole_over_the_valence(name: str, valence: int) -> None:
    units = variable(name).units
    assert units["meq/L"] == pytest.approx(units["mmol/L"] / valence, rel=1e-9)


def test_a_microgram_of_vitamin_d_is_forty_international_units() -> None:
    assert variable("vitamin_d_dose").units["ug/d"] == 40.0


def test_reading_units_by_dimension_would_have_converted_what_we_refuse(ucum: Any) -> None:
    relative = ucum.from_ucum("{RU}/mL")
    assert relative.check(ucum.from_ucum("10*3/uL").dimensionality)
    pure = ucum.from_ucum("mg/g{creat}")
    assert pure.check(ucum.from_ucum("mmol/mol{creat}").dimensionality)
    assert not ucum.from_ucum("mg/24.h").check(ucum.from_ucum("mg/(24.h)").dimensionality)
