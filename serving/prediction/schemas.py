"""The JSON of `POST /v1/predict`, request and response, field by field.

These types check form: types, times, finite numbers. `serving.prediction.patient` checks
measurements against the catalogue and the models.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from data_schema.birth_dates import BirthDate
from models.inference.completeness import Completeness
from models.patient_explanation import Comparison, IfComplete, Interval, SettlingEntry
from serving.prediction.answer import IgnoredReason, ModelName
from serving.prediction.long_lists import in_steps
from serving.prediction.question import (
    MAX_HORIZONS,
    MAX_MEASUREMENTS,
    MAX_OUTCOMES,
    MAX_TEXT,
    Rule,
    Sex,
    rule_of_days,
    rule_of_number,
)
from serving.problems.details import RULE_PREFIX

__all__ = ["HorizonDays", "Name", "PredictRequest", "PredictResponse", "Time"]

_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(?P<offset>[Zz]|[+-]\d{2}:\d{2})?"
)
# Enough that a client with one fault in every measurement sees the pattern.
_STEP = 50


def _broken(rule: str, message: str) -> PydanticCustomError:
    return PydanticCustomError(RULE_PREFIX + rule, message)


def _time(sent: object) -> datetime:
    match = _RFC_3339.fullmatch(sent) if isinstance(sent, str) else None
    if match and match["offset"] is None:
        raise _broken("naive_time", "must state its offset, as in 2026-11-01T08:00:00+01:00")
    if match:
        try:
            return datetime.fromisoformat(match[0].upper())
        except ValueError:  # the 30th of February
            pass
    raise _broken("time", "must be an RFC 3339 time, as in 2026-11-01T08:00:00+01:00")


def _date(sent: object) -> BirthDate:
    born = BirthDate.of(sent) if isinstance(sent, str) else None
    if born is None:
        raise _broken("date", "must be a date, as in 1958-03-02; or a year or month of birth")
    return born


def _value(sent: object) -> float | str | bool | None:
    if sent is None or isinstance(sent, bool | str):
        return sent
    if not isinstance(sent, int | float):
        raise _broken("value_type", "must be a number, a text, true, false or null")
    return _valid(rule_of_number(sent), sent)


def _days(sent: object) -> float:
    if isinstance(sent, bool) or not isinstance(sent, int | float):
        raise _broken("not_a_number", "must be a number of days")
    return _valid(rule_of_days(sent), sent)


def _valid(rule: Rule | None, number: float) -> float:
    if rule is not None:
        raise _broken(*rule)
    return float(number)


def _without_repeats(horizons_days: list[float]) -> list[float]:
    if len(set(horizons_days)) < len(horizons_days):
        raise _broken("repeated", "must not name a horizon twice")
    return horizons_days


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise _broken("repeated", "must not name a variable twice")
    return names


Time = Annotated[datetime, PlainValidator(_time, json_schema_input_type=datetime)]
StatedBirthDate = Annotated[
    BirthDate,
    PlainValidator(
        _date,
        json_schema_input_type=Annotated[str, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")],
    ),
    PlainSerializer(str),
]
Value = Annotated[float | str | bool | None, PlainValidator(_value, float | str | bool | None)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
HorizonDays = Annotated[
    float, PlainValidator(_days, json_schema_input_type=Annotated[float, Field(gt=0)])
]
Horizons = Annotated[
    list[HorizonDays],
    Field(min_length=1, max_length=MAX_HORIZONS),
    AfterValidator(_without_repeats),
]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SentMeasurement(_Sent):
    """One measurement: a variable of the catalogue or of a model, or a LOINC code."""

    variable: Name | None = Field(default=None, examples=["fgf23_c"])
    loinc: Name | None = Field(default=None, examples=["2243-4"])
    value: Value = Field(
        description="A number; for a category its text; for a flag true, false, 1 or 0. Null or a "
        "word such as `NA` states no value: not entered.",
        examples=[1471],
    )
    comparator: Literal["<", "<=", ">", ">="] | None = Field(
        default=None, description="Set when `value` is a limit of the assay."
    )
    unit: Name | None = Field(
        default=None, description="One that /v1/variables lists.", examples=["[arb'U]/mL"]
    )
    time: Time | None = None
    assay: Name | None = Field(default=None, examples=["LC-MS/MS"])
    specimen: Name | None = Field(default=None, examples=["plasma"])


class PredictRequest(_Sent):
    """One patient at one time zero: measurements, and the outcomes and horizons to predict."""

    patient_id: Name = Field(description="Opaque; never a name or a record number.")
    encounter_id: Name | None = Field(default=None, description="Opaque.")
    time_zero: Time = Field(description="The landmark from which the model counts days.")
    sex: Sex | None = None
    birth_date: StatedBirthDate | None = Field(
        default=None,
        description="A year or a month alone gives a warning: its middle gives the age, and its "
        "last day decides whether the patient is an adult.",
        examples=["1958-03-02"],
    )
    icu_admission: Time | None = Field(
        default=None,
        description="When the stay in intensive care began, not later than `time_zero`. A last "
        "value counts from 24 hours before it. Default: as the model's time zero states; where "
        "that leaves it open, 6 days before `time_zero`.",
    )
    asked_at: Time | None = Field(
        default=None,
        description="For records of the past, the moment for which the estimate is wanted, which "
        "decides whether `time_zero` is too long ago. Default: now.",
    )
    deceased: StrictBool = Field(
        default=False, description="Whether the patient is recorded as dead, at an unknown time."
    )
    death_time: Time | None = Field(
        default=None, description="When the patient died. After `time_zero`, there is a warning."
    )
    comfort_care: StrictBool = Field(
        default=False, description="Whether comfort is recorded as the goal of care."
    )
    record_incomplete: StrictBool = Field(
        default=False, description="Whether a part of the record is known to be missing here."
    )
    outcomes: Annotated[list[Name], Field(min_length=1, max_length=MAX_OUTCOMES)]
    horizons_days: Horizons | None = Field(
        default=None, description="Default: each model's own horizons."
    )
    measurements: Annotated[
        list[SentMeasurement],
        Field(max_length=MAX_MEASUREMENTS),
        in_steps(_STEP, at_most=MAX_MEASUREMENTS),
    ]
    absent: Annotated[
        list[Name], Field(max_length=MAX_MEASUREMENTS), AfterValidator(_each_once)
    ] = Field(
        default=[],
        description="Variables that are recorded as not done (not measured, not asked for, not "
        "applicable), by name. Each must have no value in `measurements`. What is in neither list "
        "is not entered.",
        examples=[["ctx_s"]],
    )
    unread: Annotated[
        list[Name], Field(max_length=MAX_MEASUREMENTS), AfterValidator(_each_once)
    ] = Field(
        default=[],
        description="Variables of which the record holds a value that could not be read, by name. "
        "Unless a measurement states a value, none is given if it counts much in the model.",
        examples=[["creatinine"]],
    )
    explain: StrictBool = Field(
        default=True, description="Whether to return contributions and pathways."
    )
    stage: Literal["interim", "final"] = Field(
        default="final",
        description="`interim` while entries are still being made, with `session`. Only `final` "
        "answers count in monitoring, and outcomes can be reported of these only.",
    )
    session: Name | None = Field(
        default=None,
        description="Opaque; the same for the interim answers and the final one of one sitting.",
    )
    next_best: StrictBool = Field(
        default=False,
        description="Whether to return which tests of the site's menu, if already available, would "
        "move the estimate; not a recommendation to order them.",
    )


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True)


class Contribution(_Given):
    """The contribution of one variable, compared with the model's reference patient."""

    variable: str
    pathway: str
    measured: bool
    value: float | str | bool | None = Field(default=None, description="In the canonical unit.")
    comparator: Literal["<", ">"] | None = Field(
        default=None, description="Set when the value is a limit of the assay."
    )
    unit: str | None = None
    multiple_of_reference: float | None = Field(
        default=None, description="Value over this patient's upper reference limit."
    )
    flag: Literal["H", "L"] | None = Field(
        default=None, description="Above or below this patient's reference interval."
    )
    words: str = Field(
        default="",
        description="The variable with its value as a clinician says it.",
        examples=["FGF23, C-terminal 1471 RU/mL, H, 8.2 times the upper limit"],
    )
    log_odds: float
    points: float = Field(description="Percentage points of risk.")


class PathwayPoints(_Given):
    """Sum over a pathway's measured variables, or over all variables without a value.

    The latter, `not_measured`, is what the model inferred for them.
    """

    pathway: str
    points: float


class Risk(_Given):
    """Risk by one horizon. Points, with the adjustment's, sum to 100 (risk - baseline_risk)."""

    horizon_days: int | float
    risk: float
    interval: Interval
    if_complete: IfComplete
    baseline_risk: float = Field(description="Risk of the model's reference patient.")
    cohort_risk: float = Field(description="Mean risk of the training cohort.")
    competing_risk: float | None = Field(
        description="Risk that the competing event (`competing` of the model, such as death) comes "
        "first; null if nothing competes."
    )
    monotone_adjustment: float = Field(description="Log-odds, so that risk never falls in time.")
    monotone_adjustment_points: float
    comparison: Comparison | None = Field(
        default=None, description="Null where nothing but age, sex and severity was entered."
    )
    risk_without_panel: float | None = Field(
        default=None,
        description="Risk by a model fitted to the same patients without the panel of markers. "
        "Given where the panel was shown to add something and a marker of it was entered.",
    )
    panel_sentence: str = Field(default="", description="The same in plain language.")
    contributions: list[Contribution]
    pathways: list[PathwayPoints]
    sentences: list[str] = Field(
        default=[], description="The risk and what raised or lowered it, in plain language."
    )


class CurvePoint(_Given):
    """One point of the risk curve."""

    day: int | float
    risk: float
    low: float = Field(description="Lower end of the interval, as at the horizons.")
    high: float
    cohort_risk: float = Field(description="As at the horizons.")
    competing_risk: float | None = Field(description="As at the horizons.")
    comparison_risk: float | None = Field(
        default=None, description="Of a comparable patient, as at the horizons."
    )


class Remark(_Given):
    """A warning or a refusal."""

    code: str
    message: str
    variables: list[str]


class NextBest(_Given):
    """How far the risk at one horizon is expected to move once a missing test is known.

    By simulation.
    """

    variable: str
    horizon_days: int | float
    change_points: float = Field(
        description="Expected absolute change of the risk, up or down alike, in points."
    )
    change_error_points: float = Field(
        description="Standard error of `change_points` from the finite number of draws."
    )
    message: str


class Ignored(_Given):
    """A measurement or an entry of `absent` or `unread` that was not used, and the reason."""

    field: str = Field(examples=["measurements[3]"])
    variable: str
    reason: IgnoredReason
    message: str


class Prediction(_Given):
    """The answer for one outcome; a refusal has reasons and no risk."""

    outcome: str
    status: Literal["ok", "refused"]
    model: ModelName
    completeness: Completeness = Field(
        description="How little the values not entered could still move the estimate, at the "
        "default horizon where most is open: a grade of completeness, not of certainty. With "
        "`insufficient` no risk is given."
    )
    risks: list[Risk]
    next_best: list[NextBest] = Field(
        description="If requested, the largest expected change first; at least 1 point each."
    )
    next_best_summary: str | None = Field(
        default=None, description="The same in plain language; null if not requested."
    )
    curve: list[CurvePoint]
    summary: str
    missing: list[str] = Field(description="The model's variables without a value.")
    absent: list[str] = Field(
        description="Those that the request records as not done. The estimate takes them as not "
        "entered, as all of `missing`: it infers them from what was entered."
    )
    treatment_limitation: Literal["comfort_care", "not_recorded"] = Field(
        description="Whether comfort is recorded as the goal of care, for which no risk is given. "
        "`not_recorded` does not mean that treatment is not limited."
    )
    would_settle: list[SettlingEntry] = Field(
        description="Up to three of the values not entered that would settle most of what is open "
        "at the first horizon, the largest first; not a recommendation to order. Given also where "
        "too little is entered for a risk."
    )
    ignored: list[Ignored]
    warnings: list[Remark]
    refusals: list[Remark]
    panel: str = Field(
        default="",
        description="What the model's panel of markers adds to everything else that it reads, in "
        "one sentence; empty where no panel was judged.",
    )
    validation: str = Field(description="Whether the model was judged elsewhere, in one sentence.")
    note: list[str] = Field(
        description="The answer as at most 10 lines of plain text for the patient's notes."
    )


class PredictResponse(_Given):
    """The answer: one prediction for each requested outcome, in the same order."""

    prediction_id: str = Field(description="ULID.")
    created_at: datetime
    time_zero: datetime
    predictions: list[Prediction]
    notice: str
