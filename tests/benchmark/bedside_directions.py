"""Whether settled directions hold in the whole model: risks along every settled variable.

    python tests/benchmark/bedside_directions.py [--cohort support2|simulated] [--seed 0]

Each column with a settled direction is swept over quantiles of its values from 1 to 99 %, for 400
held-out patients at each horizon, with the other fields as recorded, and with 40 % of them empty.
A triple of column, patient and horizon breaks where the risk falls along the settled direction: by
more than .05 points, or by more than 1 point, from the highest risk so far. The target is no such
triple; the exit code is 1 if it is missed. It takes one fit and 0.1 million risks: about 1 CPU
minute for SUPPORT2 and 2 for the simulated cohort.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from bedside_models import Division, FittedModels, division, print_result, study_parser
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.variables import is_state
from models.inference.contract import Feature
from models.inference.risk_model import RiskModel
from training.cohorts.blanks import blanks_at_random, fields_of, with_blanks

PATIENTS, POINTS = 400, 8
SMALL_FALL, LARGE_FALL = 0.05, 1.0
OUTER_QUANTILES = (0.01, 0.99)
BLANK_SHARE = 0.4

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Breaks:
    """How often the risk falls along a column's settled direction.

    Parameters
    ----------
    column : str
        Name of the column; "all" for all of them together.
    others : str
        `as recorded`, or `40 % empty`.
    triples : int
        Column, patient and horizon.
    over_small, over_large : float
        Share of the triples with a fall of more than .05 points, and of more than 1 point.
    end_to_end : float
        Share whose risk at the far end is more than .05 points below that at the near end.
    worst_points : float
        Largest fall.
    """

    column: str
    others: str
    triples: int
    over_small: float
    over_large: float
    end_to_end: float
    worst_points: float


def main() -> int:
    """Run the command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--cohort", choices=("support2", "simulated"), default="support2")
    parser.add_argument("--seed", type=int, default=0, choices=(0, 1, 2))
    parser.add_argument("--points", type=int, default=POINTS)
    options = parser.parse_args()
    divided = division(options.cohort, seed=options.seed, small=options.small)
    models = FittedModels(options.models, planned=1, threads=options.threads)
    model = models.model(
        divided.train,
        divided.horizons_days,
        seed=divided.seed,
        label=divided.name,
        max_trees=divided.max_trees,
    )
    rows = list(breaks(model, divided, options.points))
    missed = [f"{row.column}, {row.others}" for row in rows if row.over_small > 0]
    result = {
        "cohort": options.cohort,
        "seed": options.seed,
        "rows": [asdict(row) for row in rows],
        "missed": missed,
    }
    print_result(result, lines(rows, missed), as_json=options.json)
    return 1 if missed else 0


def breaks(model: RiskModel, divided: Division, points: int) -> Iterator[Breaks]:
    """Yield the breaks of every settled column, then of all, with both states of the others."""
    patients = divided.held_out.take(np.arange(min(PATIENTS, len(divided.held_out))))
    rng = np.random.default_rng([divided.seed, 15])
    settled = [each for each in model.contract.features if is_swept(each)]
    if not settled:
        sys.exit(f"{divided.name} must have a variable with a settled direction; it has none.")
    for others, share in (("as recorded", 0.0), (f"{100 * BLANK_SHARE:.0f} % empty", BLANK_SHARE)):
        blanks = blanks_at_random(patients.features, share, rng=rng)
        emptied = with_blanks(patients, blanks)
        falls, ends = [], []
        for feature in settled:
            print(f"{divided.name}: {feature.name}, {others}", file=sys.stderr, flush=True)
            along = risks_along(model, emptied, divided, feature, points)
            fall, end = largest_fall(along), along[0] - along[-1]
            falls.append(fall)
            ends.append(end)
            yield _breaks(feature.name, others, fall, end)
        yield _breaks("all", others, np.concatenate(falls), np.concatenate(ends))


def is_swept(feature: Feature) -> bool:
    """Return whether a column is a value with a settled direction."""
    return feature.direction != 0 and not is_state(feature.name)


def risks_along(
    model: RiskModel, patients: Cohort, divided: Division, feature: Feature, points: int
) -> Floats:
    """Return risks in points along the settled direction, (n_values, n_patients, n_horizons)."""
    values = swept_values(divided.train.features[feature.name], points)
    states = [
        column for column in fields_of(patients.features)[feature.variable] if is_state(column)
    ]
    return 100 * np.stack(
        [
            model.risk(
                patients.features.assign(**{feature.name: value, **dict.fromkeys(states, 0.0)}),
                divided.horizons_days,
            )
            for value in values[:: feature.direction]
        ]
    )


def swept_values(values: pd.Series, points: int) -> Floats:
    """Return distinct quantiles of the values, ascending; both ends of a flag."""
    measured = values.dropna().to_numpy(dtype=np.float64)
    if set(np.unique(measured)) <= {0.0, 1.0}:
        return np.array([0.0, 1.0])
    return np.unique(np.quantile(measured, np.linspace(*OUTER_QUANTILES, points)))


def largest_fall(along: Floats) -> Floats:
    """Return how far the risk falls below its highest so far, (n_patients, n_horizons)."""
    return np.asarray((np.maximum.accumulate(along, axis=0) - along).max(axis=0))


def _breaks(column: str, others: str, falls: Floats, ends: Floats) -> Breaks:
    return Breaks(
        column,
        others,
        falls.size,
        float((falls > SMALL_FALL).mean()),
        float((falls > LARGE_FALL).mean()),
        float((ends > SMALL_FALL).mean()),
        float(falls.max()),
    )


def lines(rows: Sequence[Breaks], missed: Sequence[str]) -> Iterator[str]:
    """Yield a table, then what breaks."""
    yield (
        f"{'':24s}{'others':14s} triples  fall > {SMALL_FALL} points %  > {LARGE_FALL:g} point %  "
        "end to end %  worst, points"
    )
    for row in rows:
        yield (
            f"{row.column:24s}{row.others:14s}{row.triples:8d}{100 * row.over_small:19.1f}"
            f"{100 * row.over_large:13.1f}{100 * row.end_to_end:14.1f}{row.worst_points:15.2f}"
        )
    yield f"\nTarget, no triple that breaks, missed by: {'; '.join(missed) or 'none'}"


if __name__ == "__main__":
    sys.exit(main())
