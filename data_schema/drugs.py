"""Which flags of the catalogue a drug sets, by its ATC codes and the RxNorm codes of what it holds.

An ATC code says what a drug is given for, and so by which route. An ingredient's code says neither:
hydrocortisone may be an ointment, and epinephrine part of a local anaesthetic. So an ingredient
counts only of a drug that is not given locally and holds nothing else, except for flags of which
any product with the ingredient is one (`IN_COMBINATION`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from data_schema.biomarkers import VARIABLES
from data_schema.variables import Variable

__all__ = [
    "DRUGS",
    "GIVEN_LOCALLY",
    "HOLDS_MORE",
    "IN_COMBINATION",
    "drug_flags",
    "is_given_locally",
]

DRUGS: Mapping[str, Variable] = {
    name: variable for name, variable in VARIABLES.items() if variable.atc or variable.rxnorm
}
"""Flags that a drug may set."""

IN_COMBINATION = frozenset({"antibiotic", "bisphosphonate", "opioid"})
"""Flags that a product with further ingredients sets too, as oxycodone with acetaminophen."""

GIVEN_LOCALLY = "given locally: to eye, ear, nose, mouth, lung, skin or rectum"
"""Why the ingredient of a drug does not count, in words that follow a number of records."""

HOLDS_MORE = "of a drug that holds more than the ingredient"
"""Why the ingredient of a drug does not count, in the same way."""

_LOCAL = re.compile(
    r"\b(ophth\w*|otic|eye|ear|nasal|intranasal|nose|topical\w*|inhal\w*|nebul\w*|aerosol|cream|"
    r"ointment|oint|lotion|shampoo|cutaneous|dermal|vaginal|mouthwash|dental|intravitreal|"
    r"intra-?articular|rectal|enema)\b",
    re.IGNORECASE,
)
# By mouth a decongestant, and no vasopressor.
_ORAL_PHENYLEPHRINE = re.compile(r"phenylephrine.*\boral\b|\boral\b.*phenylephrine", re.IGNORECASE)


def drug_flags(
    *, atc: Iterable[str] = (), ingredients: Iterable[str] = (), words: str = ""
) -> tuple[str, ...]:
    """Return the flags that a drug sets, in the order of the catalogue.

    Parameters
    ----------
    atc : iterable of str
        Its ATC codes.
    ingredients : iterable of str
        The RxNorm codes of all its ingredients.
    words : str
        What names its form and route.

    Examples
    --------
    >>> drug_flags(atc=["C03CA01"]), drug_flags(ingredients=["5492"])
    (('loop_diuretic',), ('corticosteroid',))
    >>> drug_flags(ingredients=["5492"], words="hydrocortisone 1 % topical cream")
    ()
    >>> drug_flags(ingredients=["6387", "3992"])  # lidocaine with epinephrine
    ()
    """
    codes = tuple(atc)
    held = frozenset() if is_given_locally(words) else frozenset(ingredients)
    return tuple(
        name
        for name, entry in DRUGS.items()
        if any(code.startswith(entry.atc) for code in codes if entry.atc)
        or (held & entry.rxnorm.keys() and (len(held) == 1 or name in IN_COMBINATION))
    )


def is_given_locally(words: str) -> bool:
    """Return whether words of a drug's form and route say that it is not given to act throughout.

    >>> is_given_locally("PrednisoLONE Acetate 1% Ophth. Susp."), is_given_locally("Transdermal")
    (True, False)
    """
    return bool(_LOCAL.search(words) or _ORAL_PHENYLEPHRINE.search(words))
