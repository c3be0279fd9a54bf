"""How well a model should do before any outcome has arrived, from its own risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

__all__ = ["CONCEPT_DRIFT", "Expected", "events_to_show", "expected_performance"]

_Floats = NDArray[np.float64]

DRAWS = 500
SHIFT_BETWEEN_PLACES = 0.3
"""Standard deviation of the calibration intercept from one place or year to the next, log-odds. A
choice: with 0.15, the Brier score of the simulation's site of other patients, kits and risks was
missed in half of the draws (`tests/benchmark/monitoring_study.py`)."""

SLOPE_BETWEEN_PLACES = 0.1
"""That of the calibration slope."""

_RISK_FLOOR = 1e-6
FEWEST_RISKS = 20

CONCEPT_DRIFT = (
    "These figures assume that the risks are still right for these patients. If the same patients "
    "now die more or less often than before (concept drift), they cannot show it before outcomes "
    "arrive."
)
"""Printed with every expected figure."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A metric that the risks of a period promise, with a 95 % prediction interval.

    Parameters
    ----------
    metric : {"auroc", "brier"}
    estimate : float
        The mean over outcomes drawn from the risks.
    low, high : float
        Between them lies what is observed in 95 % of periods, if calibration differs from the
        training cohort's as it does from place to place.
    patients : int
    """

    metric: str
    horizon_days: float
    estimate: float
    low: float
    high: float
    patients: int

    def as_json(self) -> dict[str, object]:
        """Return the figure as `osteon monitor --json` prints it."""
        return asdict(self)


def expected_performance(
    risk: _Floats,
    horizons_days: Sequence[float],
    *,
    random_state: int = 0,
) -> list[Expected]:
    r"""Return the discrimination and the Brier score that the risks promise.

    Parameters
    ----------
    risk : ndarray of float, shape (n_stays, n_horizons)
        Calibrated risks of the stays that were answered.
    horizons_days : sequence of float
    random_state : int

    Returns
    -------
    list of Expected
        Two for each horizon; none with fewer than `FEWEST_RISKS` risks.

    Notes
    -----
    Outcomes are drawn from the risks, as in confidence-based performance estimation [1]_, with the
    log-odds moved to :math:`\bar\eta + a + b (\eta_i - \bar\eta)` in each draw: a and b are how
    calibration differs between places (`SHIFT_BETWEEN_PLACES`, `SLOPE_BETWEEN_PLACES`). The
    interval holds the percentiles of the metric over the draws, so that it predicts what will be
    observed among so few patients, and not only its mean. The interval of each risk is not added:
    a calibrated risk already is the mean of what happens to patients who are given it.

    References
    ----------
    .. [1] Kivimäki et al. Performance estimation in binary classification using calibrated
       confidence. arXiv:2505.05295 (2025)
    """
    figures: list[Expected] = []
    rng = np.random.default_rng(random_state)
    for at, days in enumerate(horizons_days):
        known = np.isfinite(risk[:, at])
        p = np.clip(risk[known, at], _RISK_FLOOR, 1 - _RISK_FLOOR)
        n = len(p)
        if n < FEWEST_RISKS:
            continue
        odds = logit(p)
        centre = odds.mean()
        ranks = rankdata(p)
        areas, scores = np.full(DRAWS, np.nan), np.full(DRAWS, np.nan)
        for draw in range(DRAWS):
            shift = SHIFT_BETWEEN_PLACES * rng.normal()
            slope = 1 + SLOPE_BETWEEN_PLACES * rng.normal()
            moved = centre + shift + slope * (odds - centre)
            happened = rng.random(n) < expit(moved)
            events = int(happened.sum())
            scores[draw] = ((p - happened) ** 2).mean()
            if 0 < events < n:
                above = ranks[happened].sum() - events * (events + 1) / 2
                areas[draw] = above / (events * (n - events))
        for metric, values in (("auroc", areas), ("brier", scores)):
            held = values[np.isfinite(values)]
            if len(held) > DRAWS / 2:
                ends = np.quantile(held, [0.025, 0.975])
                figures.append(
                    Expected(
                        metric, float(days), float(held.mean()), float(ends[0]), float(ends[1]), n
                    )
                )
    return figures


def events_to_show(ratio: float = 1.25, *, power: float = 0.8) -> int:
    r"""Return how many events it takes to show that observed over expected events is not 1.

    Parameters
    ----------
    ratio : float
        Observed over expected events, if risks are too low or too high by so much.
    power : float
        Chance that the 95 % interval of the observed ratio excludes 1.

    Notes
    -----
    :math:`((z_{0.975} + z_{\mathrm{power}}) / \log r)^2`, as the variance of the logarithm of O/E
    is about 1/O.

    Examples
    --------
    >>> events_to_show(1.25)
    158
    """
    deviates = float(norm.isf(0.025) + norm.ppf(power))
    return ceil((deviates / log(ratio)) ** 2)
