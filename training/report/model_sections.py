"""What to know of a model before believing a risk, drawn from its contract alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_schema.disclosure import SMALLEST_CELL, shown_count
from data_schema.printed_units import printed_unit
from data_schema.variables import BELOW, PATHWAYS
from models.inference.contract import Contract, Feature
from models.inference.records import json_of
from models.wording import NOTICE
from training.report.content import Section, Table

__all__ = [
    "HOW_SPLIT",
    "columns_left_out",
    "estimand",
    "explanation_of_a_risk",
    "how_it_was_fitted",
    "intended_use",
    "interval_of_a_risk",
    "limits",
    "patient_counts",
    "predictors",
    "provenance",
]


def intended_use(contract: Contract) -> Section:
    """Return what the model is for, and what not."""
    simulated = ("It learned from simulated patients and says nothing about real ones.",)
    return Section(
        "Intended use",
        (
            NOTICE,
            f"{contract.name} estimates, for a patient like those it learned from, the risk of "
            f"this outcome under current care: {contract.outcome_label.lower()}. It is for "
            "studying what markers add to what is known of a patient, by people who can judge it.",
            *(simulated if contract.simulated else ()),
        ),
    )


def patient_counts(contract: Contract) -> Section:
    """Return how many patients it learned from and was evaluated on."""
    training, evaluation = contract.training, contract.evaluation
    assert evaluation is not None  # a training run adds it
    stays, events = (
        _counts(training.stays, evaluation.stays),
        _counts(training.events, evaluation.events),
    )
    return Section(
        "Patients",
        (f"{contract.population.rstrip('.')}.", HOW_SPLIT[evaluation.split]),
        (
            Table(
                "Patients of the run",
                ("", "learned from", "held out"),
                (
                    (
                        "patients",
                        shown_count(training.patients),
                        _answered(evaluation.patients, evaluation.refused),
                    ),
                    ("stays", *stays),
                    (contract.event_label, *events),
                    ("refused by the model", "", shown_count(evaluation.refused)),
                ),
            ),
        ),
    )


HOW_SPLIT = {
    "patient": "Patients were held out at random, all stays of a patient on one side.",
    "site": "The last sites in the order of their names were held out, with all their patients.",
    "time": "The last patients in the order of their time zero were held out.",
}


def _answered(patients: int, refused: int) -> str:
    """Return patients who were answered, unless beside all stays that tells of a few refused."""
    if 0 < refused < SMALLEST_CELL:
        return f"all but fewer than {SMALLEST_CELL}"
    return shown_count(patients)


def _counts(*numbers: int) -> tuple[str, ...]:
    return tuple(map(shown_count, numbers))


def estimand(contract: Contract) -> Section:
    """Return what exactly a risk is a risk of."""
    competing = "Nothing competes with the event, or it was not recorded."
    if contract.competing:
        shown = (
            "Its own curve is shown beside the risk and never alters it."
            if contract.competing_curve
            else "Too few patients had it for a curve of its own."
        )
        end = "competes: it is a known end without the event."
        competing = f"{contract.competing.capitalize()} {end} {shown}"
    least, most = contract.min_horizon_days, contract.max_horizon_days
    span = f"{'under 1' if least < 1 else f'{least:.0f}'} to {most:,.0f} days"
    if contract.fixed_horizon:
        span = "The outcome is known at this one horizon only"
    else:
        span = f"Any horizon from {span} can be asked for, on one non-decreasing curve"
    return Section(
        "Estimand",
        (
            f"Cumulative incidence of {contract.event_label} within h days of time zero.",
            f"Time zero: {contract.time_zero}.",
            f"Default horizons: {_days(contract.default_horizons_days)}. {span}.",
            competing,
        ),
    )


def predictors(contract: Contract) -> Section:
    """Return what the model reads, by pathway."""
    rows = []
    for key, label in PATHWAYS.items():
        members = [f for f in contract.features if f.pathway == key]
        if members:
            rows.append((label, "; ".join(map(_feature, members))))
    return Section(
        "Predictors",
        (
            "All are known at time zero. What was not measured is a state of its own: the boosted "
            "part takes it as missing, the linear part takes a flag beside the average value.",
        ),
        (Table("Predictors by pathway", ("pathway", "variables"), tuple(rows)),),
    )


def _feature(feature: Feature) -> str:
    suffix = feature.name.removeprefix(feature.variable).removeprefix("__")
    suffix = "below its detection limit" if suffix == BELOW else suffix
    words = [feature.label, f"({suffix})" if suffix else "", _unit(feature)]
    return " ".join(word for word in words if word)


def _unit(feature: Feature) -> str:
    printed = printed_unit(feature.unit)
    return f"[{printed}]" if printed else ""


def columns_left_out(dropped: Mapping[str, str]) -> Section:
    """Return which columns of the data are no predictors, and why."""
    if not dropped:
        return Section("Columns left out", ("None.",))
    rows = tuple(sorted(dropped.items()))
    table = Table("Columns of the data that are no predictors", ("column", "reason"), rows)
    return Section("Columns left out", tables=(table,))


def how_it_was_fitted(contract: Contract) -> Section:
    """Return what kind of model it is and how its parts were chosen."""
    training = contract.training
    weight = training.linear_weight
    losses = json_of(training.out_of_fold_log_loss)
    return Section(
        "How it was fitted",
        (
            "Direct binomial regression of the cumulative incidence on patient-horizon pairs, "
            "weighted for censoring: a penalised logistic part and a boosted part on one scale.",
            f"The linear part has the weight {weight:.2f}, the boosted part {1 - weight:.2f} with "
            f"{training.trees} trees: both chosen out of fold, by patient. "
            + ("The cohort is best described by the linear part. " if weight > 0.5 else ""),
            _follow_up(contract),
            "Out-of-fold log-loss per pair, lower is better: "
            + ", ".join(f"{part} {loss:.4f}" for part, loss in losses.items())
            + ".",
            "The model that was evaluated is the one that is registered: it learned from the "
            "training patients alone and was not fitted again on all.",
        ),
    )


def _follow_up(contract: Contract) -> str:
    """Say whether patients were followed up alike, and where the model extrapolates."""
    follow_up = contract.training.follow_up
    if follow_up.strata == 1:
        return "Nothing known at time zero told apart how long patients were followed up."
    extrapolated = [
        f"{share:.0%} at {days:g} days"
        for days, share in zip(
            contract.default_horizons_days, follow_up.not_observed_so_long, strict=True
        )
        if share
    ]
    return (
        f"Censoring was weighed in {follow_up.strata} strata of follow-up, told apart by what "
        "is known at time zero. "
        + (
            f"Patients whose stratum was not observed so long: {', '.join(extrapolated)}; what is "
            "said of them there is read off the others."
            if extrapolated
            else "Each was observed up to every default horizon."
        )
    )


def interval_of_a_risk(contract: Contract) -> Section:
    """Return what the interval of a risk promises."""
    interval = contract.interval
    return Section(
        "Interval of a risk",
        (f"{100 * interval.level:g} %, by {interval.kind}.", interval.guarantee),
    )


def explanation_of_a_risk() -> Section:
    """Return how contributions are to be read."""
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


def limits(contract: Contract, *, external: bool = False) -> Section:
    """Return whom it refuses, and where it has not been tried."""
    special = [case.message for case in contract.guard.special]
    tried = (
        "It was evaluated here on patients that its training run did not have; elsewhere it has "
        "not been tried."
        if external
        else "It has not been validated on other patients than those above."
    )
    return Section(
        "Limits",
        (
            "It refuses patients under 18, pregnancy, values outside the plausible range, patients "
            "with too little measured and combinations unlike any it learned from. It warns of "
            "values beyond the training cohort and of unknown categories.",
            *(["It also warns, where it applies: " + " ".join(special)] if special else []),
            f"{tried} Before use elsewhere, evaluate it there (osteon evaluate).",
        ),
    )


def provenance(contract: Contract, *, evaluated_fingerprint: str) -> Section:
    """Return where the model and the patients come from."""
    origin, evaluation = contract.provenance, contract.evaluation
    assert origin is not None  # a training run adds both
    assert evaluation is not None
    held_out = evaluation.cohort_fingerprint
    others = (("evaluated patients (SHA-256)", evaluated_fingerprint),)
    rows = (
        ("revision of the code", origin.git_revision or "not run from a checkout"),
        ("all patients of the run (SHA-256)", origin.data_fingerprint),
        ("training patients (SHA-256)", origin.training_fingerprint),
        ("held-out patients (SHA-256)", held_out),
        *(others if evaluated_fingerprint != held_out else ()),
        ("seed", str(contract.training.seed)),
        *origin.versions.items(),
    )
    table = Table("Where the model and the patients come from", ("what", "which"), rows)
    return Section("Provenance", tables=(table,))


def _days(days: Sequence[float]) -> str:
    return ", ".join(f"{day:g}" for day in days) + " days"
