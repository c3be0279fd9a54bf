"""Areas under the curve at one horizon, out of fold: Osteon beside scores and physicians."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError
from models.metrics.discrimination.delong import delong_interval, delong_test
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import KnownOutcome
from training.benchmark.comparison import Comparison, ModelDifference, ModelRow
from training.benchmark.curves import OSTEON, PARTS, Progress
from training.benchmark.peers import fit_logistic
from training.benchmark.repeated_differences import Difference, corrected_difference
from training.cohorts.splits import folds_by_patient
from training.datasets.columns import Column, add_columns
from training.datasets.registry import load_dataset
from training.datasets.support2 import LANDMARK_DAY, support2_comparators
from training.fit import fit_osteon

__all__ = [
    "FOLDS",
    "SIX_MONTHS_DAYS",
    "compare_at_fixed_horizon",
    "compare_with_physicians",
    "fully_known",
    "mean_over_folds",
]

FOLDS = 5
# Day 180 of the study in days from time zero. This count of days reproduces the published areas of
# the SUPPORT model and the physicians, and both rank best at it.
SIX_MONTHS_DAYS = 180.0 - LANDMARK_DAY

FIXED_HORIZON_PROTOCOL = (
    "{repeats} times 5 folds of patients, the same for every model; no model is trained on a test "
    "patient. auroc: mean over the folds of the area under the curve for the outcome by day "
    "{day:.0f}, with a corrected t interval over the folds (Nadeau & Bengio 2003). Differences are "
    "osteon minus the other model, by the same rule."
)
PHYSICIANS_PROTOCOL = (
    "Death by day 180 of the study, 177 days after time zero. Osteon's risks are out of fold: 5 "
    "folds of all patients, each predicted by a model that was not trained on them; the variables "
    "are those of the support2 data set and the full file's APACHE III physiology score. Judged on "
    "the {patients} patients for whom both the SUPPORT model's and a physician's estimate are "
    "recorded; the SUPPORT model was itself fitted to some of them. Intervals and differences "
    "(osteon minus the other) by DeLong."
)

_Score = NDArray[np.float64]


def compare_at_fixed_horizon(
    cohort: Cohort,
    *,
    scores: Mapping[str, _Score],
    repeats: int,
    random_state: int,
    progress: Progress,
) -> Comparison:
    """Rank patients by Osteon, its parts, a logistic regression and given scores, out of fold.

    Parameters
    ----------
    cohort : Cohort
        With an outcome known at one horizon.
    scores : mapping of str to ndarray of float, shape (n_stays,)
        Scores that need no fitting; higher means riskier.
    repeats : int
        Number of random partitions into folds.

    Returns
    -------
    Comparison
        Osteon's row has the weight of the linear part and the number of trees.
    """
    outcome = outcome_of(cohort)
    horizon = float(outcome.time_days[0])
    areas: dict[str, list[float]] = {}
    weights, trees = [], []
    for repeat in range(repeats):
        progress(f"repeat {repeat + 1} of {repeats}")
        for split in folds_by_patient(cohort, folds=FOLDS, random_state=random_state + repeat):
            train, test = cohort.take(split.train), cohort.take(split.test)
            model = fit_osteon(
                train, horizons_days=(horizon,), random_state=random_state, interval_folds=0
            )
            weights.append(model.linear_weight_)
            trees.append(model.n_trees_)
            whole = model.risk_model_
            risks = {OSTEON: whole} | {name: whole.part(w) for w, name in PARTS.items()}
            ranked = {name: m.risk(test.features, (horizon,))[:, 0] for name, m in risks.items()}
            ranked["logistic regression"] = fit_logistic(train)(test, [horizon])[:, 0]
            ranked |= {name: score[split.test] for name, score in scores.items()}
            known = fully_known(outcome.event[split.test] == 1)
            for name, risk in ranked.items():
                areas.setdefault(name, []).append(float(auroc(known, risk)))
    chosen = {"linear_weight": float(np.mean(weights)), "trees": float(np.mean(trees))}
    return Comparison(
        FIXED_HORIZON_PROTOCOL.format(repeats=repeats, day=horizon),
        tuple(
            _row(name, mean_over_folds(values), chosen=chosen if name == OSTEON else None)
            for name, values in areas.items()
        ),
        tuple(
            _difference(name, mean_over_folds(np.subtract(areas[OSTEON], values)))
            for name, values in areas.items()
            if name != OSTEON
        ),
    )


def compare_with_physicians(
    data_dir: Path | None, *, random_state: int, progress: Progress
) -> Comparison:
    """Compare Osteon on SUPPORT2 with the SUPPORT model and the physicians on the same patients."""
    beside = support2_comparators(data_dir)
    # The day-3 physiology score that the SUPPORT model and the physicians knew.
    severity = Column("aps", VARIABLES["apache3_aps"])
    cohort = add_columns(load_dataset("support2"), beside, severity)
    outcome = outcome_of(cohort)
    unknown = (outcome.event == 0) & (outcome.time_days < SIX_MONTHS_DAYS)
    if unknown.any():
        raise DataError(
            f"outcomes must be known at six months ({unknown.sum()} of {len(cohort)} are not). "
            "DeLong's interval does not adjust for censoring."
        )
    died = (outcome.event == 1) & (outcome.time_days <= SIX_MONTHS_DAYS)
    risk = _out_of_fold(cohort, SIX_MONTHS_DAYS, random_state, progress)
    both = beside[["surv6m", "prg6m"]].notna().all(axis=1).to_numpy()
    estimates = {
        OSTEON: risk[both],
        "SUPPORT model (surv6m)": 1 - beside.loc[both, "surv6m"].to_numpy(),
        "physicians (prg6m)": 1 - beside.loc[both, "prg6m"].to_numpy(),
    }
    areas = {name: delong_interval(died[both], value) for name, value in estimates.items()}
    gaps = {
        name: delong_test(died[both], estimates[OSTEON], value)
        for name, value in estimates.items()
        if name != OSTEON
    }
    return Comparison(
        PHYSICIANS_PROTOCOL.format(patients=f"{both.sum():,}"),
        tuple(
            _row(name, Difference(area.auroc, area.low, area.high)) for name, area in areas.items()
        ),
        tuple(
            _difference(name, Difference(gap.difference, gap.low, gap.high))
            for name, gap in gaps.items()
        ),
    )


def _out_of_fold(
    cohort: Cohort, horizon_days: float, random_state: int, progress: Progress
) -> _Score:
    """Return each patient's risk from a model fitted without that patient."""
    risk = np.empty(len(cohort))
    splits = folds_by_patient(cohort, folds=FOLDS, random_state=random_state)
    for number, split in enumerate(splits, start=1):
        progress(f"fold {number} of {FOLDS}")
        model = fit_osteon(
            cohort.take(split.train),
            horizons_days=(horizon_days,),
            random_state=random_state,
            interval_folds=0,
        )
        risk[split.test] = model.predict_risk(cohort.features.iloc[split.test])[:, 0]
    return risk


def fully_known(happened: NDArray[np.bool_]) -> KnownOutcome:
    """Return an outcome that is known of every patient."""
    return KnownOutcome(happened, np.ones(len(happened)), np.ones(len(happened)))


def mean_over_folds(values: ArrayLike) -> Difference:
    """Return a mean over the folds with its corrected interval."""
    return corrected_difference(values, test_to_train=1 / (FOLDS - 1))


def _row(name: str, area: Difference, *, chosen: Mapping[str, float] | None = None) -> ModelRow:
    """Return an area under the curve with its interval, and the choices of the fit."""
    ends = {"auroc": area.estimate, "low": area.low, "high": area.high}
    return ModelRow(name, {**ends, **(chosen or {})})


def _difference(name: str, gap: Difference) -> ModelDifference:
    return ModelDifference(name, "auroc", gap.estimate, gap.low, gap.high)
