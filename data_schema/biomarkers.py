"""The catalogue: every variable Osteon knows, by name and by code.

To add a variable, add one entry to the file of its pathway in `data_schema/catalogue/`. Validation,
simulation, training, HTTP, page and tests derive from it; an incomplete entry is refused at import.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from data_schema.catalogue import (
    bone_mass,
    care,
    drivers,
    estrogen_endocrine,
    fgf23_mineral,
    formation,
    opg_rankl,
    organ_function,
    osteopontin_immune,
    person,
    resorption,
    routine_tests,
    score_components,
    severity,
    wnt,
)
from data_schema.catalogue.completeness import require_complete
from data_schema.catalogue.loinc_siblings import LOINC_SIBLINGS, siblings_of
from data_schema.errors import UsageError
from data_schema.variables import LOCAL_SYSTEM, LOINC, Code, Origin, Reference, Variable

__all__ = [
    "VARIABLES",
    "by_code",
    "did_you_mean",
    "is_bone_marker",
    "is_laboratory_test",
    "is_routine",
    "loinc_codes",
    "reference_interval",
    "variable",
]

_PATHWAY_FILES = (
    resorption,
    formation,
    opg_rankl,
    wnt,
    estrogen_endocrine,
    fgf23_mineral,
    osteopontin_immune,
    bone_mass,
    severity,
    organ_function,
    drivers,
    care,
    person,
    routine_tests,
    score_components,
)


def _entries() -> Iterator[Variable]:
    """Yield every entry; its name is the local code of an entry that has no verified LOINC code."""
    entries = [entry for pathway_file in _PATHWAY_FILES for entry in pathway_file.ENTRIES]
    require_complete(entries)
    for entry in entries:
        local = Code(entry.name, entry.label, system=LOCAL_SYSTEM)
        yield entry if entry.codes else replace(entry, codes=(local,))


def _by_code() -> Mapping[tuple[str, str], tuple[tuple[Variable, Code], ...]]:
    pairs: dict[tuple[str, str], list[tuple[Variable, Code]]] = defaultdict(list)
    for entry in VARIABLES.values():
        for code in entry.codes:
            pairs[code.system, code.code].append((entry, code))
    return {key: tuple(entries) for key, entries in pairs.items()}


VARIABLES: Mapping[str, Variable] = MappingProxyType({entry.name: entry for entry in _entries()})
"""Every variable by name, in the order of the pathways."""

_BY_CODE = _by_code()


def variable(name: str) -> Variable:
    """Return the catalogue's entry of the given name; `UsageError` names the closest ones.

    >>> variable("ctx_s").unit
    'pg/mL'
    """
    if name in VARIABLES:
        return VARIABLES[name]
    advice = did_you_mean(name) or " List them with GET /v1/variables."
    raise UsageError(f"variable must be in the catalogue; {name!r} is not.{advice}")


def did_you_mean(name: str, variables: Iterable[str] = VARIABLES) -> str:
    """Return a question, after a space, that names the most similar variables; empty if none."""
    close = difflib.get_close_matches(name, variables, n=3, cutoff=0.6)
    return f" Did you mean {', '.join(close)}?" if close else ""


def by_code(code: str, system: str = LOINC) -> tuple[tuple[Variable, Code], ...]:
    """Return the variables that a code means, each with its record of the code; empty if none.

    A sibling of a LOINC code (`loinc_siblings`) has the record of that code.

    >>> [(entry.name, code.units) for entry, code in by_code("14715-7")]
    [('estradiol', ('pmol/L', 'nmol/L'))]
    """
    known = LOINC_SIBLINGS.get(code, code) if system == LOINC else code
    return _BY_CODE.get((system, known), ())


def loinc_codes(names: Iterable[str]) -> tuple[str, ...]:
    """Return every LOINC code under which a record may hold the variables, siblings included.

    Names that the catalogue lacks have none.

    >>> loinc_codes(["creatinine"])
    ('2160-0', '38483-4', '14682-9', '59826-8')
    """
    known = (code for name in names if name in VARIABLES for code in VARIABLES[name].codes)
    own = (code.code for code in known if code.system == LOINC)
    return tuple(dict.fromkeys(one for code in own for one in (code, *siblings_of(code))))


def is_bone_marker(name: str) -> bool:
    """Return whether a variable is measured of bone, or is a hormone of bone.

    The name bears no feature suffix, and may be unknown to the catalogue.

    >>> [is_bone_marker(name) for name in ("ctx_s", "fgf23_c", "t_fn", "calcium", "prior_fracture")]
    [True, True, True, False, False]
    """
    origin = _origin(name)
    return origin is not None and origin.of_bone


def is_laboratory_test(name: str) -> bool:
    """Return whether a laboratory measures a variable in a sample, so that it can be ordered.

    A score, a ratio of two tests, a blood pressure, a scan and a treatment are not.

    >>> [is_laboratory_test(name) for name in ("ctx_s", "lactate", "apache2", "pf_ratio", "l1_hu")]
    [True, True, False, False, False]
    """
    origin = _origin(name)
    return origin is not None and origin.kind == "sample"


def is_routine(name: str) -> bool:
    """Return whether a variable is known of any critically ill patient without a special test.

    Flags and categories are read off the record. A name that the catalogue lacks is not routine.

    >>> [is_routine(name) for name in ("phosphate", "crp", "albumin", "sofa", "age", "diabetes")]
    [True, True, True, True, True, True]
    >>> [is_routine(name) for name in ("fgf23_c", "ctx_s", "il6", "cortisol", "pth", "l1_hu")]
    [False, False, False, False, False, False]
    """
    if name not in VARIABLES:
        return False
    origin = VARIABLES[name].origin
    return origin is None or origin.routine


def _origin(name: str) -> Origin | None:
    return VARIABLES[name].origin if name in VARIABLES else None


def reference_interval(
    entry: Variable,
    *,
    sex: Literal["female", "male"] | None = None,
    menopause: str | None = None,
    age: float | None = None,
) -> Reference | None:
    """Return the reference interval for a person, in the canonical unit, or None if none applies.

    An interval applies when everything that it requires is known and met; of those that apply, the
    most specific is returned. A person whose sex is unknown never gets an interval of one sex.

    >>> reference_interval(variable("ctx_s"), sex="female", menopause="post").high
    1018.0
    >>> reference_interval(variable("ctx_s")) is None
    True
    """
    applicable = [ref for ref in entry.references if _applies(ref, sex, menopause, age)]
    return max(applicable, key=_specificity, default=None)


def _applies(ref: Reference, sex: str | None, menopause: str | None, age: float | None) -> bool:
    if ref.sex is not None and ref.sex != sex:
        return False
    if ref.menopause is not None and ref.menopause != menopause:
        return False
    if ref.age_from is None and ref.age_to is None:
        return True
    if age is None:
        return False
    # Ages are in completed years: 89.5 is still 89.
    return (ref.age_from is None or age >= ref.age_from) and (
        ref.age_to is None or age < ref.age_to + 1
    )


def _specificity(ref: Reference) -> int:
    """Count what an interval requires to be known of the person."""
    return sum(item is not None for item in (ref.sex, ref.menopause, ref.age_from, ref.age_to))
