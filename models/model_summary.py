"""The summary of a model, one template for report, model card, MLflow's pages and the facts page.

It is written from the contract alone, so that all of them say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_schema.disclosure import shown_count
from models.inference.contract import Contract, Evaluation, HeldOutGroup
from models.metrics.catalogue import AT_HORIZON, by_group
from models.metrics.metric import (
    Metric,
    held_out_metrics,
    held_out_metrics_when_blanked,
    metric_at,
    metrics_of,
    primary_horizon,
)
from models.panel_verdict import PanelVerdict
from models.registry.gate_criteria import judge_figures, judge_groups
from models.wording import NOTICE, performance_basis

__all__ = [
    "ModelSummary",
    "SummaryTable",
    "Topic",
    "clinical_use",
    "estimate_text",
    "gate_sentence",
    "model_summary",
]

_CAUTIONS = 3
_GROUPING_LABELS = {"sex": "Sex", "age": "Age, years", "race": "Race as recorded"}
_GROUPED_BY = tuple(_GROUPING_LABELS)
_IN_GROUPS = ("auroc", "oe_ratio")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the summary: a heading of one or two words, and its sentences."""

    heading: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SummaryTable:
    """A table of texts; the first cell of a row names it, and a row of one cell is a heading."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What a reader must know of a model, on one page.

    `horizon_days` is the horizon of the sentences, that of the calibration picture and the groups.
    """

    title: str
    horizon_days: float
    topics: tuple[Topic, ...]
    performance: SummaryTable
    groups: SummaryTable
    cautions: tuple[str, ...]


def model_summary(contract: Contract) -> ModelSummary:
    """Return the summary of a model from its contract.

    Raises
    ------
    ValueError
        If the model was not evaluated.
    """
    evaluation = contract.evaluation
    if evaluation is None:
        raise ValueError(f"{contract.name} must have been evaluated to be summarised.")
    metrics = held_out_metrics(contract)
    days = primary_horizon(contract.default_horizons_days, metrics)
    topics = (
        Topic("Patients", tuple(_patients(contract, evaluation))),
        Topic("Ranking", (_ranking(contract, metrics, days),)),
        Topic("Risks", tuple(_calibration(contract, metrics, days))),
        Topic("Panel", tuple(_panel(contract))),
        Topic("Gate", (gate_sentence(contract),)),
        Topic("Use", (clinical_use(contract), NOTICE)),
    )
    return ModelSummary(
        title=f"{contract.outcome_label}, from {contract.time_zero}",
        horizon_days=days,
        topics=tuple(topic for topic in topics if topic.sentences),
        performance=_performance(metrics),
        groups=_groups(evaluation.groups, days),
        cautions=tuple(_cautions(contract, evaluation, metrics, days))[:_CAUTIONS],
    )


def estimate_text(metric: Metric | None) -> str:
    """Return an estimate with its interval, or why there is none.

    Examples
    --------
    >>> estimate_text(Metric("auroc", 28.0, 0.8123, 0.75, 0.86))
    '0.812 (0.750 to 0.860)'
    """
    if metric is None:
        return ""
    if not metric.is_defined:
        return f"not estimated: {metric.note}"
    if not metric.has_interval:
        return f"{_number(metric.estimate)} (no interval: {metric.note})"
    return f"{_number(metric.estimate)} ({_number(metric.low)} to {_number(metric.high)})"


def gate_sentence(contract: Contract) -> str:
    """Return what the gate says of the figures of the training run."""
    figures = (*held_out_metrics(contract), *held_out_metrics_when_blanked(contract))
    reasons = [one.reason for one in judge_figures(figures) if not one.criterion.is_met]
    reasons += [one.reason for one in judge_groups(contract) if not one.criterion.is_met]
    if not reasons:
        return (
            "These figures meet the gate's criteria for ranking, calibration and groups. Whether "
            "the model is promoted is for its users to decide."
        )
    return "These figures do not pass the gate: " + "; ".join(r.rstrip(".") for r in reasons) + "."


def clinical_use(contract: Contract) -> str:
    """Return the decision that a risk is to inform, or that no clinical use is defined."""
    study = contract.study
    if not (study.decision and study.user and study.threshold and study.action):
        return (
            "No clinical use is defined: decision, user, threshold and action are not all stated."
        )
    parts = {
        "Decision": study.decision,
        "User": study.user,
        "Threshold": study.threshold,
        "Action": study.action,
    }
    return " ".join(f"{label}: {text.rstrip('.')}." for label, text in parts.items())


def _patients(contract: Contract, evaluation: Evaluation) -> Iterator[str]:
    training, study = contract.training, contract.study
    yield f"{contract.population.rstrip('.')}. Time zero: {contract.time_zero}."
    if study.dates:
        yield f"{study.dates.rstrip('.')}."
    yield (
        f"Learned from {shown_count(training.patients)} patients with "
        f"{shown_count(training.events)} {contract.event_label}. "
        f"{performance_basis(evaluation, training)}"
    )
    if evaluation.refused:
        yield (
            f"Of the {shown_count(evaluation.stays)} stays judged, the model gives no risk for "
            f"{shown_count(evaluation.refused)}; the figures count them all the same."
        )


def _ranking(contract: Contract, metrics: Sequence[Metric], days: float) -> str:
    area = metric_at(metrics, "auroc", days)
    if area is None or not area.is_defined:
        return "Whether patients with the event get higher risks than the others is not known."
    pairs = f"{100 * area.estimate:.0f}"
    return (
        f"Area under the ROC curve for {contract.event_singular} by {days:g} days: "
        f"{estimate_text(area)}. Of two patients, one with and one without the event by then, the "
        f"first has the higher risk in {pairs} of 100 pairs (50 is chance)."
    )


def _calibration(contract: Contract, metrics: Sequence[Metric], days: float) -> Iterator[str]:
    ratio = metric_at(metrics, "oe_ratio", days)
    slope = metric_at(metrics, "calibration_slope", days)
    if ratio is not None and ratio.is_defined:
        yield (
            f"Observed over expected {contract.event_label} at {days:g} days: "
            f"{estimate_text(ratio)}; {_level(ratio)}."
        )
    if slope is not None and slope.is_defined:
        yield f"Calibration slope: {estimate_text(slope)}; {_spread(slope)}."


def _level(ratio: Metric) -> str:
    """Return how expected events compare with observed ones."""
    if not ratio.has_interval or ratio.low <= 1 <= ratio.high:
        return "risks are right on average, as far as these patients can tell"
    return "risks are too low on average" if ratio.low > 1 else "risks are too high on average"


def _spread(slope: Metric) -> str:
    """Return how the spread of the risks compares with that of the observed ones."""
    if not slope.has_interval or slope.low <= 1 <= slope.high:
        return "risks are spread as they should be, as far as these patients can tell"
    if slope.high < 1:
        return "risks are too extreme: high ones too high, low ones too low"
    return "risks are too timid: high ones too low, low ones too high"


def _panel(contract: Contract) -> Iterator[str]:
    verdict = PanelVerdict.of(contract)
    if verdict is None:
        yield "What a panel of markers adds was not estimated."
        return
    yield verdict.sentence
    if verdict.truth_sentence:
        yield verdict.truth_sentence


def _performance(metrics: Sequence[Metric]) -> SummaryTable:
    horizons = list(dict.fromkeys(m.horizon_days for m in metrics if m.horizon_days is not None))
    rows = tuple(
        (
            spec.at_a_glance,
            *(estimate_text(metric_at(metrics, spec.name, days)) for days in horizons),
        )
        for spec in by_group(spec for spec in AT_HORIZON if spec.at_a_glance)
    )
    return SummaryTable(
        "Main performance metrics, with 95 % intervals",
        ("", *(f"{days:g} days" for days in horizons)),
        rows,
    )


def _groups(groups: Sequence[HeldOutGroup], days: float) -> SummaryTable:
    rows: list[tuple[str, ...]] = []
    for grouping in _GROUPED_BY:
        members = [group for group in groups if group.grouping == grouping]
        rows += [(_GROUPING_LABELS[grouping],)] if members else []
        for group in members:
            metrics = metrics_of(group.metrics)
            found = [metric_at(metrics, name, days) for name in _IN_GROUPS]
            rows.append(
                (
                    group.level.replace("_", " "),
                    *(shown_count(count) for count in (group.stays, group.events)),
                    *(estimate_text(m) if m and m.is_defined else "too few" for m in found),
                )
            )
    return SummaryTable(
        f"By sex, age and race as far as recorded, at {days:g} days, with 95 % intervals",
        (
            "",
            "stays",
            "events, whole follow-up",
            "area under the ROC curve",
            "observed over expected",
        ),
        tuple(rows),
    )


def _cautions(
    contract: Contract, evaluation: Evaluation, metrics: Sequence[Metric], days: float
) -> Iterator[str]:
    """Yield cautions, the one that matters most to a patient first."""
    if contract.simulated:
        yield "Simulated patients: no risk of this model applies to a real patient."
    if contract.is_death and not contract.simulated:
        yield (
            "A death may follow a decision to limit treatment, which the model then foretells: a "
            "high risk is no ground for such a decision."
        )
    yield from _unlike_the_whole(contract, evaluation, days)
    slope = metric_at(metrics, "calibration_slope", days)
    if slope is not None and slope.has_interval and not slope.low <= 1 <= slope.high:
        yield f"At {days:g} days {_spread(slope)}; calibration slope {estimate_text(slope)}."
    if contract.training.patients < evaluation.patients_needed:
        yield (
            f"So many predictors call for {evaluation.patients_needed:,} patients; there were "
            f"{shown_count(contract.training.patients)}. Risks may be too extreme."
        )
    yield {
        "patient": "Judged in patients of the same source only: expect worse performance in other "
        "places and later years, and evaluate before use.",
        "site": "Judged at other sites of the same source: evaluate before use elsewhere.",
        "time": "Judged in later patients of the same source: evaluate before use elsewhere.",
    }[evaluation.split]
    if evaluation.events < 100:
        yield (
            f"Judged on {shown_count(evaluation.events)} {contract.event_label}: fewer than 100 "
            "leave calibration uncertain."
        )
    yield "Values that are missing in practice cost precision; see the figures with empty fields."


def _unlike_the_whole(contract: Contract, evaluation: Evaluation, days: float) -> Iterator[str]:
    """Yield the sex, age or race whose risks are off, if any is; the worst one."""
    off: list[tuple[float, str]] = []
    for group in evaluation.groups:
        ratio = metric_at(metrics_of(group.metrics), "oe_ratio", days)
        if group.grouping not in _GROUPED_BY or ratio is None or not ratio.has_interval:
            continue
        if not ratio.low <= 1 <= ratio.high:
            which = f"{_GROUPING_LABELS[group.grouping].lower()}: {group.level.replace('_', ' ')}"
            size = max(ratio.estimate, 1 / max(ratio.estimate, 1e-9))
            off.append(
                (
                    size,
                    f"Risks are {'too low' if ratio.low > 1 else 'too high'} in one group ({which};"
                    f" observed over expected {estimate_text(ratio)}); of many groups, one may be "
                    "off by chance.",
                )
            )
    if off:
        yield max(off)[1]


def _number(value: float) -> str:
    return f"{value:z.3f}".replace("-", "\N{MINUS SIGN}")
