"""TRIPOD+AI: its 27 items, each with its content or a link to the section that holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from models.inference.contract import Contract, StudyFacts
from training.report.checklists.subject import Subject
from training.report.content import Section, Table
from training.validation.judgement import Findings

__all__ = [
    "TOPICS",
    "Analysis",
    "Item",
    "Status",
    "analyses_of",
    "filled_items",
    "tripod_checklist",
    "tripod_items",
    "tripod_section",
]

Status = Literal["reported", "partly reported", "not applicable", "open"]

Analysis = Literal["subgroups", "sample size", "sites"]
"""An optional analysis that a checklist refers to."""


@dataclass(frozen=True, slots=True)
class Item:
    """One part of an item: its status, its content, and the sections of the report that hold more.

    `field` is the field of the settings' table `[study]` that fills an open item.
    """

    status: Status
    content: str = ""
    sections: tuple[str, ...] = ()
    field: str = ""

    @property
    def is_filled(self) -> bool:
        """Whether a reader finds the item here, by its content or a link."""
        return self.status != "open" and bool(self.content or self.sections)


TOPICS: Mapping[str, Mapping[str, str]] = {
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
"""Heading -> number of a part of an item -> its topic, shortened."""


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


def filled_items(items: Mapping[str, Item]) -> int:
    """Return how many of the 52 parts of items have content or a link."""
    return sum(item.is_filled for item in items.values())


def tripod_checklist(items: Mapping[str, Item]) -> Section:
    """Return the 27 items with their status; a key names a part of an item, as `23a`."""
    rows: list[tuple[str, ...]] = []
    links: list[tuple[str, ...]] = []
    for heading, topics in TOPICS.items():
        rows.append((heading,))
        links.append(())
        for number, topic in topics.items():
            item = items[number]
            rows.append((number, topic, item.status, item.content))
            links.append(item.sections)
    tally = Counter(item.status for item in items.values())
    counts = ", ".join(f"{tally[status]} {status}" for status in tally)
    still_open = [
        f"{number} ({item.field})" if item.field else number
        for number, item in items.items()
        if not item.is_filled
    ]
    return Section(
        "TRIPOD+AI checklist",
        (
            "The 27 items of TRIPOD+AI (Collins et al. BMJ 2024;385:e078378), topics shortened. "
            f"Of {len(items)} parts of items {filled_items(items)} have their content or a link "
            f"here: {counts}.",
            "Still open, for the authors to state in the table [study] of the settings, under the "
            f"key in brackets: {', '.join(still_open)}."
            if still_open
            else "None is open.",
        ),
        tables=(
            Table(
                "TRIPOD+AI, item by item",
                ("item", "topic", "status", "content and sections"),
                tuple(rows),
                links=tuple(links),
            ),
        ),
    )


def tripod_items(
    subject: Subject, done: Collection[Analysis], *, external: bool
) -> dict[str, Item]:
    """Return every part of an item; arguments as those of `tripod_section`."""
    study = subject.study
    return {
        **_front(subject, external),
        **_data(subject, study),
        **_outcome_and_predictors(subject, study),
        **_analysis(subject, done, external),
        **_open_science(study),
        **_results(subject, done, external),
        **_discussion(study),
    }


def _stated(text: str, field: str, *sections: str) -> Item:
    """Return an item that only the authors can fill: open unless they did."""
    return Item("reported", _sentence(text), sections) if text else Item("open", field=field)


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""


def _front(subject: Subject, external: bool) -> dict[str, Item]:
    aim = "evaluation" if external else "development and evaluation"
    return {
        "1": Item(
            "reported",
            f"{subject.name}: {aim} of a prediction model of {subject.outcome_label.lower()}. "
            f"Population: {_sentence(subject.population)}",
        ),
        "2": Item("reported", "Patients, ranking, risks, panel, gate and use.", ("Summary",)),
        "3a": _stated(subject.study.context, "context"),
        "3b": Item("reported", subject.clinical_use, ("Intended use",)),
        "3c": _stated(subject.study.inequalities, "inequalities"),
        "4": Item("reported", f"{aim.capitalize()} of the model.", ("Estimand",)),
    }


def _data(subject: Subject, study: StudyFacts) -> dict[str, Item]:
    described = subject.population_described
    population = _sentence(subject.population) if described else ""
    at_entry = (
        f"Under observation at time zero ({subject.time_zero}); patients under 18 and pregnant "
        "patients are refused."
    )
    known = "Treatments known at time zero are predictors; later ones are not known."
    return {
        "5a": _stated(study.data_source, "data_source")
        if study.data_source or not population
        else Item("partly reported", population, field="data_source"),
        "5b": _stated(study.dates, "dates", "Patient flow"),
        "6a": _stated(study.setting, "setting")
        if study.setting or not population
        else Item("partly reported", population, field="setting"),
        "6b": Item("reported", f"{_sentence(study.eligibility)} {at_entry}")
        if study.eligibility
        else Item("partly reported", at_entry, field="eligibility"),
        "6c": Item("reported", f"{_sentence(study.treatments)} {known}")
        if study.treatments
        else Item("partly reported", known, field="treatments"),
        "7": Item(
            "reported",
            "Units and plausible ranges of all values are checked before fitting, columns that "
            "give away the outcome are refused, and no row is dropped. Whether data quality "
            "differs between groups of patients was not assessed.",
            ("Excluded columns", "Missing data"),
        ),
        "11": Item(
            "reported",
            "No patient is left out for missing values; both parts of the model handle them.",
            ("Missing data", "Predictors"),
        ),
    }


def _outcome_and_predictors(subject: Subject, study: StudyFacts) -> dict[str, Item]:
    assessment = (
        Item("not applicable", "Death requires no interpretation.")
        if subject.is_death
        else _stated(study.outcome_assessment, "outcome_assessment")
    )
    return {
        "8a": Item("reported", _sentence(study.outcome_assessment), ("Estimand",))
        if study.outcome_assessment
        else Item("partly reported", "", ("Estimand",), field="outcome_assessment"),
        "8b": assessment,
        "8c": assessment,
        "9a": Item(
            "reported",
            "All columns known at time zero that the catalogue or the mapping names; none was "
            "selected by its association with the outcome.",
            ("Excluded columns",),
        ),
        "9b": Item(
            "reported",
            "Variables with their units, last value by time zero.",
            ("Predictors", "Patient characteristics"),
        ),
        "9c": _stated(study.predictor_assessment, "predictor_assessment"),
    }


def _analysis(subject: Subject, done: Collection[Analysis], external: bool) -> dict[str, Item]:
    return {
        "10": Item("reported", "Criteria of Riley et al.", ("Sample size",))
        if "sample size" in done
        else Item(
            "reported", "No sample size was calculated; all patients were used.", ("Patient flow",)
        ),
        "12a": Item("reported", _partition(subject, external), ("Patients",)),
        "12b": Item(
            "reported",
            "Linear part: standardised, log(1 + x) if skewed, clipped at outer quantiles, splines. "
            "Boosted part: untransformed. Every transformation is fitted to training rows.",
        ),
        "12c": Item(
            "reported",
            f"All tuning is out of fold, by patient. {subject.tuned}".rstrip(),
            ("Model development",),
        ),
        "12d": Item(
            "reported",
            "Sites enter only the weights for censoring, where there are enough of them; "
            + (
                "performance is reported by site."
                if "sites" in done
                else "the data record no sites to compare."
            ),
            ("Subgroups",) if "sites" in done else (),
        ),
        "12e": Item("reported", "", ("Performance", "Calibration", "Clinical use")),
        "12f": Item(
            "reported",
            "Recalibrated once, on out-of-fold predictions; not updated after the evaluation.",
        ),
        "12g": Item(
            "reported",
            "By the registered MLflow model itself, which runs without Osteon; its contract gives "
            "columns, units and horizons.",
        ),
        "13": Item("not applicable", "No method for class imbalance was used."),
        "14": Item(
            "reported",
            "Performance by sex and age; no adjustment was made.",
            ("Summary", "Subgroups"),
        )
        if "subgroups" in done
        else Item("reported", "Performance in subgroups was not assessed, and nothing adjusted."),
        "15": Item(
            "reported",
            "A risk in [0, 1] at any horizon, with an interval; no classes. Thresholds of the "
            "decision curve and of the table of flags are examples.",
            ("Clinical use",),
        ),
        "16": Item(
            "reported",
            "Both cohorts are compared by variable.",
            ("Comparison of development and evaluation data",),
        )
        if external
        else Item(
            "reported",
            "The same patients, in turn fitted to and judged; folds differ by chance only."
            if subject.out_of_fold
            else "Patients held out from the same source.",
            ("Comparison of development and evaluation data",),
        ),
    }


def _open_science(study: StudyFacts) -> dict[str, Item]:
    return {
        "17": _stated(study.ethics, "ethics"),
        "18a": _stated(study.funding, "funding"),
        "18b": _stated(study.conflicts, "conflicts"),
        "18c": _stated(study.protocol, "protocol"),
        "18d": _stated(study.registration, "registration"),
        "18e": _stated(study.data_access, "data_access", "Provenance"),
        "18f": Item(
            "reported",
            _sentence(study.code_access) or "Revision of the code and versions of the software.",
            ("Provenance",),
        ),
        "19": _stated(study.involvement, "involvement"),
    }


def _partition(subject: Subject, external: bool) -> str:
    """Return how the patients are used."""
    if external:
        return "Training patients, and the evaluation cohort."
    after = " The registered model learned from all of them afterwards." if subject.refitted else ""
    if subject.out_of_fold:
        return f"Cross-validated by patient, every tuning choice inside the folds.{after}"
    return f"Training and held-out patients, split by patient.{after}"


def _results(subject: Subject, done: Collection[Analysis], external: bool) -> dict[str, Item]:
    subgroups = "subgroups" in done
    return {
        "20a": Item("reported", "", ("Patient flow",)),
        "20b": Item("reported", "", ("Patient characteristics", "Missing data")),
        "20c": Item("not applicable", "The same patients, in turn used for fitting and evaluation.")
        if subject.out_of_fold and not external
        else Item("reported", "", ("Comparison of development and evaluation data",)),
        "21": Item("reported", "", ("Patient flow",)),
        "22": Item(
            "reported",
            "The registered bundle and its contract specify the model completely; its parameters "
            "are too many to print.",
            ("Model development", "Provenance"),
        ),
        "23a": Item(
            "reported" if subgroups and subject.intervals else "partly reported",
            "" if subgroups else "Subgroups were not assessed.",
            ("Performance", "Subgroups") if subgroups else ("Performance",),
        ),
        "23b": Item("reported", "By site; no site was left out of the fit.", ("Subgroups",))
        if "sites" in done
        else Item("reported", "Not compared: the data record no sites."),
        "24": Item("not applicable", "The model was not updated."),
    }


def _discussion(study: StudyFacts) -> dict[str, Item]:
    return {
        "25": _stated(study.interpretation, "interpretation", "Summary"),
        "26": Item("reported", "", ("Limitations",)),
        "27a": Item(
            "reported",
            "Implausible values, too few measurements and patients unlike the training cohort are "
            "refused, with the reason; figures with fields left empty are reported.",
            ("Limitations", "As at the bedside"),
        ),
        "27b": Item(
            "reported", "Interpretation requires a clinician and a statistician.", ("Intended use",)
        ),
        "27c": Item(
            "reported",
            "Evaluate in other patients before any use: osteon evaluate.",
            ("Limitations",),
        ),
    }
