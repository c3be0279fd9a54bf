"""How often a patient's interval covers the best attainable risk, over patients and cohorts.

    python tests/benchmark/interval_coverage_study.py --out coverage.jsonl
    python tests/benchmark/interval_coverage_study.py --out coverage.jsonl --blanks 0 0.2 0.4 0.6

Each repeat learns from a cohort of its own, as recorded, and predicts for the same new patients,
whose best attainable risks are known. `--blanks` predicts for them again with shares of the markers
not entered; the best attainable risk is then that of what is entered. A repeat writes one line; a
run that was stopped goes on where it was. What is printed at the end is the coverage averaged over
patients and cohorts, for all and for the tenth of the patients with the highest true risk: a
statement about the population, not about one patient. The targets are .93 and .85.

Facts such as age and sex are never blank here: the best attainable risk without them has no closed
form. 50 repeats of 2,000 patients take about an hour of CPU, and four shares twice as long.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from models.inference.risk_model import RiskModel
from training.cohorts.study import study_of_table
from training.config import RunConfig
from training.fit import fit_osteon
from training.simulation.cohort import SimulatedCohort, simulate
from training.simulation.truth import horizons, recorded_risk

NEW_PATIENTS, NEW_SEED = 5_000, 1_000_000
CONFIG = RunConfig(simulated=True, threads=1)


def main() -> None:
    """Run what is missing of the repeats, then print the summary of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--outcome", choices=("mortality", "fracture"), default="mortality")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--patients", type=int, default=2_000)
    parser.add_argument("--new-patients", type=int, default=NEW_PATIENTS)
    parser.add_argument("--blanks", type=_share, nargs="+", default=[0.0], metavar="SHARE")
    stated = parser.parse_args()
    done = {row["seed"] for row in _rows(stated)}
    missing = [seed for seed in range(1, stated.repeats + 1) if seed not in done]
    new = [_new_patients(stated, share) for share in stated.blanks] if missing else []
    for seed in missing:
        row = _repeat(new, stated, seed)
        with stated.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        covered = "; ".join(
            f"{blank:.0%} blank " + ", ".join(f"{share:.3f}" for share in at_share["covered"])
            for blank, at_share in zip(row["blanks"], row["at_shares"], strict=True)
        )
        print(
            f"repeat {seed} of {stated.repeats}: covered {covered} in {row['seconds']:.0f} CPU s",
            file=sys.stderr,
            flush=True,
        )
    rows = list(_rows(stated))
    for place, blank in enumerate(stated.blanks):
        print(json.dumps(_summary(stated, rows, place, blank)))


@dataclass(frozen=True, slots=True)
class _NewPatients:
    """Patients to predict for, and their best attainable risks, (n_patients, n_horizons)."""

    features: pd.DataFrame
    best: NDArray[np.float64]


def _new_patients(stated: argparse.Namespace, share: float) -> _NewPatients:
    """Return the new patients with a share of the markers blank."""
    simulated = simulate(stated.new_patients, seed=NEW_SEED, blank_share=share)
    at_risk = simulated.world.at_risk(stated.outcome)
    best = recorded_risk(simulated.world)[stated.outcome][at_risk]
    return _NewPatients(_read(simulated, stated.outcome).features, best)


def _share(text: str) -> float:
    """Return a share of blanks, from 0 to below 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1; got {text}")
    return value


def _repeat(new: Sequence[_NewPatients], stated: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Learn from one cohort and count the intervals that cover, at each share of blanks."""
    started = time.process_time()
    model = fit_osteon(
        _read(simulate(stated.patients, seed=seed), stated.outcome),
        horizons_days=horizons(stated.outcome),
        random_state=seed,
        threads=1,
    ).risk_model_
    return {
        **_settings(stated),
        "seed": seed,
        "at_shares": [_covered(model, patients, stated.outcome) for patients in new],
        "seconds": round(time.process_time() - started, 1),
    }


def _covered(model: RiskModel, new: _NewPatients, outcome: str) -> dict[str, Any]:
    """Return the share of the intervals that cover, by horizon, and the refused patients."""
    frame = new.features.reindex(columns=model.features)
    prediction = model.predict(frame, horizons(outcome))
    answered = np.isfinite(prediction.risk_low).all(axis=1)
    inside = (prediction.risk_low <= new.best) & (new.best <= prediction.risk_high)
    width = prediction.risk_high - prediction.risk_low
    top = new.best >= np.quantile(new.best, 0.9, axis=0)
    days = range(new.best.shape[1])
    return {
        "covered": [_mean(inside[answered, k]) for k in days],
        "covered_top_tenth": [_mean(inside[answered & top[:, k], k]) for k in days],
        "width": [_mean(width[answered, k]) for k in days],
        "refused": int((~answered).sum()),
    }


def _mean(values: NDArray[Any]) -> float:
    """Return the mean; NaN where no patient is answered."""
    return float(values.mean()) if len(values) else float("nan")


def _read(simulated: SimulatedCohort, outcome: str) -> Cohort:
    """Return the cohort as `osteon train` reads it."""
    return study_of_table(simulated.cohort, outcome=outcome, config=CONFIG).cohort


def _settings(stated: argparse.Namespace) -> dict[str, Any]:
    """Return what rows must agree in to be of one study."""
    names = ("outcome", "patients", "new_patients", "blanks")
    return {name: getattr(stated, name) for name in names}


def _rows(stated: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows of the file that have the stated settings."""
    lines = stated.out.read_text().splitlines() if stated.out.is_file() else []
    settings = _settings(stated)
    yield from (row for row in map(json.loads, lines) if {k: row[k] for k in settings} == settings)


def _summary(
    stated: argparse.Namespace, rows: list[dict[str, Any]], place: int, blank: float
) -> dict[str, Any]:
    """Return coverage by horizon at one share of blanks, with the standard error over cohorts."""
    at_share = [row["at_shares"][place] for row in rows]
    summary: dict[str, Any] = {
        "outcome": stated.outcome,
        "patients": stated.patients,
        "blank": blank,
        "repeats": len(rows),
        "cpu_minutes": round(sum(row["seconds"] for row in rows) / 60, 1),
        "refused": float(np.mean([row["refused"] for row in at_share])),
    }
    for k, day in enumerate(horizons(stated.outcome)):
        at_day: dict[str, float | None] = {}
        for name in ("covered", "covered_top_tenth", "width"):
            values = np.array([row[name][k] for row in at_share])
            error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
            at_day |= {name: float(values.mean()), f"{name}_se": error}
        summary[f"{day:g} days"] = at_day
    return summary


if __name__ == "__main__":
    main()
