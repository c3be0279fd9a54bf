"""Osteon and its peers by the protocol of a published table, beside that table.

Both protocols use columns that Osteon leaves out (known too late, or missing in patients who did
badly). Their figures are labelled PUBLISHED COLUMNS and compare with that table only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from data_schema.cohort import Cohort, OutcomeData, outcome_of
from training.benchmark.comparison import Comparison, Figure, ModelDifference, ModelRow
from training.benchmark.curves import OSTEON, PARTS, Progress, risk_within_range
from training.benchmark.peers import (
    PEERS,
    Predict,
    fit_proportional_hazards,
    scikit_survival,
    structured,
)
from training.benchmark.published_figures import DSM_SUPPORT2, XGBSE_FLCHAIN, PublishedTable
from training.benchmark.xgbse_metrics import approximate_brier, strict_c, time_bins
from training.datasets import flchain, support2
from training.datasets.columns import Column, add_columns
from training.datasets.dataset import Raw
from training.datasets.site_variables import site_number
from training.fit import fit_osteon

__all__ = ["PROTOCOLS"]

XGBSE_TEST, XGBSE_VALIDATION, XGBSE_SEED = 0.2, 0.01, 1
DSM_TRAIN, DSM_VALIDATION, DSM_TEST = 0.7, 0.1, 0.2
QUARTILES = (0.25, 0.5, 0.75)

XGBSE_PROTOCOL = (
    "PUBLISHED COLUMNS: the year of the sample, which sets the length of follow-up, is among them. "
    "The protocol of the xgbse benchmark: {n:,} residents with a creatinine, 20 % of them for the "
    "test and 1 % of the rest set aside (scikit-learn's train_test_split, random_state 1); "
    "{bins} days from {first:.0f} to {last:.0f}; c: pairs strictly ordered in time, by the mean "
    "risk over the days; ibs: xgbse's approximate Brier score over the days, lower is better. A "
    "curve that ends before the last day stays at its last value. xgbse itself does not run here: "
    "it needs numpy < 2, pandas < 3 and xgboost < 3. The table's Cox-PH does not need xgbse; its "
    "rerun here confirms that split and metrics are the same. One split: differences have no "
    "interval. Published: {source}."
)
DSM_PROTOCOL = (
    "PUBLISHED COLUMNS: two interviews (adlp, adls) that are missing in those too ill for them are "
    "among them. The protocol of Deep Survival Machines: 24 columns of SUPPORT2, days from study "
    "entry, patients in the order of the file, the last 20 % for the test. The models run here are "
    "trained on the first 80 % only. DSM was trained on 70 % and chose its settings on 10 %; its "
    "columns were filled and scaled with the test patients included. c_ipcw "
    "(Uno's C up to the day), brier (lower is better) and auc by scikit-survival, weighted by the "
    "censoring of the 70 %, at the quartiles of the days of death. One split: differences have no "
    "interval. Published: {source}."
)

_DSM_LEFT_OUT = ("education_years", "diabetes", "dementia", "coma_score", "support_sps")

_Figures = Mapping[str, Figure]
_Floats = NDArray[np.float64]


def _flchain_as_published(*, random_state: int, progress: Progress) -> Comparison:
    """Compare on FLCHAIN by xgbse's protocol.

    Parameters
    ----------
    random_state : int
        Seed of Osteon; the protocol fixes the split.

    Returns
    -------
    Comparison
        Rows run here, then published ones; differences have no interval.
    """
    cohort = _flchain_cohort(flchain.DATASET.read(None))
    rest, test = train_test_split(
        np.arange(len(cohort)), test_size=XGBSE_TEST, random_state=XGBSE_SEED
    )
    train, _ = train_test_split(rest, test_size=XGBSE_VALIDATION, random_state=XGBSE_SEED)
    days = time_bins(outcome_of(cohort.take(train)))
    judged = cohort.take(test)

    def figures(predict: Predict) -> _Figures:
        risk = predict(judged, days)
        return {
            "c": strict_c(outcome_of(judged), risk.mean(axis=1)),
            "ibs": approximate_brier(outcome_of(judged), risk, days),
        }

    peers = {"Cox-PH of the table": _fit_their_cox} | dict(PEERS)
    rows = _run_here(cohort.take(train), figures, peers, random_state, progress)
    protocol = XGBSE_PROTOCOL.format(
        n=len(cohort), bins=len(days), first=days[0], last=days[-1], source=XGBSE_FLCHAIN.source
    )
    return _beside(XGBSE_FLCHAIN, rows, protocol)


def _support2_as_published(*, random_state: int, progress: Progress) -> Comparison:
    """Compare on SUPPORT2 by the protocol of Deep Survival Machines."""
    metrics = scikit_survival("metrics")
    cohort = _support2_cohort(support2.DATASET.read(None))
    n = len(cohort)
    n_train, n_validation, n_test = (int(n * s) for s in (DSM_TRAIN, DSM_VALIDATION, DSM_TEST))
    outcome = outcome_of(cohort)
    days = np.quantile(outcome.time_days[outcome.event == 1], QUARTILES)
    judged = cohort.take(np.arange(n - n_test, n))
    theirs, ours = (structured(outcome_of(c)) for c in (cohort.take(np.arange(n_train)), judged))

    def figures(predict: Predict) -> _Figures:
        risk = predict(judged, days)
        at = {f"{day:g}": (day, risk[:, column]) for column, day in enumerate(days)}
        return {
            "c_ipcw": {
                name: float(metrics.concordance_index_ipcw(theirs, ours, of_day, tau=day)[0])
                for name, (day, of_day) in at.items()
            },
            "brier": {
                name: float(metrics.brier_score(theirs, ours, 1 - of_day, day)[1][0])
                for name, (day, of_day) in at.items()
            },
            "auc": {
                name: float(metrics.cumulative_dynamic_auc(theirs, ours, of_day, day)[0][0])
                for name, (day, of_day) in at.items()
            },
        }

    train = cohort.take(np.arange(n_train + n_validation))
    rows = _run_here(train, figures, PEERS, random_state, progress, horizons=days.tolist())
    return _beside(DSM_SUPPORT2, rows, DSM_PROTOCOL.format(source=DSM_SUPPORT2.source))


PROTOCOLS: Mapping[str, Callable[..., Comparison]] = {
    "flchain-xgbse": _flchain_as_published,
    "support2-dsm": _support2_as_published,
}
"""Name of the benchmark -> its function."""


def _fit_their_cox(train: Cohort) -> Predict:
    """Fit the table's Cox model: no penalty, unprepared columns, ties by Efron."""
    cox = scikit_survival("linear_model").CoxPHSurvivalAnalysis(ties="efron")
    # The fit is the same on scaled columns, and its first steps do not overflow.
    scaler = StandardScaler().fit(_as_numbers(train))
    return fit_proportional_hazards(cox, lambda c: scaler.transform(_as_numbers(c)), train)


def _as_numbers(cohort: Cohort) -> _Floats:
    """Return the unprepared columns, with sex as 0 and 1."""
    male = cohort.features["sex"] == "male"
    numbers: _Floats = cohort.features.assign(sex=male).to_numpy(dtype=np.float64)
    return numbers


def _flchain_cohort(raw: Raw) -> Cohort:
    """Return the residents with a creatinine, the year of the sample among their columns."""
    measured = raw[raw["num_creatinine"].notna()].reset_index(drop=True)
    year = site_number("sample_year", "Year of the sample", "person", "{year}", 1900, 2100)
    return add_columns(flchain.adapt(measured), measured, Column("num_sample_yr", year))


def _support2_cohort(raw: Raw) -> Cohort:
    """Return the 24 columns, with days counted as in the file."""
    cohort = support2.adapt(raw)
    interviews = tuple(
        Column(f"num_{name}", site_number(name, label, "person", "{score}", 0, 7))
        for name, label in (("adlp", "Daily living, patient"), ("adls", "Daily living, relative"))
    )
    fewer = replace(cohort, features=cohort.features.drop(columns=list(_DSM_LEFT_OUT)))
    counted = OutcomeData(
        "mortality", raw["time"].to_numpy(dtype=np.float64), outcome_of(cohort).event
    )
    return replace(add_columns(fewer, raw, *interviews), outcome=counted)


def _run_here(
    train: Cohort,
    figures: Callable[[Predict], _Figures],
    peers: Mapping[str, Callable[[Cohort], Predict]],
    random_state: int,
    progress: Progress,
    *,
    horizons: list[float] | None = None,
) -> tuple[ModelRow, ...]:
    """Fit Osteon, its parts and the peers, and return a row of each."""
    outcome = outcome_of(train)
    quartiles = np.quantile(outcome.time_days[outcome.event == 1], QUARTILES).tolist()
    progress(OSTEON)
    start = time.perf_counter()
    model = fit_osteon(
        train, horizons_days=horizons or quartiles, random_state=random_state, interval_folds=0
    )
    seconds = time.perf_counter() - start
    whole = model.risk_model_
    fitted: dict[str, tuple[Predict, float]] = {
        name: (partial(risk_within_range, model), seconds)
        for name, model in (
            {OSTEON: whole} | {label: whole.part(weight) for weight, label in PARTS.items()}
        ).items()
    }
    for name, fit in peers.items():
        progress(name)
        start = time.perf_counter()
        predict = fit(train)
        fitted[name] = (predict, time.perf_counter() - start)
    return tuple(
        ModelRow(name, {**figures(predict), "fit_seconds": seconds}, source="run here")
        for name, (predict, seconds) in fitted.items()
    )


def _beside(table: PublishedTable, rows: tuple[ModelRow, ...], protocol: str) -> Comparison:
    """Return the rows run here above the published ones, and Osteon minus each."""
    published = (
        ModelRow(name, figures, source="published") for name, figures in table.rows.items()
    )
    compared = (*rows, *published)
    gaps = (gap for row in compared[1:] for gap in _differences(rows[0], row))
    return Comparison(protocol, compared, tuple(gaps))


def _differences(ours: ModelRow, theirs: ModelRow) -> Iterator[ModelDifference]:
    """Yield ours minus theirs, metric by metric; one split gives no interval."""
    for metric in ("c", "ibs", "c_ipcw", "brier", "auc"):
        mine, other = (row.figures.get(metric) for row in (ours, theirs))
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            gaps = {f"{metric}_{day}": mine[day] - at_day for day, at_day in other.items()}
        elif isinstance(mine, float) and isinstance(other, float):
            gaps = {metric: mine - other}
        else:
            continue
        for name, gap in gaps.items():
            yield ModelDifference(f"{theirs.model} ({theirs.source})", name, gap, None, None)
