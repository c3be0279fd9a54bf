"""Metrics of repeated out-of-fold predictions: within folds, over repeats, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics.intervals import Interval, training_variance, widened_for_training
from models.metrics.metric import Metric, metric_at
from models.metrics.subgroups import evaluate_subgroups_out_of_fold
from models.metrics.summary import Repeat, evaluate, evaluate_out_of_fold

N = 400
RNG = np.random.default_rng(3)
TRUE_RISK = RNG.uniform(0.05, 0.95, N)
DIED = RNG.random(N) < TRUE_RISK
TIME = np.where(DIED, RNG.uniform(1, 28, N), 40.0)
FOLD = np.arange(N) % 5


def at(metrics: list[Metric], name: str, days: float | None = 28.0) -> Metric:
    metric = metric_at(metrics, name, days)
    assert metric is not None
    return metric


def figures(*repeats: Repeat, n_bootstrap: int = 50) -> list[Metric]:
    return evaluate_out_of_fold(TIME, DIED, repeats, [28], n_bootstrap=n_bootstrap)


def noisy(seed: int) -> Repeat:
    noise = np.random.default_rng(seed).normal(0, 0.8, N)
    risk = 1 / (1 + np.exp(-np.log(TRUE_RISK / (1 - TRUE_RISK)) - noise))
    return Repeat(risk[:, None], FOLD)


def test_one_model_is_judged_as_by_evaluate() -> None:
    repeat = Repeat(TRUE_RISK[:, None], np.zeros(N, dtype=np.int64))
    alone = evaluate(TIME, DIED, TRUE_RISK[:, None], [28], n_bootstrap=50)
    assert [m.as_json() for m in figures(repeat)] == [m.as_json() for m in alone]


def test_ranking_compares_patients_of_the_same_fold_only() -> None:
    # Each fold's model is on a level of its own, which says nothing of its ranking.
    odds = np.log(TRUE_RISK / (1 - TRUE_RISK)) + 4.0 * (FOLD - 2)
    shifted = figures(Repeat(1 / (1 + np.exp(-odds))[:, None], FOLD))
    same = figures(Repeat(TRUE_RISK[:, None], FOLD))
    for name, days in (("auroc", 28.0), ("c_harrell", None), ("c_uno", None)):
        assert at(shifted, name, days).estimate == pytest.approx(at(same, name, days).estimate)
    pooled = evaluate(TIME, DIED, 1 / (1 + np.exp(-odds))[:, None], [28], n_bootstrap=50)
    assert at(pooled, "auroc").estimate < at(shifted, "auroc").estimate - 0.1


def test_other_metrics_are_of_all_patients_together() -> None:
    in_folds = figures(Repeat(TRUE_RISK[:, None], FOLD))
    together = evaluate(TIME, DIED, TRUE_RISK[:, None], [28], n_bootstrap=50)
    for name in ("brier", "ipa", "oe_ratio", "calibration_slope", "ici", "net_benefit"):
        assert at(in_folds, name).estimate == at(together, name).estimate, name


def test_metrics_are_means_over_the_repeats_and_never_of_mean_risks() -> None:
    repeats = [noisy(seed) for seed in range(4)]
    together = figures(*repeats)
    for name, days in (("auroc", 28.0), ("calibration_slope", 28.0), ("c_harrell", None)):
        alone = [at(figures(repeat), name, days).estimate for repeat in repeats]
        assert at(together, name, days).estimate == pytest.approx(np.mean(alone)), name
    ensemble = Repeat(np.mean([repeat.risk for repeat in repeats], axis=0), FOLD)
    assert at(figures(ensemble), "auroc").estimate > at(together, "auroc").estimate + 0.02


def test_the_interval_of_a_mean_agrees_with_its_closed_form() -> None:
    brier = at(figures(Repeat(TRUE_RISK[:, None], FOLD), n_bootstrap=4_000), "brier")
    loss = (DIED - TRUE_RISK) ** 2
    # V (1 + min(1 / R, 1 / 4) + 1 / (K - 1)), R = 1, K = 5; 4,000 resamples settle an end to 3 %.
    half = 1.96 * loss.std() / np.sqrt(N) * np.sqrt(1 + 1 / 4 + 1 / 4)
    assert brier.estimate == pytest.approx(loss.mean())
    assert brier.high - brier.estimate == pytest.approx(half, rel=0.06)
    assert brier.estimate - brier.low == pytest.approx(half, rel=0.06)


def test_a_patients_repeats_are_resampled_together() -> None:
    # Ten equal repeats say no more than one; drawn apart, the resamples would shrink by root 10.
    one, ten = figures(noisy(0)), figures(*[noisy(0)] * 10)
    for name, once, tenfold in (
        ("auroc", 0.5, 0.35),
        ("brier", 0.5, 0.35),
        ("calibration_slope", 1.0, 1.0),
    ):
        narrower = np.sqrt((1 + tenfold) / (1 + once))
        for end in ("low", "high"):
            of_one, of_ten = (
                getattr(at(metrics, name), end) - at(metrics, name).estimate
                for metrics in (one, ten)
            )
            assert of_ten == pytest.approx(narrower * of_one), (name, end)


def test_a_widened_end_stays_within_what_the_metric_can_be() -> None:
    perfect = np.where(DIED, 0.9, 0.1) + RNG.uniform(-0.05, 0.05, N)
    metrics = figures(Repeat(perfect[:, None], FOLD))
    assert at(metrics, "auroc").high <= 1
    assert at(metrics, "ici").low >= 0


def test_an_interval_of_one_model_is_not_widened() -> None:
    interval = Interval(np.array(0.5), np.array(0.4), np.array(0.7))
    added = training_variance(folds=1, repeats=1)
    assert widened_for_training(interval, added) == interval


def test_a_group_is_judged_within_folds_and_over_repeats_too() -> None:
    repeats = [noisy(seed) for seed in range(2)]
    half = np.where(np.arange(N) < N // 2, "first", "second").astype(object)
    groups = evaluate_subgroups_out_of_fold(
        TIME, DIED.astype(int), repeats, [28], {"half": half}, n_bootstrap=50
    )
    first = np.arange(N) < N // 2
    alone = [
        at(
            evaluate_out_of_fold(
                TIME[first], DIED[first], [repeat.take(first)], [28], n_bootstrap=50
            ),
            "auroc",
        ).estimate
        for repeat in repeats
    ]
    assert groups[0].metrics[0].estimate == pytest.approx(np.mean(alone))
