"""What sources of records must reach: read whole, alike, and blind to what comes after time zero.

    python tests/benchmark/source_figures.py

Prints how many patients of ../shared/data/synthea_r4 are read as NDJSON and why resources are left
out; how many cells of the cohort of 30 patients of the MIMIC-IV demo differ between long tables,
MEDS, FHIR and OMOP; whether a feature moves when what follows time zero is changed 200 times; and
how many headers and laboratory codes are recognised. Exits with 1 if a figure is missed. Takes
about two minutes.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("support", "benchmark")]
sys.path.insert(0, str(ROOT / "tests" / "integration" / "training"))

import header_recognition  # noqa: E402
import test_landmark_sources as written  # noqa: E402

from places import SHARED  # noqa: E402
from training.sources.fhir import Fhir  # noqa: E402
from training.sources.observations import connection  # noqa: E402

_TESTS = (
    ("200 changes after time zero move no feature", "test_nothing_after_time_zero_moves_a_feature"),
    ("laboratory codes of MIMIC-IV named, none wrong", "test_names_of_mimic_s_laboratory"),
)


def synthea() -> bool:
    """Print how many invented patients are read, and what is left out; return whether all are."""
    files = sorted((SHARED / "data" / "synthea_r4").glob("*.json.gz"))
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "export.ndjson"
        with lines.open("w", encoding="utf-8") as out:
            for file in files:
                for entry in json.loads(gzip.decompress(file.read_bytes()))["entry"]:
                    out.write(json.dumps(entry["resource"]) + "\n")
        with connection() as db:
            dropped = Fhir(lines).relations(db)
            (persons,) = db.execute("SELECT count(*) FROM persons").fetchone() or (0,)
    print(f"synthea_r4 as NDJSON: {persons} of {len(files)} patients read")
    for reason, count in dropped.items():
        print(f"  {count} {reason}")
    return bool(persons == len(files))


def four_sources() -> bool:
    """Print how many cells differ between the sources; return whether none does."""
    records = written.records_of_mimic()
    frames: dict[str, pd.DataFrame] = {}
    for name in ("as_long", "as_meds", "as_fhir", "as_omop"):
        with TemporaryDirectory() as folder:
            source = getattr(written, name)(records, Path(folder))
            frames[name] = written.cohort(source).drop(columns="stay_id")
    expected = frames.pop("as_long")
    differing = 0
    for name, frame in frames.items():
        same = set(frame) == set(expected) and len(frame) == len(expected)
        cells = frame[[*expected]] if same else frame
        apart = int((~((cells == expected) | (cells.isna() & expected.isna()))).to_numpy().sum())
        differing += apart if same else 1
        print(
            f"{name[3:]} against long: {apart if same else 'other columns'} of {cells.size} differ"
        )
    print(f"{len(records['persons'])} patients, {len(expected)} stays, {expected.shape[1]} columns")
    return differing == 0


def main() -> int:
    """Print the figures and return the exit status."""
    passed = [synthea(), four_sources()]
    for what, test in _TESTS:
        command = [sys.executable, "-m", "pytest", "-q", "-k", test, "tests/unit/training/sources"]
        outcome = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        passed.append(outcome.returncode == 0)
        print(f"{what}: {'yes' if passed[-1] else 'NO'}")
    passed.append(header_recognition.main() == 0)
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
