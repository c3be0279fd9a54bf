"""Evidence in the data against a column: the statistics behind the leakage linter.

The thresholds lie between what was measured on columns that leak and on columns that do not, in
SurvSet's flchain, support2, rhc and Framingham, in SUPPORT2 with physicians' estimates, GLOW and
PhysioNet 2012, and in simulated tables whose missingness follows a latent severity:

========================================== ============================ =========================
figure                                     columns that leak            highest clean ones
========================================== ============================ =========================
|phi| of missingness, or of one value,     chapter 1.00, sfdm2 1.00     dnr 0.58 (leaks, by name),
with the event, ever or by a horizon                                    scoma 0.38
AUROC of the column alone, at any horizon  follow-up time 1.00,         sps 0.84, aps 0.83
                                           slos 0.97
calibration of values within [0, 1]:       surv2m, surv6m, surv2md1:    simulated FiO2 driven by
slope; spread between outer tenths         0.99 to 1.03; over 0.60      severity, prg2m: pass too
AUROC less that of all others together     the same: -0.01 to 0.01      FiO2 -0.07 to -0.02
R2 of its ranks on all others              the same: 0.79 to 0.91       SOFA 0.57, FiO2 0.52,
                                                                        prg2m 0.32
log odds ratio of being missing, those     adlp 3.2, adld3p 2.8,        prg2m 1.3, edu 1.1;
who die first against all others           adls 1.6                     simulated 2.5
share missing among those who die first    adls 0.67, others over 0.9   income 0.48; simulated
                                                                        0.87
the log odds ratio, given all others       adld3p 1.8, adls 1.6,        edu 0.7; simulated 0.8
                                           adlp 1.5
========================================== ============================ =========================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.leakage.columns import MIN_SIDE, Column, Target, enough

__all__ = [
    "computed_risks",
    "is_explained",
    "is_missing_in_the_first",
    "outcome_twin",
    "separates",
]

_PHI = 0.80
_CHANCE = 1e-6
_LOW_RISK = 10.0
_AUROC = 0.95
# A severity score of simulated patients had 0.96 with 36 early deaths, by chance.
_HONEST_AUROC, _COMPLETE_AUROC = 0.88, 0.99
_RISK_SLOPE = (0.7, 1.4)
_RISK_SPREAD = 0.40
_RISK_AUROC = 0.70
_RISK_DEVIATION = 0.05
_RISK_DISTINCT = 10
_BEHIND_ALL_OTHERS = 0.02
_RISK_EXPLAINED = 0.70
# In smaller cohorts a regression on all columns overfits, and one good marker beats it.
_MIN_TESTED = 400
_CRUDE_LOG_ODDS_RATIO = 1.4
_ADJUSTED_LOG_ODDS_RATIO = 1.15
_SHARE_MISSING = 0.60
_RIDGE = 5.0


def outcome_twin(column: Column, among: Sequence[Target]) -> NDArray[np.bool_] | None:
    """Return the rows marked by missingness or by one value that repeat the outcome, or None."""
    for indicator in (column.missing, *column.levels):
        if any(_phi(indicator, target) >= _PHI for target in among):
            return indicator
    # Extremes of a score may honestly have one outcome; a mark or a gap hardly.
    marks = () if _is_ordered(column) else column.levels
    for indicator in (column.missing, ~column.missing, *marks):
        if any(_one_sided(indicator, target) for target in among if target.known.all()):
            return indicator
    return None


def _is_ordered(column: Column) -> bool:
    return column.values is not None and len(column.levels) > 2


def _one_sided(indicator: NDArray[np.bool_], target: Target) -> bool:
    """Return whether all marked rows have the outcome, or none, by more than chance.

    With an event rate p, all k marked rows have it with a probability of p^k if the mark says
    nothing. That none has it must be unlikely even at a tenth of the odds of all, since honest
    marks of low risk, such as elective surgery, are common where events are rare.
    """
    marked, rate = target.event[indicator], float(target.event.mean())
    if not enough(indicator) or not 0 < rate < 1:
        return False
    odds = rate / (1 - rate) / _LOW_RISK
    if marked.all():
        return bool(rate ** len(marked) < _CHANCE)
    return bool(not marked.any() and (1 / (1 + odds)) ** len(marked) < _CHANCE)


def separates(column: Column, among: Sequence[Target]) -> bool:
    """Return whether the numbers alone separate those with the outcome from the others."""
    if column.values is None:
        return False
    return any(
        abs(_auroc(column.values, target) - 0.5) >= _too_good(column.values, target) - 0.5
        for target in among
    )


def _too_good(values: NDArray[np.float64], target: Target) -> float:
    """Return the AUROC that no honest column reaches, which with few events is higher.

    Three standard errors (Hanley & McNeil) above the best honest columns, but never above almost
    perfect separation: early horizons of rarely measured columns have ten events.
    """
    event = target.event[target.known & ~np.isnan(values)]
    n_events, n_others = int(event.sum()), int((~event).sum())
    if not enough(event):
        return 1.0
    area = _HONEST_AUROC
    spread = area * (1 - area)
    spread += (n_events - 1) * (area / (2 - area) - area**2)
    spread += (n_others - 1) * (2 * area**2 / (1 + area) - area**2)
    error = float(np.sqrt(spread / (n_events * n_others)))
    return max(_AUROC, min(area + 3 * error, _COMPLETE_AUROC))


def computed_risks(columns: Mapping[str, Column], among: Sequence[Target]) -> list[str]:
    """Return the columns that behave as a risk, or a survival, computed from the same patients.

    Their values lie in [0, 1], follow the observed frequencies at some horizon, order the patients
    there as well as all other columns together do, and can be predicted from these. Columns that
    leak in another way, which would outperform a risk, must be left out beforehand.
    """
    calibrated = {
        name: fitting
        for name, column in columns.items()
        if (fitting := [target for target in among if _calibrated_either_way(column, target)])
    }
    others = [column for name, column in columns.items() if name not in calibrated]
    return [
        name
        for name, fitting in calibrated.items()
        if _explained(columns[name], others) >= _RISK_EXPLAINED
        and any(_as_good_as(columns[name], others, target) for target in fitting)
    ]


def is_missing_in_the_first(column: Column, target: Target) -> bool:
    """Return whether most who reached the outcome first are missing, with far higher odds."""
    first = column.missing[target.event]
    others = column.missing[target.known & ~target.event]
    log_odds = [np.log((m.sum() + 0.5) / ((~m).sum() + 0.5)) for m in (first, others)]
    return bool(
        first.mean() >= _SHARE_MISSING and log_odds[0] - log_odds[1] >= _CRUDE_LOG_ODDS_RATIO
    )


def is_explained(column: Column, others: Sequence[Column], target: Target) -> bool:
    """Return whether others, none of which leaks, explain why a column is missing in the first."""
    rows = np.flatnonzero(target.known)
    design = np.column_stack([column.missing.astype(np.float64), *_design(others)])[rows]
    return bool(_ridge_logistic(design, target.event[rows])[0] < _ADJUSTED_LOG_ODDS_RATIO)


def _auroc(values: NDArray[np.float64], target: Target) -> float:
    """Return the AUROC of numbers for a target, 0.5 where either side is too small."""
    use = target.known & ~np.isnan(values)
    event = target.event[use]
    if not enough(event):
        return 0.5
    ranks = pd.Series(values[use]).rank().to_numpy()
    n_events = int(event.sum())
    above = ranks[event].sum() - n_events * (n_events + 1) / 2
    return float(above / (n_events * (len(event) - n_events)))


def _phi(indicator: NDArray[np.bool_], target: Target) -> float:
    """Return the absolute correlation of two yes-no columns, 0 where either side is too small."""
    yes, event = indicator[target.known], target.event[target.known]
    if not (enough(yes) and enough(event)):
        return 0.0
    both = np.mean(yes & event) - yes.mean() * event.mean()
    return float(abs(both) / np.sqrt(yes.var() * event.var()))


def _calibrated_either_way(column: Column, target: Target) -> bool:
    values = column.values
    if values is None:
        return False
    measured = values[~np.isnan(values)]
    if not len(measured) or measured.min() < 0 or measured.max() > 1:
        return False
    if len(np.unique(measured[(measured > 0) & (measured < 1)])) < _RISK_DISTINCT:
        return False
    return _calibrated(values, target) or _calibrated(1.0 - values, target)


def _calibrated(risk: NDArray[np.float64], target: Target) -> bool:
    """Return whether observed frequencies follow the stated ones from group to group."""
    use = target.known & ~np.isnan(risk)
    risk, event = risk[use], target.event[use]
    if not enough(event) or len(event) < 10 * MIN_SIDE:
        return False
    groups = np.array_split(np.argsort(risk, kind="stable"), 10 if len(risk) >= 1000 else 5)
    stated = np.array([risk[group].mean() for group in groups])
    observed = np.array([event[group].mean() for group in groups])
    if stated[-1] - stated[0] < _RISK_SPREAD / 2 or observed[-1] - observed[0] < _RISK_SPREAD:
        return False
    slope = np.polyfit(stated, observed, 1)[0]
    # Small cohorts are allowed the sampling error of a group's frequency on top.
    noise = np.mean(np.sqrt(stated * (1 - stated) / (len(risk) / len(groups))))
    return bool(
        np.abs(observed - stated).mean() <= _RISK_DEVIATION + noise
        and _RISK_SLOPE[0] <= slope <= _RISK_SLOPE[1]
        and _auroc(risk, Target(np.ones_like(event), event)) >= _RISK_AUROC
    )


def _as_good_as(column: Column, others: Sequence[Column], target: Target) -> bool:
    """Return whether one column orders patients as well as a regression on all others does."""
    assert column.values is not None
    parts = _design(others)
    if not parts:
        return False
    rows = np.flatnonzero(target.known & ~column.missing)
    design, fitted, tested = np.column_stack(parts), rows[::2], rows[1::2]
    if len(tested) < _MIN_TESTED or not enough(target.event[tested]):
        return False
    weights = _ridge_logistic(design[fitted], target.event[fitted])
    all_tested = Target(np.ones(len(tested), dtype=bool), target.event[tested])
    alone = _auroc(column.values[tested], all_tested)
    together = _auroc(design[tested] @ weights, all_tested)
    return max(alone, 1 - alone) >= together - _BEHIND_ALL_OTHERS


def _explained(column: Column, others: Sequence[Column]) -> float:
    """Return the share of a column's ranks that the others explain, in rows not fitted on."""
    rows = np.flatnonzero(~column.missing)
    parts = _design(others)
    if not parts or len(rows) < 2 * _MIN_TESTED:
        return 0.0
    design = np.column_stack([*parts, np.ones(len(column.missing))])[rows]
    assert column.values is not None
    ranks = pd.Series(column.values[rows]).rank(pct=True).to_numpy(dtype=np.float64)
    fitted, tested = design[::2], design[1::2]
    curvature = fitted.T @ fitted + _RIDGE * np.eye(fitted.shape[1])
    weights = np.linalg.solve(curvature, fitted.T @ (ranks[::2] - 0.5))
    return float(np.corrcoef(tested @ weights, ranks[1::2])[0, 1] ** 2)


def _design(columns: Collection[Column]) -> list[NDArray[np.float64]]:
    """Return standardised ranks and the values of categories; a missing number counts as 0."""
    parts: list[NDArray[np.float64]] = []
    for column in columns:
        if column.values is None:
            parts += [level.astype(np.float64) for level in column.levels if enough(level)]
        elif not column.missing.all():
            ranks = pd.Series(column.values).rank(pct=True).to_numpy(dtype=np.float64)
            parts.append(np.where(column.missing, np.nanmean(ranks), ranks))
    return [(part - part.mean()) / max(float(part.std()), 1e-9) for part in parts]


def _ridge_logistic(design: NDArray[np.float64], event: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the slopes of a logistic regression with a light ridge, by Newton's method."""
    columns = np.column_stack([design, np.ones(len(design))])
    ridge = np.full(columns.shape[1], _RIDGE)
    ridge[-1] = 1e-9
    weights = np.zeros(columns.shape[1])
    for _ in range(25):
        risk = 1.0 / (1.0 + np.exp(-np.clip(columns @ weights, -30, 30)))
        gradient = columns.T @ (risk - event) + ridge * weights
        curvature = (columns * (risk * (1 - risk))[:, None]).T @ columns + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-3:
            break
    return weights[:-1]
