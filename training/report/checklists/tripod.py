"""TRIPOD+AI: its 27 items, filled from the contract where it can tell, "not done" where not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from models.inference.contract import Contract
from training.report.checklists.subject import Subject
from training.report.content import Section, Table

__all__ = [
    "FILLED",
    "NOT_APPLICABLE",
    "NOT_DONE",
    "PARTLY",
    "Answer",
    "tripod_answers",
    "tripod_checklist",
    "tripod_section",
]

FILLED, PARTLY, NOT_DONE, NOT_APPLICABLE = "filled", "in part", "not done", "not applicable"

_SOMEBODY = "The run cannot know this; whoever publishes must state it."

_TOPICS: Mapping[str, Mapping[str, str]] = {
    "Title and abstract": {"1": "Title", "2": "Abstract"},
    "Introduction": {
        "3a": "Healthcare context, rationale, existing models",
        "3b": "Target population, purpose, users",
        "3c": "Known health inequalities",
        "4": "Objectives",
    },
    "Methods": {
        "5a": "Sources of data and why they are fit",
        "5b": "Dates of accrual and follow-up",
        "6a": "Setting, number and place of centres",
        "6b": "Eligibility",
        "6c": "Treatments received",
        "7": "Data preparation and quality checks",
        "8a": "Outcome and time horizon",
        "8b": "Who assessed a subjective outcome",
        "8c": "Blinding of the outcome",
        "9a": "Choice of the initial predictors",
        "9b": "Definition of the predictors, how and when measured",
        "9c": "Who assessed subjective predictors",
        "10": "Sample size",
        "11": "Missing data",
        "12a": "Use and partition of the data",
        "12b": "Handling of the predictors",
        "12c": "Type of model, building, tuning, internal validation",
        "12d": "Heterogeneity across clusters",
        "12e": "Measures and plots of performance",
        "12f": "Model updating",
        "12g": "How predictions are calculated",
        "13": "Class imbalance",
        "14": "Fairness",
        "15": "Output of the model and thresholds",
        "16": "Differences of development and evaluation data",
        "17": "Ethical approval and consent",
    },
    "Open science": {
        "18a": "Funding",
        "18b": "Conflicts of interest",
        "18c": "Protocol",
        "18d": "Registration",
        "18e": "Data sharing",
        "18f": "Code sharing",
    },
    "Patient and public involvement": {"19": "Patient and public involvement"},
    "Results": {
        "20a": "Flow of participants, follow-up",
        "20b": "Characteristics",
        "20c": "Comparison with the development data",
        "21": "Numbers in each analysis",
        "22": "Full specification of the model",
        "23a": "Performance with intervals, in subgroups too",
        "23b": "Heterogeneity of performance across clusters",
        "24": "Results of updating",
    },
    "Discussion": {
        "25": "Interpretation",
        "26": "Limitations",
        "27a": "Poor or unavailable input",
        "27b": "Interaction and expertise of users",
        "27c": "Next steps",
    },
}

Answer = tuple[str, str]
"""State of an item, and what is known of it."""


def tripod_section(contract: Contract, done: Collection[str], *, external: bool) -> Section:
    """Return the checklist with what is known of each item.

    Parameters
    ----------
    contract : Contract
        Of the model, with what the training run added.
    done : collection of str
        Which of `added value`, `sample size`, `subgroups` and `instability` the report tells of.
    external : bool
        Whether the report is of an evaluation on other patients than the run's.

    Returns
    -------
    Section

    References
    ----------
    .. [1] Collins et al. BMJ 385 (2024) e078378. doi:10.1136/bmj-2023-078378
    """
    return tripod_checklist(tripod_answers(Subject.of(contract), done, external=external))


def tripod_checklist(answers: Mapping[str, Answer]) -> Section:
    """Return the 27 items with their answers.

    Parameters
    ----------
    answers : mapping of str to Answer
        Every part of the items, as `23a`.

    Returns
    -------
    Section
    """
    rows: list[tuple[str, ...]] = []
    for heading, topics in _TOPICS.items():
        rows.append((heading,))
        rows += [(item, topic, *answers[item]) for item, topic in topics.items()]
    tally = Counter(status for status, _ in answers.values())
    words = ", ".join(
        f"{tally[status]} {status}" for status in (FILLED, PARTLY, NOT_DONE, NOT_APPLICABLE)
    )
    return Section(
        "TRIPOD+AI checklist",
        (
            "The 27 items of TRIPOD+AI (Collins et al. BMJ 2024;385:e078378), topics shortened. "
            f"Of their {len(answers)} parts the run could answer: {words}.",
        ),
        tables=(
            Table(
                "TRIPOD+AI, item by item", ("item", "topic", "state", "what is known"), tuple(rows)
            ),
        ),
    )


def tripod_answers(subject: Subject, done: Collection[str], *, external: bool) -> dict[str, Answer]:
    """Return what a run can answer; arguments as `tripod_section` takes them."""
    found: dict[str, Answer] = {}
    for part in (_front, _data, _outcome_and_predictors, _analysis, _results, _discussion):
        found |= part(subject, done, external)
    return found


def _front(subject: Subject, done: Collection[str], external: bool) -> dict[str, Answer]:
    what = "evaluating" if external else "developing and evaluating"
    return {
        "1": (
            FILLED,
            f"{subject.name}: {what} a model of {subject.outcome_label.lower()}; "
            f"population: {subject.population.rstrip('.')}.",
        ),
        "2": (PARTLY, "At a glance; it is no structured abstract."),
        "3a": (NOT_DONE, _SOMEBODY),
        "3b": (FILLED, "Intended use."),
        "3c": (NOT_DONE, _SOMEBODY),
        "4": (FILLED, f"{what.capitalize()} the model; Estimand."),
        "17": (NOT_DONE, _SOMEBODY),
        "18a": (NOT_DONE, _SOMEBODY),
        "18b": (NOT_DONE, _SOMEBODY),
        "18c": (NOT_DONE, _SOMEBODY),
        "18d": (NOT_DONE, _SOMEBODY),
        "18e": (
            NOT_DONE,
            _SOMEBODY + " The patients are named by their fingerprint only: Provenance.",
        ),
        "18f": (PARTLY, "Revision of the code and versions: Provenance."),
        "19": (NOT_DONE, _SOMEBODY),
    }


def _data(subject: Subject, done: Collection[str], external: bool) -> dict[str, Answer]:
    described = subject.population_described
    population = subject.population.rstrip(".") + "."
    return {
        "5a": (PARTLY, f"{population} Why they are fit: {_SOMEBODY.lower()}")
        if described
        else (NOT_DONE, "Nobody described the patients."),
        "5b": (NOT_DONE, _SOMEBODY),
        "6a": (PARTLY, population) if described else (NOT_DONE, "Nobody described the patients."),
        "6b": (
            PARTLY,
            f"Under observation at time zero ({subject.time_zero}); under 18 and pregnant are "
            "refused. Other criteria: " + _SOMEBODY.lower(),
        ),
        "6c": (PARTLY, "Treatments known at time zero are predictors; later ones are not known."),
        "7": (
            FILLED,
            "Every value is checked for unit and plausible range before any fit, columns that know "
            "the future are refused by a leakage linter; no row is dropped. Columns left out. "
            "Whether quality differs between groups of people: not done.",
        ),
        "11": (
            FILLED,
            "What was not recorded; Predictors. No patient was left out for a missing value; none "
            "was imputed from others.",
        ),
    }


def _outcome_and_predictors(
    subject: Subject, done: Collection[str], external: bool
) -> dict[str, Answer]:
    objective = (NOT_APPLICABLE, "Death needs no interpretation.")
    return {
        "8a": (FILLED, "Estimand. How the outcome was found out: " + _SOMEBODY.lower()),
        "8b": objective if subject.is_death else (NOT_DONE, _SOMEBODY),
        "8c": objective if subject.is_death else (NOT_DONE, _SOMEBODY),
        "9a": (
            PARTLY,
            "All columns known at time zero that the catalogue or the mapping names; none was "
            "selected by its outcome. Columns left out.",
        ),
        "9b": (FILLED, "Predictors: variables with their units, last value by time zero."),
        "9c": (NOT_DONE, _SOMEBODY),
    }


def _analysis(subject: Subject, done: Collection[str], external: bool) -> dict[str, Answer]:
    size = (
        (FILLED, "Sample size.")
        if "sample size" in done
        else (NOT_DONE, "No calculation was made; the counts are in Patients.")
    )
    return {
        "10": size,
        "12a": (FILLED, "Patients: whom the model learned from and who was held out, by patient."),
        "12b": (
            FILLED,
            "Linear part: standardised, log(1 + x) where skewed, clipped at outer quantiles, "
            "splines; boosted part: as they are. Every transformation is fitted on training rows.",
        ),
        "12c": (FILLED, "How it was fitted; everything is tuned out of fold, by patient."),
        "12d": (NOT_DONE, "Sites only enter the weights for censoring, where there are enough."),
        "12e": (FILLED, "Performance, Calibration, Decision curves."),
        "12f": (PARTLY, "Recalibrated once, on out-of-fold predictions; not after the evaluation."),
        "12g": (FILLED, "The registered MLflow model itself was asked; it runs without Osteon."),
        "13": (NOT_APPLICABLE, "No method for class imbalance was used."),
        "14": (PARTLY, "Performance in subgroups is reported; nothing was adjusted.")
        if "subgroups" in done
        else (NOT_DONE, "No subgroup was looked at."),
        "15": (
            FILLED,
            "A risk in [0, 1] at any horizon with an interval; no classes, no threshold.",
        ),
        "16": (
            PARTLY,
            "Patients: both compared variable by variable. Setting: " + _SOMEBODY.lower(),
        )
        if external
        else (FILLED, "Held out from the same source: none but chance; Patients."),
    }


def _results(subject: Subject, done: Collection[str], external: bool) -> dict[str, Answer]:
    return {
        "20a": (FILLED, "Flow of patients."),
        "20b": (FILLED, "Who they are, by outcome; What was not recorded."),
        "20c": (FILLED, "Patients: two groups compared, with standardised differences."),
        "21": (FILLED, "Flow of patients."),
        "22": (
            PARTLY,
            "The whole model is the registered bundle with its contract: Provenance. Its numbers "
            "are too many to print.",
        ),
        "23a": (
            FILLED if "subgroups" in done and subject.intervals else PARTLY,
            "Performance" + ("; Subgroups." if "subgroups" in done else ". Subgroups: not done."),
        ),
        "23b": _across_sites(done),
        "24": (NOT_APPLICABLE, "The model was not updated."),
    }


def _across_sites(done: Collection[str]) -> Answer:
    if "sites" in done:
        return PARTLY, "Subgroups: by site; no site was left out of the fit."
    return NOT_DONE, "Performance was not compared across sites."


def _discussion(subject: Subject, done: Collection[str], external: bool) -> dict[str, Answer]:
    return {
        "25": (NOT_DONE, _SOMEBODY),
        "26": (PARTLY, "Limits; what was not done is said in each section."),
        "27a": (
            FILLED,
            "Limits: implausible values, too little measured and patients unlike any it learned "
            "from are refused, with a reason.",
        ),
        "27b": (PARTLY, "Intended use. The interpretation needs a clinician and a statistician."),
        "27c": (PARTLY, "Evaluate on other patients before any use: osteon evaluate."),
    }
