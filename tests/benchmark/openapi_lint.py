"""Have redocly and spectral check the OpenAPI document, with and without authentication.

    python tests/benchmark/openapi_lint.py

Needs node and the npm registry: `npx` installs both programs. Prints one JSON object with the
number of errors and warnings of each; exit 1 if there is any.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from serving.app import create_app
from serving.settings import Settings

REDOCLY, SPECTRAL = "@redocly/cli@2", "@stoplight/spectral-cli@6"
STATED = {
    "loopback": {},
    "hospital": {
        "authentication": "required",
        "public_url": "https://host.example/osteon",
        "cds_clients": {"https://ehr.example": "https://ehr.example/jwks"},
    },
}


def main() -> int:
    """Run the command line."""
    if shutil.which("npx") is None:
        sys.exit("npx must be installed; it is not (Debian: npm)")
    with tempfile.TemporaryDirectory() as folder:
        said = {name: problems(Path(folder), name) for name in STATED}
    print(json.dumps(said))
    return 0 if not any(count for counts in said.values() for count in counts.values()) else 1


def problems(folder: Path, name: str) -> dict[str, int]:
    """Return the number of errors and warnings of each program in the document of a service."""
    stated = Settings.model_validate({"state_dir": folder / name, **STATED[name]})
    document = folder / f"{name}.json"
    document.write_text(json.dumps(create_app(stated).openapi()))
    (folder / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n')
    redocly = printed(folder, REDOCLY, "lint", document.name, "--format=json")
    totals = json.loads(redocly[redocly.index("{") : redocly.rindex("}") + 1])["totals"]
    spectral = printed(folder, SPECTRAL, "lint", document.name, "--format=json")
    return {
        "redocly": totals["errors"] + totals["warnings"],
        "spectral": len(re.findall(r'"code":', spectral)),
    }


def printed(folder: Path, package: str, *arguments: str) -> str:
    """Return what a program of npm prints."""
    done = subprocess.run(
        ["npx", "--yes", package, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
