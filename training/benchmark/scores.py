"""Added value of a severity score: Osteon with it, without it, and the score alone, out of fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from models.metrics.discrimination.ranking import auprc, auroc
from models.metrics.overall.brier import brier
from training.benchmark.at_one_horizon import FOLDS, fully_known, mean_over_folds
from training.benchmark.comparison import Comparison, ModelDifference, ModelRow
from training.benchmark.curves import OSTEON, PARTS, Progress
from training.benchmark.peers import fit_logistic
from training.benchmark.score_questions import ScoreQuestion
from training.cohorts.splits import repeated_folds
from training.fit import fit_osteon

__all__ = ["WITHOUT", "compare_scores", "verdict"]

NO_MORE_THAN = 0.01
"""Largest gain in the area under the curve that counts as no added value."""

WITHOUT = "osteon without the scores"

PROTOCOL = (
    "{words} {repeats} times {folds} folds of patients, the same for every model; no model is "
    "trained on a test patient. auroc, auprc and brier (lower is better): means over the folds; "
    "intervals and differences (osteon minus the other model) by corrected t over the folds "
    "(Nadeau & Bengio 2003). linear weight: the weight of the linear part that Osteon chose, 1 "
    "for the linear part alone. The scores add no more than {limit}: the interval of osteon minus "
    "osteon without them lies wholly at or below that; they add: it lies wholly above 0; "
    "inconclusive otherwise."
)

_Risk = NDArray[np.float64]
_Metrics = dict[str, float]


def compare_scores(
    question: ScoreQuestion, *, repeats: int, random_state: int, progress: Progress
) -> Comparison:
    """Compare with and without the scores, and with logistic regressions on the scores alone.

    Parameters
    ----------
    repeats : int
        Number of random partitions into five folds, at least 1.
    random_state : int
        Seed of the folds and of Osteon.

    Returns
    -------
    Comparison
        The difference in the area under the curve to `WITHOUT` carries a verdict.
    """
    cohort = question.cohort
    by_model: dict[str, list[_Metrics]] = {}
    splits = repeated_folds(cohort, repeats=repeats, folds=FOLDS, random_state=random_state)
    for number, split in enumerate(splits, start=1):
        progress(f"fold {number} of {repeats * FOLDS}")
        train, test = cohort.take(split.train), cohort.take(split.test)
        for name, (risk, weight) in _risks(question, train, test, random_state).items():
            metrics = _metrics(test, risk) | ({} if weight is None else {"linear_weight": weight})
            by_model.setdefault(name, []).append(metrics)
    return Comparison(
        PROTOCOL.format(words=question.words, repeats=repeats, folds=FOLDS, limit=NO_MORE_THAN),
        tuple(_row(name, folds) for name, folds in by_model.items()),
        tuple(
            _difference(name, metric, by_model[OSTEON], theirs)
            for name, theirs in by_model.items()
            if name != OSTEON
            for metric in ("auroc", "auprc", "brier")
        ),
    )


def verdict(low: float, high: float) -> str:
    """Return the verdict on the scores, by the interval of the gain in the area under the curve.

    Examples
    --------
    >>> verdict(-0.004, 0.008)
    'the scores add no more than 0.01'
    >>> verdict(0.002, 0.03), verdict(-0.01, 0.03)
    ('the scores add', 'inconclusive')
    """
    if high <= NO_MORE_THAN:
        return f"the scores add no more than {NO_MORE_THAN}"
    return "the scores add" if low > 0 else "inconclusive"


def _risks(
    question: ScoreQuestion, train: Cohort, test: Cohort, random_state: int
) -> dict[str, tuple[_Risk, float | None]]:
    """Return each model's risks of the test patients, and the linear weight where there is one."""
    horizon = [float(outcome_of(train).time_days[0])]
    with_scores = fit_osteon(
        train, horizons_days=horizon, random_state=random_state, interval_folds=0
    )
    whole = with_scores.risk_model_
    without = fit_osteon(
        _without(train, question.scores),
        horizons_days=horizon,
        random_state=random_state,
        interval_folds=0,
    )
    risks: dict[str, tuple[_Risk, float | None]] = {
        OSTEON: (whole.risk(test.features, horizon)[:, 0], with_scores.linear_weight_)
    }
    for weight, label in PARTS.items():
        risks[label] = whole.part(weight).risk(test.features, horizon)[:, 0], None
    fewer = _without(test, question.scores).features
    risks[WITHOUT] = without.risk_model_.risk(fewer, horizon)[:, 0], without.linear_weight_
    risks["logistic regression"] = fit_logistic(train)(test, horizon)[:, 0], None
    alone = {"logistic on the scores alone": question.scores} if len(question.scores) > 1 else {}
    alone |= {f"logistic on {score} alone": (score,) for score in question.scores}
    for label, scores in alone.items():
        predict = fit_logistic(_only(train, scores))
        risks[label] = predict(_only(test, scores), horizon)[:, 0], None
    return risks


def _metrics(test: Cohort, risk: _Risk) -> _Metrics:
    known = fully_known(outcome_of(test).event == 1)
    return {
        "auroc": float(auroc(known, risk)),
        "auprc": float(auprc(known, risk)),
        "brier": float(brier(known, risk)),
    }


def _row(name: str, folds: list[_Metrics]) -> ModelRow:
    """Return one line of the table, the area under the curve with its interval."""
    area = mean_over_folds([fold["auroc"] for fold in folds])
    means = {metric: float(np.mean([fold[metric] for fold in folds])) for metric in folds[0]}
    others = {metric: mean for metric, mean in means.items() if metric != "auroc"}
    return ModelRow(name, {"auroc": area.estimate, "low": area.low, "high": area.high, **others})


def _difference(
    name: str, metric: str, ours: list[_Metrics], theirs: list[_Metrics]
) -> ModelDifference:
    gap = mean_over_folds([o[metric] - t[metric] for o, t in zip(ours, theirs, strict=True)])
    conclusion = ""
    if name == WITHOUT and metric == "auroc" and gap.low is not None and gap.high is not None:
        conclusion = verdict(gap.low, gap.high)
    return ModelDifference(name, metric, gap.estimate, gap.low, gap.high, conclusion)


def _only(cohort: Cohort, columns: tuple[str, ...]) -> Cohort:
    return replace(cohort, features=cohort.features[list(columns)])


def _without(cohort: Cohort, columns: tuple[str, ...]) -> Cohort:
    return replace(cohort, features=cohort.features.drop(columns=list(columns)))
