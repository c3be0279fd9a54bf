"""What acting on a risk would ask of a ward: flags, evaluations, lead time, and the work-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from models.metrics.alert_burden import AlertBurden, Estimated
from models.metrics.metric import metric_at
from models.model_summary import estimate_text
from training.report.content import Picture, Section, Table
from training.validation.patient_or_work_up import MODEL, SEVERITY, WORK_UP, PatientOrWorkUp

__all__ = ["burden_table", "clinical_use_section", "work_up_section"]


def clinical_use_section(
    sentences: Sequence[str],
    burdens: Sequence[AlertBurden],
    *,
    horizon_days: float,
    defined: str,
    pictures: Sequence[Picture] = (),
) -> Section:
    """Return the decision curve beside what each threshold asks of a ward.

    `sentences` introduce the curve; `defined` states the clinical use, or that there is none.
    """
    at = [burden for burden in burdens if burden.horizon_days == horizon_days]
    return Section(
        "Clinical use",
        (defined, *sentences),
        tables=(burden_table(at),) if at else (),
        pictures=tuple(pictures),
    )


def burden_table(burdens: Sequence[AlertBurden]) -> Table:
    """Return flag rate, sensitivity, number needed to evaluate and lead time by threshold.

    All burdens are of one horizon, of which there is at least one.
    """
    days = f"{burdens[0].horizon_days:g}"
    return Table(
        f"If all patients at or above a threshold were evaluated, by the risk at {days} days",
        (
            "threshold",
            "flagged, of 100 stays",
            "events among the flagged, of 100 events",
            "number needed to evaluate",
            "days to the event, if flagged: median (quartiles)",
        ),
        tuple(map(_burden_row, burdens)),
        (
            "95 % intervals from 200 resamples of patients. Number needed to evaluate: flagged "
            "stays for one with the event. Flags are of the one risk at time zero; alarms that "
            "repeat would be more. The thresholds are examples, not advice.",
        ),
        numbers=True,
    )


def _burden_row(burden: AlertBurden) -> tuple[str, ...]:
    lead = burden.lead_days
    return (
        f"{100 * burden.threshold:g} %",
        _estimated(burden.flagged, 100, 0),
        _estimated(burden.sensitivity, 100, 0),
        _estimated(burden.number_to_evaluate, 1, 1),
        "too few" if lead is None else f"{lead[1]:.0f} ({lead[0]:.0f} to {lead[2]:.0f})",
    )


def _estimated(figure: Estimated, scale: float, digits: int) -> str:
    if np.isnan(figure.estimate):
        return "none"
    estimate = f"{scale * figure.estimate:.{digits}f}"
    if np.isnan(figure.low):
        return estimate
    return f"{estimate} ({scale * figure.low:.{digits}f} to {scale * figure.high:.{digits}f})"


def work_up_section(found: PatientOrWorkUp | None, *, horizon_days: float) -> Section:
    """Return what which tests were ordered, and severity alone, reach in the same folds."""
    title = "Is it the patient or the work-up?"
    if found is None:
        return Section(
            title,
            not_done="Every value is recorded in every patient, so that which tests were ordered "
            "tells nothing.",
        )
    horizons = list(dict.fromkeys(metric.horizon_days for metric in found.reached[MODEL]))
    rows = tuple(
        (
            f"{name} ({label})",
            *(estimate_text(metric_at(found.reached[name], metric, days)) for days in horizons),
        )
        for metric, label in (
            ("auroc", "area under the ROC curve"),
            ("ipa", "scaled Brier score"),
        )
        for name in (MODEL, SEVERITY, WORK_UP)
        if name in found.reached
    )
    return Section(
        title,
        (
            f"Which of {len(found.ordered)} patterns of tests have a result is known without any "
            "result, and shows which patients clinicians worried about. A logistic regression on "
            "that alone, and a model of severity scores and organ function alone, were fitted to "
            "the same patients and judged in the same folds of the first repeat.",
            *_reading(found, horizon_days),
        ),
        (
            Table(
                "Reached in the same folds, with 95 % intervals from 200 resamples of patients",
                ("", *(f"{days:g} days" for days in horizons)),
                rows,
                numbers=True,
            ),
        ),
    )


def _reading(found: PatientOrWorkUp, days: float) -> Iterator[str]:
    """Yield the share of the model's ranking that the tests ordered reach alone."""
    of_model = metric_at(found.reached[MODEL], "auroc", days)
    of_tests = metric_at(found.reached[WORK_UP], "auroc", days)
    if of_model is None or of_tests is None or not (of_model.estimate > 0.5):
        return
    share = (of_tests.estimate - 0.5) / (of_model.estimate - 0.5)
    yield (
        f"At {days:g} days the tests ordered alone reach {100 * max(share, 0):.0f} % of the "
        "model's gain over chance in ranking. Where an order follows what the model is asked for, "
        "this part is lost."
    )
