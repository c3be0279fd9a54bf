"""Added value of a panel of markers: models with and without it, judged out of fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError, UsageError
from models.censoring import CensoringDistribution
from models.fitting.encoding import fit_encoding, fit_scaling
from models.fitting.training_cohort import Progress
from models.inference.matrices import linear_matrix, raw_matrix
from models.metrics.comparison.decision_curves import DecisionComparison, decision_comparison
from models.metrics.comparison.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from models.metrics.comparison.net_benefit import TradeOff, trade_off
from models.metrics.comparison.paired_changes import (
    MARGIN,
    Change,
    OutOfFold,
    Verdict,
    paired_changes,
    verdict,
)
from models.metrics.known_outcome import known_outcome, why_not_evaluable
from training.cohorts.panel import Panel
from training.cohorts.study import Study
from training.config import RunConfig
from training.fit import FOLDS, out_of_fold_risks

__all__ = ["WITH", "WITHOUT", "PanelValue", "PathwayValue", "panel_value"]

WITHOUT, WITH = "without the panel", "with the panel"

THRESHOLD_RATES = (0.5, 1.0, 2.0)
"""Default thresholds of the net benefit, in multiples of the event rate."""

LARGEST_THRESHOLD = 0.9


@dataclass(frozen=True, slots=True)
class PathwayValue:
    """Added value of one part of a panel (pathway or variable) at the primary horizon.

    Parameters
    ----------
    on_top : tuple of Change
        From all columns except this part to all columns: the loss if it is left out.
    alone : tuple of Change
        From the baseline columns to these and this part.
    """

    name: str
    columns: tuple[str, ...]
    on_top: tuple[Change, ...]
    alone: tuple[Change, ...]

    @property
    def lost_if_left_out(self) -> Change:
        """Change of the AUROC from all columns except this part to all columns."""
        return next(change for change in self.on_top if change.metric == "auroc")

    @property
    def gained_alone(self) -> Change:
        """Change of the AUROC from the baseline columns to these and this part."""
        return next(change for change in self.alone if change.metric == "auroc")

    def as_json(self) -> dict[str, object]:
        """Return the part as a mapping."""
        return {
            "name": self.name,
            "columns": list(self.columns),
            "on_top": [change.as_json() for change in self.on_top],
            "alone": [change.as_json() for change in self.alone],
        }


@dataclass(frozen=True, slots=True)
class PanelValue:
    """Added value of a panel over other variables, with its evidence.

    Parameters
    ----------
    primary_horizon_days : float
        Horizon of the verdict, stated before the fit.
    primary : Change
        Change of the AUROC at the primary horizon.
    changes : tuple of Change
        At every horizon that can be judged.
    pathways : tuple of PathwayValue
        Parts of the panel; empty if it has only one.
    likelihood_ratio : LikelihoodRatio
        Of all follow-up up to the primary horizon.
    trade_off : tuple of TradeOff
        At the primary horizon, one for each threshold.
    decision : DecisionComparison
        Net benefit by threshold at the primary horizon.
    not_judged : mapping of float to str
        Horizon -> reason why it cannot be judged.
    """

    outcome: str
    event_label: str
    population: str
    simulated: bool
    panel: Panel
    stays: int
    patients: int
    events: int
    folds: int
    resamples: int
    primary_horizon_days: float
    primary: Change
    verdict: Verdict
    changes: tuple[Change, ...]
    pathways: tuple[PathwayValue, ...]
    likelihood_ratio: LikelihoodRatio
    trade_off: tuple[TradeOff, ...]
    decision: DecisionComparison
    not_judged: Mapping[float, str]

    def as_json(self) -> dict[str, object]:
        """Return what `osteon evaluate --added-value --json` prints of it."""
        same = ("outcome", "event_label", "population", "simulated", "stays", "patients", "events")
        return {
            **{name: getattr(self, name) for name in same},
            "added": {name: list(columns) for name, columns in self.panel.added.items()},
            "over": list(self.panel.over),
            "folds": self.folds,
            "resamples": self.resamples,
            "margin": MARGIN,
            "primary_horizon_days": self.primary_horizon_days,
            "primary": self.primary.as_json(),
            "verdict": self.verdict,
            "changes": [change.as_json() for change in self.changes],
            "pathways": [pathway.as_json() for pathway in self.pathways],
            "likelihood_ratio": self.likelihood_ratio.as_json(),
            "test_trade_off": [trade_off.as_json() for trade_off in self.trade_off],
            "decision": self.decision.as_json(("without", "with_panel")),
            "not_judged": {f"{days:g}": reason for days, reason in self.not_judged.items()},
        }


def panel_value(
    study: Study,
    panel: Panel,
    config: RunConfig,
    *,
    primary_horizon_days: float | None = None,
    thresholds: Sequence[float] = (),
    progress: Progress | None = None,
) -> PanelValue:
    """Fit Osteon with and without a panel, out of fold by patient, and judge the change.

    Parameters
    ----------
    primary_horizon_days : float, optional
        One of the study's horizons (default: the middle one).
    thresholds : sequence of float, optional
        Risks at which treatment would start (default: half, one and two times the observed risk at
        the primary horizon).
    """
    cohort = study.cohort
    outcome = outcome_of(cohort)
    horizons, not_judged = _judged(cohort, study.horizons_days)
    primary = _primary(study.horizons_days, not_judged, primary_horizon_days)
    at = tuple(thresholds) or _around_event_rate(cohort, primary)
    if not all(0 < threshold < 1 for threshold in at):
        raise UsageError(f"thresholds must lie strictly between 0 and 1; got {list(at)}.")
    risks = out_of_fold_risks(cohort, _models(panel), horizons, config, progress=progress)
    observed = outcome.time_days, outcome.event
    resampled = _Resampled(
        n_bootstrap=config.bootstrap_resamples, random_state=config.seed, groups=cohort.patient_id
    )
    changes = paired_changes(*observed, risks, [(WITHOUT, WITH)], thresholds=at, **resampled)[0]
    at_primary = _at(risks, primary)
    of_primary = [change for change in changes if change.horizon_days == primary]
    first = next(change for change in of_primary if change.metric == "auroc")
    return PanelValue(
        outcome=study.outcome.name,
        event_label=study.outcome.event_label,
        population=cohort.population,
        simulated=cohort.simulated,
        panel=panel,
        stays=len(cohort),
        patients=len(np.unique(cohort.patient_id.astype(str))),
        events=int((outcome.event == 1).sum()),
        folds=FOLDS,
        resamples=config.bootstrap_resamples,
        primary_horizon_days=primary,
        primary=first,
        verdict=verdict(first.low, first.high),
        changes=tuple(changes),
        pathways=_parts(observed, panel, at_primary, at, resampled),
        likelihood_ratio=_likelihood_ratio(cohort, panel, primary),
        trade_off=_trade_offs(of_primary),
        decision=decision_comparison(
            *observed,
            *(at_primary.risk[name][:, 0] for name in (WITHOUT, WITH)),
            horizon_days=primary,
            folds=FOLDS,
            **resampled,
        ),
        not_judged=not_judged,
    )


class _Resampled(TypedDict):
    """Arguments of the bootstrap, the same for every interval."""

    n_bootstrap: int
    random_state: int
    groups: NDArray[np.object_]


def _models(panel: Panel) -> dict[str, list[str]]:
    """Return the columns of every model to fit."""
    models = {WITHOUT: [*panel.over], WITH: [*panel.over, *panel.columns]}
    if len(panel.added) > 1:
        for name, members in panel.added.items():
            models[_left_out(name)] = [c for c in models[WITH] if c not in members]
            models[_alone(name)] = [*panel.over, *members]
    return models


def _left_out(name: str) -> str:
    return f"without {name}"


def _alone(name: str) -> str:
    return f"{name} alone"


def _parts(
    observed: tuple[NDArray[np.float64], NDArray[np.int64]],
    panel: Panel,
    risks: OutOfFold,
    thresholds: Sequence[float],
    resampled: _Resampled,
) -> tuple[PathwayValue, ...]:
    """Return the added value of each part, on top of all others and alone."""
    if len(panel.added) < 2:
        return ()
    pairs = [
        pair for name in panel.added for pair in ((_left_out(name), WITH), (WITHOUT, _alone(name)))
    ]
    changes = paired_changes(*observed, risks, pairs, thresholds=thresholds, **resampled)
    return tuple(
        PathwayValue(name, members, tuple(on_top), tuple(alone))
        for (name, members), on_top, alone in zip(
            panel.added.items(), changes[::2], changes[1::2], strict=True
        )
    )


def _trade_offs(changes: Sequence[Change]) -> tuple[TradeOff, ...]:
    """Return the gain at each threshold as a number of tests."""
    return tuple(
        trade_off(change.threshold, change.change, change.low, change.high)
        for change in changes
        if change.threshold is not None
    )


def _at(risks: OutOfFold, days: float) -> OutOfFold:
    """Return the risks at one horizon."""
    column = risks.horizons_days.index(days)
    at = {name: risk[:, [column]] for name, risk in risks.risk.items()}
    return OutOfFold(at, risks.fold, (days,))


def _judged(
    cohort: Cohort, horizons_days: Sequence[float]
) -> tuple[tuple[float, ...], dict[float, str]]:
    """Return the horizons that can be judged, and why the others cannot."""
    outcome = outcome_of(cohort)
    censoring = CensoringDistribution.fit(outcome.time_days, outcome.event)
    reasons = {
        days: why_not_evaluable(
            outcome.time_days, outcome.event, days, censoring, groups=cohort.patient_id
        )
        for days in horizons_days
    }
    return (
        tuple(days for days, reason in reasons.items() if not reason),
        {days: reason for days, reason in reasons.items() if reason},
    )


def _primary(
    horizons_days: Sequence[float], not_judged: Mapping[float, str], stated: float | None
) -> float:
    """Return the horizon of the verdict; refuse one that is unknown or cannot be judged."""
    primary = horizons_days[len(horizons_days) // 2] if stated is None else stated
    if primary not in horizons_days:
        known = ", ".join(f"{days:g}" for days in horizons_days)
        raise UsageError(
            f"the primary horizon must be one of {known} days; got {primary:g}. "
            "State horizons_days in the settings for another."
        )
    if primary in not_judged:
        raise DataError(
            f"the primary horizon of {primary:g} days cannot be judged on these patients: it "
            f"{not_judged[primary]}. Choose another."
        )
    return primary


def _around_event_rate(cohort: Cohort, days: float) -> tuple[float, ...]:
    """Return thresholds around the observed risk, rounded to whole percents."""
    outcome = outcome_of(cohort)
    rate = float(known_outcome(outcome.time_days, outcome.event, days).event_rate)
    rounded = (round(factor * rate, 2) for factor in THRESHOLD_RATES)
    return tuple(dict.fromkeys(min(max(risk, 0.01), LARGEST_THRESHOLD) for risk in rounded))


def _likelihood_ratio(cohort: Cohort, panel: Panel, days: float) -> LikelihoodRatio:
    """Test the panel in a linear model of all patients, followed up to the primary horizon."""
    outcome = outcome_of(cohort)
    late = outcome.time_days > days
    return likelihood_ratio(
        np.where(late, days, outcome.time_days),
        np.where(late, 0, outcome.event),
        _linear_columns(cohort, panel.over),
        _linear_columns(cohort, panel.columns),
        fixed_horizon=outcome.horizon_days is not None,
        groups=cohort.patient_id,
    )


def _linear_columns(cohort: Cohort, names: Sequence[str]) -> NDArray[np.float64]:
    """Return standardised values, levels and flags of missing values, without splines."""
    frame = cohort.features[list(names)]
    encoding = fit_encoding(frame)
    n_numbers = len(encoding.numbers)
    raw = raw_matrix(frame, encoding)
    columns = linear_matrix(raw, fit_scaling(raw, n_numbers))
    return np.delete(columns, np.s_[n_numbers : 3 * n_numbers], axis=1)
