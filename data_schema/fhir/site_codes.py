"""A site's own codes of Observations, from a FHIR ConceptMap or a code map in TOML.

A ConceptMap (R4 or R5) maps codes of a site's systems to LOINC, or to names of the catalogue in
Osteon's own system; only targets that mean the same count. A code map names the variable:

    [codes."urn:site:laboratory|K17"]     # or the code alone, of any system
    variable = "creatinine"
    unit = "mg/dL"                        # where an Observation states none
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data_schema.biomarkers import VARIABLES, by_code, did_you_mean
from data_schema.errors import UsageError
from data_schema.fhir.code_systems import canonical_system
from data_schema.fhir.resources import Resource, listed, text
from data_schema.units import canonical_unit_spelling
from data_schema.variables import LOCAL_SYSTEM

__all__ = ["NO_SITE_CODES", "SiteCode", "SiteCodes", "read_site_codes"]

_EQUAL = frozenset({"equal", "equivalent", "wider", "subsumes", "source-is-narrower-than-target"})
_KEYS = frozenset({"variable", "unit"})


@dataclass(frozen=True, slots=True)
class SiteCode:
    """What a site's code means: a code of the catalogue, and the unit where none is stated."""

    system: str
    code: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class SiteCodes:
    """The meaning of a site's codes by (system, code); the system is empty for any system."""

    meanings: Mapping[tuple[str, str], SiteCode] = field(default_factory=dict)

    def meaning(self, system: str, code: str) -> SiteCode | None:
        """Return what a code means, or None."""
        return self.meanings.get((system, code)) or self.meanings.get(("", code))

    @property
    def codes(self) -> tuple[str, ...]:
        """The site's codes without their systems, as a search states them."""
        return tuple(dict.fromkeys(code for _, code in self.meanings))


NO_SITE_CODES = SiteCodes()


def read_site_codes(path: Path) -> SiteCodes:
    """Return a site's codes from a ConceptMap (`.json`) or a code map (`.toml`).

    Raises
    ------
    UsageError
        If the file is neither, is empty, or names something that the catalogue lacks.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".toml":
            pairs = list(_of_code_map(tomllib.loads(content)))
        else:
            pairs = list(_of_concept_map(json.loads(content)))
    except (OSError, ValueError, RecursionError):  # both parsers' errors are ValueErrors
        raise UsageError(
            "code map must be a readable ConceptMap in JSON (.json) or a code map in TOML (.toml). "
            "Check OSTEON_CODE_MAP and the file."
        ) from None
    if not pairs:
        raise UsageError(
            "code map must map at least one code to LOINC or to the catalogue; it maps none. Check "
            "its targets, and that they are equal to their codes or wider."
        )
    return SiteCodes(dict(pairs))


def _of_concept_map(document: object) -> Iterator[tuple[tuple[str, str], SiteCode]]:
    if not isinstance(document, Mapping) or document.get("resourceType") != "ConceptMap":
        raise ValueError
    unknown = 0
    for group in listed(document, "group"):
        source, target = (
            canonical_system(text(group, name).partition("|")[0]) for name in ("source", "target")
        )
        for element in listed(group, "element"):
            meant = [
                text(one, "code")
                for one in listed(element, "target")
                if (text(one, "equivalence") or text(one, "relationship")) in _EQUAL
            ]
            known = [code for code in meant if by_code(code, target) or _is_name(target, code)]
            unknown += bool(meant) and not known
            if len(known) == 1 and text(element, "code"):
                yield (source, text(element, "code")), SiteCode(target, known[0])
            elif len(known) > 1:
                raise UsageError(
                    "code map must give each code one meaning; a code of its groups has several "
                    "targets that count. Leave the one that is the same."
                )
    if unknown:
        raise UsageError(
            f"code map must name codes of the catalogue; {unknown} of its targets are unknown. "
            "List the catalogue with GET /v1/variables, and leave out what it lacks."
        )


def _is_name(system: str, code: str) -> bool:
    return system == LOCAL_SYSTEM and code in VARIABLES


def _of_code_map(document: Resource) -> Iterator[tuple[tuple[str, str], SiteCode]]:
    codes = document.get("codes")
    for stated, entry in codes.items() if isinstance(codes, Mapping) else ():
        if not isinstance(entry, Mapping) or entry.keys() - _KEYS:
            raise UsageError(
                f"code map must state {' and '.join(sorted(_KEYS))} of a code only; the entry of "
                f"{stated!r} holds something else."
            )
        name, unit = text(entry, "variable"), text(entry, "unit")
        if name not in VARIABLES:
            raise UsageError(
                f"code map must name variables of the catalogue; {name!r} is none."
                f"{did_you_mean(name)}"
            )
        if unit and canonical_unit_spelling(VARIABLES[name], unit) is None:
            raise UsageError(
                f"code map must state an accepted unit; that of {stated!r} is none of {name}."
            )
        system, _, code = stated.rpartition("|")
        yield (canonical_system(system), code), SiteCode(LOCAL_SYSTEM, name, unit)
