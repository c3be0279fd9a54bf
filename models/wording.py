"""The sentences a clinician reads.

A variable raised or lowered the estimate; nothing here says that it made the outcome happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "NOTICE",
    "NOT_MEASURED",
    "Mover",
    "estimate_sentence",
    "mover_sentences",
    "refusal_sentence",
]

NOTICE = (
    "Research use only. Not a medical device. "
    "Not for triage, nor for limiting or withdrawing treatment."
)
"""Stands wherever a risk is shown."""

NOT_MEASURED = "what was not measured (together)"

# Points smaller than this would be printed as 0.0.
_SHOWN_POINTS = 0.05

_ESTRADIOL = (
    "For estradiol, higher values accompany death in acute illness, "
    "lower values accompany bone loss over years."
)


@dataclass(frozen=True, slots=True)
class Mover:
    """A variable, or all that was not measured, and the points by which it moved the estimate."""

    label: str
    points: float
    treatment: bool = False
    estradiol: bool = False


def estimate_sentence(
    *, risk: float, low: float, high: float, level: float, horizon_days: float, events: str
) -> str:
    """Say one risk in natural frequencies.

    Parameters
    ----------
    risk, low, high : float
        Risk and its interval, in [0, 1].
    level : float
        Level of the interval, as 0.95.
    horizon_days : float
    events : str
        The event's name in the plural, as `deaths`.

    Returns
    -------
    str

    Examples
    --------
    >>> sentence = estimate_sentence(
    ...     risk=0.23, low=0.18, high=0.29, level=0.95, horizon_days=28, events="deaths"
    ... )
    >>> print(sentence[:73])
    Among 100 patients with these recorded values, the model expects about 23
    >>> print(sentence[74:])
    deaths within 28 days of time zero (95 % interval 18 to 29).
    """
    expected = _of_100(risk)
    return (
        f"Among 100 patients with these recorded values, the model expects about {expected} "
        f"{events.removesuffix('s') if expected == 1 else events} within {horizon_days:g} "
        f"{'day' if horizon_days == 1 else 'days'} of time zero "
        f"({100 * level:g} % interval {_of_100(low)} to {_of_100(high)})."
    )


def mover_sentences(movers: Sequence[Mover], *, horizon_days: float) -> list[str]:
    """Say what moved the estimate at one horizon, and how that must be read."""
    shown = [mover for mover in movers if abs(mover.points) >= _SHOWN_POINTS]
    if not shown:
        return []
    moved = "; ".join(
        f"{mover.label} {'raised' if mover.points > 0 else 'lowered'} the estimate "
        f"by {abs(mover.points):.1f} points"
        for mover in shown
    )
    sentences = [f"At {horizon_days:g} days, compared with the model's reference: {moved}."]
    sentences += [
        f"{mover.label} marks the patient; this is not the drug's effect."
        for mover in shown
        if mover.treatment
    ]
    if any(mover.estradiol for mover in shown):
        sentences.append(_ESTRADIOL)
    return sentences


def refusal_sentence(messages: Sequence[str]) -> str:
    """Say that no risk is given, and why."""
    return " ".join(["No risk is given.", *messages])


def _of_100(risk: float) -> int:
    return round(100 * risk)
