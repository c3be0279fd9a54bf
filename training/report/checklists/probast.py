"""PROBAST+AI: its four domains for development and evaluation, with what the run can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from models.inference.contract import Contract
from training.report.checklists.subject import Subject
from training.report.content import Section, Table
from training.validation.predictions import Predictions

__all__ = [
    "FEW_EVENTS",
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

Domain = tuple[str, str, str]
"""Its name, what the run shows of it, and the concerns that the run finds."""

_NONE = "none that the run can see; not judged"


def probast_section(
    contract: Contract,
    done: Collection[str],
    *,
    evaluated: Predictions,
    external: bool,
) -> Section:
    """Return what the run shows in each domain, and what concerns it finds itself.

    Parameters
    ----------
    contract : Contract
        Of the model, with what the training run added.
    done : collection of str
        As `tripod_section` takes it.
    evaluated : Predictions
        For the patients of the evaluation that the report tells of.
    external : bool
        Whether they are other patients than the run's.

    Returns
    -------
    Section
        It judges no domain: that needs people who know the data.

    References
    ----------
    .. [1] Moons et al. BMJ 388 (2025) e082505. doi:10.1136/bmj-2024-082505
    .. [2] Collins, Ogundimu & Altman. Stat Med 35 (2016) 214-226. doi:10.1002/sim.6787
    """
    subject = Subject.of(contract)
    development = (
        (
            "Participants and data sources",
            source_domain(subject),
            concerns(patient_concerns(subject)),
        ),
        ("Predictors", _predictors(contract), concerns(())),
        ("Outcome", outcome_domain(subject), concerns(())),
        ("Analysis", _fit(contract, done), concerns(_of_fit(contract, done))),
    )
    judged = (
        (
            "Participants and data sources",
            _whom(contract, external),
            concerns(_of_test(contract, external)),
        ),
        ("Predictors", "Read as in development, by the model's own contract.", concerns(())),
        ("Outcome", outcome_domain(subject), concerns(())),
        ("Analysis", _how_judged(), concerns(_of_numbers(evaluated))),
    )
    return probast_domains(development, judged)


def probast_domains(development: Sequence[Domain], judged: Sequence[Domain]) -> Section:
    """Return the domains of development and of evaluation.

    Parameters
    ----------
    development, judged : sequence of Domain
        Participants, predictors, outcome and analysis of each.

    Returns
    -------
    Section
    """
    return Section(
        "PROBAST+AI domains",
        (
            "The domains of PROBAST+AI (Moons et al. BMJ 2025;388:e082505). The run says what it "
            "did and which concerns follow from it. No domain is judged here: its signalling "
            "questions need people who know how the data came to be, and that was not done.",
        ),
        tables=(
            Table(
                "PROBAST+AI, domain by domain",
                ("domain", "what the run shows", "concerns it finds"),
                (
                    ("Development: quality",),
                    *development,
                    ("Evaluation: risk of bias",),
                    *judged,
                    ("Applicability",),
                    (
                        "Participants, predictors, outcome",
                        "Whether these patients, variables and this outcome are those of a "
                        "question at hand can be told by the one who asks it.",
                        "not judged",
                    ),
                ),
            ),
        ),
    )


def concerns(found: Iterable[str]) -> str:
    """Return the concerns that a run finds itself, or that it sees none."""
    return " ".join(found) or _NONE


def source_domain(subject: Subject) -> str:
    """Return who the patients are and from when they are looked at."""
    return f"{subject.population.rstrip('.')}. Time zero: {subject.time_zero}."


def patient_concerns(subject: Subject) -> Iterator[str]:
    """Yield what is of concern in whom a model or a study is of."""
    if subject.simulated:
        yield "Simulated patients: applicable to nobody."
    if not subject.population_described:
        yield "Nobody described the patients."


def _predictors(contract: Contract) -> str:
    return (
        f"{len({f.variable for f in contract.features})} variables, all recorded by time "
        "zero; a linter looked for columns that know the outcome."
    )


def outcome_domain(subject: Subject) -> str:
    """Return what is counted, and what competes with it."""
    rival = f" {subject.competing.capitalize()} competes." if subject.competing else ""
    return f"{subject.outcome_label}, counted in days from time zero.{rival}"


def _fit(contract: Contract, done: Collection[str]) -> str:
    return (
        f"{contract.training.patients:,} patients; choices made out of fold by patient; censoring "
        "weighed; missing values kept as such; recalibrated out of fold."
    )


def _of_fit(contract: Contract, done: Collection[str]) -> Iterator[str]:
    if "sample size" not in done:
        yield "No sample size was calculated."
    if "instability" not in done:
        yield "The instability of single risks was not looked at."
    largest = contract.training.follow_up.not_observed_so_long
    if any(share > 0 for share in largest):
        yield "Some patients' stratum was not observed up to a default horizon."


def _whom(contract: Contract, external: bool) -> str:
    if external:
        return "Other patients than those of the training run; their source is not known to it."
    held_out = {
        "patient": "at random",
        "site": "by site: the last sites",
        "time": "by time: the latest patients",
    }
    assert contract.evaluation is not None  # a training run adds it
    return f"Patients of the same source, held out {held_out[contract.evaluation.split]}."


def _of_test(contract: Contract, external: bool) -> Iterator[str]:
    assert contract.evaluation is not None  # a training run adds it
    if not external and contract.evaluation.split == "patient":
        yield "A random split tells nothing of other places and times."


def _how_judged() -> str:
    return (
        "Discrimination, calibration, overall accuracy and net benefit with intervals by patient; "
        "censoring weighed; the registered model itself was judged, once."
    )


def _of_numbers(evaluated: Predictions) -> Iterator[str]:
    if evaluated.events < FEW_EVENTS:
        yield f"Fewer than {FEW_EVENTS} events."
    if evaluated.refused >= max(0.05 * evaluated.rows, 1):
        yield "More than 5 % of the stays were refused and are in no figure."
