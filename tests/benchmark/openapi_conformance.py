"""Ask every documented route what its OpenAPI document allows and forbids; does it keep its word?

    python tests/benchmark/openapi_conformance.py --model models:/osteon-mortality-support2@champion

Schemathesis makes the requests, from a seed, and runs all of its checks on every answer. Prints one
JSON object; exit 1 if an answer breaks the document or is a failure of the server, or fewer cases
than `--cases` were made.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SERVE = "import typer; from serving.cli.serve import serve; typer.run(serve)"
CONFIG = Path(__file__).with_name("schemathesis.toml")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="URI or folder of the model to serve")
    parser.add_argument("--cases", type=int, default=2_000, help="at least so many in all")
    parser.add_argument("--examples", type=int, default=200, help="at most so many of a route")
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--seed", type=int, default=4)
    stated = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = subprocess.Popen(
            [sys.executable, "-c", SERVE, "--port", "0", "--json", "--model", stated.model],
            env=os.environ | {"OSTEON_STATE_DIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert service.stdout is not None
            url = json.loads(service.stdout.readline())["url"]
            said = conformance(url, stated, cwd=Path(folder))
        finally:
            service.terminate()
            service.communicate()
    print(json.dumps(said))
    whole = said["exit"] == 0 and said["failures"] == 0 and said["cases"] >= stated.cases
    return 0 if whole and said["routes"] == said["routes_tested"] else 1


def conformance(url: str, stated: argparse.Namespace, *, cwd: Path) -> dict[str, Any]:
    """Run Schemathesis on a running service, and return what it counted."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(CONFIG), "run", f"{url}/openapi.json"),
            *("--checks", "all", "--phases", stated.phases, "--continue-on-failure"),
            *("--max-examples", str(stated.examples), "--seed", str(stated.seed)),
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout
    if done.returncode != 0:
        print(printed, done.stderr, file=sys.stderr)
    summary = printed[printed.rindex("SUMMARY") :]
    selected = re.search(r"Selected: (\d+)/(\d+)", summary)
    assert selected is not None, summary
    return {
        "exit": done.returncode,
        "seed": stated.seed,
        "routes": int(selected[2]),
        "routes_tested": _count(r"Tested: (\d+)", summary),
        "cases": _count(r"(\d+) generated", summary),
        "failures": _count(r"generated, (\d+) found", summary),
    }


def _count(pattern: str, summary: str) -> int:
    found = re.search(pattern, summary)
    return 0 if found is None else int(found[1])


if __name__ == "__main__":
    sys.exit(main())
