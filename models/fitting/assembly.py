"""From fitted parts to a risk model: its contract, its guard and the summaries that both need."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import t as student_t

from data_schema.variables import Variable, base_name, is_not_done, is_state
from models.fitting.competing import CompetingCurve
from models.fitting.encoding import outer_share, patients_by_level
from models.fitting.joint import fit_joint
from models.fitting.novelty import fit_novelty
from models.fitting.special_cases import SPECIAL_CASES
from models.fitting.steps import Choices, Columns, Part, squared_bias
from models.fitting.training_cohort import TrainingCohort
from models.fitting.unsettled import fit_unsettled
from models.inference.completeness import refused_below
from models.inference.contract import (
    BUNDLE_FORMAT,
    Contract,
    CurveChoices,
    Feature,
    FollowUp,
    Guard,
    IntervalFacts,
    MovedRisks,
    TrainingFacts,
)
from models.inference.matrices import expit
from models.inference.parameters import ModelParameters, Unsettled
from models.inference.prediction import Prediction
from models.inference.risk_model import RiskModel
from models.inference.trees import booster_bytes
from models.targets import MIN_G

__all__ = ["complete_model", "draft_model"]

EXPLAINED_PATIENTS = 300
SUMMARISED_PATIENTS = 2_000
JUDGED_PATIENTS = 500
MOVED_POINTS = 0.1
LEAST_COMPLETE = 0.02
"""Share of the training patients who may count as too incomplete for a number."""

LEVEL = 0.95

PENALTY_BIAS_TIMES = 1.5
"""Multiple of the penalty's expected squared bias that is allowed for. Chosen on simulated cohorts:
1 was enough for 2,000 training patients, and too little for the one cohort of 8,000 that was tried.
"""

GUARANTEE = (
    "On simulated patients with many markers and 2,000 patients in training, it covered the best "
    "attainable risk in 98 % of patients, and in 91 % or more of the tenth at highest risk; with "
    "40 % of the values missing, in 97 % and 90 % or more (means over 50 training cohorts). It is "
    "no guarantee for one patient."
)


def draft_model(
    cohort: TrainingCohort,
    choices: Choices,
    columns: Columns,
    main: Part,
    folds: list[Part],
    competing: CompetingCurve | None,
) -> RiskModel:
    """Return the risk model of the fitted parts, as far as its risks go.

    Its contract lacks what a run sets (name, labels, population) and what `complete_model` adds.
    Without `folds`, parts fitted on random halves of the patients, it has no interval.
    """
    parameters = ModelParameters(
        encoding=cohort.encoding,
        scaling=columns.basis.scaling,
        factors=columns.basis.factors,
        unsettled=_none_unsettled(len(columns.basis.factors.mean)),
        main=main.parameters,
        folds=tuple(part.parameters for part in folds),
        competing=None if competing is None else competing.part.parameters,
    )
    parts = [main, *folds] if competing is None else [main, *folds, competing.part]
    boosters = [booster_bytes(part.booster) for part in parts]
    contract = _contract(cohort, choices, len(folds), competing)
    return RiskModel(contract, parameters, boosters, threads=cohort.settings.n_jobs)


def complete_model(
    draft: RiskModel, cohort: TrainingCohort, choices: Choices, columns: Columns, main: Part
) -> RiskModel:
    """Add to a draft what its answers need beside the risks: width, guard and summaries.

    It holds quantiles, a correlation and means, and nothing of a single patient.
    """
    rows = _sample(cohort, SUMMARISED_PATIENTS)
    sample = cohort.frame.iloc[rows]
    prediction, curve = draft.predict_with_curve(sample, interval=False)
    moved = _moved_by_running_maximum(prediction)
    log_odds = logit(curve.risk)
    unsettled = fit_unsettled(cohort, columns.basis, main, rows, log_odds, choices.moved)
    draft = draft.with_unsettled(unsettled)
    if draft.contract.interval.available:
        interval = _with_bias(draft, cohort, choices, main, columns)
        draft = draft.with_contract(replace(draft.contract, interval=interval))
    contract = draft.contract
    # The law of total variance: what the log-odds would vary by with every value entered is what
    # they vary by as recorded, plus what the missing values leave open on average.
    left_open = draft.unsettled(sample, contract.grid_days)
    draft = draft.with_contract(
        replace(
            contract,
            cohort_risk=tuple(curve.risk.mean(0).tolist()),
            log_odds_variance=tuple((log_odds.var(0) + left_open.mean(0)).tolist()),
            guard=_guard(draft, cohort),
            training=replace(contract.training, moved_by_running_maximum=moved),
        )
    )
    defaults = np.searchsorted(contract.grid_days, contract.default_horizons_days)
    ordinary = float(np.quantile(draft.settled_share_left(left_open[:, defaults]), LEAST_COMPLETE))
    guard = replace(draft.contract.guard, least_settled=refused_below(ordinary))
    return draft.with_contract(replace(draft.contract, guard=guard))


def _none_unsettled(width: int) -> Unsettled:
    """Return the record of a model whose missing values move nothing, before it is fitted."""
    zeros = np.zeros(width)
    return Unsettled(zeros, zeros, np.zeros(1), np.zeros((1, 2)), np.zeros((1, width)))


def _contract(
    cohort: TrainingCohort, choices: Choices, n_folds: int, competing: CompetingCurve | None
) -> Contract:
    """Return the contract without the entries that need the assembled model."""
    s = cohort.settings
    grid = cohort.grid_days()
    features = tuple(_feature(cohort, str(name)) for name in cohort.frame.columns)
    event = cohort.target["event"]
    return Contract(
        bundle_format=BUNDLE_FORMAT,
        outcome=s.outcome,
        competing="death" if (event == 2).any() else None,
        competing_curve=None if competing is None else _curve_choices(competing.choices),
        default_horizons_days=tuple(s.horizons_days),
        min_horizon_days=float(grid[0]),
        max_horizon_days=float(grid[-1]),
        grid_days=tuple(grid.tolist()),
        fixed_horizon=s.fixed_horizon,
        features=features,
        interval=_interval(n_folds, len(grid)),
        training=TrainingFacts(
            patients=len(np.unique(cohort.groups)),
            stays=len(event),
            events=int((event == 1).sum()),
            competing_events=int((event == 2).sum()),
            linear_weight=choices.linear_weight,
            trees=choices.trees,
            out_of_fold_log_loss=choices.losses,
            recalibration_slope=choices.calibration.slope,
            follow_up=_follow_up(cohort),
            seed=s.random_state,
        ),
        example=_example(cohort),
        joint=fit_joint(cohort.frame, cohort.encoding),
        cohort_risk=(0.0,) * len(grid),
        log_odds_variance=(np.inf,) * len(grid),
        guard=Guard(information={f.variable: 1.0 for f in features}),
    )


def _follow_up(cohort: TrainingCohort) -> FollowUp:
    """Return the strata of censoring, and shares of patients not observed to a default horizon."""
    censoring = cohort.censoring(np.arange(len(cohort.target)))
    defaults = cohort.settings.horizons_days
    return FollowUp(
        strata=censoring.curves(),
        smallest_probability_uncensored=float(
            censoring.distribution.survival_before(np.array([cohort.upto_days]))[0]
        ),
        not_observed_so_long=tuple(
            float((censoring.left_at(days) < MIN_G).mean()) for days in defaults
        ),
    )


def _curve_choices(choices: Choices) -> CurveChoices:
    """Return what out-of-fold predictions decided."""
    return CurveChoices(
        linear_weight=choices.linear_weight,
        trees=choices.trees,
        out_of_fold_log_loss=choices.losses,
        recalibration_slope=choices.calibration.slope,
    )


def _feature(cohort: TrainingCohort, name: str) -> Feature:
    """Return the contract's entry of one feature column."""
    base = base_name(name)
    variable = cohort.settings.variables.get(base) or Variable(base, base, "person")
    is_number = name in cohort.encoding.numbers
    own = name == base
    is_flag = is_not_done(name) or (own and variable.kind == "flag")
    of_number: Literal["flag", "number"] = "flag" if is_flag else "number"
    return Feature(
        name=name,
        variable=base,
        label=variable.label,
        pathway=variable.pathway,
        kind=of_number if is_number else "category",
        unit="" if is_state(name) else variable.unit,
        low=variable.low if own else None,
        high=variable.high if own else None,
        categories=dict(cohort.encoding.levels).get(name, ()),
        direction=variable.direction.get(cohort.settings.outcome, 0) if own else 0,
        seen=_seen(_values(cohort, name)) if is_number and own else None,
    )


def _values(cohort: TrainingCohort, number: str) -> NDArray[np.float64]:
    """Return the values of a number that were measured."""
    values = cohort.raw[:, cohort.encoding.numbers.index(number)]
    return values[~np.isnan(values)]


def _seen(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the range of nearly all patients, or None where nothing was measured."""
    if not len(values):
        return None
    outer = outer_share(len(values))
    least, most = np.quantile(values, [outer, 1 - outer]).tolist()
    return least, most


def _interval(n_folds: int, days: int) -> IntervalFacts:
    """Return how the interval is computed and what it promises, before the allowance for bias."""
    return IntervalFacts(
        level=LEVEL,
        # Two-sided quantile with k - 1 degrees of freedom, those of the variance among k fold
        # models.
        t=float(student_t.ppf((1 + LEVEL) / 2, max(n_folds - 1, 1))),
        kind="variance among fits on random halves of the patients, on the logit scale, widened "
        "for the bias of shrinkage"
        if n_folds
        else "none",
        guarantee=GUARANTEE,
        squared_bias=(0.0,) * days,
        center=(0.0,) * days,
        spread=(1.0,) * days,
        available=n_folds > 0,
    )


def _with_bias(
    draft: RiskModel, cohort: TrainingCohort, choices: Choices, main: Part, columns: Columns
) -> IntervalFacts:
    """Return the interval with an allowance for bias, that of the trees and that of the penalty."""
    interval = draft.contract.interval
    rows, days = _sample(cohort, JUDGED_PATIENTS), np.asarray(draft.contract.grid_days)
    prediction, curve = draft.predict_with_curve(cohort.frame.iloc[rows])
    accepted = np.array([status == "ok" for status in prediction.status])
    log_odds = logit(curve.risk[accepted])
    reach = logit(curve.risk_high[accepted]) - logit(curve.risk_low[accepted])
    # The draft's interval has no bias yet: its ends on the logit scale are eta +- t sd, so that the
    # variance v among the fold models is (reach / 2 t)^2. At each day the contract gets the
    # cohort's mean of
    #   v + PENALTY_BIAS_TIMES * (squared bias of the penalty),
    # where v stands for the squared bias of the trees, which no formula gives: a fit tuned to the
    # lowest error gives up about as much to bias as to variance. `curves.IntervalWidth` spreads it
    # over patients by `center` and `spread`, the mean and variance of eta at that day.
    variance = (reach / (2 * interval.t)) ** 2
    of_penalty = squared_bias(cohort, choices, main, columns, cohort.raw[rows[accepted]], days)
    return replace(
        interval,
        squared_bias=tuple((variance + PENALTY_BIAS_TIMES * of_penalty).mean(0).tolist()),
        center=tuple(log_odds.mean(0).tolist()),
        spread=tuple(log_odds.var(0).tolist()),
    )


def _example(cohort: TrainingCohort) -> dict[str, float | str | None]:
    """Return a synthetic patient: medians to two digits, and the most frequent learned levels."""
    example: dict[str, float | str | None] = {}
    learned = dict(cohort.encoding.levels)
    for name in cohort.frame.columns:
        if name in cohort.encoding.numbers:
            values = _values(cohort, name)
            example[str(name)] = float(f"{np.median(values):.2g}") if len(values) else None
        else:
            patients = patients_by_level(cohort.frame, name, cohort.groups)
            example[str(name)] = max(learned[name], key=patients.__getitem__, default=None)
    return example


def _sample(cohort: TrainingCohort, patients: int) -> NDArray[np.int64]:
    """Return at most this many rows of the cohort, drawn at random."""
    rng = np.random.default_rng(cohort.settings.random_state)
    return rng.permutation(len(cohort.frame))[:patients]


def _information(draft: RiskModel, cohort: TrainingCohort) -> NDArray[np.float64]:
    """Return each variable's share of the absolute contributions at the middle horizon."""
    sample = cohort.frame.iloc[_sample(cohort, EXPLAINED_PATIENTS)]
    middle = cohort.settings.horizons_days[len(cohort.settings.horizons_days) // 2]
    prediction = draft.predict(sample, [middle], interval=False, explain=True)
    contributions = np.asarray(prediction.log_odds)
    accepted = np.array([status == "ok" for status in prediction.status])
    # Share of variable v: sum_i |phi_iv| / sum_u sum_i |phi_iu|, phi the contribution in log-odds.
    size: NDArray[np.float64] = np.abs(contributions[accepted]).sum((0, 1))
    return size / size.sum() if size.sum() > 0 else np.full(len(size), 1 / len(size))


def _moved_by_running_maximum(prediction: Prediction) -> MovedRisks:
    """Return the share of patients with risks raised by `MOVED_POINTS`, and the largest rise.

    At the default horizons, in points of risk.
    """
    adjustment = prediction.monotone_adjustment
    log_odds = logit(prediction.risk)
    # In points of risk, 100 (expit(eta*) - expit(eta)), with eta = eta* - adjustment.
    points = 100 * (prediction.risk - expit(log_odds - adjustment))
    return MovedRisks(
        share=float(np.nanmean((points >= MOVED_POINTS).any(axis=1))),
        largest_points=float(np.nanmax(points)),
    )


def _guard(draft: RiskModel, cohort: TrainingCohort) -> Guard:
    """Return the rules of refusals and warnings."""
    share = _information(draft, cohort)
    return Guard(
        information=dict(zip(draft.variables, share.tolist(), strict=True)),
        special=SPECIAL_CASES,
        novelty=fit_novelty(
            cohort.raw,
            cohort.encoding.numbers,
            groups=cohort.groups,
            random_state=cohort.settings.random_state,
        ),
    )
