"""Every kind of bad promotion, tried: each must be refused with its reason, and the champion stay.

    python tests/benchmark/bad_promotions.py --model models:/osteon-mortality-simulated/1

The model, trained on simulated patients of the scenario `published`, is copied into a new registry
in a temporary folder and promoted there. Then versions that are worse, miscalibrated, miscalibrated
with fields left empty, leaking, simulated in a clinical registry, tampered with and withdrawn are
promoted. Prints each with its reason and figure; exits with 1 if one became champion.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from data_schema.errors import OsteonError
from models.inference.contract import Contract, Evaluation, HeldOutMetric
from models.inference.risk_model import RiskModel
from models.registry.clinical import mark_clinical
from models.registry.lifecycle import CHAMPION, load, register
from models.registry.versions import Version, aliased_version
from models.registry.withdrawal import withdraw
from training.run.mlflow_run import tracked_run
from training.run.promotion import promote
from training.simulation.cohort import simulate

KEY = "a key of the bad promotions"
SEED = 8_000_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A version to promote, on which patients, and what is done to it before."""

    what: str
    change: Callable[[Contract], Contract] = lambda contract: contract
    table: pd.DataFrame | None = None
    before: Callable[[Version], None] = lambda version: None


def main() -> None:
    """Try every attempt and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    risk_model = load(parser.parse_args().model).risk_model
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "OSTEON_GATE_KEY": KEY,
        }
        os.chdir(folder)
        name = risk_model.contract.name
        champion = registered(risk_model)
        first = promote(name, champion.version)
        print(f"champion: {first.decision} {' '.join(first.reasons)}", flush=True)
        became = [one.what for one in attempts(Path(folder)) if not refused(one, risk_model)]
    sys.exit(1 if became or first.decision != "promote" else 0)


def registered(risk_model: RiskModel) -> Version:
    """Register a model with a run that holds a report."""
    with tracked_run(risk_model.contract.name) as run:
        run.log(params={}, metrics={}, tags={}, files={"report.html": "<p>A report.</p>"})
        return register(risk_model, run_id=run.run_id)


def refused(attempt: Attempt, risk_model: RiskModel) -> bool:
    """Try to promote, print the reasons, and return whether the champion stayed."""
    contract = attempt.change(risk_model.contract)
    changed = replace(contract, population=f"{contract.population} ({attempt.what})")
    name = contract.name
    before = champion_of(name)
    try:
        version = registered(risk_model.with_contract(changed))
        attempt.before(version)
        decision = promote(name, version.version, table=attempt.table)
        reasons = decision.reasons
        met = sum(criterion.is_met for criterion in decision.criteria)
        figures = f"{met} of {len(decision.criteria)} criteria met"
    except OsteonError as error:
        reasons, figures = (str(error),), "not judged"
    stayed = champion_of(name) == before
    print(f"\n{attempt.what}: {'refused' if stayed else 'PROMOTED'} ({figures})", flush=True)
    for reason in reasons[:3]:
        print(f"  {reason}", flush=True)
    return stayed and bool(reasons)


def champion_of(name: str) -> str | None:
    """Return the number of the champion's version."""
    version = aliased_version(name, CHAMPION)
    return None if version is None else version.version


def attempts(folder: Path) -> tuple[Attempt, ...]:
    """Return every kind of bad promotion; the clinical mark comes last, since it stays."""
    named = simulate(1_500, seed=SEED).cohort
    sooner = named.assign(mortality_days=(named["mortality_days"] / 8).clip(lower=0.1))
    leaking = named.assign(lactate=1 + 10.0 / named["mortality_days"].clip(lower=1))
    return (
        Attempt("worse than the champion", with_metric("c_harrell", -0.05)),
        Attempt("miscalibrated", with_metric("oe_ratio", -0.5)),
        Attempt("miscalibrated with 40 % of the fields empty", with_metric("oe_ratio", 0.6, 0.4)),
        Attempt("miscalibrated on a named cohort", table=sooner),
        Attempt("leaking on a named cohort", table=leaking),
        Attempt("too few patients", table=named.head(150)),
        Attempt("tampered with", before=lambda version: tamper(folder, version)),
        Attempt("withdrawn", before=withdrawn),
        Attempt("simulated, in a clinical registry", before=lambda version: mark_clinical()),
    )


def withdrawn(version: Version) -> None:
    """Mark a version as unfit."""
    withdraw(version.name, version.version, why="A unit was wrong.", by="a benchmark")


def with_metric(name: str, by: float, blank_share: float = 0.0) -> Callable[[Contract], Contract]:
    """Return what moves a metric of the training run with its interval."""

    def moved(metric: HeldOutMetric) -> HeldOutMetric:
        if metric.metric != name:
            return metric
        estimate, low, high = (
            None if value is None else value + by
            for value in (metric.estimate, metric.low, metric.high)
        )
        return replace(metric, estimate=estimate, low=low, high=high)

    def change(contract: Contract) -> Contract:
        evaluation = contract.evaluation
        assert isinstance(evaluation, Evaluation)
        if blank_share:
            blanked = tuple(
                moved(metric) if metric.blank_share == blank_share else metric
                for metric in evaluation.blanked
            )
            return replace(contract, evaluation=replace(evaluation, blanked=blanked))
        metrics = tuple(map(moved, evaluation.metrics))
        return replace(contract, evaluation=replace(evaluation, metrics=metrics))

    return change


def tamper(folder: Path, version: Version) -> None:
    """Change a number of the newest bundle in the store."""
    newest = max(folder.glob("mlruns/**/bundle/model.json"), key=lambda path: path.stat().st_mtime)
    text = newest.read_text()
    newest.write_text(text.replace("0.", "1.", 1))


if __name__ == "__main__":
    main()
