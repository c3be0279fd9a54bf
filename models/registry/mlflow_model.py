"""A bundle as an MLflow model: its code, signature, example and requirements."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from models.inference.columns import columns_read
from models.inference.contract import Contract
from models.inference.risk_model import RiskModel
from models.registry.bundle import MODEL_CODE, write_bundle
from models.registry.tracking import connect, outside_errors

__all__ = ["BUNDLE_PATH", "log_model"]

BUNDLE_PATH = "artifacts/bundle"
"""Where the bundle lies inside an MLflow model; a copy of its `MODEL_CODE` lies at the top."""

_TEXTS = frozenset(
    {"patient_id", "stay_id", "outcome", "time_zero", "status", "refusal_code", "warning_code"}
)
_OUTPUTS = (
    *("patient_id", "stay_id", "outcome", "time_zero", "horizon_days", "status"),
    *("refusal_code", "warning_code", "risk", "risk_low", "risk_high", "baseline_risk"),
    *("cohort_risk", "base_log_odds", "monotone_adjustment"),
)
"""Columns of a prediction without contributions, in their order."""

_REQUIREMENTS = ("mlflow", "xgboost", "pandas", "numpy")


class Params(TypedDict):
    """Parameters of a request."""

    horizons_days: list[float]
    explain: bool


def log_model(risk_model: RiskModel, *, run_id: str) -> tuple[str, str]:
    """Log a risk model to its run as an MLflow model that does not need Osteon.

    Returns
    -------
    tuple of str
        Id of MLflow's logged model, and hash of the bundle.

    Raises
    ------
    UsageError
        If there is no such run.
    OutsideError
        If MLflow fails.
    ValueError
        If the saved model cannot answer its own example; it is then marked as failed.
    """
    mlflow = connect()
    contract = risk_model.contract
    with tempfile.TemporaryDirectory() as scratch:
        bundle, saved = Path(scratch, Path(BUNDLE_PATH).name), Path(scratch, "model")
        sha256 = write_bundle(risk_model, bundle)
        with outside_errors(missing=f"MLflow has no run {run_id}."):
            client = mlflow.MlflowClient()
            run = client.get_run(run_id)
            # Created first, in the run's own experiment: MLflow would take the default one.
            logged = client.create_logged_model(
                run.info.experiment_id, "model", source_run_id=run_id, params=run.data.params
            )
            status = "FAILED"
            try:
                described = mlflow.models.Model(
                    artifact_path=logged.artifact_location,
                    run_id=run_id,
                    model_uuid=logged.model_id,
                    model_id=logged.model_id,
                    metadata=_metadata(contract) | {"bundle_sha256": sha256},
                )
                _save(contract, bundle, saved, described)
                _upload(run, logged.model_id, saved)
                status = "READY"
            finally:
                client.finalize_logged_model(logged.model_id, status)
    return logged.model_id, sha256


def _save(contract: Contract, bundle: Path, saved: Path, described: Any) -> None:
    """Save a bundle as an MLflow model in a folder, and have it answer its own example there."""
    import mlflow

    # MLflow imports the file it is given, which leaves a __pycache__ beside it.
    code = Path(shutil.copy(bundle / MODEL_CODE, saved.parent))
    mlflow.pyfunc.save_model(
        saved,
        mlflow_model=described,
        python_model=str(code),
        artifacts={bundle.name: str(bundle)},
        signature=_signature(contract),
        input_example=_example(contract),
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
    )
    # As a client would: `Model.log` would only warn that the example cannot be answered.
    model = mlflow.pyfunc.load_model(str(saved), suppress_warnings=True)
    params = model.metadata.load_input_example_params(str(saved))
    model.predict(model.input_example, params=params)
    for leftover in saved.rglob("__pycache__"):
        shutil.rmtree(leftover)


def _upload(run: Any, model_id: str, saved: Path) -> None:
    """Upload a saved model, and link it with its run and the run's metrics.

    `Model.log` would request the history of each metric: hundreds of requests to a server.
    """
    import mlflow

    client, entities = mlflow.MlflowClient(), mlflow.entities
    client.log_outputs(run.info.run_id, [entities.LoggedModelOutput(model_id, 0)])
    metrics = run.data.metrics.items()
    client.log_batch(
        run.info.run_id,
        [entities.Metric(name, value, 0, 0, model_id=model_id) for name, value in metrics],
    )
    client.log_model_artifacts(model_id, str(saved))


def _signature(contract: Contract) -> Any:
    """Return the inputs with their types, all optional, the outputs and the two parameters.

    With types, `mlflow models serve` reads text/csv as it reads JSON. A Python client passes
    numbers as float64, since MLflow converts no other number of 64 bits. A required column would
    have MLflow refuse a frame without it in its own words, so the model checks that itself.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.double if kind == "numbers" else DataType.string, name, required=False)
        for name, kind in columns_read(contract).items()
    ]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string if name in _TEXTS else DataType.double, name, required=False)
        for name in (*_OUTPUTS, *(["competing_risk"] if contract.competing_curve else []))
    ]
    params = [
        ParamSpec("horizons_days", DataType.double, _horizons_days(contract), shape=(-1,)),
        ParamSpec("explain", DataType.boolean, False),
    ]
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema(params))


def _horizons_days(contract: Contract) -> list[float]:
    """Return the default horizons as floats, MLflow's doubles."""
    return [float(days) for days in contract.default_horizons_days]


def _example(contract: Contract) -> tuple[pd.DataFrame, Params]:
    """Return a complete request: the contract's synthetic patient, and both parameters."""
    params: Params = {"horizons_days": _horizons_days(contract), "explain": True}
    kinds = columns_read(contract)
    numbers = {name: float for name in contract.example if kinds[name] == "numbers"}
    return pd.DataFrame([contract.example]).astype(numbers), params


def _metadata(contract: Contract) -> dict[str, object]:
    """Return what a reader of the MLmodel file must know: population, horizons and units."""
    named = ("name", "outcome", "time_zero", "population", "simulated")
    columns = {feature.name: feature.unit or feature.kind for feature in contract.features}
    return {name: getattr(contract, name) for name in named} | {"columns": columns}
