"""Print whether "what to measure next" comes true: expected beside actual narrowing, simulated.

    python tests/benchmark/next_best_study.py MODEL COHORT [--patients N]

MODEL is a model of a cohort of `osteon simulate`, COHORT one drawn with another seed. A value that
a patient has is hidden, what it is expected to do is told, and then it is revealed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from data_schema.biomarkers import is_laboratory_test
from data_schema.table.files import read_table
from models.inference.next_best import WORTH_POINTS, expected_narrowing
from models.inference.risk_model import RiskModel
from models.registry.lifecycle import load
from training.score import cohort_for_model


def compared(risk_model: RiskModel, features: Any, name: str) -> tuple[list[Any], float]:
    """Return (expected, seen, expected change, seen change) of each patient, and the seconds."""
    day = [float(risk_model.contract.default_horizons_days[0])]
    own = [c for c in features if c == name or str(c).startswith(f"{name}__")]
    rows, spent = [], 0.0
    for at in np.flatnonzero(features[name].notna()):
        whole = features.iloc[[at]]
        row = whole.copy()
        row[own] = np.nan
        for column in own:
            if column.endswith(("__below", "__count")):
                row[column] = 0.0
        started = time.perf_counter()
        found = expected_narrowing(risk_model, row, [name], day)
        spent += time.perf_counter() - started
        now, then = risk_model.predict(row, day), risk_model.predict(whole, day)
        if not found or then.status != ["ok"]:
            continue
        narrower = (now.risk_high - now.risk_low - then.risk_high + then.risk_low)[0, 0]
        change = abs(then.risk - now.risk)[0, 0]
        told = found[0]
        rows.append((told.narrowing_points, 100 * narrower, told.change_points, 100 * change))
    return rows, spent


def main() -> None:
    """Print one JSON object: for each variable, means over patients and what told ones came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--variables", default="")
    asked = parser.parse_args()
    risk_model = load(asked.model).risk_model
    cohort = cohort_for_model(
        read_table(asked.cohort), risk_model.contract, outcome=None, mapping=None
    )
    features = cohort.features.iloc[: asked.patients]
    information = risk_model.contract.guard.information
    ranked = sorted(
        (v for v in information if is_laboratory_test(v)), key=lambda v: -information[v]
    )
    names = asked.variables.split(",") if asked.variables else ranked[:8]
    results, everyone = [], []
    for name in names:
        rows, spent = compared(risk_model, features, name)
        if not rows:
            continue
        everyone += rows
        results.append(
            {"variable": name, "patients": len(rows), **_means(rows)}
            | {"milliseconds_each": round(1000 * spent / len(rows), 1)}
        )
    worth = [row for row in everyone if row[0] >= WORTH_POINTS]
    print(
        json.dumps(
            {
                "variables": results,
                "all": {"patients": len(everyone), **_means(everyone)} if everyone else None,
                "told_of": {"patients": len(worth), **_means(worth)} if worth else None,
            },
            indent=2,
        )
    )


def _means(rows: list[Any]) -> dict[str, float]:
    """Return mean expected and seen narrowing and change, in points, and the error of the gap."""
    values = np.array(rows)
    gap = values[:, 0] - values[:, 1]
    named = ("expected_narrowing", "seen_narrowing", "expected_change", "seen_change")
    return {key: round(float(v), 2) for key, v in zip(named, values.mean(0), strict=True)} | {
        "gap": round(float(gap.mean()), 2),
        "gap_error": round(float(gap.std() / np.sqrt(len(gap))), 2),
    }


if __name__ == "__main__":
    main()
