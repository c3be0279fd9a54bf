"""The command `osteon recalibrate`: a registered model updated to local patients."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from training.cli.cohorts import MappingOption
from training.cli.console import JsonOption, print_json, print_lines, print_rows, working
from training.cli.score import cohort_for, full_name, loaded_model

if TYPE_CHECKING:
    from training.run.recalibrate import Recalibrated

__all__ = ["recalibrate"]

_SHOWN = ("oe_ratio", "calibration_slope", "ici", "brier")


class Method(StrEnum):
    """How a model is updated."""

    INTERCEPT = "intercept"
    SLOPE = "slope"
    SITE = "site"
    REFIT = "refit"


def recalibrate(
    cohort: Annotated[Path, typer.Argument(help="Local patients with outcomes: one row per stay.")],
    model: Annotated[str, typer.Option(help="models:/NAME/VERSION or models:/NAME@ALIAS.")],
    method: Annotated[
        Method | None,
        typer.Option(
            help="intercept: the level; slope: level and spread; site: the level of each site, "
            "shrunk; refit: the whole model, to old and new patients together (default: what a "
            "closed test of none, intercept and slope chooses, and with --old also a refit)."
        ),
    ] = None,
    mapping: MappingOption = None,
    old: Annotated[
        Path | None,
        typer.Option(help="Cohort that the model learned from, for a refit to both together."),
    ] = None,
    old_mapping: Annotated[
        Path | None, typer.Option(help="Mapping file of that cohort (TOML).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Update a registered model to local patients.

    The new version holds no row of a patient; its lineage is in its contract. It is the challenger
    until it passes the gate. The report compares it with the version updated, in new patients, out
    of fold. With --old, patients in both cohorts are learned from and not judged.
    """
    with working() as progress:
        from training.run.recalibrate import recalibrate as update

        loaded = loaded_model(model)
        outcome = loaded.risk_model.contract.outcome
        patients = cohort_for(loaded, cohort, mapping, outcome=outcome)
        if old is None and old_mapping is not None:
            raise UsageError("--old-mapping describes the cohort of --old, which is missing.")
        before = None if old is None else cohort_for(loaded, old, old_mapping, outcome=outcome)
        done = update(
            loaded,
            patients,
            None if method is None else method.value,
            old=before,
            progress=progress,
        )
    if as_json:
        print_json(done.as_json())
        return
    _show(done, full_name(loaded))


def _show(done: Recalibrated, of: str) -> None:
    """Print the new version, the closed test, and what changed."""
    from data_schema.disclosure import shown_count
    from models.metrics.metric import metric_at
    from training.report.performance import estimate_text
    from training.report.update_report import tested_sentence

    print_lines(
        [
            f"{done.model_name} version {done.version}: {of}, updated by {done.method}. It is the "
            "challenger until it passes the gate.",
            tested_sentence(done.tested),
            *(
                f"It is not known whether the model learned from these patients: {why}."
                for why in (done.overlap_not_known,)
                if why
            ),
            *(
                f"{shown_count(count)} patients are in both cohorts; they were learned from and "
                "not judged."
                for count in (done.in_both,)
                if count
            ),
            "In new patients, the update out of fold:",
        ]
    )
    print_rows(
        ("metric", "before", "after"),
        [
            (
                f"{metric.metric} at {metric.horizon_days:g} days",
                estimate_text(metric),
                estimate_text(metric_at(done.after, metric.metric, metric.horizon_days)),
            )
            for metric in done.before
            if metric.metric in _SHOWN and metric.horizon_days is not None
        ],
    )
    print_lines([f"Report: {done.report}"])
