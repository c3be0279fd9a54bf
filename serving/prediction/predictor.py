"""From a question to the answer, for every interface.

Nothing here stores a question: models are only read, and all other objects are new.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from ulid import ULID

from data_schema.derived.derivations import DERIVATIONS
from data_schema.measurements import CanonicalMeasurement
from data_schema.variables import BELOW, base_name, is_not_done
from models.inference.prediction import Remark
from models.inference.risk_model import Prediction as RawPrediction
from models.inference.risk_model import Table
from models.patient_explanation import (
    ExplainedRisk,
    beside,
    entries_that_settle,
    explained_risks,
    summary,
)
from models.stated_values import Comparator, Person, RecordedValue, recorded_value
from serving.http.tracing import span
from serving.prediction.answer import Answer, Ignored, Prediction
from serving.prediction.derived import with_derived_values
from serving.prediction.next_best import next_best
from serving.prediction.on_record import ComputedAnswer, Identity, Recorder, ShadowRisks
from serving.prediction.patient import Patient, read_patient
from serving.prediction.question import BrokenRule, NoModel, Place, Question, QuestionBroken
from serving.prediction.served import Served, ServedModel

__all__ = ["patient_of", "predict", "predict_batch", "table_of_patient"]

_LOG = logging.getLogger(__name__)

_AT_LIMIT = Remark(
    code="beyond_assay_limit",
    message="The value lies beyond a limit of its assay; the limit was used.",
    variables=(),
)


_AS_NOT_ENTERED = Remark(
    code="absent_as_not_entered",
    message="Recorded as not done counts as not entered here: the model learned from such records "
    "of another source.",
    variables=(),
)


def predict(question: Question, served: Served, recorder: Recorder | None = None) -> Answer:
    """Answer one question; a recorder, if given, records the answer before it is returned.

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
    """Answer several questions as `predict`, in order: all of them or none.

    The answers are recorded together. A rule that is broken states the number of its question.
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
    predictions, seconds, inputs = [], [], []
    for model, patient in zip(models, patients, strict=True):
        began = perf_counter()
        with span("model", {"osteon.model": model.loaded.name}):
            completed = with_derived_values(patient, question, _variables_read(model))
            inputs.append(table_of_patient(model, completed))
            predictions.append(
                _prediction(model, completed, question, served.menu, table=inputs[-1])
            )
        seconds.append(perf_counter() - began)
    shadows = [
        _in_the_shadow(served.shadows[model.loaded.name], question)
        for model in models
        if model.loaded.name in served.shadows and not question.is_interim
    ]
    return ComputedAnswer(question, models, predictions, seconds, shadows, inputs)


def _in_the_shadow(model: ServedModel, question: Question) -> ShadowRisks:
    """Return what a model in the shadow would answer; whatever fails there, the answer stands."""
    try:
        (patient,) = _read(question, [model])
        patient = with_derived_values(patient, question, _variables_read(model))
        raw = model.loaded.risk_model.predict(
            table_of_patient(model, patient), question.horizons_days, interval=False
        )
        refused = (*patient.refusals, *raw.refusals[0], *_withheld(model, patient))
    except Exception as error:  # noqa: BLE001 - a challenger must never cost a patient the answer
        _LOG.warning("%s failed in the shadow: %s", model.loaded.name, type(error).__name__)
        return ShadowRisks(model, ())
    if refused:
        return ShadowRisks(model, ())
    risks = zip(raw.horizons_days.tolist(), raw.risk[0].tolist(), strict=True)
    return ShadowRisks(model, tuple(risks))


def _recorded(computed: Sequence[ComputedAnswer], recorder: Recorder | None) -> list[Answer]:
    """Return the answers, recorded first if there is a recorder."""
    if recorder is None:
        identities = [Identity(str(ULID()), datetime.now(UTC)) for _ in computed]
    else:
        identities = recorder.record(computed)
    return [
        Answer(identity.prediction_id, identity.created_at, tuple(one.predictions))
        for one, identity in zip(computed, identities, strict=True)
    ]


def _read(question: Question, models: Sequence[ServedModel]) -> list[Patient]:
    """Return the patient as each model reads it, or raise with every rule broken for any model."""
    own = set().union(*(model.own_variables for model in models))
    broken: dict[tuple[Place, str], BrokenRule] = {}
    patients = []
    for model in models:
        for problem in _horizon_problems(question.horizons_days or (), model):
            broken[problem.place, problem.rule] = problem
        try:
            patients.append(patient_of(model, question, own - set(model.own_variables)))
        except QuestionBroken as error:
            broken |= {(problem.place, problem.rule): problem for problem in error.broken}
    if broken:
        raise QuestionBroken(list(broken.values()))
    return patients


def patient_of(model: ServedModel, question: Question, elsewhere: Collection[str] = ()) -> Patient:
    """Return the patient of a question as a model reads it, or raise QuestionBroken.

    `elsewhere` names variables that only other models of the same question have.
    """
    return read_patient(
        question,
        own=model.own_variables,
        elsewhere=elsewhere,
        icu_hours=model.hours_after_admission,
    )


def _horizon_problems(horizons_days: Sequence[float], model: ServedModel) -> list[BrokenRule]:
    low, high = model.contract.min_horizon_days, model.contract.max_horizon_days
    message = f"horizons_days must be {low:g} to {high:g} days for {model.loaded.name}."
    return [
        BrokenRule(Place("horizons_days", number), "horizon", message)
        for number, days in enumerate(horizons_days)
        if not low <= days <= high
    ]


def _prediction(
    model: ServedModel, patient: Patient, question: Question, menu: Sequence[str], *, table: Table
) -> Prediction:
    raw, curve = model.loaded.risk_model.predict_with_curve(
        table, question.horizons_days, explain=question.explain
    )
    refusals = (*patient.refusals, *raw.refusals[0], *_withheld(model, patient))
    refused = bool(refusals)
    risks: tuple[ExplainedRisk, ...] = ()
    comparison_curve = None
    if not refused:
        shown = beside(model.loaded.risk_model, table, raw, curve.days)
        recorded = _recorded_values(patient, raw)
        risks = explained_risks(raw, model.contract, recorded, shown)
        if shown.comparison_risk is not None:
            comparison_curve = tuple(shown.comparison_risk[len(raw.horizons_days) :].tolist())
    expected, on_menu = (
        next_best(model, table, raw, menu) if question.next_best and not refused else ((), None)
    )
    absent = _absent(model, patient)
    return Prediction(
        outcome=model.contract.outcome,
        status="refused" if refused else "ok",
        model=model.identity,
        completeness=raw.completeness[0],
        risks=risks,
        curve=None if refused else curve,
        summary=summary(risks, refusals, model.contract),
        missing=tuple(
            name
            for name, measured in zip(raw.variables, raw.measured[0], strict=True)
            if not measured
        ),
        absent=absent,
        would_settle=entries_that_settle(model.loaded.risk_model, table, raw, absent=absent),
        ignored=(*patient.ignored, *_unused(model, patient)),
        warnings=_warnings(model, patient, raw),
        refusals=refusals,
        contract=model.contract,
        comparison_curve=comparison_curve,
        treatment_limitation="comfort_care" if question.is_comfort_care else "not_recorded",
        next_best=expected,
        next_best_summary=on_menu,
    )


def _withheld(model: ServedModel, patient: Patient) -> list[Remark]:
    """Return a refusal where a value that could not be read is of a variable that counts much.

    The model would take it as not entered, and a high value would lower the risk by its absence.
    """
    strongest = model.strongest_variables
    hidden = tuple(name for name in patient.hidden if name in strongest)
    if not hidden:
        return []
    label = {feature.variable: feature.label for feature in model.contract.features}
    named = ", ".join(label.get(name, name) for name in hidden)
    message = (
        f"The newest value could not be read, and it counts much in this model: {named}. Correct "
        "it in the record, or enter it by hand."
    )
    return [Remark("unreadable_value", message, hidden)]


def table_of_patient(model: ServedModel, patient: Patient) -> Table:
    """Return the row that the model reads, with the columns that only its guard reads."""
    numbers: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, NDArray[np.object_]] = {}
    for feature in model.contract.features:
        column = feature.name
        if is_not_done(column):
            # Gaps of a single request do not arise as those of the training data.
            numbers[column] = np.zeros(1)
            continue
        base = column.removesuffix(f"__{BELOW}")
        measured = patient.values.get(base)
        if feature.kind == "category":
            texts[column] = np.array([measured and measured.value], dtype=object)
        elif base != column:
            numbers[column] = np.array([measured is not None and measured.below], dtype=float)
        else:
            numbers[column] = np.array([measured.value if measured else np.nan], dtype=float)
    for column in model.guard_columns.intersection(patient.values) - set(numbers):
        numbers[column] = np.array([patient.values[column].value], dtype=float)
    for column, value in patient.policy.items():
        numbers[column] = np.array([value])
    return Table(1, numbers, texts)


def _recorded_values(patient: Patient, raw: RawPrediction) -> dict[str, RecordedValue]:
    """Return the value of each variable, without those known only as `<name>__max` or the like."""
    if raw.points is None:
        return {}
    person = Person(patient.word("sex"), patient.word("menopausal_status"), patient.number("age"))
    return {
        name: _recorded_value(person, patient.values[name])
        for name in raw.variables
        if name in patient.values
    }


def _recorded_value(person: Person, measured: CanonicalMeasurement) -> RecordedValue:
    value = measured.value
    if not isinstance(value, float):
        return RecordedValue(value)
    if measured.variable.kind == "flag":
        return RecordedValue(bool(value))
    comparator: Comparator | None = "<" if measured.below else ">" if measured.above else None
    return recorded_value(measured.variable.name, value, person, comparator=comparator)


def _absent(model: ServedModel, patient: Patient) -> tuple[str, ...]:
    """Return the variables recorded as not done that the model or its guard reads."""
    read = _variables_read(model)
    return tuple(name for name in patient.absent if name in read)


def _variables_read(model: ServedModel) -> frozenset[str]:
    features = {feature.variable for feature in model.contract.features}
    return frozenset(features | {base_name(column) for column in model.guard_columns})


def _unused(model: ServedModel, patient: Patient) -> list[Ignored]:
    """Return the measurements and absences that neither the model nor its guard reads.

    What a value was derived from is used.
    """
    read = {feature.name for feature in model.contract.features} | model.guard_columns
    derived = [
        name for name in patient.values if name in DERIVATIONS and name not in patient.numbers
    ]
    read |= {part for name in derived for part in DERIVATIONS[name].reads}
    unused = [
        Ignored(number, column, "not_in_model")
        for column, number in patient.numbers.items()
        if column not in read
    ]
    variables = _variables_read(model)
    return unused + [
        Ignored(number, name, "not_in_model", "absent")
        for name, number in patient.absent.items()
        if name not in variables
    ]


def _warnings(model: ServedModel, patient: Patient, raw: RawPrediction) -> tuple[Remark, ...]:
    """Return the warnings about the model, the question and the patient."""
    warnings = list(model.warnings)
    used = {feature.variable for feature in model.contract.features}
    warnings += [one for one in patient.warnings if used.issuperset(one.variables)]
    columns = {feature.name for feature in model.contract.features}
    at_limit = [
        name
        for name, one in patient.values.items()
        if name in columns and (one.above or (one.below and f"{name}__{BELOW}" not in columns))
    ]
    if at_limit:
        warnings.append(_AT_LIMIT._replace(variables=tuple(at_limit)))
    absent = _absent(model, patient)
    if absent and model.contract.missingness == "informative":
        warnings.append(_AS_NOT_ENTERED._replace(variables=absent))
    return (*warnings, *raw.warnings[0])
