"""How often a patient's interval covers the best attainable risk, over patients and cohorts.

    python tests/benchmark/interval_coverage_study.py --out coverage.jsonl

Each repeat learns from a cohort of its own and asks it about the same new patients, whose best
attainable risks are known; it writes one line. A run that was stopped goes on where it was. What is
printed at the end is the coverage averaged over patients and cohorts, for all and for the tenth of
the patients with the highest true risk: a statement about the population, not about one patient.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_schema.cohort import Cohort
from training.cohorts.study import study_of_table
from training.config import RunConfig
from training.fit import fit_osteon
from training.simulation.cohort import SimulatedCohort, simulate
from training.simulation.truth import horizons

NEW_PATIENTS, NEW_SEED = 5_000, 1_000_000
CONFIG = RunConfig(simulated=True, threads=1)


def main() -> None:
    """Run what is missing of the repeats, then print the summary of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--outcome", choices=("mortality", "fracture"), default="mortality")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--patients", type=int, default=2_000)
    stated = parser.parse_args()
    asked = (stated.outcome, stated.patients)
    done = {row["seed"] for row in _rows(stated.out, *asked)}
    missing = [seed for seed in range(1, stated.repeats + 1) if seed not in done]
    new = simulate(NEW_PATIENTS, seed=NEW_SEED) if missing else None
    for seed in missing:
        assert new is not None
        row = _repeat(new, *asked, seed)
        with stated.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        covered = ", ".join(f"{share:.3f}" for share in row["covered"])
        print(
            f"repeat {seed} of {stated.repeats}: covered {covered} in {row['seconds']:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    print(json.dumps(_summary(*asked, list(_rows(stated.out, *asked)))))


def _repeat(new: SimulatedCohort, outcome: str, patients: int, seed: int) -> dict[str, Any]:
    """Learn from one cohort and count the intervals that cover."""
    started = time.perf_counter()
    days = horizons(outcome)
    model = fit_osteon(
        _read(simulate(patients, seed=seed), outcome),
        horizons_days=days,
        random_state=seed,
        threads=1,
    )
    asked = _read(new, outcome).features
    told = model.risk_model_.predict(asked.reindex(columns=model.risk_model_.features), days)
    truth = new.truth[new.truth["outcome"] == outcome]
    answered = np.array([status == "ok" for status in told.status])
    row: dict[str, Any] = {"outcome": outcome, "patients": patients, "seed": seed}
    shares: dict[str, list[float]] = {"covered": [], "covered_top_tenth": [], "width": []}
    for k, day in enumerate(days):
        best = truth.loc[truth["horizon_days"] == day, "risk_recorded"].to_numpy()
        inside = (told.risk_low[:, k] <= best) & (best <= told.risk_high[:, k])
        top = answered & (best >= np.quantile(best, 0.9))
        shares["covered"].append(float(inside[answered].mean()))
        shares["covered_top_tenth"].append(float(inside[top].mean()))
        shares["width"].append(float((told.risk_high - told.risk_low)[answered, k].mean()))
    return (
        row
        | shares
        | {
            "refused": int((~answered).sum()),
            "seconds": round(time.perf_counter() - started, 1),
        }
    )


def _read(simulated: SimulatedCohort, outcome: str) -> Cohort:
    """Return the cohort as `osteon train` reads it."""
    return study_of_table(simulated.cohort, outcome=outcome, config=CONFIG).cohort


def _rows(path: Path, outcome: str, patients: int) -> Iterator[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = map(json.loads, lines)
    yield from (row for row in rows if (row["outcome"], row["patients"]) == (outcome, patients))


def _summary(outcome: str, patients: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return coverage by horizon, with the standard error over cohorts."""
    told: dict[str, Any] = {
        "outcome": outcome,
        "patients": patients,
        "repeats": len(rows),
        "minutes": round(sum(row["seconds"] for row in rows) / 60, 1),
    }
    for k, day in enumerate(horizons(outcome)):
        at_day = {}
        for name in ("covered", "covered_top_tenth", "width"):
            values = np.array([row[name][k] for row in rows])
            error = values.std(ddof=1) / np.sqrt(len(values))
            at_day |= {name: float(values.mean()), f"{name}_se": float(error)}
        told[f"{day:g} days"] = at_day
    return told


if __name__ == "__main__":
    main()
