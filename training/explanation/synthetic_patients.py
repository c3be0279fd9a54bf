"""Synthetic patients to explain, sampled from the summaries in a bundle, never from a row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from models.inference.contract import Contract
from models.inference.risk_model import RiskModel
from models.patient_explanation import example_patient

__all__ = ["synthetic_patients"]

_SAMPLE = 400


def synthetic_patients(
    risk_model: RiskModel,
    *,
    horizon_days: float,
    random_state: int,
    shares: Mapping[str, float],
) -> dict[str, pd.DataFrame]:
    """Return synthetic patients at given quantiles of risk among many synthetic patients.

    Continuous numbers are sampled jointly from the Gaussian copula of the novelty guard; all other
    variables have their median or most frequent value, as in the contract's example.

    Parameters
    ----------
    risk_model : RiskModel
    horizon_days : float
        The horizon of the risk.
    random_state : int
    shares : mapping of str to float
        Name -> share of the synthetic patients with a lower risk.

    Returns
    -------
    dict of str to DataFrame, shape (1, n_features)
        Empty where the model refuses all, or has no joint distribution of at least two numbers.
    """
    frame = _sampled(risk_model.contract, np.random.default_rng(random_state))
    if frame is None:
        return {}
    prediction = risk_model.predict(frame, [horizon_days], interval=False)
    available = np.flatnonzero([status == "ok" for status in prediction.status])
    if not len(available):
        return {}
    ordered = available[np.argsort(prediction.risk[available, 0], kind="stable")]
    return {
        name: frame.iloc[[ordered[int(share * (len(ordered) - 1))]]].reset_index(drop=True)
        for name, share in shares.items()
    }


def _sampled(contract: Contract, rng: np.random.Generator) -> pd.DataFrame | None:
    novelty = contract.guard.novelty
    if len(novelty.columns) < 2:
        return None
    numbers = [f.name for f in contract.features if f.kind != "category"]
    scores = rng.multivariate_normal(
        np.zeros(len(novelty.columns)), np.asarray(novelty.correlation), size=_SAMPLE
    )
    example = example_patient(contract)
    frame = pd.concat([example] * _SAMPLE, ignore_index=True)
    for place, column in enumerate(novelty.columns):
        values = np.interp(scores[:, place], novelty.normal_scores, novelty.quantiles[place])
        frame[numbers[column]] = [float(f"{value:.3g}") for value in values]
    return frame
