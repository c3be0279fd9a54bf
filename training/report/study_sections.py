"""What an evaluation may tell beyond the metrics: groups, size, sites and years, instability.

Each section says "not done" where there is nothing to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from data_schema.disclosure import SMALLEST_CELL, hidden_cells, shown_count
from models.metrics.calibration.instability import WIDTHS, Instability
from models.metrics.catalogue import METRICS, Place, shown_in
from models.metrics.metric import Metric, metric_at
from models.metrics.pooling import Pooled
from models.metrics.sample_size import SampleSize
from models.metrics.subgroups import Subgroup
from training.report.content import Picture, Section, Table
from training.report.performance import estimate_text
from training.validation.internal_external import InternalExternal

__all__ = [
    "grouping_label",
    "instability_section",
    "level_label",
    "sample_size_section",
    "subgroups_section",
    "validation_section",
]

_IN_GROUPS = shown_in(Place.SUBGROUPS_OF_REPORT)


def subgroups_section(
    subgroups: Sequence[Subgroup], *, horizon_days: float, pictures: Sequence[Picture] = ()
) -> Section:
    """Return performance in groups of patients at one horizon.

    Parameters
    ----------
    subgroups : sequence of Subgroup
    horizon_days : float
    pictures : sequence of Picture

    Returns
    -------
    Section
    """
    title = "Subgroups"
    if not subgroups:
        return Section(
            title, not_done="Nothing recorded of these patients tells groups of them apart."
        )
    return Section(
        title,
        (
            f"At {horizon_days:g} days. Groups are many and some are small: the lowest of ten is "
            "low by chance. A group that is too small gets no metric, which is no good news.",
        ),
        (_group_table(subgroups, horizon_days, "Performance by group of patients"),),
        tuple(pictures),
    )


def sample_size_section(sizes: Sequence[SampleSize], *, patients: int) -> Section:
    """Return how many patients a model of so many parameters needs.

    Parameters
    ----------
    sizes : sequence of SampleSize
        Empty where none was calculated.
    patients : int
        Patients to learn from.

    Returns
    -------
    Section
    """
    title = "Sample size"
    if not sizes:
        return Section(
            title, not_done="No sample size was calculated; the counts are under Patients."
        )
    short = [one for one in sizes if patients < one.needed]
    verdict = (
        "There are fewer than needed at "
        + ", ".join(f"{one.horizon_days:g}" for one in short)
        + " days: expect risks that are too extreme."
        if short
        else "There are enough at every horizon."
    )
    return Section(
        title,
        (
            f"By the criteria of Riley et al. (Stat Med 2019;38:1276-1296) for "
            f"{sizes[0].parameters} candidate parameters, beside {shown_count(patients)} "
            f"patients to learn from. {verdict} The criteria are those of regression without "
            "penalty: a warning where there are fewer, no proof where there are enough.",
        ),
        (
            Table(
                "Patients needed",
                (
                    "Horizon",
                    "shrinkage 0.9 or more",
                    "optimism 0.05 or less",
                    "overall risk",
                    "all",
                ),
                tuple(
                    (
                        f"{one.horizon_days:g} days",
                        f"{one.for_shrinkage:,}",
                        f"{one.for_optimism:,}",
                        f"{one.for_overall_risk:,}",
                        f"{one.needed:,}",
                    )
                    for one in sizes
                ),
                numbers=True,
            ),
        ),
    )


def instability_section(instabilities: Sequence[Instability]) -> Section:
    """Return how far single risks move when other patients are learned from.

    Parameters
    ----------
    instabilities : sequence of Instability
        One for each horizon; empty where it was not looked at.

    Returns
    -------
    Section
    """
    title = "Instability of single risks"
    if not instabilities:
        return Section(
            title,
            not_done="The model was not refitted on resampled patients to see how far a single "
            "risk moves. See it with: osteon evaluate --instability 200.",
        )
    return Section(
        title,
        (
            f"The model was fitted anew on {instabilities[0].refits} bootstrap resamples of the "
            "patients, and each patient's risks were compared (Riley & Collins, Biom J "
            "2023;65:2200302). Lower is better; it says nothing of whether the risks are right.",
        ),
        (
            Table(
                "How far risks move, in points of risk",
                (
                    "Horizon",
                    "mean change",
                    "90th percentile",
                    "median width of 95 % of refits",
                    *(f"share wider than {100 * width:g} points" for width in WIDTHS),
                ),
                tuple(
                    (
                        f"{one.horizon_days:g} days",
                        f"{100 * one.mean_absolute_change:.1f}",
                        f"{100 * one.p90_mean_absolute_change:.1f}",
                        f"{100 * one.median_interval_width:.1f}",
                        *(f"{100 * share:.0f} %" for share in one.share_wider_than.values()),
                    )
                    for one in instabilities
                ),
                numbers=True,
            ),
        ),
    )


def validation_section(
    validated: InternalExternal | None, *, horizon_days: float, pictures: Sequence[Picture] = ()
) -> Section:
    """Return performance at sites or in years that a model did not learn from.

    Parameters
    ----------
    validated : InternalExternal or None
        None where it was not done.
    horizon_days : float
    pictures : sequence of Picture

    Returns
    -------
    Section
    """
    title = "Sites and years never seen"
    if validated is None:
        return Section(
            title,
            not_done="No site or year was held out in its turn. See it with: osteon evaluate "
            "--internal-external site.",
        )
    by = validated.by
    tables = [_group_table(validated.clusters, horizon_days, f"Each {by} by a model of the others")]
    if validated.pooled:
        tables.append(_pooled_table(validated.pooled, by))
    return Section(
        title,
        (
            f"Each {by} was held out in its turn and judged by a model of all the others "
            "(internal-external validation).",
        ),
        tuple(tables),
        tuple(pictures),
    )


def _group_table(groups: Sequence[Subgroup], days: float, caption: str) -> Table:
    return Table(
        f"{caption}, at {days:g} days, with 95 % intervals",
        ("", "stays", "events, whole follow-up", *(spec.label for spec in _IN_GROUPS)),
        tuple(_group_rows(groups, days)),
        numbers=True,
    )


def grouping_label(grouping: str) -> str:
    """Return what patients are told apart by, as a reader sees it."""
    known = {"egfr": "eGFR (mL/min/1.73 m²)", "age": "Age (years)"}
    return known.get(grouping, grouping.capitalize())


def level_label(level: str) -> str:
    """Return a group's name as a reader sees it."""
    return level.replace("_", " ")


def _group_rows(groups: Sequence[Subgroup], days: float) -> Iterator[tuple[str, ...]]:
    for grouping in dict.fromkeys(group.grouping for group in groups):
        yield (grouping_label(grouping),)
        members = [group for group in groups if group.grouping == grouping]
        stays = _shown_counts([one.stays for one in members])
        events = _shown_counts([one.events for one in members])
        for group, n, happened in zip(members, stays, events, strict=True):
            metrics = (metric_at(group.metrics, spec.name, days) for spec in _IN_GROUPS)
            yield (level_label(group.level), n, happened, *map(_short_estimate, metrics))


def _shown_counts(counts: Sequence[int | None]) -> list[str]:
    """Return counts that make up a known total, without one that would tell of a few patients."""
    numbers = np.array([1 if count is None else count for count in counts], dtype=np.int64)
    hidden = hidden_cells(np.array([[max(numbers.sum(), SMALLEST_CELL), *numbers]]))[0, 1:]
    return [
        "withheld" if hide else shown_count(int(number))
        for number, hide in zip(numbers, hidden, strict=True)
    ]


def _short_estimate(metric: Metric | None) -> str:
    if metric is None or not metric.is_defined:
        return "too few"
    return estimate_text(metric) if metric.has_interval else f"{metric.estimate:z.3f}"


def _pooled_table(pooled: Sequence[Pooled], by: str) -> Table:
    return Table(
        f"Random-effects means over {by}s, and where a new one would lie (95 %)",
        ("Metric", "horizon (days)", f"{by}s", "mean (95 % interval)", f"a new {by}"),
        tuple(
            (
                METRICS[one.metric].label,
                f"{one.horizon_days:g}",
                f"{one.clusters}",
                estimate_text(one),
                f"{one.next_low:z.3f} to {one.next_high:z.3f}".replace("-", "\N{MINUS SIGN}"),
            )
            for one in pooled
        ),
        numbers=True,
    )
