"""The model card: what to know before believing a risk, drawn from the contract alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data_schema.variables import PATHWAYS
from models.wording import NOTICE
from training.figure_style import SMALLEST_CELL

__all__ = ["Section", "as_markdown", "model_card", "performance_table"]

_BETTER = {
    "auroc": "higher is better, 0.5 is chance",
    "auprc": "higher is better, the event rate is chance",
    "brier": "lower is better",
    "ipa": "higher is better, 0 is no better than the event rate",
    "oe_ratio": "1 is ideal",
    "calibration_intercept": "0 is ideal",
    "calibration_slope": "1 is ideal",
    "ici": "lower is better",
    "e50": "lower is better",
    "e90": "lower is better",
    "net_benefit": "higher is better, 0 is acting on nobody",
    "c_harrell": "higher is better, 0.5 is chance",
    "c_uno": "higher is better, 0.5 is chance",
    "ibs": "lower is better",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a card: sentences, then perhaps a table."""

    title: str
    sentences: tuple[str, ...]
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the section as a mapping."""
        return asdict(self)


def model_card(contract: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the card of a model that a training run made.

    Parameters
    ----------
    contract : mapping
        Of the bundle, with what `training.contract_facts` added.

    Returns
    -------
    tuple of Section
        No value of a patient is in it, and no count of fewer than `SMALLEST_CELL` patients.
    """
    return (
        _intended_use(contract),
        _patients(contract),
        _estimand(contract),
        _predictors(contract),
        _dropped(contract),
        _fit(contract),
        performance_table(
            "Performance on patients it did not learn from",
            contract["evaluation"]["metrics"],
            resamples=contract["evaluation"]["bootstrap_resamples"],
        ),
        _interval(contract),
        _explanation(),
        _limits(contract),
        _origin(contract),
    )


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return a card as Markdown.

    Parameters
    ----------
    title : str
    sections : sequence of Section

    Returns
    -------
    str
    """
    parts = [f"# {title}"]
    for section in sections:
        parts += [f"## {section.title}", *section.sentences]
        if section.rows:
            parts.append("\n".join(_markdown_rows(section)))
    return "\n\n".join(parts) + "\n"


def _markdown_rows(section: Section) -> Iterator[str]:
    for row in (section.header, ("---",) * len(section.header), *section.rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _intended_use(contract: Mapping[str, Any]) -> Section:
    simulated = ("It learned from simulated patients and says nothing about real ones.",)
    return Section(
        "Intended use",
        (
            NOTICE,
            f"{contract['name']} estimates, for a patient like those it learned from, the risk of "
            f"this outcome under current care: {contract['outcome_label'].lower()}. It is for "
            "studying what markers add to what is known of a patient, by people who can judge it.",
            *(simulated if contract["simulated"] else ()),
        ),
    )


def _patients(contract: Mapping[str, Any]) -> Section:
    training, evaluation = contract["training"], contract["evaluation"]
    return Section(
        "Patients",
        (f"{contract['population'].rstrip('.')}.", _HOW_SPLIT[evaluation["split"]]),
        ("", "learned from", "held out"),
        (
            ("patients", _count(training["patients"]), _count(evaluation["patients"])),
            ("stays", _count(training["stays"]), _count(evaluation["stays"])),
            (contract["event_label"], _count(training["events"]), _count(evaluation["events"])),
            ("refused by the model", "", _count(evaluation["refused"])),
        ),
    )


_HOW_SPLIT = {
    "patient": "Patients were held out at random, all stays of a patient on one side.",
    "site": "The last sites in the order of their names were held out, with all their patients.",
    "time": "The last patients in the order of their time zero were held out.",
}


def _estimand(contract: Mapping[str, Any]) -> Section:
    competing = "Nothing competes with the event, or it was not recorded."
    if contract["competing"]:
        shown = (
            "Its own curve is shown beside the risk and never alters it."
            if contract["competing_curve"]
            else "Too few patients had it for a curve of its own."
        )
        end = "competes: it is a known end without the event."
        competing = f"{contract['competing'].capitalize()} {end} {shown}"
    span = f"{contract['min_horizon_days']:g} to {contract['max_horizon_days']:g} days"
    if contract["fixed_horizon"]:
        span = "The outcome is known at this one horizon only"
    else:
        span = f"Any horizon from {span} can be asked for, on one non-decreasing curve"
    return Section(
        "Estimand",
        (
            f"Cumulative incidence of {contract['event_label']} within h days of time zero.",
            f"Time zero: {contract['time_zero']}.",
            f"Default horizons: {_days(contract['default_horizons_days'])}. {span}.",
            competing,
        ),
    )


def _predictors(contract: Mapping[str, Any]) -> Section:
    rows = []
    for key, label in PATHWAYS.items():
        members = [f for f in contract["features"] if f["pathway"] == key]
        if members:
            rows.append((label, "; ".join(map(_feature, members))))
    return Section(
        "Predictors",
        ("All are known at time zero; what was not measured is left missing, never filled in.",),
        ("pathway", "variables"),
        tuple(rows),
    )


def _feature(feature: Mapping[str, Any]) -> str:
    suffix = feature["name"].removeprefix(feature["variable"]).removeprefix("__")
    words = [feature["label"], f"({suffix})" if suffix else "", _unit(feature)]
    return " ".join(word for word in words if word)


def _unit(feature: Mapping[str, Any]) -> str:
    return f"[{feature['unit']}]" if feature["unit"] else ""


def _dropped(contract: Mapping[str, Any]) -> Section:
    if not contract["dropped"]:
        return Section("Columns left out", ("None.",))
    rows = tuple(sorted(contract["dropped"].items()))
    return Section("Columns left out", (), ("column", "reason"), rows)


def _fit(contract: Mapping[str, Any]) -> Section:
    training = contract["training"]
    weight = training["linear_weight"]
    losses = training["out_of_fold_log_loss"]
    return Section(
        "How it was fitted",
        (
            "Direct binomial regression of the cumulative incidence on patient-horizon pairs, "
            "weighted for censoring: a penalised logistic part and a boosted part on one scale.",
            f"The linear part has the weight {weight:.2f}, the boosted part {1 - weight:.2f} with "
            f"{training['trees']} trees: both chosen out of fold, by patient. "
            + ("The cohort is best described by the linear part. " if weight > 0.5 else ""),
            _follow_up(contract),
            "Out-of-fold log-loss per pair, lower is better: "
            + ", ".join(f"{part} {loss:.4f}" for part, loss in losses.items())
            + ".",
            "The model that was evaluated is the one that is registered: it learned from the "
            "training patients alone and was not fitted again on all.",
        ),
    )


def _follow_up(contract: Mapping[str, Any]) -> str:
    """Say whether patients were followed up alike, and where the model extrapolates."""
    follow_up = contract["training"]["follow_up"]
    if follow_up["strata"] == 1:
        return "Nothing known at time zero told apart how long patients were followed up."
    extrapolated = [
        f"{share:.0%} at {days:g} days"
        for days, share in zip(
            contract["default_horizons_days"], follow_up["not_observed_so_long"], strict=True
        )
        if share
    ]
    return (
        f"Censoring was weighed in {follow_up['strata']} strata of follow-up, told apart by what "
        "is known at time zero. "
        + (
            f"Patients whose stratum was not observed so long: {', '.join(extrapolated)}; what is "
            "said of them there is read off the others."
            if extrapolated
            else "Each was observed up to every default horizon."
        )
    )


def performance_table(
    title: str, metrics: Sequence[Mapping[str, Any]], *, resamples: int
) -> Section:
    """Return every metric with its interval and how it is read.

    Parameters
    ----------
    title : str
    metrics : sequence of mappings
        Entries of metric, horizon_days, estimate, low and high, with a note where undefined.
    resamples : int
        Bootstrap resamples of the patients.

    Returns
    -------
    Section
    """
    rows = tuple(
        (
            metric["metric"],
            "all" if metric["horizon_days"] is None else f"{metric['horizon_days']:g}",
            _figure(metric),
            _BETTER[metric["metric"]],
        )
        for metric in metrics
    )
    return Section(
        title,
        (
            f"Estimates with 95 % intervals from {resamples} bootstrap resamples of patients. "
            "Calibration is told by oe_ratio (observed over expected), calibration_intercept, "
            "calibration_slope and the distances ici, e50 and e90; net_benefit is at the observed "
            "event rate.",
        ),
        ("metric", "horizon (days)", "estimate (95 % interval)", "reading"),
        rows,
    )


def _figure(metric: Mapping[str, Any]) -> str:
    if metric["estimate"] is None:
        return str(metric["note"])
    if metric["low"] is None:
        return f"{metric['estimate']:.3f} (no interval: {metric['note']})"
    return f"{metric['estimate']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def _interval(contract: Mapping[str, Any]) -> Section:
    interval = contract["interval"]
    return Section(
        "Interval of a risk",
        (f"{interval['level']:.0%}, by {interval['kind']}.", interval["guarantee"]),
    )


def _explanation() -> Section:
    return Section(
        "Explanation of a risk",
        (
            "Contributions are exact SHAP values of the model in log-odds, and in points of risk "
            "(100 points are 100 %). They say what raised or lowered the estimate against the "
            "model's reference, never what would change the outcome.",
            "The points, with that of the running maximum, sum to 100 times the risk minus the "
            "baseline risk. The baseline is a reference and not the average patient, whose risk is "
            "given beside it. A pathway is the sum of its measured variables; what was not "
            "measured is one sum apart.",
            "A treatment marks the patient; its contribution is not the drug's effect.",
        ),
    )


def _limits(contract: Mapping[str, Any]) -> Section:
    codes = ", ".join(rule["code"] for rule in contract["guard"]["special"])
    return Section(
        "Limits",
        (
            "It refuses patients under 18, pregnancy, values outside the plausible range, patients "
            "with too little measured and combinations unlike any it learned from. It warns of "
            f"values beyond the training cohort, unknown categories and of: {codes}.",
            "It has not been validated on other patients than those above. Before use elsewhere, "
            "evaluate it there (osteon evaluate).",
        ),
    )


def _origin(contract: Mapping[str, Any]) -> Section:
    provenance = contract["provenance"]
    rows = (
        ("revision of the code", provenance["git_revision"] or "not run from a checkout"),
        ("all patients (SHA-256)", provenance["data_fingerprint"]),
        ("training patients (SHA-256)", provenance["training_fingerprint"]),
        ("held-out patients (SHA-256)", contract["evaluation"]["cohort_fingerprint"]),
        ("seed", str(contract["run"]["seed"])),
        *provenance["versions"].items(),
    )
    return Section("Origin", (), ("", ""), rows)


def _count(number: int) -> str:
    """Return a count of patients, unless it is so small that it might point to someone."""
    return (
        f"{number:,}" if number == 0 or number >= SMALLEST_CELL else f"fewer than {SMALLEST_CELL}"
    )


def _days(days: Sequence[float]) -> str:
    return ", ".join(f"{day:g}" for day in days) + " days"
