"""From a request to the answer: the one way to a prediction, whichever door it is asked at.

Nothing here remembers a request: models are read only, and all else is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ulid import ULID

from data_schema.biomarkers import VARIABLES
from data_schema.variables import BELOW
from models import wording
from models.inference.risk_model import Curve, Table
from models.inference.risk_model import Prediction as RawPrediction
from models.wording import NOTICE
from serving.prediction.contributions import NOT_MEASURED, contributions, pathway_points
from serving.prediction.next_best import next_best
from serving.prediction.on_record import ComputedAnswer, Identity, Recorder
from serving.prediction.patient import Patient, not_used, read_patient
from serving.prediction.schemas import (
    CurvePoint,
    Ignored,
    Interval,
    Prediction,
    PredictRequest,
    PredictResponse,
    Remark,
    Risk,
)
from serving.prediction.served import Served, ServedModel
from serving.problems.details import FieldProblem, NoChampion, RequestBroken

__all__ = ["predict", "predict_batch", "table_of_patient"]

_MOVERS = 3

_NOT_PROMOTED = Remark(
    code="not_promoted",
    message="This model has no valid gate record here; nobody has approved it.",
    variables=[],
)
_SIMULATED = Remark(
    code="simulated",
    message="This model learned from simulated patients; it says nothing about real ones.",
    variables=[],
)
_AT_LIMIT = Remark(
    code="beyond_assay_limit",
    message="The value lies beyond a limit of its assay, and the limit itself was used.",
    variables=[],
)


def predict(
    request: PredictRequest, served: Served, recorder: Recorder | None = None
) -> PredictResponse:
    """Answer one request.

    Parameters
    ----------
    request : PredictRequest
    served : Served
    recorder : Recorder, optional
        Puts the answer on record before it is returned. If it is left out, nothing is recorded.

    Returns
    -------
    PredictResponse

    Raises
    ------
    RequestBroken
        With every rule of the contract that the request breaks.
    NoChampion
        If no model is served for an outcome that was asked for.
    OutsideError
        If the answer cannot be recorded.
    """
    (answer,) = _recorded([_computed(request, served)], recorder)
    return answer


def predict_batch(
    requests: Sequence[PredictRequest], served: Served, recorder: Recorder | None = None
) -> list[PredictResponse]:
    """Answer several requests, all of them or none; they are put on record together.

    Parameters
    ----------
    requests : sequence of PredictRequest
    served : Served
    recorder : Recorder, optional
        As in `predict`.

    Returns
    -------
    list of PredictResponse
        One of each request, in the same order.

    Raises
    ------
    RequestBroken, NoChampion
        As `predict` does, each field under `requests[i]`.
    OutsideError
        If the answers cannot be recorded.
    """
    computed, broken = [], []
    for number, request in enumerate(requests):
        try:
            computed.append(_computed(request, served))
        except RequestBroken as error:
            broken += [_within(problem, number) for problem in error.problems]
        except NoChampion as error:
            problems = [_within(problem, number) for problem in error.problems]
            raise NoChampion(problems) from None
    if broken:
        raise RequestBroken(broken)
    return _recorded(computed, recorder)


def _within(problem: FieldProblem, number: int) -> FieldProblem:
    inside = f"requests[{number}]."
    return problem.model_copy(
        update={"field": inside + problem.field, "message": inside + problem.message}
    )


def _computed(request: PredictRequest, served: Served) -> ComputedAnswer:
    models = served.find(request.outcomes)
    patients = _read(request, models)
    predictions = [
        _prediction(model, patient, request, served.menu)
        for model, patient in zip(models, patients, strict=True)
    ]
    return ComputedAnswer(request, models, predictions)


def _recorded(
    computed: Sequence[ComputedAnswer], recorder: Recorder | None
) -> list[PredictResponse]:
    """Return the answers, put on record first if there is a recorder."""
    if recorder is None:
        identities = [Identity(str(ULID()), datetime.now(UTC)) for _ in computed]
    else:
        identities = recorder.record(computed)
    return [
        PredictResponse(
            prediction_id=identity.prediction_id,
            created_at=identity.created_at,
            time_zero=one.request.time_zero,
            predictions=list(one.predictions),
            notice=NOTICE,
        )
        for one, identity in zip(computed, identities, strict=True)
    ]


def _read(request: PredictRequest, models: Sequence[ServedModel]) -> list[Patient]:
    """Read the patient for each model, or raise with all that is broken for any of them."""
    own = set().union(*(model.own_variables for model in models))
    broken: dict[tuple[str, str], FieldProblem] = {}
    patients = []
    for model in models:
        for problem in _horizon_problems(request.horizons_days or (), model):
            broken[problem.field, problem.rule] = problem
        try:
            elsewhere = own - set(model.own_variables)
            patients.append(read_patient(request, own=model.own_variables, elsewhere=elsewhere))
        except RequestBroken as error:
            broken |= {(problem.field, problem.rule): problem for problem in error.problems}
    if broken:
        raise RequestBroken(list(broken.values()))
    return patients


def _horizon_problems(horizons_days: Sequence[float], model: ServedModel) -> list[FieldProblem]:
    low, high = model.contract.min_horizon_days, model.contract.max_horizon_days
    return [
        FieldProblem(
            field=f"horizons_days[{number}]",
            rule="horizon",
            message=f"horizons_days must lie between {low:g} and {high:g} days for "
            f"{model.loaded.name}; one does not.",
        )
        for number, days in enumerate(horizons_days)
        if not low <= days <= high
    ]


def _prediction(
    model: ServedModel,
    patient: Patient,
    request: PredictRequest,
    menu: Sequence[str],
) -> Prediction:
    table = table_of_patient(model, patient)
    raw, curve = model.loaded.risk_model.predict_with_curve(
        table, request.horizons_days, explain=request.explain
    )
    refusals = [Remark.model_validate(refusal._asdict()) for refusal in raw.refusals[0]]
    missing = [
        name for name, measured in zip(raw.variables, raw.measured[0], strict=True) if not measured
    ]
    refused = raw.status[0] == "refused"
    risks = [] if refused else [_said(model, risk) for risk in _risks(model, patient, raw)]
    told: dict[str, Any] = {"next_best": []}
    if request.next_best and not refused:
        told = next_best(model, table, raw, menu)
    return Prediction(
        outcome=model.contract.outcome,
        status="refused" if refused else "ok",
        model=model.identity,
        risks=risks,
        curve=[] if refused else _curve_points(curve),
        summary=_summary(model, risks, refusals),
        missing=missing,
        ignored=[*patient.ignored, *_unused(model, patient)],
        warnings=_warnings(model, patient, raw),
        refusals=refusals,
        **told,
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


def _risks(model: ServedModel, patient: Patient, raw: RawPrediction) -> list[Risk]:
    """Return the risk by each horizon."""
    interval = model.contract.interval
    risks = []
    for horizon, listed in enumerate(contributions(patient, raw)):
        risks.append(
            Risk(
                horizon_days=_days(raw.horizons_days[horizon]),
                risk=float(raw.risk[0, horizon]),
                interval=Interval(
                    low=float(raw.risk_low[0, horizon]),
                    high=float(raw.risk_high[0, horizon]),
                    level=interval.level,
                    kind=interval.kind,
                ),
                baseline_risk=float(raw.baseline_risk[horizon]),
                cohort_risk=float(raw.cohort_risk[horizon]),
                competing_risk=_of_first(raw.competing_risk, horizon),
                monotone_adjustment=float(raw.monotone_adjustment[0, horizon]),
                monotone_adjustment_points=float(raw.adjustment_points[0, horizon]),
                contributions=listed,
                pathways=pathway_points(listed),
            )
        )
    return risks


def _curve_points(curve: Curve) -> list[CurvePoint]:
    """Return the risk with its interval and what stands beside it, at each day of the grid."""
    none = [None] * len(curve.days)
    return [
        CurvePoint(
            day=_days(day),
            risk=risk,
            low=low,
            high=high,
            cohort_risk=cohort_risk,
            competing_risk=competing_risk,
        )
        for day, risk, low, high, cohort_risk, competing_risk in zip(
            curve.days.tolist(),
            curve.risk[0].tolist(),
            curve.risk_low[0].tolist(),
            curve.risk_high[0].tolist(),
            curve.cohort_risk.tolist(),
            none if curve.competing_risk is None else curve.competing_risk[0].tolist(),
            strict=True,
        )
    ]


def _of_first(values: NDArray[np.float64] | None, at: int) -> float | None:
    """Return the value of the one patient, or None where there is none."""
    return None if values is None else float(values[0, at])


def _days(days: float) -> int | float:
    """Return whole days as the whole number they are."""
    return int(days) if float(days).is_integer() else float(days)


def _unused(model: ServedModel, patient: Patient) -> list[Ignored]:
    """Return the measurements that neither the model nor its guard reads."""
    read = {feature.name for feature in model.contract.features}
    read |= model.guard_columns
    return [
        not_used(field, column, "not_in_model")
        for column, field in patient.fields.items()
        if column not in read
    ]


def _warnings(model: ServedModel, patient: Patient, raw: RawPrediction) -> list[Remark]:
    """Return what must be known beside the number, of the model, the request and the patient."""
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
        warnings.append(_AT_LIMIT.model_copy(update={"variables": at_limit}))
    return warnings + [Remark.model_validate(warning._asdict()) for warning in raw.warnings[0]]


def _summary(model: ServedModel, risks: Sequence[Risk], refusals: Sequence[Remark]) -> str:
    """Say the answer in plain sentences; what moved it is said for the first horizon asked."""
    contract = model.contract
    learned_from = f"The model learned from: {contract.population.rstrip('.')}."
    if not risks:
        reasons = [refusal.message for refusal in refusals]
        return " ".join([wording.refusal_sentence(reasons), learned_from, NOTICE])
    estimates = [risk.sentences[0] for risk in risks]
    return " ".join([*estimates, *risks[0].sentences[1:], learned_from, NOTICE])


def _said(model: ServedModel, risk: Risk) -> Risk:
    """Return a risk with the sentences that say it: the estimate, then what moved it."""
    estimate = wording.estimate_sentence(
        risk=risk.risk,
        low=risk.interval.low,
        high=risk.interval.high,
        level=risk.interval.level,
        horizon_days=risk.horizon_days,
        events=model.contract.event_label,
        competing_risk=risk.competing_risk,
    )
    moved = wording.mover_sentences(_movers(model, risk), horizon_days=risk.horizon_days)
    return risk.model_copy(update={"sentences": [estimate, *moved]})


def _movers(model: ServedModel, risk: Risk) -> list[wording.Mover]:
    """Return the measured variables that moved a risk most, and all that was not measured."""
    labels = {feature.variable: feature.label for feature in model.contract.features}
    movers = [
        wording.Mover(
            label=labels[one.variable],
            points=one.points,
            treatment=one.variable in VARIABLES and VARIABLES[one.variable].treatment,
            caution=VARIABLES[one.variable].caution if one.variable in VARIABLES else "",
        )
        for one in risk.contributions[:_MOVERS]
        if one.measured
    ]
    return movers + [
        wording.Mover(label=wording.NOT_MEASURED, points=one.points)
        for one in risk.pathways
        if one.pathway == NOT_MEASURED
    ]
