"""The report of an update: what changed, and old and new version in the same patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from data_schema.disclosure import shown_count
from models.fitting.recalibration import ClosedTest, SiteLevels
from models.inference.contract import Contract, ModelUpdate
from models.metrics.catalogue import METRICS
from models.metrics.comparison.paired_changes import Change
from models.metrics.metric import metric_at, primary_horizon
from training.report.assembling import Pictures, ReportPage, assemble_report
from training.report.content import Section, Table
from training.report.figures.model_figures import FigureContext, ReportFigure, evaluation_figures
from training.report.performance import estimate_text
from training.validation.judgement import Judgement
from training.validation.predictions import Predictions

__all__ = ["RefitFacts", "UpdateFindings", "tested_sentence", "write_update_report"]

_RESAMPLES = 200
_PAIRED = ("auroc", "brier", "ipa", "net_benefit")
_METHODS = {
    "intercept": "The level of the risks was fitted; their spread was left as it is.",
    "slope": "The level and the spread of the risks were fitted.",
    "site": "The level of the risks was fitted, and that of each site, shrunk towards all sites.",
    "refit": "The whole model was fitted anew to the patients of that version and these together.",
}
_SUFFICES = {"none": "the model as it is", "intercept": "a new level alone"}


@dataclass(frozen=True, slots=True)
class RefitFacts:
    """What a refit learned from beside the new patients, and what it changes in these.

    Parameters
    ----------
    old_patients, in_both : int
        Patients of the version before, and those among them that the new cohort holds, too.
    against_old, against_smaller : tuple of Change
        Paired changes in the new patients alone, out of fold, against the version before and
        against the closed test's choice.
    smaller : {"none", "intercept", "slope"}
        That choice.
    """

    old_patients: int
    in_both: int
    against_old: tuple[Change, ...]
    smaller: Literal["none", "intercept", "slope"]
    against_smaller: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class UpdateFindings:
    """Everything that the report of an update shows; pairs hold the old and the new version.

    Parameters
    ----------
    name : str
        Registered name.
    contract : Contract
        Of the updated model.
    sites : SiteLevels or None
        None unless the update is by site.
    predictions : pair of Predictions
        In the local patients: of the version updated, and of the update out of fold.
    judgements : pair of Judgement
        Of these predictions.
    refit : RefitFacts or None
        None unless the update is a refit.
    """

    name: str
    contract: Contract
    update: ModelUpdate
    tested: ClosedTest
    sites: SiteLevels | None
    predictions: tuple[Predictions, Predictions]
    judgements: tuple[Judgement, Judgement]
    refit: RefitFacts | None = None


def write_update_report(findings: UpdateFindings) -> ReportPage:
    """Return the report of an update on one page."""
    days = primary_horizon(findings.predictions[0].horizons_days, findings.judgements[0].metrics)
    return assemble_report(
        findings.name,
        f"Update of version {findings.update.of_version} to local patients",
        list(_figures(findings, days)),
        lambda pictures: _sections(findings, pictures),
        simulated=findings.contract.simulated or findings.update.simulated,
    )


def _figures(findings: UpdateFindings, days: float) -> Iterator[ReportFigure]:
    """Yield the calibration of the old and of the new version at the primary horizon."""
    simulated = findings.contract.simulated or findings.update.simulated
    context = FigureContext(findings.contract.event_singular, simulated)
    for which, predictions in zip(("before", "after"), findings.predictions, strict=True):
        alone = replace(predictions, curve_days=None)
        for figure in evaluation_figures(
            alone, [days], context=context, n_bootstrap=_RESAMPLES, random_state=0
        ):
            yield replace(
                figure,
                name=f"{figure.name}_{which}",
                caption=f"{which.capitalize()} the update. {figure.caption}",
            )


def _sections(findings: UpdateFindings, pictures: Pictures) -> tuple[Section, ...]:
    if findings.refit is not None:
        return _refit_sections(findings, findings.refit, pictures)
    update, tables = findings.update, [_numbers(findings)]
    if findings.sites is not None:
        tables.append(_site_table(findings.sites))
    return (
        Section(
            "The update",
            (
                f"Version {update.of_version} (bundle {update.of_sha256[:12]}) was updated to "
                f"{shown_count(update.patients)} local patients with {shown_count(update.events)} "
                f"{findings.contract.event_label}. {_METHODS[update.method]}",
                tested_sentence(findings.tested),
                "The new version holds these numbers and no row of a patient. Its intervals "
                "include the sampling error of the update.",
            ),
            tables=tuple(tables),
        ),
        Section(
            "Old and new version in the same patients",
            (
                "The old version learned nothing from these patients. The new version is judged "
                "out of fold: each patient by an update that was fitted to the others.",
            ),
            tables=(_comparison(findings),),
            pictures=tuple(pictures.get("calibration", ())),
        ),
    )


def _refit_sections(
    findings: UpdateFindings, refit: RefitFacts, pictures: Pictures
) -> tuple[Section, ...]:
    """Return the report of a refit to old and new patients together."""
    update, event = findings.update, findings.contract.event_label
    judged = findings.predictions[1]
    both = (
        f"{shown_count(refit.in_both)} patients are in both cohorts: the refit learns from them, "
        "each stay once, and neither version is judged on them."
        if refit.in_both
        else "No patient is in both cohorts, by identifier."
    )
    return (
        Section(
            "The update",
            (
                f"Version {update.of_version} (bundle {update.of_sha256[:12]}) had learned from "
                f"{shown_count(refit.old_patients)} patients. {_METHODS['refit']} The new cohort "
                f"has {shown_count(update.patients)} patients with {shown_count(update.events)} "
                f"{event}. {both}",
                tested_sentence(findings.tested),
                "A refit is chosen where its Brier score is lower than that of the closed test's "
                "choice, by an interval below 0 at some horizon and at no horizon a higher "
                "estimate; otherwise it was stated by the user.",
            ),
            tables=(
                _changes("Change by the refit against the version before", refit.against_old),
                *(
                    ()
                    if refit.smaller == "none"
                    else (
                        _changes(
                            f"Change by the refit against an update by {refit.smaller}",
                            refit.against_smaller,
                        ),
                    )
                ),
            ),
        ),
        Section(
            "Old and new version in the same patients",
            (
                f"Both are judged on the {shown_count(judged.patients)} new patients whom the old "
                "version did not learn from. The new version is judged out of fold: each patient "
                "by a fit to all old and the other new patients, with every choice made anew.",
            ),
            tables=(_comparison(findings),),
            pictures=tuple(pictures.get("calibration", ())),
        ),
    )


def _changes(caption: str, changes: tuple[Change, ...]) -> Table:
    """Return paired changes of the main metrics at each horizon."""
    horizons = list(dict.fromkeys(change.horizon_days for change in changes))

    def cell(name: str, days: float) -> str:
        of = next((c for c in changes if (c.metric, c.horizon_days) == (name, days)), None)
        if of is None or of.change != of.change:
            return "not known"
        return f"{of.change:+.4f} ({of.low:+.4f} to {of.high:+.4f})".replace("-", "\N{MINUS SIGN}")

    return Table(
        f"{caption}, paired, with 95 % intervals",
        ("Metric (direction, reference value)", *(f"{days:g} days" for days in horizons)),
        tuple(
            (
                f"{METRICS[name].label}: {METRICS[name].reading}",
                *(cell(name, days) for days in horizons),
            )
            for name in _PAIRED
            if any(change.metric == name for change in changes)
        ),
        notes=(
            "Ranking is compared among patients of the same fold, by fits of one kind, so that its "
            "change need not be the difference of the areas of all patients below.",
        ),
        numbers=True,
    )


def tested_sentence(tested: ClosedTest) -> str:
    """Return which update the closed test supports, and by which tests.

    Examples
    --------
    >>> from models.fitting.recalibration import UpdateTest
    >>> tested_sentence(ClosedTest("none", (UpdateTest("none", 3.2, 4, 0.53),)))
    'The closed test supports no update (that the model as it is suffices: p = 0.53).'
    """
    chosen = {"none": "no update", "intercept": "a new level", "slope": "a new level and spread"}
    tests = "; ".join(
        f"that {_SUFFICES[test.suffices]} suffices: p {_p(test.p)}" for test in tested.tests
    )
    return f"The closed test supports {chosen[tested.chosen]} ({tests})."


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2f}" if p >= 0.01 else f"= {p:.3f}"


def _numbers(findings: UpdateFindings) -> Table:
    """Return the shift at each horizon, and the slope."""
    update = findings.update
    shifts = zip(update.horizons_days, update.shift, strict=True)
    return Table(
        "What the update changed, in log-odds",
        ("Number", "value"),
        (
            *((f"added at {days:g} days", f"{shift:+.3f}") for days, shift in shifts),
            ("multiplied by", f"{update.slope:.3f}"),
        ),
    )


def _site_table(sites: SiteLevels) -> Table:
    return Table(
        "Level of each site beside all, shrunk, in log-odds",
        ("Site", "level", "standard error"),
        tuple(
            (site, f"{shift:+.3f}", f"{sites.variance[site] ** 0.5:.3f}")
            for site, shift in sites.shift.items()
        ),
        notes=(
            f"Standard deviation between sites: {sites.between**0.5:.3f}. A patient of any other "
            "site gets the mean of all, with that uncertainty.",
        ),
    )


def _comparison(findings: UpdateFindings) -> Table:
    """Return every metric of the old and of the new version."""
    old, new = (judgement.metrics for judgement in findings.judgements)
    horizons = (*findings.predictions[0].horizons_days, None)
    labels = {name: f"{spec.label}: {spec.reading}" for name, spec in METRICS.items()}
    rows: list[tuple[str, ...]] = []
    for days in horizons:
        of_days = [metric.metric for metric in old if metric.horizon_days == days]
        rows += [("The whole follow-up" if days is None else f"{days:g} days",)] if of_days else []
        rows += [
            (labels[name], *(estimate_text(metric_at(of, name, days)) for of in (old, new)))
            for name in of_days
        ]
    version = findings.update.of_version
    return Table(
        "Every metric with its 95 % interval",
        ("Metric (direction, reference value)", f"version {version}", "updated"),
        tuple(rows),
    )
