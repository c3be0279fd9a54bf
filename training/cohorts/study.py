"""A study: a checked cohort, from a user's table or a public data set, with its estimand."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import Finding, RulesBroken, UsageError
from data_schema.leakage.linter import FATAL_LEAKS, find_leaks
from data_schema.mapping.file import CohortMapping
from data_schema.outcomes import FROM_ENTRY, OUTCOMES, Outcome
from data_schema.outcomes import outcome as known_outcome
from data_schema.social import is_social
from data_schema.table.check import Checked, check_cohort
from data_schema.variables import base_name
from models.inference.contract import Contract, StudyFacts
from models.registry.lifecycle import model_name
from training.config import RunConfig
from training.datasets.dataset import Dataset
from training.datasets.registry import dataset, load_dataset
from training.datasets.studies import SIMULATED
from training.simulation.scenarios import SCENARIOS

__all__ = [
    "EXCLUDED",
    "NOT_INCLUDED",
    "Study",
    "check_table",
    "outcome_of_model",
    "public_study",
    "study_of_table",
]

_LOG = logging.getLogger(__name__)

EXCLUDED = "excluded by the settings of the run"
"""Reason recorded for the columns of `RunConfig.exclude`."""

NOT_INCLUDED = "race, income and education are not read unless the settings of the run include them"
"""Reason recorded for the columns that `is_social` and that `RunConfig.include` does not name."""

_NOT_DESCRIBED = "Patients of the cohort supplied, without a description"


@dataclass(frozen=True, slots=True)
class Study:
    """A checked cohort and its estimand.

    Parameters
    ----------
    cohort : Cohort
        With an outcome; `population` and `simulated` describe the patients.
    outcome : Outcome
        Label, event and default horizons.
    time_zero : str
        The moment from which days are counted, in words: that of the outcome or of the data set,
        or each patient's entry.
    horizons_days : tuple of float
        Default horizons.
    model_name : str
        The name under which a model will be registered.
    warnings : tuple of Finding
        Warnings of the check.
    population_described : bool
        Whether the cohort or its user described the patients.
    facts : StudyFacts
        What the settings state of the study; where they are silent, what a public data set or the
        simulation states of itself.
    """

    cohort: Cohort
    outcome: Outcome
    time_zero: str
    horizons_days: tuple[float, ...]
    model_name: str
    warnings: tuple[Finding, ...]
    population_described: bool = True
    facts: StudyFacts = field(default_factory=StudyFacts)


def study_of_table(
    table: pd.DataFrame,
    *,
    outcome: str,
    landmark: str = "",
    mapping: CohortMapping | None = None,
    strict: bool = False,
    config: RunConfig,
) -> Study:
    """Return a user's table as a study, checked, without the columns that `config` excludes.

    Parameters
    ----------
    table : DataFrame
        One row per stay.
    outcome, landmark : str
        As in `data_schema.outcomes.outcome`.
    mapping : CohortMapping, optional
        The meaning of the site's columns.
    strict : bool
        Whether an unknown column is fatal.
    config : RunConfig

    Raises
    ------
    RulesBroken
        With every fatal rule, including leakage.
    UsageError
        If there is no such outcome, or no such column to exclude.
    """
    known = known_outcome(outcome, landmark)
    remaining, mapped = _without(table, mapping or CohortMapping(), config.exclude)
    checked = check_table(remaining, outcome=known.name, mapping=mapped, strict=strict)
    if checked.cohort is None:
        raise RulesBroken(checked.report.fatal)
    if config.missingness == "informative":
        _require_flags(checked.cohort, checked.report.warnings)
    # A setting cannot override that a cohort is simulated.
    simulated = config.simulated or checked.cohort.simulated
    population = config.population or checked.cohort.population
    cohort = replace(
        checked.cohort,
        population=population or _NOT_DESCRIBED,
        simulated=simulated,
        dropped={**checked.cohort.dropped, **dict.fromkeys(config.exclude, EXCLUDED)},
    )
    cohort = _without_social(cohort, config.include)
    from_entry = outcome_of(cohort).from_entry
    return Study(
        cohort=cohort,
        outcome=known,
        time_zero=FROM_ENTRY if from_entry else known.time_zero,
        horizons_days=_horizons(cohort, known, config),
        model_name=model_name(known.name, simulated=simulated, from_entry=from_entry),
        warnings=checked.report.warnings,
        population_described=bool(population),
        facts=_completed(config.study, SIMULATED if cohort.scenario in SCENARIOS else StudyFacts()),
    )


def public_study(
    name: str, *, outcome: str, config: RunConfig, data_dir: Path | None = None
) -> Study:
    """Return a public data set as a study, read by its adapter and checked for leakage.

    Parameters
    ----------
    name : str
        A key of `training.datasets.registry.ADAPTERS`.
    outcome : str
        The outcome of the data set.
    config : RunConfig
    data_dir : Path, optional
        Folder of the data sets that come as files.

    Raises
    ------
    UsageError
        If there is no such data set, it is for checks only, it has another outcome, or `config`
        describes the patients, which the data set does itself.
    RulesBroken
        If a column leaks.
    OutsideError
        If its package or its file is absent.
    """
    known = dataset(name)
    if known.purpose != "training":
        raise UsageError(
            f"{known.name} must not be used for training; it is a data set for checks only. "
            "Its outcome differs from the outcome that it resembles."
        )
    if known.outcome != outcome:
        raise UsageError(f"outcome of {known.name} must be {known.outcome}; got {outcome!r}.")
    if config.missingness == "informative":
        raise UsageError(
            f"missingness must be ignorable for {known.name}, which does not record what was not "
            "done."
        )
    if config.population or config.simulated:
        raise UsageError(
            f"population and simulated must not be set for {known.name}, which states both itself."
        )
    estimand = _outcome_of(known)
    cohort = _without_features(load_dataset(known.name, data_dir), config.exclude)
    cohort = _without_social(cohort, config.include)
    # The adapter declares each column and drops those known too late by name; the data may still
    # show a leak.
    leaks = find_leaks(cohort.features, cohort.outcome, known_at_time_zero=cohort.features.columns)
    fatal = [leak for leak in leaks if leak.rule in FATAL_LEAKS]
    if fatal:
        raise RulesBroken(fatal)
    return Study(
        cohort=cohort,
        outcome=estimand,
        time_zero=known.time_zero,
        horizons_days=_horizons(cohort, estimand, config),
        model_name=model_name(estimand.name, dataset=known.name),
        warnings=tuple(leaks),
        facts=_completed(config.study, known.study),
    )


def _completed(stated: StudyFacts, known: StudyFacts) -> StudyFacts:
    """Return facts of a study; where nothing is stated, what the data state of themselves."""
    names = [f.name for f in fields(StudyFacts)]
    return StudyFacts(**{name: getattr(stated, name) or getattr(known, name) for name in names})


def _require_flags(cohort: Cohort, warnings: Sequence[Finding]) -> None:
    """Refuse to learn from flags of "recorded as not done" that are absent or leak."""
    if cohort.not_done is None:
        raise UsageError(
            "missingness must be ignorable for this cohort, which has no column NAME__not_done. A "
            "blank cell is not entered, and says nothing of how the value came to be missing."
        )
    leaks = [finding for finding in warnings if finding.rule == "leak_not_done"]
    if leaks:
        raise RulesBroken(leaks)


def check_table(
    table: pd.DataFrame,
    *,
    outcome: str | None,
    mapping: CohortMapping | None = None,
    strict: bool = False,
    tolerated: frozenset[str] = frozenset(),
) -> Checked:
    """Check a cohort and log how many rules it breaks; arguments as in `check_cohort`."""
    checked = check_cohort(
        table, outcome=outcome, mapping=mapping, strict=strict, tolerated=tolerated
    )
    report = checked.report
    _LOG.info(
        "checked %d rows%s: %d fatal, %d warnings about the data",
        report.rows,
        "" if outcome is None else f" for {outcome}",
        len(report.fatal),
        len(report.warnings),
    )
    return checked


def _outcome_of(known: Dataset) -> Outcome:
    """Return the outcome of a data set; an outcome of its own is labelled by its name."""
    if known.outcome in OUTCOMES:
        return OUTCOMES[known.outcome]
    words = known.outcome.replace("_", " ")
    return Outcome(
        name=known.outcome,
        endpoint=known.outcome,
        label=words.capitalize(),
        event_label=f"{words}s",
        event_singular=words,
        landmark=None,
        time_zero=known.time_zero,
        horizons_days=known.horizons_days,
        competing_label=known.competing_label,
    )


def outcome_of_model(contract: Contract) -> Outcome:
    """Return the outcome that a model estimates, also where a data set brought it."""
    if contract.outcome in OUTCOMES:
        return OUTCOMES[contract.outcome]
    return Outcome(
        name=contract.outcome,
        endpoint=contract.outcome,
        label=contract.outcome_label,
        event_label=contract.event_label,
        event_singular=contract.event_singular,
        landmark=None,
        time_zero=contract.time_zero,
        horizons_days=tuple(round(days) for days in contract.default_horizons_days),
        competing_label=contract.competing,
        event_verb=contract.event_verb,
        is_death=contract.is_death,
        competing_noun=contract.competing or "death",
        competing_verb=contract.competing_verb,
    )


def _horizons(cohort: Cohort, outcome: Outcome, config: RunConfig) -> tuple[float, ...]:
    """Return the default horizons: the only known one, those of the run, or the outcome's."""
    fixed = None if cohort.outcome is None else cohort.outcome.horizon_days
    if fixed is None:
        return config.horizons_days or tuple(map(float, outcome.horizons_days))
    if config.horizons_days not in ((), (fixed,)):
        raise UsageError(
            f"horizons_days must be {fixed:g}, the only horizon at which the outcome is known; "
            f"got {', '.join(f'{days:g}' for days in config.horizons_days)}."
        )
    return (fixed,)


def _without(
    table: pd.DataFrame, mapping: CohortMapping, exclude: Sequence[str]
) -> tuple[pd.DataFrame, CohortMapping]:
    """Leave out columns, each by its name in the table or in the mapping."""
    source = {column.variable: name for name, column in mapping.columns.items()}
    columns = {source.get(name, name) for name in exclude}
    _require_known(columns, table.columns)
    rest = {name: column for name, column in mapping.columns.items() if name not in columns}
    return table.drop(columns=list(columns)), replace(mapping, columns=MappingProxyType(rest))


def _without_features(cohort: Cohort, exclude: Sequence[str]) -> Cohort:
    """Leave out features of a cohort that has been read."""
    _require_known(set(exclude), cohort.features.columns)
    return replace(
        cohort,
        features=cohort.features.drop(columns=list(exclude)),
        dropped={**cohort.dropped, **dict.fromkeys(exclude, EXCLUDED)},
    )


def _without_social(cohort: Cohort, include: Sequence[str]) -> Cohort:
    """Set apart the columns of race, income and education that a run does not include by name.

    They stay in the cohort for performance by each, and no model reads them. Benchmarks, which
    repeat published protocols, take their cohorts elsewhere.
    """
    columns = [str(name) for name in cohort.features.columns if is_social(str(name))]
    _require_known(set(include), columns, "include", "columns of race, income or education")
    apart = [name for name in columns if name not in include and base_name(name) not in include]
    if not apart:
        return cohort
    flags = cohort.not_done
    if flags is not None:
        bases = {base_name(name) for name in apart}
        kept = [name for name in flags.columns if base_name(str(name)) not in bases]
        flags = flags[kept] if kept else None
    return replace(
        cohort,
        features=cohort.features.drop(columns=apart),
        not_done=flags,
        social=cohort.features[apart],
        dropped={**cohort.dropped, **dict.fromkeys(apart, NOT_INCLUDED)},
    )


def _require_known(
    names: set[str],
    columns: Collection[str],
    setting: str = "exclude",
    what: str = "columns of the cohort",
) -> None:
    """Reject unknown columns: a misspelt name would leave a leak in."""
    unknown = sorted(names - set(columns))
    if unknown:
        close = difflib.get_close_matches(unknown[0], list(columns), n=3)
        raise UsageError(
            f"{setting} must name {what}; got {', '.join(unknown)}."
            + (f" Did you mean {' or '.join(close)}?" if close else "")
        )
