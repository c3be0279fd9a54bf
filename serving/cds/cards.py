"""One prediction as a card: information, never a suggestion.

The summary is shorter than 140 characters; the detail holds the explanation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import NotRequired, TypedDict

from data_schema.biomarkers import VARIABLES, is_bone_marker
from data_schema.printed_units import printed_unit
from data_schema.variables import LOCAL_SYSTEM
from models import wording
from models.inference.completeness import Completeness
from models.patient_explanation import (
    NOT_MEASURED,
    NOT_MEASURED_LABEL,
    Contribution,
    ExplainedRisk,
    panel_sentence,
    stated_contributions,
)
from models.wording import NOTICE
from serving.cds.moment import Landmark
from serving.fhir.override_reasons import OVERRIDE_REASONS
from serving.fhir.risk_assessment import AI_ASSERTED
from serving.page.facts import figures
from serving.prediction.answer import Prediction
from serving.prediction.served import ServedModel

__all__ = ["Card", "card", "says_enough"]

_BANNER = "DEMO: SIMULATED PATIENTS. This card says nothing about any real patient."
_MAX_SUMMARY = 139
_MAX_LABEL = 120
_WIDEST_INTERVAL = 0.30
_COMPLETE_ENOUGH: Collection[Completeness] = ("complete", "partial")
_SHOWN_VARIABLES = 8
_SHOWN_NAMES = 12
# A value below its upper limit is no multiple of it: albumin is low, not 0.6 times the limit.
_ABOVE = 1.05
# Floating-point error is not width.
_TOLERANCE = 1e-9
_WHOLE_DAY = time(23, 59, 59)


class Source(TypedDict):
    """The source of a card."""

    label: str
    topic: Mapping[str, str]
    url: NotRequired[str]


class Card(TypedDict):
    """A card of CDS Hooks 2.0.1, with a `uuid` once it is shown."""

    summary: str
    detail: str
    indicator: str
    source: Source
    overrideReasons: list[dict[str, str]]
    uuid: NotRequired[str]


def says_enough(prediction: Prediction) -> bool:
    """Return whether a prediction, no refusal, is worth an interruption.

    It needs a measured bone marker, entries that are complete or partial and, at the first horizon,
    an interval of at most 30 points.
    """
    if prediction.completeness not in _COMPLETE_ENOUGH:
        return False
    first = prediction.risks[0]
    has_marker = any(one.measured and is_bone_marker(one.variable) for one in first.contributions)
    return has_marker and _is_narrow(first)


def card(
    prediction: Prediction,
    model: ServedModel,
    at: Landmark,
    *,
    taken: Mapping[str, datetime],
    unread: Collection[str],
    url: str | None,
) -> Card:
    """Return the card of a prediction that `says_enough`, without its id.

    It depends on the answer only, not on the time of the call. `taken` holds the known times of
    measurements, `unread` the variables that could not be read ("" if unknown), and `url` is the
    address of the service.
    """
    identity = model.identity
    label = f"Osteon, research use only: {identity.name} {_version(model)}"
    source: Source = {"label": label[:_MAX_LABEL], "topic": AI_ASSERTED}
    if url:
        source["url"] = url
    return {
        "summary": _summary(prediction.risks[0], model),
        "detail": "\n\n".join(_detail(prediction, model, at, taken, unread)),
        "indicator": "info",
        "source": source,
        "overrideReasons": [
            {"code": code, "system": LOCAL_SYSTEM, "display": display}
            for code, display in OVERRIDE_REASONS.items()
        ],
    }


def _is_narrow(risk: ExplainedRisk) -> bool:
    return risk.interval.high - risk.interval.low <= _WIDEST_INTERVAL + _TOLERANCE


def _version(model: ServedModel) -> str:
    identity = model.identity
    alias = f" ({identity.alias})" if identity.alias else ""
    return f"version {identity.version or 'unregistered'}{alias}"


def _summary(risk: ExplainedRisk, model: ServedModel) -> str:
    contract = model.contract
    expected, low, high = (
        round(100 * value) for value in (risk.risk, risk.interval.low, risk.interval.high)
    )
    of_whom = "simulated" if contract.simulated else "such"
    what = f"{expected} {contract.event_singular if expected == 1 else contract.event_label}"
    days = f"within {risk.horizon_days:g} days"
    if risk.competing_risk is not None:
        first = min(round(100 * risk.competing_risk), 100 - expected)
        what += f" ({low} to {high}) and {first} who {contract.competing_verb} first {days}"
    else:
        what += f" {days} (95 % interval {low} to {high})"
    purpose = "DEMO ONLY" if contract.simulated else "Research use only"
    summary = f"Of 100 {of_whom} patients the model expects about {what}. {purpose}."
    return summary if len(summary) <= _MAX_SUMMARY else f"{summary[: _MAX_SUMMARY - 1]}…"


def _detail(
    prediction: Prediction,
    model: ServedModel,
    at: Landmark,
    taken: Mapping[str, datetime],
    unread: Collection[str],
) -> Iterator[str]:
    """Yield the paragraphs of the detail in GitHub's Markdown."""
    first = prediction.risks[0]
    if model.contract.simulated:
        yield f"## {_BANNER}"
    yield f"**{NOTICE}**"
    # An interval too wide to show alone is too wide beside another, too.
    yield "\n".join(f"- {risk.sentences[0]}" for risk in prediction.risks if _is_narrow(risk))
    # Beside the interval, and apart from it: how far empty fields could still move the estimate.
    yield f"{wording.completeness_sentence(prediction.completeness)} {first.if_complete.sentence}"
    if first.comparison is not None:
        yield first.comparison.sentence
    if panel := panel_sentence(model.contract):
        yield _plain(" ".join(filter(None, [panel, first.panel_sentence])))
    yield _explanation(first)
    times = {name: moment.astimezone(at.time_zero.tzinfo) for name, moment in taken.items()}
    yield _table(first, times)
    labels = _labels(model)
    without = [name for name in prediction.missing if name not in unread]
    states = {
        "Recorded as not done": [name for name in without if name in prediction.absent],
        "Not entered": [name for name in without if name not in prediction.absent],
    }
    for state, names in states.items():
        if names:
            # Bone markers first.
            yield f"{state}: {_listed(sorted(names, key=_is_routine), labels)}."
    settling = [(one.label, one.share) for one in prediction.would_settle]
    if settling:
        yield _plain(wording.settling_sentence(settling, horizon_days=first.horizon_days))
    remarks = [f"- {_plain(warning.message)}" for warning in prediction.warnings]
    if errors := [name for name in sorted(unread) if not name or name in labels]:
        remarks.append(
            "- Not used, since the unit, value or time could not be read: "
            f"{_listed(errors, labels)}."
        )
    if prediction.treatment_limitation == "not_recorded":
        remarks.append(f"- {wording.LIMITATION_NOT_RECORDED}")
    if remarks:
        yield "\n".join(remarks)
    # If the call is time zero, its time would make every card new.
    when = "" if at.is_now else f" ({at.time_zero:%Y-%m-%d %H:%M %Z})"
    yield f"Time zero: {_plain(model.contract.time_zero)}{when}. Nothing taken later was used."
    yield _about(model, first)


def _about(model: ServedModel, risk: ExplainedRisk) -> str:
    """Return a description of the model: its patients, its performance, and the AI label."""
    learned_from = _plain(model.contract.population.rstrip("."))
    horizons = (f"{risk.horizon_days:g} days", "all")
    known = [
        f"{figure.label} {figure.estimate}"
        for figure in figures(model.contract)
        if figure.on_card and figure.horizon in horizons
    ]
    evaluation = model.contract.evaluation
    out_of_fold = evaluation is not None and evaluation.method == "cross-validation"
    judged = "out of fold" if out_of_fold else "on held-out patients"
    performance = f" At {horizons[0]}, {judged}: {'; '.join(known)}." if known else ""
    performance += f" {wording.validation_sentence(evaluation)}"
    return (
        f"Model: {model.identity.name}, {_version(model)}. It learned from: {learned_from}."
        f"{performance} Label: {AI_ASSERTED['code']} ({AI_ASSERTED['display']}). What raised or "
        "lowered the estimate describes the model, not what would change the outcome."
    )


def _explanation(risk: ExplainedRisk) -> str:
    """Return what raised or lowered the estimate most, with how to read the table."""
    stated = stated_contributions(_largest(risk))
    _, *caveats = wording.contribution_sentences(stated, horizon_days=risk.horizon_days) or [""]
    sentences = _plain(" ".join([*risk.sentences[1:2], *caveats]))
    return sentences or "No single value changed the estimate much."


def _largest(risk: ExplainedRisk) -> list[Contribution]:
    """Return the largest contributions of measured variables."""
    return [one for one in risk.contributions if one.measured][:_SHOWN_VARIABLES]


def _labels(model: ServedModel) -> Mapping[str, str]:
    return {feature.variable: feature.label for feature in model.contract.features}


def _table(risk: ExplainedRisk, taken: Mapping[str, datetime]) -> str:
    """Return the estimate as a sum: the reference, the largest contributions, the rest."""
    largest = _largest(risk)
    measured = sum(one.points for one in risk.contributions if one.measured)
    others = measured - sum(one.points for one in largest) + risk.monotone_adjustment_points
    unmeasured = risk.pathways.get(NOT_MEASURED, 0.0)
    rows = [
        ("The model's reference patient", "", "", f"{100 * risk.baseline_risk:.1f}"),
        *(
            (_plain(one.label), _value(one), _taken(one, taken), f"{one.points:+.1f}")
            for one in largest
        ),
        ("All else that was measured (together)", "", "", f"{others:+.1f}"),
        (NOT_MEASURED_LABEL, "", "", f"{unmeasured:+.1f}"),
        ("**Estimate**", "", "", f"**{100 * risk.risk:.1f}**"),
    ]
    head = f"| At {risk.horizon_days:g} days | Value | Taken | Points of risk |\n|---|---|---|---:|"
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)])


def _is_routine(name: str) -> bool:
    return not is_bone_marker(name)


def _listed(names: Sequence[str], labels: Mapping[str, str]) -> str:
    """Return the first labels, and the count of the rest and of nameless variables."""
    first = [_plain(labels[name]) for name in dict.fromkeys(names) if name][:_SHOWN_NAMES]
    rest = len(names) - len(first)
    return " and ".join(filter(None, [", ".join(first), f"{rest} more" if rest > 0 else ""]))


def _value(one: Contribution) -> str:
    value, multiple = one.recorded.value, one.recorded.multiple_of_reference
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        # Free text may hold markup.
        known = VARIABLES[one.variable].categories if one.variable in VARIABLES else (value,)
        return _plain(value) if value in known else ""
    if value is None:
        return ""
    if one.variable == "age":
        return f"{int(value)} years"  # not a new age, and so a new card, every day
    number = f"{value:.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    printed = f"{one.recorded.comparator or ''}{number} {printed_unit(one.unit)}".rstrip()
    if multiple is not None and multiple >= _ABOVE:
        printed += f" ({multiple:.1f} times the upper reference limit)"
    return _plain(printed)


def _taken(one: Contribution, taken: Mapping[str, datetime]) -> str:
    moment = taken.get(one.variable)
    if moment is None:
        return ""
    return f"{moment:%Y-%m-%d}" if moment.time() == _WHOLE_DAY else f"{moment:%Y-%m-%d %H:%M}"


def _plain(text: str) -> str:
    """Return text with its markup characters escaped."""
    marks = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "*": "\\*", "[": "\\[", "`": "'"}
    return "".join(marks.get(letter, letter) for letter in text).replace("\n", " ")
