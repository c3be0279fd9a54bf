"""The sentences a clinician reads.

A variable raised or lowered the estimate; no sentence claims that it caused the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_schema.disclosure import shown_count
from models.inference.completeness import Completeness
from models.inference.contract import Evaluation, EventNames, TrainingFacts

__all__ = [
    "HELD_OUT_BY",
    "INFERRED",
    "LIMITATION_NOT_RECORDED",
    "MISSING_VALUES",
    "NOTICE",
    "StatedContribution",
    "completeness_sentence",
    "contribution_sentences",
    "estimate_sentence",
    "expected_change_sentence",
    "if_complete_sentence",
    "menu_sentence",
    "performance_basis",
    "refusal_sentence",
    "settling_sentence",
]

NOTICE = (
    "Research use only. Not a medical device. "
    "Not for triage, nor for limiting or withdrawing treatment."
)
"""Shown with every risk."""

LIMITATION_NOT_RECORDED = (
    "No comfort care is recorded; that treatment is not limited does not follow from this."
)
"""Said beside a risk where the record states nothing of the goal of care."""

HELD_OUT_BY = {
    "patient": "at random",
    "site": "by site: the last in the order of their names",
    "time": "by time: the latest",
}
"""What divides the patients -> how those held out were chosen."""

MISSING_VALUES = (
    "Both parts of the model learned from patients some of whose values were blanked. The boosted "
    "part handles a missing value as missing; the linear part infers it from the values that are "
    "given, by the correlations of the training cohort."
)
"""How the model handles a value that is missing."""

INFERRED = "what the model inferred for what was not entered (together)"
"""The variables without a value, as one part of an explanation."""

_COMPLETENESS: Mapping[Completeness, str] = {
    "complete": "Entries: complete. What is entered settles most of the estimate.",
    "partial": "Entries: partial. The empty fields could still move the estimate.",
    "sparse": "Entries: sparse. The empty fields could move the estimate far.",
    "insufficient": "Entries: insufficient for an estimate.",
}

# Points smaller than this would be printed as 0.0.
_SHOWN_POINTS = 0.05


@dataclass(frozen=True, slots=True)
class StatedContribution:
    """A variable, or all without a value, and the points by which it moved the estimate.

    `caution` is a sentence to show with the variable.
    """

    label: str
    points: float
    treatment: bool = False
    caution: str = ""


def performance_basis(evaluation: Evaluation, training: TrainingFacts) -> str:
    """Return what the figures of a model are of, in one sentence.

    Parameters
    ----------
    evaluation : Evaluation
        Of the contract.
    training : TrainingFacts
        What the registered model learned from.
    """
    learned_from = shown_count(training.patients)
    if evaluation.of_update:
        return (
            f"Performance of the model updated to {shown_count(evaluation.patients)} local "
            f"patients, each judged by an update of the others ({evaluation.folds}-fold "
            f"cross-validation by patient); the model itself learned from {learned_from} patients "
            "before."
        )
    if evaluation.method == "cross-validation":
        again = f", repeated {evaluation.repeats} times" if evaluation.repeats > 1 else ""
        return (
            f"Performance of the procedure, estimated out of fold ({evaluation.folds}-fold "
            f"cross-validation by patient{again}); the registered model learned from all "
            f"{learned_from} patients."
        )
    judged = f"{shown_count(evaluation.patients)} patients held out"
    how = HELD_OUT_BY[evaluation.split]
    if evaluation.refitted:
        return (
            f"Performance of the procedure, in {judged} {how}; the registered model learned from "
            f"all {learned_from} patients afterwards."
        )
    return (
        f"Performance of the registered model, in {judged} {how}; it learned from the other "
        f"{learned_from}."
    )


def estimate_sentence(
    *,
    risk: float,
    low: float,
    high: float,
    level: float,
    horizon_days: float,
    event: EventNames,
    competing_risk: float | None,
) -> str:
    """Return the sentence for a risk in natural frequencies, with that of the competing event.

    Risk and interval are in [0, 1]. `competing_risk` is the risk that the competing event, such as
    death before a fracture, comes first by the same horizon; None where nothing competes.

    >>> import textwrap
    >>> sentence = estimate_sentence(
    ...     risk=0.09,
    ...     low=0.06,
    ...     high=0.13,
    ...     level=0.95,
    ...     horizon_days=365,
    ...     event=EventNames("fractures", "fracture", "fracture"),
    ...     competing_risk=0.29,
    ... )
    >>> print(textwrap.fill(sentence, 80))
    Among 100 patients with these recorded values, the model expects about 9
    fractures within 365 days of time zero (95 % interval 6 to 13). Of 100 such
    patients about 9 would fracture, 29 die first, 62 neither.
    """
    expected = _people(risk)
    name = event.singular if expected.endswith(" 1") else event.plural
    sentence = (
        f"Among 100 patients with these recorded values, the model expects {expected} "
        f"{name} within {horizon_days:g} "
        f"{'day' if horizon_days == 1 else 'days'} of time zero "
        f"({100 * level:g} % interval {_end(low)} to {_end(high)})."
    )
    if competing_risk is None:
        return sentence
    return f"{sentence} {_beside_competing(risk, competing_risk, event)}"


def completeness_sentence(grade: Completeness) -> str:
    """Return how complete the entries are; this says nothing of how certain the estimate is."""
    return _COMPLETENESS[grade]


def if_complete_sentence(*, low: float, high: float, horizon_days: float) -> str:
    """Return where the estimate would most likely lie if everything were entered.

    >>> if_complete_sentence(low=0.094, high=0.38, horizon_days=90)
    'If everything were entered, the estimate at 90 days would most likely lie between 9 and 38 \
of 100.'
    """
    least, most = _end(low), _end(high)
    at = f"If everything were entered, the estimate at {horizon_days:g} days would most likely"
    if least == most:
        return f"{at} stay at {least} of 100."
    return f"{at} lie between {least} and {most} of 100."


def settling_sentence(entries: Sequence[tuple[str, float]], *, horizon_days: float) -> str:
    """Return which empty fields would settle most of what is open, or "" if there is none.

    `entries` holds labels with shares in [0, 1].

    >>> settling_sentence([("Lactate", 0.35), ("Age", 0.118)], horizon_days=28)
    'Empty fields that would settle most of what is open at 28 days: Lactate (35 %), Age (12 %); \
not a recommendation to order.'
    """
    if not entries:
        return ""
    listed = ", ".join(f"{label} ({100 * share:.0f} %)" for label, share in entries)
    return (
        f"Empty fields that would settle most of what is open at {horizon_days:g} days: {listed}; "
        "not a recommendation to order."
    )


def contribution_sentences(
    contributions: Sequence[StatedContribution], *, horizon_days: float
) -> list[str]:
    """Return sentences on what moved the estimate at one horizon, and how to read that."""
    shown = [stated for stated in contributions if abs(stated.points) >= _SHOWN_POINTS]
    if not shown:
        return []
    moved = "; ".join(
        f"{stated.label} {'raised' if stated.points > 0 else 'lowered'} the estimate "
        f"by {abs(stated.points):.1f} points"
        for stated in shown
    )
    sentences = [f"At {horizon_days:g} days, compared with the model's reference: {moved}."]
    sentences += [
        f"{stated.label} marks the patient; this is not the drug's effect."
        for stated in shown
        if stated.treatment
    ]
    return [*sentences, *dict.fromkeys(stated.caution for stated in shown if stated.caution)]


def expected_change_sentence(*, label: str, horizon_days: float, points: float) -> str:
    """Return how far a value not entered would move an estimate; no advice to order the test.

    >>> expected_change_sentence(label="CTX", horizon_days=28, points=2.41)
    'At 28 days, if already available, CTX would be expected to move the estimate by about 2.4 \
points, up or down; not a recommendation to order.'
    """
    return (
        f"At {horizon_days:g} days, if already available, {label} would be expected to move the "
        f"estimate by about {points:.1f} points, up or down; not a recommendation to order."
    )


def menu_sentence(*, on_menu: int, missing: int, simulated: int, moving: int, points: float) -> str:
    """Return how many tests of the site's menu would move the estimate, or that none would.

    Of the tests `on_menu`, the model reads `missing` that were not entered; enough patients had
    `simulated` of them in training; `moving` of those are expected to move the estimate by
    `points` of risk or more.

    >>> menu_sentence(on_menu=3, missing=2, simulated=2, moving=1, points=1.0)
    "Of 2 tests on this site's menu that were not entered, 1 is expected to move the estimate by 1 \
point or more. Simulated; not a recommendation to order."
    """
    if not on_menu:
        return "This site has no menu of tests, so none was considered."
    if not missing:
        return "Every test on this site's menu that the model reads was entered."
    of_missing = f"Of {missing} tests on this site's menu that were not entered, "
    if missing == 1:
        of_missing = "Of the one test on this site's menu that was not entered, "
    if not simulated:
        return f"{of_missing}none could be simulated: too few patients had one in training."
    rest = f" {missing - simulated} could not be simulated." if simulated < missing else ""
    least = f"{points:g} point{'' if points == 1 else 's'} or more"
    if not moving:
        return f"{of_missing}none is expected to move the estimate by {least}.{rest}"
    return (
        f"{of_missing}{moving} {'is' if moving == 1 else 'are'} expected to move the estimate by "
        f"{least}. Simulated; not a recommendation to order.{rest}"
    )


def refusal_sentence(messages: Sequence[str]) -> str:
    """Return that no risk is given, and why."""
    return " ".join(["No risk is given.", *messages])


def _beside_competing(risk: float, competing_risk: float, event: EventNames) -> str:
    """Return how many have the event, the competing one first, or neither; they add up to 100."""
    happen = _of_100(risk)
    first = min(_of_100(competing_risk), 100 - happen)
    verb = event.verb or f"have such an event ({event.plural})"
    return (
        f"Of 100 such patients {_people(risk)} would {verb}, "
        f"{first if first else _people(competing_risk)} {event.competing_verb} first, "
        f"{100 - happen - first} neither."
    )


def _people(risk: float) -> str:
    """Return a number of 100 patients in words; a small risk is never 0."""
    of_100 = _of_100(risk)
    if of_100 == 0:
        return "fewer than 1"
    return "more than 99" if of_100 == 100 else f"about {of_100}"


def _end(risk: float) -> str:
    """Return one end of an interval, of 100 patients."""
    of_100 = _of_100(risk)
    return "below 1" if of_100 == 0 else "above 99" if of_100 == 100 else str(of_100)


def _of_100(risk: float) -> int:
    return round(100 * risk)
