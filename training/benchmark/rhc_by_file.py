"""RHC by file: every row of one file is learned from, those of another are judged from outside."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from data_schema.cohort import Cohort, outcome_of
from data_schema.outcomes import OUTCOMES
from training.benchmark.comparison import Comparison, ModelDifference, ModelRow
from training.benchmark.curves import OSTEON, Progress, evaluation_grid, risk_within_range
from training.benchmark.outside_judge import (
    DAYS,
    OutsideFigures,
    fit_forest,
    fit_xgboost_cox,
    judge_risks,
)
from training.benchmark.repeated_differences import corrected_difference
from training.datasets.registry import load_dataset
from training.fit import fit_osteon

__all__ = ["RHC_BY_FILE", "compare_by_file"]

RHC_BY_FILE = "rhc-by-file"
"""Name of the benchmark."""

LEARNED_ROWS = 4_015

PROTOCOL = (
    "{repeats} random splits of RHC into two files: each model learns from all {train:,} rows of "
    "the first, without a hold-out of its own, and gives risks for the {test:,} of the second. The "
    "risks are written to a file and judged by scikit-survival alone. c: Harrell's C of the mean "
    "risk over {days} days, the event times' quantiles from the 5th to the 90th percentile of the "
    "learning rows and the days of the auc. ibs: integrated Brier score over these days, lower is "
    "better. auc: cumulative/dynamic area under the curve by day. Differences are osteon minus the "
    "other model, with corrected t intervals over the splits (Nadeau & Bengio 2003); one split "
    "gives none."
)

_Floats = NDArray[np.float64]
_Fit = Callable[[Path, Path, _Floats], _Floats]

_OTHERS: Mapping[str, _Fit] = {
    "random survival forest": fit_forest,
    "XGBoost survival:cox": fit_xgboost_cox,
}


def compare_by_file(*, repeats: int, random_state: int, progress: Progress) -> Comparison:
    """Compare Osteon with a forest and XGBoost on RHC, files in and files out.

    Parameters
    ----------
    repeats : int
        Number of random splits.
    random_state : int
        Seed of the splits and of Osteon.
    """
    cohort = load_dataset("rhc")
    runs: dict[str, list[tuple[OutsideFigures, float]]] = {}
    n_days = 0
    seeds = np.random.SeedSequence(random_state).generate_state(repeats)
    for number, seed in enumerate(seeds, start=1):
        # Each row of RHC is a patient of its own.
        rows = train_test_split(
            np.arange(len(cohort)), train_size=LEARNED_ROWS, random_state=int(seed)
        )
        train, test = (cohort.take(np.sort(part)) for part in rows)
        days = np.union1d(evaluation_grid(outcome_of(train)).days, DAYS)
        n_days = len(days)
        with tempfile.TemporaryDirectory() as folder:
            learned, held_out, risks = (
                Path(folder) / f"{name}.csv" for name in ("learned", "held_out", "risks")
            )
            _write(train, learned)
            _write(test, held_out)
            for name in (OSTEON, *_OTHERS):
                progress(f"split {number} of {repeats}: {name}")
                started = time.perf_counter()
                if name == OSTEON:
                    risk = _osteon(train, test, days, random_state)
                else:
                    risk = _OTHERS[name](learned, held_out, days)
                seconds = time.perf_counter() - started
                pd.DataFrame(risk, columns=[repr(float(day)) for day in days]).to_csv(
                    risks, index=False
                )
                figures = judge_risks(learned, held_out, risks)
                runs.setdefault(name, []).append((figures, seconds))
    return Comparison(
        PROTOCOL.format(
            repeats=repeats, train=LEARNED_ROWS, test=len(cohort) - LEARNED_ROWS, days=n_days
        ),
        tuple(_row(name, of_model) for name, of_model in runs.items()),
        tuple(
            _differences(
                {name: [figures for figures, _ in run] for name, run in runs.items()},
                test_to_train=len(cohort) / LEARNED_ROWS - 1,
            )
        ),
    )


def _osteon(train: Cohort, test: Cohort, days: _Floats, random_state: int) -> _Floats:
    """Return Osteon's risks, learned from every row of the first cohort."""
    model = fit_osteon(
        train,
        horizons_days=OUTCOMES["mortality"].horizons_days,
        random_state=random_state,
        interval_folds=0,
    ).risk_model_
    return risk_within_range(model, test, days)


def _write(cohort: Cohort, path: Path) -> None:
    """Write features and outcome, without identifiers."""
    outcome = outcome_of(cohort)
    cohort.features.assign(time_days=outcome.time_days, event=outcome.event).to_csv(
        path, index=False
    )


def _row(name: str, runs: Sequence[tuple[OutsideFigures, float]]) -> ModelRow:
    """Return the means over the splits."""
    figures, seconds = zip(*runs, strict=True)
    return ModelRow(
        name,
        {
            "c": float(np.mean([f.c for f in figures])),
            "ibs": float(np.mean([f.ibs for f in figures])),
            "auc": {f"{day:g}": float(np.mean([f.auc[day] for f in figures])) for day in DAYS},
            "fit_seconds": float(np.mean(seconds)),
        },
    )


def _differences(
    runs: Mapping[str, list[OutsideFigures]], *, test_to_train: float
) -> Iterator[ModelDifference]:
    """Yield Osteon minus each other model, metric by metric."""
    by_metric = {name: [_flat(figures) for figures in of_model] for name, of_model in runs.items()}
    for name, theirs in by_metric.items():
        if name == OSTEON:
            continue
        for metric in theirs[0]:
            gap = corrected_difference(
                [o[metric] - t[metric] for o, t in zip(by_metric[OSTEON], theirs, strict=True)],
                test_to_train=test_to_train,
            )
            yield ModelDifference(name, metric, gap.estimate, gap.low, gap.high)


def _flat(figures: OutsideFigures) -> dict[str, float]:
    return {
        "c": figures.c,
        "ibs": figures.ibs,
        **{f"auc_{day:g}": area for day, area in figures.auc.items()},
    }
