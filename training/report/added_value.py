"""What a panel of markers adds over other variables, as a section of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from data_schema.disclosure import shown_count
from models.metrics.comparison.likelihood_ratio import LikelihoodRatio
from models.metrics.comparison.net_benefit import TradeOff
from models.metrics.comparison.paired_changes import CHANGE_LABELS, MARGIN, Change
from training.cohorts.panel import part_label
from training.report.content import Picture, Section, Table
from training.validation.panel_value import PanelValue, PathwayValue

__all__ = [
    "AMONG_LEARNED_FROM",
    "added_value_section",
    "interval_text",
    "share_without_panel",
    "trade_off_sentences",
    "verdict_sentence",
]

AMONG_LEARNED_FROM = (
    "Looked at among the patients that the model learned from; those held out for its evaluation "
    "had no part in it."
)

_SAYS = {
    "adds": "The whole interval lies above 0, and it may exceed the margin.",
    "adds no more than 0.01": "The whole interval lies at or below the margin.",
    "inconclusive": "The interval holds both no gain and more than the margin.",
}


def added_value_section(
    value: PanelValue | None, pictures: Sequence[Picture] = (), *, whom: str = ""
) -> Section:
    """Return what a panel adds, or how to find out.

    Parameters
    ----------
    value : PanelValue or None
        None where it was not looked at.
    pictures : sequence of Picture
    whom : str
        Among which patients, where they are not all of the cohort.

    Returns
    -------
    Section
    """
    title = "Added value of the panel"
    if value is None:
        return Section(
            title,
            not_done="No model was fitted without the panel. Compare with it: osteon train, or "
            "osteon evaluate, with --added-value resorption,formation,fgf23_mineral "
            "--over severity,person.",
        )
    primary = value.primary
    days = f"{value.primary_horizon_days:g}"
    sentences = (
        *([whom] if whom else []),
        f"Added: {_named(value.panel.added)}, over {len(value.panel.over)} other columns. Both "
        f"models were fitted anew in {value.folds} folds of {shown_count(value.patients)} patients "
        f"with {shown_count(value.events)} events in the whole follow-up, and each fold was judged "
        "by models of the others.",
        f"Primary: the change in the area under the ROC curve at {days} days, "
        f"{_signed(primary.without, primary.with_panel)}, is {interval_text(primary)}; a "
        f"gain up to {MARGIN:g} is taken to be of no use.",
        f"Verdict: {value.verdict}. {_SAYS[value.verdict]}",
        _likelihood(value.likelihood_ratio),
        *trade_off_sentences(value.trade_off),
        *(f"Not judged at {day:g} days: {why}." for day, why in value.not_judged.items()),
    )
    tables = [_changes(value.changes, primary, value.resamples)]
    if value.pathways:
        tables.append(_parts(value.pathways, days))
    return Section(title, sentences, tuple(tables), tuple(pictures))


def verdict_sentence(value: PanelValue | None) -> str:
    """Return the verdict for those who read no further, or that nobody looked.

    Parameters
    ----------
    value : PanelValue or None

    Returns
    -------
    str
    """
    if value is None:
        return "Added value of a panel over the other variables: not done."
    return (
        f"Added value of {_named(value.panel.added)} at {value.primary_horizon_days:g} days: "
        f"{value.verdict}; the area under the ROC curve changes by {interval_text(value.primary)}."
    )


def _named(added: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(
        f"{part_label(name)} ({len(columns)} column{'s' if len(columns) > 1 else ''})"
        for name, columns in added.items()
    )


def _likelihood(test: LikelihoodRatio) -> str:
    if np.isnan(test.statistic):
        return f"No likelihood-ratio test: {test.note}."
    p = "< 0.0001" if test.p_value < 0.0001 else f"= {test.p_value:.4f}"
    return (
        f"Likelihood ratio ({test.model}): {test.statistic:.1f} on "
        f"{test.degrees_of_freedom} degrees of freedom, p {p}; "
        f"{share_without_panel(test.adequacy)}."
    )


def share_without_panel(adequacy: float) -> str:
    """Return in words how much of the likelihood ratio is there without the panel.

    Parameters
    ----------
    adequacy : float
        From `LikelihoodRatio`; NaN where the whole has none.

    Returns
    -------
    str
        Without a full stop.
    """
    if np.isnan(adequacy):
        return "neither model tells more than one risk for all"
    return f"{100 * adequacy:.0f} % of the whole is there without the panel"


def _ends(one: TradeOff) -> str:
    """Return the interval of a number of tests, without an end where there may be no gain."""
    if np.isinf(one.low):
        return ""
    most = "without an end" if np.isinf(one.high) else f"to {one.high:,.0f}"
    return f" (95 % interval {one.low:,.0f} {most})"


def trade_off_sentences(tests: Sequence[TradeOff]) -> Iterator[str]:
    """Yield how many tests one more net true positive costs, at each risk at which one acts."""
    for one in tests:
        number = "no number of" if np.isinf(one.tests) else f"{one.tests:,.0f}"
        yield (
            f"Acting at a risk of {100 * one.threshold:g} %: {number} tests of the panel for "
            f"one more net true positive{_ends(one)}."
        )


def _signed(without: float, with_panel: float) -> str:
    return f"from {without:.3f} without to {with_panel:.3f} with the panel"


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
        "Without and with the panel, out of fold",
        ("Metric", "horizon (days)", "without", "with", "change (95 % interval)"),
        tuple(_change_rows(changes, primary)),
        (
            f"Paired intervals from {resamples:,} bootstrap resamples of patients, widened for the "
            "patients that the folds' models share (Nadeau & Bengio 2003). Secondary metrics "
            "reward a model for being overconfident and never decide.",
        ),
        numbers=True,
    )


def _change_rows(changes: Sequence[Change], primary: Change) -> Iterator[tuple[str, ...]]:
    others = [one for one in changes if one != primary]
    groups = {
        "Primary": [primary],
        "Supporting": [one for one in others if not one.secondary],
        "Secondary": [one for one in others if one.secondary],
    }
    for heading, members in groups.items():
        yield (heading,)
        for one in members:
            at = "" if one.threshold is None else f" at {100 * one.threshold:g} %"
            yield (
                f"{CHANGE_LABELS[one.metric]}{at}",
                f"{one.horizon_days:g}",
                _plain(one.without),
                _plain(one.with_panel),
                interval_text(one),
            )


def _parts(pathways: Sequence[PathwayValue], days: str) -> Table:
    return Table(
        f"Each part of the panel: change in the area under the ROC curve at {days} days",
        ("", "lost if it is left out", "gained by it alone"),
        tuple(
            (
                part_label(one.name),
                interval_text(one.lost_if_left_out),
                interval_text(one.gained_alone),
            )
            for one in pathways
        ),
        numbers=True,
    )
