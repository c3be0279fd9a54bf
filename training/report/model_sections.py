"""What to know of a model before relying on a risk: sections written from its contract alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_schema.disclosure import shown_count
from data_schema.printed_units import printed_unit
from data_schema.variables import BELOW, PATHWAYS
from models.inference.contract import Contract, Evaluation, Feature
from models.inference.records import json_of
from models.model_summary import clinical_use
from models.wording import MISSING_VALUES, NOTICE
from training.report.content import Section, Table
from training.report.limited_deaths import limited_deaths_sentence
from training.report.tuned_settings import tuned_settings
from training.validation.limited_deaths import LimitedDeaths

__all__ = [
    "competing_sentence",
    "estimand",
    "excluded_columns",
    "explanation_of_a_risk",
    "how_judged",
    "intended_use",
    "interval_of_a_risk",
    "limitations",
    "model_development",
    "patient_counts",
    "predictors",
    "provenance",
    "provenance_section",
]

_SPLITS = {
    "patient": "Patients were held out at random, with all stays of a patient on the same side.",
    "site": "The last sites in the order of their names were held out, with all their patients.",
    "time": "The last patients in the order of their time zero were held out.",
}


def how_judged(evaluation: Evaluation) -> str:
    """Return which patients were judged by models of which others."""
    if evaluation.method == "hold-out":
        return _SPLITS[evaluation.split]
    again = (
        f"; this was repeated {evaluation.repeats} times with other folds"
        if evaluation.repeats > 1
        else ""
    )
    return (
        f"Every patient was judged by a model of other patients: {evaluation.folds} folds of "
        f"patients, with all stays of a patient in one fold, each judged by a model fitted to the "
        f"others{again}."
    )


def intended_use(contract: Contract) -> Section:
    """Return what the model is for, and what it is not for."""
    simulated = ("It was trained on simulated patients; its risks do not apply to real patients.",)
    return Section(
        "Intended use",
        (
            NOTICE,
            f"{contract.name} estimates the risk of {contract.event_singular} under current care "
            f"for patients like those it was trained on. Outcome: {contract.outcome_label}. It is "
            "intended for research into what markers add to other information about a patient, "
            "with results interpreted by clinicians and statisticians.",
            clinical_use(contract),
            *(simulated if contract.simulated else ()),
        ),
    )


def patient_counts(contract: Contract) -> Section:
    """Return how many patients the model was trained on and evaluated in."""
    training, evaluation = contract.training, contract.evaluation
    assert evaluation is not None  # set by the training run
    counts = (
        ("patients", training.patients, evaluation.patients),
        ("stays", training.stays, evaluation.stays),
        (contract.event_label, training.events, evaluation.events),
    )
    return Section(
        "Patients",
        (f"{contract.population.rstrip('.')}.", how_judged(evaluation)),
        (
            Table(
                "Patients of the training run",
                ("", "learned from", "judged out of fold")
                if evaluation.method == "cross-validation"
                else ("", "learned from", "held out"),
                (
                    *((label, shown_count(n), shown_count(m)) for label, n, m in counts),
                    ("refused by the model", "", shown_count(evaluation.refused)),
                ),
            ),
        ),
    )


def estimand(contract: Contract) -> Section:
    """Return the estimand: event, time zero, horizons and competing event."""
    curve = ""
    if contract.competing:
        curve = (
            " Its cumulative incidence is shown beside the risk and never alters it."
            if contract.competing_curve
            else " Too few patients had it for a cumulative incidence of its own."
        )
    least, most = contract.min_horizon_days, contract.max_horizon_days
    horizons = (
        "The outcome is known at this one horizon only"
        if contract.fixed_horizon
        else f"Any horizon from {'under 1' if least < 1 else f'{least:.0f}'} to {most:,.0f} days "
        "can be requested; the risk never falls as the horizon grows"
    )
    return Section(
        "Estimand",
        (
            f"Cumulative incidence of {contract.event_singular} within h days of time zero.",
            f"Time zero: {contract.time_zero}.",
            f"Default horizons: {_days(contract.default_horizons_days)}. {horizons}.",
            competing_sentence(contract.competing, is_death=contract.is_death) + curve,
        ),
    )


def competing_sentence(competing: str | None, *, is_death: bool) -> str:
    """Return which event competes with the outcome, and how it is treated."""
    if competing:
        return (
            f"{competing.capitalize()} is a competing event: thereafter the outcome can no longer "
            "occur, and the patient is not censored."
        )
    if is_death:
        return "Death has no competing event."
    return "There is no competing event, or none was recorded."


def predictors(contract: Contract) -> Section:
    """Return what the model reads, by pathway."""
    rows = []
    for key, label in PATHWAYS.items():
        members = [f for f in contract.features if f.pathway == key]
        if members:
            rows.append((label, "; ".join(map(_feature, members))))
    return Section(
        "Predictors",
        (f"All predictors are known at time zero. {MISSING_VALUES}",),
        (Table("Predictors by pathway", ("pathway", "variables"), tuple(rows)),),
    )


def _feature(feature: Feature) -> str:
    suffix = feature.name.removeprefix(feature.variable).removeprefix("__")
    suffix = "below its detection limit" if suffix == BELOW else suffix
    unit = printed_unit(feature.unit)
    words = [feature.label, f"({suffix})" if suffix else "", f"[{unit}]" if unit else ""]
    return " ".join(word for word in words if word)


def excluded_columns(excluded: Mapping[str, str]) -> Section:
    """Return which columns of the data are not predictors, and why."""
    title = "Excluded columns"
    if not excluded:
        return Section(title, ("None.",))
    rows = tuple(sorted(excluded.items()))
    table = Table("Columns of the data that are not predictors", ("column", "reason"), rows)
    return Section(title, tables=(table,))


def model_development(contract: Contract) -> Section:
    """Return the type of model, and how its parts were chosen."""
    training = contract.training
    weight = training.linear_weight
    losses = json_of(training.out_of_fold_log_loss)
    return Section(
        "Model development",
        (
            "Direct binomial regression of the cumulative incidence on pairs of patient and "
            "horizon, weighted for censoring: a penalised logistic regression (linear part) and "
            "gradient-boosted trees (boosted part), averaged in log-odds.",
            f"The linear part has weight {weight:.2f}; the boosted part has weight "
            f"{1 - weight:.2f} and {training.trees} trees. Both weights and the number of trees "
            "were chosen on out-of-fold predictions, with folds by patient."
            + (" The linear part dominates in this cohort." if weight > 0.5 else ""),
            *filter(None, [tuned_settings(contract)]),
            _follow_up(contract),
            "Out-of-fold log-loss per pair (lower is better): "
            + ", ".join(f"{part} {loss:.4f}" for part, loss in losses.items())
            + ".",
            _registered_model(contract),
        ),
    )


def _registered_model(contract: Contract) -> str:
    """Return how the registered model relates to those that were judged."""
    evaluation = contract.evaluation
    if evaluation is None or not evaluation.refitted:
        return (
            "The registered model is the one evaluated: it was fitted to the training patients "
            "only and not fitted again to all patients."
        )
    return (
        "The registered model was fitted to all patients, by the procedure that was evaluated: "
        "every choice and the recalibration were made anew in each fit that was judged."
    )


def _follow_up(contract: Contract) -> str:
    """Return how censoring depends on what is known at time zero, and where risks extrapolate."""
    follow_up = contract.training.follow_up
    if follow_up.strata == 1:
        return "Length of follow-up did not differ by anything known at time zero."
    extrapolated = [
        f"{share:.0%} at {days:g} days"
        for days, share in zip(
            contract.default_horizons_days, follow_up.not_observed_so_long, strict=True
        )
        if share
    ]
    return (
        f"Censoring was weighted in {follow_up.strata} strata of follow-up, defined by what is "
        "known at time zero. "
        + (
            "Patients in strata not followed up to the horizon: "
            f"{', '.join(extrapolated)}; their risks there are extrapolated from other strata."
            if extrapolated
            else "Each stratum was followed up to every default horizon."
        )
    )


def interval_of_a_risk(contract: Contract) -> Section:
    """Return how the interval of a risk is made, and its coverage."""
    interval = contract.interval
    return Section(
        "Interval of an individual risk",
        (f"{100 * interval.level:g} %, by {interval.kind}.", interval.guarantee),
    )


def explanation_of_a_risk() -> Section:
    """Return how contributions are read."""
    return Section(
        "Explanation of a risk",
        (
            "Contributions are exact SHAP values of the model in log-odds, also given in points of "
            "risk (100 points are 100 %). They state what raised or lowered the estimate relative "
            "to the model's reference, not what would change the outcome.",
            "The points, including those of the monotone adjustment, sum to 100 times the "
            "difference between the risk and the baseline risk. The baseline risk is a reference, "
            "not the risk of an average patient, which is given beside it. The contribution of a "
            "pathway is the sum over its measured variables; what the model infers for variables "
            "without a value is one separate sum.",
            "A treatment marks the patient; its contribution is not the drug's effect.",
        ),
    )


def limitations(
    contract: Contract, deaths: LimitedDeaths | None, *, external: bool = False
) -> Section:
    """Return which patients the model refuses, and where it has not been evaluated.

    `deaths` are those of the evaluated patients, and how many followed a limitation of treatment.
    """
    special = [case.message for case in contract.guard.special]
    evaluated = (
        "It was evaluated here in patients who were not part of the training run, and in no others."
        if external
        else "It has not been evaluated in patients other than those above."
    )
    return Section(
        "Limitations",
        (
            "The model refuses patients under 18, pregnant patients, values outside the plausible "
            "range, patients with too few measurements, and combinations of values unlike any in "
            "the training cohort. It warns of values beyond the range of the training cohort and "
            "of unknown categories.",
            *(["Further warnings, where they apply: " + " ".join(special)] if special else []),
            limited_deaths_sentence(deaths),
            f"{evaluated} Evaluate it before use in another setting (osteon evaluate).",
        ),
    )


def provenance(contract: Contract, *, evaluated_fingerprint: str) -> Section:
    """Return where the model and the patients come from."""
    origin, evaluation = contract.provenance, contract.evaluation
    assert origin is not None  # set by the training run, as is the evaluation
    assert evaluation is not None
    judged = evaluation.cohort_fingerprint
    others = (("evaluated patients (SHA-256)", evaluated_fingerprint),)
    return provenance_section(
        (
            ("all patients of the run (SHA-256)", origin.data_fingerprint),
            ("patients learned from (SHA-256)", origin.training_fingerprint),
            ("patients judged by the training run (SHA-256)", judged),
            *(others if evaluated_fingerprint != judged else ()),
            ("seed", str(contract.training.seed)),
        ),
        revision=origin.git_revision,
        versions=origin.versions,
    )


def provenance_section(
    rows: Sequence[tuple[str, str]], *, revision: str | None, versions: Mapping[str, str]
) -> Section:
    """Return code, data, seed and versions as a table."""
    code = ("revision of the code", revision or "not run from a checkout")
    table = Table(
        "Code, data and software versions",
        ("item", "value"),
        (code, *rows, *versions.items()),
    )
    return Section("Provenance", tables=(table,))


def _days(days: Sequence[float]) -> str:
    return ", ".join(f"{day:g}" for day in days) + " days"
