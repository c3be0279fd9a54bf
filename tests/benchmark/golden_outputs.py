"""Capture what Osteon prints, and compare two captures number by number.

    python tests/benchmark/golden_outputs.py capture FOLDER
    python tests/benchmark/golden_outputs.py compare BEFORE AFTER

A capture runs the commands of `make demo`, two benchmarks, `osteon score --explain` and the OpenAPI
document, each through its public command, and keeps one JSON file for each; steps already captured
are skipped. A comparison prints every difference, but for durations, identifiers, paths and dates,
and exits with 1 if there is any. It takes about ten minutes on two cores. Run it from the root of
the source tree that is to be captured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OSTEON = [sys.executable, "-c", "import osteon; osteon.main()"]
PANEL = "resorption+formation+fgf23_mineral"
MODEL = "osteon-mortality-support2"
VARYING_KEYS = re.compile(
    r"seconds|per_second|run_id|machine|report$|model_uri|signed|hmac|revision|sha256"
    r"|^out$|^at$|^created"
)
CODE_AND_MANIFEST = {"MLmodel", "registered_model_meta", "artifacts/bundle/manifest.json"}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    captured = commands.add_parser("capture")
    captured.add_argument("folder", type=Path)
    compared = commands.add_parser("compare")
    compared.add_argument("before", type=Path)
    compared.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.command == "capture":
        capture(options.folder.resolve())
        return 0
    differences = list(compare(options.before, options.after))
    for difference in differences:
        print(difference)
    print(f"{len(differences)} differences")
    return 1 if differences else 0


def capture(folder: Path) -> None:
    """Write one JSON file for each step into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "gate.key"
    if not key.exists():
        key.write_text(secrets.token_hex(32))
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "OSTEON_GATE_KEY": key.read_text(),
        "OSTEON_STATE_DIR": str(folder / "state"),
        "OMP_NUM_THREADS": "2",
    }

    def osteon(*arguments: str) -> Any:
        done = subprocess.run(
            [*OSTEON, *arguments, "--json"], env=environment, stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)

    cohort = str(folder / "simulated.parquet")
    scored = str(folder / "scored.parquet")
    champion = f"models:/{MODEL}@champion"
    added = ("--added-value", PANEL, "--over", "severity,person")
    steps: dict[str, Callable[[], Any]] = {
        "train-support2": lambda: osteon(
            "train", "--dataset", "support2", "--outcome", "mortality"
        ),
        "promote": lambda: osteon("promote", MODEL, "1"),
        "explain": lambda: osteon("explain", "--model", champion),
        "bundle": lambda: bundle_of(champion, folder, environment),
        "openapi": lambda: openapi_of(champion, environment),
        "simulate": lambda: osteon("simulate", "--patients", "4300", "--out", cohort),
        "train-mortality": lambda: osteon("train", cohort, "--outcome", "mortality", *added),
        "train-fracture": lambda: osteon("train", cohort, "--outcome", "fracture", *added),
        "score": lambda: [
            osteon(
                *("score", cohort, "--model", "models:/osteon-mortality-simulated/1"),
                *("--out", scored, "--explain"),
            ),
            rows_of(scored),
        ],
        "benchmark-support2": lambda: osteon(
            "benchmark", "--dataset", "support2", "--repeats", "2"
        ),
        "benchmark-mgus2": lambda: osteon("benchmark", "--dataset", "mgus2"),
    }
    for name, step in steps.items():
        kept = folder / f"{name}.json"
        if kept.exists():
            print(f"{name}: captured already", file=sys.stderr)
            continue
        print(f"{name}: running", file=sys.stderr)
        kept.write_text(json.dumps(step(), indent=1, sort_keys=True))


def bundle_of(model: str, folder: Path, environment: dict[str, str]) -> Any:
    """Return the contents of a bundle: JSON as it is, other files by their SHA-256."""
    files = folder / "bundle"
    subprocess.run(
        [
            *(sys.executable, "-m", "mlflow", "artifacts", "download"),
            *("--artifact-uri", model, "--dst-path", str(files)),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {
        str(path.relative_to(files)): json.loads(path.read_bytes())
        if path.suffix == ".json"
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files.rglob("*"))
        if path.is_file() and path.suffix != ".py"
    }


def openapi_of(model: str, environment: dict[str, str]) -> Any:
    """Return the OpenAPI document of a service of a model."""
    service = subprocess.Popen(
        [*OSTEON, "serve", "--port", "0", "--json", "--model", model],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        url = json.loads(service.stdout.readline())["url"]
        with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as answer:
            return json.load(answer)
    finally:
        service.terminate()
        service.communicate()


def rows_of(parquet: str) -> Any:
    """Return a digest of each column of a Parquet file."""
    import pandas as pd

    frame = pd.read_parquet(parquet)
    return {
        str(name): hashlib.sha256(
            pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes()
        ).hexdigest()[:16]
        for name in frame.columns
    }


def compare(before: Path, after: Path) -> Iterator[str]:
    """Yield a line for every difference of two captures."""
    for path in sorted(before.glob("*.json")):
        other = after / path.name
        if not other.exists():
            yield f"{path.stem}: not captured in {after}"
            continue
        yield from differences(
            json.loads(path.read_text()), json.loads(other.read_text()), path.stem
        )


def differences(before: Any, after: Any, where: str) -> Iterator[str]:
    """Yield a line for every difference of two JSON values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            if VARYING_KEYS.search(name) or name in CODE_AND_MANIFEST:
                continue
            if name not in before or name not in after:
                yield f"{where}/{name}: only {'after' if name in after else 'before'}"
            else:
                yield from differences(before[name], after[name], f"{where}/{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{where}[{place}]")
    elif before != after:
        yield f"{where}: {str(before)[:150]!r} became {str(after)[:150]!r}"


if __name__ == "__main__":
    sys.exit(main())
