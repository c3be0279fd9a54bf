"""Simulated cohorts of 60 variables and any size, for the benchmarks of scale."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_schema.table.simulated_marks import with_marks
from data_schema.variables import is_state
from training.simulation.cohort import simulated_blocks

__all__ = ["FOLDER", "cohort_file"]

FOLDER = Path("build/scale")
VARIABLES, SEED = 60, 11
CHOSEN_AMONG = 20_000
_IDS = ("patient_id", "stay_id", "site", "time_zero", "simulated")
_OUTCOME = ("mortality_days", "mortality_event")


def cohort_file(patients: int, *, variables: int = VARIABLES, outcome: bool = True) -> Path:
    """Return a Parquet file of so many patients and their best recorded variables, made once.

    Its row groups hold 20,000 patients, and are written as they are simulated.
    """
    kind = "" if outcome else "_to_score"
    path = FOLDER.resolve() / f"cohort_{patients}_{variables}{kind}.parquet"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [*_IDS, *_best_recorded(variables), *(_OUTCOME if outcome else ())]
    draft, writer = path.with_suffix(".draft"), None
    for block in simulated_blocks(patients, seed=SEED):
        table = with_marks(block.cohort, "published")
        arrow = pa.Table.from_pandas(table[names], preserve_index=False)
        writer = writer or pq.ParquetWriter(draft, arrow.schema)
        writer.write_table(arrow)
    assert writer is not None
    writer.close()
    draft.replace(path)
    return path


def _best_recorded(count: int) -> list[str]:
    """Return the variables of every cohort, whatever its size: a model of one scores another."""
    path = FOLDER.resolve() / f"variables_{count}.json"
    if not path.exists():
        table = with_marks(next(simulated_blocks(CHOSEN_AMONG, seed=SEED)).cohort, "published")
        left_out = {*_IDS, *(n for n in table if n.endswith(("_days", "_event")))}
        features = [n for n in table if n not in left_out and not is_state(n)]
        recorded = table[features].notna().mean().sort_values(ascending=False, kind="stable")
        chosen = [n for n in recorded.index if table[n].nunique() > 1][:count]
        path.write_text(json.dumps([n for n in features if n in chosen]))
    names: list[str] = json.loads(path.read_text())
    return names
