"""Values as they are stated in a table, by HTTP and in FHIR, and each reader's verdict on them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.fhir.observations import read_record
from data_schema.fhir.resources import entries_of
from data_schema.mapping.file import CohortMapping, ColumnMapping
from data_schema.measurements import CanonicalMeasurement, Measurement, canonical_measurement
from data_schema.table.check import check_cohort
from data_schema.variables import LOCAL_SYSTEM, Variable, base_name
from serving.prediction.json_translation import question_of
from serving.prediction.schemas import PredictRequest

OWN = {
    "own_number": Variable(
        "own_number", "own_number", "person", unit="mg/dL", units={"mg/dL": 1.0}, low=1, high=50
    ),
    "own_category": Variable("own_category", "own_category", "person", "category"),
    "own_flag": Variable("own_flag", "own_flag", "person", "flag"),
}
ALL = {**VARIABLES, **OWN}
FEATURES = (
    *ALL,
    *(f"lactate__{suffix}" for suffix in ("first", "max", "min", "slope", "count")),
    *("estradiol__max", "fgf23_c__max", "osteopontin__first"),
)
# Of these an assay or a specimen may be that of another variable.
OFTEN_MISTAKEN = tuple(
    feature
    for feature in FEATURES
    if ALL[base_name(feature)].assay_words is not None or ALL[base_name(feature)].specimen
)

# What a reader may find wrong with one value; the other rules of a table are about a column.
_RULES = frozenset(
    {"not_a_number", "infinite", "ambiguous_number", "comparator", "assay", "specimen", "unit"}
    | {"range", "too_large", "flag", "category"}
)
_COMPARATORS = ("<", "<=", ">", ">=")
_WORDS = (
    *("", " ", "NA", "n/a", "NaN", "null", "None", ".", "unknown", "Other", "<NA>", "missing"),
    *("yes", "No", "y", "TRUE", "f", "1", "0", "1.0", "2", "true ", "perhaps", "positive"),
    *("female", "Male", " post", "not_applicable", "medical", "metastatic", "Coma", "other"),
    *(
        "abc",
        "5 mg",
        "0x10",
        "1_000",
        "--",
        "inf",
        "-Infinity",
        "1e400",
        "1e300",
        "\u221e",
        "\ud800",
    ),
    *("1,471", "1.471,0", "1 471", "1,4", "<5", "\u22645", ">= 5", "<<5", "<", "< NA", ">inf"),
    *("\u22125", "+5", "5.", ".5", " 7 ", "\u00a07", "\uff15", "1e3", "-3", "~5", "5%", "True"),
)
_ASSAYS = (
    *("", "", "LC-MS/MS", "intact FGF23", "FGF23 C-Terminal ELISA", "C-terminal and intact"),
    *("total sRANKL", "free sRANKL", "Free and total RANKL", " "),
)
_SPECIMENS = (
    *("", "", "", "serum", "EDTA plasma", "serum or plasma", "Ser/Plas", "whole blood", "Urine"),
    *("venous blood", "Blood plasma", "whole blood or plasma", "24 h urine", "SERUM", "csf", "?"),
)
_UNITS = ("", " ", "mg/dL", "RU/mL", "pg/mL", "ng/mL", "furlongs", "%", "1", "mmol/L", "pmol/L")
_GOOD_ROWS = 3


@dataclass(frozen=True)
class Stated:
    """One value and what is stated of it; empty where nothing is."""

    feature: str
    value: float | str | bool
    unit: str = ""
    assay: str = ""
    specimen: str = ""
    comparator: str = ""

    @property
    def variable(self) -> Variable:
        return ALL[base_name(self.feature)]


@dataclass(frozen=True)
class Verdict:
    """The first rule that a value breaks, or its canonical value; None is not measured."""

    rule: str
    value: float | str | None = None
    below: bool = False


def draw(rng: random.Random, feature: str) -> Stated:
    """Return a value of one feature, often right and often wrong in one respect."""
    variable = ALL[base_name(feature)]
    assay, specimen = rng.choice(_ASSAYS), rng.choice(_SPECIMENS)
    if rng.random() < (0.3 if feature in OFTEN_MISTAKEN else 0.6):
        assay = specimen = ""
    if variable.kind != "number":
        words: list[float | str | bool] = [*_WORDS, *variable.categories, *variable.categories]
        value = rng.choice([rng.choice(words), rng.choice([True, False, 0, 1, 2, 1.0, 0.5])])
        return Stated(feature, value, rng.choice(("", "", "", " ", "mg/dL")), assay, specimen)
    own_units = [*variable.units, *variable.aliases]
    unit = rng.choice(own_units if own_units and rng.random() < 0.85 else _UNITS)
    if variable.name in OWN:
        unit = variable.unit  # a table states it once, in the mapping
    elif rng.random() < 0.2:
        unit = rng.choice((unit.upper(), f" {unit} ", unit.replace("u", "\u00b5", 1)))
    return Stated(
        feature,
        _number(rng, variable),
        unit,
        assay,
        specimen,
        rng.choice(_COMPARATORS) if rng.random() < 0.2 else "",
    )


def _number(rng: random.Random, variable: Variable) -> float | str | bool:
    low, high = max(variable.low or 0.0, 0.01), variable.high or 1000.0
    scale = rng.choice([*variable.units.values()] or [1.0])
    number = 10 ** rng.uniform(math.log10(low) - 0.3, math.log10(high) + 0.3) / scale
    number = rng.choice((number, round(number, 2), float(round(number)), -number))
    odd = (True, False, 0, 0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, 10**309, 2**63)
    written = (f"{number!r}", f" {number:.4g}", f"<{number:.6f}", f">{number!r}")
    way = rng.random()
    if way < 0.5:
        return rng.choice((number, number, int(number)))
    return rng.choice(written if way < 0.75 else _WORDS if way < 0.9 else odd)


def single_verdict(sent: Measurement) -> Verdict:
    """Return what the reader of single values says."""
    found = canonical_measurement(sent, ALL)
    if isinstance(found, CanonicalMeasurement):
        is_own = found.column == found.variable.name  # only then does a table keep the flag
        return Verdict("", found.value, found.below and is_own)
    return Verdict(found.rule)


def as_http(stated: Stated) -> Measurement | None:
    """Return a value as JSON brings it by HTTP; None if JSON cannot."""
    try:
        if isinstance(stated.value, float | int) and not math.isfinite(stated.value):
            return None
    except OverflowError:  # refused with the form of the request
        return None
    body: Mapping[str, object] = {
        "variable": stated.feature,
        "value": stated.value,
        "unit": stated.unit or None,
        "assay": stated.assay or None,
        "specimen": stated.specimen or None,
        "comparator": stated.comparator or None,
    }
    request = {
        "patient_id": "p",
        "time_zero": "2026-11-01T08:00:00+01:00",
        "outcomes": ["mortality"],
        "measurements": [body],
    }
    question = question_of(PredictRequest.model_validate(json.loads(json.dumps(request))))
    return question.measurements[0].measurement


def as_fhir(stated: Stated) -> Measurement | None:
    """Return a value as an Observation brings it; None if FHIR cannot."""
    value, quantity = stated.value, {"unit": stated.unit, "comparator": stated.comparator}
    if isinstance(value, str | bool):
        if not str(value).strip() or any(part.strip() for part in quantity.values()):
            return None  # only a quantity has these
        brought: Mapping[str, object] = {
            "valueBoolean" if isinstance(value, bool) else "valueString": value
        }
    elif as_http(stated) is None:
        return None
    else:
        stated_of = {name: text for name, text in quantity.items() if text}
        brought = {"valueQuantity": {"value": value, **stated_of}}
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOCAL_SYSTEM, "code": stated.feature}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-11-01T06:00:00Z",
        **({"method": {"text": stated.assay}} if stated.assay else {}),
        **({"specimen": {"display": stated.specimen}} if stated.specimen else {}),
        **brought,
    }
    patient = {"resourceType": "Patient", "id": "p"}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": patient}, {"resource": observation}]}
    (one,) = read_record(entries_of(json.loads(json.dumps(bundle))), own=OWN).observations
    return one.measurement


def table_verdicts(stated: Sequence[Stated]) -> dict[str, Verdict]:
    """Return what the reader of tables says, each value among good ones in a column of its own."""
    report = check_cohort(_table(stated), outcome=None, mapping=_mapping(stated)).report
    rules: dict[str, str] = {}
    for finding in (*report.fatal, *report.warnings):
        # A table states one specimen for a column, so that good values break its rule, too.
        is_of_others = finding.rule == "specimen" and finding.count == _GOOD_ROWS
        if finding.rule in _RULES and not is_of_others:
            rules.setdefault(finding.variable, finding.rule)
    verdicts = {feature: Verdict(rule) for feature, rule in rules.items()}
    accepted = [replace(one, specimen="") for one in stated if one.feature not in rules]
    if accepted:
        checked = check_cohort(_table(accepted), outcome=None, mapping=_mapping(accepted))
        cohort = checked.cohort
        assert cohort is not None, checked.report.fatal
        last = cohort.features.iloc[-1]
        for one in accepted:
            value = last[one.feature]
            below = bool(last.get(f"{one.feature}__below", 0.0))
            verdicts[one.feature] = Verdict("", None if pd.isna(value) else value, below)
    return verdicts


def _table(stated: Sequence[Stated]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {"patient_id": [*range(_GOOD_ROWS + 1)]}
    for number, one in enumerate(stated):
        cell = f"{one.comparator}{one.value}" if one.comparator else one.value
        columns[f"c{number}"] = [*_good(one.variable), cell]
        columns[f"u{number}"] = [one.variable.unit] * _GOOD_ROWS + [one.unit]
        columns[f"a{number}"] = [""] * _GOOD_ROWS + [one.assay]
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})


def _good(variable: Variable) -> list[object]:
    """Return cells that keep every rule."""
    if variable.kind == "flag":
        return ["1", "0", "1"]
    if variable.kind == "category":
        return [*(variable.categories[:2] or ("Coma", "ARF")), None]
    low = 1.0 if variable.low is None else variable.low
    return [low, low if variable.high is None else variable.high, low]


def _mapping(stated: Sequence[Stated]) -> CohortMapping:
    return CohortMapping(columns={column.column: column for column in _columns(stated)})


def _columns(stated: Sequence[Stated]) -> Iterator[ColumnMapping]:
    for number, one in enumerate(stated):
        variable = one.variable
        is_own, is_number = variable.name in OWN, variable.kind == "number"
        yield ColumnMapping(
            column=f"c{number}",
            variable=one.feature,
            unit=one.unit if is_own or not is_number else None,
            unit_column=f"u{number}" if is_number and not is_own else None,
            assay_column=f"a{number}",
            specimen=one.specimen or None,
            kind=variable.kind if is_own else None,
            pathway=variable.pathway if is_own else None,
            low=variable.low if is_own else None,
            high=variable.high if is_own else None,
        )
