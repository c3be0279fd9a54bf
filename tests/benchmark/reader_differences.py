"""Count the random values on which the readers of tables, HTTP and FHIR disagree.

    python tests/benchmark/reader_differences.py [VALUES] [SEED]

Prints each value with a differing verdict, how often each verdict was given, and the number of
differences; exits with 1 if there is any.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from stated_values import (
    FEATURES,
    as_fhir,
    as_http,
    draw,
    single_verdict,
    table_verdicts,
)


def main(n_values: int = 10_000, seed: int = 0) -> int:
    """Run the comparison."""
    rng = random.Random(seed)
    n_read: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    n_different = 0
    while n_read["table"] < n_values:
        features = rng.sample(FEATURES, min(len(FEATURES), n_values - n_read["table"]))
        stated = [draw(rng, feature) for feature in features]
        verdicts = table_verdicts(stated)
        n_read["table"] += len(stated)
        for one in stated:
            verdict = verdicts[one.feature]
            rules[verdict.rule or ("not measured" if verdict.value is None else "accepted")] += 1
            sent = {"HTTP": as_http(one), "FHIR": as_fhir(one)}
            others = {name: single_verdict(by) for name, by in sent.items() if by is not None}
            n_read.update(others.keys())
            if any(other != verdict for other in others.values()):
                n_different += 1
                print(f"{one}\n    table {verdict}\n    {others}")
    print(f"read: {dict(n_read)}")
    print(f"verdicts of the table: {dict(rules.most_common())}")
    print(f"{n_different} of {n_read['table']} values with differing verdicts")
    return 1 if n_different else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
