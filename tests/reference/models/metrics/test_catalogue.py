"""Every metric of the catalogue, by name, where a user reads it, against an independent value."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from models.metrics.catalogue import METRICS
from models.metrics.metric import Metric
from models.metrics.subgroups import evaluate_subgroups
from models.metrics.summary import evaluate

Cohorts = dict[str, pd.DataFrame]
Stored = Callable[[str, str], dict[tuple[str, float], float]]
Values = dict[tuple[str, float | None], float]

HORIZONS = (28.0, 90.0, 180.0)
# Name -> the table of R's values that holds it; net benefit has a closed form below.
TOPICS = {
    "auroc": "discrimination",
    "auprc": "discrimination",
    "brier": "overall",
    "ipa": "overall",
    "oe_ratio": "calibration",
    "calibration_intercept": "calibration",
    "calibration_slope": "calibration",
    "ici": "calibration",
    "e50": "calibration",
    "e90": "calibration",
    "c_harrell": "concordance",
    "c_uno": "concordance",
    "ibs": "overall",
}
LABELS = {
    "auroc": "Area under the ROC curve",
    "auprc": "Area under the precision-recall curve",
    "brier": "Brier score",
    "ipa": "Scaled Brier score (IPA)",
    "oe_ratio": "Observed over expected events",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Calibration slope",
    "ici": "Mean distance to the calibration curve (ICI)",
    "e50": "Median distance (E50)",
    "e90": "90th percentile of the distance (E90)",
    "net_benefit": "Net benefit at the observed event rate",
    "c_harrell": "Harrell's C",
    "c_uno": "Uno's C",
    "ibs": "Integrated Brier score",
}


def evaluated(cohort: pd.DataFrame) -> list[Metric]:
    """All metrics, ranked by the risk at 90 days as R ranked them, with IBS of the whole curve."""
    time, event = cohort["time"], cohort["event"]
    risk = cohort[[f"risk_{days:.0f}" for days in HORIZONS]].to_numpy()
    curve = cohort.filter(like="risk_")
    days = [float(name.removeprefix("risk_")) for name in curve]
    ranked, integrated = (
        evaluate(time, event, risk, HORIZONS, n_bootstrap=20, curve_risk=curve_risk, curve_days=on)
        for curve_risk, on in ((curve[["risk_90"]], [90.0]), (curve, days))
    )
    return [m for m in ranked if m.metric != "ibs"] + [m for m in integrated if m.metric == "ibs"]


def net_benefit_at_event_rate(cohort: pd.DataFrame, day: float) -> float:
    """The net benefit by its definition, patient by patient."""
    event_rate = net = 0.0
    happened = (cohort["event"] == 1) & (cohort["time"] <= day)

    def observed_before(time: float) -> float:
        share = 1.0
        for lost in sorted(cohort.loc[(cohort["event"] == 0) & (cohort["time"] < time), "time"]):
            share *= 1 - 1 / (cohort["time"] >= lost).sum()
        return share

    weight = np.array([1 / observed_before(min(time, day)) for time in cohort["time"]])
    weight[(cohort["event"] == 0) & (cohort["time"] < day)] = 0.0
    event_rate = (weight * happened).sum() / weight.sum()
    for weighs, event, risk in zip(weight, happened, cohort[f"risk_{day:.0f}"], strict=True):
        if risk >= event_rate:
            net += weighs if event else -weighs * event_rate / (1 - event_rate)
    return net / len(cohort)


@pytest.fixture(scope="session")
def references(cohorts: Cohorts, stored: Stored) -> Values:
    """(Name, day) -> its value in the cohort `single` by R, or by definition."""
    found: Values = {
        (name, day or None): value
        for name, topic in TOPICS.items()
        for (cohort, day), value in stored(topic, name).items()
        if cohort == "single" and (day in HORIZONS or name in ("c_harrell", "ibs"))
    }
    found["c_uno", None] = found.pop(("c_uno", 180.0))
    net = {day: net_benefit_at_event_rate(cohorts["single"], day) for day in HORIZONS}
    return found | {("net_benefit", day): value for day, value in net.items()}


@pytest.fixture(scope="session")
def metrics(cohorts: Cohorts) -> list[Metric]:
    return evaluated(cohorts["single"])


def test_every_metric_has_its_own_reference_value_under_its_own_name(
    metrics: list[Metric], references: Values
) -> None:
    printed = {(m["metric"], m["horizon_days"]): m for m in (one.as_json() for one in metrics)}

    assert {name for name, _ in references} == set(METRICS)
    assert set(printed) == set(references)
    for key, value in references.items():
        assert printed[key]["estimate"] == pytest.approx(value, abs=1e-6), key
        assert printed[key]["low"] <= value <= printed[key]["high"], key


def test_every_metric_has_its_own_label() -> None:
    assert {name: spec.label for name, spec in METRICS.items()} == LABELS


def test_without_censoring_a_subgroup_of_all_has_the_metrics_of_all(cohorts: Cohorts) -> None:
    # Pseudo-values are the outcomes themselves where every outcome is known.
    cohort = cohorts["single"].assign(time=lambda c: np.where(c["event"] == 1, c["time"], 400.0))
    risk = cohort[["risk_90"]].to_numpy()
    everyone = np.full(len(cohort), "all", dtype=object)

    whole = evaluate(cohort["time"], cohort["event"], risk, [90.0], n_bootstrap=20)
    (group,) = evaluate_subgroups(
        cohort["time"].to_numpy(),
        cohort["event"].to_numpy(),
        risk,
        [90.0],
        {"group": everyone},
        n_bootstrap=20,
    )

    assert [m.metric for m in group.metrics] == [
        *("auroc", "brier", "ipa", "oe_ratio", "calibration_intercept", "calibration_slope"),
        "net_benefit",
    ]
    of_all = {m.metric: m.estimate for m in whole}
    for metric in group.metrics:
        assert metric.estimate == pytest.approx(of_all[metric.metric], abs=1e-9), metric.metric
