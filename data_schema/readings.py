"""What a stated value means: one set of rules for a cell of a table and a single value.

A table applies them to each distinct combination of unit, assay and specimen, and to each distinct
word, of a column; HTTP, FHIR and CDS Hooks apply them to one value. Numbers are read by
`values.parse_numbers` and judged by the range in `units`. What happens to a value that breaks a
rule (a fatal finding, a refusal, a warning) is for each caller to decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.units import canonical_unit_spelling, conversion, in_range
from data_schema.values import MISSING_WORDS, level_key
from data_schema.variables import Variable

__all__ = [
    "FLAG_WORDS",
    "LARGEST",
    "NOT_DONE_WORDS",
    "NOT_STATED",
    "Basis",
    "Word",
    "accepted_specimen",
    "basis",
    "category_of",
    "flag_of",
    "has_range",
    "is_arterial",
    "is_too_large",
    "names_another_vessel",
]

FLAG_WORDS: Mapping[str, float] = {
    **dict.fromkeys(("1", "true", "yes", "y", "t"), 1.0),
    **dict.fromkeys(("0", "false", "no", "n", "f"), 0.0),
}
NOT_STATED = frozenset({*MISSING_WORDS, "unknown", "other"})
"""Words for "not entered" among flags and categories, unless a category has that name."""

NOT_DONE_WORDS = frozenset(
    {"not done", "not performed", "not measured", "not asked", "not sent", "not ordered"}
    | {"not applicable", "nicht durchgeführt", "nicht gemessen", "nicht erhoben"}
)
"""Words that may record a variable as not done; a mapping file must state those of a column.

"ND" is not among them: it is as often "not detected".
"""

LARGEST = float(np.finfo(np.float32).max)
"""Trees compare 32-bit numbers: beyond this a number would become infinite."""

_MATRICES = frozenset({"serum", "plasma", "urine", "blood"})
_NOT_BLOOD = frozenset(
    {"urine", "csf", "cerebrospinal", "saliva", "sputum", "sweat", "stool", "feces", "dialysate"}
    | {"pleural", "pericardial", "peritoneal", "ascites", "ascitic", "synovial"}
)
_OTHER_VESSEL = frozenset(
    {"venous", "ven", "vein", "vbg", "cvbg", "mix", "mixed", "capillary", "capillaries", "cap"}
)


@dataclass(frozen=True, slots=True)
class Basis:
    """How a number was measured, in the catalogue's words.

    `unit` is a UCUM unit, empty where the number has none or the unit is refused. Canonical value =
    value * `factor` + `offset`; the factor is NaN if the unit is refused. `broken` names the most
    fundamental rule first.
    """

    unit: str
    factor: float
    broken: tuple[Literal["assay", "specimen", "unit"], ...]
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Word:
    """A flag or category: its value, None if not stated, and the broken rule."""

    value: float | str | None
    broken: Literal["flag", "category"] | None = None


def basis(
    variable: Variable, feature: str, *, unit: str, assays: Iterable[str] = (), specimen: str = ""
) -> Basis:
    """Return how a number was measured, and the rules that this breaks.

    Unit and specimen are as stated, or empty. A number of samples and the hours since one have
    no unit. Each of `assays` must be the variable's own.

    >>> from data_schema.biomarkers import VARIABLES
    >>> basis(VARIABLES["ctx_s"], "ctx_s", unit="ng/mL").factor
    1000.0
    >>> fgf23 = VARIABLES["fgf23_c"]
    >>> basis(fgf23, "fgf23_c", unit="RU/mL", assays=["intact FGF23"], specimen="serum").broken
    ('assay', 'specimen')
    """
    is_count = feature.endswith(("__count", "__hours_since"))
    spelled = "" if is_count else canonical_unit_spelling(variable, unit)
    broken: list[Literal["assay", "specimen", "unit"]] = []
    words = variable.assay_words
    if words is not None and any(words.names_another(assay.casefold()) for assay in assays):
        broken.append("assay")
    if specimen.strip() and not _is_own_specimen(variable, specimen):
        broken.append("specimen")
    if spelled is None:
        return Basis("", float("nan"), (*broken, "unit"))
    if is_count:
        return Basis(spelled, 1.0, tuple(broken))
    scale, offset = conversion(variable, spelled)
    # A change per day does not move with the zero of a scale.
    return Basis(spelled, scale, tuple(broken), 0.0 if feature.endswith("__slope") else offset)


def _is_own_specimen(variable: Variable, specimen: str) -> bool:
    """Return whether the specimen is the variable's; "serum or plasma" is neither of them.

    A sample whose matrix is no part of the variable is of blood, as serum, plasma or whole.
    """
    words = _words(specimen)
    if is_arterial(variable) and words & _OTHER_VESSEL:
        return False
    stated = words & _MATRICES
    if not variable.specimen:
        is_sample = variable.origin is not None and variable.origin.kind == "sample"
        return not is_sample or not words & _NOT_BLOOD or bool(stated - {"urine"})
    if "whole" not in words and stated & {"serum", "plasma"}:
        stated -= {"blood"}  # both are made from blood
    return stated == {variable.specimen}


def is_arterial(variable: Variable) -> bool:
    """Return whether a variable is measured in arterial blood, by what LOINC calls it.

    >>> from data_schema.biomarkers import VARIABLES
    >>> [is_arterial(VARIABLES[name]) for name in ("pao2", "paco2", "ph", "lactate", "spo2")]
    [True, True, True, False, False]
    """
    is_sample = variable.origin is not None and variable.origin.kind == "sample"
    named = [code.display.casefold().endswith("arterial blood") for code in variable.codes]
    return is_sample and bool(named) and all(named)


def names_another_vessel(specimen: str) -> bool:
    """Return whether a specimen is venous, mixed venous or capillary blood.

    >>> names_another_vessel("VEN."), names_another_vessel("Arterial blood specimen")
    (True, False)
    """
    return bool(_words(specimen) & _OTHER_VESSEL)


def accepted_specimen(variable: Variable) -> str:
    """Return the specimen that a variable is measured in, for messages."""
    return variable.specimen or ("arterial blood" if is_arterial(variable) else "blood")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.casefold()))


def has_range(feature: str) -> bool:
    """Return whether a column has its variable's range: a slope or number of samples has none.

    >>> has_range("lactate__max"), has_range("lactate__slope")
    (True, False)
    """
    return not feature.endswith(("__slope", "__count", "__hours_since"))


def is_too_large(
    variable: Variable, feature: str, values: ArrayLike, *, below: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Return which numbers, in the canonical unit, exceed what a model can hold (`LARGEST`).

    A number outside the variable's plausible range is not among them: it breaks that rule.

    >>> from data_schema.biomarkers import VARIABLES
    >>> is_too_large(VARIABLES["lactate"], "lactate__slope", [1e300, 2.0]).tolist()
    [True, False]
    """
    numbers = np.asarray(values, dtype=np.float64)
    large = np.abs(numbers) > LARGEST
    return large & in_range(variable, numbers, below=below) if has_range(feature) else large


def flag_of(text: str | None) -> Word:
    """Return the flag that a text states.

    >>> flag_of("Yes").value, flag_of("unknown").value, flag_of("2").broken
    (1.0, None, 'flag')
    """
    word = "" if text is None else level_key(text)
    if word in FLAG_WORDS:
        return Word(FLAG_WORDS[word])
    return Word(None) if word in NOT_STATED else Word(None, "flag")


def category_of(variable: Variable, text: str | None) -> Word:
    """Return the category of a variable that a text states, as the catalogue spells it.

    A variable without a list of categories takes any text, "other" included.

    >>> from data_schema.biomarkers import VARIABLES
    >>> category_of(VARIABLES["sex"], "Female").value, category_of(VARIABLES["sex"], "x").broken
    ('female', 'category')
    """
    word = "" if text is None else level_key(text)
    for category in variable.categories:
        if level_key(category) == word:
            return Word(category)
    if word in NOT_STATED and (variable.categories or word != "other"):
        return Word(None)
    return Word(None, "category") if variable.categories else Word(text)
