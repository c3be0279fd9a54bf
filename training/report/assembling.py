"""A whole report, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.cohorts.description import Description
from training.cohorts.flow import FlowStep
from training.explanation.cohort import MOST_EXPLAINED, ExplainedCohort
from training.explanation.importance import NOT_MEASURED, Importance, pathway_label, points_digits
from training.report.added_value import (
    AMONG_LEARNED_FROM,
    added_value_section,
    verdict_sentence,
)
from training.report.checklists.probast import probast_section
from training.report.checklists.tripod import tripod_section
from training.report.content import Picture, Section, Table
from training.report.model_sections import (
    HOW_SPLIT,
    columns_left_out,
    estimand,
    explanation_of_a_risk,
    how_it_was_fitted,
    intended_use,
    interval_of_a_risk,
    limits,
    predictors,
    provenance,
)
from training.report.patients import comparison_table, flow_section, missing_table, table_one
from training.report.performance import estimate_text, metric_at, performance_section
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    subgroups_section,
    validation_section,
)

__all__ = ["Told", "primary_horizon", "report_sections"]


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that a report tells.

    Parameters
    ----------
    contract : mapping
        Of the model, with what the training run added.
    external : bool
        Whether the patients evaluated are others than the training run's.
    evaluated : mapping
        `patients`, `stays`, `events`, `refused`, `metrics` and `cohort_fingerprint` of those
        evaluated; `subgroups`, `sample_size`, `added_value` and `severity_alone` where they were
        looked at.
    resamples : int
        Of the intervals.
    primary_horizon_days : float
        That patients are described and estimates are explained for.
    steps : mapping of str to FlowStep
        What is done with a group of patients -> the group.
    by_outcome : Description
        All patients, and by what had become of them.
    compared : tuple of (Description, Description)
        Whom the model learned from, and whom it was evaluated on.
    explained : ExplainedCohort
    pictures : mapping of str to sequence of Picture
        By the place where they belong.
    """

    contract: Mapping[str, Any]
    external: bool
    evaluated: Mapping[str, Any]
    resamples: int
    primary_horizon_days: float
    steps: Mapping[str, FlowStep]
    by_outcome: Description
    compared: tuple[Description, ...]
    explained: ExplainedCohort
    pictures: Mapping[str, Sequence[Picture]]

    @property
    def done(self) -> tuple[str, ...]:
        """What was done beyond what every evaluation does."""
        found = {
            "subgroups": "subgroups",
            "sample size": "sample_size",
            "added value": "added_value",
        }
        sites = any(one["grouping"] == "site" for one in self.evaluated.get("subgroups") or ())
        named = tuple(name for name, key in found.items() if self.evaluated.get(key))
        return (*named, "sites") if sites else named


def primary_horizon(horizons_days: Sequence[float], metrics: Sequence[Mapping[str, Any]]) -> float:
    """Return the middle horizon, or the first that could be judged where it could not."""
    judged = [m["horizon_days"] for m in metrics if m["estimate"] is not None]
    middle = float(horizons_days[len(horizons_days) // 2])
    if middle in judged:
        return middle
    return next((float(days) for days in horizons_days if days in judged), middle)


def report_sections(told: Told) -> tuple[Section, ...]:
    """Return the sections of a report.

    Parameters
    ----------
    told : Told

    Returns
    -------
    tuple of Section
        No value of a patient is in it, and no count of fewer than `SMALLEST_CELL` patients.
    """
    contract = told.contract
    return (
        _at_a_glance(told),
        intended_use(contract),
        estimand(contract),
        _patients(told),
        predictors(contract),
        columns_left_out(contract),
        replace(
            how_it_was_fitted(contract),
            parts=(
                interval_of_a_risk(contract),
                sample_size_section(
                    told.evaluated.get("sample_size"), patients=contract["training"]["patients"]
                ),
            ),
        ),
        _performance(told),
        Section(
            "Calibration",
            (
                "A patient is told a risk, so the risk must be right, not only its rank. Curves "
                "are smoothed; their numbers are in the table of performance.",
            ),
            pictures=_pictures(told, "calibration"),
        ),
        Section(
            "Decision curves",
            (
                "Whether acting on the model does more good than acting on everybody or nobody "
                "depends on the risk at which one would act. Net benefit counts harm and good in "
                "the same unit: true positives.",
                _against_severity(told.evaluated.get("severity_alone"), external=told.external),
            ),
            pictures=_pictures(told, "decision"),
        ),
        added_value_section(
            told.evaluated.get("added_value"),
            told.pictures.get("added value", ()),
            whom=AMONG_LEARNED_FROM,
        ),
        subgroups_section(
            told.evaluated.get("subgroups"),
            horizon_days=told.primary_horizon_days,
            pictures=_pictures(told, "subgroups"),
        ),
        validation_section(None, horizon_days=told.primary_horizon_days),
        instability_section(None),
        _explanation(told),
        limits(contract, external=told.external),
        tripod_section(contract, told.done, external=told.external),
        probast_section(contract, told.done, evaluated=told.evaluated, external=told.external),
        provenance(contract, evaluated_fingerprint=told.evaluated["cohort_fingerprint"]),
    )


def _against_severity(told: Mapping[str, Any] | None, *, external: bool) -> str:
    """Return what severity alone is, or why the model is not held against it."""
    if told is None:
        return (
            "The report of a training run compares its model with severity alone, too."
            if external
            else "Severity alone is not drawn: it is nothing, or everything, that was recorded."
        )
    return (
        f"Severity alone is the {len(told['columns'])} columns of scores and organ functions, "
        "fitted to the same patients in the same way, every choice made anew, and asked about the "
        "same patients as the model."
    )


def _pictures(told: Told, place: str) -> tuple[Picture, ...]:
    return tuple(told.pictures.get(place, ()))


def _at_a_glance(told: Told) -> Section:
    metrics = told.evaluated["metrics"]
    horizons = list(
        dict.fromkeys(m["horizon_days"] for m in metrics if m["horizon_days"] is not None)
    )
    names = {
        "auroc": "Ranking: area under the ROC curve (0.5 chance, 1 perfect)",
        "oe_ratio": "Level: observed over expected events (1 ideal)",
        "calibration_slope": "Spread: calibration slope (1 ideal)",
        "ipa": "Overall: scaled Brier score (0 no use, 1 perfect)",
    }
    rows = tuple(
        (label, *(estimate_text(metric_at(metrics, name, days)) for days in horizons))
        for name, label in names.items()
    )
    whom = (
        "patients that the training run never saw"
        if told.external
        else "patients of the same source that were held out"
    )
    return Section(
        "At a glance",
        (
            f"Risk of {told.contract['event_label'].removesuffix('s')}, counted from time zero: "
            f"{told.contract['time_zero']}. Judged on {whom}, with 95 % intervals.",
            *(
                ()
                if "subgroups" in told.done
                else ("Whether it does as well in every group of patients: not done.",)
            ),
            verdict_sentence(told.evaluated.get("added_value")),
        ),
        (Table("The metrics to look at first", ("", *(f"{d:g} days" for d in horizons)), rows),),
    )


def _patients(told: Told) -> Section:
    contract, days = told.contract, told.primary_horizon_days
    event = contract["event_label"].removesuffix("s")
    population = f"{contract['population'].rstrip('.')}."
    who = (
        (f"The model learned from: {population}", "Evaluated: the cohort that was given.")
        if told.external
        else (population, HOW_SPLIT[contract["evaluation"]["split"]])
    )
    parts = [
        flow_section(
            told.steps,
            whole="Cohort given" if told.external else "Cohort",
            event=event,
            competing=contract["competing"],
        ),
        Section(
            "Who they are, by outcome",
            tables=(
                table_one(
                    told.by_outcome,
                    caption=f"Patients by what had become of them by day {days:g}",
                ),
            ),
        ),
        Section(
            "What was not recorded",
            ("Nothing was imputed from other patients and nobody was left out for a gap.",),
            (
                missing_table(
                    told.by_outcome, caption="Patients in whom a variable was not recorded"
                ),
            ),
            _pictures(told, "patients"),
        ),
    ]
    table = comparison_table(*told.compared, caption="Learned from and evaluated on, side by side")
    parts.append(Section("Development and evaluation compared", tables=(table,)))
    return Section("Patients", who, parts=tuple(parts))


def _performance(told: Told) -> Section:
    section = performance_section(
        "Performance", told.evaluated["metrics"], resamples=told.resamples
    )
    return replace(section, pictures=_pictures(told, "performance"))


def _explanation(told: Told) -> Section:
    read = explanation_of_a_risk()
    explained = told.explained
    return Section(
        "Explanation",
        (
            *read.sentences,
            f"Shown for patients drawn at random from those evaluated, at most {MOST_EXPLAINED:,}, "
            "one stay of each.",
        ),
        (
            Table(
                "Mean change of the estimate by pathway, in points of risk",
                ("", *(f"{one.horizon_days:g} days" for one in explained.importance)),
                tuple(_shares(explained.importance)),
                numbers=True,
            ),
        ),
        _pictures(told, "explanation"),
        parts=(
            Section(
                "Made-up patients",
                ("None of them is in the cohort.",),
                pictures=_pictures(told, "examples"),
            ),
        ),
    )


def _shares(importance: Sequence[Importance]) -> Iterator[tuple[str, ...]]:
    first = importance[0].pathways
    digits = points_digits(max(first.values()))
    for key in sorted(first, key=lambda key: (key == NOT_MEASURED, -first[key])):
        yield (pathway_label(key), *(f"{one.pathways[key]:.{digits}f}" for one in importance))
