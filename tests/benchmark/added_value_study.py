"""Whether the interval of the change in AUC is honest, on simulated cohorts whose truth is known.

    python tests/benchmark/added_value_study.py no-added-value --out null.jsonl
    python tests/benchmark/added_value_study.py published --out published.jsonl

Each repeat draws a cohort, fits Osteon with and without the panel out of fold, and writes one line.
A run that was stopped goes on where it was. The outcome is death by day 28, which is known of
all patients: a fit then takes a third of the time that whole curves take. The panel, its base and
both models are those of `osteon evaluate --added-value`. `no-added-value` also fits
the pair on the whole cohort and takes its true change from 100,000 new patients; `published` also
asks how often the best attainable risks themselves, on the same patients, show the change (the
oracle's power).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort, OutcomeData, outcome_of
from data_schema.variables import base_name
from models.censoring import is_known
from models.estimator import CumulativeIncidenceModel
from models.metrics.comparison.paired_changes import (
    Change,
    OutOfFold,
    paired_changes,
    verdict,
)
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import KnownOutcome
from training.cohorts.comparison import comparison_of
from training.cohorts.groups import MARKER_PATHWAYS
from training.cohorts.panel import Panel, panel_of
from training.cohorts.study import study_of_table
from training.config import RunConfig
from training.fit import refit, with_columns
from training.fold_fits import out_of_fold_risks
from training.simulation.cohort import simulate, simulated_table
from training.simulation.truth import recorded_risk
from training.validation.panel_value import WITH, WITHOUT

PANEL = MARKER_PATHWAYS
HORIZON = 28.0
# Four fifths of them are more than 2,000, above which a fit chooses with four folds and not ten.
PATIENTS = {"no-added-value": 2_600, "published": 8_000}
NEW_PATIENTS = 100_000
NEW_SEED = 1_000_000
AT_A_TIME = 20_000
SMALLEST_SHARE = 0.4
"""Columns recorded in fewer patients are left out of both models, which saves half of the time."""

CONFIG = RunConfig(simulated=True, threads=1)


def main() -> None:
    """Run what is missing of the repeats, then print the summary of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=sorted(PATIENTS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--patients", type=int)
    stated = parser.parse_args()
    patients = stated.patients or PATIENTS[stated.scenario]
    done = {row["seed"] for row in _rows(stated.out) if row["patients"] == patients}
    new = None
    for number in range(1, stated.repeats + 1):
        if number in done:
            continue
        if new is None and stated.scenario == "no-added-value":
            new = _read(simulated_table(NEW_PATIENTS, seed=NEW_SEED, scenario=stated.scenario))[0]
        started, worked = time.perf_counter(), time.process_time()
        row = _repeat(stated.scenario, patients, number, new)
        row["seconds"] = round(time.perf_counter() - started, 1)
        row["cpu_seconds"] = round(time.process_time() - worked, 1)
        with stated.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"repeat {number} of {stated.repeats}: {row['change']:+.4f} "
            f"({row['low']:+.4f} to {row['high']:+.4f}), {row['verdict']}, in "
            f"{row['seconds']:.0f} s "
            f"({row['cpu_seconds']:.0f} s of CPU)",
            file=sys.stderr,
            flush=True,
        )
    print(json.dumps(_summary(stated.scenario, patients, list(_rows(stated.out)))))


def _repeat(scenario: str, patients: int, seed: int, new: Cohort | None) -> dict[str, Any]:
    """Draw one cohort and judge the panel on it."""
    simulated = simulate(patients, seed=seed, scenario=scenario)
    cohort, known = _read(simulated.cohort)
    comparison = comparison_of(cohort, _often_recorded(cohort))
    cohort = comparison.cohort
    columns = {WITHOUT: comparison.base, WITH: comparison.extended}
    change = _change(cohort, out_of_fold_risks(cohort, columns, (HORIZON,), CONFIG))
    row = {
        "scenario": scenario,
        "patients": patients,
        "seed": seed,
        "without": change.without,
        "change": change.change,
        "low": change.low,
        "high": change.high,
        "verdict": verdict(change.low, change.high),
    }
    if new is not None:
        flagged = comparison.flagged(new)
        areas = [
            _area(flagged, refit(with_columns(cohort, names), (HORIZON,), CONFIG), names)
            for names in columns.values()
        ]
        return row | {"true_change": areas[1] - areas[0], "true_without": areas[0]}
    markers = frozenset(map(base_name, comparison.panel.columns))
    best = {
        WITHOUT: recorded_risk(simulated.world, without=markers)["mortality"][known, :1],
        WITH: recorded_risk(simulated.world)["mortality"][known, :1],
    }
    oracle = _change(cohort, OutOfFold(best, np.zeros(len(cohort), dtype=np.int64), (HORIZON,)))
    return row | {
        "oracle_change": oracle.change,
        "oracle_low": oracle.low,
        "oracle_high": oracle.high,
    }


def _change(cohort: Cohort, risks: OutOfFold) -> Change:
    """Return the change in the area under the curve."""
    outcome = outcome_of(cohort)
    return paired_changes(
        outcome.time_days,
        outcome.event,
        risks,
        [(WITHOUT, WITH)],
        thresholds=(0.2,),
        n_bootstrap=CONFIG.bootstrap_resamples,
    )[0][0]


def _area(new: Cohort, model: CumulativeIncidenceModel, names: tuple[str, ...]) -> float:
    """Return the area under the curve of a model on patients that nothing learned from."""
    features = with_columns(new, names).features
    risk = np.concatenate(
        [
            model.predict_risk(features.iloc[first : first + AT_A_TIME])[:, 0]
            for first in range(0, len(features), AT_A_TIME)
        ]
    )
    ones = np.ones(len(risk))
    return float(auroc(KnownOutcome(outcome_of(new).event == 1, ones, ones), risk))


def _read(table: pd.DataFrame) -> tuple[Cohort, NDArray[np.bool_]]:
    """Return the cohort with death by the horizon as its outcome, without who was lost before."""
    cohort = study_of_table(table, outcome="mortality", config=CONFIG).cohort
    outcome = outcome_of(cohort)
    known = is_known(outcome.time_days, outcome.event, HORIZON)
    kept = cohort.take(known)
    died = (outcome.event == 1) & (outcome.time_days <= HORIZON)
    at_horizon = OutcomeData(
        outcome.name, np.full(len(kept), HORIZON), died[known].astype(np.int64), HORIZON
    )
    return replace(kept, outcome=at_horizon), known


def _often_recorded(cohort: Cohort) -> Panel:
    """Return the panel and its base, without what few patients have."""
    panel = panel_of(cohort, PANEL)
    seen = cohort.features.notna().mean() >= SMALLEST_SHARE
    return Panel(
        {name: tuple(c for c in members if seen[c]) for name, members in panel.added.items()},
        tuple(c for c in panel.over if seen[c]),
        tuple(c for c in panel.counts if seen[c]),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        yield from (json.loads(line) for line in path.read_text().splitlines())


def _summary(scenario: str, patients: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the issue's table."""
    mine = [row for row in rows if (row["scenario"], row["patients"]) == (scenario, patients)]
    summary = {
        "scenario": scenario,
        "patients": patients,
        "repeats": len(mine),
        "minutes": round(sum(row["seconds"] for row in mine) / 60, 1),
        "mean_change": float(np.mean([row["change"] for row in mine])),
        "cpu_seconds_each": round(float(np.mean([row["cpu_seconds"] for row in mine])), 1),
        "wholly_above_0": sum(row["low"] > 0 for row in mine),
        "verdicts": dict(Counter(row["verdict"] for row in mine)),
    }
    if scenario == "no-added-value":
        covered = sum(row["low"] <= row["true_change"] <= row["high"] for row in mine)
        true = float(np.mean([row["true_change"] for row in mine]))
        return summary | {"covers_true_change_of_fitted_pair": covered, "mean_true_change": true}
    return summary | {
        "oracle_wholly_above_0": sum(row["oracle_low"] > 0 for row in mine),
        "oracle_mean_change": float(np.mean([row["oracle_change"] for row in mine])),
    }


if __name__ == "__main__":
    main()
