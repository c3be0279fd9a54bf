"""What tuning gains on out-of-fold loss, and that a kill changes nothing.

    python tests/benchmark/tuning_study.py support2     # 30 trials on 70 % of SUPPORT2
    python tests/benchmark/tuning_study.py simulated    # on 2,450 of 3,500 simulated patients
    python tests/benchmark/tuning_study.py kill         # kill -9 in mid-study, twice

A search stays in build/tuning, and goes on there. Prints one JSON object: the out-of-fold log-loss
of the whole model per pair of patient and day, with the settings found and with the defaults; exit
1 if they are not better.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from data_schema.cohort import Cohort
from training.cohorts.splits import split_by_patient
from training.cohorts.study import check_table
from training.config import RunConfig, Tuning
from training.datasets.registry import load_dataset
from training.fit import with_columns
from training.simulation.cohort import simulate
from training.tuning import Tuned, tune

FOLDER = Path("build/tuning")
HORIZONS = (28.0, 90.0, 365.0)
HELD_OUT, SEED = 0.3, 0
OF_KILL = ("age", "sex", "sofa", "lactate", "albumin", "ctx_s")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=["support2", "simulated", "kill", "small"])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--storage", help="of the search (default: in build/tuning)")
    stated = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if stated.figure == "kill":
        result = killed()
    else:
        storage = stated.storage or f"sqlite:///{FOLDER}/{stated.figure}.db"
        result = tuned(stated.figure, Tuning(stated.trials, storage))
    print(json.dumps(result, indent=2))
    return 0 if result["reached"] else 1


def tuned(name: str, tuning: Tuning) -> dict[str, object]:
    """Search on the patients that are not held out, and compare with the defaults."""
    cohort = patients(name)
    config = RunConfig(
        seed=SEED, test_fraction=HELD_OUT, max_trees=20 if name == "small" else 500, threads=1
    )
    split = split_by_patient(cohort, test_fraction=HELD_OUT, random_state=SEED)
    started, cpu = time.perf_counter(), time.process_time()
    best = tune(
        cohort.take(split.train),
        HORIZONS,
        config,
        tuning,
        progress=lambda task, done, steps: print(
            f"{task} {done}/{steps}, {time.perf_counter() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        ),
    )
    return {
        "cohort": name,
        "patients": len(split.train),
        "cpu_s_of_this_run": time.process_time() - cpu,
        **described(best),
        "reached": best.loss < best.default_loss,
    }


def described(best: Tuned) -> dict[str, object]:
    """Return the settings and losses of a search."""
    return {
        "trials": len(best.trials),
        "pruned": sum(trial.loss is None for trial in best.trials),
        "boosting": asdict(best.boosting),
        "loss": best.loss,
        "default_loss": best.default_loss,
        "gain_per_patient": best.default_loss - best.loss,
    }


def patients(name: str) -> Cohort:
    """Return the cohort of a study."""
    if name == "support2":
        return load_dataset("support2")
    checked = check_table(
        simulate(400 if name == "small" else 3_500, seed=SEED).cohort, outcome="mortality"
    )
    assert checked.cohort is not None
    return with_columns(checked.cohort, OF_KILL) if name == "small" else checked.cohort


def killed() -> dict[str, object]:
    """Kill a search after its second and its fifth trial, and compare it with another."""
    whole, kills = run("whole"), 0
    storage = FOLDER / "killed.db"
    storage.unlink(missing_ok=True)
    for trials in (2, 5):
        process = subprocess.Popen(command("killed"), stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"tuning {trials}/"):
                # In the midst of the next trial.
                time.sleep(0.1)
                process.send_signal(signal.SIGKILL)
                break
        kills += process.wait() == -signal.SIGKILL
    resumed = run("killed", fresh=False)
    keys = ("trials", "pruned", "boosting", "loss", "default_loss")
    same = all(whole[key] == resumed[key] for key in keys)
    return {"kills": kills, "same_result": same, **whole, "reached": same and kills == 2}


def run(name: str, *, fresh: bool = True) -> dict[str, object]:
    """Run a small search in a process of its own, and return what it prints."""
    if fresh:
        (FOLDER / f"{name}.db").unlink(missing_ok=True)
    done = subprocess.run(command(name), capture_output=True, text=True, check=False)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def command(name: str) -> list[str]:
    """Return the command of a small search."""
    storage = f"sqlite:///{FOLDER}/{name}.db"
    options = ["--trials", "12", "--storage", storage]
    return [sys.executable, os.path.relpath(__file__), "small", *options]


if __name__ == "__main__":
    sys.exit(main())
