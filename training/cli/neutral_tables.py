"""Print the neutral comparison: mean ranks, tests, gaps by data set, and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.cli.console import print_lines, print_rows

if TYPE_CHECKING:
    from training.benchmark.neutral.comparison import (
        LearnerRank,
        MeasureComparison,
        NeutralComparison,
    )

__all__ = ["show_neutral"]


def show_neutral(comparison: NeutralComparison) -> None:
    """Print the comparison by each measure, then failed folds and the time of the fits."""
    print_lines([comparison.protocol])
    for measure in comparison.measures:
        _show_ranks(measure)
        _show_sets(measure)
    failures = [f"{f.dataset} fold {f.fold}: {f.failure}" for f in comparison.failures]
    print_lines(
        [
            "",
            f"Folds that could not be fitted: {len(failures)} of {comparison.folds}.",
            *failures,
            f"Kaplan-Meier's published isbs is reproduced in all six decimals in "
            f"{comparison.kaplan_meier_equal} of {comparison.folds} folds.",
            f"CPU time of the fits: {_duration(comparison.cpu_seconds)}; of all folds of these "
            f"sets, at these seconds per fit: {_duration(comparison.full_cpu_seconds)}.",
            f"Fingerprint of code, settings and packages: {comparison.fingerprint}.",
        ]
    )


def _show_ranks(measure: MeasureComparison) -> None:
    """Print the mean ranks and their tests."""
    better = "lower" if measure.lower_is_better else "higher"
    print_lines(
        ["", f"{measure.measure} ({better} is better), {len(measure.sets)} sets: mean ranks"]
    )
    print_rows(
        ["learner", "mean rank", "osteon better", "osteon worse", "median gap", "signed-rank p"],
        [_rank_row(rank) for rank in measure.ranks],
        numbers=("mean rank", "osteon better", "osteon worse", "median gap", "signed-rank p"),
    )
    test = measure.friedman
    lines = [
        f"Critical difference of two mean ranks (Nemenyi, 5 %): {measure.nemenyi_difference:.2f}."
    ]
    if test is not None:
        lines.insert(0, f"Friedman's test: chi2 {test.statistic:.1f}, p {test.p:.2g}.")
    lines.append(
        f"Cox's mean rank minus Osteon's: {measure.cox_difference:+.2f}; critical difference with "
        f"Cox as the baseline (Bonferroni-Dunn, 5 %): {measure.cox_critical_difference:.2f}."
    )
    print_lines(["", *lines, ""])


def _rank_row(rank: LearnerRank) -> list[str]:
    beside = rank.osteon_beside
    if beside is None:
        return [rank.learner, f"{rank.mean_rank:.2f}", "", "", "", ""]
    p = "" if beside.p is None else f"{beside.p:.4f}"
    gap = f"{beside.median_difference:+.4f}"
    return [
        rank.learner,
        f"{rank.mean_rank:.2f}",
        str(beside.better),
        str(beside.worse),
        gap,
        p,
    ]


def _show_sets(measure: MeasureComparison) -> None:
    """Print Osteon beside Cox and the best learner of each set, small sets first."""
    numbers = ("patients", "events", "folds", "osteon", "Cox", "best", "gap", "rank", "fit seconds")
    print_rows(
        ["set", *numbers[:6], "learner", *numbers[6:]],
        [
            [
                row.dataset,
                f"{row.patients:,}",
                f"{row.events:,}",
                str(row.folds),
                f"{row.osteon:.4f}",
                f"{row.cox:.4f}",
                f"{row.best:.4f}",
                row.best_learner,
                f"{row.gap:+.4f}",
                f"{row.rank:g}",
                f"{row.fit_seconds:.1f}",
            ]
            for row in sorted(measure.sets, key=lambda row: row.patients)
        ],
        numbers=numbers,
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
