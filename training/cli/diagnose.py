"""The command `osteon diagnose`: what a cohort allows, before a model is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.cli.cohorts import MappingOption, stated_mapping
from training.cli.console import JsonOption, print_json, print_lines, print_rows, working
from training.cli.options import run_settings

if TYPE_CHECKING:
    from training.diagnosis.diagnose import Diagnosis

__all__ = ["diagnose"]


def diagnose(
    cohort: Annotated[Path, typer.Argument(help="CSV, .xlsx or Parquet, one row per stay.")],
    outcome: Annotated[str, typer.Option(help="mortality, fracture or in_hospital_mortality.")],
    landmark: Annotated[str, typer.Option(help="Time zero: 24h, 72h or discharge.")] = "",
    mapping: MappingOption = None,
    learning_curve: Annotated[
        bool,
        typer.Option(
            "--learning-curve",
            help="Also fit growing parts of the patients, to see where performance flattens "
            "(minutes).",
        ),
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Settings of the fits (TOML).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a cohort allows before a model is trained.

    PROBAST's four domains as far as data can answer them, sample size, follow-up, missing values,
    every suspected leak with the inflation that it would cause, and what could not be verified. A
    cohort with leaks is diagnosed too; `osteon train` refuses it.
    """
    with working() as progress:
        from data_schema.table.files import read_table
        from training.diagnosis.diagnose import diagnose_table

        diagnosis = diagnose_table(
            read_table(cohort),
            outcome=outcome,
            landmark=landmark,
            mapping=stated_mapping(mapping),
            config=run_settings(config),
            with_curve=learning_curve,
            progress=progress,
        )
    if as_json:
        print_json(diagnosis.as_json())
        return
    show_diagnosis(diagnosis)


def show_diagnosis(diagnosis: Diagnosis) -> None:
    """Print domains, leaks, the learning curve and what could not be verified."""
    for domain in diagnosis.domains:
        print_lines([f"{domain.name.capitalize()}:"])
        print_rows(
            ("answer", "question", "what the data say"),
            [(one.answer, one.question, one.finding) for one in domain.questions],
        )
        print_lines([""])
    if diagnosis.leaks:
        print_lines(
            [
                "What each suspect would add to the area under the curve, out of fold, with 95 % "
                "intervals, at the horizon where that is most:"
            ]
        )
        print_rows(
            ("variable", "rules", "horizon (days)", "inflation", "without", "with it"),
            [
                (
                    leak.variable,
                    ", ".join(leak.rules),
                    f"{leak.horizon_days:g}",
                    f"{leak.inflation:+.3f} ({leak.low:+.3f} to {leak.high:+.3f})",
                    f"{leak.without:.3f}",
                    f"{leak.with_it:.3f}",
                )
                for leak in diagnosis.leaks
            ],
        )
    curve = diagnosis.learning_curve
    if curve is not None:
        print_lines(["", "Learning curve, mean of the repeats (lowest to highest):"])
        print_rows(
            ("patients", "events", "area under the curve", "scaled Brier score"),
            [
                (
                    f"{point.patients:,}",
                    f"{point.events:,}",
                    f"{point.auroc:.3f} ({point.auroc_low:.3f} to {point.auroc_high:.3f})",
                    f"{point.ipa:.3f}",
                )
                for point in curve.points
            ],
            numbers=("patients", "events"),
        )
        flat = (
            "The curve does not rise with the patients."
            if curve.flat_from is None
            else f"By the fitted curve, twice the patients gain less than 0.005 from "
            f"{curve.flat_from:,} on; now they would gain {curve.gain_by_doubling:.3f}."
        )
        print_lines([flat])
    print_lines(["", "Not verified:", *(f"- {sentence}" for sentence in diagnosis.unverified)])
