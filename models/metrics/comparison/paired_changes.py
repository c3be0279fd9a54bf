"""What a panel of markers adds to the other variables, judged on out-of-fold risks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.censoring import CensoringDistribution
from models.inference.contract import PanelVerdict as Verdict
from models.metrics.catalogue import METRICS
from models.metrics.comparison.net_benefit import net_benefit
from models.metrics.comparison.reclassification import idi, nri_continuous
from models.metrics.discrimination.ranking import auroc_within_folds
from models.metrics.intervals import named_bootstrap_intervals, widened_for_folds
from models.metrics.known_outcome import KnownOutcome, known_outcome
from models.metrics.overall.brier import brier, ipa

__all__ = [
    "CHANGE_LABELS",
    "MARGIN",
    "Change",
    "OutOfFold",
    "Verdict",
    "paired_changes",
    "verdict",
]

MARGIN = 0.01
"""A change in the area under the curve up to this is taken to be of no practical use.

C-reactive protein, an established marker, raised the C-index of cardiovascular risk by 0.0039 in
246,669 people [1]_: certain, and small. The margin is more than twice as much. It is the same for
every run, so that no run can choose it.

References
----------
.. [1] Emerging Risk Factors Collaboration. N Engl J Med 367 (2012) 1310-1320.
   doi:10.1056/NEJMoa1107477
"""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Risks of patients from models that never saw them.

    Parameters
    ----------
    risk : mapping of str to ndarray of float, shape (n_stays, n_horizons)
        Model -> risk by each horizon.
    fold : ndarray of int, shape (n_stays,)
        Fold in which a stay was held out; the same for every model. A single fold means that the
        models learned from other patients.
    horizons_days : tuple of float
    """

    risk: Mapping[str, _Floats]
    fold: NDArray[np.int64]
    horizons_days: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One metric without and with a panel, and the change, with-minus-without, with its interval.

    Parameters
    ----------
    metric : str
        `auroc`, `ipa`, `brier` and `net_benefit`; and the secondary `idi` and `nri_continuous`,
        which are changes themselves, so that `without` and `with_panel` are NaN.
    horizon_days : float
    threshold : float or None
        Of `net_benefit`.
    without, with_panel : float
    change, low, high : float
        95 % paired bootstrap interval by patient.
    secondary : bool
    """

    metric: str
    horizon_days: float
    threshold: float | None
    without: float
    with_panel: float
    change: float
    low: float
    high: float
    secondary: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the change as a mapping; null stands for NaN."""
        values = {
            name: getattr(self, name) for name in ("without", "with_panel", "change", "low", "high")
        }
        return {
            "metric": self.metric,
            "horizon_days": self.horizon_days,
            "threshold": self.threshold,
            **{name: None if np.isnan(value) else value for name, value in values.items()},
            "secondary": self.secondary,
        }


def verdict(low: float, high: float) -> Verdict:
    """Return what the interval of a change in the area under the curve allows us to conclude.

    Parameters
    ----------
    low, high : float
        Ends of the interval; NaN where there is none.

    Returns
    -------
    {"adds", "adds some, size uncertain", "adds no more than 0.01", "inconclusive"}
        The first only if the whole interval lies above `MARGIN`; the second if it lies above 0 and
        includes the margin. The third wherever it lies at or below the margin, even if it lies
        above 0: a gain may be certain and still too small to be of use.

    Examples
    --------
    >>> verdict(0.012, 0.03), verdict(0.004, 0.03)
    ('adds', 'adds some, size uncertain')
    >>> verdict(-0.004, 0.008), verdict(-0.004, 0.03)
    ('adds no more than 0.01', 'inconclusive')
    """
    if high <= MARGIN:
        return "adds no more than 0.01"
    if low > MARGIN:
        return "adds"
    return "adds some, size uncertain" if low > 0 else "inconclusive"


_Pair = tuple[str, str]
_Models = tuple[str, ...]
_Key = tuple[float, _Models, str, float | None]

_OF_ONE_MODEL: Mapping[str, Callable[[KnownOutcome, _Floats, NDArray[np.int64]], _Floats]] = {
    "auroc": auroc_within_folds,
    "ipa": lambda outcome, risk, fold: ipa(outcome, risk),
    "brier": lambda outcome, risk, fold: brier(outcome, risk),
}
_OF_TWO_MODELS: Mapping[str, Callable[[KnownOutcome, _Floats, _Floats], _Floats]] = {
    "idi": idi,
    "nri_continuous": nri_continuous,
}

CHANGE_LABELS: Mapping[str, str] = {
    **{name: METRICS[name].label for name in _OF_ONE_MODEL},
    "net_benefit": "Net benefit",
    "idi": "Integrated discrimination improvement",
    "nri_continuous": "Continuous net reclassification",
}
"""Metric of a change -> what the report calls it."""


def paired_changes(
    time_days: ArrayLike,
    event: ArrayLike,
    out_of_fold: OutOfFold,
    pairs: Sequence[tuple[str, str]],
    *,
    thresholds: Sequence[float],
    n_bootstrap: int,
    random_state: int = 0,
    groups: ArrayLike | None = None,
) -> list[list[Change]]:
    r"""Return every change between two models, all on the same resamples of patients.

    Parameters
    ----------
    time_days, event, n_bootstrap, random_state, groups
        As in `curves.calibration_curve`.
    out_of_fold : OutOfFold
        Risks of every model in `pairs`.
    pairs : sequence of (str, str)
        Model without the panel, model with it.
    thresholds : sequence of float
        Of the net benefit, strictly between 0 and 1.

    Returns
    -------
    list of list of Change
        For each pair: at each horizon `auroc`, `ipa`, `brier`, `net_benefit` at each threshold, and
        the secondary `idi` and `nri_continuous`.

    Notes
    -----
    Patients are resampled, each with the out-of-fold risks of both models, so that what the models
    share cancels. This treats the models of the K folds as fixed and independent: it leaves out
    what another sample of training patients would have changed. So the ends are moved away from the
    estimate by :math:`\sqrt{1 + K / (K - 1)}`, the correction of Nadeau and Bengio [1]_ for folds
    whose held-out patients are 1/(K - 1) of the trained ones. The interval is then a cautious one
    for the true change of the pair fitted on all patients; `tests/benchmark/added_value_study.py`
    measures its coverage.

    References
    ----------
    .. [1] Nadeau & Bengio. Mach Learn 52 (2003) 239-281. doi:10.1023/A:1024068626366
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    models = list(dict.fromkeys(name for pair in pairs for name in pair))

    def statistic(counts: _Floats | None) -> dict[_Key, _Floats]:
        censoring = CensoringDistribution.fit(time, kind, counts=counts)
        values: dict[_Key, _Floats] = {}
        for column, days in enumerate(out_of_fold.horizons_days):
            outcome = known_outcome(time, kind, days, counts=counts, censoring=censoring)
            risk = {name: out_of_fold.risk[name][:, column] for name in models}
            at_horizon = _at_horizon(outcome, risk, out_of_fold.fold, pairs, thresholds)
            values |= {(days, *key): value for key, value in at_horizon.items()}
        return values

    intervals = named_bootstrap_intervals(
        statistic, len(time), n_resamples=n_bootstrap, random_state=random_state, groups=groups
    )
    folds = len(np.unique(out_of_fold.fold))

    def change(days: float, pair: _Pair, metric: str, threshold: float | None) -> Change:
        wider = widened_for_folds(intervals[days, pair, metric, threshold], folds)
        levels = [intervals.get((days, (model,), metric, threshold)) for model in pair]
        without, with_panel = (np.nan if level is None else level.estimate for level in levels)
        return Change(
            metric=metric,
            horizon_days=days,
            threshold=threshold,
            without=float(without),
            with_panel=float(with_panel),
            change=float(wider.estimate),
            low=float(wider.low),
            high=float(wider.high),
            secondary=metric in _OF_TWO_MODELS,
        )

    rows = [*_levels(thresholds), *((metric, None) for metric in _OF_TWO_MODELS)]
    return [
        [change(days, pair, *row) for days in out_of_fold.horizons_days for row in rows]
        for pair in pairs
    ]


def _levels(thresholds: Sequence[float]) -> list[tuple[str, float | None]]:
    """Return the metrics of one model, each with its threshold."""
    return [
        *((metric, None) for metric in _OF_ONE_MODEL),
        *(("net_benefit", threshold) for threshold in thresholds),
    ]


def _at_horizon(
    outcome: KnownOutcome,
    risk: Mapping[str, _Floats],
    fold: NDArray[np.int64],
    pairs: Sequence[_Pair],
    thresholds: Sequence[float],
) -> dict[tuple[_Models, str, float | None], _Floats]:
    """Return the metrics of each model, and what changes from one to the other in each pair."""
    values: dict[tuple[_Models, str, float | None], _Floats] = {}
    for name, of_model in risk.items():
        for metric, function in _OF_ONE_MODEL.items():
            values[(name,), metric, None] = function(outcome, of_model, fold)
        benefits = net_benefit(outcome, of_model, thresholds)
        values |= {
            ((name,), "net_benefit", threshold): benefit
            for threshold, benefit in zip(thresholds, benefits, strict=True)
        }
    for without, panel in pairs:
        for metric, threshold in _levels(thresholds):
            values[(without, panel), metric, threshold] = (
                values[(panel,), metric, threshold] - values[(without,), metric, threshold]
            )
        for metric, of_two in _OF_TWO_MODELS.items():
            values[(without, panel), metric, None] = of_two(outcome, risk[without], risk[panel])
    return values
