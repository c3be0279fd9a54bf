"""Made-up patients to explain: drawn from what a bundle keeps of its cohort, never from a row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from models.inference.contract import Contract
from models.inference.risk_model import RiskModel
from models.patient_explanation import example_patient

__all__ = ["synthetic_patients"]

_DRAWN = 400


def synthetic_patients(
    risk_model: RiskModel,
    *,
    horizon_days: float,
    random_state: int,
    shares: Mapping[str, float],
) -> dict[str, pd.DataFrame]:
    """Return made-up patients at given places among the risks of many made-up patients.

    Continuous numbers are drawn together from the Gaussian copula that the guard keeps; everything
    else has its middle or most frequent value, as in the contract's example.

    Parameters
    ----------
    risk_model : RiskModel
    horizon_days : float
        Whose risk orders them.
    random_state : int
    shares : mapping of str to float
        Name -> share of the made-up patients with a lower risk.

    Returns
    -------
    dict of str to DataFrame, shape (1, n_features)
        Fewer where the model refuses all, or keeps no joint distribution of at least two numbers.
    """
    frame = _drawn(risk_model.contract, np.random.default_rng(random_state))
    if frame is None:
        return {}
    prediction = risk_model.predict(frame, [horizon_days], interval=False)
    answered = np.flatnonzero([status == "ok" for status in prediction.status])
    if not len(answered):
        return {}
    ordered = answered[np.argsort(prediction.risk[answered, 0], kind="stable")]
    return {
        name: frame.iloc[[ordered[int(share * (len(ordered) - 1))]]].reset_index(drop=True)
        for name, share in shares.items()
    }


def _drawn(contract: Contract, rng: np.random.Generator) -> pd.DataFrame | None:
    novelty = contract.guard.novelty
    if len(novelty.columns) < 2:
        return None
    numbers = [f.name for f in contract.features if f.kind != "category"]
    scores = rng.multivariate_normal(
        np.zeros(len(novelty.columns)), np.asarray(novelty.correlation), size=_DRAWN
    )
    example = example_patient(contract)
    frame = pd.concat([example] * _DRAWN, ignore_index=True)
    for place, column in enumerate(novelty.columns):
        drawn = np.interp(scores[:, place], novelty.normal_scores, novelty.quantiles[place])
        frame[numbers[column]] = [float(f"{value:.3g}") for value in drawn]
    return frame
