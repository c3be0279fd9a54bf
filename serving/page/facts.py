"""The facts about a model: its patients, its performance, its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data_schema.disclosure import SMALLEST_CELL
from models.inference.contract import Contract, UpdateMethod
from models.metrics.catalogue import METRICS
from models.metrics.metric import Metric, held_out_metrics
from models.model_summary import ModelSummary, model_summary
from models.wording import performance_basis
from serving.prediction.served import ServedModel

__all__ = [
    "Figure",
    "ValidationRow",
    "basis",
    "cohort_rows",
    "figures",
    "limits",
    "summary",
    "updates",
    "validations",
]

_METHODS: Mapping[UpdateMethod, str] = {
    "intercept": "level of the risks",
    "slope": "level and spread of the risks",
    "site": "level of the risks, by site",
    "refit": "fitted anew to the earlier patients and these together",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of performance, formatted; `on_card` if a CDS card shows it."""

    label: str
    horizon: str
    estimate: str
    reading: str
    on_card: bool


@dataclass(frozen=True, slots=True)
class ValidationRow:
    """One validation elsewhere, formatted."""

    site: str
    date: str
    kind: str
    patients: str
    figures: tuple[str, ...]


def figures(contract: Contract) -> tuple[Figure, ...]:
    """Return the performance in patients not learned from, with intervals."""
    return tuple(
        Figure(
            label=page.label,
            horizon="all" if metric.horizon_days is None else f"{metric.horizon_days:g} days",
            estimate=_estimate(metric, page.digits),
            reading=page.reading,
            on_card=page.on_card,
        )
        for metric in held_out_metrics(contract)
        if metric.metric in METRICS and (page := METRICS[metric.metric].page) is not None
    )


def summary(contract: Contract) -> ModelSummary | None:
    """Return the summary that report, model card and MLflow show, too; None without figures."""
    return None if contract.evaluation is None else model_summary(contract)


def basis(contract: Contract) -> str:
    """Return what the figures are of; "" without any."""
    evaluation = contract.evaluation
    return "" if evaluation is None else performance_basis(evaluation, contract.training)


def cohort_rows(contract: Contract) -> tuple[tuple[str, str, str], ...]:
    """Return what is counted, with its number in training and in evaluation."""
    training, evaluation = contract.training, contract.evaluation
    rows = (
        ("patients", training.patients, evaluation.patients if evaluation else None),
        ("stays", training.stays, evaluation.stays if evaluation else None),
        (contract.event_label, training.events, evaluation.events if evaluation else None),
    )
    return tuple((what, _count(learned), _count(judged)) for what, learned, judged in rows)


def limits(model: ServedModel) -> tuple[str, ...]:
    """Return the model's limits in sentences."""
    interval = model.contract.interval
    return (
        "It refuses patients under 18, pregnancy, values outside the plausible range, patients "
        "with too few measurements and combinations unlike any in the training data.",
        f"The {100 * interval.level:g} % interval is a {interval.kind}. {interval.guarantee}",
        *(
            ()
            if model.loaded.validations
            else ("It has been validated on the patients above only.",)
        ),
        "What raised or lowered the estimate describes the model, not what would change the "
        "outcome. A treatment characterises the patient; its share is not the drug's effect.",
    )


def validations(model: ServedModel) -> tuple[ValidationRow, ...]:
    """Return the validations elsewhere that the registry lists with this version."""
    return tuple(
        ValidationRow(
            validation.site or "not named",
            validation.at[:10],
            "simulated" if validation.simulated else "real",
            _count(validation.patients),
            tuple(
                f"{page.label} at {metric.horizon_days:g} days: {_estimate(metric, page.digits)}"
                for metric in validation.metrics
                if metric.metric in METRICS and (page := METRICS[metric.metric].page) is not None
            ),
        )
        for validation in model.loaded.validations
    )


def updates(contract: Contract) -> tuple[str, ...]:
    """Return how the model was updated to local patients since it was fitted, in sentences."""
    return tuple(
        f"Updated on {update.at[:10]} to {_count(update.patients)} local patients with "
        f"{_count(update.events)} {contract.event_label} ({_METHODS[update.method]}). It was "
        f"version {update.of_version} before."
        for update in contract.updates
    )


def _estimate(metric: Metric, digits: int) -> str:
    if not metric.is_defined:
        return "not defined"
    estimate = f"{metric.estimate:.{digits}f}"
    if not metric.has_interval:
        return f"{estimate} (no interval)"
    return f"{estimate} ({metric.low:.{digits}f} to {metric.high:.{digits}f})"


def _count(number: int | None) -> str:
    if number is None:
        return "unknown"
    if 0 < number < SMALLEST_CELL:
        return f"fewer than {SMALLEST_CELL}"
    return f"{number:,}"
