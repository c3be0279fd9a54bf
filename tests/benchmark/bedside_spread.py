"""How far empty fields move a risk: what was foretold against what came when they were filled.

    python tests/benchmark/bedside_spread.py [--cohort support2|simulated] [--seed 0]

Each held-out patient's fields are emptied with a probability of the patient's own, drawn evenly
from 0 to .97. `Prediction.unsettled` is the variance in log-odds that the empty fields could still
move; what it foretells of the fields that were emptied is the variance with the blanks less that of
the same patient as recorded. What came is the log-odds as recorded less those with the blanks.

By fifth of the foretold variance, at each horizon: the mean foretold variance, the variance of
what came, their ratio (target .9-1.1), the share of patients within 1.96 foretold standard
deviations, the mean move, and the mean width of the range foretold, in points of risk. The exit
code is 1 if a ratio misses its target. It takes one fit: under a CPU minute for SUPPORT2, about 2
for the simulated cohort.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from bedside_models import (
    Division,
    FittedModels,
    division,
    print_result,
    quantile_groups,
    study_parser,
)
from numpy.typing import NDArray
from scipy.special import expit, logit

from models.inference.risk_model import RiskModel
from training.cohorts.blanks import Blanks, blanks_at_random, with_blanks

FIFTHS = 5
LARGEST_SHARE = 0.97
LOWEST_RATIO, HIGHEST_RATIO = 0.9, 1.1
NORMAL_95 = 1.96
RESAMPLES = 500
LEAST_VARIANCE = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fifth:
    """What was foretold and what came in a fifth of the patients at one horizon.

    Parameters
    ----------
    fifth : int or None
        Of the foretold variance, 1 the smallest; None for all patients.
    foretold, came : float
        Mean foretold variance, and variance of the move, both in log-odds squared.
    ratio, ratio_low, ratio_high : float
        Foretold over came, with a 95 % interval from resampled patients.
    within : float
        Share of patients whose move lies within 1.96 foretold standard deviations.
    mean_move : float
        Mean of the log-odds filled less those with blanks; 0 if blanks do not bias.
    width_points : float
        Mean width in points of risk between the ends of the foretold range.
    """

    horizon_days: float
    fifth: int | None
    patients: int
    foretold: float
    came: float
    ratio: float
    ratio_low: float
    ratio_high: float
    within: float
    mean_move: float
    width_points: float


def main() -> int:
    """Run the command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--cohort", choices=("support2", "simulated"), default="support2")
    parser.add_argument("--seed", type=int, default=0, choices=(0, 1, 2))
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
    rng = np.random.default_rng([divided.seed, 14])
    shares = rng.uniform(0, LARGEST_SHARE, len(divided.held_out))
    blanks = blanks_at_random(divided.held_out.features, shares, rng=rng)
    rows = list(fifths(model, divided, blanks))
    missed = [
        f"fifth {row.fifth} at {row.horizon_days:g} days: {row.ratio:.2f}"
        for row in rows
        if row.fifth and not LOWEST_RATIO <= row.ratio <= HIGHEST_RATIO
    ]
    result = {
        "cohort": options.cohort,
        "seed": options.seed,
        "rows": [asdict(row) for row in rows],
        "missed": missed,
    }
    print_result(result, lines(rows, missed), as_json=options.json)
    return 1 if missed else 0


def fifths(model: RiskModel, divided: Division, blanks: Blanks) -> Iterator[Fifth]:
    """Yield what was foretold and what came, by horizon, over all patients and by fifth."""
    filled = divided.held_out.features
    emptied = with_blanks(divided.held_out, blanks).features
    days = divided.horizons_days
    # Refused patients have no foretold variance; the move of their risk is known all the same.
    still_open = unsettled(model, emptied, days) - unsettled(model, filled, days)
    at_blank = logit(model.risk(emptied, days))
    moves = logit(model.risk(filled, days)) - at_blank
    for place, day in enumerate(days):
        known = np.isfinite(still_open[:, place])
        variance = np.maximum(still_open[known, place], 0.0)
        move, start = moves[known, place], at_blank[known, place]
        group = quantile_groups(variance, FIFTHS)
        yield _fifth(day, None, variance, move, start)
        for number in range(FIFTHS):
            here = group == number
            yield _fifth(day, number + 1, variance[here], move[here], start[here])


def unsettled(model: RiskModel, features: pd.DataFrame, days: Sequence[float]) -> Floats:
    """Return the variance that the empty fields could still move, (n_patients, n_horizons)."""
    prediction = model.predict(features, list(days), interval=False)
    variance = getattr(prediction, "unsettled", None)
    if variance is None:
        sys.exit(
            "Prediction must have unsettled, an array of shape (n, h): the variance in log-odds "
            "that empty fields could still move. This version of models.inference has none."
        )
    return np.asarray(variance, dtype=np.float64)


def _fifth(day: float, number: int | None, variance: Floats, move: Floats, start: Floats) -> Fifth:
    """Return what was foretold and what came in one group of patients."""
    half = NORMAL_95 * np.sqrt(variance)
    draws = np.random.default_rng(0).integers(len(move), size=(RESAMPLES, len(move)))
    ratios = variance[draws].mean(axis=1) / np.maximum(move[draws].var(axis=1), LEAST_VARIANCE)
    came = float(move.var())
    return Fifth(
        day,
        number,
        len(move),
        float(variance.mean()),
        came,
        float(variance.mean() / max(came, LEAST_VARIANCE)),
        *(float(end) for end in np.quantile(ratios, [0.025, 0.975])),
        float((np.abs(move) <= half + LEAST_VARIANCE).mean()),
        float(move.mean()),
        float(100 * (expit(start + half) - expit(start - half)).mean()),
    )


def lines(rows: Sequence[Fifth], missed: Sequence[str]) -> Iterator[str]:
    """Yield a table by horizon, then what missed the target."""
    before = None
    for row in rows:
        if row.horizon_days != before:
            before = row.horizon_days
            yield f"\n{row.horizon_days:g} days"
            yield (
                f"{'':8s} patients  SD foretold  SD came  ratio of variances   "
                "within 1.96 SD %  mean move  width, points"
            )
        name = f"fifth {row.fifth}" if row.fifth else "all"
        ratio = f"{row.ratio:.2f} ({row.ratio_low:.2f}-{row.ratio_high:.2f})"
        yield (
            f"{name:8s} {row.patients:8d} {np.sqrt(row.foretold):12.2f} {np.sqrt(row.came):8.2f}  "
            f"{ratio:20s} {100 * row.within:15.1f} {row.mean_move:+10.3f} {row.width_points:14.1f}"
        )
    yield f"\nTarget, a ratio of {LOWEST_RATIO} to {HIGHEST_RATIO} in every fifth, missed by: " + (
        "; ".join(missed) or "none"
    )


if __name__ == "__main__":
    sys.exit(main())
