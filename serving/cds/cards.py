"""One prediction as a card: always information, never a suggestion, and none if it says too little.

A card's summary is shorter than 140 characters; its detail carries the explanation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import NotRequired, TypedDict

from data_schema.biomarkers import VARIABLES, is_bone_marker
from data_schema.printed_units import printed_unit
from models import wording
from models.patient_explanation import (
    NOT_MEASURED,
    Contribution,
    ExplainedRisk,
    stated_contributions,
)
from models.wording import NOTICE
from serving.cds.moment import Landmark
from serving.fhir.override_reasons import override_reasons
from serving.fhir.risk_assessment import AI_ASSERTED
from serving.page.facts import figures
from serving.prediction.answer import Prediction
from serving.prediction.served import ServedModel

__all__ = ["Card", "card", "says_enough"]

_MAX_SUMMARY = 139
_MAX_LABEL = 120
_WIDEST_INTERVAL = 0.30
_SHOWN_VARIABLES = 8
_SHOWN_NAMES = 12
# What is below its upper limit is not told by it: albumin is too low, not 0.6 times the limit.
_ABOVE = 1.05
# A point of float noise is no width.
_TOLERANCE = 1e-9
_WHOLE_DAY = time(23, 59, 59)


class Source(TypedDict):
    """Who shows a card."""

    label: str
    topic: Mapping[str, str]
    url: NotRequired[str]


class Card(TypedDict):
    """A card of CDS Hooks 2.0.1; its `uuid` is added when it is shown."""

    summary: str
    detail: str
    indicator: str
    source: Source
    overrideReasons: list[dict[str, str]]
    uuid: NotRequired[str]


def says_enough(prediction: Prediction) -> bool:
    """Return whether a prediction says enough to interrupt somebody.

    Not when no bone marker was measured, or when the interval at the first horizon is wider than 30
    points.

    Parameters
    ----------
    prediction : Prediction
        No refusal.

    Returns
    -------
    bool
    """
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

    Parameters
    ----------
    prediction : Prediction
    model : ServedModel
    at : Landmark
        What days are counted from.
    taken : mapping of str to datetime
        When each variable was measured, where that is known.
    unread : collection of str
        What was sent and could not be read: variables, or "" where not even that is known.
    url : str or None
        Where the service is reached.

    Returns
    -------
    Card
        The same for the same answer, whenever it is made.
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
        "overrideReasons": override_reasons(),
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
    what = f"{expected} {contract.event_singular if expected == 1 else contract.event_label}"
    days = f"within {risk.horizon_days:g} days"
    if risk.competing_risk is not None:
        first = min(round(100 * risk.competing_risk), 100 - expected)
        what += f" ({low} to {high}) and {first} dying first {days}"
    else:
        what += f" {days} (95 % interval {low} to {high})"
    said = f"Of 100 such patients the model expects about {what}. Research use only."
    return said if len(said) <= _MAX_SUMMARY else f"{said[: _MAX_SUMMARY - 1]}…"


def _detail(
    prediction: Prediction,
    model: ServedModel,
    at: Landmark,
    taken: Mapping[str, datetime],
    unread: Collection[str],
) -> Iterator[str]:
    """Yield the paragraphs of the detail, in GitHub's markdown."""
    first = prediction.risks[0]
    yield f"**{NOTICE}**"
    # What is too wide to be shown by itself is too wide beside another, too.
    yield "\n".join(f"- {risk.sentences[0]}" for risk in prediction.risks if _is_narrow(risk))
    yield _moved(first)
    times = {name: moment.astimezone(at.time_zero.tzinfo) for name, moment in taken.items()}
    yield _table(first, times)
    labels = _labels(model)
    missing = [name for name in prediction.missing if name not in unread]
    if missing:
        # Bone markers first.
        yield f"Not measured: {_listed(sorted(missing, key=_is_routine), labels)}."
    remarks = [f"- {_plain(warning.message)}" for warning in prediction.warnings]
    if slips := [name for name in sorted(unread) if not name or name in labels]:
        remarks.append(
            "- Sent and not used, since the unit, value or time could not be read: "
            f"{_listed(slips, labels)}."
        )
    if remarks:
        yield "\n".join(remarks)
    # The moment of a call that is itself time zero would make every card a new one.
    when = "" if at.is_now else f" ({at.time_zero:%Y-%m-%d %H:%M %Z})"
    yield f"Time zero: {_plain(model.contract.time_zero)}{when}. Nothing taken later was used."
    yield _about(model, first)


def _about(model: ServedModel, risk: ExplainedRisk) -> str:
    """Say which model this is, whom it learned from, how well it did, and that it is a machine."""
    learned_from = _plain(model.contract.population.rstrip("."))
    horizons = (f"{risk.horizon_days:g} days", "all")
    known = [
        f"{figure.label} {figure.estimate}"
        for figure in figures(model.contract)
        if figure.on_card and figure.horizon in horizons
    ]
    held_out = f" At {horizons[0]}, on held-out patients: {'; '.join(known)}." if known else ""
    return (
        f"Model: {model.identity.name}, {_version(model)}. It learned from: {learned_from}."
        f"{held_out} Label: {AI_ASSERTED['code']} ({AI_ASSERTED['display']}). What raised or "
        "lowered the estimate describes the model; it does not say what would change the outcome."
    )


def _moved(risk: ExplainedRisk) -> str:
    """Say what moved the estimate most, and how each row of the table must be read."""
    stated = stated_contributions(_shown(risk))
    _, *caveats = wording.contribution_sentences(stated, horizon_days=risk.horizon_days) or [""]
    said = _plain(" ".join([*risk.sentences[1:2], *caveats]))
    return said or "No single value moved the estimate much."


def _shown(risk: ExplainedRisk) -> list[Contribution]:
    """Return the largest contributions of what was measured."""
    return [one for one in risk.contributions if one.measured][:_SHOWN_VARIABLES]


def _labels(model: ServedModel) -> Mapping[str, str]:
    return {feature.variable: feature.label for feature in model.contract.features}


def _table(risk: ExplainedRisk, taken: Mapping[str, datetime]) -> str:
    """Return the estimate as a sum: the reference, the largest contributions, all of the rest."""
    shown = _shown(risk)
    measured = sum(one.points for one in risk.contributions if one.measured)
    others = measured - sum(one.points for one in shown) + risk.monotone_adjustment_points
    unmeasured = risk.pathways.get(NOT_MEASURED, 0.0)
    rows = [
        ("The model's reference patient", "", "", f"{100 * risk.baseline_risk:.1f}"),
        *(
            (_plain(one.label), _value(one), _taken(one, taken), f"{one.points:+.1f}")
            for one in shown
        ),
        ("All else that was measured (together)", "", "", f"{others:+.1f}"),
        ("Not measured (together)", "", "", f"{unmeasured:+.1f}"),
        ("**Estimate**", "", "", f"**{100 * risk.risk:.1f}**"),
    ]
    head = f"| At {risk.horizon_days:g} days | Value | Taken | Points of risk |\n|---|---|---|---:|"
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)])


def _is_routine(name: str) -> bool:
    return not is_bone_marker(name)


def _listed(names: Sequence[str], labels: Mapping[str, str]) -> str:
    """Name the first of some variables, and count the rest and what has no name."""
    shown = [_plain(labels[name]) for name in dict.fromkeys(names) if name][:_SHOWN_NAMES]
    rest = len(names) - len(shown)
    return " and ".join(filter(None, [", ".join(shown), f"{rest} more" if rest > 0 else ""]))


def _value(one: Contribution) -> str:
    value, multiple = one.recorded.value, one.recorded.multiple_of_reference
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        # A category of free text may hold anything, and this is markup.
        known = VARIABLES[one.variable].categories if one.variable in VARIABLES else (value,)
        return _plain(value) if value in known else ""
    if value is None:
        return ""
    if one.variable == "age":
        return f"{int(value)} years"  # it must not say something new every day
    number = f"{value:.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    shown = f"{one.recorded.comparator or ''}{number} {printed_unit(one.unit)}".rstrip()
    if multiple is not None and multiple >= _ABOVE:
        shown += f" ({multiple:.1f} times the upper reference limit)"
    return _plain(shown)


def _taken(one: Contribution, taken: Mapping[str, datetime]) -> str:
    moment = taken.get(one.variable)
    if moment is None:
        return ""
    return f"{moment:%Y-%m-%d}" if moment.time() == _WHOLE_DAY else f"{moment:%Y-%m-%d %H:%M}"


def _plain(text: str) -> str:
    """Return text without what is markup: `<` of a limit, brackets of a unit, a bar."""
    marks = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "*": "\\*", "[": "\\[", "`": "'"}
    return "".join(marks.get(letter, letter) for letter in text).replace("\n", " ")
