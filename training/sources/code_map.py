"""Which code of a source is which variable: a code map, and what follows from code systems.

A code map is a TOML file, or a CSV with the same words as columns:

    [codes."LAB//50912"]
    variable = "creatinine"
    unit = "mg/dL"                 # where the source states none
    specimen = "serum"             # where the source states none; PaO2 needs "arterial blood"
    [codes."INFUSION_START//221906"]
    variable = "catecholamines"
    value = 1                      # a record of the code is the value
    [[codes."PUMP//17"]]
    variable = "norepinephrine_dose"
    unit = "ug/kg/min"             # a rate without a known unit is not used
    [complete]
    variables = ["catecholamines"] # every use is recorded, so that no record means none

    code,variable,unit,specimen,value,complete,note
    LAB//50912,creatinine,mg/dL,serum,,,
    INFUSION_START//221906,catecholamines,,,1,yes,

`NAME__not_done` says that records of the code state that a variable was not measured or not asked.
A code may be listed under several variables (an array of tables, `[[codes."X"]]`, or several rows).
A blank variable is a decision still to be made, and fatal. In a CSV a row whose code begins with
`#` is a remark, `note` is for people, and `complete` is stated in any row of the variable. A code
that the map does not list is read by its system: LOINC by the catalogue's codes and those of the
parts of the Glasgow score; ICD-10, SNOMED CT, ATC and RxNorm (of ingredients) by those of the
catalogue's flags.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from data_schema.biomarkers import VARIABLES, by_code, did_you_mean
from data_schema.derived.vasopressors import rate_unit
from data_schema.drugs import drug_flags
from data_schema.errors import RulesBroken, UsageError
from data_schema.mapping.rules import TREATMENT_LIMITED
from data_schema.readings import basis, category_of, flag_of, is_arterial
from data_schema.table.files import read_table
from data_schema.values import cell_text
from data_schema.variables import Variable, base_name, is_not_done

__all__ = [
    "COMPONENTS",
    "DOSES",
    "GLASGOW",
    "NONINVASIVE_VENTILATION",
    "NO_VALUES",
    "SEDATION",
    "CodeMap",
    "Meaning",
    "Scale",
    "catalogue_meaning",
    "meanings",
    "mimic_iv_map",
    "parse_code_map",
    "per_minute",
    "read_code_map",
    "scale",
]

GLASGOW: Mapping[str, str] = {
    "gcs_eye": "9267-6",
    "gcs_verbal": "9270-0",
    "gcs_motor": "9268-4",
}
"""The parts of the Glasgow coma score, and their LOINC codes."""

DOSES = ("norepinephrine_dose", "epinephrine_dose", "dopamine_dose", "dobutamine_dose")
"""Variables of the catalogue that are rates per kg of body weight."""

_HEAVIEST_KG = 600.0


def per_minute(dose: str) -> str:
    """Return what a dose is called while it is known in ug/min alone, without the weight."""
    return f"{dose}_per_minute"


COMPONENTS: Mapping[str, tuple[float, float]] = {
    "gcs_eye": (1, 4),
    "gcs_verbal": (1, 5),
    "gcs_motor": (1, 6),
    "urine_volume": (0, 10_000),
    **{per_minute(dose): (0, (VARIABLES[dose].high or 0) * _HEAVIEST_KG) for dose in DOSES},
}
"""What severity scores are computed from besides the catalogue: the plausible range, in points, mL,
or ug/min."""

_VOLUMES: Mapping[str, float] = {"ml": 1.0, "cc": 1.0, "l": 1000.0, "dl": 100.0}
"""Units of a volume, in lower case, and their factor to mL."""

_NAMED = frozenset(COMPONENTS) - {per_minute(dose) for dose in DOSES}
_SCORE_UNITS = frozenset({"", "1", "{score}"})

SEDATION = "sedation"
"""A sedative or a muscle relaxant, under which a Glasgow score says nothing. Of opioids, continuous
infusions count; a dose for pain does not."""

NONINVASIVE_VENTILATION = "noninvasive_ventilation"
"""Ventilation by mask or CPAP: support for PaO2/FiO2, under which a patient can speak."""

NO_VALUES = (TREATMENT_LIMITED, SEDATION, NONINVASIVE_VENTILATION)
"""What a code map may name that is neither a predictor nor a component: flags."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code stands for.

    Parameters
    ----------
    variable : str
        A variable of the catalogue, a key of `COMPONENTS`, or one of `NO_VALUES`.
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
    """Canonical value of `variable` = value * factor + offset; `broken` names the rule against it.

    `variable` is another one than the code stands for where a rate of infusion is not per kg.
    """

    variable: str
    factor: float
    offset: float
    broken: str = ""


_KEYS = ("variable", "unit", "specimen", "value")
_COLUMNS = ("code", *_KEYS, "complete", "note")
_TABLES = (".csv", ".tsv", ".txt")


def read_code_map(path: str | Path) -> CodeMap:
    """Return the code map in a file: CSV if its name says so, else TOML.

    Raises
    ------
    UsageError
        If the file cannot be read, or states something that `parse_code_map` refuses.
    """
    path = Path(path)
    if path.suffix.casefold() in _TABLES:
        return _parsed_table(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"code map must be a TOML file in UTF-8, or a .csv; {path} is neither."
        ) from None
    return parse_code_map(text)


def mimic_iv_map() -> CodeMap:
    """Return the code map of MIMIC-IV in MEDS, by item of laboratory and chart."""
    return read_code_map(Path(__file__).with_name("mimic_iv.toml"))


def parse_code_map(text: str) -> CodeMap:
    """Return the code map that a TOML text states.

    An unknown key or variable, a blank variable, a variable that a code states twice, and a unit or
    specimen that the variable does not accept raise `UsageError`.

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
    complete = document.get("complete", {}).get("variables", [])
    if not isinstance(complete, list) or not all(isinstance(name, str) for name in complete):
        raise UsageError("code map must list names as variables of [complete]; it does not.")
    return _checked(CodeMap(codes, tuple(complete)))


def _parsed_table(path: Path) -> CodeMap:
    """Return the code map in a CSV, of any delimiter and encoding that a cohort may have."""
    if not path.is_file():
        raise UsageError(f"code map must be a file; no file exists at {path}.")
    try:
        table = read_table(path)
    except RulesBroken as error:
        raise UsageError(
            f"code map must be one table; [{error.findings[0].rule}] breaks."
        ) from None
    missing = [name for name in _COLUMNS[:2] if name not in table]
    unknown = sorted(set(map(str, table.columns)) - set(_COLUMNS))
    if missing or unknown:
        stated = [f"lacks {name}" for name in missing] + [f"has {name}" for name in unknown]
        raise UsageError(
            f"code map must have the columns code and variable, and may have "
            f"{', '.join(_COLUMNS[2:])}; it {', '.join(stated)}."
        )
    rows = [
        {str(name): "" if pd.isna(cell) else cell_text(cell) or "" for name, cell in row.items()}
        for row in table.to_dict("records")
    ]
    rows = [row for row in rows if not row["code"].startswith("#")]
    uncoded = sum(not row["code"] for row in rows)
    if uncoded:
        raise UsageError(
            f"code map must state a code in each row; {uncoded} have none. Begin remarks with #."
        )
    codes: dict[str, tuple[Meaning, ...]] = {}
    complete: dict[str, None] = {}
    for row in rows:
        is_complete = flag_of(row.get("complete") or "no").value
        if is_complete is None:
            raise UsageError(
                f"code map must state complete as yes or no; that of {row['code']!r} is neither."
            )
        if is_complete:
            complete[row["variable"]] = None
        meaning = Meaning(
            variable=row["variable"],
            unit=row.get("unit", ""),
            specimen=row.get("specimen", ""),
            value=_number_or_word(row.get("value", "")),
        )
        codes[row["code"]] = (*codes.get(row["code"], ()), meaning)
    return _checked(CodeMap(codes, tuple(complete)))


def _number_or_word(cell: str) -> float | str | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


def _checked(code_map: CodeMap) -> CodeMap:
    """Return the map if each code has variables that exist, each once, with an accepted unit."""
    blank = sorted(
        code for code, listed in code_map.codes.items() if any(not m.variable for m in listed)
    )
    if blank:
        raise UsageError(
            f"code map must name the variable of each code; {len(blank)} are blank. Fill them in, "
            f"or delete their entries; the first is {blank[0]!r}."
        )
    named = [m.variable for listed in code_map.codes.values() for m in listed]
    for name in (*named, *code_map.complete):
        known = name in VARIABLES or name in _NAMED or name in NO_VALUES or _is_not_done(name)
        if not known:
            raise UsageError(
                f"code map must name variables of the catalogue; {name!r} is none."
                f"{did_you_mean(name)}"
            )
    for code, listed in code_map.codes.items():
        if len({meaning.variable for meaning in listed}) < len(listed):
            raise UsageError(
                f"code map must state each variable of a code once; {code!r} has one twice."
            )
        for meaning in listed:
            broken = scale(meaning, meaning.unit, "").broken
            if meaning.unit and broken == "unit":
                raise UsageError(
                    f"code map must state an accepted unit; that of {code!r} is none of "
                    f"{meaning.variable}."
                )
            if meaning.specimen and broken == "specimen":
                raise UsageError(
                    f"code map must state the specimen of the variable; that of {code!r} is none "
                    f"of {meaning.variable}."
                )
            if meaning.value is not None and not _is_value_of(meaning.variable, meaning.value):
                raise UsageError(
                    f"code map must state a value that the variable can have; that of {code!r} is "
                    f"none of {meaning.variable}."
                )
    return code_map


def _is_not_done(name: str) -> bool:
    """Return whether a name is that of the flag that a variable is recorded as not done."""
    return is_not_done(name) and base_name(name) in VARIABLES


def _is_value_of(name: str, value: float | str) -> bool:
    """Return whether a variable can have a value that the map states."""
    entry = VARIABLES.get(name)
    if entry is not None and entry.kind == "category":
        return isinstance(value, str) and category_of(entry, value).value is not None
    if isinstance(value, str):
        return False
    if name in COMPONENTS:
        low, high = COMPONENTS[name]
        return low <= value <= high
    if entry is None or entry.kind == "flag":
        return value in (0, 1)
    return (entry.low is None or value >= entry.low) and (entry.high is None or value <= entry.high)


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
        parts = [Meaning(part) for part, loinc in GLASGOW.items() if loinc == plain]
        # A code that needs an assay or a body site does not say by itself what was measured.
        return parts or [
            catalogue_meaning(entry)
            for entry, record in by_code(plain)[:1]
            if not record.assay_required and not record.body_site
        ]
    if name == "OSTEON":
        if _is_not_done(plain):
            return [Meaning(plain, value=1.0)]
        return [catalogue_meaning(VARIABLES[plain])] if plain in VARIABLES else []
    if name.startswith("ICD10") and name != "ICD10PCS":
        bare = plain.replace(".", "").upper()
        return _flags(lambda entry: bare.startswith(tuple(_bare(entry.icd_10))))
    if name == "SNOMED":
        return _flags(lambda entry: plain in (*entry.snomed, *entry.procedures))
    if name == "ATC":
        return [Meaning(flag, value=1.0) for flag in drug_flags(atc=[plain])]
    if name == "RXNORM":
        return [Meaning(flag, value=1.0) for flag in drug_flags(ingredients=[plain])]
    return []


def scale(meaning: Meaning, unit: str, specimen: str, assay: str = "") -> Scale:
    """Return how a number in a unit becomes canonical, or the rule that the combination breaks.

    >>> scale(Meaning("temperature"), "°F", "").offset
    -17.77777777777778
    >>> scale(Meaning("creatinine"), "umol/L", "urine").broken
    'specimen'
    """
    stated = unit or meaning.unit
    name = meaning.variable
    if name in DOSES:
        return _scale_of_rate(name, stated)
    if name in COMPONENTS:
        return _scale_of_component(name, stated)
    if name in NO_VALUES or is_not_done(name) or meaning.value is not None:
        # The record is the value: its unit is that of a dose.
        return Scale(name, 1.0, 0.0)
    entry = VARIABLES[name]
    how = basis(
        entry,
        entry.name,
        unit=stated,
        assays=(assay,) if assay else (),
        specimen=specimen or meaning.specimen,
    )
    broken = how.broken[0] if how.broken else ""
    if not broken and is_arterial(entry) and not _is_stated_arterial(specimen, meaning.specimen):
        broken = "specimen"
    return Scale(name, how.factor, how.offset, broken)


def catalogue_meaning(entry: Variable) -> Meaning:
    """Return the meaning of the catalogue's own code, which says that blood is arterial."""
    return Meaning(entry.name, specimen="arterial blood" if is_arterial(entry) else "")


def _is_stated_arterial(*specimens: str) -> bool:
    """Return whether source or code map say that blood is arterial: a blood gas may be venous."""
    return any(re.search(r"\bart", specimen.casefold()) for specimen in specimens)


def _scale_of_rate(name: str, unit: str) -> Scale:
    """Return how a rate of infusion is scaled; one that is not per kg needs the weight first."""
    rate = rate_unit(unit)
    if rate is None:
        return Scale(name, math.nan, 0.0, "unit")
    return Scale(name if rate.is_per_kg else per_minute(name), rate.factor, 0.0)


def _scale_of_component(name: str, unit: str) -> Scale:
    """Return how a component of a severity score is scaled; its unit must be known."""
    if name in GLASGOW:
        return Scale(name, 1.0, 0.0, "" if unit in _SCORE_UNITS else "unit")
    factor = _VOLUMES.get(unit.strip().casefold())
    return Scale(name, math.nan if factor is None else factor, 0.0, "unit" if not factor else "")


def _stated(code: str, entry: object) -> tuple[Meaning, ...]:
    listed = entry if isinstance(entry, list) else [entry]
    stated = []
    for table in listed:
        if not isinstance(table, dict) or table.keys() - {*_KEYS}:
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
