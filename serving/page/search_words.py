"""The words under which a ward looks for a variable: names, synonyms and drugs of the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.header_matching import squashed
from data_schema.variables import Variable

__all__ = ["drug_flags", "search_words"]


def search_words(variable: Variable) -> tuple[str, ...]:
    """Return the words of a variable, squashed as headers are, so that 25(OH)D is 25ohd.

    >>> words = search_words(VARIABLES["vitd25"])
    >>> "25ohd" in words, "25hydroxyvitamind" in words
    (True, True)
    """
    phrases = (
        variable.name,
        variable.label,
        *variable.synonyms,
        *variable.near_synonyms,
        *variable.rxnorm.values(),
    )
    return tuple(dict.fromkeys(filter(None, map(squashed, phrases))))


@cache
def drug_flags() -> Mapping[str, tuple[str, ...]]:
    """Return the flags that a drug sets, by its squashed name.

    >>> drug_flags()["pantoprazole"], drug_flags()["norepinephrine"]
    (('ppi',), ('catecholamines',))
    """
    flags: dict[str, list[str]] = defaultdict(list)
    for name, variable in VARIABLES.items():
        for drug in variable.rxnorm.values():
            flags[squashed(drug)].append(name)
    return {drug: tuple(dict.fromkeys(names)) for drug, names in flags.items()}
