"""`osteon diagnose`: what a cohort allows, and what would flatter a model of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from data_schema.cohort import Cohort
from data_schema.errors import DataError, Finding, RulesBroken
from data_schema.leakage.linter import FATAL_LEAKS, find_leaks
from data_schema.mapping.file import CohortMapping
from data_schema.outcomes import Outcome
from data_schema.outcomes import outcome as known_outcome
from data_schema.variables import base_name
from models.fitting.training_cohort import Progress
from training.cohorts.study import Study, check_table
from training.config import RunConfig
from training.diagnosis.domains import Answer, Domain, Question, domains, unverified
from training.diagnosis.leaks import MeasuredLeak, leaks_by_regression, measured_leaks
from training.diagnosis.learning_curve import LearningCurve, learning_curve

__all__ = [
    "Diagnosis",
    "diagnose",
    "diagnose_evaluated",
    "diagnose_study",
    "diagnose_table",
    "honest_columns",
]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the data say before a model is trained.

    Parameters
    ----------
    outcome : str
    horizon_days : float
        Primary horizon.
    domains : tuple of Domain
        Participants, predictors, outcome, analysis.
    leaks : tuple of MeasuredLeak
        Every suspected column with the inflation that it causes, the largest first.
    unverified : tuple of str
        What the data cannot show.
    learning_curve : LearningCurve or None
        None where it was not asked for.
    """

    outcome: str
    horizon_days: float
    domains: tuple[Domain, ...]
    leaks: tuple[MeasuredLeak, ...]
    unverified: tuple[str, ...]
    learning_curve: LearningCurve | None = None

    def of_answer(self, answer: Answer) -> tuple[Question, ...]:
        """Return the questions of every domain with this answer."""
        return tuple(
            question
            for domain in self.domains
            for question in domain.questions
            if question.answer == answer
        )

    def as_json(self) -> dict[str, object]:
        """Return what `osteon diagnose --json` prints."""
        content: dict[str, object] = {
            "outcome": self.outcome,
            "horizon_days": self.horizon_days,
            "domains": [domain.as_json() for domain in self.domains],
            "leaks": [leak.as_json() for leak in self.leaks],
            "unverified": list(self.unverified),
        }
        if self.learning_curve is not None:
            content["learning_curve"] = self.learning_curve.as_json()
        return content


def diagnose_table(
    table: pd.DataFrame,
    *,
    outcome: str,
    landmark: str = "",
    mapping: CohortMapping | None = None,
    config: RunConfig,
    with_curve: bool = False,
    progress: Progress | None = None,
) -> Diagnosis:
    """Diagnose a user's table: it may leak, but must otherwise be a cohort.

    Raises
    ------
    RulesBroken
        With every fatal rule but those of leakage.
    UsageError
        If there is no such outcome.
    """
    known = known_outcome(outcome, landmark)
    checked = check_table(table, outcome=known.name, mapping=mapping, tolerated=FATAL_LEAKS)
    if checked.cohort is None:
        raise RulesBroken(checked.report.fatal)
    cohort = replace(checked.cohort, population=config.population or checked.cohort.population)
    return diagnose(
        cohort,
        known,
        config.horizons_days or tuple(map(float, known.horizons_days)),
        checked.report.warnings,
        config,
        with_curve=with_curve,
        progress=progress,
    )


def diagnose(
    cohort: Cohort,
    outcome: Outcome,
    horizons_days: Sequence[float],
    findings: Sequence[Finding] | None,
    config: RunConfig,
    *,
    with_curve: bool = False,
    progress: Progress | None = None,
) -> Diagnosis:
    """Diagnose a cohort that may hold columns that leak.

    Parameters
    ----------
    cohort : Cohort
        With an outcome.
    outcome : Outcome
    horizons_days : sequence of float
        The middle one is the primary horizon.
    findings : sequence of Finding, or None
        Of the check; None to run the leakage linter on the cohort alone.
    config : RunConfig
        Of the fits.
    with_curve : bool
        Whether to compute the learning curve, of the columns that are not suspected.
    """
    if findings is None:
        findings = find_leaks(cohort.features, cohort.outcome)
    data = cohort.outcome
    if data is None:
        raise DataError("a cohort must have an outcome to be diagnosed; this one has none.")
    fixed = data.horizon_days
    days = list(horizons_days) if fixed is None else [fixed]
    primary = float(days[len(days) // 2])
    leaks = measured_leaks(cohort, findings, days, config, progress=progress)
    honest = honest_columns(cohort, findings)
    return Diagnosis(
        outcome.name,
        primary,
        domains(cohort, outcome, days, primary, findings),
        leaks,
        unverified(cohort, findings),
        learning_curve(honest, days, primary, config, progress=progress) if with_curve else None,
    )


def diagnose_study(study: Study, *, random_state: int) -> Diagnosis:
    """Diagnose the cohort of a run for its report, with no fit but small regressions.

    Parameters
    ----------
    study : Study
        Whose cohort the model learns from; suspects are those of its warnings, since a run refuses
        all others.
    random_state : int
        Seed of the resamples.
    """
    cohort = study.cohort
    if not study.population_described:
        cohort = replace(cohort, population="")
    return _of_report(
        cohort, study.outcome, study.horizons_days, study.warnings, random_state=random_state
    )


def diagnose_evaluated(
    cohort: Cohort, outcome: Outcome, horizons_days: Sequence[float], *, random_state: int
) -> Diagnosis:
    """Diagnose patients that a model is judged on, for the report; parameters as elsewhere."""
    findings = find_leaks(
        cohort.features, cohort.outcome, known_at_time_zero=list(map(str, cohort.features))
    )
    return _of_report(cohort, outcome, horizons_days, findings, random_state=random_state)


def _of_report(
    cohort: Cohort,
    outcome: Outcome,
    horizons_days: Sequence[float],
    findings: Sequence[Finding],
    *,
    random_state: int,
) -> Diagnosis:
    """Return the diagnosis that a report shows."""
    primary = float(horizons_days[len(horizons_days) // 2])
    return Diagnosis(
        outcome.name,
        primary,
        domains(cohort, outcome, horizons_days, primary, findings),
        leaks_by_regression(cohort, findings, primary, random_state=random_state),
        unverified(cohort, findings),
    )


def honest_columns(cohort: Cohort, findings: Sequence[Finding]) -> Cohort:
    """Return a cohort without the columns of suspected variables."""
    suspected = {base_name(f.variable) for f in findings if f.rule.startswith("leak_")}
    rest = [name for name in cohort.features if base_name(str(name)) not in suspected]
    return replace(cohort, features=cohort.features[rest])
