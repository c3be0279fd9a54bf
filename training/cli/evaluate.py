"""The command that judges: a model on other patients, or models fitted again to a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from data_schema.errors import UsageError
from data_schema.outcomes import ENDPOINTS
from training.cli.cohorts import MappingOption
from training.cli.console import JsonOption, print_json, print_lines, working
from training.cli.evaluation_tables import show_study_evaluation, show_subgroups
from training.cli.options import names, run_settings, study_asked
from training.cli.score import cohort_for, loaded_model, named
from training.cli.tables import show_metrics

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.validation.evaluate_cohort import Questions
    from training.validation.internal_external import ClusterBy

__all__ = ["evaluate"]


def evaluate(
    cohort: Annotated[
        Path | None, typer.Argument(help="CSV, .xlsx or Parquet, one row per stay.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="models:/NAME/VERSION, models:/NAME@ALIAS, or a bundle's folder."),
    ] = None,
    mapping: MappingOption = None,
    dataset: Annotated[
        str | None, typer.Option(help="Instead of a cohort: a public data set by name.")
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(help=f"Without a model: {', '.join(ENDPOINTS)}, or the data set's."),
    ] = None,
    landmark: Annotated[str, typer.Option(help="Time zero: 24h, 72h or discharge.")] = "",
    added_value: Annotated[
        str,
        typer.Option(
            help="Pathways or variables, as resorption,formation: what they add; joined by + they "
            "are one part."
        ),
    ] = "",
    over: Annotated[
        str, typer.Option(help="Over which ones, as severity,person; all others without it.")
    ] = "",
    horizon: Annotated[
        float | None, typer.Option(help="Primary horizon in days; the middle one without it.")
    ] = None,
    thresholds: Annotated[str, typer.Option(help="Risks at which one would act, as 0.1,0.2.")] = "",
    internal_external: Annotated[
        str | None, typer.Option(help="site or year: hold out each in its turn.")
    ] = None,
    instability: Annotated[
        int, typer.Option(help="Bootstrap refits: how far each patient's risk moves.")
    ] = 0,
    config: Annotated[Path | None, typer.Option(help="Settings of the refits (TOML).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to make with all results.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a model on other patients, or what a cohort says about models of it.

    With --model: every metric with its interval, in all patients and in subgroups. Without: fits
    again, to say what a panel adds (--added-value), how models do at sites or in years they never
    saw (--internal-external), and how much risks depend on the sample (--instability).
    """
    asked = {
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
        stated = [option for option, value in asked.items() if value]
        if stated:
            raise UsageError(f"--model must stand without {', '.join(stated)}; it does not.")
        _judge(cohort, model, mapping, out, as_json=as_json)
        return
    if outcome is None:
        raise UsageError("evaluate must be given --model, or --outcome and what is asked for.")
    with working() as progress:
        from training.files import require_new_folder
        from training.report.folders import write_study_evaluation
        from training.validation.evaluate_cohort import evaluate_study

        if out is not None:
            require_new_folder(out)
        settings = run_settings(config, added_value=added_value, over=over)
        questions = _questions(settings, horizon, thresholds, internal_external, instability)
        study = study_asked(
            cohort, dataset, outcome, landmark, mapping, settings=settings, strict=False
        )
        evaluation = evaluate_study(study, settings, questions, progress=progress)
        if out is not None:
            write_study_evaluation(evaluation, out)
    if as_json:
        print_json(evaluation.as_json() | {"out": None if out is None else str(out)})
    else:
        show_study_evaluation(evaluation)


def _judge(
    cohort: Path | None, model: str, mapping: Path | None, out: Path | None, *, as_json: bool
) -> None:
    """Judge a model on patients that it did not learn from."""
    if cohort is None:
        raise UsageError("evaluate --model must be given a COHORT; it has none.")
    with working():
        from training.files import require_new_folder
        from training.report.folders import write_evaluation
        from training.validation.evaluate_model import evaluate_on

        if out is not None:
            require_new_folder(out)
        loaded = loaded_model(model)
        outcome = loaded.risk_model.contract.outcome
        patients = cohort_for(loaded, cohort, mapping, outcome=outcome)
        evaluation = evaluate_on(loaded, patients)
        if out is not None:
            write_evaluation(evaluation, out)
    if as_json:
        print_json(evaluation.as_json() | {"out": None if out is None else str(out)})
        return
    answers = evaluation.answers
    print_lines(
        [
            f"{named(loaded)} on {answers.patients} patients with {answers.events} events "
            f"(refused and left out: {answers.refused} of {answers.rows} stays), with 95 % "
            "intervals:"
        ]
    )
    show_metrics(evaluation.judgement.metrics)
    show_subgroups(evaluation.judgement.subgroups)


def _questions(
    settings: RunConfig,
    horizon: float | None,
    thresholds: str,
    internal_external: str | None,
    instability: int,
) -> Questions:
    """Return what is asked, as the code takes it."""
    from training.validation.evaluate_cohort import Questions
    from training.validation.internal_external import ClusterBy

    if internal_external not in (None, *get_args(ClusterBy)):
        raise UsageError(f"--internal-external must be site or year; got {internal_external!r}.")
    try:
        acting = tuple(float(part) for part in names(thresholds))
    except ValueError:
        raise UsageError(f"--thresholds must be risks, as 0.1,0.2; got {thresholds!r}.") from None
    return Questions(
        added=settings.added_value,
        by=cast("ClusterBy | None", internal_external),
        refits=instability,
        over=settings.over,
        primary_horizon_days=horizon,
        thresholds=acting,
    )
