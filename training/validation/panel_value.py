"""Added value of a panel of markers: models with and without it, judged out of fold.

Both models know which tests of the panel were done, and neither constrains a marker's direction, so
that they differ in the results of the panel alone (`training/cohorts/comparison.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.disclosure import SMALLEST_CELL
from data_schema.errors import DataError, UsageError
from models.censoring import CensoringDistribution
from models.fitting.training_cohort import Progress
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
from training.cohorts.comparison import Comparison, comparison_of
from training.cohorts.panel import Panel
from training.cohorts.study import Study
from training.config import RunConfig
from training.fit import FOLDS
from training.fold_fits import out_of_fold_risks
from training.validation.limited_deaths import (
    LimitedDeaths,
    limited_deaths,
    under_full_treatment,
)
from training.validation.nested_columns import base_columns, panel_columns

__all__ = [
    "WITH",
    "WITHOUT",
    "GroupValue",
    "PanelTest",
    "PanelValue",
    "PathwayValue",
    "panel_test",
    "panel_value",
]

WITHOUT, WITH = "without the panel", "with the panel"

THRESHOLD_RATES = (0.5, 1.0, 2.0)
"""Default thresholds of the net benefit, in multiples of the event rate."""

LARGEST_THRESHOLD = 0.9

SPLINES = (4, 3, 0)
"""Knots of the base in the likelihood-ratio test, the first that the number of events allows."""


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
class GroupValue:
    """The changes among some of the patients, by the same out-of-fold risks.

    Parameters
    ----------
    stays, patients, events : int or None
        None where the count, or that of the others, is so small that it might identify a person.
    share : float or None
        Share of all patients.
    changes : tuple of Change
        At every horizon that can be judged among them.
    not_judged : mapping of float to str
        Horizon -> reason why it cannot be judged.
    """

    stays: int | None
    patients: int | None
    events: int | None
    share: float | None
    changes: tuple[Change, ...]
    not_judged: Mapping[float, str]

    def as_json(self) -> dict[str, object]:
        """Return the group as a mapping."""
        return {
            "stays": self.stays,
            "patients": self.patients,
            "events": self.events,
            "share": self.share,
            "changes": [change.as_json() for change in self.changes],
            "not_judged": {f"{days:g}": reason for days, reason in self.not_judged.items()},
        }


@dataclass(frozen=True, slots=True)
class PanelTest:
    """Likelihood-ratio test of the panel, and how the base was fitted in it.

    Parameters
    ----------
    ratio : LikelihoodRatio
    knots : int
        Knots of the base's restricted cubic splines; 0 if there are too few events for splines.
    """

    ratio: LikelihoodRatio
    knots: int

    def as_json(self) -> dict[str, object]:
        """Return the test as a mapping."""
        return {**self.ratio.as_json(), "knots_of_base": self.knots}


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
    likelihood_ratio : PanelTest
        Of all follow-up up to the primary horizon.
    trade_off : tuple of TradeOff
        At the primary horizon, one for each threshold.
    decision : DecisionComparison
        Net benefit by threshold at the primary horizon.
    not_judged : mapping of float to str
        Horizon -> reason why it cannot be judged.
    among_measured : GroupValue
        Patients in whom at least half of the panel's variables were measured.
    under_full_treatment : GroupValue or None
        Patients without a recorded limitation of treatment; None where the cohort records none.
    limited_deaths : LimitedDeaths or None
        How many deaths followed a limitation of treatment; None if no event is a death.
    true_change : float or None
        On simulated patients, what the panel adds to the area of the best attainable risks at the
        primary horizon; None where that is not known.
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
    likelihood_ratio: PanelTest
    trade_off: tuple[TradeOff, ...]
    decision: DecisionComparison
    not_judged: Mapping[float, str]
    among_measured: GroupValue
    under_full_treatment: GroupValue | None
    limited_deaths: LimitedDeaths | None
    true_change: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return what `osteon evaluate --added-value --json` prints of it."""
        same = ("outcome", "event_label", "population", "simulated", "stays", "patients", "events")
        return {
            **{name: getattr(self, name) for name in same},
            "added": {name: list(columns) for name, columns in self.panel.added.items()},
            "over": list(self.panel.over),
            "not_in_base": list(self.panel.not_in_base),
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
            "among_measured": self.among_measured.as_json(),
            "under_full_treatment": (
                None if self.under_full_treatment is None else self.under_full_treatment.as_json()
            ),
            "limited_deaths": (
                None if self.limited_deaths is None else self.limited_deaths.as_json()
            ),
            **({} if self.true_change is None else {"true_change": self.true_change}),
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
    comparison = comparison_of(study.cohort, panel)
    cohort = comparison.cohort
    outcome = outcome_of(cohort)
    horizons, not_judged = _judged(cohort, study.horizons_days)
    primary = _primary(study.horizons_days, not_judged, primary_horizon_days)
    at = tuple(thresholds) or _around_event_rate(cohort, primary)
    if not all(0 < threshold < 1 for threshold in at):
        raise UsageError(f"thresholds must lie strictly between 0 and 1; got {list(at)}.")
    risks = out_of_fold_risks(cohort, _models(comparison), horizons, config, progress=progress)
    observed = outcome.time_days, outcome.event
    resampled = _Resampled(
        n_bootstrap=config.bootstrap_resamples, random_state=config.seed, groups=cohort.patient_id
    )
    changes = paired_changes(*observed, risks, [(WITHOUT, WITH)], thresholds=at, **resampled)[0]
    full = under_full_treatment(cohort)
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
        likelihood_ratio=panel_test(comparison, primary),
        trade_off=_trade_offs(of_primary),
        decision=decision_comparison(
            *observed,
            *(at_primary.risk[name][:, 0] for name in (WITHOUT, WITH)),
            horizon_days=primary,
            folds=FOLDS,
            **resampled,
        ),
        not_judged=not_judged,
        among_measured=_among(cohort, risks, comparison.measured, at, config),
        under_full_treatment=None if full is None else _among(cohort, risks, full, at, config),
        limited_deaths=limited_deaths(cohort),
    )


class _Resampled(TypedDict):
    """Arguments of the bootstrap, the same for every interval."""

    n_bootstrap: int
    random_state: int
    groups: NDArray[np.object_]


def _models(comparison: Comparison) -> dict[str, list[str]]:
    """Return the columns of every model to fit."""
    panel = comparison.panel
    models = {WITHOUT: [*comparison.base], WITH: [*comparison.extended]}
    if len(panel.added) > 1:
        for name, members in panel.added.items():
            models[_left_out(name)] = [c for c in models[WITH] if c not in members]
            models[_alone(name)] = [*comparison.base, *members]
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


def panel_test(comparison: Comparison, days: float) -> PanelTest:
    """Test the panel in a linear model of all patients, followed up to a horizon.

    The base acts in restricted cubic splines, so that its curvature is not counted for a marker
    that follows it; each marker of the panel acts in a straight line. Which tests were done is in
    the base.
    """
    cohort, panel = comparison.cohort, comparison.panel
    outcome = outcome_of(cohort)
    late = outcome.time_days > days
    base = cohort.features[list(comparison.base)]
    added = panel_columns(cohort.features[list(panel.columns)])

    def test(knots: int) -> PanelTest:
        ratio = likelihood_ratio(
            np.where(late, days, outcome.time_days),
            np.where(late, 0, outcome.event),
            base_columns(base, knots),
            added,
            fixed_horizon=outcome.horizon_days is not None,
            groups=cohort.patient_id,
        )
        return PanelTest(ratio, knots)

    for knots in SPLINES:
        tested = test(knots)
        if not np.isnan(tested.ratio.statistic):
            break
    return tested


def _among(
    cohort: Cohort,
    risks: OutOfFold,
    rows: NDArray[np.bool_],
    thresholds: Sequence[float],
    config: RunConfig,
) -> GroupValue:
    """Return the changes among the given stays; a count that might identify a person is hidden."""
    group = cohort.take(rows)
    outcome = outcome_of(group)
    if not len(group):
        return GroupValue(0, 0, 0, 0.0, (), dict.fromkeys(risks.horizons_days, "no patients"))
    judged, not_judged = _judged(group, risks.horizons_days)
    columns = [risks.horizons_days.index(days) for days in judged]
    changes: Sequence[Change] = ()
    if columns:
        of_group = OutOfFold(
            {name: risks.risk[name][rows][:, columns] for name in (WITHOUT, WITH)},
            risks.fold[rows],
            judged,
        )
        changes = paired_changes(
            outcome.time_days,
            outcome.event,
            of_group,
            [(WITHOUT, WITH)],
            thresholds=thresholds,
            n_bootstrap=config.bootstrap_resamples,
            random_state=config.seed,
            groups=group.patient_id,
        )[0]
    patients, everyone = (len(np.unique(c.patient_id.astype(str))) for c in (group, cohort))
    events, all_events = (int((outcome_of(c).event == 1).sum()) for c in (group, cohort))
    counts = (patients, everyone - patients, events, all_events - events)
    hidden = any(0 < count < SMALLEST_CELL for count in counts)
    return GroupValue(
        stays=None if hidden else len(group),
        patients=None if hidden else patients,
        events=None if hidden else events,
        share=None if hidden else patients / everyone,
        changes=tuple(changes),
        not_judged=not_judged,
    )
