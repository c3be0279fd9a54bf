"""The added value of a panel of markers over other variables, as a section of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from data_schema.disclosure import shown_count
from data_schema.variables import base_name
from models.inference.contract import Evaluation
from models.metrics.comparison.net_benefit import TradeOff
from models.metrics.comparison.paired_changes import CHANGE_LABELS, MARGIN, Change
from models.panel_verdict import part_label
from training.cohorts.panel import Panel
from training.report.content import Picture, Section, Table
from training.report.limited_deaths import limited_deaths_sentence
from training.validation.panel_value import GroupValue, PanelTest, PanelValue, PathwayValue

__all__ = [
    "added_value_section",
    "base_form",
    "group_sentences",
    "interval_text",
    "judged_in",
    "share_without_panel",
    "trade_off_sentences",
]

_REASONS = {
    "adds": "The whole interval lies above the margin.",
    "adds some, size uncertain": "The whole interval lies above 0, but it includes the margin.",
    "adds no more than 0.01": "The whole interval lies at or below the margin.",
    "inconclusive": "The interval includes both no gain and a gain above the margin.",
}


def judged_in(evaluation: Evaluation | None) -> str:
    """Return whom the added value was estimated in, in a training run."""
    if evaluation is None or evaluation.refitted:
        return "Estimated by cross-validation in all patients of the run."
    return (
        "Estimated by cross-validation in the training patients; the held-out patients were not "
        "used."
    )


def added_value_section(
    value: PanelValue | None, pictures: Sequence[Picture] = (), *, patients: str = ""
) -> Section:
    """Return what a panel adds, or how to estimate it.

    `patients` is a sentence on whom it was estimated in, where not in the whole cohort.
    """
    title = "Added value of the panel"
    if value is None:
        return Section(
            title,
            not_done="No model was fitted without the panel. To compare, run osteon train or "
            "osteon evaluate with --added-value resorption,formation,fgf23_mineral.",
        )
    primary = value.primary
    days = f"{value.primary_horizon_days:g}"
    sentences = (
        *([patients] if patients else []),
        f"Panel: {_named(value.panel.added)}, added to {len(value.panel.over)} other columns. The "
        f"models with and without it were fitted anew in {value.folds}-fold cross-validation in "
        f"{shown_count(value.patients)} patients with {shown_count(value.events)} events over the "
        "whole follow-up; each fold was evaluated with models fitted to the other folds. Both "
        "models know which tests of the panel were done, and no marker of the panel has a "
        "constrained direction.",
        _base(value.panel),
        f"Primary estimand: change in the area under the ROC curve at {days} days from the model "
        f"without to the model with the panel. Estimate, with 95 % interval: "
        f"{interval_text(primary)}, from {primary.without:.3f} to {primary.with_panel:.3f}. A gain "
        f"of up to {MARGIN:g} is regarded as of no practical use; for comparison, C-reactive "
        "protein added 0.0039 to the C-index of cardiovascular risk (N Engl J Med 2012;367:1310).",
        f"Verdict: {value.verdict}. {_REASONS[value.verdict]}",
        *_truth(value),
        _likelihood(value.likelihood_ratio),
        *group_sentences(value),
        limited_deaths_sentence(value.limited_deaths),
        *trade_off_sentences(value.trade_off),
        *(f"Not estimated at {day:g} days: {why}." for day, why in value.not_judged.items()),
    )
    tables = [_changes(value.changes, primary, value.resamples), *_groups(value)]
    if value.pathways:
        tables.append(_parts(value.pathways, days))
    return Section(title, sentences, tuple(tables), tuple(pictures))


def _named(added: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(
        f"{part_label(name)} ({len(columns)} column{'s' if len(columns) > 1 else ''})"
        for name, columns in added.items()
    )


def _base(panel: Panel) -> str:
    if not panel.not_in_base:
        return "The base holds everything of usual care that the cohort records, but no treatment."
    names = ", ".join(dict.fromkeys(map(base_name, panel.not_in_base)))
    return (
        "The base leaves out variables of usual care that the cohort records, which may stand "
        f"behind a gain: {names}."
    )


def _likelihood(test: PanelTest) -> str:
    ratio = test.ratio
    if np.isnan(ratio.statistic):
        return f"No likelihood-ratio test: {ratio.note}."
    p = "< 0.0001" if ratio.p_value < 0.0001 else f"= {ratio.p_value:.4f}"
    return (
        f"Likelihood-ratio test ({ratio.model}; {base_form(test.knots)}): {ratio.statistic:.1f} on "
        f"{ratio.degrees_of_freedom} degrees of freedom, p {p}; "
        f"{share_without_panel(ratio.adequacy)}. In this test alone a missing value of the base "
        "stands at the mean, beside a flag that it is missing."
    )


def _truth(value: PanelValue) -> Iterator[str]:
    """Yield what the panel truly adds, where the patients are simulated."""
    if value.true_change is not None:
        yield (
            "The truth is known: with the panel, the best attainable risks of other patients of "
            f"this simulation have an area larger by {_plus(value.true_change)}."
        )


def base_form(knots: int) -> str:
    """Return how the base acts in the likelihood-ratio test."""
    if knots:
        return f"base in restricted cubic splines with {knots} knots"
    return "base in straight lines, since there are too few events for splines"


def group_sentences(value: PanelValue) -> Iterator[str]:
    """Yield the primary change among patients with the panel, and under full treatment."""
    days = value.primary_horizon_days
    yield _group(
        "Patients with at least half of the panel's variables measured", value.among_measured, days
    )
    if value.under_full_treatment is not None:
        yield (
            _group(
                "Patients without a recorded limitation of treatment",
                value.under_full_treatment,
                days,
            )
            + " Whether treatment is limited is mostly decided after time zero, so these patients "
            "cannot be recognised then."
        )


def _group(label: str, group: GroupValue, days: float) -> str:
    who = f"{label}: {shown_count(group.patients)}"
    if group.share is not None:
        who += f" ({100 * group.share:.0f} %), with {shown_count(group.events)} events"
    primary = next(
        (c for c in group.changes if (c.metric, c.horizon_days) == ("auroc", days)), None
    )
    if primary is None:
        return f"{who}. Not estimated at {days:g} days: {group.not_judged[days]}."
    return (
        f"{who}. Change in the area under the ROC curve at {days:g} days among them: "
        f"{interval_text(primary)}, from {primary.without:.3f} to {primary.with_panel:.3f}."
    )


def _groups(value: PanelValue) -> Iterator[Table]:
    """Yield the changes among patients with the panel, and under full treatment."""
    groups = {
        "patients with at least half of the panel's variables measured": value.among_measured,
        "patients without a recorded limitation of treatment": value.under_full_treatment,
    }
    for label, group in groups.items():
        if group is not None and group.changes and group.share != 1:
            yield Table(
                f"Performance without and with the panel, {label}",
                ("Metric", "horizon (days)", "without", "with", "change (95 % interval)"),
                tuple(map(_change_row, (c for c in group.changes if not c.secondary))),
                ("By the same out-of-fold risks as in all patients.",),
                numbers=True,
            )


def share_without_panel(adequacy: float) -> str:
    """Return the share of the model's likelihood ratio that is reached without the panel.

    `adequacy` is that of `LikelihoodRatio`; NaN where the full model has no likelihood ratio.
    """
    if np.isnan(adequacy):
        return "neither model distinguishes between patients"
    share = f"{100 * adequacy:.0f} % of the full model's likelihood ratio"
    return f"{share} is reached without the panel"


def trade_off_sentences(trade_offs: Sequence[TradeOff]) -> Iterator[str]:
    """Yield the number of tests per additional net true positive, at each threshold."""
    for at in trade_offs:
        number = (
            "no gain at any number of tests of the panel"
            if np.isinf(at.tests)
            else f"{at.tests:,.0f} tests of the panel per additional net true positive"
        )
        interval = ""
        if not np.isinf(at.low):
            high = "no upper limit" if np.isinf(at.high) else f"{at.high:,.0f}"
            interval = f" (95 % interval {at.low:,.0f} to {high})"
        yield f"Test trade-off at a threshold of {100 * at.threshold:g} %: {number}{interval}."


def interval_text(change: Change) -> str:
    """Return a change with its interval, each with its sign."""
    if np.isnan(change.low):
        return f"{_plus(change.change)} (no interval)"
    return f"{_plus(change.change)} ({_plus(change.low)} to {_plus(change.high)})"


def _plus(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+z.4f}".replace("-", "\N{MINUS SIGN}")


def _plain(value: float) -> str:
    return "" if np.isnan(value) else f"{value:z.3f}".replace("-", "\N{MINUS SIGN}")


def _changes(changes: Sequence[Change], primary: Change, resamples: int) -> Table:
    return Table(
        "Performance without and with the panel, out of fold",
        ("Metric", "horizon (days)", "without", "with", "change (95 % interval)"),
        tuple(_change_rows(changes, primary)),
        (
            f"Paired intervals from {resamples:,} bootstrap resamples of patients, widened because "
            "the models of the folds share training patients (Nadeau & Bengio 2003). Secondary "
            "metrics reward overconfident models and do not enter the verdict.",
        ),
        numbers=True,
    )


def _change_rows(changes: Sequence[Change], primary: Change) -> Iterator[tuple[str, ...]]:
    others = [change for change in changes if change != primary]
    groups = {
        "Primary": [primary],
        "Supporting": [change for change in others if not change.secondary],
        "Secondary": [change for change in others if change.secondary],
    }
    for heading, members in groups.items():
        yield (heading,)
        yield from map(_change_row, members)


def _change_row(change: Change) -> tuple[str, ...]:
    at = "" if change.threshold is None else f" at {100 * change.threshold:g} %"
    return (
        f"{CHANGE_LABELS[change.metric]}{at}",
        f"{change.horizon_days:g}",
        _plain(change.without),
        _plain(change.with_panel),
        interval_text(change),
    )


def _parts(pathways: Sequence[PathwayValue], days: str) -> Table:
    return Table(
        f"Each part of the panel: change in the area under the ROC curve at {days} days",
        ("", "added to all other variables", "added to the variables outside the panel"),
        tuple(
            (
                part_label(part.name),
                interval_text(part.lost_if_left_out),
                interval_text(part.gained_alone),
            )
            for part in pathways
        ),
        numbers=True,
    )
