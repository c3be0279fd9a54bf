"""The catalogue of metrics: what each is, how it is computed and read, and where it is shown.

JSON, MLflow, console, report, subgroups, pooling, gate and the clinician's page read it. To add a
metric, add its function to a module of this package and its `MetricSpec` here, with a test of the
function against an independent value in `tests/reference/models/metrics/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.censoring import CensoringDistribution
from models.metrics.calibration.calibration import (
    CalibrationError,
    Recalibration,
    calibration_error,
    calibration_intercept,
    calibration_slope,
    oe_ratio,
    recalibration,
)
from models.metrics.calibration.whole_curve import aj_calibration, d_calibration
from models.metrics.comparison.net_benefit import net_benefit
from models.metrics.discrimination.concordance import harrell_c, uno_c
from models.metrics.discrimination.ranking import auprc, auroc, auroc_within_folds
from models.metrics.known_outcome import KnownOutcome
from models.metrics.overall.brier import brier, integrated_brier, ipa
from models.metrics.overall.brier_split import BrierSplit, brier_split

__all__ = [
    "AT_HORIZON",
    "METRICS",
    "OVER_FOLLOW_UP",
    "AnyMetricSpec",
    "AtHorizon",
    "Direction",
    "Group",
    "IntervalAbove",
    "IntervalReaches",
    "MetricSpec",
    "OverFollowUp",
    "PageEntry",
    "Place",
    "Scale",
    "by_group",
    "shown_in",
]

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AtHorizon:
    """What the metrics of one horizon are computed from.

    Parameters
    ----------
    outcome : KnownOutcome
        Weighted for censoring.
    calibration_outcome : KnownOutcome
        What calibration is judged on: `outcome`, or pseudo-values within a subgroup.
    risk : ndarray of float, shape (n_patients,)
        Predicted probability of the event by the horizon.
    threshold : float
        Risk at which treatment would start, for the net benefit.
    fold : ndarray of int, shape (n_patients,), or None
        Fold in which each patient was held out, hence the model that its risk is of; None where
        all risks are of one model.
    knots : ndarray of float, or None
        Where the calibration curve may bend, in log-odds; None for quantiles of the rows.
    """

    outcome: KnownOutcome
    calibration_outcome: KnownOutcome
    risk: _Floats
    threshold: float
    fold: NDArray[np.int64] | None = None
    knots: _Floats | None = None

    @cached_property
    def calibration_error(self) -> CalibrationError:
        """Distances to one calibration curve, which three metrics share."""
        return calibration_error(self.calibration_outcome, self.risk, knots=self.knots)

    @cached_property
    def brier_split(self) -> BrierSplit:
        """The two parts of the Brier score, which two metrics share."""
        return brier_split(self.outcome, self.risk, recalibrated=self.recalibrated)

    @cached_property
    def recalibrated(self) -> Recalibration:
        """The logistic recalibration, which the Brier score's parts and the slope share."""
        return recalibration(self.outcome, self.risk)

    @property
    def calibration_slope(self) -> _Floats:
        """The slope of the outcome that calibration is judged on."""
        shared = self.recalibrated if self.calibration_outcome is self.outcome else None
        return calibration_slope(self.calibration_outcome, self.risk, recalibrated=shared)


@dataclass(frozen=True, slots=True)
class OverFollowUp:
    """What the metrics of the whole follow-up are computed from.

    Parameters
    ----------
    time_days, event : ndarray, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    score : ndarray of float, shape (n_patients,)
        Higher for an earlier event.
    curve_risk, curve_days : ndarray of float, shapes (n_patients, n_days) and (n_days,)
        The predicted curve on a grid that ends where enough patients are still observed.
    competing_curve : ndarray of float, shape (n_patients, n_days), or None
        The predicted curve of the competing event on the same grid, if there is one.
    last_day : float
        The day on which the comparison of pairs ends.
    counts : ndarray of float, shape (n_patients, n_resamples), or None
        How often each patient occurs in each bootstrap resample; None for once each.
    censoring : CensoringDistribution
        Fitted on these patients with these counts.
    fold : ndarray of int, shape (n_patients,), or None
        As in `AtHorizon`.
    """

    time_days: _Floats
    event: NDArray[np.int64]
    score: _Floats
    curve_risk: _Floats
    curve_days: _Floats
    competing_curve: _Floats | None
    last_day: float
    counts: _Floats | None
    censoring: CensoringDistribution
    fold: NDArray[np.int64] | None = None


class Group(StrEnum):
    """What a metric judges: the headings of the report's tables, in their order."""

    DISCRIMINATION = "Discrimination"
    CALIBRATION = "Calibration"
    OVERALL = "Overall"
    CLINICAL_USE = "Clinical use"


class Direction(StrEnum):
    """Which value is best."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    ONE = "1 is ideal"
    ZERO = "0 is ideal"


class Scale(Enum):
    """The values that a metric can take, which decide how intervals and means are computed."""

    PROPORTION = "in [0, 1]; pooled as log-odds"
    RATIO = "above 0; pooled as a logarithm"
    REAL = "any number; pooled unchanged"
    DISTANCE = "0 or more, and above 0 by chance alone; never pooled"


class Place(Enum):
    """Where a metric of a horizon is shown beyond the results of all patients."""

    SUBGROUPS = "computed in each subgroup, and in the JSON of subgroups"
    SUBGROUPS_OF_CONSOLE = "in the lines of subgroups that the command line prints"
    SUBGROUPS_OF_REPORT = "in the report's tables of subgroups, sites and years"
    POOLED = "pooled over sites or years"
    BLANKED = "also computed with some of the fields of every patient left empty"
    MLFLOW = "logged to MLflow by itself; the file metrics.csv of a run holds every metric"
    MLFLOW_BLANKED = "logged to MLflow by itself with fields left empty, at the primary horizon"


_NOT_BY_SUBGROUP = frozenset({Place.MLFLOW, Place.MLFLOW_BLANKED})


@dataclass(frozen=True, slots=True)
class PageEntry:
    """How the clinician's page prints a metric, and whether a CDS card names it too."""

    label: str
    reading: str
    digits: int = 2
    on_card: bool = False


@dataclass(frozen=True, slots=True)
class IntervalAbove:
    """A rule of the gate: the whole interval lies above a limit."""

    limit: float


@dataclass(frozen=True, slots=True)
class IntervalReaches:
    """A rule of the gate: the interval reaches into a range."""

    least: float
    most: float


Inputs = TypeVar("Inputs", AtHorizon, OverFollowUp)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec(Generic[Inputs]):
    """Everything that is known of one metric.

    Parameters
    ----------
    name, label : str
        Name in JSON, MLflow and on the command line; label in the report.
    estimand : str
        What a value estimates, in a sentence.
    documented_by : callable
        Function whose docstring holds the formula and its source.
    direction, scale, group, places
        As their types describe.
    compared_with : str
        What a value is read against ("0.5 is chance").
    function : callable
        Returns one value, or one for each resample.
    when_undefined : str
        Why there may be no value.
    at_a_glance : str
        Its name in the first section of the report; empty if it is not shown there.
    page : PageEntry or None
        None if the clinician's page does not show it.
    gate : IntervalAbove or IntervalReaches or None
        What a model must reach to become champion, at every horizon.
    gate_when_blanked : bool
        Whether the gate's rule also holds where some fields are left empty.
    worse_by : float or None
        How much worse than the champion a challenger may be on the same patients.
    of_competing_event : bool
        Whether it judges the curve of the competing event; computed only where there is one.
    """

    name: str
    label: str
    estimand: str
    documented_by: Callable[..., object]
    direction: Direction
    compared_with: str = ""
    scale: Scale
    group: Group
    function: Callable[[Inputs], _Floats]
    when_undefined: str = (
        "risks are equal for all, or separate those with the event from the others"
    )
    places: frozenset[Place] = frozenset()
    at_a_glance: str = ""
    page: PageEntry | None = None
    gate: IntervalAbove | IntervalReaches | None = None
    gate_when_blanked: bool = False
    worse_by: float | None = None
    of_competing_event: bool = False

    def __post_init__(self) -> None:
        """Refuse what would be computed wrongly or shown nowhere."""
        if self.places - _NOT_BY_SUBGROUP and Place.SUBGROUPS not in self.places:
            raise ValueError(f"{self.name} must be computed in subgroups to be shown there.")
        if Place.MLFLOW_BLANKED in self.places and Place.BLANKED not in self.places:
            raise ValueError(f"{self.name} must be computed with fields blanked to be logged so.")
        if self.gate_when_blanked and (self.gate is None or Place.BLANKED not in self.places):
            raise ValueError(f"{self.name} must have a rule and be computed with fields blanked.")
        if Place.POOLED in self.places and self.scale is Scale.DISTANCE:
            raise ValueError(f"{self.name} must not be pooled: it is above 0 by chance alone.")

    @property
    def reading(self) -> str:
        """How a value is read, in words."""
        return ", ".join(filter(None, (self.direction, self.compared_with)))


def _auroc(data: AtHorizon) -> _Floats:
    """Return the area over pairs of patients whose risks are of one model."""
    if data.fold is None:
        return auroc(data.outcome, data.risk)
    return auroc_within_folds(data.outcome, data.risk, data.fold)


def _integrated_brier(data: OverFollowUp) -> _Floats:
    """Return the integrated Brier score; NaN where the curve has fewer than two days."""
    if len(data.curve_days) < 2:
        return np.full(() if data.counts is None else data.counts.shape[1:], np.nan)
    return integrated_brier(
        data.time_days,
        data.event,
        data.curve_risk,
        data.curve_days,
        counts=data.counts,
        censoring=data.censoring,
    )


def _of_competing_event(data: OverFollowUp) -> _Floats:
    """Return AJ-calibration of the competing event, whose curve is given."""
    assert data.competing_curve is not None  # `evaluate` computes it only then
    return aj_calibration(
        data.time_days,
        data.event,
        data.competing_curve,
        data.curve_days,
        cause=2,
        counts=data.counts,
    )


_OF_SUBGROUPS = frozenset({Place.SUBGROUPS})
_OF_MLFLOW = frozenset({Place.MLFLOW})
_OF_MLFLOW_BLANKED = frozenset({Place.BLANKED, Place.MLFLOW, Place.MLFLOW_BLANKED})
_OF_REPORT = _OF_SUBGROUPS | {Place.SUBGROUPS_OF_REPORT}

AT_HORIZON: tuple[MetricSpec[AtHorizon], ...] = (
    MetricSpec(
        name="auroc",
        label="Area under the ROC curve",
        estimand=(
            "Probability that, of two patients, the one who has the event by the horizon has "
            "the higher risk than the one who does not; with a competing event by then, a "
            "patient counts among those without it."
        ),
        documented_by=auroc,
        direction=Direction.HIGHER,
        compared_with="0.5 is chance",
        scale=Scale.PROPORTION,
        group=Group.DISCRIMINATION,
        function=_auroc,
        places=_OF_REPORT | {Place.SUBGROUPS_OF_CONSOLE, Place.POOLED} | _OF_MLFLOW_BLANKED,
        at_a_glance="Ranking: area under the ROC curve (0.5 chance, 1 perfect)",
        page=PageEntry("Discrimination (AUROC)", "1 is perfect, 0.5 is chance", on_card=True),
        gate=IntervalAbove(0.5),
    ),
    MetricSpec(
        name="auprc",
        label="Area under the precision-recall curve",
        estimand=(
            "Mean precision over the events, as the threshold falls: the share with the event "
            "among the patients at or above it, in patients with this event rate."
        ),
        documented_by=auprc,
        direction=Direction.HIGHER,
        compared_with="the event rate is chance",
        scale=Scale.PROPORTION,
        group=Group.DISCRIMINATION,
        function=lambda data: auprc(data.outcome, data.risk),
        places=_OF_MLFLOW,
    ),
    MetricSpec(
        name="brier",
        label="Brier score",
        estimand="Mean squared distance between the risk and what happened by the horizon.",
        documented_by=brier,
        direction=Direction.LOWER,
        scale=Scale.PROPORTION,
        group=Group.OVERALL,
        function=lambda data: brier(data.outcome, data.risk),
        places=_OF_SUBGROUPS | {Place.BLANKED, Place.MLFLOW},
    ),
    MetricSpec(
        name="ipa",
        label="Scaled Brier score (IPA)",
        estimand=(
            "Share by which the risks reduce the Brier score of one and the same risk for all, "
            "the event rate."
        ),
        documented_by=ipa,
        direction=Direction.HIGHER,
        compared_with="0 is no better than the event rate",
        scale=Scale.REAL,
        group=Group.OVERALL,
        function=lambda data: ipa(data.outcome, data.risk),
        places=_OF_REPORT | {Place.BLANKED, Place.MLFLOW},
        at_a_glance="Overall: scaled Brier score (0 no use, 1 perfect)",
        page=PageEntry("Index of prediction accuracy", "0 is no better than the event rate", 3),
        gate=IntervalAbove(0.0),
    ),
    MetricSpec(
        name="brier_calibration",
        label="Brier score that recalibration would gain (calibration term)",
        estimand=(
            "Part of the Brier score that a logistic recalibration in the same kind of patients "
            "would remove."
        ),
        documented_by=brier_split,
        direction=Direction.ZERO,
        scale=Scale.REAL,
        group=Group.OVERALL,
        function=lambda data: data.brier_split.calibration,
    ),
    MetricSpec(
        name="brier_refinement",
        label="Brier score after recalibration (refinement term)",
        estimand="Brier score of the risks after that recalibration.",
        documented_by=brier_split,
        direction=Direction.LOWER,
        scale=Scale.PROPORTION,
        group=Group.OVERALL,
        function=lambda data: data.brier_split.refinement,
    ),
    MetricSpec(
        name="oe_ratio",
        label="Observed over expected events",
        estimand="Cumulative incidence by the horizon, over the mean risk of the same patients.",
        documented_by=oe_ratio,
        direction=Direction.ONE,
        scale=Scale.RATIO,
        group=Group.CALIBRATION,
        function=lambda data: oe_ratio(data.calibration_outcome, data.risk),
        places=_OF_REPORT | {Place.SUBGROUPS_OF_CONSOLE, Place.POOLED} | _OF_MLFLOW_BLANKED,
        at_a_glance="Level: observed over expected events (1 ideal)",
        page=PageEntry(
            "Observed over expected", "1 is ideal; above 1 the model expects too few", on_card=True
        ),
        gate=IntervalReaches(0.8, 1.25),
        gate_when_blanked=True,
    ),
    MetricSpec(
        name="calibration_intercept",
        label="Calibration intercept",
        estimand=(
            "Log-odds by which the risks are too low (above 0) or too high on the whole, their "
            "spread taken as it is."
        ),
        documented_by=calibration_intercept,
        direction=Direction.ZERO,
        scale=Scale.REAL,
        group=Group.CALIBRATION,
        function=lambda data: calibration_intercept(data.calibration_outcome, data.risk),
        places=_OF_SUBGROUPS,
    ),
    MetricSpec(
        name="calibration_slope",
        label="Calibration slope",
        estimand=(
            "Factor by which differences in log-odds between patients should be stretched: "
            "below 1, risks are too extreme."
        ),
        documented_by=calibration_slope,
        direction=Direction.ONE,
        scale=Scale.REAL,
        group=Group.CALIBRATION,
        function=lambda data: data.calibration_slope,
        places=_OF_REPORT | {Place.POOLED} | _OF_MLFLOW_BLANKED,
        at_a_glance="Spread: calibration slope (1 ideal)",
        page=PageEntry("Calibration slope", "1 is ideal; below 1 risks are too extreme"),
        gate=IntervalReaches(0.7, 1.4),
        gate_when_blanked=True,
    ),
    MetricSpec(
        name="ici",
        label="Mean distance to the calibration curve (ICI)",
        estimand=(
            "Mean distance over the patients between the risk and the observed risk of those "
            "with that risk."
        ),
        documented_by=calibration_error,
        direction=Direction.LOWER,
        scale=Scale.DISTANCE,
        group=Group.CALIBRATION,
        function=lambda data: data.calibration_error.ici,
        places=_OF_MLFLOW,
        page=PageEntry("Distance of risks from what was observed (ICI)", "0 is ideal", 3),
    ),
    MetricSpec(
        name="e50",
        label="Median distance (E50)",
        estimand="Median of that distance over the patients.",
        documented_by=calibration_error,
        direction=Direction.LOWER,
        scale=Scale.DISTANCE,
        group=Group.CALIBRATION,
        function=lambda data: data.calibration_error.e50,
    ),
    MetricSpec(
        name="e90",
        label="90th percentile of the distance (E90)",
        estimand="Distance that a tenth of the patients exceed.",
        documented_by=calibration_error,
        direction=Direction.LOWER,
        scale=Scale.DISTANCE,
        group=Group.CALIBRATION,
        function=lambda data: data.calibration_error.e90,
    ),
    MetricSpec(
        name="net_benefit",
        label="Net benefit at the observed event rate",
        estimand=(
            "Patients with the event who are treated, for each patient, less those treated "
            "without it, each of whom counts as the odds of the threshold; the threshold is the "
            "observed event rate."
        ),
        documented_by=net_benefit,
        direction=Direction.HIGHER,
        compared_with="0 is treating no patient or all of them",
        scale=Scale.REAL,
        group=Group.CLINICAL_USE,
        function=lambda data: net_benefit(data.outcome, data.risk, data.threshold)[0],
        places=_OF_SUBGROUPS | _OF_MLFLOW,
        page=PageEntry(
            "Net benefit at the event rate", "higher is better, 0 is treating no patient", 3
        ),
    ),
)
"""Metrics of each horizon, in the order in which they are printed."""

OVER_FOLLOW_UP: tuple[MetricSpec[OverFollowUp], ...] = (
    MetricSpec(
        name="c_harrell",
        label="Harrell's C",
        estimand=(
            "Probability that, of two patients whose order is known, the one with the earlier "
            "event has the higher score; it depends on the censoring of the cohort."
        ),
        documented_by=harrell_c,
        direction=Direction.HIGHER,
        compared_with="0.5 is chance",
        scale=Scale.PROPORTION,
        group=Group.DISCRIMINATION,
        function=lambda data: harrell_c(
            data.time_days, data.event, data.score, counts=data.counts, fold=data.fold
        ),
        worse_by=0.01,
    ),
    MetricSpec(
        name="c_uno",
        label="Uno's C",
        estimand=(
            "The same probability for events up to a day within follow-up, weighted so that it "
            "does not depend on censoring."
        ),
        documented_by=uno_c,
        direction=Direction.HIGHER,
        compared_with="0.5 is chance",
        scale=Scale.PROPORTION,
        group=Group.DISCRIMINATION,
        function=lambda data: uno_c(
            data.time_days,
            data.event,
            data.score,
            up_to_days=data.last_day,
            counts=data.counts,
            censoring=data.censoring,
            fold=data.fold,
        ),
        page=PageEntry(
            "Discrimination over time (Uno's C)", "1 is a perfect ranking, 0.5 is chance"
        ),
    ),
    MetricSpec(
        name="ibs",
        label="Integrated Brier score",
        estimand="Brier score averaged over the days of follow-up.",
        documented_by=integrated_brier,
        direction=Direction.LOWER,
        scale=Scale.PROPORTION,
        group=Group.OVERALL,
        function=_integrated_brier,
        when_undefined="needs a curve of at least two days within follow-up",
        worse_by=0.002,
    ),
    MetricSpec(
        name="d_calibration",
        label="Patients in the wrong tenth of their predicted curve (D-calibration)",
        estimand=(
            "Share of patients who would have to move to another tenth of their own predicted "
            "curve for events to fall evenly over the tenths."
        ),
        documented_by=d_calibration,
        direction=Direction.LOWER,
        scale=Scale.DISTANCE,
        group=Group.CALIBRATION,
        function=lambda data: d_calibration(
            data.time_days,
            data.event,
            data.curve_risk,
            data.curve_days,
            competing_curve=data.competing_curve,
            counts=data.counts,
        ),
        when_undefined=(
            "needs a curve of at least two days within follow-up, and that of the competing event "
            "where one occurred"
        ),
    ),
    MetricSpec(
        name="aj_calibration",
        label="Distance of the mean predicted curve from the observed one (AJ-calibration)",
        estimand=(
            "Mean distance over follow-up between the mean predicted curve and the cumulative "
            "incidence observed."
        ),
        documented_by=aj_calibration,
        direction=Direction.LOWER,
        scale=Scale.DISTANCE,
        group=Group.CALIBRATION,
        function=lambda data: aj_calibration(
            data.time_days, data.event, data.curve_risk, data.curve_days, counts=data.counts
        ),
        when_undefined="needs a curve within follow-up",
    ),
    MetricSpec(
        name="aj_calibration_competing",
        label="The same distance for the competing event (AJ-calibration)",
        estimand="The same distance for the curve of the competing event.",
        documented_by=aj_calibration,
        direction=Direction.LOWER,
        scale=Scale.DISTANCE,
        group=Group.CALIBRATION,
        function=_of_competing_event,
        when_undefined="needs a curve within follow-up",
        of_competing_event=True,
    ),
)
"""Metrics of the whole follow-up, in the order in which they are printed."""


AnyMetricSpec = MetricSpec[AtHorizon] | MetricSpec[OverFollowUp]


def _by_name() -> dict[str, AnyMetricSpec]:
    """Return the metrics by name, after the checks that span several of them."""
    specs: list[AnyMetricSpec] = [*AT_HORIZON, *OVER_FOLLOW_UP]
    by_name = {spec.name: spec for spec in specs}
    if len(by_name) < len(specs):
        raise ValueError("metrics must have distinct names; two are equal.")
    for spec in OVER_FOLLOW_UP:
        if spec.places or spec.at_a_glance:
            raise ValueError(f"{spec.name} must have a horizon to be shown in tables by horizon.")
    for at_horizon in AT_HORIZON:
        if at_horizon.worse_by is not None:
            raise ValueError(
                f"{at_horizon.name} must cover the whole follow-up to be compared with a champion."
            )
    return by_name


METRICS: Mapping[str, AnyMetricSpec] = _by_name()
"""Name -> metric."""


def by_group(specs: Iterable[MetricSpec[AtHorizon]]) -> tuple[MetricSpec[AtHorizon], ...]:
    """Return metrics in the order of the report: by group, then as in the catalogue."""
    order = list(Group)
    return tuple(sorted(specs, key=lambda spec: order.index(spec.group)))


def shown_in(place: Place) -> tuple[MetricSpec[AtHorizon], ...]:
    """Return the metrics that are shown in a place, in the order of the report."""
    return by_group(spec for spec in AT_HORIZON if place in spec.places)
