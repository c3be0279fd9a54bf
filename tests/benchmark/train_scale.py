"""How training grows with the patients, what a cap on them costs, and a forest beside the fit.

    python tests/benchmark/train_scale.py memory --patients 1000000     # peak of `osteon train`
    python tests/benchmark/train_scale.py growth --patients 5000 20000 80000
    python tests/benchmark/train_scale.py accuracy --patients 80000
    python tests/benchmark/train_scale.py forest                        # SUPPORT2

`memory` runs the whole command on simulated patients with 60 variables; it does not depend on the
trees, of which --settings can ask for few. `growth` fits draws of one cohort up to --cap patients
and beyond it: CPU seconds of one thread grow at most as n^1.05 up to the cap, and are flat beyond.
`accuracy` fits 1/16, 1/8, ... of the patients, judged by the true risk of 20,000 others: what more
patients would gain. `forest` compares the core fit on SUPPORT2 with a random survival forest of 200
trees, on two threads each. What has been measured stays in build/scale, and a run that was stopped
goes on there. Prints one JSON object; exit 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from large_cohorts import FOLDER, SEED, cohort_file
from measured_command import OSTEON, machine, measured

from data_schema.cohort import Cohort, outcome_of
from models.estimator import CumulativeIncidenceModel
from training.benchmark.peer_columns import as_measured
from training.benchmark.stored_results import ESTIMATOR_CODE, ResultFile, code_fingerprint
from training.cohorts.drawn_patients import drawn_rows
from training.cohorts.study import check_table
from training.config import RunConfig
from training.datasets.registry import load_dataset
from training.fit import fit_osteon
from training.simulation.cohort import simulate
from training.simulation.truth import full_risk, recorded_risk

MOST_GB, MOST_EXPONENT, MOST_ABOVE_FLAT = 5.0, 1.05, 1.2
HORIZONS = (28.0, 90.0, 365.0)
JUDGED = 20_000
TREES_OF_FOREST = 200


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=["memory", "growth", "accuracy", "forest"])
    parser.add_argument("--patients", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--cap", type=int, default=20_000, help="max_patients of `growth`")
    parser.add_argument("--max-trees", type=int, default=500)
    parser.add_argument("--settings", default="", help="lines of the settings of train (TOML)")
    stated = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure = {"memory": memory, "growth": growth, "accuracy": accuracy, "forest": forest}
    result = figure[stated.figure](stated)
    print(json.dumps({"machine": machine(), **result}, indent=2))
    return 0 if result["reached"] else 1


def memory(stated: argparse.Namespace) -> dict[str, Any]:
    """Run the whole command at each size, and return its peak of memory."""
    settings = FOLDER.resolve() / "memory.toml"
    settings.write_text(stated.settings.replace(";", "\n") + "\n")
    rows = []
    for patients in stated.patients:
        used = measured(
            [
                *(*OSTEON, "train", str(cohort_file(patients)), "--outcome", "mortality"),
                *("--config", str(settings), "--json"),
            ],
            folder=FOLDER,
            environment={"MLFLOW_TRACKING_URI": f"sqlite:///{FOLDER.resolve()}/memory.db"},
        )
        rows.append({"patients": patients, "peak_gb": used.peak_mb * 2**20 / 1e9})
    highest = max(row["peak_gb"] for row in rows)
    return {
        "runs": rows,
        "peak_gb": highest,
        "at_most_gb": MOST_GB,
        "reached": highest <= MOST_GB,
    }


def growth(stated: argparse.Namespace) -> dict[str, Any]:
    """Fit draws of growing cohorts, and return how CPU time grows up to the cap and beyond it."""
    fits = [_fitted(n, min(n, stated.cap), stated.max_trees, judged=False) for n in stated.patients]
    below = [fit for fit in fits if fit["patients"] <= stated.cap]
    above = [fit for fit in fits if fit["patients"] > stated.cap]
    exponent = flat = None
    if len(below) > 1:
        first, last = below[0], below[-1]
        exponent = float(
            np.log(last["cpu_s"] / first["cpu_s"]) / np.log(last["patients"] / first["patients"])
        )
    if above and below:
        flat = above[-1]["cpu_s"] / below[-1]["cpu_s"] * below[-1]["patients"] / stated.cap
    return {
        "fits": fits,
        "exponent": exponent,
        "exponent_at_most": MOST_EXPONENT,
        "times_of_the_cap": flat,
        "times_of_the_cap_at_most": MOST_ABOVE_FLAT,
        "reached": (exponent is None or exponent <= MOST_EXPONENT)
        and (flat is None or flat <= MOST_ABOVE_FLAT),
    }


def accuracy(stated: argparse.Namespace) -> dict[str, Any]:
    """Fit growing draws of one cohort, judged by the true risks of other patients."""
    (patients,) = stated.patients
    sizes = [patients // share for share in (16, 8, 4, 2, 1)]
    fits = [_fitted(patients, size, stated.max_trees, judged=True) for size in sizes]
    gained = [
        round(later["auc_below_best"] - earlier["auc_below_best"], 5)
        for earlier, later in pairwise(fits)
    ]
    # There is no target: it shows what a cap on the patients costs.
    return {"fits": fits, "auc_gained_by_doubling": [-gain for gain in gained], "reached": True}


def _fitted(patients: int, drawn: int, max_trees: int, *, judged: bool) -> dict[str, Any]:
    """Return one complete fit to so many patients drawn of a cohort; from the file if it is there.

    Without interval and competing curve: what the risks need.
    """
    key = {"patients": patients, "drawn": drawn, "max_trees": max_trees, "judged": judged}
    code = code_fingerprint(ESTIMATOR_CODE, {})
    results = ResultFile(FOLDER / f"fits-{code}.jsonl")
    for row in results.read():
        if key.items() <= row.items():
            return dict(row)
    print(f"fitting {drawn} of {patients} patients", file=sys.stderr, flush=True)
    table = pd.read_parquet(cohort_file(patients))
    cohort = check_table(
        drawn_rows(table, RunConfig(max_patients=drawn)).table, outcome="mortality"
    ).cohort
    assert cohort is not None
    started = time.process_time()
    model = fit_osteon(
        cohort,
        horizons_days=HORIZONS,
        random_state=0,
        interval_folds=0,
        risk_only=True,
        max_trees=max_trees,
        threads=1,
    )
    row = key | {"cpu_s": round(time.process_time() - started, 1), "trees": model.n_trees_}
    row |= _against_truth(model, cohort) if judged else {}
    results.append(row)
    return row


def _against_truth(model: CumulativeIncidenceModel, cohort: Cohort) -> dict[str, float]:
    """Return how far the risks are from the truth of other patients, means over the horizons."""
    simulated = simulate(JUDGED, seed=SEED + 1)
    checked = check_table(simulated.cohort, outcome="mortality").cohort
    assert checked is not None
    risk = model.predict_risk(checked.features[list(cohort.features)])
    truth = full_risk(simulated.world, "mortality")[:, : len(HORIZONS)]
    best = recorded_risk(simulated.world, draws=32)["mortality"][:, : len(HORIZONS)]
    aucs = [
        [_expected_auc(truth[:, k], ranked[:, k]) for k in range(len(HORIZONS))]
        for ranked in (best, risk)
    ]
    clipped = risk.clip(1e-9, 1 - 1e-9)
    loss = -(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped)).mean()
    return {
        "auc_below_best": round(float(np.mean(np.subtract(*aucs))), 5),
        "log_loss": round(float(loss), 6),
        "mean_error_of_the_risk": round(float(np.abs(risk - best).mean()), 5),
    }


def _expected_auc(probability: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the curve of a score when patients have the event so probably."""
    order = np.argsort(score, kind="stable")
    p = probability[order]
    # sum over pairs i < j in the order of the score of (1 - p_i) p_j, over all pairs.
    without = np.cumsum(1 - p) - (1 - p)
    pairs = p.sum() * (1 - p).sum() - (p * (1 - p)).sum()
    return float((p * without).sum() / pairs)


def forest(stated: argparse.Namespace) -> dict[str, Any]:
    """Time the core fit on SUPPORT2 beside a random survival forest, in this run."""
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    cohort = load_dataset("support2")
    outcome = outcome_of(cohort)
    columns = as_measured(cohort.features).fit_transform(cohort.features)
    times = Surv.from_arrays(outcome.event == 1, outcome.time_days)
    started = time.perf_counter(), time.process_time()
    RandomSurvivalForest(
        n_estimators=TREES_OF_FOREST,
        min_samples_leaf=15,
        max_features="sqrt",
        n_jobs=2,
        random_state=0,
    ).fit(columns, times)
    of_forest = time.perf_counter() - started[0], time.process_time() - started[1]
    started = time.perf_counter(), time.process_time()
    fit_osteon(
        cohort, horizons_days=(30.0, 180.0, 365.0), random_state=0, interval_folds=0, threads=2
    )
    own = time.perf_counter() - started[0], time.process_time() - started[1]
    return {
        "osteon_wall_s": round(own[0], 1),
        "forest_wall_s": round(of_forest[0], 1),
        "osteon_cpu_s": round(own[1], 1),
        "forest_cpu_s": round(of_forest[1], 1),
        "times_of_the_forest": round(own[1] / of_forest[1], 3),
        "reached": own[1] < of_forest[1],
    }


if __name__ == "__main__":
    sys.exit(main())
