"""The command `osteon evaluate`: a model on new patients, or models refitted to a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from data_schema.errors import UsageError
from data_schema.outcomes import ENDPOINTS
from training.cli.cohorts import MappingOption, stated_mapping
from training.cli.console import JsonOption, print_json, print_lines, working
from training.cli.evaluation_tables import show_study_evaluation, show_subgroups
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
from training.cli.score import full_name, loaded_model
from training.cli.tables import notice_lines, show_judged_metrics

if TYPE_CHECKING:
    from data_schema.mapping.file import CohortMapping
    from models.fitting.training_cohort import Progress
    from models.registry.lifecycle import LoadedModel
    from training.config import RunConfig
    from training.in_parts.evaluate_file import FileEvaluation
    from training.validation.evaluate_cohort import RequestedEvaluations
    from training.validation.evaluate_model import Evaluation
    from training.validation.internal_external import ClusterBy
    from training.validation.predictions import Predictions

__all__ = ["evaluate"]


def evaluate(
    cohort: OptionalCohort = None,
    model: Annotated[
        str | None,
        typer.Option(help="models:/NAME/VERSION, models:/NAME@ALIAS, or the folder of a bundle."),
    ] = None,
    mapping: MappingOption = None,
    dataset: DatasetOption = None,
    outcome: Annotated[
        str | None,
        typer.Option(
            help=f"Required without --model: {', '.join(ENDPOINTS)}, or the outcome of the data "
            "set."
        ),
    ] = None,
    landmark: Annotated[str, typer.Option(help="Time zero: 24h, 72h or discharge.")] = "",
    added_value: AddedValueOption = "",
    over: OverOption = "",
    horizon: Annotated[
        float | None,
        typer.Option(
            help="Primary horizon in days (default: that of the settings, else the middle horizon)."
        ),
    ] = None,
    thresholds: Annotated[
        str,
        typer.Option(
            help="Risks at which treatment would start, e.g. 0.1,0.2 (default: 0.5, 1 and 2 times "
            "the event rate)."
        ),
    ] = "",
    internal_external: Annotated[
        str | None, typer.Option(help="site or year: hold out each site or year in turn.")
    ] = None,
    instability: Annotated[
        int, typer.Option(help="Number of bootstrap refits that show how stable risks are.")
    ] = 0,
    config: Annotated[Path | None, typer.Option(help="Settings of the refits (TOML).")] = None,
    dask: DaskOption = None,
    out: Annotated[Path | None, typer.Option(help="New folder for all results.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model on new patients, or refit to a cohort.

    With --model: every metric with its interval, in all patients and in subgroups; a file of more
    than 100,000 rows is read in parts, and gets no report. Without --model:
    models are refitted to measure what a panel adds (--added-value), performance at held-out sites
    or in held-out years (--internal-external), and how much risks depend on the sample
    (--instability).
    """
    refit_options = {
        "--dataset": dataset,
        "--outcome": outcome,
        "--landmark": landmark,
        "--added-value": added_value,
        "--over": over,
        "--horizon": horizon,
        "--thresholds": thresholds,
        "--internal-external": internal_external,
        "--instability": instability,
        "--config": config,
    }
    if model is not None:
        stated = [option for option, value in refit_options.items() if value]
        if stated:
            raise UsageError(f"--model cannot be combined with {', '.join(stated)}.")
        _judge(cohort, model, mapping, out, dask=dask, as_json=as_json)
        return
    if outcome is None:
        raise UsageError(
            "evaluate needs --model, or --outcome with --added-value, --internal-external or "
            "--instability."
        )
    with working() as progress:
        from training.distributed.cluster import connected
        from training.files import require_new_folder
        from training.report.folders import write_study_evaluation
        from training.validation.evaluate_cohort import evaluate_study

        if out is not None:
            require_new_folder(out)
        settings = run_settings(config, added_value=added_value, over=over, dask=dask)
        requested = _requested(settings, horizon, thresholds, internal_external, instability)
        with connected(settings.dask):
            study = read_study(cohort, dataset, outcome, landmark, mapping, settings=settings)
            evaluation = evaluate_study(study, settings, requested, progress=progress)
        if out is not None:
            write_study_evaluation(evaluation, out)
    if as_json:
        print_json(evaluation.as_json() | {"out": None if out is None else str(out)})
    else:
        show_study_evaluation(evaluation)


def _judge(
    cohort: Path | None,
    model: str,
    mapping: Path | None,
    out: Path | None,
    *,
    dask: str | None,
    as_json: bool,
) -> None:
    """Evaluate a model on patients that it was not trained on, of a large file in parts."""
    if cohort is None:
        raise UsageError("evaluate --model needs a COHORT.")
    with working() as progress:
        from training.files import require_new_folder
        from training.in_parts.evaluate_file import MOST_AT_ONCE, rows_of_file

        if out is not None:
            require_new_folder(out)
        loaded, described = loaded_model(model), stated_mapping(mapping)
        evaluation: Evaluation | FileEvaluation
        judged: Predictions | FileEvaluation
        if rows_of_file(cohort) > MOST_AT_ONCE:
            judged = in_parts = _in_parts(cohort, loaded, described, out, dask, progress)
            evaluation, drawn = in_parts, in_parts.judgement.concordance_patients
            how = f", read in parts; c_harrell and c_uno of {drawn} patients drawn by identifier"
            if out is not None:
                how += "; a file of this size has tables and no report"
        else:
            evaluation = whole = _at_once(cohort, loaded, described, out)
            judged, how = whole.predictions, ", read at once by this process" if dask else ""
    if as_json:
        print_json(evaluation.as_json() | {"out": None if out is None else str(out)})
        return
    print_lines(
        [
            *notice_lines(evaluation.overlap.sentence or None),
            *notice_lines(judged.refusals.notice),
            f"{full_name(loaded)} on {judged.patients} patients with {judged.events} events "
            f"({judged.refusals.refused} of {judged.stays} stays refused){how}, with 95 % "
            "intervals:",
        ]
    )
    show_judged_metrics(evaluation.judgement)
    show_subgroups(evaluation.judgement.subgroups)


def _at_once(
    cohort: Path, loaded: LoadedModel, mapping: CohortMapping | None, out: Path | None
) -> Evaluation:
    """Evaluate a model on a cohort that is read as a whole."""
    from data_schema.table.files import read_table
    from training.report.folders import write_evaluation
    from training.score import cohort_for_model
    from training.validation.evaluate_model import evaluate_on

    contract = loaded.risk_model.contract
    patients = cohort_for_model(
        read_table(cohort), contract, outcome=contract.outcome, mapping=mapping
    )
    evaluation = evaluate_on(loaded, patients)
    if out is not None:
        write_evaluation(evaluation, out)
    return evaluation


def _in_parts(
    cohort: Path,
    loaded: LoadedModel,
    mapping: CohortMapping | None,
    out: Path | None,
    dask: str | None,
    progress: Progress,
) -> FileEvaluation:
    """Evaluate a model on all patients of a file that is too large to be held."""
    from training.distributed.cluster import connected
    from training.in_parts.evaluate_file import evaluate_file
    from training.report.folders import write_file_evaluation

    with connected(dask or "") as cluster:
        evaluation = evaluate_file(
            cohort, loaded, mapping=mapping, cluster=cluster, progress=progress
        )
    if out is not None:
        write_file_evaluation(evaluation, out)
    return evaluation


def _requested(
    settings: RunConfig,
    horizon: float | None,
    thresholds: str,
    internal_external: str | None,
    instability: int,
) -> RequestedEvaluations:
    """Return the requested evaluations of a cohort."""
    from training.validation.evaluate_cohort import RequestedEvaluations
    from training.validation.internal_external import ClusterBy

    if internal_external not in (None, *get_args(ClusterBy)):
        raise UsageError(f"--internal-external must be site or year; got {internal_external!r}.")
    try:
        risks = tuple(float(part) for part in names(thresholds))
    except ValueError:
        raise UsageError(f"--thresholds must be risks, e.g. 0.1,0.2; got {thresholds!r}.") from None
    return RequestedEvaluations(
        added=settings.added_value,
        by=cast("ClusterBy | None", internal_external),
        refits=instability,
        over=settings.over,
        primary_horizon_days=settings.primary_horizon_days if horizon is None else horizon,
        thresholds=risks,
    )
