"""The commands that fit models: train and benchmark."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_schema.errors import UsageError
from training.cli_cohorts import MappingOption, StrictOption, stated_mapping
from training.console import JsonOption, print_json, print_lines, working
from training.shown import show_benchmark, show_metrics

if TYPE_CHECKING:
    from training.cohorts import Study
    from training.config import RunConfig

__all__ = ["benchmark", "train"]

_LOG = logging.getLogger(__name__)


def train(
    outcome: Annotated[str, typer.Option(help="mortality, fracture, or a data set's own.")],
    cohort: Annotated[
        Path | None, typer.Argument(help="CSV, .xlsx or Parquet, one row per stay.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Instead of a cohort: a public data set by name.")
    ] = None,
    landmark: Annotated[
        str, typer.Option(help="Time zero: 24h (mortality without it) or 72h; discharge.")
    ] = "",
    mapping: MappingOption = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the run (TOML).")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same model.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave this column out; may be repeated.")
    ] = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a model and register it as challenger.

    Checks the cohort, splits it by patient, fits, evaluates on the held-out patients, explains, and
    logs everything to MLflow (MLFLOW_TRACKING_URI; sqlite:///mlflow.db without it).
    """
    with working() as progress:
        from training.run import train as run

        settings = _settings(config, seed, exclude or [])
        if dataset is None:
            study = _own(cohort, outcome, landmark, mapping, settings, strict=strict)
        else:
            own = {"COHORT": cohort, "--mapping": mapping, "--landmark": landmark}
            study = _public(dataset, outcome, settings, own)
        for finding in study.warnings:
            _LOG.warning("warning: [%s] %s", finding.rule, finding.message)
        trained = run(study, settings, progress=progress)
    result = trained.as_json()
    if as_json:
        print_json(result)
        return
    print_lines([f"On {trained.n_test} held-out rows, with 95 % intervals:"])
    show_metrics(result["metrics"])
    print_lines(
        [
            "",
            f"{trained.model_name} version {trained.version} is registered as challenger: "
            f"{trained.n_train} rows learned from, weight of the linear part "
            f"{trained.linear_weight:.2f}, {trained.trees} trees.",
            f"Report: {trained.report}",
            f"Next: osteon promote {trained.model_name} {trained.version}",
        ]
    )


def benchmark(
    dataset: Annotated[
        str,
        typer.Option(
            help="A public data set (osteon datasets), support2-comparators; by a published "
            "protocol: flchain-xgbse, support2-dsm; what a score adds: support2-score, rhc-score, "
            "glow-score."
        ),
    ],
    repeats: Annotated[int | None, typer.Option(help="Random splits; 5 without it.")] = None,
    seed: Annotated[int, typer.Option(help="Of the splits and of Osteon.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare Osteon with its peers on the same splits."""
    with working():
        from training.benchmark import run_benchmark

        result = run_benchmark(dataset, repeats=repeats, random_state=seed, progress=_LOG.info)
    if as_json:
        print_json(result)
    else:
        show_benchmark(result)


def _settings(config: Path | None, seed: int | None, exclude: Sequence[str]) -> RunConfig:
    """Return the settings of the file, after what the command line states."""
    from dataclasses import replace

    from training.config import RunConfig, read_config

    settings = RunConfig() if config is None else read_config(config)
    return replace(
        settings,
        seed=settings.seed if seed is None else seed,
        exclude=(*settings.exclude, *exclude),
    )


def _public(name: str, outcome: str, settings: RunConfig, own: dict[str, Any]) -> Study:
    """Return a public data set, which takes nothing that describes a cohort of one's own."""
    from training.cohorts import public_study

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
    from data_schema.reading import read_table
    from training.cohorts import study_of_table

    if cohort is None:
        raise UsageError("train must be given a COHORT or --dataset; it has neither.")
    return study_of_table(
        read_table(cohort),
        outcome=outcome,
        landmark=landmark,
        mapping=stated_mapping(mapping),
        strict=strict,
        config=settings,
    )
