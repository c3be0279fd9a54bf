"""PROBAST+AI: its four domains for development and evaluation, as far as the run can know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from models.inference.contract import Contract, Evaluation
from models.wording import HELD_OUT_BY
from training.report.checklists.subject import Subject
from training.report.content import Section, Table
from training.validation.judgement import Findings
from training.validation.refusals import MANY

__all__ = [
    "FEW_EVENTS",
    "NO_INSTABILITY",
    "TOO_FEW_PATIENTS",
    "Domain",
    "concerns",
    "outcome_domain",
    "patient_concerns",
    "probast_domains",
    "probast_section",
    "source_domain",
]

FEW_EVENTS = 100
"""Fewer events in an evaluation leave calibration too uncertain (Collins et al. 2016)."""

NO_INSTABILITY = "The instability of individual risks was not assessed."
TOO_FEW_PATIENTS = "Fewer patients than the sample size calculation requires."

Domain = tuple[str, str, str]
"""Name of the domain, what the run reports on it, and the concerns that follow."""

_PARTICIPANTS = "Participants and data sources"


def probast_section(contract: Contract, findings: Findings, *, external: bool) -> Section:
    """Return what the run reports in each domain of a model, and the concerns that follow.

    No domain is rated: that requires people who know the data. `external` tells an evaluation in
    other patients from a training run.

    References
    ----------
    .. [1] Moons et al. BMJ 388 (2025) e082505. doi:10.1136/bmj-2024-082505
    .. [2] Collins, Ogundimu & Altman. Stat Med 35 (2016) 214-226. doi:10.1002/sim.6787
    """
    subject, evaluation = Subject.of(contract), contract.evaluation
    assert evaluation is not None  # set by the training run
    patients = (
        "Patients who were not part of the training run; their source is not known to it."
        if external
        else _judged(evaluation)
    )
    at_random = not external and evaluation.split == "patient"
    development = (
        (_PARTICIPANTS, source_domain(subject), concerns(patient_concerns(subject))),
        (
            "Predictors",
            f"{len({f.variable for f in contract.features})} variables, all recorded by time "
            "zero; a linter searched for columns that give away the outcome.",
            concerns(()),
        ),
        ("Outcome", outcome_domain(subject), concerns(())),
        (
            "Analysis",
            f"{contract.training.patients:,} patients; tuning out of fold, by patient; weighting "
            "for censoring; missing values handled within the model; recalibration out of fold.",
            concerns(_development_concerns(contract, findings)),
        ),
    )
    evaluated = (
        (
            _PARTICIPANTS,
            patients,
            concerns(
                ["A random split says nothing about other places and times."] if at_random else ()
            ),
        ),
        ("Predictors", "Read as in development, by the contract of the model.", concerns(())),
        ("Outcome", outcome_domain(subject), concerns(())),
        (
            "Analysis",
            "Discrimination, calibration, overall accuracy and net benefit, with intervals by "
            f"patient; weighting for censoring; {_evaluated_model(evaluation, external)}.",
            concerns(_evaluation_concerns(findings)),
        ),
    )
    return probast_domains(development, evaluated)


def _judged(evaluation: Evaluation) -> str:
    """Return which patients a training run judged."""
    if evaluation.method == "cross-validation":
        return "All patients, each out of fold."
    return f"Patients of the same source, held out {HELD_OUT_BY[evaluation.split]}."


def _evaluated_model(evaluation: Evaluation, external: bool) -> str:
    """Return whether figures are of the registered model or of its procedure."""
    if external or not evaluation.refitted:
        return "the registered model itself was evaluated, once"
    return (
        "the procedure was evaluated, with every choice made anew in each fit; the registered "
        "model learned from all patients"
    )


def probast_domains(development: Sequence[Domain], evaluation: Sequence[Domain]) -> Section:
    """Return participants, predictors, outcome and analysis, of development and of evaluation."""
    return Section(
        "PROBAST+AI domains",
        (
            "The domains of PROBAST+AI (Moons et al. BMJ 2025;388:e082505), with what the run did "
            "and the concerns that follow from it. No domain is rated: the signalling questions "
            "require people who know how the data were collected, and have not been answered.",
        ),
        tables=(
            Table(
                "PROBAST+AI, domain by domain",
                ("domain", "what the run reports", "concerns that follow"),
                (
                    ("Development: quality",),
                    *development,
                    ("Evaluation: risk of bias",),
                    *evaluation,
                    ("Applicability",),
                    (
                        "Participants, predictors, outcome",
                        "Whether the patients, variables and outcome match a review question is "
                        "for the reviewer to decide.",
                        "not rated",
                    ),
                ),
            ),
        ),
    )


def concerns(statements: Iterable[str]) -> str:
    """Return the concerns that the run can identify, or that there are none."""
    return " ".join(statements) or "none that the run can identify; not rated"


def source_domain(subject: Subject) -> str:
    """Return who the patients are, and their time zero."""
    return f"{subject.population.rstrip('.')}. Time zero: {subject.time_zero}."


def patient_concerns(subject: Subject) -> Iterator[str]:
    """Yield concerns about the participants."""
    if subject.simulated:
        yield "Simulated patients: not applicable to real patients."
    if not subject.population_described:
        yield "No description of the patients was given."


def outcome_domain(subject: Subject) -> str:
    """Return what is counted, and which event competes with it."""
    competing = f" Competing event: {subject.competing}." if subject.competing else ""
    return f"{subject.outcome_label}, counted in days from time zero.{competing}"


def _development_concerns(contract: Contract, findings: Findings) -> Iterator[str]:
    if not findings.sample_size:
        yield "No sample size was calculated."
    if any(contract.training.patients < size.needed for size in findings.sample_size):
        yield TOO_FEW_PATIENTS
    yield NO_INSTABILITY
    if any(share > 0 for share in contract.training.follow_up.not_observed_so_long):
        yield "Some strata of patients were not followed up to a default horizon."


def _evaluation_concerns(findings: Findings) -> Iterator[str]:
    predictions = findings.predictions
    if predictions.events < FEW_EVENTS:
        yield f"Fewer than {FEW_EVENTS} events."
    if predictions.refusals.notice:
        yield f"More than {100 * MANY:g} % of the stays were refused."
