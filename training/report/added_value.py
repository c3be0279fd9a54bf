"""What a panel of markers adds over other variables, as a section of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_schema.disclosure import shown_count
from training.cohorts.panel import part_label
from training.report.content import Picture, Section, Table

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

_METRICS = {
    "auroc": "Area under the ROC curve",
    "ipa": "Scaled Brier score (IPA)",
    "brier": "Brier score",
    "net_benefit": "Net benefit",
    "idi": "Integrated discrimination improvement",
    "nri_continuous": "Continuous net reclassification",
}

_SAYS = {
    "adds": "The whole interval lies above 0, and it may exceed the margin.",
    "adds no more than 0.01": "The whole interval lies at or below the margin.",
    "inconclusive": "The interval holds both no gain and more than the margin.",
}


def added_value_section(
    told: Mapping[str, Any] | None, pictures: Sequence[Picture] = (), *, whom: str = ""
) -> Section:
    """Return what a panel adds, or how to find out.

    Parameters
    ----------
    told : mapping or None
        As `training.validation.panel_value.PanelValue.as_json` returns it; None where it was not
        looked at.
    pictures : sequence of Picture
    whom : str
        Among which patients, where they are not all of the cohort.

    Returns
    -------
    Section
    """
    title = "Added value of the panel"
    if told is None:
        return Section(
            title,
            not_done="No model was fitted without the panel. Compare with it: osteon train, or "
            "osteon evaluate, with --added-value resorption,formation,fgf23_mineral "
            "--over severity,person.",
        )
    primary = told["primary"]
    days = f"{told['primary_horizon_days']:g}"
    sentences = (
        *([whom] if whom else []),
        f"Added: {_named(told['added'])}, over {len(told['over'])} other columns. Both models were "
        f"fitted anew in {told['folds']} folds of {shown_count(told['patients'])} patients with "
        f"{shown_count(told['events'])} events in the whole follow-up, and each fold was judged "
        "by models of the others.",
        f"Primary: the change in the area under the ROC curve at {days} days, "
        f"{_signed(primary['without'], primary['with_panel'])}, is {interval_text(primary)}; a "
        f"gain up to {told['margin']:g} is taken to be of no use.",
        f"Verdict: {told['verdict']}. {_SAYS[told['verdict']]}",
        _likelihood(told["likelihood_ratio"]),
        *trade_off_sentences(told["test_trade_off"]),
        *(f"Not judged at {day} days: {why}." for day, why in told["not_judged"].items()),
    )
    tables = [_changes(told["changes"], primary, told["resamples"])]
    if told["pathways"]:
        tables.append(_parts(told["pathways"], days))
    return Section(title, sentences, tuple(tables), tuple(pictures))


def verdict_sentence(told: Mapping[str, Any] | None) -> str:
    """Return the verdict for those who read no further, or that nobody looked.

    Parameters
    ----------
    told : mapping or None
        As for `added_value_section`.

    Returns
    -------
    str
    """
    if told is None:
        return "Added value of a panel over the other variables: not done."
    days = f"{told['primary_horizon_days']:g}"
    return (
        f"Added value of {_named(told['added'])} at {days} days: {told['verdict']}; the area under "
        f"the ROC curve changes by {interval_text(told['primary'])}."
    )


def _named(added: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(
        f"{part_label(name)} ({len(columns)} column{'s' if len(columns) > 1 else ''})"
        for name, columns in added.items()
    )


def _likelihood(test: Mapping[str, Any]) -> str:
    if test["statistic"] is None:
        return f"No likelihood-ratio test: {test['note']}."
    p = "< 0.0001" if test["p_value"] < 0.0001 else f"= {test['p_value']:.4f}"
    return (
        f"Likelihood ratio ({test['model']}): {test['statistic']:.1f} on "
        f"{test['degrees_of_freedom']} degrees of freedom, p {p}; "
        f"{share_without_panel(test['adequacy'])}."
    )


def share_without_panel(adequacy: float | None) -> str:
    """Return in words how much of the likelihood ratio is there without the panel.

    Parameters
    ----------
    adequacy : float or None
        From `LikelihoodRatio`; None where the whole has none.

    Returns
    -------
    str
        Without a full stop.
    """
    if adequacy is None:
        return "neither model tells more than one risk for all"
    return f"{100 * adequacy:.0f} % of the whole is there without the panel"


def _ends(one: Mapping[str, Any]) -> str:
    """Return the interval of a number of tests, without an end where there may be no gain."""
    if one["low"] is None:
        return ""
    most = "without an end" if one["high"] is None else f"to {one['high']:,.0f}"
    return f" (95 % interval {one['low']:,.0f} {most})"


def trade_off_sentences(tests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how many tests one more net true positive costs, at each risk at which one acts."""
    for one in tests:
        number = "no number of" if one["tests"] is None else f"{one['tests']:,.0f}"
        yield (
            f"Acting at a risk of {100 * one['threshold']:g} %: {number} tests of the panel for "
            f"one more net true positive{_ends(one)}."
        )


def _signed(without: float, with_panel: float) -> str:
    return f"from {without:.3f} without to {with_panel:.3f} with the panel"


def interval_text(change: Mapping[str, Any]) -> str:
    """Return a change with its interval, each with its sign."""
    if change["low"] is None:
        return f"{_plus(change['change'])} (no interval)"
    return f"{_plus(change['change'])} ({_plus(change['low'])} to {_plus(change['high'])})"


def _plus(value: float | None) -> str:
    return "" if value is None else f"{value:+z.4f}".replace("-", "\N{MINUS SIGN}")


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:z.3f}".replace("-", "\N{MINUS SIGN}")


def _changes(
    changes: Sequence[Mapping[str, Any]], primary: Mapping[str, Any], resamples: int
) -> Table:
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


def _change_rows(
    changes: Sequence[Mapping[str, Any]], primary: Mapping[str, Any]
) -> Iterator[tuple[str, ...]]:
    others = [one for one in changes if one != primary]
    groups = {
        "Primary": [primary],
        "Supporting": [one for one in others if not one["secondary"]],
        "Secondary": [one for one in others if one["secondary"]],
    }
    for heading, members in groups.items():
        yield (heading,)
        for one in members:
            at = "" if one["threshold"] is None else f" at {100 * one['threshold']:g} %"
            yield (
                f"{_METRICS[one['metric']]}{at}",
                f"{one['horizon_days']:g}",
                *(_plain(one[key]) for key in ("without", "with_panel")),
                interval_text(one),
            )


def _parts(pathways: Sequence[Mapping[str, Any]], days: str) -> Table:
    rows = []
    for one in pathways:
        changes = [
            next(c for c in one[side] if c["metric"] == "auroc") for side in ("on_top", "alone")
        ]
        rows.append((part_label(one["name"]), *map(interval_text, changes)))
    return Table(
        f"Each part of the panel: change in the area under the ROC curve at {days} days",
        ("", "lost if it is left out", "gained by it alone"),
        tuple(rows),
        numbers=True,
    )
