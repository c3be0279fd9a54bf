"""Results of an evaluation as tables and sentences: subgroups, added value, validation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from training.cli.console import print_lines, print_rows

if TYPE_CHECKING:
    from models.metrics.calibration.instability import Instability
    from models.metrics.comparison.paired_changes import Change
    from models.metrics.metric import Metric
    from models.metrics.subgroups import Subgroup
    from training.validation.evaluate_cohort import StudyEvaluation
    from training.validation.internal_external import InternalExternal
    from training.validation.panel_value import PanelTest, PanelValue

__all__ = ["show_study_evaluation", "show_subgroups", "show_verdict"]


def show_subgroups(subgroups: Sequence[Subgroup]) -> None:
    """Print each group at the last horizon that can be judged in it, and the groups without one."""
    rows = [row for group in subgroups if (row := _group_row(group))]
    if rows:
        print_lines(["", "By group, with 95 % intervals:"])
        numbers = ("stays", "events")
        print_rows(["", "", "stays", "events", "days", *_columns()], rows, numbers=numbers)
    small = [f"{g.grouping} {g.level}" for g in subgroups if not _group_row(g)]
    if small:
        print_lines([f"Too few patients or outcomes to be judged: {', '.join(small)}."])


def show_study_evaluation(evaluation: StudyEvaluation) -> None:
    """Print the evaluation of a cohort."""
    study = evaluation.study
    print_lines(
        [
            f"{evaluation.patients} patients with {evaluation.events} events: "
            f"{study.cohort.population}"
            + (" (simulated)" if study.cohort.simulated else "")
            + f". Outcome: {study.outcome.name}, from {study.time_zero}.",
            *_size_lines(evaluation),
        ]
    )
    if evaluation.added_value is not None:
        _show_added_value(evaluation.added_value)
    if evaluation.internal_external is not None:
        _show_validation(evaluation.internal_external)
    for at_horizon in evaluation.instability:
        print_lines(["", _instability_line(at_horizon)])


def _size_lines(evaluation: StudyEvaluation) -> Iterator[str]:
    for size in evaluation.sample_size:
        short = " There are fewer." if evaluation.patients < size.needed else ""
        yield (
            f"A model of {size.parameters} parameters needs {size.needed:,} patients at "
            f"{size.horizon_days:g} days (Riley et al. 2019).{short}"
        )


def show_verdict(value: PanelValue) -> None:
    """Print what a panel adds, in all patients and in those who had it."""
    from training.report.added_value import group_sentences

    primary = value.primary
    added, over = ", ".join(value.panel.added), f"{len(value.panel.over)} columns"
    print_lines(
        [
            "",
            f"Added value of {added} over {over}, in {value.folds} folds of "
            f"{value.patients} patients:",
            f"Verdict at {value.primary_horizon_days:g} days: {value.verdict}. AUROC "
            f"{primary.without:.3f} without, {primary.with_panel:.3f} with; change "
            f"{_interval(primary)}.",
            *group_sentences(value),
        ]
    )


def _show_added_value(value: PanelValue) -> None:
    from training.report.added_value import trade_off_sentences
    from training.report.limited_deaths import limited_deaths_sentence

    show_verdict(value)
    print_lines([""])
    changes = [change for change in value.changes if not change.secondary]
    print_rows(
        ["days", "metric", "without", "with", "change (95 % interval)"],
        [
            [
                f"{change.horizon_days:g}",
                _name(change),
                _number(change.without),
                _number(change.with_panel),
                _interval(change),
            ]
            for change in changes
        ],
    )
    secondary = [change for change in value.changes if change.secondary]
    print_lines(["", "Secondary, no proof of added value:"])
    print_rows(
        ["days", "metric", "change (95 % interval)"],
        [[f"{c.horizon_days:g}", _name(c), _interval(c)] for c in secondary],
    )
    if value.pathways:
        print_lines(["", f"Change in AUROC at {value.primary_horizon_days:g} days:"])
        print_rows(
            ["", "columns", "on top of all others", "alone over the rest"],
            [
                [
                    part.name,
                    str(len(part.columns)),
                    _interval(part.lost_if_left_out),
                    _interval(part.gained_alone),
                ]
                for part in value.pathways
            ],
            numbers=("columns",),
        )
    print_lines(
        [
            "",
            _likelihood_line(value.likelihood_ratio),
            limited_deaths_sentence(value.limited_deaths),
            *trade_off_sentences(value.trade_off),
        ]
    )


def _likelihood_line(test: PanelTest) -> str:
    from training.report.added_value import base_form, share_without_panel

    ratio = test.ratio
    if math.isnan(ratio.statistic):
        return f"No likelihood-ratio test: {ratio.note}."
    return (
        f"Likelihood ratio ({ratio.model}; {base_form(test.knots)}): {ratio.statistic:.1f} on "
        f"{ratio.degrees_of_freedom} df, p {_p_value(ratio.p_value)}; "
        f"{share_without_panel(ratio.adequacy)}."
    )


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"= {p:.4f}"


def _show_validation(validated: InternalExternal) -> None:
    print_lines(["", f"Each {validated.by} held out in turn:"])
    show_subgroups(validated.clusters)
    if validated.pooled:
        print_lines(["", f"Random-effects means, and 95 % prediction for a new {validated.by}:"])
        print_rows(
            ["days", "metric", "mean", "new"],
            [
                [
                    f"{pooled.horizon_days:g}",
                    pooled.metric,
                    f"{pooled.estimate:z.3f} ({pooled.low:z.3f}, {pooled.high:z.3f})",
                    f"{pooled.next_low:z.3f} to {pooled.next_high:z.3f}",
                ]
                for pooled in validated.pooled
            ],
        )


def _instability_line(instability: Instability) -> str:
    wide = instability.share_wider_than[0.1]
    return (
        f"Over {instability.refits} bootstrap refits, a risk at {instability.horizon_days:g} days "
        f"moves by {100 * instability.mean_absolute_change:.1f} points on average; the 95 % range "
        f"of {100 * wide:.0f} % of the patients is wider than 10 points."
    )


def _columns() -> tuple[str, ...]:
    """Return the metrics of a group that the table has room for."""
    from models.metrics.catalogue import Place, shown_in

    return tuple(spec.name for spec in shown_in(Place.SUBGROUPS_OF_CONSOLE))


def _group_row(group: Subgroup) -> list[str]:
    """Return the row of a group; empty if no metric is defined in it."""
    judged = [m for m in group.metrics if m.is_defined]
    if not judged:
        return []
    days = judged[-1].horizon_days
    at = {m.metric: m for m in judged if m.horizon_days == days}
    counts = ("withheld" if n is None else str(n) for n in (group.stays, group.events))
    cells = (_estimate(at.get(name)) for name in _columns())
    return [group.grouping, group.level, *counts, f"{days:g}", *cells]


def _estimate(metric: Metric | None) -> str:
    if metric is None:
        return "-"
    if not metric.has_interval:
        return f"{metric.estimate:.2f}"
    return f"{metric.estimate:.2f} ({metric.low:.2f}, {metric.high:.2f})"


def _name(change: Change) -> str:
    at = "" if change.threshold is None else f" at {change.threshold:g}"
    return f"{change.metric}{at}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _interval(change: Change) -> str:
    if math.isnan(change.low):
        return "-" if math.isnan(change.change) else f"{change.change:+.4f} (no interval)"
    return f"{change.change:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
