"""The commands that ask a model about patients: score and explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from training.cli.cohorts import CohortArgument, MappingOption, stated_mapping
from training.cli.console import JsonOption, print_json, print_lines, working
from training.cli.tables import show_explanation

if TYPE_CHECKING:
    from data_schema.cohort import Cohort
    from models.registry.lifecycle import LoadedModel

__all__ = ["ModelOption", "cohort_for", "explain", "loaded_model", "named", "score"]

ModelOption = Annotated[
    str, typer.Option(help="models:/NAME/VERSION, models:/NAME@ALIAS, or a bundle's folder.")
]


def score(
    cohort: CohortArgument,
    model: ModelOption,
    out: Annotated[Path, typer.Option(help="File to write: .parquet or .csv.")],
    mapping: MappingOption = None,
    horizons: Annotated[
        str | None, typer.Option(help="Days, as 28,90,365; the model's default without it.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add what each variable contributed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the risks of every patient of a cohort.

    One row per patient and horizon; refused patients stay, with a code and no risk.
    """
    with working():
        from training.files import require_table_path, write_table
        from training.score import score as scored

        require_table_path(out)
        days = None if horizons is None else _days(horizons)
        loaded = loaded_model(model)
        patients = cohort_for(loaded, cohort, mapping, outcome=None)
        frame = scored(loaded.risk_model, patients, horizons_days=days, explain=explain)
        write_table(frame, out)
        n_patients = len(set(patients.patient_id))
        refused = int((frame["status"] != "ok").sum()) // frame["horizon_days"].nunique()
    if as_json:
        rows = {"rows": len(frame), "patients": n_patients, "refused": refused}
        print_json(rows | {"out": str(out)})
        return
    print_lines(
        [
            f"{len(frame)} rows of {n_patients} patients in {out}; {refused} refused: their rows "
            "say why and hold no risk."
        ]
    )


def explain(
    model: ModelOption,
    cohort: Annotated[
        Path | None, typer.Argument(help="Without it, the model's made-up example patient.")
    ] = None,
    mapping: MappingOption = None,
    row: Annotated[int, typer.Option(help="Row of the cohort; the first is 0.")] = 0,
    horizon: Annotated[
        float | None, typer.Option(help="Days; the model's default horizons without it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one patient's risk and what raised or lowered it.

    With its interval, by pathway and variable, in points of risk.
    """
    with working():
        from models.patient_explanation import example_patient, explain_patient

        loaded = loaded_model(model)
        if cohort is None:
            patient = "a made-up patient of middle values"
            frame = example_patient(loaded.risk_model.contract)
        else:
            features = cohort_for(loaded, cohort, mapping, outcome=None).features
            if not 0 <= row < len(features):
                raise UsageError(f"--row must lie in 0-{len(features) - 1}; got {row}.")
            patient, frame = f"row {row} of the cohort", features.iloc[[row]]
        told = explain_patient(loaded.risk_model, frame, None if horizon is None else [horizon])
    result = _identity(loaded) | {"patient": patient} | told.as_json()
    if as_json:
        print_json(result)
        return
    print_lines([f"{named(loaded)}: {patient}", ""])
    show_explanation(told)


def loaded_model(uri: str) -> LoadedModel:
    """Return a model by its URI."""
    from models.registry.lifecycle import load

    return load(uri)


def cohort_for(
    loaded: LoadedModel, cohort: Path, mapping: Path | None, *, outcome: str | None
) -> Cohort:
    """Return a cohort file as the model reads it."""
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
        raise UsageError(f"--horizons must be days, as 28,90,365; got {text!r}.") from None
    if len(set(days)) < len(days):
        raise UsageError(f"--horizons must differ; got {text!r}.")
    return days


def _identity(loaded: LoadedModel) -> dict[str, object]:
    """Return which model answers, and whom it learned from."""
    contract = loaded.risk_model.contract
    model = {"name": loaded.name, "version": loaded.version, "alias": loaded.alias}
    told = ("outcome", "time_zero", "population", "simulated")
    return {"model": model} | {key: getattr(contract, key) for key in told}


def named(loaded: LoadedModel) -> str:
    """Return name, version and alias, as far as it has them."""
    version = "" if loaded.version is None else f" version {loaded.version}"
    alias = "" if loaded.alias is None else f" ({loaded.alias})"
    return f"{loaded.name}{version}{alias}"
