"""The MLflow face of a bundle: what any MLflow client gets, with or without Osteon installed.

This is the tail of a bundle's `model.py`: `models.bundle` writes the source of `models.inference`
and then this module's, without the imports of ours, so that the file stands alone. The service does
not come through here; it reads the bundle itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel

from models.asking import checked_numbers, refuse_kind
from models.columns import columns_read
from models.inference import RiskModel

__all__ = ["OsteonModel"]


class OsteonModel(PythonModel):  # type: ignore[misc]  # mypy does not follow mlflow
    """Risks of a frame of patients, one row per patient and horizon."""

    def load_context(self, context: Any) -> None:
        """Read the bundle that the model version carries.

        Parameters
        ----------
        context : PythonModelContext
            MLflow's, with the path of the bundle.
        """
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
            Not used: the bundle was read once, by `load_context`.
        model_input : DataFrame
            One row per patient, the bundle's feature columns in canonical units, null where not
            measured; identifiers and the columns that the refusal rules read are optional.
        params : dict
            `horizons_days`, a list of days, and `explain`, whether to add contributions.

        Returns
        -------
        DataFrame
            One row per patient and horizon.
        """
        chosen = params or {}
        frame = _checked(model_input, columns_read(self.risk_model.contract))
        prediction = self.risk_model.predict(
            frame, chosen.get("horizons_days"), explain=chosen.get("explain", False)
        )
        return prediction.to_frame(frame)


def _checked(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the frame with float64 in its number columns; refuse text there, and numbers in text.

    MLflow's own check of a typed column is of no use at this door: it refuses integers, and its
    message prints the patients' values. So the signature leaves the type open and this one decides.
    """
    for name, kind in columns.items():
        if kind == "text" and name in frame:
            values = frame[name]
            is_text = values.map(lambda value: isinstance(value, str)).astype(bool)
            refuse_kind(name, kind, values.notna() & ~is_text)
    named = [name for name, kind in columns.items() if kind == "numbers"]
    return frame.assign(**checked_numbers(frame, named))
