"""Choose the cut-offs of the grades of completeness, by how often an answer moves once complete.

    python tests/benchmark/grades_study.py [--blanks 3] [--threads N]

A model learns from 4,000 simulated patients (seed 21). Of 4,000 others (seed 22, every marker
measured) fields are emptied with a probability of the patient's own, drawn evenly from 0 to .97:
for half of them variable by variable, for the others pathway by pathway. The settled share of each
(`RiskModel.settled_share`) is set against what its risks come to once the fields are filled. By
bins of the settled share and by grade, at each default horizon: the share of patients who move to
another third of risk (thirds of the complete patients), or across 10, 20 or 50 %; the median
absolute change in points; and in the bin O/E, slope and area under the curve of the risks with the
blanks.

The rule: a grade begins at the settled share, to the nearest .05, from which an isotonic fit has at
most one patient in ten (complete), in four (partial) or in two (sparse) move to another third of
risk, mean over the horizons; below the last an answer is more likely than not in another third. It
is applied to simulated patients, to death and fracture alike (mean of both fits). The same table
for SUPPORT2 (6,374 to learn from, 2,731 judged, filled as far as recorded) is a check that chooses
nothing. For each cohort the grades of its patients as recorded come first. The exit code is 1 if
the cut-offs of `models.inference.completeness` are not those of the rule. Three fits, about 2 CPU
minutes, then 2 of predictions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from bedside_models import (
    SMALL_TREES,
    FittedModels,
    division,
    print_result,
    simulated_cohort,
    study_parser,
)
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from data_schema.cohort import Cohort, outcome_of
from data_schema.outcomes import OUTCOMES
from models.inference.completeness import LEAST_SETTLED, Completeness, completeness_grade
from models.inference.risk_model import RiskModel
from models.metrics.calibration.calibration import calibration_slope, oe_ratio
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import known_outcome
from training.cohorts.blanks import blanks_at_random, fields_of, with_blanks
from training.config import MAX_TREES

PATIENTS, SMALL_PATIENTS = 4_000, 600
TRAIN_SEED, JUDGE_SEED = 21, 22
LARGEST_SHARE = 0.97
THRESHOLDS = (0.1, 0.2, 0.5)
MOST_MOVED: Mapping[Completeness, float] = {"complete": 0.10, "partial": 0.25, "sparse": 0.50}
STEP = 0.05
FEWEST = 60
"""Patients of a bin below which calibration and ranking are not printed."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GradeRow:
    """What came of the patients of one grade or bin at one horizon, once they were complete.

    Parameters
    ----------
    group : str
        A grade, or the lower and upper end of a bin of the settled share.
    moved_third, moved_threshold : float
        Share of patients who moved to another third, or across 10, 20 or 50 %.
    change_points : float
        Median absolute change of the risk.
    oe, slope, auc : float or None
        Of the risks with the blanks; None in a group of few patients.
    """

    group: str
    horizon_days: float
    patients: int
    settled: float
    moved_third: float
    moved_threshold: float
    change_points: float
    oe: float | None
    slope: float | None
    auc: float | None


@dataclass(frozen=True, slots=True)
class Moves:
    """Patients with blanks, and the same patients complete.

    Parameters
    ----------
    settled : ndarray of float, shape (n,)
        Settled share with the blanks.
    blanked, complete : ndarray of float, shape (n, h)
        Risks with the blanks and once they are filled.
    time_days, event : ndarray, shape (n,)
    horizons_days : tuple of float, length h
    """

    settled: Floats
    blanked: Floats
    complete: Floats
    time_days: Floats
    event: NDArray[np.int64]
    horizons_days: tuple[float, ...]

    def thirds_moved(self) -> NDArray[np.bool_]:
        """Return whether each patient moves to another third of risk, (n, h)."""
        moved = np.empty(self.blanked.shape, dtype=np.bool_)
        for h, complete in enumerate(self.complete.T):
            cuts = np.quantile(complete, [1 / 3, 2 / 3])
            moved[:, h] = np.digitize(self.blanked[:, h], cuts) != np.digitize(complete, cuts)
        return moved


def main() -> int:
    """Run the command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--blanks", type=int, default=3, help="Patterns of blanks of each patient.")
    options = parser.parse_args()
    models = FittedModels(options.models, planned=3, threads=options.threads)
    patients = SMALL_PATIENTS if options.small else PATIENTS
    trees = SMALL_TREES if options.small else MAX_TREES
    rows: dict[str, list[GradeRow]] = {}
    recorded: dict[str, dict[str, float]] = {}
    moved = []
    for outcome in ("mortality", "fracture"):
        days = tuple(map(float, OUTCOMES[outcome].horizons_days))
        learned_from = simulated_cohort(patients, seed=TRAIN_SEED, outcome=outcome)
        model = models.model(
            learned_from,
            days,
            seed=0,
            label=f"simulated {outcome}",
            max_trees=trees,
        )
        others = simulated_cohort(patients, seed=JUDGE_SEED, outcome=outcome, scenario="complete")
        moved.append(moves_of(model, others, days, options.blanks))
        rows[f"simulated {outcome}"] = list(rows_of(moved[-1]))
        recorded[f"simulated {outcome}"] = grades_of(model, learned_from)
    chosen = cut_offs(moved)
    days = tuple(map(float, OUTCOMES["mortality"].horizons_days))
    public = division("support2", seed=0, small=options.small)
    support2 = models.model(
        public.train, days, seed=0, label="support2", max_trees=public.max_trees
    )
    recorded["support2"] = grades_of(support2, public.held_out)
    rows["support2"] = list(rows_of(moves_of(support2, public.held_out, days, options.blanks)))
    result = {
        "chosen": chosen,
        "in_use": dict(LEAST_SETTLED),
        "as_recorded": recorded,
        "rows": {name: [asdict(row) for row in listed] for name, listed in rows.items()},
    }
    print_result(result, lines(rows, recorded, chosen), as_json=options.json)
    return 0 if chosen == dict(LEAST_SETTLED) else 1


def moves_of(model: RiskModel, cohort: Cohort, days: Sequence[float], patterns: int) -> Moves:
    """Return what filling the blanks comes to, each patient with several patterns of blanks."""
    complete, outcome = model.risk(cohort.features, list(days)), outcome_of(cohort)
    settled, blanked = [], []
    for number in range(patterns):
        rng = np.random.default_rng([JUDGE_SEED, number])
        emptied = _emptied(cohort, rng).features
        settled.append(model.settled_share(emptied))
        blanked.append(model.risk(emptied, list(days)))
    return Moves(
        np.concatenate(settled),
        np.concatenate(blanked),
        np.tile(complete, (patterns, 1)),
        np.tile(outcome.time_days, patterns),
        np.tile(outcome.event, patterns),
        tuple(days),
    )


def _emptied(cohort: Cohort, rng: np.random.Generator) -> Cohort:
    """Return the cohort with blanks, half of the patients' by variable and half by pathway."""
    shares = rng.uniform(0, LARGEST_SHARE, len(cohort))
    by_variable = blanks_at_random(cohort.features, shares, rng=rng)
    pathway = [cohort.variables[name].pathway for name in fields_of(cohort.features)]
    distinct, place = np.unique(pathway, return_inverse=True)
    by_pathway = (rng.random((len(cohort), len(distinct))) < shares[:, None])[:, place]
    together = rng.random((len(cohort), 1)) < 0.5
    return with_blanks(cohort, np.where(together, by_pathway, by_variable))


def grades_of(model: RiskModel, cohort: Cohort) -> dict[str, float]:
    """Return the share of each grade among patients as recorded."""
    grades = pd.Series(
        [
            completeness_grade(s, model.contract.guard.least_settled)
            for s in model.settled_share(cohort.features)
        ]
    )
    return {
        str(grade): float(share) for grade, share in grades.value_counts(normalize=True).items()
    }


def cut_offs(moved: Sequence[Moves]) -> dict[Completeness, float]:
    """Return the least settled share of each grade by the rule."""
    shares = np.linspace(0, 1, 101)
    fits = []
    for moves in moved:
        fit = IsotonicRegression(increasing=False, out_of_bounds="clip")
        fits.append(fit.fit(moves.settled, moves.thirds_moved().mean(axis=1)).predict(shares))
    expected = np.mean(fits, axis=0)
    chosen: dict[Completeness, float] = {}
    for grade, most in MOST_MOVED.items():
        within = shares[expected <= most]
        if not len(within):
            sys.exit(f"{grade} must begin somewhere; more than {most:.0%} move at every share.")
        chosen[grade] = round(STEP * round(float(within[0]) / STEP), 2)
    return chosen


def rows_of(moves: Moves) -> Iterator[GradeRow]:
    """Yield the figures by horizon, by grade in use and by bin of the settled share."""
    grades = np.array([completeness_grade(share, LEAST_SETTLED[-1][1]) for share in moves.settled])
    ends = [-np.inf, *np.round(np.arange(0, 0.96, STEP), 2), np.inf]
    for h, day in enumerate(moves.horizons_days):
        for grade in ("complete", "partial", "sparse", "insufficient"):
            yield from _row(moves, grade, h, day, grades == grade)
        for low, high in pairwise(ends):
            inside = (moves.settled >= low) & (moves.settled < high)
            name = f"{max(low, -1):.2f}-{min(high, 1):.2f}" if low >= 0 else "below 0"
            yield from _row(moves, name, h, day, inside)


def _row(
    moves: Moves, group: str, h: int, day: float, inside: NDArray[np.bool_]
) -> Iterator[GradeRow]:
    """Yield the figures of a group, unless it is empty."""
    number = int(inside.sum())
    if not number:
        return
    blanked, complete = moves.blanked[inside, h], moves.complete[inside, h]
    crossed = np.digitize(blanked, THRESHOLDS) != np.digitize(complete, THRESHOLDS)
    figures: tuple[float | None, ...] = (None, None, None)
    known = known_outcome(moves.time_days[inside], moves.event[inside], day)
    happened = int(((moves.time_days[inside] <= day) & (moves.event[inside] == 1)).sum())
    if number >= FEWEST and FEWEST / 6 <= happened <= number - FEWEST / 6:
        figures = tuple(
            float(metric(known, blanked)) for metric in (oe_ratio, calibration_slope, auroc)
        )
    yield GradeRow(
        group,
        day,
        number,
        float(moves.settled[inside].mean()),
        float(moves.thirds_moved()[inside, h].mean()),
        float(crossed.mean()),
        float(100 * np.median(np.abs(complete - blanked))),
        *figures,
    )


def lines(
    rows: Mapping[str, Sequence[GradeRow]],
    recorded: Mapping[str, Mapping[str, float]],
    chosen: Mapping[Completeness, float],
) -> Iterator[str]:
    """Yield the tables, then the cut-offs of the rule beside those in use."""
    for cohort, listed in rows.items():
        graded = ", ".join(f"{grade} {share:.1%}" for grade, share in recorded[cohort].items())
        yield f"\n{cohort}, as recorded: {graded}"
        for day, at_day in pd.DataFrame(listed).groupby("horizon_days", sort=False):
            yield f"\n{cohort}, {day:g} days"
            yield (
                f"{'group':14s} patients settled  other third %  across 10/20/50 %  "
                "change, points    O/E  slope    AUC"
            )
            for row in at_day.itertuples():
                figures = "".join(
                    "      -" if value is None or np.isnan(value) else f"{value:7.2f}"
                    for value in (row.oe, row.slope, row.auc)
                )
                yield (
                    f"{row.group:14s} {row.patients:8d} {row.settled:7.2f} "
                    f"{100 * row.moved_third:14.1f} {100 * row.moved_threshold:18.1f} "
                    f"{row.change_points:15.1f}{figures}"
                )
    yield "\nLeast settled share by the rule, simulated patients: " + ", ".join(
        f"{grade} {share:.2f} ({100 * MOST_MOVED[grade]:.0f} %)" for grade, share in chosen.items()
    )
    yield "In use: " + ", ".join(f"{grade} {share:.2f}" for grade, share in LEAST_SETTLED)


if __name__ == "__main__":
    sys.exit(main())
