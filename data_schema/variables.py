"""What one variable is: the record that every entry of the catalogue fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "BELOW",
    "FEATURE_SUFFIXES",
    "LOCAL_SYSTEM",
    "LOINC",
    "PATHWAYS",
    "Code",
    "Kind",
    "Reference",
    "Variable",
    "base_name",
]

Kind = Literal["number", "category", "flag"]

LOINC = "http://loinc.org"
LOCAL_SYSTEM = "urn:osteon:codes"

PATHWAYS: Mapping[str, str] = {
    "resorption": "Bone resorption",
    "formation": "Bone formation",
    "opg_rankl": "OPG/RANK/RANKL",
    "wnt": "Wnt signalling",
    "estrogen_endocrine": "Estrogen and endocrine",
    "fgf23_mineral": "FGF23 and mineral",
    "osteopontin_immune": "Osteopontin and immune",
    "bone_mass": "Bone mass",
    "severity": "Severity and organs",
    "drivers": "Drivers of bone loss",
    "care": "Care and drugs",
    "person": "Person",
}

BELOW = "below"
"""Suffix of the flag that says a value lies below its detection limit."""

FEATURE_SUFFIXES = (BELOW, "first", "max", "min", "slope", "count")
"""What may follow `__` in a column: other features of the same variable."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a variable and the units that the code allows.

    `units` are UCUM strings; empty means every accepted unit of the variable. With `assay_required`
    the code does not say what was measured (fragment, fraction), so an assay must be stated.
    `body_site` is what the stated body site must say where the code names only a wider one; it is
    asked where body sites are sent, in FHIR.
    """

    code: str
    display: str
    units: tuple[str, ...] = ()
    system: str = LOINC
    assay_required: bool = False
    body_site: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference interval in the canonical unit, for whom, and where it was published."""

    low: float | None
    high: float | None
    source: str
    sex: Literal["female", "male"] | None = None
    menopause: Literal["pre", "post"] | None = None
    age_from: float | None = None
    age_to: float | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the catalogue, or one declared by a site's mapping file.

    Parameters
    ----------
    name : str
        Column name everywhere: cohort files, mapping, HTTP, bundle.
    label : str
        What a clinician reads.
    pathway : str
        A key of `PATHWAYS`.
    kind : {"number", "category", "flag"}
        A flag is 0 or 1; a category is one of `categories` (any text if that is empty).
    unit : str
        Canonical UCUM unit; empty for flags and categories.
    units : mapping of str to float
        Accepted UCUM unit -> factor; canonical value = value * factor. Nothing else is accepted.
    aliases : mapping of str to str
        Spelling that labs print -> UCUM unit in `units`, on top of the general ones in `units.py`.
    codes : tuple of Code
        LOINC codes, or one code of the local system where LOINC has none.
    low, high : float or None
        Plausible range in the canonical unit, inclusive; outside is refused.
    references : tuple of Reference
        Reference intervals.
    detection_limit : float or None
        Usual lower limit in the canonical unit.
    direction : mapping of str to int
        Settled direction of risk: outcome name -> +1 (rises) or -1 (falls); empty if unsettled.
    categories : tuple of str
        Allowed categories.
    specimen : str
        `serum`, `plasma`, `urine`, ... where it is part of the identity.
    renal_retention : bool
        Retained when the kidney fails.
    treatment : bool
        A treatment: marks the patient, is locked in "check an entry".
    window : str
        When it is measured relative to time zero, in words.
    note : str
        What a user must know; where the review and later evidence disagree, the evidence.
    """

    name: str
    label: str
    pathway: str
    kind: Kind = "number"
    unit: str = ""
    units: Mapping[str, float] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[Code, ...] = ()
    low: float | None = None
    high: float | None = None
    references: tuple[Reference, ...] = ()
    detection_limit: float | None = None
    direction: Mapping[str, int] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    specimen: str = ""
    renal_retention: bool = False
    treatment: bool = False
    window: str = "last value at or before time zero"
    note: str = ""


def base_name(column: str) -> str:
    """Return the variable a feature column belongs to.

    >>> base_name("ctx_s__max"), base_name("estradiol__below"), base_name("age")
    ('ctx_s', 'estradiol', 'age')
    """
    stem, _, suffix = column.rpartition("__")
    return stem if stem and suffix in FEATURE_SUFFIXES else column
