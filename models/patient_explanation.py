"""One patient's risk, what moved it, and the sentences that state it.

The command, the service and the report all take their explanation from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.errors import UsageError
from data_schema.variables import BELOW, PATHWAYS
from models import wording
from models.inference.completeness import Completeness
from models.inference.contract import Contract, Feature
from models.inference.guard import TOO_LITTLE_ENTERED
from models.inference.matrices import expit
from models.inference.prediction import Remark
from models.inference.risk_model import InferenceError, Prediction, RiskModel, Table
from models.stated_values import Person, RecordedValue, in_words, recorded_value

__all__ = [
    "NOT_MEASURED",
    "NOT_MEASURED_LABEL",
    "Beside",
    "Comparison",
    "Contribution",
    "ExplainedRisk",
    "IfComplete",
    "Interval",
    "PatientExplanation",
    "SettlingEntry",
    "beside",
    "entries_that_settle",
    "example_patient",
    "explain_patient",
    "explained_risks",
    "panel_sentence",
    "pathway_label",
    "pathway_sums",
    "stated_contributions",
    "summary",
]

NOT_MEASURED = "not_measured"
"""Key of the sum over all variables without a value, which belongs to no pathway."""

NOT_MEASURED_LABEL = "Inferred for what was not entered"

_MOST_STATED = 3
_PERSON = ("age", "sex")
_SEVERITY = "severity"
"""Pathway of the severity scores and the organ functions."""

_LEAST_SHARE = 0.005


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one variable adds to the estimate, in log-odds and in points of risk.

    That of a variable without a value (`measured` is false) is what the model inferred for it.
    `words` is the variable with its value as a clinician says it.
    """

    variable: str
    label: str
    pathway: str
    measured: bool
    unit: str
    recorded: RecordedValue
    log_odds: float
    points: float
    words: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the best attainable risk is expected to lie; `kind` names the method.

    `very_wide` if the risk within it says too little to be shown as a number to rely on.
    """

    low: float
    high: float
    level: float
    kind: str
    very_wide: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The estimate for a patient of the same age, sex and severity, otherwise unknown.

    `same` lists what of these was entered. Severity is every variable of its pathway: scores and
    organ functions.
    """

    risk: float
    same: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What the same model, and a fit without the panel, give beside one patient's risks.

    Parameters
    ----------
    same : tuple of str
        What a comparable patient shares: age, sex, severity, as far as they were entered; empty
        without a comparison, as where nothing else was entered.
    comparison_risk : ndarray of float, shape (n_days,), or None
        Risk of the comparable patient at the horizons, then at the days of the curve.
    without_panel : ndarray of float, shape (n_horizons,), or None
        Risk without the panel; None where the model holds no such fit, or no marker of the panel
        was entered.
    """

    same: tuple[str, ...]
    comparison_risk: NDArray[np.float64] | None
    without_panel: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class IfComplete:
    """Where the estimate would most likely lie if everything were entered.

    How far empty fields could still move the estimate. `Interval` is another thing: the uncertainty
    of the risk given the values that were entered.
    """

    low: float
    high: float
    level: float
    sentence: str


@dataclass(frozen=True, slots=True)
class SettlingEntry:
    """An empty field, and the share of what empty fields leave open that its value would settle.

    The share is of the variance of the log-odds, in [0, 1]. Those of several fields do not add up,
    since fields inform one another.
    """

    variable: str
    label: str
    share: float


@dataclass(frozen=True, slots=True)
class ExplainedRisk:
    """One risk and what explains it.

    The points of `contributions`, or of `pathways`, and `monotone_adjustment_points` sum to
    100 * (risk - baseline_risk). `sentences` state the risk first, then what moved it.
    `risk_without_panel` is that of a fit to the same patients without the panel of markers, with
    `panel_sentence` beside it; None and "" where nothing is to be shown.
    """

    horizon_days: float
    risk: float
    interval: Interval
    if_complete: IfComplete
    baseline_risk: float
    cohort_risk: float
    competing_risk: float | None
    monotone_adjustment: float
    monotone_adjustment_points: float
    contributions: tuple[Contribution, ...]
    pathways: Mapping[str, float]
    sentences: tuple[str, ...]
    comparison: Comparison | None
    risk_without_panel: float | None
    panel_sentence: str


@dataclass(frozen=True, slots=True)
class PatientExplanation:
    """The model's answer for one patient; without risks if it refuses the patient.

    `panel` states what the model's panel of markers adds, or is "" without a panel; `validation`
    whether the model was judged elsewhere.
    """

    status: str
    completeness: Completeness
    risks: tuple[ExplainedRisk, ...]
    refusals: tuple[Remark, ...]
    warnings: tuple[Remark, ...]
    would_settle: tuple[SettlingEntry, ...]
    summary: str
    panel: str
    validation: str

    def as_json(self) -> dict[str, object]:
        """Return the explanation as the command line prints it."""
        return {
            "status": self.status,
            "completeness": self.completeness,
            "risks": [_risk_as_json(risk) for risk in self.risks],
            "refusals": [remark._asdict() for remark in self.refusals],
            "warnings": [remark._asdict() for remark in self.warnings],
            "would_settle": [asdict(entry) for entry in self.would_settle],
            "summary": self.summary,
            "panel": self.panel,
            "validation": self.validation,
            "notice": wording.NOTICE,
        }


def _risk_as_json(risk: ExplainedRisk) -> dict[str, object]:
    fields = asdict(risk)
    for name in ("interval", "sentences"):
        del fields[name]
    contributions = [{**asdict(c), "value": c.recorded.value} for c in risk.contributions]
    for contribution in contributions:
        del contribution["recorded"]
    return fields | {
        "risk_low": risk.interval.low,
        "risk_high": risk.interval.high,
        "very_wide": risk.interval.very_wide,
        "contributions": contributions,
        "pathways": [{"pathway": key, "points": points} for key, points in risk.pathways.items()],
    }


def example_patient(contract: Contract) -> pd.DataFrame:
    """Return the contract's made-up patient of middle values."""
    row = {name: [value] for name, value in contract.example.items()}
    text = [f.name for f in contract.features if f.kind == "category"]
    return pd.DataFrame(row).astype({name: object if name in text else np.float64 for name in row})


def explain_patient(
    risk_model: RiskModel, frame: pd.DataFrame, horizons_days: Sequence[float] | None = None
) -> PatientExplanation:
    """Return risks with intervals, contributions and plain sentences.

    `frame` holds one patient, with every column that the model reads. `UsageError` if a horizon
    lies outside the model's range.
    """
    try:
        prediction = risk_model.predict(frame, horizons_days, explain=True)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    contract, status = risk_model.contract, prediction.status[0]
    person = _person(frame)
    recorded = {
        name: _recorded(name, frame, feature.kind, person)
        for name, feature in _own_features(contract).items()
        if name in frame
    }
    risks = (
        explained_risks(prediction, contract, recorded, beside(risk_model, frame, prediction))
        if status == "ok"
        else ()
    )
    refusals = tuple(prediction.refusals[0])
    return PatientExplanation(
        status=status,
        completeness=prediction.completeness[0],
        risks=risks,
        refusals=refusals,
        warnings=tuple(prediction.warnings[0]),
        would_settle=entries_that_settle(risk_model, frame, prediction),
        summary=summary(risks, refusals, contract),
        panel=panel_sentence(contract),
        validation=wording.validation_sentence(contract.evaluation),
    )


def _person(frame: pd.DataFrame) -> Person:
    """Return what of a patient decides on reference intervals."""
    row = frame.iloc[0]
    sex, menopause, age = (row.get(name) for name in ("sex", "menopausal_status", "age"))
    return Person(
        sex if isinstance(sex, str) else None,
        menopause if isinstance(menopause, str) else None,
        None if age is None or pd.isna(age) else float(age),
    )


def _recorded(name: str, frame: pd.DataFrame, kind: str, person: Person) -> RecordedValue:
    cell: float | str | None = frame[name].iloc[0]
    if pd.isna(cell):
        return RecordedValue()
    if kind == "flag":
        return RecordedValue(bool(cell))
    if isinstance(cell, str):
        return RecordedValue(cell)
    is_below = f"{name}__{BELOW}" in frame and frame[f"{name}__{BELOW}"].iloc[0] == 1
    return recorded_value(name, float(cell), person, comparator="<" if is_below else None)


def beside(
    risk_model: RiskModel,
    frame: pd.DataFrame | Table,
    prediction: Prediction,
    curve_days: NDArray[np.float64] | None = None,
) -> Beside:
    """Return what is shown beside the risks of one patient, whom the model must not refuse.

    Parameters
    ----------
    frame : DataFrame, shape (1, ...), or Table
        The patient that `prediction` is of.
    curve_days : ndarray of float, shape (n,), optional
        Further days for the comparable patient.
    """
    days = prediction.horizons_days
    measured = {
        name
        for name, has_value in zip(prediction.variables, prediction.measured[0], strict=True)
        if has_value
    }
    pathway = dict(zip(prediction.variables, prediction.pathways, strict=True))
    severity = {name for name in measured if pathway[name] == _SEVERITY}
    alike = measured & set(_PERSON) | severity
    same = (*(name for name in _PERSON if name in alike), *((_SEVERITY,) if severity else ()))
    comparison = None
    if alike and measured - alike:
        at = days if curve_days is None else np.concatenate([days, curve_days])
        comparison = risk_model.risk_given(frame, alike, at)[0]
    panel = risk_model.contract.panel
    without = None
    if panel is not None and measured.intersection(panel.variables):
        without = risk_model.risk_without_panel(frame, days)
    return Beside(
        same if comparison is not None else (), comparison, None if without is None else without[0]
    )


def panel_sentence(contract: Contract) -> str:
    """Return what the panel of a model adds, "" where no panel was judged."""
    return "" if contract.panel is None else wording.panel_sentence(contract.panel)


def explained_risks(
    prediction: Prediction,
    contract: Contract,
    recorded: Mapping[str, RecordedValue],
    shown_beside: Beside,
) -> tuple[ExplainedRisk, ...]:
    """Return the risks of one patient at each horizon of a prediction, each with its explanation.

    The model must not refuse the patient. `recorded` holds the values to show, by variable.
    """
    interval = contract.interval
    risks = []
    for at, contributions in enumerate(_contributions(prediction, contract, recorded)):
        days = float(prediction.horizons_days[at])
        pathways = _pathway_points(contributions)
        risk, low, high = (
            float(values[0, at])
            for values in (prediction.risk, prediction.risk_low, prediction.risk_high)
        )
        competing = prediction.competing_risk
        competing_risk = None if competing is None else float(competing[0, at])
        estimate = wording.estimate_sentence(
            risk=risk,
            low=low,
            high=high,
            level=interval.level,
            horizon_days=days,
            event=contract.event,
            competing_risk=competing_risk,
        )
        stated = stated_contributions(contributions[:_MOST_STATED])
        inferred = pathways.get(NOT_MEASURED, 0.0)
        stated.append(wording.StatedContribution(wording.INFERRED, inferred))
        risks.append(
            ExplainedRisk(
                horizon_days=days,
                risk=risk,
                interval=Interval(
                    low, high, interval.level, interval.kind, wording.is_very_wide(low, high)
                ),
                if_complete=_if_complete(risk, float(prediction.unsettled[0, at]), days, contract),
                baseline_risk=float(prediction.baseline_risk[at]),
                cohort_risk=float(prediction.cohort_risk[at]),
                competing_risk=competing_risk,
                monotone_adjustment=float(prediction.monotone_adjustment[0, at]),
                monotone_adjustment_points=float(prediction.adjustment_points[0, at]),
                contributions=contributions,
                pathways=pathways,
                sentences=(estimate, *wording.contribution_sentences(stated, horizon_days=days)),
                comparison=_comparison(shown_beside, at, days),
                **_without_panel(shown_beside, at, risk, days),
            )
        )
    return tuple(risks)


def _comparison(shown: Beside, at: int, days: float) -> Comparison | None:
    if shown.comparison_risk is None:
        return None
    risk = float(shown.comparison_risk[at])
    sentence = wording.comparison_sentence(risk=risk, same=shown.same, horizon_days=days)
    return Comparison(risk, shown.same, sentence)


class _WithoutPanel(TypedDict):
    risk_without_panel: float | None
    panel_sentence: str


def _without_panel(shown: Beside, at: int, risk: float, days: float) -> _WithoutPanel:
    if shown.without_panel is None:
        return {"risk_without_panel": None, "panel_sentence": ""}
    without = float(shown.without_panel[at])
    sentence = wording.panel_estimate_sentence(risk=risk, without=without, horizon_days=days)
    return {"risk_without_panel": without, "panel_sentence": sentence}


def _if_complete(risk: float, unsettled: float, days: float, contract: Contract) -> IfComplete:
    """Return the range of logit(risk) +- z sqrt(unsettled), z as in the interval."""
    level = contract.interval.level
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(np.sqrt(unsettled))
    at = float(np.log(risk) - np.log1p(-risk))
    low, high = (float(end) for end in expit(np.array([at - reach, at + reach])))
    sentence = wording.if_complete_sentence(low=low, high=high, horizon_days=days)
    return IfComplete(low, high, level, sentence)


def entries_that_settle(
    risk_model: RiskModel,
    frame: pd.DataFrame | Table,
    prediction: Prediction,
    *,
    absent: Sequence[str] = (),
) -> tuple[SettlingEntry, ...]:
    """Return up to three empty fields that would settle most at the first horizon, largest first.

    Parameters
    ----------
    frame : DataFrame, shape (1, ...), or Table
        The patient that `prediction` is of.
    absent : sequence of str
        Variables recorded as not done, which have no value to enter.

    Returns
    -------
    tuple of SettlingEntry
        Empty where the model refuses the patient for another reason than that too little is
        entered.
    """
    if any(refusal.code != TOO_LITTLE_ENTERED for refusal in prediction.refusals[0]):
        return ()
    shares = risk_model.settled_by(frame, float(prediction.horizons_days[0]))[0]
    own = _own_features(risk_model.contract)
    entries = [
        SettlingEntry(name, own[name].label, float(share))
        for name, share, measured in zip(
            prediction.variables, shares, prediction.measured[0], strict=True
        )
        if share >= _LEAST_SHARE and not measured and name not in absent
    ]
    return tuple(sorted(entries, key=lambda entry: (-entry.share, entry.variable))[:_MOST_STATED])


def summary(risks: Sequence[ExplainedRisk], refusals: Sequence[Remark], contract: Contract) -> str:
    """Return the answer in plain sentences; what moved it is stated for the first horizon."""
    learned_from = f"The model learned from: {contract.population.rstrip('.')}."
    if not risks:
        refused = wording.refusal_sentence([refusal.message for refusal in refusals])
        return " ".join([refused, learned_from, wording.NOTICE])
    estimates = [risk.sentences[0] for risk in risks]
    first = risks[0]
    compared = [first.comparison.sentence] if first.comparison else []
    panel = list(filter(None, [panel_sentence(contract), first.panel_sentence]))
    moved = [first.if_complete.sentence, *compared, *first.sentences[1:], *panel]
    validated = wording.validation_sentence(contract.evaluation)
    return " ".join([*estimates, *moved, learned_from, validated, wording.NOTICE])


def stated_contributions(
    contributions: Sequence[Contribution],
) -> list[wording.StatedContribution]:
    """Return the contributions of measured variables, as sentences take them."""
    return [
        wording.StatedContribution(
            label=c.label,
            points=c.points,
            words=c.words,
            treatment=c.variable in VARIABLES and VARIABLES[c.variable].treatment,
            caution=VARIABLES[c.variable].caution if c.variable in VARIABLES else "",
        )
        for c in contributions
        if c.measured
    ]


def _contributions(
    prediction: Prediction, contract: Contract, recorded: Mapping[str, RecordedValue]
) -> list[tuple[Contribution, ...]]:
    """Return the contributions at each horizon: measured variables first, the largest first."""
    if prediction.log_odds is None or prediction.points is None:
        return [() for _ in prediction.horizons_days]
    log_odds, points = prediction.log_odds[0].tolist(), prediction.points[0].tolist()
    own, measured = _own_features(contract), prediction.measured[0].tolist()
    unknown = RecordedValue()

    def contribution(v: int, h: int) -> Contribution:
        name = prediction.variables[v]
        value = recorded.get(name, unknown) if measured[v] else unknown
        return Contribution(
            variable=name,
            label=own[name].label,
            pathway=prediction.pathways[v],
            measured=measured[v],
            unit=own[name].unit,
            recorded=value,
            log_odds=log_odds[h][v],
            points=points[h][v],
            words=in_words(name, own[name].label, own[name].unit, value),
        )

    return [
        tuple(sorted((contribution(v, h) for v in range(len(measured))), key=_sort_key))
        for h in range(len(prediction.horizons_days))
    ]


def _sort_key(contribution: Contribution) -> tuple[bool, float, str]:
    return not contribution.measured, -abs(contribution.points), contribution.variable


def _own_features(contract: Contract) -> dict[str, Feature]:
    """Return a feature of each variable: its own column, else its maximum, slope or flag."""
    own_last = sorted(contract.features, key=lambda f: f.name == f.variable)
    return {feature.variable: feature for feature in own_last}


def _pathway_points(contributions: Sequence[Contribution]) -> dict[str, float]:
    """Return `pathway_sums` of one patient's contributions; empty without contributions."""
    sums = dict.fromkeys((c.pathway for c in contributions), 0.0) | {NOT_MEASURED: 0.0}
    for c in contributions:
        sums[c.pathway if c.measured else NOT_MEASURED] += c.points
    order = [*PATHWAYS, NOT_MEASURED] if contributions else []
    return {name: sums[name] for name in order if name in sums}


def pathway_sums(
    contributions: NDArray[np.float64], measured: NDArray[np.bool_], pathways: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return contributions summed by pathway, variables without a value in one sum.

    Sums of the members' contributions, not a Shapley value of the group.

    Parameters
    ----------
    contributions, measured : ndarray, shape (n_patients, n_variables)
        Contributions in log-odds or in points.
    pathways : tuple of str
        Of each variable, a key of `PATHWAYS`.

    Returns
    -------
    dict of str to ndarray of float, shape (n_patients,)
        By the pathway's key, in the order of `PATHWAYS`, `NOT_MEASURED` last.
    """
    shown = np.where(measured, contributions, 0.0)
    of = np.array(pathways)
    sums = {name: shown[:, of == name].sum(axis=1) for name in PATHWAYS if name in of}
    return sums | {NOT_MEASURED: np.where(measured, 0.0, contributions).sum(axis=1)}


def pathway_label(pathway: str) -> str:
    """Return the printed name for a key of `pathway_sums`."""
    return PATHWAYS.get(pathway, NOT_MEASURED_LABEL)
