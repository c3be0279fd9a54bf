"""Patients whose risk is a line in log-odds, and how a model is fitted to few of them quickly."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from models.targets import survival_target

HORIZONS = (30.0, 90.0, 180.0)
SMALL = {"max_trees": 5, "max_depth": 3, "tuning_folds": 2, "interval_folds": 0, "n_jobs": 1}


def odds_of_linear_truth(n: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Return patients and the part of their log-odds that does not depend on the horizon."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return frame, -1.0 + frame.to_numpy() @ np.array([0.9, -0.6, 0.0])


def true_risk(eta: NDArray[np.float64], days: tuple[float, ...]) -> NDArray[np.float64]:
    """Return F(h), whose logit is eta + 0.8 log(h / 90)."""
    return expit(eta[:, None] + 0.8 * np.log(np.asarray(days) / 90))


def times_of_linear_truth(eta: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return event times whose distribution is `true_risk`."""
    u = np.random.default_rng(seed).uniform(0.001, 0.999, len(eta))
    return 90 * np.exp((logit(u) - eta) / 0.8)


def small_cohort(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.void]]:
    """Return patients of the linear truth, a third of them censored before the last horizon."""
    frame, eta = odds_of_linear_truth(n, seed)
    time = times_of_linear_truth(eta, seed + 1)
    censored = np.random.default_rng(seed + 2).uniform(20, 500, n)
    return frame, survival_target(np.minimum(time, censored), (time <= censored).astype(int))
