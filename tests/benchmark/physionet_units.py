"""PhysioNet 2012 set A by type of intensive care unit: figures of each, pooled, with forest plots.

SUPPORT2 and RHC share patients, so that neither validates a model of the other; the types of unit
of one hospital stand in for sites. A model is judged out of fold, by patient, and its figures are
taken within each type.

    python tests/benchmark/physionet_units.py

Out-of-fold risks stay in build/physionet_units; forest plots are written beside them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_schema.cohort import outcome_of
from data_schema.errors import UsageError
from models.metrics.catalogue import METRICS, Place, shown_in
from models.metrics.metric import metric_at
from models.metrics.pooling import pool_metric
from models.metrics.subgroups import evaluate_subgroups_out_of_fold
from models.metrics.summary import Repeat
from training.config import RunConfig
from training.datasets.registry import load_dataset
from training.fold_fits import out_of_fold_risks
from training.plots.comparison import Estimate, plot_estimates
from training.report.figures.model_figures import as_svg
from training.validation.external import require_other_patients

UNITS = {
    "coronary_unit": "coronary care",
    "cardiac_surgery_unit": "cardiac surgery",
    "surgical_unit": "surgical",
}


def main() -> int:
    """Judge, pool, print and draw."""
    try:
        require_other_patients("osteon-mortality-support2", "rhc")
    except UsageError as refused:
        print(f"SUPPORT2 -> RHC: refused. {refused}\n")
    folder = Path("build/physionet_units")
    folder.mkdir(parents=True, exist_ok=True)
    cohort = load_dataset("physionet2012")
    outcome = outcome_of(cohort)
    assert outcome.horizon_days is not None  # known at one horizon only
    days = float(outcome.horizon_days)
    stored = folder / "risks.npz"
    if not stored.is_file():
        config = replace(RunConfig(), threads=1)
        columns = [str(name) for name in cohort.features.columns]
        found = out_of_fold_risks(cohort, {"all": columns}, [days], config)
        np.savez(stored, risk=found.risk["all"], fold=found.fold)
    content = np.load(stored)
    unit = np.full(len(cohort), "medical", dtype=object)
    for column, name in UNITS.items():
        unit[cohort.features[column].to_numpy() == 1.0] = name
    groups = evaluate_subgroups_out_of_fold(
        outcome.time_days,
        outcome.event,
        [Repeat(content["risk"], content["fold"])],
        [days],
        {"unit": unit},
        n_bootstrap=500,
        patients=cohort.patient_id,
    )
    for spec in shown_in(Place.POOLED):
        metrics = [metric_at(group.metrics, spec.name, days) for group in groups]
        known = [metric for metric in metrics if metric is not None]
        pooled = pool_metric(known)
        assert pooled is not None  # there are four types of unit
        rows = []
        print(f"{METRICS[spec.name].label} ({spec.reading})")
        for group, metric in zip(groups, metrics, strict=True):
            if metric is None:
                continue
            print(
                f"  {group.level:<16} {group.stays:5} stays {group.events:4} deaths  "
                f"{metric.estimate:.3f} ({metric.low:.3f} to {metric.high:.3f})"
            )
            rows.append(Estimate(group.level, metric.estimate, metric.low, metric.high))
        print(
            f"  mean of types    {pooled.estimate:.3f} ({pooled.low:.3f} to {pooled.high:.3f}); a "
            f"new type: {pooled.next_low:.3f} to {pooled.next_high:.3f}; tau {pooled.tau:.3f}"
        )
        rows += [
            Estimate("All types", heading=True),
            Estimate("Random-effects mean", pooled.estimate, pooled.low, pooled.high),
            Estimate(
                "A new type (95 % prediction)", pooled.estimate, pooled.next_low, pooled.next_high
            ),
        ]
        figure = plot_estimates(
            rows,
            title=f"{spec.label} by type of unit",
            axis_label=spec.label,
            simulated=cohort.simulated,
            reference=0.5 if spec.name == "auroc" else 1.0,
            reference_label="chance" if spec.name == "auroc" else "ideal",
        )
        (folder / f"forest_{spec.name}.svg").write_bytes(as_svg(figure))
    print(f"forest plots: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
