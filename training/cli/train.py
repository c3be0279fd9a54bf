"""The commands that fit models: train and benchmark."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from data_schema.outcomes import ENDPOINTS
from training.cli.cohorts import MappingOption, StrictOption
from training.cli.console import (
    JsonOption,
    print_command,
    print_json,
    print_lines,
    print_rows,
    working,
)
from training.cli.evaluation_tables import show_subgroups, show_verdict
from training.cli.options import (
    AddedValueOption,
    DaskOption,
    DatasetOption,
    OptionalCohort,
    OverOption,
    names,
    read_study,
    run_settings,
)
from training.cli.tables import notice_lines, show_benchmark, show_judged_metrics

if TYPE_CHECKING:
    from training.run.train import Trained

__all__ = ["benchmark", "train"]

_LOG = logging.getLogger(__name__)


def train(
    outcome: Annotated[
        str, typer.Option(help=f"{', '.join(ENDPOINTS)}, or the outcome of the data set.")
    ],
    cohort: OptionalCohort = None,
    dataset: DatasetOption = None,
    landmark: Annotated[
        str,
        typer.Option(
            help="Time zero: 24h, 72h or discharge (default: 24h for mortality, discharge for "
            "fracture)."
        ),
    ] = "",
    mapping: MappingOption = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the run (TOML).")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed (default: that of the settings, else 0).")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Column to leave out; may be repeated.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of race, income or education that the model may read (default: none); "
            "may be repeated."
        ),
    ] = None,
    added_value: AddedValueOption = "",
    over: OverOption = "",
    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share of the patients to hold out, e.g. 0.3 (default: cross-validation by "
            "patient; beyond 20,000 patients, 0.3 by time or site)."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="patient, site or time: whom to hold out (default: patient)."),
    ] = None,
    refit: Annotated[
        bool | None,
        typer.Option(
            "--refit/--no-refit",
            help="Whether the registered model learns from the patients held out, too (default: "
            "yes).",
            show_default=False,
        ),
    ] = None,
    missingness: Annotated[
        str | None,
        typer.Option(
            help="ignorable or informative: whether columns NAME__not_done may be learned from, "
            "where they pay (default: ignorable)."
        ),
    ] = None,
    strict: StrictOption = False,
    dask: DaskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a model to all patients and register it as challenger.

    Checks the cohort, fits, judges the procedure by cross-validation by patient (or on patients
    held out: --test-fraction, --split), explains, and logs everything to MLflow
    (MLFLOW_TRACKING_URI; default: sqlite:///mlflow.db).
    """
    with working() as progress:
        from models.wording import performance_basis
        from training.distributed.cluster import connected
        from training.report.limited_deaths import limited_deaths_sentence
        from training.run.train import train as run

        settings = run_settings(
            config,
            seed=seed,
            exclude=exclude or [],
            include=include or [],
            added_value=added_value,
            over=over,
            test_fraction=test_fraction,
            split=split,
            refit_on_all=refit,
            missingness=missingness,
            dask=dask,
        )
        with connected(settings.dask):
            study = read_study(
                cohort, dataset, outcome, landmark, mapping, settings=settings, strict=strict
            )
            for finding in study.warnings:
                _LOG.warning("warning: [%s] %s", finding.rule, finding.message)
            trained = run(study, settings, progress=progress)
    if as_json:
        print_json(trained.as_json())
        return
    print_lines(
        [
            *notice_lines(trained.judgement.refusals.notice),
            f"{performance_basis(trained.evaluation, trained.training)} On "
            f"{trained.n_evaluated} rows, with 95 % intervals:",
        ]
    )
    show_judged_metrics(trained.judgement)
    show_subgroups(trained.judgement.subgroups)
    print_lines(["", limited_deaths_sentence(trained.judgement.limited_deaths)])
    if trained.added_value is not None:
        show_verdict(trained.added_value)
    print_lines(
        [
            "",
            f"{trained.model_name} version {trained.version} is registered as challenger: "
            f"{trained.n_train} rows for training, weight of the linear part "
            f"{trained.linear_weight:.2f}, {trained.trees} trees.",
            f"Report: {trained.report}",
        ]
    )
    _print_next(trained, simulated=study.cohort.simulated)


def _print_next(trained: Trained, *, simulated: bool) -> None:
    """Print what to do with a registered model."""
    from models.registry.gate import GATE_KEY

    print_command("Next:", "explain", "--model", trained.model_uri)
    if simulated:
        print_command("Next, to see its page:", "serve", "--demo")
        return
    key = "" if os.environ.get(GATE_KEY) else f", once {GATE_KEY} holds a secret of yours"
    judge = ("promote", trained.model_name, trained.version)
    print_command(f"Next, to let the gate judge it{key}:", *judge)


def benchmark(
    dataset: Annotated[
        str | None,
        typer.Option(
            help="A public data set (see osteon datasets), support2-comparators or simulated; a "
            "published protocol (flchain-xgbse, support2-dsm, burk2024); rhc-by-file, judged from "
            "outside; or the added value of a score (support2-score, rhc-score, glow-score)."
        ),
    ] = None,
    scale: Annotated[
        bool,
        typer.Option(
            "--scale", help="Measure speed, memory and growth instead; each figure for itself."
        ),
    ] = False,
    size: Annotated[
        float, typer.Option(help="--scale: share of the patients of each figure, e.g. 0.01.")
    ] = 1.0,
    repeats: Annotated[
        int | None, typer.Option(help="Number of random splits (default: 5).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the splits and of Osteon.")] = 0,
    folds: Annotated[
        int | None, typer.Option(help="burk2024: first folds of each set (default: all).")
    ] = None,
    sets: Annotated[
        str, typer.Option(help="burk2024: data sets, e.g. veteran,grace (default: all).")
    ] = "",
    jobs: Annotated[
        int | None, typer.Option(help="burk2024: folds fitted at a time (default: one per core).")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="burk2024 and --scale: folder of what is finished, from which a stopped run "
            "continues (default: benchmark in OSTEON_STATE_DIR, or .osteon/benchmark)."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare Osteon with its peers, or measure how it scales."""
    if scale == (dataset is not None):
        raise UsageError("benchmark needs either --dataset or --scale.")
    if scale or dataset is None:
        _scale(results, size, as_json=as_json)
        return
    with working():
        from training.benchmark.neutral.comparison import NeutralRun
        from training.benchmark.run_benchmark import run_benchmark

        neutral = NeutralRun(folds, names(sets), jobs, results)
        result = run_benchmark(
            dataset,
            repeats=repeats,
            random_state=seed,
            neutral=None if neutral == NeutralRun() else neutral,
            progress=_LOG.info,
        )
    if as_json:
        print_json(result.as_json())
    else:
        show_benchmark(result)


def _scale(results: Path | None, size: float, *, as_json: bool) -> None:
    """Print every figure of scale; exit with 1 if one fails, or misses its target at full size."""
    with working():
        from training.benchmark.scale import machine_of_scale, measure_scale
        from training.benchmark.stored_results import results_folder

        machine = machine_of_scale()
        rows = measure_scale(results_folder(results), size=size, progress=_LOG.info)
    if as_json:
        print_json({"machine": machine, "size": size, "figures": [row.as_json() for row in rows]})
    else:
        print_lines([", ".join(f"{name} {value}" for name, value in machine.items()), ""])
        print_rows(
            ("", "figure", "patients", "measured", "target"),
            [
                (
                    "ok" if row.reached else "NO",
                    row.name,
                    f"{row.patients:,}" if row.patients else "",
                    row.in_words(),
                    row.target,
                )
                for row in rows
            ],
            numbers=("patients",),
        )
        if size < 1:
            print_lines(
                [
                    "",
                    f"A trial run, with {size:g} of the patients of each target: what is fixed in "
                    "a run weighs more, so NO is no verdict.",
                ]
            )
    missed = any(row.failed or (size == 1 and not row.reached) for row in rows)
    raise typer.Exit(1 if missed else 0)
