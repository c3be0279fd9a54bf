"""Whether the report of a training run is right: reported figures and intervals against the truth.

    python tests/benchmark/report_study.py --out report.jsonl --source support2 --patients 300

Each draw takes some patients, judges the procedure on them as `osteon train` does, fits the model
that would be registered to all of them, and judges that model on the rows that were never drawn
(SUPPORT2), or on 20,000 new patients of the same world (simulated). It writes one line; a run that
was stopped goes on where it was. The summary compares what was reported with the truth of the
registered model of that draw, which the interval must cover. `--repeats 1` takes a tenth of the
time of the 10 repeats that a run of 300 patients makes, and is somewhat less precise.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_schema.cohort import Cohort, outcome_of
from models.censoring import CensoringDistribution
from models.metrics.catalogue import METRICS, AtHorizon, MetricSpec
from models.metrics.known_outcome import known_outcome, why_not_evaluable
from models.metrics.summary import added_variance
from training.cohorts.study import public_study, study_of_table
from training.config import RunConfig
from training.fit import refit
from training.simulation.cohort import simulated_table
from training.simulation.truth import horizons
from training.validation.cross_validation import cross_validate
from training.validation.plan import evaluation_plan

NEW_PATIENTS, NEW_SEED = 20_000, 1_000_000
RESAMPLES = 400
DRAWS = {300: 200, 1_000: 50}
JUDGED = ("auroc", "calibration_slope", "oe_ratio", "ipa", "ici")
# Largest root mean squared error by number of patients, at the middle horizon.
TARGETS = {
    "auroc": {300: 0.040, 1_000: 0.015},
    "calibration_slope": {300: 0.25, 1_000: 0.09},
}
COVERAGE = (0.90, 0.98)


@dataclass(frozen=True, slots=True)
class Source:
    """Where patients are drawn from: the patients of a draw, and others to judge their model on."""

    horizons_days: tuple[float, ...]
    draw: Callable[[int, int], tuple[Cohort, Cohort]]


def main() -> None:
    """Run what is missing of the draws, then print the summary of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", choices=("support2", "simulated"), default="support2")
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--draws", type=int, help="default: 200 of 300 patients, 50 of 1,000")
    parser.add_argument("--repeats", type=int, help="default: as in `osteon train`")
    parser.add_argument("--new-patients", type=int, default=NEW_PATIENTS)
    parser.add_argument("--max-trees", type=int, default=500)
    stated = parser.parse_args()
    draws = stated.draws or DRAWS.get(stated.patients, 50)
    key = {
        "source": stated.source,
        "patients": stated.patients,
        "repeats": stated.repeats or 0,
        "max_trees": stated.max_trees,
    }
    done = {row["draw"] for row in _rows(stated.out, key)}
    missing = [number for number in range(1, draws + 1) if number not in done]
    source = _source(stated.source, stated.new_patients) if missing else None
    for number in missing:
        assert source is not None
        config = RunConfig(
            seed=number, repeats=stated.repeats, max_trees=stated.max_trees, threads=1
        )
        row = key | {"draw": number} | _judged(source, stated.patients, number, config)
        with stated.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        left = (draws - number) * row["seconds"] / 60
        print(
            f"draw {number} of {draws}: {row['seconds']:.0f} s; about {left:.0f} min left",
            file=sys.stderr,
            flush=True,
        )
    print(json.dumps(_summary(key, list(_rows(stated.out, key))), indent=1))


def _source(name: str, new_patients: int) -> Source:
    config = RunConfig(simulated=name == "simulated", threads=1)
    if name == "support2":
        study = public_study("support2", outcome="mortality", config=config)

        def rest(patients: int, number: int) -> tuple[Cohort, Cohort]:
            order = np.random.default_rng(number).permutation(len(study.cohort))
            return study.cohort.take(order[:patients]), study.cohort.take(order[patients:])

        return Source(study.horizons_days, rest)

    def read(patients: int, seed: int) -> Cohort:
        table = simulated_table(patients, seed=seed)
        return study_of_table(table, outcome="mortality", config=config).cohort

    new = read(new_patients, NEW_SEED)
    return Source(
        tuple(horizons("mortality")), lambda patients, number: (read(patients, number), new)
    )


def _judged(source: Source, patients: int, number: int, config: RunConfig) -> dict[str, Any]:
    """Return what a run would report of one draw, beside the truth of its model."""
    started = time.perf_counter()
    drawn, others = source.draw(patients, number)
    plan = evaluation_plan(drawn, config)
    model = refit(drawn, source.horizons_days, config)
    predictions = cross_validate(drawn, plan, source.horizons_days, config, curve_days=None)
    reported = {
        (metric.metric, metric.horizon_days): metric
        for metric in predictions.metrics(n_bootstrap=RESAMPLES, random_state=number)
    }
    columns = list(drawn.features.columns)
    truth = _figures(others, model.predict_risk(others.features[columns]), source.horizons_days)
    figures = [
        {
            "metric": name,
            "days": days,
            "truth": true,
            "reported": reported[name, days].estimate,
            "low": reported[name, days].low,
            "high": reported[name, days].high,
        }
        for (name, days), true in truth.items()
        if reported[name, days].has_interval
    ]
    return {
        "rows_of_truth": len(others),
        "fits": plan.fits + 1,
        "folds": plan.folds,
        "repeats_done": len(plan.repeats),
        "figures": figures,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _figures(
    cohort: Cohort, risk: np.ndarray, horizons_days: tuple[float, ...]
) -> dict[tuple[str, float], float]:
    """Return the figures of one model on patients that it has not learned from."""
    outcome = outcome_of(cohort)
    censoring = CensoringDistribution.fit(outcome.time_days, outcome.event)
    figures: dict[tuple[str, float], float] = {}
    for column, days in enumerate(horizons_days):
        if why_not_evaluable(outcome.time_days, outcome.event, days, censoring):
            continue
        known = known_outcome(outcome.time_days, outcome.event, days, censoring=censoring)
        at_horizon = AtHorizon(known, known, risk[:, column], float(known.event_rate))
        for name in JUDGED:
            spec = METRICS[name]
            assert isinstance(spec, MetricSpec)
            figures[name, days] = float(spec.function(at_horizon))  # type: ignore[arg-type]
    return figures


def _rows(path: Path, key: dict[str, Any]) -> Iterator[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = map(json.loads, lines)
    yield from (row for row in rows if key.items() <= row.items())


def _summary(key: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return error and coverage of each metric at each horizon, and whether targets are met."""
    days = sorted({figure["days"] for row in rows for figure in row["figures"]})
    middle = days[len(days) // 2] if days else None
    folds, repeats = (rows[0][name] if rows else 1 for name in ("folds", "repeats_done"))
    summary: dict[str, Any] = key | {
        "draws": len(rows),
        "minutes": round(sum(row["seconds"] for row in rows) / 60, 1),
        "seconds_per_draw": round(float(np.mean([row["seconds"] for row in rows])), 1),
        "figures": [],
    }
    for name in JUDGED:
        for at in days:
            figures = [
                figure
                for row in rows
                for figure in row["figures"]
                if (figure["metric"], figure["days"]) == (name, at)
            ]
            entry = {"metric": name, "days": at}
            entry |= _errors(
                figures, added_variance(METRICS[name].group, folds=folds, repeats=repeats)
            )
            target = TARGETS.get(name, {}).get(key["patients"])
            if target is not None and at == middle:
                entry |= {
                    "rmse_target": target,
                    "rmse_met": entry["rmse"] <= target,
                    "coverage_target": list(COVERAGE),
                    "coverage_met": COVERAGE[0] <= entry["covered"] <= COVERAGE[1],
                }
            summary["figures"].append(entry)
    return summary


def _errors(figures: list[dict[str, Any]], added: float) -> dict[str, Any]:
    """Return bias, error and coverage, the last also if the interval were widened otherwise.

    `added` is the variance added to that of the resamples, as a share of it.
    """
    reported, truth, low, high = (
        np.array([figure[name] for figure in figures])
        for name in ("reported", "truth", "low", "high")
    )
    error = reported - truth

    def covered(instead: float) -> float:
        factor = np.sqrt((1 + instead) / (1 + added))
        ends = [reported + factor * (end - reported) for end in (low, high)]
        return round(float(((ends[0] <= truth) & (truth <= ends[1])).mean()), 3)

    return {
        "draws": len(figures),
        "truth": round(float(truth.mean()), 4),
        "bias": round(float(error.mean()), 4),
        "bias_se": round(float(error.std(ddof=1) / np.sqrt(len(error))), 4)
        if len(error) > 1
        else None,
        "rmse": round(float(np.sqrt((error**2).mean())), 4),
        "width": round(float((high - low).mean()), 4),
        "covered": covered(added),
        "covered_by_variance_added": {
            f"{instead:g}": covered(instead) for instead in (0.0, 0.25, 0.5, 1.0, 1.25)
        },
    }


if __name__ == "__main__":
    main()
