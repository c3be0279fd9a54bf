"""TRIPOD+AI and PROBAST+AI of the analyses of a cohort, whose models are not registered."""

from __future__ import annotations

from collections.abc import Iterator

from training.report.checklists.probast import (
    FEW_EVENTS,
    NO_INSTABILITY,
    TOO_FEW_PATIENTS,
    Domain,
    concerns,
    outcome_domain,
    patient_concerns,
    probast_domains,
    source_domain,
)
from training.report.checklists.subject import Subject
from training.report.checklists.tripod import (
    Analysis,
    Item,
    tripod_checklist,
    tripod_items,
)
from training.report.content import Section
from training.validation.evaluate_cohort import StudyEvaluation

__all__ = ["study_probast", "study_tripod"]

_NO_MODEL = "The models were fitted for these analyses only; none is registered or served."


def study_tripod(subject: Subject, evaluation: StudyEvaluation) -> Section:
    """Return the checklist of TRIPOD+AI for the analyses of a cohort.

    References
    ----------
    .. [1] Collins et al. BMJ 385 (2024) e078378. doi:10.1136/bmj-2023-078378
    """
    done: tuple[Analysis, ...] = ("sample size",)
    items = tripod_items(subject, done, external=False)
    return tripod_checklist({**items, **_items(subject, evaluation)})


def _items(subject: Subject, evaluation: StudyEvaluation) -> dict[str, Item]:
    """Return the items that differ from those of a registered model."""
    aims = ", ".join(_aims(evaluation))
    clusters = evaluation.internal_external is not None
    no_model = Item("not applicable", _NO_MODEL)
    validation = Item("reported", "", ("Internal-external validation",))
    return {
        "1": Item(
            "reported",
            f"Prediction models of {subject.outcome_label.lower()}: {aims}. Population: "
            f"{subject.population.rstrip('.')}.",
        ),
        "2": Item("reported", "", ("At a glance",)),
        "3b": Item("reported", _NO_MODEL, ("Estimand",)),
        "4": Item("reported", f"{aims.capitalize()}.", ("At a glance",)),
        "12a": Item(
            "reported",
            "All patients are used; each is evaluated with models fitted without that patient.",
        ),
        "12c": Item(
            "reported",
            "A penalised logistic regression and gradient-boosted trees, averaged and "
            "recalibrated; all tuning is repeated within every fit, out of fold by patient.",
        ),
        "12d": validation
        if clusters
        else Item("reported", "No site or year was held out in turn."),
        "12e": Item(
            "reported",
            "Each section names its metrics and intervals. Calibration and decision curves of a "
            "single model are in the report of osteon train.",
        ),
        "12f": no_model,
        "12g": Item("reported", "Each risk is that of the one model fitted without the patient."),
        "14": Item(
            "reported", "Subgroups were not assessed here; the report of osteon train has them."
        ),
        "15": Item(
            "reported",
            "A risk in [0, 1] at each horizon; no classes. Net benefit states its thresholds.",
        ),
        "16": Item("reported", "", ("Internal-external validation",))
        if clusters
        else Item("reported", "Folds of the same patients; differences arise by chance only."),
        "20c": Item(
            "not applicable", "The same patients, in turn used for fitting and evaluation."
        ),
        "22": no_model,
        "23a": Item("reported", "Each analysis, with its intervals. Subgroups: not assessed."),
        "23b": validation
        if clusters
        else Item("reported", "Performance was not compared across sites."),
        "24": no_model,
        "25": Item("reported", _sentence_of(subject), ("At a glance",))
        if subject.study.interpretation
        else Item("open", field="interpretation"),
        "27a": no_model,
        "27b": no_model,
        "27c": Item(
            "reported", "Train a model and evaluate it in held-out patients: osteon train."
        ),
    }


def _sentence_of(subject: Subject) -> str:
    return f"{subject.study.interpretation.rstrip('.')}."


def _aims(evaluation: StudyEvaluation) -> Iterator[str]:
    if evaluation.added_value is not None:
        yield "added value of a panel"
    if evaluation.internal_external is not None:
        yield f"performance in each {evaluation.internal_external.by} held out"
    if evaluation.instability:
        yield "instability of individual risks"


def study_probast(subject: Subject, evaluation: StudyEvaluation) -> Section:
    """Return the domains of PROBAST+AI for the analyses of a cohort; none is rated.

    References
    ----------
    .. [1] Moons et al. BMJ 388 (2025) e082505. doi:10.1136/bmj-2024-082505
    """
    participants, outcome = "Participants and data sources", outcome_domain(subject)
    development: tuple[Domain, ...] = (
        (participants, source_domain(subject), concerns(patient_concerns(subject))),
        (
            "Predictors",
            "All recorded by time zero; a linter searched for columns that give away the outcome. "
            "The columns of each model are stated with its result.",
            concerns(()),
        ),
        ("Outcome", outcome, concerns(())),
        (
            "Analysis",
            "Weighting for censoring; missing values handled within the model; every tuning choice "
            "made within the fit.",
            concerns(_development_concerns(evaluation)),
        ),
    )
    at_random = evaluation.internal_external is None
    few_events = evaluation.events < FEW_EVENTS
    evaluated: tuple[Domain, ...] = (
        (
            participants,
            "The same patients, out of fold.",
            concerns(
                ["Random folds say nothing about other places and times."] if at_random else ()
            ),
        ),
        ("Predictors", "As in development.", concerns(())),
        ("Outcome", outcome, concerns(())),
        (
            "Analysis",
            "Both models of a comparison are fitted in the same folds; intervals resample patients "
            "and hold the fitted models fixed.",
            concerns([f"Fewer than {FEW_EVENTS} events."] if few_events else ()),
        ),
    )
    return probast_domains(development, evaluated)


def _development_concerns(evaluation: StudyEvaluation) -> Iterator[str]:
    if any(evaluation.patients < size.needed for size in evaluation.sample_size):
        yield TOO_FEW_PATIENTS
    if not evaluation.instability:
        yield NO_INSTABILITY
