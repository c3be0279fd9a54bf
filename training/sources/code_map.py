"""Which code of a source is which variable: a code map in TOML, and what follows from code systems.

    [codes."LAB//50912"]
    variable = "creatinine"
    unit = "mg/dL"                 # where the source states none
    specimen = "serum"
    [codes."INFUSION_START//221906"]
    variable = "catecholamines"
    value = 1                      # a record of the code is the value
    [complete]
    variables = ["catecholamines"] # every use is recorded, so that no record means none

A code may be listed under several variables (an array of tables, `[[codes."X"]]`). A blank variable
is a decision still to be made, and fatal. A code that the map does not list is read by its system:
LOINC by the catalogue's codes; ICD-10, SNOMED CT and ATC by those of the catalogue's flags.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_schema.biomarkers import VARIABLES, by_code, did_you_mean
from data_schema.errors import UsageError
from data_schema.mapping.rules import TREATMENT_LIMITED
from data_schema.readings import basis
from data_schema.variables import Variable

__all__ = [
    "COMPONENTS",
    "FAHRENHEIT",
    "NO_VALUES",
    "CodeMap",
    "Meaning",
    "Scale",
    "meanings",
    "mimic_iv_map",
    "parse_code_map",
    "read_code_map",
    "scale",
]

COMPONENTS: Mapping[str, tuple[str, float, float]] = {
    "gcs_eye": ("{score}", 1, 4),
    "gcs_verbal": ("{score}", 1, 5),
    "gcs_motor": ("{score}", 1, 6),
    "urine_volume": ("mL", 0, 10_000),
    "norepinephrine_dose": ("ug/kg/min", 0, 10),
    "epinephrine_dose": ("ug/kg/min", 0, 10),
    "dopamine_dose": ("ug/kg/min", 0, 100),
    "dobutamine_dose": ("ug/kg/min", 0, 100),
}
"""What severity scores are computed from besides the catalogue: unit and plausible range."""

NO_VALUES = (TREATMENT_LIMITED,)
"""What a code map may name that is neither a predictor nor a component."""

FAHRENHEIT = frozenset({"[degf]", "°f", "degf", "f", "deg. f"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code stands for.

    Parameters
    ----------
    variable : str
        A variable of the catalogue, a key of `COMPONENTS`, or `treatment_limited`.
    unit, specimen : str
        Where the source states none.
    value : float, str or None
        The value that a record of the code has, whatever else it states.
    """

    variable: str
    unit: str = ""
    specimen: str = ""
    value: float | str | None = None


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Codes and what they stand for, and the variables of which every use is recorded."""

    codes: Mapping[str, tuple[Meaning, ...]] = field(default_factory=dict)
    complete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """Canonical value = value * factor + offset; `broken` names the rule that refuses it."""

    factor: float
    offset: float
    broken: str = ""


_KEYS = {"variable", "unit", "specimen", "value"}


def read_code_map(path: str | Path) -> CodeMap:
    """Return the code map in a TOML file."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"code map must be a TOML file in UTF-8; {path} is not.") from None
    return parse_code_map(text)


def mimic_iv_map() -> CodeMap:
    """Return the code map of MIMIC-IV in MEDS, by item of laboratory and chart."""
    return read_code_map(Path(__file__).with_name("mimic_iv.toml"))


def parse_code_map(text: str) -> CodeMap:
    """Return the code map that a TOML text states.

    An unknown key or variable, a blank variable and a unit that the variable does not accept raise
    `UsageError`.

    >>> parse_code_map('[codes."CREA"]\\nvariable = "creatinine"').codes["CREA"][0].variable
    'creatinine'
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"code map must be TOML: {error}.") from None
    unknown = sorted(document.keys() - {"codes", "complete"})
    if unknown:
        raise UsageError(
            f"code map must hold [codes] and [complete] only; it has {', '.join(unknown)}."
        )
    codes = {str(code): _stated(code, entry) for code, entry in document.get("codes", {}).items()}
    blank = sorted(code for code, listed in codes.items() if any(not m.variable for m in listed))
    if blank:
        raise UsageError(
            f"code map must name the variable of each code; {len(blank)} are blank. Fill them in, "
            f"or delete their entries; the first is {blank[0]!r}."
        )
    complete = tuple(document.get("complete", {}).get("variables", ()))
    for name in (*(m.variable for listed in codes.values() for m in listed), *complete):
        if name not in VARIABLES and name not in COMPONENTS and name not in NO_VALUES:
            raise UsageError(
                f"code map must name variables of the catalogue; {name!r} is none."
                f"{did_you_mean(name)}"
            )
    for code, listed in codes.items():
        for meaning in listed:
            if meaning.unit and scale(meaning, meaning.unit, "").broken == "unit":
                raise UsageError(
                    f"code map must state an accepted unit; that of {code!r} is none of "
                    f"{meaning.variable}."
                )
    return CodeMap(codes, complete)


def meanings(code: str, code_map: CodeMap) -> Sequence[Meaning]:
    """Return what a code stands for: by the map, or by its system; empty if nothing says so.

    >>> [meaning.variable for meaning in meanings("LOINC//2160-0", CodeMap())]
    ['creatinine']
    >>> [meaning.variable for meaning in meanings("SITE//17", CodeMap())]
    []
    """
    if code in code_map.codes:
        return code_map.codes[code]
    system, _, plain = code.rpartition("//")
    name = system.upper()
    if name == "LOINC":
        # A code that needs an assay or a body site does not say by itself what was measured.
        return [
            Meaning(entry.name)
            for entry, record in by_code(plain)[:1]
            if not record.assay_required and not record.body_site
        ]
    if name == "OSTEON":
        return [Meaning(plain)] if plain in VARIABLES else []
    if name.startswith("ICD10") and name != "ICD10PCS":
        bare = plain.replace(".", "").upper()
        return _flags(lambda entry: bare.startswith(tuple(_bare(entry.icd_10))))
    if name == "SNOMED":
        return _flags(lambda entry: plain in entry.snomed)
    if name == "ATC":
        return _flags(lambda entry: plain.startswith(tuple(entry.atc)))
    return []


def scale(meaning: Meaning, unit: str, specimen: str, assay: str = "") -> Scale:
    """Return how a number in a unit becomes canonical, or the rule that the combination breaks.

    >>> scale(Meaning("temperature"), "°F", "").offset
    -17.77777777777778
    >>> scale(Meaning("creatinine"), "umol/L", "urine").broken
    'specimen'
    """
    stated = unit or meaning.unit
    if meaning.variable in COMPONENTS or meaning.variable in NO_VALUES:
        return Scale(1.0, 0.0)
    if meaning.variable == "temperature" and stated.casefold() in FAHRENHEIT:
        return Scale(1 / 1.8, -32 / 1.8)
    entry = VARIABLES[meaning.variable]
    how = basis(
        entry,
        entry.name,
        unit=stated,
        assays=(assay,) if assay else (),
        specimen=specimen or meaning.specimen,
    )
    return Scale(how.factor, 0.0, how.broken[0] if how.broken else "")


def _stated(code: str, entry: object) -> tuple[Meaning, ...]:
    listed = entry if isinstance(entry, list) else [entry]
    stated = []
    for table in listed:
        if not isinstance(table, dict) or table.keys() - _KEYS:
            raise UsageError(
                f"code map must state {', '.join(sorted(_KEYS))} of a code only; the entry of "
                f"{code!r} holds something else."
            )
        stated.append(
            Meaning(
                variable=str(table.get("variable", "")),
                unit=str(table.get("unit", "")),
                specimen=str(table.get("specimen", "")),
                value=table.get("value"),
            )
        )
    return tuple(stated)


def _flags(applies: Callable[[Variable], bool]) -> list[Meaning]:
    return [
        Meaning(entry.name, value=1.0)
        for entry in VARIABLES.values()
        if entry.kind == "flag" and applies(entry)
    ]


def _bare(codes: Sequence[str]) -> list[str]:
    return [code.replace(".", "").upper() for code in codes]
