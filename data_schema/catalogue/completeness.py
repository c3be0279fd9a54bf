"""What an entry of the catalogue must state, checked when the catalogue is put together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator

from data_schema.outcomes import OUTCOMES
from data_schema.variables import PATHWAYS, Variable, base_name

__all__ = ["require_complete"]

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_ENDPOINTS = frozenset(outcome.endpoint for outcome in OUTCOMES.values())


def require_complete(entries: Collection[Variable]) -> None:
    """Raise a ValueError that lists every field that is missing, contradictory or used twice.

    >>> require_complete([Variable("calprotectin", "Calprotectin", "osteopontin_immune", "flag")])
    >>> require_complete([Variable("calprotectin", "Calprotectin", "immune", "flag")])
    Traceback (most recent call last):
        ...
    ValueError: entries of the catalogue must be complete:
    calprotectin: pathway must be a key of PATHWAYS; got 'immune'
    """
    names = Counter(entry.name for entry in entries)
    codes = Counter((code.system, code.code) for entry in entries for code in entry.codes)
    problems = [f"{name}: name must belong to one entry" for name, n in names.items() if n > 1]
    problems += [
        f"{code}: code must belong to one entry" for (_, code), n in codes.items() if n > 1
    ]
    problems += [f"{entry.name}: {problem}" for entry in entries for problem in _problems(entry)]
    if problems:
        raise ValueError("\n".join(["entries of the catalogue must be complete:", *problems]))


def _problems(entry: Variable) -> Iterator[str]:
    if not _NAME.fullmatch(entry.name) or base_name(entry.name) != entry.name:
        yield "name must be lower-case words joined by single underscores"
    if not entry.label:
        yield "label must be stated"
    if entry.pathway not in PATHWAYS:
        yield f"pathway must be a key of PATHWAYS; got {entry.pathway!r}"
    if not entry.window.words:
        yield "window must have words"
    if bool(entry.categories) != (entry.kind == "category"):
        yield "categories must be stated for a category, and for nothing else"
    for endpoint in entry.direction.keys() - _ENDPOINTS:
        yield f"direction must name endpoints of OUTCOMES; got {endpoint!r}"
    if entry.near_synonyms and not entry.ambiguity:
        yield "ambiguity must be stated beside near_synonyms"
    if any(not set(code.units) <= set(entry.units) for code in entry.codes):
        yield "codes must allow units that the entry accepts"
    coded = (entry.icd_10, entry.snomed, entry.atc, entry.rxnorm, entry.procedures)
    if any(coded) and entry.kind != "flag":
        yield "icd_10, snomed, atc, rxnorm and procedures must be stated for a flag only"
    if (entry.atc or entry.rxnorm or entry.procedures) and not entry.treatment:
        yield "treatment must be true where atc, rxnorm or procedures are stated"
    yield from _number_problems(entry) if entry.kind == "number" else _word_problems(entry)


def _number_problems(entry: Variable) -> Iterator[str]:
    if entry.origin is None:
        yield (
            "origin must be stated for a number: how it is obtained, whether it is of bone, and "
            "which warnings apply to it (see data_schema/catalogue/origins.py)"
        )
    if entry.units.get(entry.unit) != 1.0 or min(entry.units.values()) <= 0:
        yield "units must hold the canonical unit with factor 1, and positive factors"
    if set(entry.units) & set(entry.offset_units):
        yield "offset_units must hold no unit of units"
    if any(scale <= 0 for scale, _ in entry.offset_units.values()):
        yield "offset_units must hold positive factors"
    if not set(entry.aliases.values()) <= set(entry.units):
        yield "aliases must lead to units that the entry accepts"
    if entry.low is None or entry.high is None or not entry.low < entry.high:
        yield "low and high must be stated for a number, low below high"
    elif entry.typical_median is not None:
        lowest, highest = entry.typical_median
        if not entry.low <= lowest < highest <= entry.high:
            yield "typical_median must lie between low and high, the lowest first"


def _word_problems(entry: Variable) -> Iterator[str]:
    of_numbers: dict[str, object] = {
        "origin": entry.origin,
        "unit": entry.unit,
        "units": entry.units,
        "offset_units": entry.offset_units,
        "low": entry.low,
        "high": entry.high,
        "typical_median": entry.typical_median,
        "references": entry.references,
        "detection_limit": entry.detection_limit,
        "assay_words": entry.assay_words,
    }
    for name, stated in of_numbers.items():
        if stated not in (None, "", (), {}):
            yield f"{name} must be stated for a number only"
