"""The MLflow interface of a bundle: what MLflow clients load, with or without Osteon installed.

This is the end of a bundle's `model.py`: `models.registry.bundle` writes the source of
`models.inference` and then this module's, without their imports of each other, so that the file
needs no other. The service does not use this class; it reads the bundle itself.
"""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel

from models.inference.risk_model import RiskModel

__all__ = ["OsteonModel"]


class OsteonModel(PythonModel):  # type: ignore[misc]  # mypy does not follow mlflow
    """Risks of a frame of patients, one row per patient and horizon."""

    def load_context(self, context: Any) -> None:
        """Read the bundle of the model version, at the path that MLflow's context holds.

        MLflow's message on a frame of other types than the signature's prints the frame, and with
        it patients' values, unless its details are disabled.
        """
        os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
        self.risk_model = RiskModel.from_directory(context.artifacts["bundle"])

    def predict(
        self,
        context: Any,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return risks with intervals and, with `explain`, contributions.

        Parameters
        ----------
        context : PythonModelContext
            Not used.
        model_input : DataFrame
            One row per patient, the bundle's feature columns in canonical units, numbers as
            float64 and NaN where not measured (`frame.astype(float)`); identifiers and the columns
            that the refusal rules read are optional. Nothing is derived from other columns, as the
            service and the command line do of a body mass index, P/F, eGFR, RANKL/OPG or a score:
            enter such a column itself.
        params : dict
            `horizons_days`, a list of days, and `explain`, whether to add contributions.

        Returns
        -------
        DataFrame
            One row per patient and horizon.
        """
        options = params or {}
        prediction = self.risk_model.predict(
            model_input, options.get("horizons_days"), explain=options.get("explain", False)
        )
        return prediction.to_frame(model_input)
