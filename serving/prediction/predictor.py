"""From a question to the answer: the one way to a prediction, for every interface.

Nothing here remembers a question: models are read only, and all else is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from ulid import ULID

from data_schema.biomarkers import VARIABLES, reference_interval
from data_schema.measurements import CanonicalMeasurement
from data_schema.variables import BELOW
from models.inference.prediction import Remark
from models.inference.risk_model import Prediction as RawPrediction
from models.inference.risk_model import Table
from models.patient_explanation import RecordedValue, explained_risks, summary
from serving.prediction.answer import Answer, Ignored, Prediction
from serving.prediction.next_best import next_best
from serving.prediction.on_record import ComputedAnswer, Identity, Recorder
from serving.prediction.patient import Patient, read_patient
from serving.prediction.question import BrokenRule, NoModel, Place, Question, QuestionBroken
from serving.prediction.served import Served, ServedModel

__all__ = ["predict", "predict_batch", "table_of_patient"]

_NOT_PROMOTED = Remark(
    code="not_promoted",
    message="This model has no valid gate record here; nobody has approved it.",
    variables=(),
)
_SIMULATED = Remark(
    code="simulated",
    message="This model learned from simulated patients; it says nothing about real ones.",
    variables=(),
)
_AT_LIMIT = Remark(
    code="beyond_assay_limit",
    message="The value lies beyond a limit of its assay, and the limit itself was used.",
    variables=(),
)


def predict(question: Question, served: Served, recorder: Recorder | None = None) -> Answer:
    """Answer one question.

    Parameters
    ----------
    question : Question
    served : Served
    recorder : Recorder, optional
        Puts the answer on record before it is returned. If it is left out, nothing is recorded.

    Returns
    -------
    Answer

    Raises
    ------
    QuestionBroken
        With every rule that the question breaks.
    NoModel
        If no model is served for an outcome of the question.
    OutsideError
        If the answer cannot be recorded.
    """
    (answer,) = _recorded([_computed(question, served)], recorder)
    return answer


def predict_batch(
    questions: Sequence[Question], served: Served, recorder: Recorder | None = None
) -> list[Answer]:
    """Answer several questions, all of them or none; they are put on record together.

    Parameters
    ----------
    questions : sequence of Question
    served : Served
    recorder : Recorder, optional
        As in `predict`.

    Returns
    -------
    list of Answer
        One for each question, in the same order.

    Raises
    ------
    QuestionBroken, NoModel
        As `predict` does; each rule states the number of its question.
    OutsideError
        If the answers cannot be recorded.
    """
    computed: list[ComputedAnswer] = []
    broken: list[BrokenRule] = []
    for number, question in enumerate(questions):
        try:
            computed.append(_computed(question, served))
        except QuestionBroken as error:
            broken += [replace(one, question=number) for one in error.broken]
        except NoModel as error:
            raise NoModel([replace(one, question=number) for one in error.broken]) from None
    if broken:
        raise QuestionBroken(broken)
    return _recorded(computed, recorder)


def _computed(question: Question, served: Served) -> ComputedAnswer:
    models = served.find(question.outcomes)
    patients = _read(question, models)
    predictions = [
        _prediction(model, patient, question, served.menu)
        for model, patient in zip(models, patients, strict=True)
    ]
    return ComputedAnswer(question, models, predictions)


def _recorded(computed: Sequence[ComputedAnswer], recorder: Recorder | None) -> list[Answer]:
    """Return the answers, put on record first if there is a recorder."""
    if recorder is None:
        identities = [Identity(str(ULID()), datetime.now(UTC)) for _ in computed]
    else:
        identities = recorder.record(computed)
    return [
        Answer(identity.prediction_id, identity.created_at, tuple(one.predictions))
        for one, identity in zip(computed, identities, strict=True)
    ]


def _read(question: Question, models: Sequence[ServedModel]) -> list[Patient]:
    """Read the patient for each model, or raise with all that is broken for any of them."""
    own = set().union(*(model.own_variables for model in models))
    broken: dict[tuple[Place, str], BrokenRule] = {}
    patients = []
    for model in models:
        for problem in _horizon_problems(question.horizons_days or (), model):
            broken[problem.place, problem.rule] = problem
        try:
            elsewhere = own - set(model.own_variables)
            patients.append(read_patient(question, own=model.own_variables, elsewhere=elsewhere))
        except QuestionBroken as error:
            broken |= {(problem.place, problem.rule): problem for problem in error.broken}
    if broken:
        raise QuestionBroken(list(broken.values()))
    return patients


def _horizon_problems(horizons_days: Sequence[float], model: ServedModel) -> list[BrokenRule]:
    low, high = model.contract.min_horizon_days, model.contract.max_horizon_days
    message = (
        f"horizons_days must lie between {low:g} and {high:g} days for {model.loaded.name}; "
        "one does not."
    )
    return [
        BrokenRule(Place("horizons_days", number), "horizon", message)
        for number, days in enumerate(horizons_days)
        if not low <= days <= high
    ]


def _prediction(
    model: ServedModel, patient: Patient, question: Question, menu: Sequence[str]
) -> Prediction:
    table = table_of_patient(model, patient)
    raw, curve = model.loaded.risk_model.predict_with_curve(
        table, question.horizons_days, explain=question.explain
    )
    refusals = tuple(raw.refusals[0])
    refused = raw.status[0] == "refused"
    risks = () if refused else explained_risks(raw, model.contract, _recorded_values(patient, raw))
    expected, on_menu = (
        next_best(model, table, raw, menu) if question.next_best and not refused else ((), None)
    )
    return Prediction(
        outcome=model.contract.outcome,
        status="refused" if refused else "ok",
        model=model.identity,
        risks=risks,
        curve=None if refused else curve,
        summary=summary(risks, refusals, model.contract),
        missing=tuple(
            name
            for name, measured in zip(raw.variables, raw.measured[0], strict=True)
            if not measured
        ),
        ignored=(*patient.ignored, *_unused(model, patient)),
        warnings=_warnings(model, patient, raw),
        refusals=refusals,
        next_best=expected,
        next_best_summary=on_menu,
    )


def table_of_patient(model: ServedModel, patient: Patient) -> Table:
    """Return the one row that the model reads, with the columns that only its guard reads."""
    numbers: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, NDArray[np.object_]] = {}
    for feature in model.contract.features:
        column = feature.name
        base = column.removesuffix(f"__{BELOW}")
        found = patient.values.get(base)
        if feature.kind == "category":
            texts[column] = np.array([found and found.value], dtype=object)
        elif base != column:
            numbers[column] = np.array([found is not None and found.below], dtype=float)
        else:
            numbers[column] = np.array([found.value if found else np.nan], dtype=float)
    for column in model.guard_columns.intersection(patient.values) - set(numbers):
        numbers[column] = np.array([patient.values[column].value], dtype=float)
    return Table(1, numbers, texts)


def _recorded_values(patient: Patient, raw: RawPrediction) -> dict[str, RecordedValue]:
    """Return the value of each variable; none where only a `<name>__max` or the like is known."""
    if raw.points is None:
        return {}
    return {
        name: _recorded_value(patient, patient.values[name])
        for name in raw.variables
        if name in patient.values
    }


def _recorded_value(patient: Patient, found: CanonicalMeasurement) -> RecordedValue:
    value = found.value
    if not isinstance(value, float):
        return RecordedValue(value)
    if found.variable.kind == "flag":
        return RecordedValue(bool(value))
    if found.below or found.above:
        return RecordedValue(value, comparator="<" if found.below else ">")
    return RecordedValue(value, multiple_of_reference=_multiple_of_reference(patient, found))


def _multiple_of_reference(patient: Patient, found: CanonicalMeasurement) -> float | None:
    """Return the value over this patient's upper reference limit, or None if none is known."""
    if found.variable.name not in VARIABLES or not isinstance(found.value, float):
        return None
    sex = patient.word("sex")
    reference = reference_interval(
        found.variable,
        sex="female" if sex == "female" else "male" if sex == "male" else None,
        menopause=patient.word("menopausal_status"),
        age=patient.number("age"),
    )
    return found.value / reference.high if reference and reference.high else None


def _unused(model: ServedModel, patient: Patient) -> list[Ignored]:
    """Return the measurements that neither the model nor its guard reads."""
    read = {feature.name for feature in model.contract.features}
    read |= model.guard_columns
    return [
        Ignored(number, column, "not_in_model")
        for column, number in patient.numbers.items()
        if column not in read
    ]


def _warnings(model: ServedModel, patient: Patient, raw: RawPrediction) -> tuple[Remark, ...]:
    """Return what must be known beside the number, of the model, the question and the patient."""
    warnings = []
    if not model.promoted:
        warnings.append(_NOT_PROMOTED)
    if model.contract.simulated:
        warnings.append(_SIMULATED)
    used = {feature.variable for feature in model.contract.features}
    warnings += [w for w in patient.warnings if used.issuperset(w.variables)]
    columns = {feature.name for feature in model.contract.features}
    at_limit = [
        name
        for name, found in patient.values.items()
        if name in columns and (found.above or (found.below and f"{name}__{BELOW}" not in columns))
    ]
    if at_limit:
        warnings.append(_AT_LIMIT._replace(variables=tuple(at_limit)))
    return (*warnings, *raw.warnings[0])
