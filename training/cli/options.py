"""Options that several commands share, and the study and settings that they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from data_schema.errors import UsageError
from training.cli.cohorts import stated_mapping

if TYPE_CHECKING:
    from training.cohorts.study import Study
    from training.config import Missingness, RunConfig, SplitBy

__all__ = [
    "AddedValueOption",
    "DaskOption",
    "DatasetOption",
    "OptionalCohort",
    "OverOption",
    "names",
    "read_study",
    "run_settings",
]

OptionalCohort = Annotated[
    Path | None, typer.Argument(help="CSV, .xlsx or Parquet, one row per stay.")
]
DatasetOption = Annotated[
    str | None, typer.Option(help="Name of a public data set, instead of a cohort.")
]
AddedValueOption = Annotated[
    str,
    typer.Option(
        help="Pathways or variables whose added value to measure, e.g. resorption,formation. "
        "Those joined by + count as one part. A pathway stands for its markers, without routine "
        "tests."
    ),
]
OverOption = Annotated[
    str,
    typer.Option(
        help="Base to compare with: variables, pathways or usual_care, e.g. usual_care,drivers "
        "(default: usual_care, which is person, severity, renal function and routine tests)."
    ),
]


DaskOption = Annotated[
    str | None,
    typer.Option(
        help="Work on Dask workers: local (one on each core), or the address of a scheduler, whose "
        "workers share OSTEON_DASK_FOLDER with this machine. Results are the same.",
    ),
]


def read_study(
    cohort: Path | None,
    dataset: str | None,
    outcome: str,
    landmark: str,
    mapping: Path | None,
    *,
    settings: RunConfig,
    strict: bool = False,
) -> Study:
    """Return the user's own cohort or a public data set, checked."""
    from training.cohorts.drawn_patients import drawn_from_file
    from training.cohorts.study import public_study, study_of_table

    if dataset is not None:
        own: Mapping[str, object] = {"COHORT": cohort, "--mapping": mapping, "--landmark": landmark}
        stated = [option for option, value in own.items() if value]
        if stated:
            raise UsageError(f"--dataset cannot be combined with {', '.join(stated)}.")
        return public_study(dataset, outcome=outcome, config=settings)
    if cohort is None:
        raise UsageError("the patients are missing. Give a COHORT or --dataset.")
    described = stated_mapping(mapping)
    drawn = drawn_from_file(cohort, settings, mapping=described)
    study = study_of_table(
        drawn.table,
        outcome=outcome,
        landmark=landmark,
        mapping=described,
        strict=strict,
        config=settings,
    )
    return replace(study, warnings=(*drawn.findings, *study.warnings))


def run_settings(
    config: Path | None,
    *,
    seed: int | None = None,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    added_value: str = "",
    over: str = "",
    test_fraction: float | None = None,
    split: str | None = None,
    refit_on_all: bool | None = None,
    missingness: str | None = None,
    dask: str | None = None,
) -> RunConfig:
    """Return the settings of the file, overridden by the options of the command line."""
    from training.config import RunConfig, read_config

    settings = RunConfig() if config is None else read_config(config)
    return replace(
        settings,
        seed=settings.seed if seed is None else seed,
        exclude=(*settings.exclude, *exclude),
        include=(*settings.include, *include),
        added_value=names(added_value) or settings.added_value,
        over=names(over) or settings.over,
        test_fraction=settings.test_fraction if test_fraction is None else test_fraction,
        split=settings.split if split is None else cast("SplitBy", split),
        missingness=(
            settings.missingness if missingness is None else cast("Missingness", missingness)
        ),
        dask=settings.dask if dask is None else dask,
        refit_on_all=settings.refit_on_all if refit_on_all is None else refit_on_all,
    )


def names(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
