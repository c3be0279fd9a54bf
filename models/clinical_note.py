"""One patient's estimate as lines of plain text for the patient's notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from models import wording
from models.inference.completeness import Completeness
from models.inference.contract import Contract
from models.inference.prediction import Remark
from models.patient_explanation import ExplainedRisk, panel_sentence, stated_contributions

__all__ = ["MOST_LINES", "NoteHeading", "note_lines"]

MOST_LINES = 10
_STATED = 4


@dataclass(frozen=True, slots=True)
class NoteHeading:
    """What a note names beside the estimate: model, version and time zero."""

    model: str
    version: str | None
    time_zero: datetime


def note_lines(
    heading: NoteHeading,
    contract: Contract,
    risks: Sequence[ExplainedRisk],
    refusals: Sequence[Remark],
    completeness: Completeness,
) -> list[str]:
    """Return at most `MOST_LINES` lines; without risks, that none is given and why.

    They name how complete the entries are, whether the model was validated elsewhere, its version,
    and that the estimate is not for limiting treatment. What moved the estimate is that of the
    first horizon.
    """
    zero = heading.time_zero
    lines = [
        f"Osteon estimate: {contract.outcome_label}. Days count from: "
        f"{contract.time_zero.rstrip('.')} ({zero:%Y-%m-%d %H:%M})."
    ]
    if contract.simulated:
        lines[0] += " SIMULATED: says nothing about a real patient."
    if risks:
        lines += _estimate(contract, risks, completeness)
    else:
        lines.append(wording.refusal_sentence([refusal.message for refusal in refusals]))
    version = f"version {heading.version}" if heading.version else "unregistered"
    validation = wording.validation_sentence(contract.evaluation)
    return [
        *lines,
        f"Model: {heading.model}, {version}. {validation}",
        wording.NOTICE,
    ]


def _estimate(
    contract: Contract, risks: Sequence[ExplainedRisk], completeness: Completeness
) -> Iterator[str]:
    """Yield the lines that hold the estimate and what is said of it."""
    first = risks[0]
    level = f"{100 * first.interval.level:g} % interval"
    estimates = (
        wording.short_estimate(
            risk=risk.risk,
            low=risk.interval.low,
            high=risk.interval.high,
            horizon_days=risk.horizon_days,
        )
        for risk in risks
    )
    yield f"Risk ({level}) within {'; '.join(estimates)}."
    beside = [
        f"{risk.horizon_days:g} days: {wording.of_100(risk.competing_risk)} of 100"
        for risk in risks
        if risk.competing_risk is not None
    ]
    if beside:
        yield f"{(contract.competing or 'The competing event').capitalize()} first within " + (
            f"{'; '.join(beside)}."
        )
    yield f"{wording.completeness_sentence(completeness)} {first.if_complete.sentence}"
    if first.comparison is not None:
        yield first.comparison.sentence
    stated = stated_contributions(first.contributions[:_STATED])
    moved = wording.contribution_lists(stated)
    for what, listed in zip(("Raised", "Lowered"), moved, strict=True):
        if listed:
            yield f"{what} the estimate at {first.horizon_days:g} days: {listed}."
    panel = " ".join(filter(None, [panel_sentence(contract), first.panel_sentence]))
    if panel:
        yield panel
