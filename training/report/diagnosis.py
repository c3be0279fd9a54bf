"""The diagnosis of the data as a section of a report: PROBAST's questions before any model."""

from __future__ import annotations

from training.diagnosis.diagnose import Diagnosis
from training.diagnosis.leaks import MeasuredLeak
from training.report.content import Section, Table

__all__ = ["DIAGNOSIS", "diagnosis_section", "diagnosis_sentence"]

DIAGNOSIS = "Diagnosis of the data"
"""Title of the section."""

_CONCERNS = {
    "described": "patients are not described",
    "real": "patients are simulated",
    "sites": "one site",
    "selection": "patients selected by later events",
    "leakage": "columns known only later",
    "missing_by_outcome": "values missing by outcome",
    "missing_by_site": "values missing by site",
    "windows": "values cover unequal times",
    "events": "coding of the outcome",
    "follow_up": "patients lost before the horizon",
    "informative_censoring": "losses related to risk",
    "lost_by_site": "losses differ by site",
    "lost_by_year": "losses differ by year",
    "sample_size": "too few patients for the predictors",
    "events_per_parameter": "few events per parameter",
}
"""Name of a question -> the concern in a few words."""

_MINUS, _NO_BREAK = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def diagnosis_section(diagnosis: Diagnosis) -> Section:
    """Return what the data allow, in the four domains of PROBAST, with leaks and open questions.

    No value of a patient and no count under `SMALLEST_CELL` is in it.
    """
    rows: list[tuple[str, ...]] = []
    for domain in diagnosis.domains:
        rows.append((domain.name.capitalize(),))
        rows += [
            (
                one.question,
                one.answer.replace(" ", _NO_BREAK),
                one.finding.replace("(-", f"({_MINUS}"),
            )
            for one in domain.questions
        ]
    questions = Table(
        f"What the data answer, at {diagnosis.horizon_days:g} days where a horizon matters",
        ("Question", "answer", "what the data say"),
        tuple(rows),
    )
    return Section(
        DIAGNOSIS,
        (
            "What the data alone say before a model is judged, by the domains of PROBAST (Moons et "
            "al. BMJ 2025;388:e082505). A concern is a reason to look, not a verdict. What the run "
            "did about it is under PROBAST+AI domains.",
        ),
        tables=(questions, *((_leak_table(diagnosis.leaks),) if diagnosis.leaks else ())),
        points=tuple(sentence.replace("`", "") for sentence in diagnosis.unverified),
        points_title="What the data cannot show",
    )


def diagnosis_sentence(diagnosis: Diagnosis) -> str:
    """Return how many questions are a concern, and which, in one sentence."""
    concerns = diagnosis.of_answer("concern")
    unknown = len(diagnosis.of_answer("not known"))
    count = sum(len(domain.questions) for domain in diagnosis.domains)
    named = "; ".join(_CONCERNS.get(question.name, question.question) for question in concerns)
    listed = f" ({named})" if concerns else ""
    return (
        f"Of {count} questions about the data, {len(concerns)} "
        f"{'is' if len(concerns) == 1 else 'are'} a concern{listed} and {unknown} cannot be "
        f"answered: see {DIAGNOSIS}."
    )


def _leak_table(leaks: tuple[MeasuredLeak, ...]) -> Table:
    return Table(
        "What each suspect adds to the area under the ROC curve, out of fold",
        ("Suspect", "horizon (days)", "without", "with it", "inflation, 95 % interval"),
        tuple(
            (
                leak.variable,
                f"{leak.horizon_days:g}",
                _number(leak.without),
                _number(leak.with_it),
                f"{_signed(leak.inflation)} ({_signed(leak.low)} to {_signed(leak.high)})"
                if leak.is_measured
                else "not measured",
            )
            for leak in leaks
        ),
        notes=(
            "Paired by patient. Both areas are of a ridge regression at one horizon, which costs "
            "seconds; osteon diagnose measures with the whole procedure."
            if any(leak.by == "regression" for leak in leaks)
            else "Paired by patient, with every choice of the procedure made anew.",
        ),
        numbers=True,
    )


def _number(value: float) -> str:
    return "" if value != value else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+z.3f}".replace("-", _MINUS)
