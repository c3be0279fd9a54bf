"""Every metric of the catalogue, by name, where a user reads it, against an independent value."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from models.inference.contract import Evaluation, HeldOutMetric
from models.metrics.catalogue import (
    AT_HORIZON,
    METRICS,
    Direction,
    Group,
    MetricSpec,
    Place,
    Scale,
    shown_in,
)
from models.metrics.comparison.paired_changes import CHANGE_LABELS, OutOfFold, paired_changes
from models.metrics.metric import Metric
from models.metrics.pooling import pool_metric
from models.metrics.subgroups import evaluate_subgroups
from models.metrics.summary import evaluate
from serving.page.facts import figures
from serving.prediction.served import ServedModel
from training.cli.tables import show_metrics
from training.report.performance import performance_section

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
    "brier_calibration": "brier_split",
    "brier_refinement": "brier_split",
    "d_calibration": "whole_curve",
    "aj_calibration": "whole_curve",
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
    "brier_calibration": "Brier score that recalibration would gain (calibration term)",
    "brier_refinement": "Brier score after recalibration (refinement term)",
    "d_calibration": "Patients in the wrong tenth of their predicted curve (D-calibration)",
    "aj_calibration": (
        "Distance of the mean predicted curve from the observed one (AJ-calibration)"
    ),
    "aj_calibration_competing": "The same distance for the competing event (AJ-calibration)",
}


# What the clinician's page calls those that it shows, with the decimals that it prints.
ON_PAGE = {
    "auroc": ("Discrimination (AUROC)", 2),
    "c_uno": ("Discrimination over time (Uno's C)", 2),
    "oe_ratio": ("Observed over expected", 2),
    "calibration_slope": ("Calibration slope", 2),
    "ici": ("Distance of risks from what was observed (ICI)", 3),
    "ipa": ("Index of prediction accuracy", 3),
    "net_benefit": ("Net benefit at the event rate", 3),
}


def evaluated(cohort: pd.DataFrame) -> list[Metric]:
    """All metrics, ranked by the risk at 90 days as R ranked them, with those of whole curves."""
    time, event = cohort["time"], cohort["event"]
    risk = cohort[[f"risk_{days:.0f}" for days in HORIZONS]].to_numpy()
    curve = cohort.filter(like="risk_")
    days = [float(name.removeprefix("risk_")) for name in curve]
    ranked, integrated = (
        evaluate(time, event, risk, HORIZONS, n_bootstrap=20, curve_risk=curve_risk, curve_days=on)
        for curve_risk, on in ((curve[["risk_90"]], [90.0]), (curve, days))
    )
    ranks = {"c_harrell", "c_uno"}
    return [m for m in ranked if m.horizon_days is not None or m.metric in ranks] + [
        m for m in integrated if m.horizon_days is None and m.metric not in ranks
    ]


def of_competing_event(cohort: pd.DataFrame) -> list[Metric]:
    """Metrics that only a cohort with a competing event has, of the curve that R made up too."""
    curve = cohort.filter(like="risk_")
    days = [float(name.removeprefix("risk_")) for name in curve]
    risk = curve.to_numpy()
    metrics = evaluate(
        cohort["time"],
        cohort["event"],
        risk[:, :1],
        days[:1],
        n_bootstrap=20,
        curve_risk=risk,
        curve_days=days,
        competing_curve=0.4 * risk * (1 - risk),
    )
    return [metric for metric in metrics if METRICS[metric.metric].of_competing_event]


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
    """(Name, day) -> its value by R, or by definition.

    In the cohort `single`; those of a competing event in the cohort `competing`.
    """
    found: Values = {
        (name, day or None): value
        for name, topic in TOPICS.items()
        for (cohort, day), value in stored(topic, name).items()
        if cohort == "single" and day in (*HORIZONS, 0.0)
    }
    competing = stored("whole_curve", "aj_calibration_competing")["competing", 0.0]
    found["aj_calibration_competing", None] = competing
    found["c_uno", None] = found.pop(("c_uno", 180.0))
    net = {day: net_benefit_at_event_rate(cohorts["single"], day) for day in HORIZONS}
    return found | {("net_benefit", day): value for day, value in net.items()}


@pytest.fixture(scope="session")
def metrics(cohorts: Cohorts) -> list[Metric]:
    return evaluated(cohorts["single"]) + of_competing_event(cohorts["competing"])


def test_every_metric_has_its_own_reference_value_under_its_own_name(
    metrics: list[Metric], references: Values
) -> None:
    printed = {(m["metric"], m["horizon_days"]): m for m in (one.as_json() for one in metrics)}

    assert {name for name, _ in references} == set(METRICS)
    assert set(printed) == set(references)
    for key, value in references.items():
        assert printed[key]["estimate"] == pytest.approx(value, abs=1e-6), key
        assert printed[key]["low"] <= value <= printed[key]["high"], key


def test_the_report_prints_the_reference_value_beside_each_label(
    metrics: list[Metric], references: Values
) -> None:
    section = performance_section("Performance", metrics, resamples=20, basis="Of a test.")
    rows = {row[0].split(":")[0]: row[1:] for table in section.tables for row in table.rows}

    assert {name: spec.label for name, spec in METRICS.items()} == LABELS
    for name, label in LABELS.items():
        days = HORIZONS if (name, 28.0) in references else (None,)
        expected = [f"{references[name, day]:z.3f}".replace("-", "−") for day in days]
        assert [cell.split(" (")[0] for cell in rows[label]] == expected, name


def test_the_command_line_prints_the_reference_value_beside_each_name(
    metrics: list[Metric], references: Values, capsys: pytest.CaptureFixture[str]
) -> None:
    show_metrics(metrics)

    printed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    for (name, day), value in references.items():
        column = 0 if day is None else HORIZONS.index(day)
        estimates = re.findall(r"(\S+) \(", printed[name])
        assert estimates[column] == f"{value:z.3f}", (name, day)


def test_the_page_prints_the_reference_value_beside_each_label(
    metrics: list[Metric], references: Values, mortality: ServedModel
) -> None:
    evaluation = Evaluation(
        split="patient",
        stays=300,
        patients=300,
        events=100,
        refused=0,
        bootstrap_resamples=20,
        cohort_fingerprint="",
        metrics=tuple(HeldOutMetric(**metric.as_json()) for metric in metrics),
    )
    found = figures(replace(mortality.contract, evaluation=evaluation))
    printed = {(one.label, one.horizon): one.estimate for one in found}

    expected = {
        (ON_PAGE[name][0], "all" if day is None else f"{day:g} days"): (
            f"{value:.{ON_PAGE[name][1]}f}"
        )
        for (name, day), value in references.items()
        if name in ON_PAGE
    }
    assert {key: estimate.split(" (")[0] for key, estimate in printed.items()} == expected
    assert {one.label for one in found if one.on_card} == {
        "Discrimination (AUROC)",
        "Observed over expected",
    }


@pytest.mark.parametrize(
    ("name", "ends", "mean"),
    [
        ("auroc", (0.6, 0.9), expit((logit(0.6) + logit(0.9)) / 2)),
        ("oe_ratio", (0.5, 2.0), 1.0),
        ("calibration_slope", (0.5, 2.0), 1.25),
    ],
)
def test_each_metric_is_pooled_on_its_own_scale(
    name: str, ends: tuple[float, float], mean: float
) -> None:
    # Two pairs of sites far apart, each known to within a hair, so that all weigh the same.
    sites = [Metric(name, 90.0, end, end * 0.999, end * 1.001) for end in ends * 2]

    pooled = pool_metric(sites)

    assert [spec.name for spec in shown_in(Place.POOLED)] == [
        "auroc",
        "oe_ratio",
        "calibration_slope",
    ]
    assert pooled is not None
    assert pooled.metric == name
    assert pooled.estimate == pytest.approx(mean, abs=2e-4)


def test_each_change_is_that_of_the_metric_that_it_is_named_for(
    cohorts: Cohorts, stored: Stored
) -> None:
    cohort = cohorts["single"]
    risks = {"without": cohort[["risk_28"]].to_numpy(), "with": cohort[["risk_90"]].to_numpy()}
    one_fold = np.zeros(len(cohort), dtype=np.int64)
    (changes,) = paired_changes(
        cohort["time"],
        cohort["event"],
        OutOfFold(risks, one_fold, (90.0,)),
        [("without", "with")],
        thresholds=(0.1, 0.25, 0.5),
        n_bootstrap=20,
    )

    found = {(change.metric, change.threshold): change for change in changes}
    of_r = {
        **{(m, None): stored(TOPICS[m], m)["single", 90.0] for m in ("auroc", "ipa", "brier")},
        **{
            ("net_benefit", percent / 100): value
            for (name, percent), value in stored("clinical_use", "net_benefit").items()
            if name == "single"
        },
    }
    for key, value in of_r.items():
        change = found[key]
        assert change.with_panel == pytest.approx(value, abs=1e-6), key
        assert change.change == pytest.approx(change.with_panel - change.without, abs=1e-12), key
    gain = stored("added_value", "idi")["single", 90.0]
    assert found["idi", None].change == pytest.approx(gain, abs=1e-6)
    # Every risk at 90 days is above that at 28, so as many with the event move up as without.
    assert found["nri_continuous", None].change == pytest.approx(0.0, abs=1e-12)
    assert {change.metric for change in changes} == set(CHANGE_LABELS)
    assert {
        **{name: LABELS[name] for name in ("auroc", "ipa", "brier")},
        "net_benefit": "Net benefit",
        "idi": "Integrated discrimination improvement",
        "nri_continuous": "Continuous net reclassification",
    } == CHANGE_LABELS


def spec_with(**changed: object) -> MetricSpec:
    fields = {
        "name": "another",
        "label": "Another",
        "estimand": "Something else.",
        "documented_by": AT_HORIZON[0].documented_by,
        "direction": Direction.LOWER,
        "scale": Scale.REAL,
        "group": Group.OVERALL,
        "function": AT_HORIZON[0].function,
    }
    return MetricSpec(**fields | changed)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"places": {Place.POOLED}}, "must be computed in subgroups to be shown there"),
        ({"places": {Place.MLFLOW, Place.MLFLOW_BLANKED}}, "must be computed with fields blanked"),
        (
            {"places": {Place.SUBGROUPS, Place.POOLED}, "scale": Scale.DISTANCE},
            "must not be pooled",
        ),
    ],
)
def test_an_entry_that_no_table_could_show_is_refused(
    changed: dict[str, object], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        spec_with(**changed)


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
