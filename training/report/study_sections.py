"""Optional analyses: subgroups, sample size, internal-external validation, and instability.

A section says "not done" where the analysis was not done.
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
    subgroups: Sequence[Subgroup], *, horizon_days: float, simulated: bool = False
) -> Section:
    """Return performance in subgroups of patients at one horizon.

    Counts of few patients are withheld, unless they are simulated.
    """
    title = "Subgroups"
    if not subgroups:
        return Section(
            title, not_done="No recorded variable divides these patients into subgroups."
        )
    return Section(
        title,
        (
            f"Performance at {horizon_days:g} days. With many subgroups, some of them small, the "
            "lowest of ten estimates is low by chance alone. A subgroup too small for an estimate "
            "gives no evidence of adequate performance.",
        ),
        (
            _group_table(
                subgroups,
                horizon_days,
                "Performance by subgroup of patients",
                simulated=simulated,
            ),
        ),
    )


def sample_size_section(sizes: Sequence[SampleSize], *, patients: int) -> Section:
    """Return how many training patients a model with so many parameters needs.

    `sizes` is empty where none was calculated; `patients` is the number of training patients.
    """
    title = "Sample size"
    if not sizes:
        return Section(
            title, not_done="No sample size was calculated; the counts are in Patient flow."
        )
    short = [f"{size.horizon_days:g}" for size in sizes if patients < size.needed]
    verdict = (
        f"The number available is too small at {', '.join(short)} days; expect risks that are too "
        "extreme."
        if short
        else "The number available suffices at every horizon."
    )
    return Section(
        title,
        (
            "Minimum sample size by the criteria of Riley et al. (Stat Med 2019;38:1276-1296) for "
            f"{sizes[0].parameters} candidate parameters, with {shown_count(patients)} training "
            f"patients available. {verdict} The criteria were derived for regression without "
            "penalty: a smaller number is a warning, a sufficient number is not proof.",
        ),
        (
            Table(
                "Patients needed, by criterion",
                (
                    "Horizon",
                    "shrinkage factor of at least 0.9",
                    "optimism of at most 0.05",
                    "precise overall risk",
                    "all criteria",
                ),
                tuple(
                    (
                        f"{size.horizon_days:g} days",
                        f"{size.for_shrinkage:,}",
                        f"{size.for_optimism:,}",
                        f"{size.for_overall_risk:,}",
                        f"{size.needed:,}",
                    )
                    for size in sizes
                ),
                numbers=True,
            ),
        ),
    )


def instability_section(instabilities: Sequence[Instability]) -> Section:
    """Return how much individual risks vary with the patients that a model is fitted to.

    `instabilities` has one entry per horizon, and is empty where the analysis was not done.
    """
    title = "Instability of individual risks"
    if not instabilities:
        return Section(
            title,
            not_done="The model was not refitted to bootstrap resamples to measure how much "
            "individual risks vary. To do so, run osteon evaluate --instability 200.",
        )
    return Section(
        title,
        (
            f"The model was fitted anew to {instabilities[0].refits} bootstrap resamples of the "
            "patients, and each patient's risks were compared with those of the model fitted to "
            "all patients (Riley & Collins, Biom J 2023;65:2200302). Lower is better. Stable risks "
            "may still be wrong.",
        ),
        (
            Table(
                "Variation of individual risks between fits, in points of risk",
                (
                    "Horizon",
                    "mean absolute change",
                    "90th percentile over patients",
                    "median width of the central 95 % of fits",
                    *(f"patients wider than {100 * width:g} points" for width in WIDTHS),
                ),
                tuple(
                    (
                        f"{at.horizon_days:g} days",
                        f"{100 * at.mean_absolute_change:.1f}",
                        f"{100 * at.p90_mean_absolute_change:.1f}",
                        f"{100 * at.median_interval_width:.1f}",
                        *(f"{100 * share:.0f} %" for share in at.share_wider_than.values()),
                    )
                    for at in instabilities
                ),
                numbers=True,
            ),
        ),
    )


def validation_section(
    validated: InternalExternal | None, *, horizon_days: float, pictures: Sequence[Picture] = ()
) -> Section:
    """Return performance at sites or in years that the model was not fitted to, if evaluated."""
    title = "Internal-external validation"
    if validated is None:
        return Section(
            title,
            not_done="No site or year was held out in turn. To do so, run osteon evaluate "
            "--internal-external site.",
        )
    by = validated.by
    caption = f"Performance in each {by}, with a model fitted to all others"
    tables = [_group_table(validated.clusters, horizon_days, caption)]
    if validated.pooled:
        tables.append(_pooled_table(validated.pooled, by))
    return Section(
        title,
        (f"Each {by} was held out in turn and evaluated with a model fitted to all others.",),
        tuple(tables),
        tuple(pictures),
    )


def _group_table(
    groups: Sequence[Subgroup], days: float, caption: str, *, simulated: bool = False
) -> Table:
    return Table(
        f"{caption}, at {days:g} days, with 95 % intervals",
        ("", "stays", "events, whole follow-up", *(spec.label for spec in _IN_GROUPS)),
        tuple(_group_rows(groups, days, simulated=simulated)),
        numbers=True,
    )


def grouping_label(grouping: str) -> str:
    """Return the label of a grouping of patients."""
    known = {"egfr": "eGFR (mL/min/1.73 m²)", "age": "Age (years)"}
    return known.get(grouping, grouping.capitalize())


def level_label(level: str) -> str:
    """Return the label of a group of patients."""
    return level.replace("_", " ")


def _group_rows(
    groups: Sequence[Subgroup], days: float, *, simulated: bool
) -> Iterator[tuple[str, ...]]:
    for grouping in dict.fromkeys(group.grouping for group in groups):
        yield (grouping_label(grouping),)
        members = [group for group in groups if group.grouping == grouping]
        shown = _every_count if simulated else _shown_counts
        stays = shown([member.stays for member in members])
        events = shown([member.events for member in members])
        for group, n_stays, n_events in zip(members, stays, events, strict=True):
            metrics = (metric_at(group.metrics, spec.name, days) for spec in _IN_GROUPS)
            yield (level_label(group.level), n_stays, n_events, *map(_short_estimate, metrics))


def _every_count(counts: Sequence[int | None]) -> list[str]:
    """Return counts of simulated patients, of whom none is withheld."""
    return ["withheld" if count is None else f"{count:,}" for count in counts]


def _shown_counts(counts: Sequence[int | None]) -> list[str]:
    """Return counts that add up to a known total, withholding those that reveal a small cell."""
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
        f"Random-effects means over {by}s, with prediction intervals for a new {by}",
        (
            "Metric",
            "horizon (days)",
            f"{by}s",
            "mean (95 % interval)",
            "95 % prediction interval",
        ),
        tuple(
            (
                METRICS[mean.metric].label,
                f"{mean.horizon_days:g}",
                f"{mean.clusters}",
                estimate_text(mean),
                f"{mean.next_low:z.3f} to {mean.next_high:z.3f}".replace("-", "\N{MINUS SIGN}"),
            )
            for mean in pooled
        ),
        numbers=True,
    )
