"""How scoring and explaining a file grow with its rows, and that a kill changes nothing.

    python tests/benchmark/score_speed.py shap                # 100,000 rows against TreeExplainer
    python tests/benchmark/score_speed.py growth              # 100,000 and 1,000,000 rows
    python tests/benchmark/score_speed.py growth --rows 10000 # the same at a tenth, and tenfold
    python tests/benchmark/score_speed.py kill                # kill -9 in mid-file, twice
    python tests/benchmark/score_speed.py kill --rows 10000   # the same in smaller parts

The model reads 60 variables of simulated patients; it and the cohorts, which repeat simulated
patients under new numbers, stay in build/score_speed. `growth` and `kill` run `osteon score
--explain` at three horizons in a process of its own. Times are CPU seconds of one thread. Prints
one JSON object; exit 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb
from threadpoolctl import threadpool_limits

from data_schema.table.files import read_table
from models.bulk_contributions import MOST_ROWS, bulk_tree_contributions
from models.inference.matrices import raw_matrix
from models.inference.parameters import Encoding
from models.inference.records import record_of
from models.inference.request import checked_table
from models.inference.trees import booster_at_horizon, booster_document, load_booster
from models.registry.bundle import write_bundle
from models.registry.lifecycle import load
from training.benchmark.scale import processor
from training.cohorts.study import check_table
from training.fit import fit_osteon, with_columns
from training.score import cohort_for_model
from training.simulation.cohort import simulate

FOLDER = Path("build/score_speed")
PATIENTS, VARIABLES, SEED = 3_500, 60, 16
HORIZONS = (28.0, 90.0, 365.0)
ROWS_OF_SHAP = 100_000
LEAST_TIMES_FASTER = 6.0
MOST_GROWTH, MOST_MEMORY_GROWTH, MOST_MEMORY_GB = 10.5, 1.2, 2.5
ROWS_OF_KILL = 120_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `osteon score --explain`."""

    rows: int
    cpu_s: float
    wall_s: float
    peak_gb: float


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=["shap", "growth", "kill"])
    parser.add_argument("--rows", type=int, help="Rows of the (smaller) cohort.")
    stated = parser.parse_args()
    figure: Callable[..., dict[str, object]] = {
        "shap": against_shap,
        "growth": growth,
        "kill": killed,
    }[stated.figure]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1):
        result = figure() if stated.rows is None else figure(stated.rows)
    print(json.dumps({"machine": machine(), **result}, indent=2))
    return 0 if result["reached"] else 1


def machine() -> str:
    """Return the machine and the versions that the times depend on."""
    cores = f"{os.cpu_count()} cores of {processor()}"
    return f"{cores}, Python {platform.python_version()}, XGBoost {xgb.__version__}"


def against_shap(rows: int = ROWS_OF_SHAP) -> dict[str, object]:
    """Time contributions of the boosted part, by shap.TreeExplainer and in bulk, in one run."""
    import shap

    risk_model = load(str(bundle())).risk_model
    files = risk_model.files()
    document = booster_document(load_booster(files["booster.ubj"], 1))
    booster = booster_at_horizon(document, float(np.log(HORIZONS[1])), threads=1)
    cohort = cohort_for_model(read_table(cohort_file(rows)), risk_model.contract, outcome=None)
    encoding = record_of(Encoding, json.loads(files["model.json"])["encoding"])
    raw = raw_matrix(checked_table(risk_model.contract, cohort.features), encoding)
    columns = np.column_stack([raw, np.full(len(raw), np.nan)]).astype(np.float32)
    started = time.process_time()
    theirs = shap.TreeExplainer(booster).shap_values(columns)
    shap_s = time.process_time() - started
    started = time.process_time()
    ours = np.concatenate(
        [
            bulk_tree_contributions([booster], columns[at : at + MOST_ROWS], 1)[0, :, :-1]
            for at in range(0, rows, MOST_ROWS)
        ]
    )
    bulk_s = time.process_time() - started
    return {
        "rows": rows,
        "trees": booster.num_boosted_rounds(),
        "shap_tree_explainer_s": shap_s,
        "bulk_s": bulk_s,
        "times_faster": shap_s / bulk_s,
        "at_least": LEAST_TIMES_FASTER,
        "largest_difference": float(np.abs(ours - theirs).max()),
        "reached": shap_s / bulk_s >= LEAST_TIMES_FASTER,
    }


def growth(rows: int = 100_000) -> dict[str, object]:
    """Measure time and memory of so many rows, and of ten times as many."""
    few, many = (scored(count, FOLDER / "out.parquet") for count in (rows, 10 * rows))
    times, memory = many.cpu_s / few.cpu_s, many.peak_gb / few.peak_gb
    return {
        "runs": [asdict(few), asdict(many)],
        "cpu_grows_by": times,
        "at_most": MOST_GROWTH,
        "memory_grows_by": memory,
        "memory_at_most": MOST_MEMORY_GROWTH,
        "peak_gb_at_most": MOST_MEMORY_GB,
        "reached": times <= MOST_GROWTH
        and memory <= MOST_MEMORY_GROWTH
        and many.peak_gb <= MOST_MEMORY_GB,
    }


def killed(rows: int = ROWS_OF_KILL) -> dict[str, object]:
    """Kill a run after its first and again after its third part; compare its file with another."""
    undisturbed, out = FOLDER / "undisturbed.parquet", FOLDER / "killed.parquet"
    subprocess.run(in_parts(rows, undisturbed), check=True)
    folder = out.with_name(f".{out.name}.parts")
    shutil.rmtree(folder, ignore_errors=True)
    out.unlink(missing_ok=True)
    kills = 0
    for parts in (1, 3):
        process = subprocess.Popen(in_parts(rows, out))
        while process.poll() is None and len([*folder.glob("*.arrow")]) < parts:
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    left = len([*folder.glob("*.arrow")])
    subprocess.run(in_parts(rows, out), check=True)
    same = digest(out) == digest(undisturbed)
    return {
        "rows": rows,
        "kills": kills,
        "parts_kept": left,
        "same_bytes": same,
        "reached": same and kills == 2 and left >= 3,
    }


def scored(rows: int, out: Path) -> Run:
    """Run the command to its end, and return what it took."""
    given = command(rows, out)
    started = time.perf_counter()
    process = subprocess.Popen(given, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "osteon score failed"
    run = Run(
        rows,
        usage.ru_utime + usage.ru_stime,
        time.perf_counter() - started,
        usage.ru_maxrss * 1024 / 1e9,
    )
    print(asdict(run), file=sys.stderr, flush=True)
    return run


def command(rows: int, out: Path) -> list[str]:
    """Return the command that scores and explains so many rows."""
    code = "import osteon; osteon.main()"
    days = ",".join(f"{day:g}" for day in HORIZONS)
    return [
        *(sys.executable, "-c", code, "score", str(cohort_file(rows)), "--model", str(bundle())),
        *("--out", str(out), "--explain", "--horizons", days),
    ]


IN_PARTS = """
import sys
from pathlib import Path
from models.registry.lifecycle import load
from training.score_files import ScoreOptions, score_file
cohort, bundle, out, rows = sys.argv[1:]
options = ScoreOptions(explain=True, rows_at_a_time=int(rows))
score_file(Path(cohort), Path(out), load(bundle), options)
"""


def in_parts(rows: int, out: Path) -> list[str]:
    """Return what `osteon score --explain` does, in five parts or more."""
    size = str(min(MOST_ROWS, rows // 5))
    return [sys.executable, "-c", IN_PARTS, str(cohort_file(rows)), str(bundle()), str(out), size]


def bundle() -> Path:
    """Return a model of `VARIABLES` columns, fitted once."""
    folder = FOLDER / "bundle"
    if not folder.exists():
        checked = check_table(simulate(PATIENTS, seed=SEED).cohort, outcome="mortality")
        assert checked.cohort is not None
        measured = [name for name in map(str, checked.cohort.features) if "__" not in name]
        # Every third column or so, so that pathways and kinds are those of all columns.
        places = np.linspace(0, len(measured) - 1, VARIABLES).round().astype(int)
        cohort = with_columns(checked.cohort, [measured[j] for j in places])
        fitted = fit_osteon(cohort, horizons_days=HORIZONS, random_state=0, threads=1)
        write_bundle(fitted.risk_model_, folder)
    return folder


def cohort_file(rows: int) -> Path:
    """Return a file of so many stays, written once, a group of rows at a time."""
    path = FOLDER / f"cohort_{rows}.parquet"
    if path.exists():
        return path
    read = set(load(str(bundle())).risk_model.features)
    pool = simulate(PATIENTS, seed=SEED + 1).cohort
    pool = pool[[name for name in pool if name in read or name == "time_zero"]]
    rng = np.random.default_rng(SEED)
    draft, writer = path.with_suffix(".draft"), None
    for start in range(0, rows, 50_000):
        drawn = pool.iloc[rng.integers(len(pool), size=min(50_000, rows - start))]
        numbers = np.arange(start, start + len(drawn)).astype(str)
        drawn = drawn.assign(patient_id=numbers).reset_index(drop=True)
        table = pa.Table.from_pandas(drawn, preserve_index=False)
        writer = writer or pq.ParquetWriter(draft, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    draft.replace(path)
    return path


def digest(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
