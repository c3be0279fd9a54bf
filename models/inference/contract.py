"""The contract of a bundle: what a model is, reads and refuses, and how well it performed.

Part of every bundle's `model.py`: it imports only the standard library, and `records`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

from models.inference.records import LEFT_OUT, json_of, record_of

__all__ = [
    "BUNDLE_FORMAT",
    "Contract",
    "CurveChoices",
    "Description",
    "Evaluation",
    "EvaluationMethod",
    "EventNames",
    "Feature",
    "FollowUp",
    "Group",
    "Guard",
    "HeldOutGroup",
    "HeldOutMetric",
    "IntervalFacts",
    "JointColumn",
    "JointDistribution",
    "LogLosses",
    "ModelUpdate",
    "MovedRisks",
    "Novelty",
    "NoveltyLimits",
    "PanelFacts",
    "PanelVerdict",
    "Provenance",
    "SpecialCase",
    "StudyFacts",
    "TrainingFacts",
    "UpdateMethod",
    "VariableInGroup",
    "VariableInGroups",
]

BUNDLE_FORMAT = 5
"""The format of a bundle. Models of earlier formats were wrong where a value was missing.

What a bundle may lack (`panel` of the contract, the files of the refit without the panel) does not
change the format: without it nothing is shown of it."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A column that a frame must have.

    Attributes
    ----------
    name, variable : str
        The column, and the variable that it is a feature of.
    label, pathway : str
        Of the variable.
    kind : {"number", "flag", "category"}
    unit : str
        UCUM code; empty without a unit.
    low, high : float or None
        Plausible range; None where there is no limit.
    categories : tuple of str
        Levels that were learned, ascending.
    direction : int
        1 or -1 where the direction of risk is settled, else 0.
    seen : tuple of float or None
        The range of nearly all training patients; None where nothing was measured.
    """

    name: str
    variable: str
    label: str
    pathway: str
    kind: Literal["number", "flag", "category"]
    unit: str
    low: float | None
    high: float | None
    categories: tuple[str, ...]
    direction: int
    seen: tuple[float, float] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True)
class IntervalFacts:
    """How the interval of a risk is computed, and what it promises.

    Attributes
    ----------
    t : float
        Standard errors from the estimate to an end.
    kind, guarantee : str
        In words.
    squared_bias, center, spread : tuple of float
        At each day of the grid, as `curves.IntervalWidth` reads them.
    available : bool
        Whether there are fold models to compute an interval from.
    """

    level: float
    t: float
    kind: str
    guarantee: str
    squared_bias: tuple[float, ...]
    center: tuple[float, ...]
    spread: tuple[float, ...]
    available: bool


@dataclass(frozen=True, slots=True)
class LogLosses:
    """Out-of-fold log-loss of each part of a model; lower is better."""

    linear: float
    boosted: float
    mixture: float
    recalibrated: float


@dataclass(frozen=True, slots=True)
class CurveChoices:
    """What was chosen on out-of-fold predictions for the competing event's curve."""

    linear_weight: float
    trees: int
    out_of_fold_log_loss: LogLosses
    recalibration_slope: float


@dataclass(frozen=True, slots=True)
class FollowUp:
    """How censoring was weighed, and which share of patients each default horizon extrapolates."""

    strata: int
    smallest_probability_uncensored: float
    not_observed_so_long: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MovedRisks:
    """The share of patients whose risk the running maximum raises, and by how much at most."""

    share: float
    largest_points: float


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """The patients the model learned from, and what was chosen out of fold."""

    patients: int
    stays: int
    events: int
    competing_events: int
    linear_weight: float
    trees: int
    out_of_fold_log_loss: LogLosses
    recalibration_slope: float
    follow_up: FollowUp
    seed: int
    moved_by_running_maximum: MovedRisks = MovedRisks(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class JointColumn:
    """One column of the joint distribution: quantiles and their normal scores.

    Attributes
    ----------
    feature : str
    level : str or None
        Of a category; None where the feature is a number or a flag.
    scores, values : tuple of float
        Quantiles of the column, as normal scores and in its own unit.
    mean, spread : float
        Of the training patients' normal scores.
    below : float or None
        Score up to which a value lies below its limit; None if hardly any value does.
    """

    feature: str
    level: str | None
    scores: tuple[float, ...]
    values: tuple[float, ...]
    mean: float
    spread: float
    below: float | None


@dataclass(frozen=True, slots=True)
class JointDistribution:
    """A Gaussian copula of the columns; `correlation` is row by row below the diagonal."""

    columns: tuple[JointColumn, ...] = ()
    correlation: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SpecialCase:
    """A warning given when any of the conditions (column, lowest, highest) holds.

    If it names variables, it is given only where the model reads one of them, and names those.
    """

    code: str
    message: str
    when: tuple[tuple[str, float, float], ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoveltyLimits:
    """Limits of `novelty_scores.deviations`, of the furthest value and of all values together.

    `together` is None where too few patients have several values.
    """

    single: float
    together: float | None


@dataclass(frozen=True, slots=True)
class Novelty:
    """How `novelty_scores.deviations` recognises a patient unlike the training cohort.

    Attributes
    ----------
    columns : tuple of int
        Of the raw matrix; empty where no column has enough values.
    logarithmic : tuple of bool
        Whether a column is compared on the scale of its logarithm.
    normal_scores : tuple of float
        Of the quantiles.
    quantiles, correlation : tuple of tuple of float
        One entry per column; quantiles in the column's own unit.
    measured : tuple of float
        Numbers of measured columns, ascending.
    middle, upper : tuple of float
        Median and upper quantile of the deviation of all values together, among patients with so
        many measured columns.
    refuse_beyond, warn_beyond : NoveltyLimits or None
        None without columns.
    """

    columns: tuple[int, ...] = ()
    logarithmic: tuple[bool, ...] = ()
    normal_scores: tuple[float, ...] = ()
    quantiles: tuple[tuple[float, ...], ...] = ()
    correlation: tuple[tuple[float, ...], ...] = ()
    measured: tuple[float, ...] = ()
    middle: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    refuse_beyond: NoveltyLimits | None = None
    warn_beyond: NoveltyLimits | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """What decides which patients are refused, and which warnings are given with a risk.

    Attributes
    ----------
    information : mapping of str to float
        Each variable's share of what the model uses.
    least_settled : float
        Settled share below which too little is entered for a number
        (`completeness.refused_below`).
    """

    information: Mapping[str, float]
    least_settled: float = 0.3
    special: tuple[SpecialCase, ...] = ()
    novelty: Novelty = Novelty()


class Group(TypedDict):
    """The patients of a column of a table; `stays` is None where the count must stay hidden."""

    label: str
    stays: int | None


class VariableInGroup(TypedDict):
    """One variable in one group; None where a figure would rest on too few patients.

    `levels` are stays by level, those without a value last; quartiles, mean and deviation describe
    the recorded numbers. `not_done` is how many of the last are recorded as not done, where the
    cohort states that; the rest of them are not entered.
    """

    levels: list[int | None]
    quartiles: list[float] | None
    mean: float | None
    deviation: float | None
    not_done: NotRequired[int | None]


class VariableInGroups(TypedDict):
    """One variable in every group, with its name, unit and levels."""

    name: str
    label: str
    unit: str
    pathway: str
    kind: str
    levels: list[str]
    groups: list[VariableInGroup]


class Description(TypedDict):
    """A cohort by group, as JSON: the whole cohort first, then its groups."""

    groups: list[Group]
    variables: list[VariableInGroups]


@dataclass(frozen=True, slots=True)
class HeldOutMetric:
    """One metric of patients not learned from; None, with a `note` of why, where undefined.

    `horizon_days` is None for a metric of the whole follow-up, `blank_share` the share of the
    patients' fields that were left empty at random before they were predicted.
    """

    metric: str
    horizon_days: float | None
    estimate: float | None
    low: float | None
    high: float | None
    note: str = field(default="", metadata=LEFT_OUT)
    blank_share: float = field(default=0.0, metadata=LEFT_OUT)


@dataclass(frozen=True, slots=True)
class HeldOutGroup:
    """Patients of one sex, age or race: metrics of those not learned from, at one horizon.

    `stays` and `events` are None where the count would describe few patients; there are no metrics
    where the group is too small to be judged.
    """

    grouping: str
    level: str
    stays: int | None
    events: int | None
    metrics: tuple[HeldOutMetric, ...]


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What a run cannot know of its study, in the words of its authors; "" where not stated.

    Attributes
    ----------
    context, inequalities : str
        The clinical problem with existing models, and known health inequalities in it.
    data_source, dates, setting, eligibility, treatments : str
        Where the data come from and why they are suitable; dates of accrual and of the end of
        follow-up; number, kind and place of the centres; who was included; treatments received.
    outcome_assessment, predictor_assessment : str
        How and by whom outcome and predictors were ascertained, and whether blinded.
    treatment_limitation : str
        How limitations of treatment were handled and recorded.
    decision, user, threshold, action : str
        The decision that a risk is to inform, who takes it, at which risk, and what is then done.
    ethics, funding, conflicts, protocol, registration, data_access, code_access, involvement : str
        Approval and consent; who paid; interests; where the protocol and the registration are; how
        data and code can be had; how patients and the public took part.
    interpretation : str
        What the results mean beside other evidence.
    """

    context: str = ""
    inequalities: str = ""
    data_source: str = ""
    dates: str = ""
    setting: str = ""
    eligibility: str = ""
    treatments: str = ""
    outcome_assessment: str = ""
    predictor_assessment: str = ""
    treatment_limitation: str = ""
    decision: str = ""
    user: str = ""
    threshold: str = ""
    action: str = ""
    ethics: str = ""
    funding: str = ""
    conflicts: str = ""
    protocol: str = ""
    registration: str = ""
    data_access: str = ""
    code_access: str = ""
    involvement: str = ""
    interpretation: str = ""


EvaluationMethod = Literal["cross-validation", "hold-out"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How the training run judged its procedure, on which patients, and with which metrics.

    Attributes
    ----------
    split : {"patient", "site", "time"}
        What divides the patients who are judged from those learned from.
    stays, patients, events, refused : int
        Of all patients judged, refused or not.
    bootstrap_resamples : int
    cohort_fingerprint : str
        Of the patients judged.
    metrics : tuple of HeldOutMetric
        Of fits that had not learned from the patients judged.
    blanked : tuple of HeldOutMetric
        Some of them again, with some of the fields of the same patients left empty.
    method : {"cross-validation", "hold-out"}
    folds, repeats : int
        Of the cross-validation; 1 for a hold-out.
    refitted : bool
        Whether the registered model learned from all patients, those judged included: the metrics
        are then of the procedure that fitted it. If not, they are of the registered model itself.
    partition : str
        SHA-256 of patients, outcome and splits; figures of the same partition can be compared.
    groups : tuple of HeldOutGroup
        By sex, age and race, as far as recorded.
    patients_needed : int
        Smallest number of patients for so many predictors, at the horizon that needs most; 0 where
        it was not calculated.
    of_update : bool
        Whether what was judged is the update of a model to these patients, each by an update fitted
        to the others.
    """

    split: str
    stays: int
    patients: int
    events: int
    refused: int
    bootstrap_resamples: int
    cohort_fingerprint: str
    metrics: tuple[HeldOutMetric, ...]
    method: EvaluationMethod = "hold-out"
    folds: int = 1
    repeats: int = 1
    refitted: bool = False
    partition: str = ""
    of_update: bool = field(default=False, metadata=LEFT_OUT)
    blanked: tuple[HeldOutMetric, ...] = field(default=(), metadata=LEFT_OUT)
    groups: tuple[HeldOutGroup, ...] = field(default=(), metadata=LEFT_OUT)
    patients_needed: int = field(default=0, metadata=LEFT_OUT)


UpdateMethod = Literal["intercept", "slope", "site", "refit"]


@dataclass(frozen=True, slots=True)
class ModelUpdate:
    """One update of a registered model to local patients; it holds no row of theirs.

    Attributes
    ----------
    method : {"intercept", "slope", "site", "refit"}
        Whether the level, level and spread, or the level of each site was fitted, or the whole
        model anew to the patients of the version before and these together.
    of_version : str
        The version that was updated; empty if it had none.
    of_sha256 : str
        Hash of its bundle.
    patients, stays, events : int
        That the update learned from.
    horizons_days, shift : tuple of float
        Log-odds added at each horizon; empty for a refit.
    slope : float
        By which log-odds are multiplied; 1 where it was not fitted.
    simulated : bool
        Whether these patients were simulated.
    cohort_fingerprint : str
        Of these patients.
    at : str
        RFC 3339 time.
    """

    method: UpdateMethod
    of_version: str
    of_sha256: str
    patients: int
    stays: int
    events: int
    horizons_days: tuple[float, ...]
    shift: tuple[float, ...]
    slope: float
    simulated: bool
    cohort_fingerprint: str
    at: str


PanelVerdict = Literal[
    "adds", "adds some, size uncertain", "adds no more than 0.01", "inconclusive"
]
"""What a panel of markers adds: all but the second and the last are certain."""


@dataclass(frozen=True, slots=True)
class PanelFacts:
    """What a panel of markers adds over the other variables, judged out of fold.

    Attributes
    ----------
    label : str
        The parts of the panel in words.
    variables : tuple of str
        Base names of the panel's markers.
    verdict : PanelVerdict
    horizon_days : float
        Horizon of the verdict.
    change : float
        Of the area under the ROC curve, from the model without to the model with the panel.
    low, high : float or None
        Ends of its 95 % interval; None without one.
    """

    label: str
    variables: tuple[str, ...]
    verdict: PanelVerdict
    horizon_days: float
    change: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Provenance:
    """The code and the patients that the model was made from."""

    git_revision: str | None
    versions: Mapping[str, str]
    data_fingerprint: str
    training_fingerprint: str


@dataclass(frozen=True, slots=True)
class EventNames:
    """The words for an event: "9 fractures", "1 fracture", "about 9 would fracture".

    `verb` is empty where the event has none. `competing_verb` is that of the competing event, as in
    "29 die first".
    """

    plural: str
    singular: str
    verb: str = ""
    competing_verb: str = "die"


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model is; a fit sets everything up to `joint`, a training run the rest.

    Attributes
    ----------
    competing : str or None
        The event that competes, if any.
    competing_curve : CurveChoices or None
        None where the competing event has no curve of its own.
    default_horizons_days, min_horizon_days, max_horizon_days, grid_days
        Days from time zero: horizons by default, their range, and the grid of the curve.
    fixed_horizon : bool
        Whether the outcome is known at one horizon only.
    example : mapping of str to float, str or None
        A made-up patient of middle values.
    cohort_risk, log_odds_variance : tuple of float
        Mean risk of the training cohort, and the variance that its log-odds would have with every
        value entered, at each day of the grid.
    name, outcome_label : str
        Registered name; the outcome as a clinician reads it. Empty until a run sets them.
    event_label, event_singular, event_verb : str
        The event in the plural, in the singular, and as a verb; see `EventNames`.
    competing_verb : str
        The competing event as a verb.
    is_death : bool
        Whether the event is death, which needs no interpretation.
    time_zero, population : str
        From when days are counted, and which patients the model learned from, in words.
    population_described : bool
        Whether `population` was stated for this cohort.
    simulated : bool
        Whether the patients were simulated.
    asked_within_days : float
        How long after time zero the model may be asked. A later request is refused as stale: the
        estimate knows nothing of the days since.
    missingness : {"ignorable", "informative"}
        Whether the model learned from flags that a variable is recorded as not done. Only batches
        from the feed it was trained on state these; elsewhere what has no value is not entered.
    dropped : mapping of str to str
        Columns that are no predictors, and why.
    described : Description or None
        Of the training patients.
    study : StudyFacts
        What the authors state of the study.
    run : mapping
        The settings of the run.
    added_value : JSON value or None
        What a panel added, as the run printed it.
    updates : tuple of ModelUpdate
        Updates to local patients since the model was fitted, the earliest first. `cohort_risk` is
        the mean risk of the patients of the last.
    panel : PanelFacts or None
        The same in the figures that are shown beside a risk.
    """

    bundle_format: int
    outcome: str
    competing: str | None
    competing_curve: CurveChoices | None
    default_horizons_days: tuple[float, ...]
    min_horizon_days: float
    max_horizon_days: float
    grid_days: tuple[float, ...]
    fixed_horizon: bool
    features: tuple[Feature, ...]
    interval: IntervalFacts
    training: TrainingFacts
    example: Mapping[str, float | str | None]
    cohort_risk: tuple[float, ...]
    log_odds_variance: tuple[float, ...]
    guard: Guard
    joint: JointDistribution = JointDistribution()
    name: str = ""
    outcome_label: str = ""
    event_label: str = ""
    event_singular: str = ""
    event_verb: str = ""
    competing_verb: str = "die"
    is_death: bool = False
    time_zero: str = ""
    population: str = ""
    population_described: bool = False
    simulated: bool = False
    asked_within_days: float = 90.0
    missingness: Literal["ignorable", "informative"] = "ignorable"
    dropped: Mapping[str, str] = field(default_factory=dict)
    described: Description | None = None
    run: Mapping[str, object] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    added_value: object = None
    provenance: Provenance | None = None
    study: StudyFacts = field(default=StudyFacts(), metadata=LEFT_OUT)
    updates: tuple[ModelUpdate, ...] = field(default=(), metadata=LEFT_OUT)
    panel: PanelFacts | None = field(default=None, metadata=LEFT_OUT)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Contract":
        """Return the contract that a bundle's `contract.json` holds.

        Raises
        ------
        ValueError
            If it is of another format.
        KeyError
            If an entry is missing.
        """
        if content.get("bundle_format") != BUNDLE_FORMAT:
            raise ValueError(
                f"bundle_format must be {BUNDLE_FORMAT}. Train the model again: models of earlier "
                "versions were wrong by up to a factor of two where a value was missing."
            )
        if content.get("population") and "simulated" not in content:
            # Its default would pass a description of unknown origin off as one of real patients.
            raise KeyError("Contract must have simulated beside population.")
        return record_of(cls, content)

    @property
    def learned_from(self) -> frozenset[str]:
        """Fingerprints of the cohorts that the model or an update of it learned from."""
        trained = self.provenance
        own = () if trained is None else (trained.data_fingerprint, trained.training_fingerprint)
        return frozenset((*own, *(update.cohort_fingerprint for update in self.updates)))

    @property
    def event(self) -> EventNames:
        """The words for the event."""
        return EventNames(
            self.event_label, self.event_singular, self.event_verb, self.competing_verb
        )

    def as_json(self) -> dict[str, object]:
        """Return what `contract.json` holds."""
        content: dict[str, object] = json_of(self)
        return content
