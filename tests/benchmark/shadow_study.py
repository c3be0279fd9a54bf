"""What a comparison in the shadow decides: a better, an equal and a worse challenger.

    python tests/benchmark/shadow_study.py --model models:/osteon-mortality-simulated/1 \
        --out build/shadow.jsonl [--small]

Champion and challenger are one trained model whose log-odds are disturbed, so that which is
better, and by how much, is known: an equal challenger is disturbed as much as the champion,
independently; a better one less, a worse one more. 5,000 new simulated patients are scored by both
and judged at five looks, as `osteon compare` does. A run that was stopped goes on where it was.

better          found better in >= 80 of 100
equal, worse    called better in <= 2.5 % of 400 (200 each)
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from models.monitoring.arrivals import Arrivals
from models.monitoring.comparison import ShadowedPatients, compare
from models.registry.lifecycle import load
from training.simulation.cohort import simulate
from training.validation.arrivals import read_arrivals

POOL, PATIENTS, LOOKS = 20_000, 5_000, 5
SEED = 9_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """How much the log-odds of both are disturbed (standard deviation), and how many repeats."""

    champion: float
    challenger: float
    repeats: int


CASES = {
    "better": Case(0.55, 0.25, 100),
    "equal": Case(0.4, 0.4, 200),
    "worse": Case(0.25, 0.4, 200),
}


def main() -> None:
    """Run what is missing, then print every figure; exit with 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--small", action="store_true", help="Ten repeats of each case.")
    stated = parser.parse_args()
    stated.out.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if stated.out.exists():
        read = [json.loads(line) for line in stated.out.read_text().splitlines()]
        done = {(line["case"], line["repeat"]): line for line in read}
    risk_model = load(stated.model).risk_model
    everyone = read_arrivals(simulate(POOL, seed=SEED).cohort, risk_model)
    for name, case in CASES.items():
        for number in range(10 if stated.small else case.repeats):
            if (name, number) in done:
                continue
            line = repeat(everyone, case, SEED + list(CASES).index(name) * 1_000 + number)
            done[name, number] = line
            with stated.out.open("a") as file:
                file.write(json.dumps({"case": name, "repeat": number} | line) + "\n")
        print(f"{name}: done", file=sys.stderr, flush=True)
    raise SystemExit(1 if summary(done) else 0)


def repeat(everyone: Arrivals, case: Case, seed: int) -> dict[str, object]:
    """Compare two disturbed models on 5,000 of the patients."""
    rng = np.random.default_rng(seed)
    drawn = everyone.take(rng.choice(everyone.stays, PATIENTS + 200, replace=False))
    at = len(drawn.horizons_days) // 2
    risk = drawn.risk[:, [at]]
    outcomes = drawn.outcomes
    assert outcomes is not None
    shadowed = ShadowedPatients(
        time_days=outcomes.time_days,
        event=outcomes.event,
        champion=disturbed(risk, case.champion, rng),
        challenger=disturbed(risk, case.challenger, rng),
        horizons_days=(drawn.horizons_days[at],),
    )
    compared = compare(shadowed, planned=PATIENTS, looks=LOOKS)
    brier = next(one for one in compared.differences if one.metric == "brier")
    auroc = next(one for one in compared.differences if one.metric == "auroc")
    return {
        "verdict": compared.verdict,
        "looks": len(compared.looks),
        "brier": brier.estimate,
        "auroc": auroc.estimate,
    }


def disturbed(
    risk: NDArray[np.float64], deviation: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return risks with normal noise on their log-odds."""
    odds = logit(np.clip(risk, 1e-6, 1 - 1e-6)) + deviation * rng.normal(size=risk.shape)
    moved: NDArray[np.float64] = expit(odds)
    return moved


def summary(done: dict[tuple[str, int], dict[str, object]]) -> list[str]:
    """Print how often each case is called better, and return the figures that are missed."""
    missed = []
    wrong = tried = 0
    for name in CASES:
        lines = [line for (case, _), line in done.items() if case == name]
        better = sum(line["verdict"] == "better" for line in lines)
        brier, auroc = (np.mean([line[metric] for line in lines]) for metric in ("brier", "auroc"))
        print(
            f"{name}: called better in {better} of {len(lines)}; mean difference in Brier score "
            f"{brier:+.4f}, in area {auroc:+.4f}"
        )
        if name == "better" and better < 0.8 * len(lines):
            missed.append(name)
        if name != "better":
            wrong, tried = wrong + better, tried + len(lines)
    print(f"equal or worse: called better in {wrong} of {tried} ({wrong / tried:.2%}; <= 2.5 %)")
    return [*missed, *(["equal or worse"] if wrong > 0.025 * tried else [])]


if __name__ == "__main__":
    main()
