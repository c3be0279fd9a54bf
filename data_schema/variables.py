"""What one variable is: the record that every entry of the catalogue fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from data_schema.windows import LAST_VALUE, Window

__all__ = [
    "BELOW",
    "FEATURE_SUFFIXES",
    "LOCAL_SYSTEM",
    "LOINC",
    "NOT_DONE",
    "PATHWAYS",
    "AssayWords",
    "Caveat",
    "Code",
    "Kind",
    "Origin",
    "Reference",
    "Variable",
    "base_name",
    "is_not_done",
    "is_state",
    "not_done_column",
]

Kind = Literal["number", "category", "flag"]

Caveat = Literal["renal_retention", "exogenous_hormones", "biotin", "ctx_not_fasting_morning"]
"""Code of a warning that concerns a variable (`models/fitting/special_cases.py`)."""

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
"""Suffix of the flag that a value lies below its detection limit."""

NOT_DONE = "not_done"
"""Suffix of the flag that a variable is recorded as not done.

A variable without a value has one of two states. *Recorded as not done*: the record states that it
was not measured, not asked for or not applicable. *Not entered*: nothing is known, and there may be
a value; a blank or null means this.
"""

FEATURE_SUFFIXES = (BELOW, NOT_DONE, "first", "max", "min", "mean", "slope", "count", "hours_since")
"""What may follow `__` in a column: other features of the same variable."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a variable and the units that the code allows.

    `units` are UCUM strings; empty means every accepted unit of the variable. With `assay_required`
    the code does not say what was measured (fragment, fraction), so an assay must be stated.
    `body_site` is a word that the stated body site must contain where the code names only a wider
    one; it is checked in FHIR, the only format that sends body sites.
    """

    code: str
    display: str
    units: tuple[str, ...] = ()
    system: str = LOINC
    assay_required: bool = False
    body_site: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference interval in the canonical unit, the people it applies to, and its source."""

    low: float | None
    high: float | None
    source: str
    sex: Literal["female", "male"] | None = None
    menopause: Literal["pre", "post"] | None = None
    age_from: float | None = None
    age_to: float | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """How a number is obtained, and what that means for its reader.

    Parameters
    ----------
    kind : {"sample", "scan", "bedside", "derived", "score", "record"}
        Measured by a laboratory in a sample, and so a test that can be ordered; by a scanner; by a
        monitor, a ventilator or a nurse; computed from other values; given as points or a stage; or
        read off the patient's record.
    of_bone : bool
        Whether it is measured of bone, or is a hormone of bone. Routine laboratory values such as
        calcium, and what is not of bone alone, are not.
    routine : bool
        Whether most hospitals obtain it for the care of any critically ill patient: vital signs,
        blood gases, blood counts, chemistry (phosphate, calcium, albumin, C-reactive protein among
        it), scores, and what the record says. What is not routine is a marker whose added value
        can be asked for; what is routine belongs to the base that it is compared with.
    caveats : tuple of Caveat
        Warnings that apply to it.
    """

    kind: Literal["sample", "scan", "bedside", "derived", "score", "record"]
    of_bone: bool
    routine: bool
    caveats: tuple[Caveat, ...]


@dataclass(frozen=True, slots=True)
class AssayWords:
    """What the name of a variable's assay may say, and what only another variable's assay says.

    Both are regular expressions for a name in lower case.
    """

    own: str
    other: str

    def names_another(self, assay: str) -> bool:
        """Return whether the name of an assay, in lower case, is that of another variable.

        >>> AssayWords(own="intact", other="c.?term").names_another("c-terminal elisa")
        True
        """
        return bool(re.search(self.other, assay)) and not re.search(self.own, assay)


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
    origin : Origin or None
        How a number is obtained; the catalogue states it for every number.
    unit : str
        Canonical UCUM unit; empty for flags and categories.
    units : mapping of str to float
        Accepted UCUM unit -> factor; canonical value = value * factor. Nothing else is accepted.
    offset_units : mapping of str to (float, float)
        Accepted UCUM unit that is no multiple of the canonical one -> factor and offset; canonical
        value = value * factor + offset.
    aliases : mapping of str to str
        Spelling that labs print -> UCUM unit in `units`, on top of the general ones in `units.py`.
    codes : tuple of Code
        LOINC codes, or one code of the local system where LOINC has none.
    low, high : float or None
        Plausible range in the canonical unit, inclusive; outside is refused.
    typical_median : tuple of (float, float) or None
        Lowest and highest median of a cohort, in the canonical unit, where the accepted units are
        far apart. The plausible range admits the sickest patient, so it cannot tell phosphate in
        mmol/L from phosphate in mg/dL; the median of a whole cohort can. It lies in this interval
        for healthy volunteers and for the sickest intensive care unit alike.
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
    assay_words : AssayWords or None
        Words that distinguish its assay from that of another variable, or None.
    synonyms : tuple of str
        What laboratories and spreadsheets call it, besides name and label. A word that several
        entries list leaves a header open until its unit or specimen settles which is meant.
    near_synonyms : tuple of str
        Words that may mean it, or a quantity that the catalogue does not hold.
    ambiguity : str
        What must be known to distinguish it from the other entries with the same text, or from
        what its near synonyms may mean.
    icd_10, snomed, atc : tuple of str
        How the ICD-10 codes of a flag's diagnoses begin, their SNOMED CT codes, and how the ATC
        codes of its drugs begin: a diagnosis or a drug that has one sets the flag.
    rxnorm : mapping of str to str
        RxNorm codes of the ingredients of its drugs -> name (`data_schema/drugs.py`).
    procedures : tuple of str
        SNOMED CT codes of procedures and therapies that set the flag.
    passes : bool
        Whether the condition passes, so that a past one does not set the flag.
    treatment : bool
        A treatment: it marks the patient, and is locked in "check an entry".
    summarises_severity : bool
        Whether it is a score of how ill the whole patient is, such as SOFA; the Glasgow coma score
        is of one organ.
    always_known : bool
        Whether every patient has it by what it is, as the record of which tests were done. It has
        no gaps, so training never blanks it.
    window : Window
        When it is measured relative to time zero.
    caution : str
        A sentence that must accompany every description of its contribution to a risk.
    absence : str
        How a clinician states that a flag is 0, where "no" before its label does not say it.
    hint : str
        What a clinician must know to enter the value, in a sentence or two; empty where the label
        says it all. The page shows it.
    note : str
        What a user must know; where the review and later evidence disagree, the evidence.
    """

    name: str
    label: str
    pathway: str
    kind: Kind = "number"
    origin: Origin | None = None
    unit: str = ""
    units: Mapping[str, float] = field(default_factory=dict)
    offset_units: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[Code, ...] = ()
    low: float | None = None
    high: float | None = None
    typical_median: tuple[float, float] | None = None
    references: tuple[Reference, ...] = ()
    detection_limit: float | None = None
    direction: Mapping[str, int] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    specimen: str = ""
    assay_words: AssayWords | None = None
    synonyms: tuple[str, ...] = ()
    near_synonyms: tuple[str, ...] = ()
    ambiguity: str = ""
    icd_10: tuple[str, ...] = ()
    snomed: tuple[str, ...] = ()
    atc: tuple[str, ...] = ()
    rxnorm: Mapping[str, str] = field(default_factory=dict)
    procedures: tuple[str, ...] = ()
    passes: bool = False
    treatment: bool = False
    summarises_severity: bool = False
    always_known: bool = False
    window: Window = LAST_VALUE
    caution: str = ""
    absence: str = ""
    hint: str = ""
    note: str = ""


def base_name(column: str) -> str:
    """Return the variable a feature column belongs to.

    >>> base_name("ctx_s__max"), base_name("estradiol__below"), base_name("age")
    ('ctx_s', 'estradiol', 'age')
    """
    stem, _, suffix = column.rpartition("__")
    return stem if stem and suffix in FEATURE_SUFFIXES else column


def not_done_column(name: str) -> str:
    """Return the column that flags a variable as recorded as not done.

    >>> not_done_column("ctx_s")
    'ctx_s__not_done'
    """
    return f"{name}__{NOT_DONE}"


def is_not_done(column: str) -> bool:
    """Return whether a column flags that a variable is recorded as not done.

    >>> is_not_done("ctx_s__not_done"), is_not_done("ctx_s__below"), is_not_done("ctx_s")
    (True, False, False)
    """
    return column != base_name(column) and column.endswith(f"__{NOT_DONE}")


def is_state(column: str) -> bool:
    """Return whether a column is a flag about a value, and not itself a value.

    >>> is_state("ctx_s__not_done"), is_state("ctx_s__below"), is_state("ctx_s__max")
    (True, True, False)
    """
    return column != base_name(column) and column.endswith((f"__{NOT_DONE}", f"__{BELOW}"))
