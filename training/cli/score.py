"""The commands that apply a model to patients: score and explain."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from training.cli.cohorts import CohortArgument, MappingOption, stated_mapping
from training.cli.console import JsonOption, print_json, print_lines, working
from training.cli.options import DaskOption
from training.cli.tables import show_explanation

if TYPE_CHECKING:
    from data_schema.cohort import Cohort
    from models.registry.lifecycle import LoadedModel
    from training.prediction_files import Exported

__all__ = [
    "ModelOption",
    "OutputFormat",
    "cohort_for",
    "explain",
    "full_name",
    "loaded_model",
    "score",
]

ModelOption = Annotated[
    str, typer.Option(help="models:/NAME/VERSION, models:/NAME@ALIAS, or the folder of a bundle.")
]


class OutputFormat(StrEnum):
    """In what form risks are written."""

    TABLE = "table"
    MEDS = "meds"
    SEISMOMETER = "seismometer"


def score(
    cohort: CohortArgument,
    model: ModelOption,
    out: Annotated[
        Path, typer.Option(help="File to write: .parquet or .csv; for seismometer a new folder.")
    ],
    mapping: MappingOption = None,
    horizons: Annotated[
        str | None,
        typer.Option(help="Horizons in days, e.g. 28,90,365 (default: those of the model)."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the contribution of each variable.")
    ] = False,
    output: Annotated[
        OutputFormat,
        typer.Option(
            "--format",
            help="table; or, at one horizon, meds (MEDS prediction schema) or seismometer (the "
            "files that Epic's seismometer reads; needs the outcome).",
        ),
    ] = OutputFormat.TABLE,
    dask: DaskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the risks of every patient of a cohort.

    One row per stay and horizon, in the order of the file. Rows of refused patients hold the reason
    and no risk. A long file is read in parts; after an interruption, the same command goes on where
    it ended.
    """
    if output is not OutputFormat.TABLE:
        with working():
            if explain or dask:
                raise UsageError(
                    "--explain and --dask must be left out with --format meds or seismometer."
                )
            exported = _export(model, cohort, mapping, horizons, output, out)
        if as_json:
            counts = {"rows": exported.rows, "refused": exported.refused}
            print_json(counts | {"unknown_outcome": exported.unknown, "out": str(out)})
            return
        print_lines(
            [
                f"{exported.rows} predictions in {out}; left out: {exported.refused} refused, "
                f"{exported.unknown} whose outcome is not known by the horizon."
            ]
        )
        return
    with working() as progress:
        from training.distributed.cluster import connected

        days = None if horizons is None else tuple(_days(horizons))
        stated = stated_mapping(mapping)
        # First, so that workers start while this process imports libraries and loads the model.
        with connected(dask or "") as cluster:
            from training.score_files import ScoreOptions, score_file

            loaded = loaded_model(model)
            options = ScoreOptions(stated, days, explain)
            scored = score_file(cohort, out, loaded, options, cluster=cluster, progress=progress)
    if as_json:
        counts = {"rows": scored.rows, "patients": scored.patients, "refused": scored.refused}
        counts["unknown_category"] = scored.unknown_category
        print_json(counts | {"out": str(out)})
        return
    unknown = scored.unknown_category
    print_lines(
        [
            f"{scored.rows} rows of {scored.patients} patients in {out}; {scored.refused} stays "
            "refused (their rows hold the reason and no risk).",
            *(
                [
                    f"{unknown} stays have a category that the model does not know, which "
                    "counts as not entered (warning_code unknown_category)."
                ]
                if unknown
                else []
            ),
        ]
    )


def _export(
    model: str,
    cohort: Path,
    mapping: Path | None,
    horizons: str | None,
    output: OutputFormat,
    out: Path,
) -> Exported:
    """Write risks at one horizon for another tool, with what happened where it needs or has it."""
    from data_schema.outcomes import OUTCOMES
    from data_schema.table.files import read_table
    from training.prediction_files import write_meds, write_seismometer
    from training.score import cohort_for_model
    from training.score import score as scored

    days = None if horizons is None else _days(horizons)
    loaded = loaded_model(model)
    contract = loaded.risk_model.contract
    table, stated = read_table(cohort), stated_mapping(mapping)
    name = contract.outcome
    endpoint = OUTCOMES[name].endpoint if name in OUTCOMES else name
    has_outcome = f"{endpoint}_event" in table or (
        stated is not None and endpoint in stated.outcomes
    )
    if output is OutputFormat.SEISMOMETER and not has_outcome:
        raise UsageError(
            f"seismometer compares risks with what happened, so the cohort must state {endpoint}. "
            "Add its columns, or state them in the mapping file."
        )
    patients = cohort_for_model(
        table, contract, outcome=name if has_outcome else None, mapping=stated
    )
    frame = scored(loaded.risk_model, patients, horizons_days=days)
    if output is OutputFormat.MEDS or patients.outcome is None:
        return write_meds(frame, patients.outcome, out)
    groups = [column for column in ("age", "sex") if column in patients.features]
    attributes = patients.features[groups].reset_index(drop=True)
    if patients.site is not None:
        attributes["site"] = patients.site
    label = contract.outcome_label or name
    return write_seismometer(
        frame, patients.outcome, out, model=loaded.name, label=label, attributes=attributes
    )


def explain(
    model: ModelOption,
    cohort: Annotated[
        Path | None,
        typer.Argument(help="CSV, .xlsx or Parquet (default: the model's synthetic patient)."),
    ] = None,
    mapping: MappingOption = None,
    row: Annotated[int, typer.Option(help="Row of the cohort, counted from 0.")] = 0,
    horizon: Annotated[
        float | None, typer.Option(help="Horizon in days (default: those of the model).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one patient's risk and what raised or lowered it.

    The risk has its interval; contributions are in points of risk, by pathway and variable.
    """
    with working():
        from models.patient_explanation import example_patient, explain_patient

        loaded = loaded_model(model)
        if cohort is None:
            patient = "a synthetic patient with typical values"
            frame = example_patient(loaded.risk_model.contract)
        else:
            features = cohort_for(loaded, cohort, mapping, outcome=None).features
            if not 0 <= row < len(features):
                raise UsageError(f"--row must lie in 0-{len(features) - 1}; got {row}.")
            patient, frame = f"row {row} of the cohort", features.iloc[[row]]
        horizons = None if horizon is None else [horizon]
        explanation = explain_patient(loaded.risk_model, frame, horizons)
    if as_json:
        print_json(_identity(loaded) | {"patient": patient} | explanation.as_json())
        return
    print_lines([f"{full_name(loaded)}: {patient}", ""])
    show_explanation(explanation)


def loaded_model(uri: str) -> LoadedModel:
    """Return a model by its URI."""
    from models.registry.lifecycle import load

    return load(uri)


def cohort_for(
    loaded: LoadedModel, cohort: Path, mapping: Path | None, *, outcome: str | None
) -> Cohort:
    """Return a cohort file, checked against the contract of a model."""
    from data_schema.table.files import read_table
    from training.score import cohort_for_model

    return cohort_for_model(
        read_table(cohort),
        loaded.risk_model.contract,
        outcome=outcome,
        mapping=stated_mapping(mapping),
    )


def _days(text: str) -> list[float]:
    try:
        days = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--horizons must be days, e.g. 28,90,365; got {text!r}.") from None
    if len(set(days)) < len(days):
        raise UsageError(f"--horizons must not repeat a horizon; got {text!r}.")
    return days


def _identity(loaded: LoadedModel) -> dict[str, object]:
    """Return the identity of a model, and the population that it was trained on."""
    model = {"name": loaded.name, "version": loaded.version, "alias": loaded.alias}
    keys = ("outcome", "time_zero", "population", "simulated")
    return {"model": model} | {key: getattr(loaded.risk_model.contract, key) for key in keys}


def full_name(loaded: LoadedModel) -> str:
    """Return the name of a model with its version and alias, if it has them."""
    version = "" if loaded.version is None else f" version {loaded.version}"
    alias = "" if loaded.alias is None else f" ({loaded.alias})"
    return f"{loaded.name}{version}{alias}"
