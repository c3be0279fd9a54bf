"""The sentences a clinician reads.

A variable raised or lowered the estimate; no sentence claims that it caused the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_schema.disclosure import shown_count
from models.inference.completeness import Completeness
from models.inference.contract import (
    Evaluation,
    EventNames,
    PanelFacts,
    PanelVerdict,
    TrainingFacts,
)

__all__ = [
    "HELD_OUT_BY",
    "INFERRED",
    "LIMITATION_NOT_RECORDED",
    "MISSING_VALUES",
    "NOTICE",
    "StatedContribution",
    "comparison_sentence",
    "completeness_sentence",
    "contribution_lists",
    "contribution_sentences",
    "estimate_sentence",
    "expected_change_sentence",
    "if_complete_sentence",
    "is_very_wide",
    "menu_sentence",
    "of_100",
    "panel_estimate_sentence",
    "panel_sentence",
    "performance_basis",
    "refusal_sentence",
    "settling_sentence",
    "short_estimate",
    "validation_sentence",
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

_PANEL: Mapping[PanelVerdict, str] = {
    "adds": "improves this model beyond everything else that it reads",
    "adds some, size uncertain": "improves this model, by an amount that is uncertain",
    "adds no more than 0.01": "adds nothing of practical use to everything else that it reads",
    "inconclusive": "was not shown to add to everything else that it reads, nor to add nothing",
}

# Points smaller than this would be printed as 0.0.
_SHOWN_POINTS = 0.05

_VERY_WIDE = 0.4


@dataclass(frozen=True, slots=True)
class StatedContribution:
    """A variable, or all without a value, and the points by which it moved the estimate.

    `caution` is a sentence to show with the variable, and `words` the variable with its value, as
    `stated_values.in_words` gives them; the label without a value.
    """

    label: str
    points: float
    treatment: bool = False
    caution: str = ""
    words: str = ""


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
    if evaluation.method == "cross-validation" and evaluation.patients < training.patients:
        return (
            f"Performance of the procedure in {shown_count(evaluation.patients)} new patients, "
            f"estimated out of fold ({evaluation.folds}-fold cross-validation by patient): each is "
            "judged by a fit to the earlier patients and the other new ones. The registered model "
            f"learned from all {learned_from} patients."
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

    An interval that `is_very_wide` is called so.
    """
    expected = _people(risk)
    name = event.singular if expected.endswith(" 1") else event.plural
    sentence = (
        f"Among 100 patients with these recorded values, the model expects {expected} "
        f"{name} within {horizon_days:g} "
        f"{'day' if horizon_days == 1 else 'days'} of time zero "
        f"({100 * level:g} % interval {of_100(low)} to {of_100(high)})."
    )
    if is_very_wide(low, high):
        sentence += " The interval is very wide: the number within it says little."
    if competing_risk is None:
        return sentence
    return f"{sentence} {_beside_competing(risk, competing_risk, event)}"


def is_very_wide(low: float, high: float) -> bool:
    """Return whether an interval is too wide for its middle to be shown as a number to rely on.

    >>> is_very_wide(0.20, 0.92), is_very_wide(0.18, 0.29)
    (True, False)
    """
    return high - low > _VERY_WIDE


def short_estimate(*, risk: float, low: float, high: float, horizon_days: float) -> str:
    """Return a risk with its interval in a few words, for a list.

    >>> short_estimate(risk=0.23, low=0.18, high=0.29, horizon_days=28)
    '28 days: 23 of 100 (18 to 29)'
    >>> short_estimate(risk=0.6, low=0.2, high=0.92, horizon_days=28)
    '28 days: 20 to 92 of 100 (very wide; middle 60)'
    """
    days = f"{horizon_days:g} {'day' if horizon_days == 1 else 'days'}"
    if is_very_wide(low, high):
        return f"{days}: {of_100(low)} to {of_100(high)} of 100 (very wide; middle {of_100(risk)})"
    return f"{days}: {of_100(risk)} of 100 ({of_100(low)} to {of_100(high)})"


def comparison_sentence(*, risk: float, same: Sequence[str], horizon_days: float) -> str:
    """Return the estimate for a patient who is alike in some things and otherwise unknown.

    >>> comparison_sentence(risk=0.174, same=("age", "sex", "severity"), horizon_days=28)
    'For a patient of the same age, sex and severity with nothing else entered, the estimate \
at 28 days is 17 of 100.'
    """
    listed = " and ".join(filter(None, [", ".join(same[:-1]), same[-1]]))
    return (
        f"For a patient of the same {listed} with nothing else entered, the estimate at "
        f"{horizon_days:g} days is {of_100(risk)} of 100."
    )


def panel_sentence(panel: PanelFacts) -> str:
    """Return what a panel adds to a model, as its training run judged it out of fold.

    >>> import textwrap
    >>> panel = PanelFacts("Bone resorption", ("ctx_s",), "adds", 90.0, 0.021, 0.012, 0.03)
    >>> print(textwrap.fill(panel_sentence(panel), 80))
    The panel (Bone resorption) improves this model beyond everything else that it
    reads: area under the ROC curve at 90 days +0.021 (95 % interval +0.012 to
    +0.030).
    """
    figures = (
        f"area under the ROC curve at {panel.horizon_days:g} days {_signed(panel.change, 3)}"
        f" (95 % interval {_signed(panel.low, 3)} to {_signed(panel.high, 3)})"
        if panel.low is not None and panel.high is not None
        else f"area under the ROC curve at {panel.horizon_days:g} days "
        f"{_signed(panel.change, 3)} (no interval)"
    )
    return f"The panel ({panel.label}) {_PANEL[panel.verdict]}: {figures}."


def panel_estimate_sentence(*, risk: float, without: float, horizon_days: float) -> str:
    """Return the estimate of a model fitted without the panel beside that of the whole model.

    >>> panel_estimate_sentence(risk=0.23, without=0.19, horizon_days=28)
    'At 28 days a model fitted to the same patients without the panel gives 19 of 100; with it, 23.'
    """
    return (
        f"At {horizon_days:g} days a model fitted to the same patients without the panel gives "
        f"{of_100(without)} of 100; with it, {of_100(risk)}."
    )


def validation_sentence(evaluation: Evaluation | None) -> str:
    """Return whether a model was judged on patients of another place than it learned from."""
    if evaluation is None:
        return "Not validated: this model has no figures of patients that it did not learn from."
    if evaluation.split == "site":
        return (
            "Judged on sites of its own cohort that were held out; not validated in other cohorts."
        )
    if evaluation.split == "time":
        return "Judged on later patients of its own cohort; not validated elsewhere."
    return "Judged on patients of its own cohort only; not validated elsewhere."


def completeness_sentence(grade: Completeness) -> str:
    """Return how complete the entries are; this says nothing of how certain the estimate is."""
    return _COMPLETENESS[grade]


def if_complete_sentence(*, low: float, high: float, horizon_days: float) -> str:
    """Return where the estimate would most likely lie if everything were entered.

    >>> if_complete_sentence(low=0.094, high=0.38, horizon_days=90)
    'If everything were entered, the estimate at 90 days would most likely lie between 9 and 38 \
of 100.'
    """
    least, most = of_100(low), of_100(high)
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
    raised, lowered = contribution_lists(contributions)
    if not raised and not lowered:
        return []
    parts = [
        f"these {verb} the estimate: {listed}"
        for verb, listed in (("raised", raised), ("lowered", lowered))
        if listed
    ]
    moved = "; ".join(parts)
    shown = _shown(contributions)
    return [
        f"At {horizon_days:g} days, counted from the model's reference, {moved}.",
        *(
            f"{stated.label} marks the patient; this is not the drug's effect."
            for stated in shown
            if stated.treatment
        ),
        *dict.fromkeys(stated.caution for stated in shown if stated.caution),
    ]


def contribution_lists(contributions: Sequence[StatedContribution]) -> tuple[str, str]:
    """Return what raised and what lowered the estimate, each as a list; "" for none.

    >>> from dataclasses import replace
    >>> age, infection = StatedContribution("Age", 3.1), StatedContribution("Infection", -2.0)
    >>> lists = contribution_lists([age, replace(infection, words="no infection")])
    >>> lists == ("Age (+3.1 points)", "no infection (\N{MINUS SIGN}2.0 points)")
    True
    """
    shown = _shown(contributions)
    raised, lowered = (
        "; ".join(
            f"{stated.words or stated.label} ({_signed(stated.points, 1)} points)"
            for stated in shown
            if (stated.points > 0) == up
        )
        for up in (True, False)
    )
    return raised, lowered


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


def _shown(contributions: Sequence[StatedContribution]) -> list[StatedContribution]:
    return [stated for stated in contributions if abs(stated.points) >= _SHOWN_POINTS]


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


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


def of_100(risk: float) -> str:
    """Return a risk, or one end of an interval, as a number of 100 patients.

    >>> of_100(0.234), of_100(0.002), of_100(0.999)
    ('23', 'below 1', 'above 99')
    """
    whole = _of_100(risk)
    return "below 1" if whole == 0 else "above 99" if whole == 100 else str(whole)


def _of_100(risk: float) -> int:
    return round(100 * risk)
