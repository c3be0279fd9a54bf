"""The command `osteon compare`: a challenger in the shadow against the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from training.cli.console import JsonOption, print_json, print_lines, print_rows, working
from training.cli.monitor import stated_day

if TYPE_CHECKING:
    from models.monitoring.comparison import Comparison, Disagreement

__all__ = ["compare"]


def compare(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Registered name, e.g. osteon-mortality.")],
    planned: Annotated[
        int, typer.Option(help="Patients with a known outcome at which the comparison ends.")
    ] = 5_000,
    looks: Annotated[
        int, typer.Option(help="Looks until then, 1 to 5; state both before the first.")
    ] = 5,
    since: Annotated[
        str | None, typer.Option(help="First day of predictions to read (YYYY-MM-DD).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the challenger that scores in a champion's shadow.

    Both are judged on the same patients. Reads the service's database: paired differences with
    intervals, where the models disagree and which was nearer, and a verdict at the stated looks
    alone, however often the command runs.
    """
    with working(), context.obj() as decisions:
        from models.monitoring.comparison import compare as judged

        shadowed = decisions.shadowed(name=name, since=stated_day(since))
        comparison = judged(shadowed.patients, planned=planned, looks=looks)
    versions = {"champion": shadowed.champion, "challenger": shadowed.challenger}
    if as_json:
        print_json({"name": name, **versions, **comparison.as_json()})
        return
    print_lines(
        [
            f"{name}: challenger {shadowed.challenger} in the shadow of champion "
            f"{shadowed.champion}.",
            *_sentences(comparison),
        ]
    )
    _show(comparison)


def _sentences(comparison: Comparison) -> list[str]:
    from models.monitoring.comparison import CHANGED_OUTCOMES

    reached = len(comparison.looks)
    of_looks = f"{reached} of {comparison.planned_looks} planned looks"
    verdict = {
        "better": "The challenger is better",
        "worse": "The challenger is worse",
        "no difference": "No difference has shown",
        "not yet": "Nothing is decided yet",
    }[comparison.verdict]
    return [
        f"{comparison.patients} patients have a risk by both, {comparison.known} of them a known "
        f"outcome at {comparison.primary_horizon_days:g} days.",
        f"{verdict} ({of_looks}, of {comparison.planned} patients in all).",
        CHANGED_OUTCOMES,
    ]


def _show(comparison: Comparison) -> None:
    if comparison.looks:
        print_rows(
            ("look at", "statistic", "boundary"),
            [
                (f"{look.patients} patients", f"{look.statistic:+.2f}", f"{look.boundary:.2f}")
                for look in comparison.looks
            ],
        )
    if comparison.differences:
        print_rows(
            ("", "champion", "challenger", "challenger less champion"),
            [
                (
                    f"{one.metric} at {one.horizon_days:g} days",
                    f"{one.champion:.4f}",
                    f"{one.challenger:.4f}",
                    f"{one.estimate:+.4f} ({one.low:+.4f}, {one.high:+.4f})",
                )
                for one in comparison.differences
            ],
        )
    print_lines([_disagreement(one) for one in comparison.disagreements])


def _disagreement(one: Disagreement) -> str:
    if one.patients is None or one.observed is None:
        return f"The {one.higher} is much higher in fewer than 10 patients."
    return (
        f"The {one.higher} is much higher in {one.patients} patients: observed {one.observed:.1%}, "
        f"champion {one.champion:.1%}, challenger {one.challenger:.1%}; the {one.nearer} is nearer."
    )
