"""The pages of `osteon validate` and `osteon pool`: updates, case mix, and sites side by side."""

from __future__ import annotations

from collections.abc import Iterator

from data_schema.disclosure import shown_count
from models.inference.contract import Contract
from models.metrics.catalogue import METRICS, Direction
from models.metrics.metric import Metric, metric_at
from models.metrics.pooling import Pooled
from training.plots.comparison import Estimate, plot_estimates
from training.report.assembling import Pictures, ReportPage, assemble_report
from training.report.content import Section, Table
from training.report.figures.model_figures import ReportFigure
from training.report.performance import estimate_text
from training.report.update_report import tested_sentence
from training.validation.case_mix import CaseMix
from training.validation.external import ExternalValidation
from training.validation.sharing import PooledValidation
from training.validation.updates import JudgedUpdates, UpdateName

__all__ = ["group_figures", "pooled_page", "validation_page"]

_NAMES: dict[UpdateName, str] = {
    "none": "as it is",
    "intercept": "intercept updated",
    "slope": "intercept and slope updated",
    "refit": "refitted to these patients alone",
}
_SHOWN = ("auroc", "oe_ratio", "calibration_slope", "ici", "brier", "ipa", "net_benefit")
_IDEAL = {Direction.ONE: 1.0, Direction.ZERO: 0.0}


def validation_page(validation: ExternalValidation) -> ReportPage:
    """Return what updates would gain, and how the patients differ, on one page."""
    evaluation = validation.evaluation
    contract = evaluation.loaded.risk_model.contract
    return assemble_report(
        evaluation.loaded.name,
        f"External validation of version {evaluation.loaded.version or 'unregistered'}"
        + (f" at {validation.site}" if validation.site else ""),
        group_figures(validation),
        lambda pictures: _sections(validation, pictures),
        simulated=contract.simulated or evaluation.cohort.simulated,
    )


def group_figures(validation: ExternalValidation) -> list[ReportFigure]:
    """Return the area under the curve of each group beside what its case mix promises."""
    days = validation.primary_horizon_days
    evaluation = validation.evaluation
    rows = []
    for group in evaluation.judgement.subgroups:
        area = metric_at(group.metrics, "auroc", days)
        if area is not None and area.has_interval:
            rows.append(
                Estimate(f"{group.grouping}: {group.level}", area.estimate, area.low, area.high)
            )
    if not rows:
        return []
    simulated = evaluation.loaded.risk_model.contract.simulated or evaluation.cohort.simulated
    figure = plot_estimates(
        rows,
        title=f"Discrimination by group at {days:g} days",
        axis_label="Area under the ROC curve",
        simulated=simulated,
        reference=0.5,
        reference_label="chance",
    )
    caption = (
        f"Area under the ROC curve of each group at {days:g} days, with 95 % intervals. Groups are "
        "many, so that the lowest area is low by chance."
    )
    return [ReportFigure("groups_forest", "validation", caption, caption, figure)]


def _sections(validation: ExternalValidation, pictures: Pictures) -> tuple[Section, ...]:
    predictions = validation.evaluation.predictions
    contract = validation.evaluation.loaded.risk_model.contract
    return (
        Section(
            "Patients",
            (
                f"{shown_count(predictions.patients)} patients with "
                f"{shown_count(predictions.events)} {contract.event_label}.",
                validation.evaluation.overlap.sentence
                or "The model learned from none of these patients.",
            ),
        ),
        _updates_section(validation.updates, predictions.horizons_days),
        _case_mix_section(validation, contract, pictures),
    )


def _updates_section(updates: JudgedUpdates, horizons_days: tuple[float, ...]) -> Section:
    """Return the updates side by side, with what each gains."""
    tables = []
    for days in horizons_days:
        rows = [
            (
                f"{METRICS[name].label}: {METRICS[name].reading}",
                *(
                    _or_note(metric_at(one.metrics, name, days), one.note)
                    for one in updates.updates
                ),
            )
            for name in _SHOWN
        ]
        gains = [
            (
                f"Change in {METRICS[name].label.lower()} against the model as it is",
                *(
                    next(
                        (
                            f"{change.change:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
                            for change in one.gains
                            if (change.metric, change.horizon_days) == (name, days)
                        ),
                        "",
                    )
                    for one in updates.updates
                ),
            )
            for name in ("brier", "auroc", "net_benefit")
        ]
        tables.append(
            Table(
                f"Updates at {days:g} days, with 95 % intervals",
                ("Metric", *(_NAMES[one.method] for one in updates.updates)),
                (*rows, ("What each would gain, paired",), *gains),
            )
        )
    tested = (
        "Too few outcomes are known for the closed test."
        if updates.tested is None
        else tested_sentence(updates.tested)
    )
    return Section(
        "What an update would gain",
        (
            "Updates and refit are judged out of fold: each patient by one that was fitted to the "
            "others. A refit has patients of this cohort alone.",
            tested,
            f"With the refit among the candidates, the choice is: {_NAMES[updates.chosen]}.",
        ),
        tables=tuple(tables),
    )


def _or_note(metric: Metric | None, note: str) -> str:
    return note if metric is None else estimate_text(metric)


def _case_mix_section(
    validation: ExternalValidation, contract: Contract, pictures: Pictures
) -> Section:
    membership = validation.membership_auroc
    told_apart = (
        "The bundle describes too few numbers for a membership model."
        if membership is None
        else "A regression on the numbers of the model tells these patients from the training "
        f"cohort's with an area under the curve of {membership:.2f} (0.5: alike; 1: nothing in "
        "common). Training patients are drawn from the bundle's quantiles and correlations."
    )
    return Section(
        "Case mix",
        (
            told_apart,
            "The expected area under the curve is what the risks promise if they are right: a "
            "seen area below it is a fault of the model, a low expected one a mix of similar "
            "patients.",
        ),
        tables=(_mix_table(validation.case_mix, validation), _group_table(validation)),
        pictures=tuple(pictures.get("validation", ())),
    )


def _mix_table(mixes: tuple[CaseMix, ...], validation: ExternalValidation) -> Table:
    metrics = validation.evaluation.judgement.metrics
    return Table(
        "Log-odds of the risks here and in the training cohort",
        (
            "Horizon (days)",
            "mean here",
            "mean in training",
            "standard deviation here",
            "in training",
            "expected area",
            "seen area",
        ),
        tuple(
            (
                f"{mix.horizon_days:g}",
                _number(mix.mean_log_odds),
                _number(mix.training_mean_log_odds),
                _number(mix.spread_log_odds),
                _number(mix.training_spread_log_odds),
                _number(mix.expected_auroc),
                estimate_text(metric_at(metrics, "auroc", mix.horizon_days)),
            )
            for mix in mixes
        ),
        numbers=True,
    )


def _group_table(validation: ExternalValidation) -> Table:
    days = validation.primary_horizon_days
    return Table(
        f"Groups at {days:g} days: the area seen, adjusted for case mix",
        ("Group", "seen area", "expected area", "difference"),
        tuple(
            (
                f"{group.grouping}: {group.level}",
                _number(group.auroc),
                _number(group.expected_auroc),
                f"{group.difference:+.3f}".replace("-", "\N{MINUS SIGN}"),
            )
            for group in validation.groups
            if group.horizon_days == days
        ),
        numbers=True,
    )


def _number(value: float) -> str:
    return "not known" if value != value else f"{value:z.3f}".replace("-", "\N{MINUS SIGN}")


def pooled_page(pooled: PooledValidation) -> ReportPage:
    """Return forest plots of every pooled metric, and the sites, on one page."""
    first = pooled.sites[0]
    return assemble_report(
        first.model_name,
        f"Version {first.model_version} at {len(pooled.sites)} sites, pooled",
        list(_forests(pooled)),
        lambda pictures: (
            _sites_section(pooled),
            Section(
                "Pooled figures",
                (
                    "Random-effects means by restricted maximum likelihood, intervals by Hartung "
                    "and Knapp. The prediction interval is where the figure of a new site would "
                    "lie.",
                ),
                tables=(_pooled_table(pooled),),
                pictures=tuple(pictures.get("validation", ())),
            ),
        ),
        simulated=any(site.simulated for site in pooled.sites),
    )


def _forests(pooled: PooledValidation) -> Iterator[ReportFigure]:
    """Yield a forest plot for each pooled metric and horizon."""
    for mean in pooled.pooled:
        days = mean.horizon_days
        assert days is not None  # only metrics of a horizon are pooled
        spec = METRICS[mean.metric]
        rows = [
            Estimate(site, metric.estimate, metric.low, metric.high)
            for site, metric in pooled.at_sites(mean.metric, days)
        ]
        rows += [
            Estimate("All sites", heading=True),
            Estimate("Random-effects mean", mean.estimate, mean.low, mean.high),
            Estimate("A new site (95 % prediction)", mean.estimate, mean.next_low, mean.next_high),
        ]
        figure = plot_estimates(
            rows,
            title=f"{spec.label} at {days:g} days",
            axis_label=spec.label,
            simulated=any(site.simulated for site in pooled.sites),
            reference=_IDEAL.get(spec.direction, 0.5),
            reference_label="ideal" if spec.direction in _IDEAL else "chance",
        )
        caption = (
            f"{spec.label} at {days:g} days by site, with 95 % intervals, the random-effects mean, "
            "and the prediction interval for a new site."
        )
        yield ReportFigure(
            f"forest_{mean.metric}_{days:g}d", "validation", caption, caption, figure
        )


def _sites_section(pooled: PooledValidation) -> Section:
    return Section(
        "Sites",
        ("Each site gave aggregates alone; counts of few patients are withheld.",),
        tables=(
            Table(
                "Sites",
                ("Site", "patients", "events"),
                tuple(
                    (site.site, shown_count(site.patients), shown_count(site.events))
                    for site in pooled.sites
                ),
                numbers=True,
            ),
        ),
    )


def _pooled_table(pooled: PooledValidation) -> Table:
    return Table(
        "Random-effects means over sites",
        (
            "Metric",
            "horizon (days)",
            "sites",
            "mean (95 % interval)",
            "95 % prediction interval",
            "standard deviation between sites",
        ),
        tuple(map(_pooled_row, pooled.pooled)),
        numbers=True,
    )


def _pooled_row(mean: Pooled) -> tuple[str, ...]:
    return (
        METRICS[mean.metric].label,
        f"{mean.horizon_days:g}",
        f"{mean.clusters}",
        estimate_text(mean),
        f"{mean.next_low:z.3f} to {mean.next_high:z.3f}".replace("-", "\N{MINUS SIGN}"),
        f"{mean.tau:.3f}",
    )
