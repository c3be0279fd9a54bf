"""Print results as tables and sentences: metrics, one patient's explanation, a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from data_schema.printed_units import printed_unit
from training.cli.console import print_lines, print_rows
from training.cli.neutral_tables import show_neutral

if TYPE_CHECKING:
    from models.metrics.in_parts.evaluate_parts import PartsJudgement
    from models.metrics.metric import Metric
    from models.patient_explanation import Contribution, ExplainedRisk, PatientExplanation
    from training.benchmark.comparison import JudgedFigure, ModelDifference, ModelRow
    from training.benchmark.run_benchmark import BenchmarkResult
    from training.validation.judgement import Judgement

__all__ = [
    "notice_lines",
    "show_benchmark",
    "show_explanation",
    "show_judged_metrics",
    "show_metrics",
]


def notice_lines(notice: str | None) -> list[str]:
    """Return a notice that is to be read before any metric, with an empty line after it."""
    return [] if notice is None else [notice, ""]


def show_judged_metrics(judgement: Judgement | PartsJudgement) -> None:
    """Print the metrics of all stays, then those of the stays not refused, if any was refused."""
    show_metrics(judgement.metrics)
    for share, metrics in groupby(judgement.blanked, key=lambda metric: metric.blank_share):
        print_lines(["", f"With {100 * share:g} % of the fields left empty at random:"])
        show_metrics(list(metrics))
    if judgement.metrics_of_answered:
        print_lines(["", "Without the refused stays:"])
        show_metrics(judgement.metrics_of_answered)
    if judgement.d_calibration is not None:
        print_lines(["", judgement.d_calibration.sentence])


def show_metrics(metrics: Sequence[Metric]) -> None:
    """Print metrics as rows and horizons as columns, then those of the whole follow-up."""
    overall = [metric for metric in metrics if metric.horizon_days is None]
    by_horizon = [metric for metric in metrics if metric.horizon_days is not None]
    horizons = list(dict.fromkeys(metric.horizon_days for metric in by_horizon))
    names = list(dict.fromkeys(metric.metric for metric in by_horizon))
    cells = {(metric.metric, metric.horizon_days): _cell(metric) for metric in metrics}
    print_rows(
        ["", *(f"{days:g} days" for days in horizons)],
        [[name, *(cells[name, days] for days in horizons)] for name in names],
    )
    if overall:
        print_rows(["", "whole follow-up"], [[metric.metric, _cell(metric)] for metric in overall])
    notes = dict.fromkeys(metric.note for metric in metrics if metric.note)
    print_lines([f"- {note}" for note in notes])


def show_explanation(explanation: PatientExplanation) -> None:
    """Print one patient's risks in sentences, then contributions to the first, by pathway."""
    print_lines([explanation.summary, ""])
    if explanation.risks:
        risk = explanation.risks[0]
        print_lines(
            [f"Contributions to the risk at {risk.horizon_days:g} days, in points of risk:"]
        )
        print_rows(["", "value", "points"], _explanation_rows(risk), numbers=("value", "points"))
        print_lines(
            [
                "",
                f"The reference is not the average patient: the mean risk of the training cohort "
                f"is {100 * risk.cohort_risk:.1f}.",
            ]
        )
    print_lines([f"Warning: {warning.message}" for warning in explanation.warnings])


def show_benchmark(result: BenchmarkResult) -> None:
    """Print the figures of each model, then Osteon's differences from it and from its targets."""
    from training.benchmark.neutral.comparison import NeutralComparison

    comparison = result.comparison
    if isinstance(comparison, NeutralComparison):
        show_neutral(comparison)
        print_lines(["", _machine(result)])
        return
    print_lines([f"{result.dataset}: {comparison.protocol}", ""])
    # With a truth the outcomes share their days and one table.
    outcomes = [""] if comparison.figures else dict.fromkeys(row.outcome for row in comparison.rows)
    for outcome in outcomes:
        print_lines([f"{outcome}:"] if outcome else [])
        _show_rows([row for row in comparison.rows if not outcome or row.outcome == outcome])
    if all(difference.low is None for difference in comparison.differences):
        print_lines(["", "Osteon minus the other model, on one split:"])
        _show_by_metric(comparison.differences)
    else:
        print_lines(["", "Osteon minus the other model, with 95 % intervals:"])
        several = any(gap.outcome for gap in comparison.differences)
        print_rows(
            [*(["outcome"] if several else []), "model", "metric", "difference"],
            [
                [*([gap.outcome] if several else []), gap.model, gap.metric, _difference(gap)]
                for gap in comparison.differences
            ],
        )
    judged = [gap for gap in comparison.differences if gap.verdict]
    print_lines([f"osteon beside {gap.model}: {gap.verdict}" for gap in judged])
    print_lines(["", _machine(result)])
    _show_figures(comparison.figures)


def _show_rows(models: Sequence[ModelRow]) -> None:
    """Print the figures of each model; those that only one model has stand below the table."""
    rows = [_cells(row) for row in models]
    heads = dict.fromkeys(head for row in rows for head in row)
    columns = [head for head in heads if sum(row.get(head) is not None for row in rows) > 1]
    print_rows(
        columns,
        [[_number(row.get(head)) for head in columns] for row in rows],
        numbers=[head for head in columns if head not in ("outcome", "model", "source")],
    )
    of_one_model = [head for head in heads if head not in columns]
    for row in rows:
        texts = [
            f"{head} {_number(row[head])}" for head in of_one_model if row.get(head) is not None
        ]
        print_lines([f"{row['model']}: {', '.join(texts)}"] if texts else [])


def _machine(result: BenchmarkResult) -> str:
    return ", ".join(f"{key} {value}" for key, value in result.machine.items())


def _show_figures(figures: Sequence[JudgedFigure]) -> None:
    """Print figures beside their accepted range."""
    if figures:
        print_lines(["", "Against the true risks:"])
        print_rows(
            ["", "outcome", "days", "figure", "value", "accepted"],
            [
                [
                    "ok" if figure.passed else "NO",
                    figure.outcome,
                    f"{figure.horizon_days:g}",
                    figure.figure,
                    f"{figure.value:.4f}",
                    _bounds(figure.low, figure.high),
                ]
                for figure in figures
            ],
            numbers=("days", "value"),
        )


def _bounds(low: float | None, high: float | None) -> str:
    return f"at most {high:g}" if low is None else f"{low:g} to {high:g}"


def _cells(row: ModelRow) -> dict[str, str | float | None]:
    """Return a row by column, with one column per day for figures by day."""
    texts = {"outcome": row.outcome, "model": row.model, "source": row.source}
    cells: dict[str, str | float | None] = {head: text for head, text in texts.items() if text}
    for name, figure in row.figures.items():
        if isinstance(figure, Mapping):
            cells |= {
                f"{name} {float(day):.0f}\N{NO-BREAK SPACE}d": at for day, at in figure.items()
            }
        else:
            cells[name.replace("_", " ")] = figure
    return cells


def _show_by_metric(differences: Sequence[ModelDifference]) -> None:
    """Print differences without an interval: models in rows, metrics in columns."""
    gaps = {(gap.model, gap.metric): f"{gap.estimate:+.4f}" for gap in differences}
    models = list(dict.fromkeys(gap.model for gap in differences))
    metrics = list(dict.fromkeys(gap.metric for gap in differences))
    print_rows(
        ["model", *(metric.replace("_", " ") for metric in metrics)],
        [[model, *(gaps.get((model, metric), "") for metric in metrics)] for model in models],
        numbers=[metric.replace("_", " ") for metric in metrics],
    )


def _cell(metric: Metric) -> str:
    if not metric.is_defined:
        return "-"
    if not metric.has_interval:
        return f"{metric.estimate:z.3f} (no interval)"
    return f"{metric.estimate:z.3f} ({metric.low:z.3f}, {metric.high:z.3f})"


def _explanation_rows(risk: ExplainedRisk) -> list[list[str]]:
    """Return the rows from reference to risk: pathways by size, each with its variables."""
    from models.patient_explanation import NOT_MEASURED, pathway_label
    from training.explanation.importance import points_digits

    digits = points_digits(max(map(abs, risk.pathways.values()), default=0.0))

    def signed(points: float) -> str:
        text = f"{points:+.{digits}f}"
        return text if float(text) else text[1:]

    rows = [["Reference", "", f"{100 * risk.baseline_risk:.{digits}f}"]]
    by_size = sorted(
        risk.pathways.items(), key=lambda pair: (pair[0] == NOT_MEASURED, -abs(pair[1]))
    )
    for pathway, points in by_size:
        rows.append([pathway_label(pathway), "", signed(points)])
        rows += [
            [f"    {entry.label}", _value(entry), signed(entry.points)]
            for entry in risk.contributions
            if entry.measured and entry.pathway == pathway
        ]
    if risk.monotone_adjustment:
        adjustment = signed(risk.monotone_adjustment_points)
        rows.append(["Held non-decreasing over time", "", adjustment])
    ends = f"{100 * risk.interval.low:.1f} to {100 * risk.interval.high:.1f}"
    rows.append([f"This patient (95 % interval {ends})", "", f"{100 * risk.risk:.{digits}f}"])
    return rows


def _value(contribution: Contribution) -> str:
    value = contribution.recorded.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, str):
        return (value or "").replace("_", " ")
    return f"{value:g} {printed_unit(contribution.unit)}".strip()


def _difference(gap: ModelDifference) -> str:
    if gap.low is None:
        return _number(gap.estimate)
    return f"{gap.estimate:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"


def _number(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.0f}"
    return "" if value is None else str(value)
