"""TRIPOD+AI: its 27 items, reported from the contract as far as the run can know them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Literal

from models.inference.contract import Contract
from training.report.checklists.subject import Subject
from training.report.content import Section, Table
from training.validation.judgement import Findings

__all__ = [
    "NOT_APPLICABLE",
    "NOT_REPORTED",
    "PARTLY",
    "REPORTED",
    "Analysis",
    "Item",
    "analyses_of",
    "tripod_checklist",
    "tripod_items",
    "tripod_section",
]

REPORTED, PARTLY = "reported", "partly reported"
NOT_REPORTED, NOT_APPLICABLE = "not reported", "not applicable"

_FOR_AUTHORS = "Not known to the run; the authors must state it."
_NOT_DESCRIBED = "No description of the patients was given."
_ITEMS_FOR_AUTHORS = ("3a", "3c", "5b", "9c", "17", "18a", "18b", "18c", "18d", "19", "25")

Analysis = Literal["subgroups", "sample size", "sites"]
"""An optional analysis that a checklist refers to."""

Item = tuple[str, str]
"""The status of an item, and where or how it is reported."""

_TOPICS: Mapping[str, Mapping[str, str]] = {
    "Title and abstract": {"1": "Title", "2": "Abstract"},
    "Introduction": {
        "3a": "Healthcare context, rationale, existing models",
        "3b": "Target population, purpose, users",
        "3c": "Known health inequalities",
        "4": "Objectives",
    },
    "Methods": {
        "5a": "Sources of data and why they are suitable",
        "5b": "Dates of accrual and follow-up",
        "6a": "Setting, number and location of centres",
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
        "16": "Differences between development and evaluation data",
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
        "23a": "Performance with intervals, including subgroups",
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


def analyses_of(findings: Findings) -> tuple[Analysis, ...]:
    """Return the optional analyses that an evaluation includes."""
    subgroups = findings.judgement.subgroups
    done: Mapping[Analysis, bool] = {
        "subgroups": bool(subgroups),
        "sample size": bool(findings.sample_size),
        "sites": any(subgroup.grouping == "site" for subgroup in subgroups),
    }
    return tuple(name for name, is_done in done.items() if is_done)


def tripod_section(contract: Contract, done: Collection[Analysis], *, external: bool) -> Section:
    """Return the checklist of a model; `done` names the optional analyses in the report.

    `external` tells an evaluation in other patients from a training run.

    References
    ----------
    .. [1] Collins et al. BMJ 385 (2024) e078378. doi:10.1136/bmj-2023-078378
    """
    return tripod_checklist(tripod_items(Subject.of(contract), done, external=external))


def tripod_checklist(items: Mapping[str, Item]) -> Section:
    """Return the 27 items with their status; a key names a part of an item, as `23a`."""
    rows: list[tuple[str, ...]] = []
    for heading, topics in _TOPICS.items():
        rows.append((heading,))
        rows += [(item, topic, *items[item]) for item, topic in topics.items()]
    tally = Counter(status for status, _ in items.values())
    counts = ", ".join(
        f"{tally[status]} {status}" for status in (REPORTED, PARTLY, NOT_REPORTED, NOT_APPLICABLE)
    )
    return Section(
        "TRIPOD+AI checklist",
        (
            "The 27 items of TRIPOD+AI (Collins et al. BMJ 2024;385:e078378), topics shortened, "
            f"completed as far as the run can know. Of {len(items)} parts of items: {counts}.",
        ),
        tables=(
            Table(
                "TRIPOD+AI, item by item", ("item", "topic", "status", "where and how"), tuple(rows)
            ),
        ),
    )


def tripod_items(
    subject: Subject, done: Collection[Analysis], *, external: bool
) -> dict[str, Item]:
    """Return what a run can report; arguments as those of `tripod_section`."""
    return {
        **dict.fromkeys(_ITEMS_FOR_AUTHORS, (NOT_REPORTED, _FOR_AUTHORS)),
        **_front(subject, external),
        **_data(subject),
        **_outcome_and_predictors(subject),
        **_analysis(subject, done, external),
        **_results(subject, done, external),
        **_DISCUSSION,
    }


def _front(subject: Subject, external: bool) -> dict[str, Item]:
    aim = "evaluation" if external else "development and evaluation"
    return {
        "1": (
            REPORTED,
            f"{subject.name}: {aim} of a prediction model of {subject.outcome_label.lower()}. "
            f"Population: {subject.population.rstrip('.')}.",
        ),
        "2": (PARTLY, "At a glance; this is not a structured abstract."),
        "3b": (REPORTED, "Intended use."),
        "4": (REPORTED, f"{aim.capitalize()} of the model; Estimand."),
        "18e": (
            NOT_REPORTED,
            f"{_FOR_AUTHORS} The data are identified by their fingerprint only: Provenance.",
        ),
        "18f": (PARTLY, "Provenance: revision of the code and versions of the software."),
    }


def _data(subject: Subject) -> dict[str, Item]:
    population = (PARTLY, f"{subject.population.rstrip('.')}.")
    described = subject.population_described
    return {
        "5a": (PARTLY, f"{population[1]} Suitability: {_FOR_AUTHORS.lower()}")
        if described
        else (NOT_REPORTED, _NOT_DESCRIBED),
        "6a": population if described else (NOT_REPORTED, _NOT_DESCRIBED),
        "6b": (
            PARTLY,
            f"Under observation at time zero ({subject.time_zero}); patients under 18 and pregnant "
            f"patients are refused. Other criteria: {_FOR_AUTHORS.lower()}",
        ),
        "6c": (
            PARTLY,
            "Treatments known at time zero are predictors; later treatments are not known.",
        ),
        "7": (
            REPORTED,
            "Units and plausible ranges of all values are checked before fitting, columns that "
            "give away the outcome are refused, and no row is dropped. Excluded columns. Whether "
            "data quality differs between groups of patients: not assessed.",
        ),
        "11": (
            REPORTED,
            "Missing data; Predictors. No patient was excluded from training or evaluation because "
            "of missing values; they are handled within the model.",
        ),
    }


def _outcome_and_predictors(subject: Subject) -> dict[str, Item]:
    assessment = (
        (NOT_APPLICABLE, "Death requires no interpretation.")
        if subject.is_death
        else (NOT_REPORTED, _FOR_AUTHORS)
    )
    return {
        "8a": (REPORTED, f"Estimand. How the outcome was ascertained: {_FOR_AUTHORS.lower()}"),
        "8b": assessment,
        "8c": assessment,
        "9a": (
            PARTLY,
            "All columns known at time zero that the catalogue or the mapping names; none was "
            "selected by its association with the outcome. Excluded columns.",
        ),
        "9b": (REPORTED, "Predictors: variables with their units, last value by time zero."),
    }


def _analysis(subject: Subject, done: Collection[Analysis], external: bool) -> dict[str, Item]:
    return {
        "10": (REPORTED, "Sample size.")
        if "sample size" in done
        else (NOT_REPORTED, "No sample size was calculated; the counts are in Patients."),
        "12a": (REPORTED, _partition(subject, external)),
        "12b": (
            REPORTED,
            "Linear part: standardised, log(1 + x) if skewed, clipped at outer quantiles, splines. "
            "Boosted part: untransformed. Every transformation is fitted to training rows.",
        ),
        "12c": (REPORTED, "Model development; all tuning is out of fold, by patient."),
        "12d": (
            NOT_REPORTED,
            "Sites enter only the weights for censoring, where there are enough of them.",
        ),
        "12e": (REPORTED, "Performance; Calibration; Decision curves."),
        "12f": (
            PARTLY,
            "Recalibrated once, on out-of-fold predictions; not updated after the evaluation.",
        ),
        "12g": (REPORTED, "By the registered MLflow model itself; it runs without Osteon."),
        "13": (NOT_APPLICABLE, "No method for class imbalance was used."),
        "14": (PARTLY, "Subgroups: performance is reported; no adjustment was made.")
        if "subgroups" in done
        else (NOT_REPORTED, "Performance in subgroups was not assessed."),
        "15": (
            REPORTED,
            "A risk in [0, 1] at any horizon, with an interval; no classes and no threshold.",
        ),
        "16": (
            PARTLY,
            f"Patients: both cohorts compared by variable. Setting: {_FOR_AUTHORS.lower()}",
        )
        if external
        else (
            REPORTED,
            "Patients: the same, in turn fitted to and judged; folds differ by chance only."
            if subject.out_of_fold
            else "Patients: held out from the same source, as stated there.",
        ),
    }


def _partition(subject: Subject, external: bool) -> str:
    """Return how the patients are used."""
    if external:
        return "Patients: training patients, and the evaluation cohort."
    after = " The registered model learned from all of them afterwards." if subject.refitted else ""
    if subject.out_of_fold:
        return f"Patients: cross-validated by patient, every tuning choice inside the folds.{after}"
    return f"Patients: training and held-out patients, split by patient.{after}"


def _results(subject: Subject, done: Collection[Analysis], external: bool) -> dict[str, Item]:
    subgroups = "subgroups" in done
    return {
        "20a": (REPORTED, "Patient flow."),
        "20b": (REPORTED, "Patient characteristics; Missing data."),
        "20c": (
            NOT_APPLICABLE,
            "The same patients, in turn used for fitting and evaluation.",
        )
        if subject.out_of_fold and not external
        else (
            REPORTED,
            "Comparison of development and evaluation data, with standardised differences.",
        ),
        "21": (REPORTED, "Patient flow."),
        "22": (
            PARTLY,
            "Provenance: the registered bundle and its contract specify the model completely; its "
            "parameters are too many to print.",
        ),
        "23a": (
            REPORTED if subgroups and subject.intervals else PARTLY,
            f"Performance{'; Subgroups.' if subgroups else '. Subgroups: not assessed.'}",
        ),
        "23b": (PARTLY, "Subgroups: by site; no site was left out of the fit.")
        if "sites" in done
        else (NOT_REPORTED, "Performance was not compared across sites."),
        "24": (NOT_APPLICABLE, "The model was not updated."),
    }


_DISCUSSION: Mapping[str, Item] = {
    "26": (PARTLY, "Limitations; each section states which analyses were not done."),
    "27a": (
        REPORTED,
        "Limitations: implausible values, too few measurements and patients unlike the training "
        "cohort are refused, with the reason.",
    ),
    "27b": (PARTLY, "Intended use. Interpretation requires a clinician and a statistician."),
    "27c": (PARTLY, "Evaluate in other patients before any use: osteon evaluate."),
}
