"""Risk curves of Osteon and its peers, judged on the same random splits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.cohort import Cohort, OutcomeData, outcome_of
from data_schema.outcomes import COMPETING
from models.inference.risk_model import RiskModel
from models.metrics.discrimination.concordance import antolini_c, harrell_c, uno_c
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import known_outcome
from models.metrics.overall.brier import brier, integrated_brier, integrated_ipa, ipa
from training.benchmark.comparison import Comparison, ModelDifference, ModelRow
from training.benchmark.competing_peers import COMPETING_PEERS
from training.benchmark.peers import PEERS, Predict
from training.benchmark.repeated_differences import corrected_difference
from training.cohorts.splits import Split, repeated_folds, repeated_splits
from training.fit import fit_osteon

__all__ = [
    "OSTEON",
    "PARTS",
    "Grid",
    "Progress",
    "compare_curves",
    "curve_figures",
    "evaluation_grid",
    "risk_within_range",
]

OSTEON = "osteon"
PARTS = {1.0: "osteon (linear part)", 0.0: "osteon (boosted part)"}
TEST_FRACTION = 0.3
FOLDS = 5
GRID_DAYS = 50
GRID_QUANTILES = (0.05, 0.9)
QUARTILES = (0.25, 0.5, 0.75)
EXPLAINED_ROWS = 500

SPLITS_PROTOCOL = (
    "{repeats} random splits, 70 % of the patients for training and 30 % for testing, the same for "
    "every model"
)
FOLDS_PROTOCOL = (
    "{repeats} times {folds} folds of patients, the same for every model; a patient with the "
    "competing event never has the event, and the peers are those for competing risks. c_ipcw: the "
    "C index for competing risks of the risk by a day, over events up to that day, with inverse "
    "probability of censoring weights (Wolbers et al. 2014); brier: Brier score at that day, lower "
    "is better. A figure at a day is a mean over the folds that have the event by then"
)
PROTOCOL = (
    "{splits}; no model is trained on a test patient. Means over the splits. c: Harrell's C "
    "(Wolbers's with a competing event) of the mean risk over {grid} days, the event times' "
    "quantiles from the 5th to the 90th percentile ({first:.0f} to {last:.0f} days). c_td: "
    "Antolini's time-dependent C, of the same pairs as c, over the events between them, each "
    "judged by the risks on its day. ibs: Brier score with inverse probability of censoring "
    "weights, averaged over the time between them; lower is better. ipa_over_time: one minus ibs "
    "over that of the event rates. auc: cumulative/dynamic area under the curve, and ipa: index of "
    "prediction accuracy (one minus the Brier score over that of the event rate), at the quartiles "
    "of the event times. fit_seconds: fitting once, with its choice of settings (the parts of "
    "osteon are one fit with it); fold_fit_seconds: the fold models that intervals need. "
    "explain_rows_per_second: patients explained at one horizon. Differences are osteon minus the "
    "other model, with corrected t intervals over the splits (Nadeau & Bengio 2003)."
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Grid:
    """The days at which curves are judged, the same for every model and every split."""

    days: NDArray[np.float64]
    quartiles: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A fitted model with its times."""

    predict: Predict
    fit_seconds: float
    fold_fit_seconds: float | None = None
    explain_rows_per_second: float | None = None


_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The splits and the peers of a comparison."""

    splits: Iterator[Split]
    n_splits: int
    test_to_train: float
    peers: Mapping[str, Callable[[Cohort], Predict]]
    words: str


def compare_curves(
    cohort: Cohort, *, repeats: int, random_state: int, progress: Progress
) -> Comparison:
    """Fit Osteon, its two parts and every peer on the same splits and compare their figures.

    Parameters
    ----------
    cohort : Cohort
        With times to the event.
    repeats : int
        Number of random splits, at least 1; with a competing event, of partitions into five folds.
    random_state : int
        Seed of the splits and of Osteon.
    """
    grid = evaluation_grid(outcome_of(cohort))
    plan = _plan(cohort, repeats, random_state)
    models: dict[str, list[tuple[_Fitted, dict[str, float]]]] = {}
    for number, split in enumerate(plan.splits, start=1):
        train, test = cohort.take(split.train), cohort.take(split.test)
        osteon = partial(_fit_osteon_and_parts, test=test, grid=grid, random_state=random_state)
        peers = {name: partial(_fit_peer, name=name, fit=fit) for name, fit in plan.peers.items()}
        for name, fit in ({OSTEON: osteon} | peers).items():
            progress(f"split {number} of {plan.n_splits}: {name}")
            for label, fitted in fit(train).items():
                figures = curve_figures(test, fitted.predict, grid)
                models.setdefault(label, []).append((fitted, figures))
    metrics = {label: [figures for _, figures in runs] for label, runs in models.items()}
    return Comparison(
        PROTOCOL.format(
            splits=plan.words, grid=len(grid.days), first=grid.days[0], last=grid.days[-1]
        ),
        tuple(_row(label, runs, grid) for label, runs in models.items()),
        tuple(_differences(metrics, plan.test_to_train)),
    )


def _plan(cohort: Cohort, repeats: int, random_state: int) -> _Plan:
    """Return random splits, or folds if there is a competing event, where events are rarer."""
    if (outcome_of(cohort).event == COMPETING).any():
        return _Plan(
            repeated_folds(cohort, repeats=repeats, folds=FOLDS, random_state=random_state),
            repeats * FOLDS,
            1 / (FOLDS - 1),
            COMPETING_PEERS,
            FOLDS_PROTOCOL.format(repeats=repeats, folds=FOLDS),
        )
    return _Plan(
        repeated_splits(
            cohort, repeats=repeats, test_fraction=TEST_FRACTION, random_state=random_state
        ),
        repeats,
        TEST_FRACTION / (1 - TEST_FRACTION),
        PEERS,
        SPLITS_PROTOCOL.format(repeats=repeats),
    )


def evaluation_grid(outcome: OutcomeData) -> Grid:
    """Return the days at which curves are judged, from the event times of the whole data set."""
    times = outcome.time_days[outcome.event == 1]
    days = np.unique(np.quantile(times, np.linspace(*GRID_QUANTILES, GRID_DAYS)))
    return Grid(days, np.quantile(times, QUARTILES))


def _fit_osteon_and_parts(
    train: Cohort, *, test: Cohort, grid: Grid, random_state: int
) -> dict[str, _Fitted]:
    """Fit Osteon once; its parts are the same fit with the weight moved to one side."""
    model = fit_osteon(train, horizons_days=grid.quartiles.tolist(), random_state=random_state)
    whole = model.risk_model_
    rows = test.features.head(EXPLAINED_ROWS)
    start = time.perf_counter()
    whole.predict(rows, grid.quartiles[1:2].tolist(), explain=True, interval=False)
    fitted = {
        OSTEON: _Fitted(
            partial(risk_within_range, whole),
            model.core_fit_seconds_,
            model.fold_fit_seconds_,
            len(rows) / (time.perf_counter() - start),
        )
    }
    for weight, label in PARTS.items():
        fitted[label] = _Fitted(
            partial(risk_within_range, whole.part(weight)), model.core_fit_seconds_
        )
    return fitted


def _fit_peer(train: Cohort, *, name: str, fit: Callable[[Cohort], Predict]) -> dict[str, _Fitted]:
    """Fit one peer and time it."""
    start = time.perf_counter()
    predict = fit(train)
    return {name: _Fitted(predict, time.perf_counter() - start)}


def risk_within_range(risk_model: RiskModel, cohort: Cohort, days: ArrayLike, /) -> _Floats:
    """Return Osteon's risk, constant before its first day and after its last.

    Where events are few, the first and the last of a training part lie inside those of the cohort.
    """
    contract = risk_model.contract
    within = np.clip(days, contract.min_horizon_days, contract.max_horizon_days)
    return risk_model.risk(cohort.features, within)


def curve_figures(test: Cohort, predict: Predict, grid: Grid) -> dict[str, float]:
    """Return the figures over time and at the quartiles, on the test patients.

    Parameters
    ----------
    test : Cohort
        Patients that the model did not learn from.
    predict : callable
        Maps a cohort and days to risks, shape (n_patients, n_days).
    grid : Grid
        From `evaluation_grid` of the whole data set.

    Returns
    -------
    dict of str to float
        `c`, `c_td` (higher is better), `ibs` (lower is better), `ipa_over_time`, and by quartile of
        the event times `auc_<day>` and `ipa_<day>`, where an event
        competes also `c_ipcw_<day>` and `brier_<day>`.
    """
    outcome = outcome_of(test)
    time_days, event = outcome.time_days, outcome.event
    curve = predict(test, grid.days)
    at_quartiles = predict(test, grid.quartiles)
    figures = {
        "c": float(harrell_c(time_days, event, curve.mean(axis=1))),
        "c_td": antolini_c(time_days, event, curve, grid.days),
        "ibs": float(integrated_brier(time_days, event, curve, grid.days)),
        "ipa_over_time": float(integrated_ipa(time_days, event, curve, grid.days)),
    }
    competes = bool((event == COMPETING).any())
    for column, day in enumerate(grid.quartiles):
        if competes:
            of_day = uno_c(time_days, event, at_quartiles[:, column], up_to_days=day)
            figures[f"c_ipcw_{day:g}"] = float(of_day)
        known = known_outcome(time_days, event, day)
        figures[f"auc_{day:g}"] = float(auroc(known, at_quartiles[:, column]))
        figures[f"ipa_{day:g}"] = float(ipa(known, at_quartiles[:, column]))
        if competes:
            figures[f"brier_{day:g}"] = float(brier(known, at_quartiles[:, column]))
    return figures


def _row(label: str, runs: list[tuple[_Fitted, dict[str, float]]], grid: Grid) -> ModelRow:
    """Return one row of the table: means over the splits."""
    means = {metric: _mean_of_defined([m[metric] for _, m in runs]) for metric in runs[0][1]}
    by_day = {
        metric: {f"{day:g}": means[f"{metric}_{day:g}"] for day in grid.quartiles}
        for metric in ("c_ipcw", "auc", "ipa", "brier")
        if f"{metric}_{grid.quartiles[0]:g}" in means
    }
    return ModelRow(
        label,
        {
            **{metric: means[metric] for metric in ("c", "c_td", "ibs", "ipa_over_time")},
            **by_day,
            "fit_seconds": _mean([f.fit_seconds for f, _ in runs]),
            "fold_fit_seconds": _mean([f.fold_fit_seconds for f, _ in runs]),
            "explain_rows_per_second": _mean([f.explain_rows_per_second for f, _ in runs]),
        },
    )


def _differences(
    metrics: Mapping[str, list[dict[str, float]]], test_to_train: float
) -> Iterator[ModelDifference]:
    """Yield Osteon minus every other model, per metric, with corrected intervals."""
    for label, theirs in metrics.items():
        if label == OSTEON:
            continue
        for metric in theirs[0]:
            gaps = [o[metric] - t[metric] for o, t in zip(metrics[OSTEON], theirs, strict=True)]
            defined = [gap for gap in gaps if math.isfinite(gap)]
            if not defined:
                continue
            gap = corrected_difference(defined, test_to_train=test_to_train)
            yield ModelDifference(label, metric, gap.estimate, gap.low, gap.high)


def _mean_of_defined(figures: list[float]) -> float:
    """Return the mean over the splits whose test patients define the figure; NaN for none."""
    defined = [figure for figure in figures if math.isfinite(figure)]
    return float(np.mean(defined)) if defined else math.nan


def _mean(seconds: list[float | None]) -> float | None:
    known = [s for s in seconds if s is not None]
    return float(np.mean(known)) if known else None
