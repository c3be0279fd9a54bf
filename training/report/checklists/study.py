"""TRIPOD+AI and PROBAST+AI of fits that answer a question of a cohort; none of them is kept."""

from __future__ import annotations

from collections.abc import Iterator

from training.report.checklists.probast import (
    FEW_EVENTS,
    Domain,
    concerns,
    outcome_domain,
    patient_concerns,
    probast_domains,
    source_domain,
)
from training.report.checklists.subject import Subject
from training.report.checklists.tripod import (
    FILLED,
    NOT_APPLICABLE,
    NOT_DONE,
    PARTLY,
    Answer,
    tripod_answers,
    tripod_checklist,
)
from training.report.content import Section
from training.validation.evaluate_cohort import StudyEvaluation

__all__ = ["study_probast", "study_tripod"]

_NO_MODEL = "The models were fitted to answer the questions; none is kept, registered or served."
_MANY_PARAMETERS = "Fewer patients than the sample size asks for."


def study_tripod(facts: Subject, evaluation: StudyEvaluation) -> Section:
    """Return the checklist of TRIPOD+AI with what is known of each item.

    Parameters
    ----------
    facts : Subject
    evaluation : StudyEvaluation

    Returns
    -------
    Section

    References
    ----------
    .. [1] Collins et al. BMJ 385 (2024) e078378. doi:10.1136/bmj-2023-078378
    """
    answers = tripod_answers(facts, ("sample size",), external=False)
    return tripod_checklist(
        answers | _questions(facts, evaluation) | _of_refits(evaluation) | _results(evaluation)
    )


def _questions(facts: Subject, evaluation: StudyEvaluation) -> dict[str, Answer]:
    asked = ", ".join(_asked(evaluation))
    return {
        "1": (
            FILLED,
            f"{asked.capitalize()} of models of {facts.outcome_label.lower()}; population: "
            f"{facts.population.rstrip('.')}.",
        ),
        "3b": (PARTLY, f"Estimand. {_NO_MODEL}"),
        "4": (FILLED, f"{asked.capitalize()}: At a glance."),
    }


def _asked(evaluation: StudyEvaluation) -> Iterator[str]:
    """Yield what was asked of the cohort."""
    if evaluation.added_value is not None:
        yield "added value of a panel"
    if evaluation.internal_external is not None:
        yield f"performance in each {evaluation.internal_external.by} held out"
    if evaluation.instability:
        yield "instability of single risks"


def _of_refits(evaluation: StudyEvaluation) -> dict[str, Answer]:
    held_out = evaluation.internal_external
    return {
        "12a": (
            FILLED,
            "All patients are used: each is judged by models that were fitted without that "
            "patient.",
        ),
        "12c": (
            FILLED,
            "A penalised logistic and a boosted part, mixed and recalibrated; all of it is chosen "
            "anew, out of fold by patient, within every fit.",
        ),
        "12d": (FILLED, "Sites and years never seen.")
        if held_out is not None
        else (NOT_DONE, "No site or year was held out in its turn."),
        "12e": (
            PARTLY,
            "Each section names its metrics and intervals. Calibration and decision curves of one "
            "model: in the report of osteon train.",
        ),
        "12f": (NOT_APPLICABLE, _NO_MODEL),
        "12g": (FILLED, "Each risk is that of one model, the one fitted without the patient."),
        "14": (NOT_DONE, "No subgroup was looked at; the report of osteon train has them."),
        "15": (
            FILLED,
            "A risk in [0, 1] at each horizon; no classes. A net benefit names its thresholds.",
        ),
        "16": (FILLED, "Folds of the same patients: none but chance.")
        if held_out is None
        else (PARTLY, "Sites and years never seen tells each apart; they are not described."),
        "22": (NOT_DONE, _NO_MODEL),
    }


def _results(evaluation: StudyEvaluation) -> dict[str, Answer]:
    held_out = evaluation.internal_external
    return {
        "20c": (NOT_APPLICABLE, "One group of patients, fitted to and judged on in turn."),
        "23a": (PARTLY, "Each question with its intervals. Subgroups: not done."),
        "23b": (FILLED, "Sites and years never seen.")
        if held_out is not None
        else (NOT_DONE, "Performance was not compared across sites."),
        "24": (NOT_APPLICABLE, _NO_MODEL),
        "27a": (NOT_APPLICABLE, _NO_MODEL),
        "27b": (NOT_APPLICABLE, _NO_MODEL),
        "27c": (PARTLY, "Train a model and judge it on patients held out: osteon train."),
    }


def study_probast(facts: Subject, evaluation: StudyEvaluation) -> Section:
    """Return the domains of PROBAST+AI with what the run can tell.

    Parameters
    ----------
    facts, evaluation
        As `study_tripod` takes them.

    Returns
    -------
    Section
        It judges no domain: that needs people who know the data.

    References
    ----------
    .. [1] Moons et al. BMJ 388 (2025) e082505. doi:10.1136/bmj-2024-082505
    """
    source, outcome = source_domain(facts), outcome_domain(facts)
    predictors = (
        "All recorded by time zero; a linter looked for columns that know the outcome. Which "
        "columns each model read is told with its result."
    )
    development: tuple[Domain, ...] = (
        ("Participants and data sources", source, concerns(patient_concerns(facts))),
        ("Predictors", predictors, concerns(())),
        ("Outcome", outcome, concerns(())),
        (
            "Analysis",
            "Censoring weighed; missing values kept as such; every choice made within the fit.",
            concerns(_of_size(evaluation)),
        ),
    )
    judged: tuple[Domain, ...] = (
        (
            "Participants and data sources",
            "The same patients, out of fold.",
            concerns(_same(evaluation)),
        ),
        ("Predictors", "As in development.", concerns(())),
        ("Outcome", outcome, concerns(())),
        (
            "Analysis",
            "Both models of a comparison in the same folds; intervals resample patients and hold "
            "the fitted models fixed.",
            concerns(_of_events(evaluation)),
        ),
    )
    return probast_domains(development, judged)


def _of_size(evaluation: StudyEvaluation) -> Iterator[str]:
    if any(evaluation.patients < one.needed for one in evaluation.sample_size):
        yield _MANY_PARAMETERS
    if not evaluation.instability:
        yield "The instability of single risks was not looked at."


def _same(evaluation: StudyEvaluation) -> Iterator[str]:
    if evaluation.internal_external is None:
        yield "Folds at random tell nothing of other places and times."


def _of_events(evaluation: StudyEvaluation) -> Iterator[str]:
    if evaluation.events < FEW_EVENTS:
        yield f"Fewer than {FEW_EVENTS} events."
