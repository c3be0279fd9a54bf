"""How often a panel of noise that is ordered more often in the sick is said to add something.

    python tests/benchmark/noise_panel_study.py --out noise.jsonl
    python tests/benchmark/noise_panel_study.py --out blind.jsonl --blind

Each repeat simulates a cohort, replaces four markers by noise, and orders their tests by the
patient's true risk, which no recorded value holds in full: which tests were done foretells death,
and their results do not. The panel is then compared with its base as `osteon evaluate
--added-value` does, with the verdict and the likelihood-ratio test of the package. The outcome is
death by day 28, which is known of all patients but those lost before, who are left out; the base
holds the columns of `BASE` alone, which makes a fit several times faster and leaves more to be
foretold by what was ordered. With `--blind` the base does not know what was ordered, as a control
that the panel would otherwise seem to add something. A run that was stopped goes on where it was.
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
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from data_schema.cohort import Cohort, OutcomeData, outcome_of
from models.censoring import is_known
from models.metrics.comparison.paired_changes import paired_changes, verdict
from training.cohorts.comparison import comparison_of
from training.cohorts.panel import panel_of
from training.cohorts.study import study_of_table
from training.config import RunConfig
from training.fold_fits import out_of_fold_risks
from training.simulation.cohort import simulate
from training.simulation.truth import full_risk
from training.validation.panel_value import WITH, WITHOUT, panel_test

BASE = (
    *("age", "sex", "sofa", "apache2", "gcs", "map", "lactate", "creatinine", "urea_nitrogen"),
    *("bilirubin", "platelets", "albumin", "phosphate", "calcium", "crp"),
)
ORDERED_TOGETHER = (("ctx_s", "p1np"), ("fgf23_c",), ("osteopontin",))
"""Markers of one order; half of the patients have each order."""

LOG_ODDS_OF_ORDER = 1.0
"""Of an order, for each standard deviation of the log-odds of the true risk."""

HORIZON = 28.0
PATIENTS = 2_600
"""Four fifths are more than 2,000, above which a fit chooses with four folds and not ten."""

CONFIG = RunConfig(simulated=True, threads=1)


class Row(TypedDict):
    """One repeat."""

    patients: int
    seed: int
    blind: bool
    without: float
    change: float
    low: float
    high: float
    verdict: str
    p_value: float
    cpu_seconds: float


def main() -> None:
    """Run what is missing of the repeats, then print the summary of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--blind", action="store_true")
    stated = parser.parse_args()
    done = {row["seed"] for row in _rows(stated.out, stated.patients, blind=stated.blind)}
    for seed in sorted(set(range(1, stated.repeats + 1)) - done):
        row = _repeat(stated.patients, seed, blind=stated.blind)
        with stated.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"repeat {seed} of {stated.repeats}: {row['change']:+.4f} ({row['low']:+.4f} to "
            f"{row['high']:+.4f}), {row['verdict']}, in {row['cpu_seconds']:.0f} s of CPU",
            file=sys.stderr,
            flush=True,
        )
    print(json.dumps(_summary(list(_rows(stated.out, stated.patients, blind=stated.blind)))))


def _repeat(patients: int, seed: int, *, blind: bool) -> Row:
    """Draw one cohort and judge the panel of noise on it."""
    started = time.process_time()
    comparison = comparison_of(
        cohort := _cohort(patients, seed), panel_of(cohort, _markers(), BASE)
    )
    base = comparison.panel.over if blind else comparison.base
    models = {WITHOUT: base, WITH: (*base, *comparison.panel.columns)}
    outcome = outcome_of(cohort)
    change = paired_changes(
        outcome.time_days,
        outcome.event,
        out_of_fold_risks(comparison.cohort, models, (HORIZON,), CONFIG),
        [(WITHOUT, WITH)],
        thresholds=(),
        n_bootstrap=CONFIG.bootstrap_resamples,
    )[0][0]
    return Row(
        patients=patients,
        seed=seed,
        blind=blind,
        without=change.without,
        change=change.change,
        low=change.low,
        high=change.high,
        verdict=verdict(change.low, change.high),
        p_value=panel_test(comparison, HORIZON).ratio.p_value,
        cpu_seconds=round(time.process_time() - started, 1),
    )


def _markers() -> tuple[str, ...]:
    return tuple(name for order in ORDERED_TOGETHER for name in order)


def _cohort(patients: int, seed: int) -> Cohort:
    """Return a cohort whose markers are noise, measured more often in those at higher risk."""
    simulated = simulate(patients, seed=seed)
    cohort = study_of_table(simulated.cohort, outcome="mortality", config=CONFIG).cohort
    outcome = outcome_of(cohort)
    odds = logit(full_risk(simulated.world, "mortality")[:, 0].clip(1e-6, 1 - 1e-6))
    sickness = (odds - odds.mean()) / odds.std()
    rng = np.random.default_rng((seed, 1))
    features = cohort.features[list(BASE)].copy()
    for order in ORDERED_TOGETHER:
        ordered = rng.random(patients) < expit(LOG_ODDS_OF_ORDER * sickness)
        for name in order:
            features[name] = np.where(ordered, rng.lognormal(5.0, 0.8, patients), np.nan)
    known: NDArray[np.bool_] = is_known(outcome.time_days, outcome.event, HORIZON)
    died = (outcome.event == 1) & (outcome.time_days <= HORIZON)
    kept = replace(cohort, features=features).take(known)
    at_horizon = OutcomeData(
        outcome.name, np.full(len(kept), HORIZON), died[known].astype(np.int64), HORIZON
    )
    return replace(kept, outcome=at_horizon)


def _rows(path: Path, patients: int, *, blind: bool) -> Iterator[Row]:
    if path.is_file():
        rows: list[Row] = [json.loads(line) for line in path.read_text().splitlines()]
        yield from (r for r in rows if (r["patients"], r["blind"]) == (patients, blind))


def _summary(rows: list[Row]) -> dict[str, object]:
    """Return the figures of the issue's table."""
    verdicts = Counter(row["verdict"] for row in rows)
    return {
        "repeats": len(rows),
        "verdict_adds": verdicts["adds"],
        "verdicts": dict(verdicts),
        "wholly_above_0": sum(row["low"] > 0 for row in rows),
        "likelihood_ratio_p_below_0.05": sum(row["p_value"] < 0.05 for row in rows),
        "mean_change": float(np.mean([row["change"] for row in rows])),
        "cpu_seconds_each": round(float(np.mean([row["cpu_seconds"] for row in rows])), 1),
    }


if __name__ == "__main__":
    main()
