"""What a command learns from: the cohort or the public data set, and the settings of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_schema.errors import UsageError
from training.cli.cohorts import stated_mapping

if TYPE_CHECKING:
    from training.cohorts.study import Study
    from training.config import RunConfig

__all__ = ["names", "run_settings", "study_asked"]


def study_asked(
    cohort: Path | None,
    dataset: str | None,
    outcome: str,
    landmark: str,
    mapping: Path | None,
    *,
    settings: RunConfig,
    strict: bool,
) -> Study:
    """Return the user's own cohort or a public data set, checked.

    Raises
    ------
    UsageError
        If there is neither, or both.
    """
    if dataset is None:
        return _own(cohort, outcome, landmark, mapping, settings, strict=strict)
    own: Mapping[str, object] = {"COHORT": cohort, "--mapping": mapping, "--landmark": landmark}
    return _public(dataset, outcome, settings, own)


def run_settings(
    config: Path | None,
    *,
    seed: int | None = None,
    exclude: Sequence[str] = (),
    added_value: str = "",
    over: str = "",
) -> RunConfig:
    """Return the settings of the file, after what the command line states."""
    from dataclasses import replace

    from training.config import RunConfig, read_config

    settings = RunConfig() if config is None else read_config(config)
    return replace(
        settings,
        seed=settings.seed if seed is None else seed,
        exclude=(*settings.exclude, *exclude),
        added_value=names(added_value) or settings.added_value,
        over=names(over) or settings.over,
    )


def names(text: str) -> tuple[str, ...]:
    """Return what is listed with commas between."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _public(name: str, outcome: str, settings: RunConfig, own: Mapping[str, object]) -> Study:
    """Return a public data set, which takes nothing that describes a cohort of one's own."""
    from training.cohorts.study import public_study

    stated = [option for option, value in own.items() if value]
    if stated:
        raise UsageError(f"--dataset must stand without {', '.join(stated)}; it does not.")
    return public_study(name, outcome=outcome, config=settings)


def _own(
    cohort: Path | None,
    outcome: str,
    landmark: str,
    mapping: Path | None,
    settings: RunConfig,
    *,
    strict: bool,
) -> Study:
    """Return the user's own cohort."""
    from data_schema.table.files import read_table
    from training.cohorts.study import study_of_table

    if cohort is None:
        raise UsageError("the command must be given a COHORT or --dataset; it has neither.")
    return study_of_table(
        read_table(cohort),
        outcome=outcome,
        landmark=landmark,
        mapping=stated_mapping(mapping),
        strict=strict,
        config=settings,
    )
