"""The four domains of PROBAST, answered from the data as far as data can answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from data_schema.cohort import Cohort, outcome_of
from data_schema.disclosure import SMALLEST_CELL, shown_count
from data_schema.errors import Finding
from data_schema.outcomes import Outcome
from data_schema.variables import base_name
from models.metrics.sample_size import SampleSize
from training.validation.sample_size import patients_needed

__all__ = ["Answer", "Domain", "Question", "domains", "unverified"]

Answer = Literal["no concern", "concern", "not known"]
Floats = NDArray[np.float64]

_MISSING_APART = 0.2
_UNINFORMATIVE = 0.6
_COUNTS_APART = 0.65
_LOST_APART = 0.15
_FIRST_EVENTS = 0.2
_COUNT = "__count"
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a domain, what the data say, and whether that is a concern.

    Parameters
    ----------
    name : str
        Identifies it in JSON.
    question, finding : str
        In words; a finding holds counts of at least `SMALLEST_CELL` patients, and no value.
    answer : {"no concern", "concern", "not known"}
    figure : float or None
        The number that the answer rests on, if one does.
    """

    name: str
    question: str
    answer: Answer
    finding: str
    figure: float | None = None


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of PROBAST with its questions."""

    name: Literal["participants", "predictors", "outcome", "analysis"]
    questions: tuple[Question, ...]

    def as_json(self) -> dict[str, object]:
        """Return the domain as a mapping."""
        return asdict(self)


def domains(
    cohort: Cohort,
    outcome: Outcome,
    horizons_days: Sequence[float],
    horizon_days: float,
    findings: Sequence[Finding],
) -> tuple[Domain, ...]:
    """Answer what the data can answer of participants, predictors, outcome and analysis.

    Parameters
    ----------
    cohort : Cohort
        With an outcome.
    outcome : Outcome
    horizons_days : sequence of float
        Default horizons; `horizon_days` is the primary one.
    findings : sequence of Finding
        Warnings of the check, leaks among them.

    References
    ----------
    .. [1] Moons et al. BMJ 388 (2025) e082505. doi:10.1136/bmj-2024-082505
    """
    return (
        Domain("participants", tuple(_participants(cohort, findings))),
        Domain("predictors", tuple(_predictors(cohort, findings, horizon_days))),
        Domain("outcome", tuple(_outcome(cohort, outcome, horizon_days, findings))),
        Domain("analysis", tuple(_analysis(cohort, horizons_days))),
    )


def unverified(cohort: Cohort, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return what the data cannot show, and what is needed to judge it, in sentences."""
    missing = [
        "Whether each value was known at time zero: a table states no time of a value. Build the "
        "cohort with `osteon landmark`, which reads times.",
        "Whether outcome and predictors were ascertained without knowledge of each other.",
        "Whether the patients are those that the model is meant for, and who was left out before "
        "the table was made.",
        "Leaks that neither a name nor the data give away, such as a value of the hours after time "
        "zero that resembles one before it.",
    ]
    if cohort.time_zero is None:
        missing.append("Changes over the years: the cohort has no time_zero.")
    if cohort.site is None:
        missing.append("Differences between sites: the cohort has no site.")
    if cohort.not_done is None:
        missing.append(
            "Why values are missing: the cohort does not state what was not done (NAME__not_done)."
        )
    if cohort.treatment_limits is None:
        missing.append(
            "Which deaths followed a limitation of treatment: the cohort does not record it."
        )
    if not any(str(name).endswith(_COUNT) for name in cohort.features.columns):
        missing.append(
            "Whether values of survivors cover a longer time than those of patients who died: no "
            "column counts the samples (NAME__count)."
        )
    named = {finding.variable for finding in findings if finding.rule == "leak_name"}
    data = {f.variable for f in findings if f.rule.startswith("leak_") and f.rule != "leak_name"}
    for name in sorted(named - data):
        missing.append(f"Whether {name} leaks: its name says so, its data do not show it.")
    return tuple(missing)


def _participants(cohort: Cohort, findings: Sequence[Finding]) -> Iterator[Question]:
    patients = len(np.unique(cohort.patient_id.astype(str)))
    yield Question(
        "described",
        "Are the patients described?",
        "no concern" if cohort.population else "concern",
        f"{shown_count(patients)} patients in {shown_count(len(cohort))} stays. "
        + (cohort.population.rstrip(".") + "." if cohort.population else "Not described."),
        float(patients),
    )
    yield Question(
        "real",
        "Are the patients real?",
        "concern" if cohort.simulated else "no concern",
        "Simulated patients: nothing here applies to real ones."
        if cohort.simulated
        else "No mark of simulation.",
    )
    sites = None if cohort.site is None else sorted({str(site) for site in cohort.site})
    yield Question(
        "sites",
        "Do the patients come from several sites?",
        "not known" if sites is None else "no concern" if len(sites) > 1 else "concern",
        "No site is stated." if sites is None else f"{len(sites)} sites.",
        None if sites is None else float(len(sites)),
    )
    selected = [f for f in findings if f.rule in ("not_at_risk", "several_stays", "immortal_time")]
    yield Question(
        "selection",
        "Was any patient selected by what happened later?",
        "concern" if any(f.rule == "immortal_time" for f in selected) else "no concern",
        " ".join(f.message for f in selected) or "Nothing in the table shows it.",
    )


def _predictors(cohort: Cohort, findings: Sequence[Finding], days: float) -> Iterator[Question]:
    leaks = sorted({f.variable for f in findings if f.rule.startswith("leak_")})
    yield Question(
        "leakage",
        "Were all predictors known at time zero?",
        "concern" if leaks else "no concern",
        f"{len(leaks)} columns look known only later: {', '.join(leaks[:20])}."
        if leaks
        else "The linter found no column that looks known only later."
        + (f" {len(cohort.dropped)} columns had been left out." if cohort.dropped else ""),
        float(len(leaks)),
    )
    yield _missing_by_outcome(cohort, days)
    yield _missing_by_site(cohort)
    yield _windows(cohort)


def _missing_by_outcome(cohort: Cohort, days: float) -> Question:
    """Compare the share recorded in those with and without the event by the horizon."""
    outcome = outcome_of(cohort)
    event = (outcome.event == 1) & (outcome.time_days <= days)
    without = ((outcome.time_days >= days) | (outcome.event > 1)) & ~event
    question = "Are values missing alike in those with and without the outcome?"
    if min(event.sum(), without.sum()) < SMALLEST_CELL:
        return Question("missing_by_outcome", question, "not known", "Too few outcomes.")
    recorded = cohort.features.notna().to_numpy()
    gap = recorded[event].mean(axis=0) - recorded[without].mean(axis=0)
    return _gaps("missing_by_outcome", question, cohort, gap, "with than without the event")


def _missing_by_site(cohort: Cohort) -> Question:
    """Compare the share recorded at each site with that of all."""
    question = "Are values missing alike at all sites?"
    if cohort.site is None:
        return Question("missing_by_site", question, "not known", "No site is stated.")
    recorded, site = cohort.features.notna().to_numpy(), cohort.site.astype(str)
    names, counts = np.unique(site, return_counts=True)
    large = names[counts >= SMALLEST_CELL]
    if len(large) < 2:
        return Question("missing_by_site", question, "not known", "Fewer than two sites.")
    shares = np.array([recorded[site == name].mean(axis=0) for name in large])
    gap = shares.max(axis=0) - shares.min(axis=0)
    return _gaps("missing_by_site", question, cohort, gap, "between sites")


def _gaps(name: str, question: str, cohort: Cohort, gap: Floats, between: str) -> Question:
    """Return the columns whose share recorded differs most."""
    order = np.argsort(-np.abs(gap))[:_LISTED]
    widest = float(np.abs(gap).max()) if len(gap) else 0.0
    listed = ", ".join(
        f"{cohort.features.columns[k]} ({100 * gap[k]:+.0f} points)" for k in order if gap[k]
    )
    return Question(
        name,
        question,
        "concern" if widest > _MISSING_APART else "no concern",
        f"Share recorded, {between}: {listed or 'no difference'}.",
        widest,
    )


def _windows(cohort: Cohort) -> Question:
    """Look for values that cover more time in those who live on: counts of samples, and gaps."""
    question = "Do the values of patients who died early and of others cover the same time?"
    outcome = outcome_of(cohort)
    happened = outcome.event == 1
    counts = [name for name in map(str, cohort.features.columns) if name.endswith(_COUNT)]
    if not counts:
        return Question("windows", question, "not known", "No column counts the samples.")
    if happened.sum() < 5 * SMALLEST_CELL:
        return Question("windows", question, "not known", "Too few events.")
    early = happened & (
        outcome.time_days <= np.quantile(outcome.time_days[happened], _FIRST_EVENTS)
    )
    areas = {}
    for name in counts:
        values = cohort.features[name].to_numpy(dtype=np.float64)
        known = ~np.isnan(values)
        if min(early[known].sum(), (~early)[known].sum()) >= SMALLEST_CELL:
            areas[name] = float(roc_auc_score(~early[known], values[known]))
    if not areas:
        return Question("windows", question, "not known", "Too few samples are counted.")
    worst = max(areas, key=lambda name: areas[name])
    return Question(
        "windows",
        question,
        "concern" if areas[worst] > _COUNTS_APART else "no concern",
        f"Number of samples, as a sign of not dying early: area up to {areas[worst]:.2f} "
        f"({worst}); 0.5 if windows are alike.",
        areas[worst],
    )


def _outcome(
    cohort: Cohort, outcome: Outcome, days: float, findings: Sequence[Finding]
) -> Iterator[Question]:
    data = outcome_of(cohort)
    events, competing = int((data.event == 1).sum()), int((data.event > 1).sum())
    odd = [
        f.message
        for f in findings
        if f.rule in ("events_at_end", "no_censored", "no_horizon", "follow_up_unit")
    ]
    yield Question(
        "events",
        "Is the outcome coded plausibly?",
        "concern" if odd else "no concern",
        " ".join(
            (
                f"{shown_count(events)} {outcome.event_label}, {shown_count(competing)} competing "
                "events.",
                *odd,
            )
        ),
        float(events),
    )
    if data.horizon_days is not None:
        return
    lost = (data.event == 0) & (data.time_days < days)
    yield Question(
        "follow_up",
        "Were patients followed to the primary horizon?",
        "concern" if lost.mean() > _LOST_APART else "no concern",
        f"{100 * lost.mean():.0f} % were lost before {days:g} days; median follow-up of those "
        f"without an event {np.median(data.time_days[data.event == 0]):,.0f} days."
        if (data.event == 0).any()
        else "No patient was lost.",
        float(lost.mean()),
    )
    yield _informative(cohort, lost)
    yield _lost_by("site", None if cohort.site is None else cohort.site.astype(str), lost)
    years = None
    if cohort.time_zero is not None and not pd.isna(cohort.time_zero).any():
        moments = pd.to_datetime(pd.Series(cohort.time_zero), utc=True)
        years = moments.dt.year.astype(str).to_numpy()
    yield _lost_by("year", years, lost)


def _informative(cohort: Cohort, lost: NDArray[np.bool_]) -> Question:
    """Measure how well the predictors foretell who is lost, out of fold."""
    question = "Is being lost unrelated to the patients' risk?"
    if min(lost.sum(), (~lost).sum()) < 5 * SMALLEST_CELL:
        return Question("informative_censoring", question, "not known", "Too few are lost.")
    numbers = cohort.features.select_dtypes("number")
    ranks = numbers.rank(pct=True).sub(0.5).fillna(0.0).to_numpy(dtype=np.float64)
    score = cross_val_predict(
        LogisticRegression(C=0.1, max_iter=1000), ranks, lost, cv=5, method="decision_function"
    )
    area = float(roc_auc_score(lost, score))
    return Question(
        "informative_censoring",
        question,
        "concern" if area > _UNINFORMATIVE else "no concern",
        f"Predictors foretell who is lost with an area of {area:.2f} out of fold (0.5: not at "
        "all). Weights for censoring account for it only as far as strata of follow-up do.",
        area,
    )


def _lost_by(what: str, groups: NDArray[np.object_] | None, lost: NDArray[np.bool_]) -> Question:
    """Compare the share lost between sites or years."""
    question = f"Are as many lost in every {what}?"
    if groups is None:
        return Question(f"lost_by_{what}", question, "not known", f"No {what} is stated.")
    names, counts = np.unique(groups, return_counts=True)
    shares = {
        str(name): float(lost[groups == name].mean())
        for name, count in zip(names, counts, strict=True)
        if count >= 5 * SMALLEST_CELL
    }
    if len(shares) < 2:
        return Question(f"lost_by_{what}", question, "not known", f"Fewer than two {what}s.")
    apart = max(shares.values()) - min(shares.values())
    return Question(
        f"lost_by_{what}",
        question,
        "concern" if apart > _LOST_APART else "no concern",
        f"From {100 * min(shares.values()):.0f} to {100 * max(shares.values()):.0f} % lost, by "
        f"{what}.",
        apart,
    )


def _analysis(cohort: Cohort, horizons_days: Sequence[float]) -> Iterator[Question]:
    patients = len(np.unique(cohort.patient_id.astype(str)))
    sizes = patients_needed(cohort, horizons_days)
    events = int((outcome_of(cohort).event == 1).sum())
    question = "Are there enough patients for the number of predictors?"
    if not sizes:
        yield Question("sample_size", question, "not known", "Too few outcomes at any horizon.")
        return
    worst: SampleSize = max(sizes, key=lambda size: size.needed)
    per_parameter = events / worst.parameters
    short = worst.needed - patients
    fits = _affordable(worst, patients)
    remedy = (
        f" {short:,} more patients are needed, or at most {fits} parameters (now "
        f"{worst.parameters})."
        if short > 0
        else ""
    )
    yield Question(
        "sample_size",
        question,
        "concern" if short > 0 else "no concern",
        f"{worst.needed:,} patients are needed for {worst.parameters} parameters and the risk at "
        f"{worst.horizon_days:g} days (Riley et al. 2019); there are {patients:,}.{remedy}",
        float(worst.needed),
    )
    yield Question(
        "events_per_parameter",
        "How many events are there for each candidate parameter?",
        "concern" if per_parameter < 10 else "no concern",
        f"{per_parameter:.1f} events per parameter.",
        per_parameter,
    )
    variables = len({base_name(str(name)) for name in cohort.features.columns})
    stays = len(cohort) - patients
    yield Question(
        "stays",
        "Are several stays of a patient kept together?",
        "no concern",
        f"{variables} variables. "
        + (
            f"{shown_count(stays)} stays are further stays of a patient, which folds and intervals "
            "keep together."
            if stays
            else "Every patient has one stay."
        ),
    )


def _affordable(size: SampleSize, patients: int) -> int:
    """Return how many parameters so many patients allow: the criteria grow in proportion."""
    growing = max(size.for_shrinkage, size.for_optimism)
    if patients < size.for_overall_risk:
        return 0
    return int(size.parameters * patients / growing)
