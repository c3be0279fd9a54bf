"""Compare the answers of five doors for the same random patients, and print how many agree.

    python tests/benchmark/one_policy.py [--patients 200] [--seed 2] [--json]

Exits with 1 unless all agree: the same risks within FHIR's two digits of a percentage, or the same
code. Takes about a second for three patients.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "support")]

from conftest import _start, _sure  # noqa: E402  # the tests' small model and server

from five_doors import DOORS, Doors, differing, draw_patient  # noqa: E402
from serving.app import create_app  # noqa: E402
from serving.audit.opening import database_of  # noqa: E402
from serving.settings import Settings  # noqa: E402


def main() -> int:
    """Run the comparison and print its figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = _sure("mortality", (28.0, 90.0), 0.0, "deaths")
    settings = Settings(state_dir=Path(tempfile.mkdtemp()))
    running = _start(create_app(settings, models=[model]))
    rng, same, with_risk = np.random.default_rng(options.seed), 0, 0
    with closing(database_of(settings)) as database:
        doors = Doors(running.client, database, model)
        for number in range(options.patients):
            patient = draw_patient(rng, datetime.now(UTC))
            answers = doors.answers(patient)
            if differing(answers):
                print(f"patient {number} ({', '.join(patient.what)}):", file=sys.stderr)
                for door, answer in answers.items():
                    print(f"    {door}: {answer.code or answer.risks}", file=sys.stderr)
            else:
                same += 1
            with_risk += all(answer.risks for answer in answers.values())
    running.server.should_exit = True
    if options.json:
        print(json.dumps({"patients": options.patients, "same": same, "with_risk": with_risk}))
    else:
        print(
            f"{', '.join(DOORS)}: the same risk or code for {same} of {options.patients} patients"
        )
        print(f"{with_risk} of them got a risk, the others the same code at every door.")
    return 0 if same == options.patients else 1


if __name__ == "__main__":
    sys.exit(main())
