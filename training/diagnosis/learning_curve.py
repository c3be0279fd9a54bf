"""Performance against the number of patients learned from, and where it flattens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError
from models.censoring import CensoringDistribution
from models.fitting.training_cohort import Progress
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import known_outcome, why_not_evaluable
from models.metrics.overall.brier import ipa
from training.cohorts.splits import repeated_splits
from training.config import RunConfig
from training.fit import fits_side_by_side, refit

__all__ = ["CurvePoint", "LearningCurve", "learning_curve"]

Floats = NDArray[np.float64]

REPEATS = 3
HELD_OUT = 0.25
FEWEST = 100
SIZES = 6
FLAT = 0.005
"""Gain in the area under the curve by twice the patients, below which a curve is called flat."""

_POWERS = np.linspace(0.2, 1.5, 27)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Mean performance of fits to so many patients, in the same held-out patients.

    `auroc_low` and `auroc_high` are the lowest and the highest of the repeats.
    """

    patients: int
    events: int
    auroc: float
    auroc_low: float
    auroc_high: float
    ipa: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Performance by number of patients.

    Parameters
    ----------
    horizon_days : float
    points : tuple of CurvePoint
        By size, ascending.
    limit : float
        The area that the fitted curve approaches.
    flat_from : int or None
        Patients from which twice as many gain less than `FLAT`, by the fitted curve; None where the
        curve cannot be fitted.
    gain_by_doubling : float
        What twice the present patients would gain, by the fitted curve.
    """

    horizon_days: float
    points: tuple[CurvePoint, ...]
    limit: float
    flat_from: int | None
    gain_by_doubling: float

    def as_json(self) -> dict[str, object]:
        """Return the curve as a mapping."""
        return asdict(self)


def learning_curve(
    cohort: Cohort,
    horizons_days: Sequence[float],
    horizon_days: float,
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> LearningCurve:
    r"""Fit to growing parts of the patients, and judge each fit in the same patients held out.

    Parameters
    ----------
    cohort : Cohort
        With an outcome, without columns that leak.
    horizons_days : sequence of float
        Of the fits.
    horizon_days : float
        At which they are judged.

    Raises
    ------
    DataError
        If there are too few patients for two sizes.

    Notes
    -----
    The curve :math:`a - b n^{-c}` [1]_ is fitted by least squares, with b at least 0.

    References
    ----------
    .. [1] Figueroa, Zeng-Treitler, Kandula & Ngo. BMC Med Inform Decis Mak 12 (2012) 8.
       doi:10.1186/1472-6947-12-8
    """
    splits = list(
        repeated_splits(cohort, repeats=REPEATS, test_fraction=HELD_OUT, random_state=config.seed)
    )
    largest = min(len(split.train) for split in splits)
    sizes = _sizes(largest)
    if len(sizes) < 2:
        raise DataError(
            f"a learning curve needs at least {2 * FEWEST} stays to learn from; got {largest}. "
            "Bring more patients."
        )
    at = list(horizons_days).index(horizon_days)
    jobs = [
        (split.train, split.test, size, number)
        for number, split in enumerate(splits)
        for size in sizes
    ]

    def fit(
        own: RunConfig,
        steps: Progress | None,
        train: NDArray[np.int64],
        test: NDArray[np.int64],
        size: int,
        number: int,
    ) -> tuple[float, float, int]:
        order = np.random.default_rng([own.seed, number]).permutation(len(train))
        learned_from = cohort.take(train[order[:size]])
        held_out = cohort.take(test)
        events = int((outcome_of(learned_from).event == 1).sum())
        try:
            model = refit(learned_from, horizons_days, own, risk_only=True, progress=steps)
        except (DataError, ValueError):
            return np.nan, np.nan, events
        risk = model.predict_risk(held_out.features)[:, at]
        return (*_judged(held_out, risk, horizon_days), events)

    results = list(
        fits_side_by_side(
            fit, jobs, config, rows=largest, what="learning from more", progress=progress
        )
    )
    table = np.array(results, dtype=np.float64).reshape(REPEATS, len(sizes), 3)
    points = [
        CurvePoint(
            size,
            int(table[:, k, 2].mean()),
            float(table[:, k, 0].mean()),
            float(table[:, k, 0].min()),
            float(table[:, k, 0].max()),
            float(table[:, k, 1].mean()),
        )
        for k, size in enumerate(sizes)
        if not np.isnan(table[:, k, 0]).any()
    ]
    if len(points) < 2:
        raise DataError("too few of the parts could be fitted for a learning curve. Add patients.")
    limit, drop, power = _fitted(points)
    return LearningCurve(
        horizon_days,
        tuple(points),
        limit,
        _flat_from(drop, power),
        float(drop * largest**-power * (1 - 2**-power)),
    )


def _sizes(largest: int) -> list[int]:
    """Return numbers of stays from `FEWEST` up, each a constant factor above the last."""
    if largest < 2 * FEWEST:
        return []
    steps = np.geomspace(max(FEWEST, largest / 32), largest, SIZES)
    return sorted({round(float(step)) for step in steps})


def _judged(cohort: Cohort, risk: Floats, days: float) -> tuple[float, float]:
    """Return the area under the curve and the scaled Brier score; NaN where not judged."""
    outcome = outcome_of(cohort)
    censoring = CensoringDistribution.fit(outcome.time_days, outcome.event)
    if why_not_evaluable(
        outcome.time_days, outcome.event, days, censoring, groups=cohort.patient_id
    ):
        return np.nan, np.nan
    known = known_outcome(outcome.time_days, outcome.event, days, censoring=censoring)
    return float(auroc(known, risk)), float(ipa(known, risk))


def _fitted(points: Sequence[CurvePoint]) -> tuple[float, float, float]:
    """Return a, b and c of the curve a - b n^-c with the least squares, b at least 0."""
    n = np.array([point.patients for point in points], dtype=np.float64)
    area = np.array([point.auroc for point in points])
    best = (np.inf, float(area.mean()), 0.0, 1.0)
    for power in _POWERS:
        # For a stated c the curve is linear in a and b; both are at least 0.
        design = np.column_stack([np.ones(len(n)), -(n**-power)])
        (limit, drop), left = nnls(design, area)
        if left < best[0]:
            best = (float(left), float(limit), float(drop), float(power))
    return best[1:]


def _flat_from(drop: float, power: float) -> int | None:
    """Return the patients from which doubling gains less than `FLAT`."""
    # b n^-c - b (2n)^-c < f  <=>  n > (b (1 - 2^-c) / f)^(1/c).
    if drop <= 0:
        return None
    return int(np.ceil((drop * (1 - 2**-power) / FLAT) ** (1 / power)))
