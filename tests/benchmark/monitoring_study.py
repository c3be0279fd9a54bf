"""What monitoring finds, misses and raises by chance: the figures that it must reach.

    python tests/benchmark/monitoring_study.py --model models:/osteon-mortality-simulated/1 \
        --out build/monitoring.jsonl [--part units|clean|expected|concept] [--small]

Each repeat draws patients that the model has not seen, watches them as `osteon monitor` does, and
writes one line; a run that was stopped goes on where it was. The model is one that was trained on
simulated patients of the scenario `published`.

units     one of the 60 variables recorded most often arrives in another unit, 500 patients:
          found and named in >= 99 of 100
clean     1,000 weeks of 500 patients without a change: each kind of alert in <= 1 % of them
expected  expected area under the curve and Brier score, 2,000 patients, against what came true:
          covered in >= 90 of 100 under covariate drift and in the site of `shifted-site`
concept   the same inputs, more deaths: no alert before outcomes, an alert after
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from models.inference.risk_model import RiskModel
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import known_outcome
from models.metrics.metric import Metric
from models.metrics.overall.brier import brier
from models.metrics.summary import evaluate
from models.monitoring.arrivals import Arrivals
from models.monitoring.expected import expected_performance
from models.monitoring.inputs import check_inputs
from models.monitoring.observed import observed_over_expected, outcome_alerts
from models.monitoring.reference import Reference
from models.monitoring.unit_shift import SMALLEST_RATIO, unit_shifts
from models.monitoring.watch import check_risks, drift_alerts, watch
from models.registry.lifecycle import load
from training.simulation.cohort import simulate
from training.validation.arrivals import read_arrivals

PANEL = 60
WEEK = 500
POOL, POOLS = 20_000, 5
SEED = 7_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the study: its number of repeats, and the line that a repeat writes."""

    repeats: int
    small: int
    repeat: Callable[[RiskModel, int], dict[str, object]]


def simulated(patients: int, seed: int, scenario: str = "published") -> pd.DataFrame:
    """Return new patients of a scenario."""
    return simulate(patients, seed=SEED + seed, scenario=scenario).cohort


def panel(reference: Reference) -> list[str]:
    """Return the numbers of the catalogue that most training patients have a value of."""
    numbers = [
        known
        for known in reference.numbers.values()
        if known.name in VARIABLES and known.scale is not None
    ]
    numbers.sort(key=lambda known: -(known.recorded or 0))
    return [known.name for known in numbers[:PANEL]]


def other_units(name: str) -> list[tuple[str, float]]:
    """Return the units of a variable that differ from the canonical one by a factor that shows."""
    units = {factor: unit for unit, factor in reversed(VARIABLES[name].units.items())}
    return [
        (unit, factor)
        for factor, unit in units.items()
        if not 1 / SMALLEST_RATIO < factor < SMALLEST_RATIO
    ]


def unit_repeat(risk_model: RiskModel, number: int) -> dict[str, object]:
    """Shift one variable of the panel in 500 new patients, and watch them."""
    rng = np.random.default_rng(number)
    reference = Reference.of(risk_model.contract)
    watched = panel(reference)
    name = str(rng.choice([one for one in watched if other_units(one)]))
    unit, factor = other_units(name)[rng.integers(len(other_units(name)))]
    table = simulated(WEEK, number)
    others = set(reference.numbers) & set(VARIABLES) - set(watched)
    table[list(others & set(table.columns))] = np.nan
    cells = pd.to_numeric(table[name], errors="coerce")
    stated = table[name].astype(object)
    table[name] = stated.mask(cells.notna(), cells / factor)
    arrivals = read_arrivals(table, risk_model)
    shifts = unit_shifts(arrivals, reference)
    return {
        "variable": name,
        "unit": unit,
        "values": int(cells.notna().sum()),
        "found": any(alert.variable == name for alert in shifts),
        "named": any(
            alert.variable == name
            and alert.unit is not None
            and np.isclose(VARIABLES[name].units[alert.unit], factor)
            for alert in shifts
        ),
        "false": sum(alert.variable != name for alert in shifts),
    }


_POOLS: dict[int, Arrivals] = {}


def pool(risk_model: RiskModel, number: int) -> Arrivals:
    """Return many new patients, read once, from whom weeks are drawn."""
    if number not in _POOLS:
        _POOLS.clear()
        _POOLS[number] = read_arrivals(simulated(POOL, 10_000 + number), risk_model)
    return _POOLS[number]


def clean_repeat(risk_model: RiskModel, number: int) -> dict[str, object]:
    """Watch one week in which nothing has changed."""
    rng = np.random.default_rng(number)
    everyone = pool(risk_model, number // 200)
    week = everyone.take(rng.choice(everyone.stays, WEEK, replace=False))
    contract = risk_model.contract
    reference = Reference.of(contract)
    information = contract.guard.information
    strongest = sorted(information, key=lambda name: -information[name])
    shifts = unit_shifts(week, reference)
    checks = check_inputs(week, reference, strongest=strongest)
    promised = expected_performance(week.risk[~week.refused], week.horizons_days)
    found = [
        *shifts,
        *drift_alerts(week, checks, list(check_risks(week, contract))),
        *outcome_alerts(
            observed_over_expected(week, training_patients=contract.training.patients),
            areas(week),
            promised,
        ),
    ]
    return {
        "kinds": sorted({alert.kind for alert in found}),
        "alerts": sorted({f"{alert.kind} {alert.variable} {alert.what}" for alert in found}),
    }


def areas(week: Arrivals) -> list[Metric]:
    """Return areas under the curve with intervals as `watch` has them, without the other metrics.

    The metrics of blanked fields are few; which fields were blank plays no part in them.
    """
    outcomes = week.outcomes
    assert outcomes is not None
    used = np.isfinite(week.risk).all(axis=1) & np.isfinite(outcomes.time_days)
    return evaluate(
        outcomes.time_days[used],
        outcomes.event[used],
        week.risk[used],
        week.horizons_days,
        n_bootstrap=200,
        blank_share=0.5,
    )


def expected_repeat(risk_model: RiskModel, number: int) -> dict[str, object]:
    """Compare what the risks promise with what came true, for other patients than the model's."""
    line: dict[str, object] = {}
    for case in ("covariate drift", "shifted-site"):
        arrivals = drifted(risk_model, number, case)
        promised = expected_performance(arrivals.risk, arrivals.horizons_days, random_state=number)
        outcomes = arrivals.outcomes
        assert outcomes is not None
        for at, days in enumerate(arrivals.horizons_days):
            answered = np.isfinite(arrivals.risk[:, at])
            known = known_outcome(outcomes.time_days[answered], outcomes.event[answered], days)
            risk = arrivals.risk[answered, at]
            true = {"auroc": float(auroc(known, risk)), "brier": float(brier(known, risk))}
            for one in promised:
                if one.horizon_days == days:
                    line[f"{case}: {one.metric} at {days:g} days"] = {
                        "true": true[one.metric],
                        "expected": one.estimate,
                        "low": one.low,
                        "high": one.high,
                        "covered": one.low <= true[one.metric] <= one.high,
                    }
    return line


def drifted(risk_model: RiskModel, number: int, case: str) -> Arrivals:
    """Return 2,000 patients of a case: older and sicker ones, or the site that differs."""
    if case == "shifted-site":
        table = simulated(14_000, number, "shifted-site")
        last = sorted(table["site"].unique())
        shifted = table[table["site"] == shifted_site(last)]
        return read_arrivals(shifted.head(2_000), risk_model)
    table = simulated(6_000, number)
    severity = pd.to_numeric(table["sofa"], errors="coerce").fillna(6)
    age = pd.to_numeric(table["age"], errors="coerce").fillna(60)
    weight = np.exp(0.15 * (severity - 6) + 0.02 * (age - 60)).clip(0.2, 3)
    drawn = table.sample(2_000, weights=weight, random_state=number)
    return read_arrivals(drawn, risk_model)


def shifted_site(names: list[str]) -> str:
    """Return the site of `shifted-site` that has other patients, kits and risks."""
    from training.simulation.sites import SITES

    last = SITES[-1].name
    assert last in names
    return last


def concept_repeat(risk_model: RiskModel, number: int) -> dict[str, object]:
    """Watch patients like those of training, of whom more die, before and after outcomes."""
    arrivals = read_arrivals(simulated(2_000, 30_000 + number), risk_model)
    outcomes = arrivals.outcomes
    assert outcomes is not None
    # Everything happens in half the time: the same patients, and another relation to the outcome.
    died_sooner = replace(outcomes, time_days=np.maximum(outcomes.time_days / 4, 0.05))
    contract = risk_model.contract
    before = watch(replace(arrivals, outcomes=None), contract, model="")
    after = watch(replace(arrivals, outcomes=died_sooner), contract, model="")
    calibration = [alert for alert in after.alerts if alert.kind == "calibration"]
    return {
        "before": [f"{alert.kind} {alert.variable}" for alert in before.alerts],
        "after": bool(calibration),
        "ratio": max((alert.estimate or 0.0 for alert in calibration), default=None),
    }


PARTS = {
    "units": Part(100, 10, unit_repeat),
    "clean": Part(1_000, 20, clean_repeat),
    "expected": Part(100, 4, expected_repeat),
    "concept": Part(100, 4, concept_repeat),
}


def main() -> None:
    """Run what is missing, then print every figure; exit with 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--small", action="store_true")
    stated = parser.parse_args()
    risk_model = load(stated.model).risk_model
    stated.out.parent.mkdir(parents=True, exist_ok=True)
    done = lines(stated.out)
    for name in stated.part or PARTS:
        part = PARTS[name]
        repeats = part.small if stated.small else part.repeats
        for number in range(repeats):
            if (name, number) in done:
                continue
            line = part.repeat(risk_model, number)
            done[name, number] = line
            with stated.out.open("a") as file:
                file.write(json.dumps({"part": name, "repeat": number} | line) + "\n")
            print(f"{name} {number + 1} of {repeats}", file=sys.stderr, flush=True)
    missed = list(summary(done))
    raise SystemExit(1 if missed else 0)


def lines(path: Path) -> dict[tuple[str, int], dict[str, object]]:
    """Return the repeats that are on file."""
    if not path.exists():
        return {}
    read = [json.loads(line) for line in path.read_text().splitlines()]
    return {(line["part"], line["repeat"]): line for line in read}


def summary(done: dict[tuple[str, int], dict[str, object]]) -> Iterator[str]:
    """Print each figure beside its target, and yield the names of those missed."""
    of = {name: [line for (part, _), line in done.items() if part == name] for name in PARTS}
    if units := of["units"]:
        found = sum(bool(line["found"]) for line in units)
        named = sum(bool(line["named"]) for line in units)
        print(f"unit shifts: found {found}, found and named {named} of {len(units)} (>= 99 %)")
        for line in units:
            if not line["named"]:
                print(f"  missed: {line['variable']} in {line['unit']}, {line['values']} values")
        if named < 0.99 * len(units):
            yield "units"
    if clean := of["clean"]:
        kinds = Counter(kind for line in clean for kind in line["kinds"])  # type: ignore[attr-defined]
        print(f"weeks without a change with an alarm, of {len(clean)}:")
        for kind in ("unit_shift", "drift", "missing", "calibration", "discrimination"):
            print(f"  {kind:12s} {kinds[kind]} ({kinds[kind] / len(clean):.2%}; <= 1 %)")
        alerts = Counter(one for line in clean for one in line["alerts"])  # type: ignore[attr-defined]
        for alert, count in alerts.most_common(8):
            print(f"    {alert}: {count}")
        if max(kinds.values(), default=0) > 0.01 * len(clean):
            yield "clean"
    if expected := of["expected"]:
        names = [name for name in expected[0] if ":" in name]
        for name in names:
            figures = [line[name] for line in expected if name in line]
            covered = sum(figure["covered"] for figure in figures)  # type: ignore[index]
            width = np.mean([f["high"] - f["low"] for f in figures])  # type: ignore[index]
            print(f"{name}: covered {covered} of {len(figures)} (>= 90 %), mean width {width:.3f}")
            if covered < 0.9 * len(figures):
                yield name
    if concept := of["concept"]:
        silent = sum(not line["before"] for line in concept)
        alarmed = sum(bool(line["after"]) for line in concept)
        print(
            f"concept drift: missed before outcomes in {silent}, alarmed after outcomes in "
            f"{alarmed} of {len(concept)}"
        )
        if alarmed < 0.99 * len(concept):
            yield "concept"


if __name__ == "__main__":
    main()
