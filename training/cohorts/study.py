"""What a run learns from: a user's table or a public data set, checked, with its estimand."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from data_schema.cohort import Cohort
from data_schema.errors import Finding, RulesBroken, UsageError
from data_schema.leakage.linter import FATAL_LEAKS, find_leaks
from data_schema.mapping.file import CohortMapping
from data_schema.outcomes import OUTCOMES, Outcome
from data_schema.outcomes import outcome as known_outcome
from data_schema.table.check import Checked, check_cohort
from models.registry.lifecycle import model_name
from training.config import RunConfig
from training.datasets.dataset import Dataset
from training.datasets.registry import dataset, load_dataset

__all__ = ["EXCLUDED", "Study", "check_table", "public_study", "study_of_table"]

_LOG = logging.getLogger(__name__)

EXCLUDED = "left out by whoever started the run"
"""Reason recorded for the columns of `RunConfig.exclude`."""

_NOT_DESCRIBED = "The patients of the cohort that was given; nobody described them"


@dataclass(frozen=True, slots=True)
class Study:
    """A checked cohort and what a model of it will claim.

    Parameters
    ----------
    cohort : Cohort
        With an outcome; `population` and `simulated` say who the patients are.
    outcome : Outcome
        Label, event and default horizons.
    time_zero : str
        The moment that days are counted from, in words: the outcome's, or the data set's own.
    horizons_days : tuple of float
        Default horizons.
    model_name : str
        What the model will be registered as.
    warnings : tuple of Finding
        What the check warned of.
    population_described : bool
        Whether the cohort or its user said who the patients are.
    """

    cohort: Cohort
    outcome: Outcome
    time_zero: str
    horizons_days: tuple[float, ...]
    model_name: str
    warnings: tuple[Finding, ...]
    population_described: bool = True


def study_of_table(
    table: pd.DataFrame,
    *,
    outcome: str,
    landmark: str = "",
    mapping: CohortMapping | None = None,
    strict: bool = False,
    config: RunConfig,
) -> Study:
    """Return a user's own cohort, checked, without the columns that `config` excludes.

    Parameters
    ----------
    table : DataFrame
        One row per stay.
    outcome, landmark : str
        As `data_schema.outcomes.outcome` takes them.
    mapping : CohortMapping, optional
        What the site's columns are.
    strict : bool
        Whether a column that nothing names is fatal.
    config : RunConfig

    Returns
    -------
    Study

    Raises
    ------
    RulesBroken
        With every fatal rule, leaks among them.
    UsageError
        If there is no such outcome, or no such column to exclude.
    """
    asked = known_outcome(outcome, landmark)
    kept, mapped = _without(table, mapping or CohortMapping(), config.exclude)
    checked = check_table(kept, outcome=asked.name, mapping=mapped, strict=strict)
    if checked.cohort is None:
        raise RulesBroken(checked.report.fatal)
    # What the cohort says of itself cannot be taken back by a setting.
    simulated = config.simulated or checked.cohort.simulated
    population = config.population or checked.cohort.population
    cohort = replace(
        checked.cohort,
        population=population or _NOT_DESCRIBED,
        simulated=simulated,
        dropped={**checked.cohort.dropped, **dict.fromkeys(config.exclude, EXCLUDED)},
    )
    return Study(
        cohort=cohort,
        outcome=asked,
        time_zero=asked.time_zero,
        horizons_days=_horizons(cohort, asked, config),
        model_name=model_name(asked.name, simulated=simulated),
        warnings=checked.report.warnings,
        population_described=bool(population),
    )


def public_study(
    name: str, *, outcome: str, config: RunConfig, data_dir: Path | None = None
) -> Study:
    """Return a public data set, read by its adapter and seen by the leakage linter.

    Parameters
    ----------
    name : str
        A key of `training.datasets.registry.ADAPTERS`.
    outcome : str
        The outcome that the data set has.
    config : RunConfig
    data_dir : Path, optional
        Folder of the data sets that come as files.

    Returns
    -------
    Study

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
            f"{known.name} must not be learned from; it is a data set for checks only. "
            "Its outcome is not the one that it resembles."
        )
    if known.outcome != outcome:
        raise UsageError(f"outcome of {known.name} must be {known.outcome}; got {outcome!r}.")
    if config.population or config.simulated:
        raise UsageError(f"population and simulated must not be stated for {known.name}; one is.")
    asked = _outcome_of(known)
    cohort = _without_features(load_dataset(known.name, data_dir), config.exclude)
    # The adapter declares each column and drops by name what is known too late; the data may still
    # tell of a leak that nobody saw.
    leaks = find_leaks(cohort.features, cohort.outcome, known_at_time_zero=cohort.features.columns)
    fatal = [leak for leak in leaks if leak.rule in FATAL_LEAKS]
    if fatal:
        raise RulesBroken(fatal)
    return Study(
        cohort=cohort,
        outcome=asked,
        time_zero=known.time_zero,
        horizons_days=_horizons(cohort, asked, config),
        model_name=model_name(asked.name, dataset=known.name),
        warnings=tuple(leaks),
    )


def check_table(
    table: pd.DataFrame,
    *,
    outcome: str | None,
    mapping: CohortMapping | None = None,
    strict: bool = False,
) -> Checked:
    """Check a cohort and log how many rules it breaks; arguments as those of `check_cohort`."""
    checked = check_cohort(table, outcome=outcome, mapping=mapping, strict=strict)
    report = checked.report
    _LOG.info(
        "checked %d rows: %d fatal, %d warnings",
        report.rows,
        len(report.fatal),
        len(report.warnings),
    )
    return checked


def _outcome_of(known: Dataset) -> Outcome:
    """Return the outcome of a data set; one that only it has is called by its own words."""
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


def _horizons(cohort: Cohort, asked: Outcome, config: RunConfig) -> tuple[float, ...]:
    """Return the default horizons: the one that is known, those of the run, or the outcome's."""
    fixed = None if cohort.outcome is None else cohort.outcome.horizon_days
    if fixed is None:
        return config.horizons_days or tuple(map(float, asked.horizons_days))
    if config.horizons_days not in ((), (fixed,)):
        raise UsageError(
            f"horizons_days must be {fixed:g}, the one at which the outcome is known; "
            "other horizons are stated."
        )
    return (fixed,)


def _without(
    table: pd.DataFrame, mapping: CohortMapping, exclude: Sequence[str]
) -> tuple[pd.DataFrame, CohortMapping]:
    """Leave out columns, each by the table's name or by the name the mapping gives it."""
    source = {column.variable: name for name, column in mapping.columns.items()}
    columns = {source.get(name, name) for name in exclude}
    _require_known(columns, table.columns)
    kept = {name: column for name, column in mapping.columns.items() if name not in columns}
    return table.drop(columns=list(columns)), replace(mapping, columns=MappingProxyType(kept))


def _without_features(cohort: Cohort, exclude: Sequence[str]) -> Cohort:
    """Leave out features of a cohort that is already read."""
    _require_known(set(exclude), cohort.features.columns)
    return replace(
        cohort,
        features=cohort.features.drop(columns=list(exclude)),
        dropped={**cohort.dropped, **dict.fromkeys(exclude, EXCLUDED)},
    )


def _require_known(names: set[str], columns: Collection[str]) -> None:
    """Refuse to leave out what is not there: a slip would keep a leak in."""
    unknown = sorted(names - set(columns))
    if unknown:
        close = difflib.get_close_matches(unknown[0], list(columns), n=3)
        raise UsageError(
            f"exclude must name columns of the cohort; {', '.join(unknown)} are not."
            + (f" Did you mean {' or '.join(close)}?" if close else "")
        )
