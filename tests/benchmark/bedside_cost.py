"""What the estimator's figures are with everything recorded, before and after a change.

    python tests/benchmark/bedside_cost.py capture BEFORE.json
    python tests/benchmark/bedside_cost.py capture AFTER.json --simulated 101 102
    python tests/benchmark/bedside_cost.py compare BEFORE.json AFTER.json

A capture fits Osteon by the protocol of `osteon benchmark` on the same five random splits of each
data set, without the peers and without fold models, and writes C, the integrated Brier score and
the areas under the curve of each split. `--simulated` adds the gap to the best attainable area
under the curve for the given seeds, with 20,000 patients to learn from and 20,000 others
(`osteon benchmark --dataset simulated`). A capture that was stopped goes on where it was. One takes
about 2 CPU minutes on the data sets, and several more for each simulated seed.

A comparison prints the mean change of each figure over the splits with its standard error, and
exits with 1 where C or an area falls, or the Brier score rises, by more than .001, or where a gap
exceeds .008 (mortality) or .018 (fracture).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from bedside_models import code_digest
from numpy.typing import ArrayLike, NDArray

from data_schema.cohort import Cohort, outcome_of
from models.inference.risk_model import RiskModel
from training.benchmark.curves import curve_figures, evaluation_grid
from training.benchmark.truth import compare_with_truth
from training.cohorts.splits import repeated_splits
from training.datasets.registry import load_dataset
from training.fit import fit_osteon

DATASETS = ("support2", "rhc", "flchain", "framingham")
SIMULATED = "simulated"
SPLITS, SEED, TEST_FRACTION = 5, 0, 0.3
TOLERANCE = 0.001
LARGEST_GAP = {"mortality": 0.008, "fracture": 0.018}
GAP = "AUC below the best attainable by"


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """The figures of one split of a data set, or of one simulated seed."""

    dataset: str
    split: int
    cpu_seconds: float
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Change:
    """The mean change of a figure over the splits, and whether it is within the tolerance.

    `before` and `change` are None for a gap that has no earlier capture.
    """

    dataset: str
    figure: str
    before: float | None
    after: float
    change: float | None
    standard_error: float | None
    within: bool


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    captured = commands.add_parser("capture")
    captured.add_argument("file", type=Path)
    captured.add_argument("--datasets", nargs="*", choices=DATASETS, default=list(DATASETS))
    captured.add_argument("--simulated", nargs="*", type=int, default=[], metavar="SEED")
    captured.add_argument("--simulated-patients", type=int, default=20_000)
    captured.add_argument("--splits", type=int, default=SPLITS)
    captured.add_argument("--threads", type=int, default=1)
    compared = commands.add_parser("compare")
    compared.add_argument("before", type=Path)
    compared.add_argument("after", type=Path)
    compared.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.command == "capture":
        capture(options)
        return 0
    changes = list(compare(read(options.before), read(options.after)))
    if options.json:
        print(json.dumps([asdict(change) for change in changes], indent=1))
    else:
        show(changes)
    return 0 if all(change.within for change in changes) else 1


def capture(options: argparse.Namespace) -> None:
    """Write the figures of every split that the file does not hold yet."""
    code = code_digest()
    rows = list(read(options.file)) if options.file.is_file() else []
    if rows and json.loads(options.file.read_text())["code"] != code:
        sys.exit(
            f"{options.file} must hold figures of the present code; it holds those of another "
            "version. Capture into another file."
        )
    done = {(row.dataset, row.split) for row in rows}
    for row in _missing(options, done):
        rows.append(row)
        content = {"code": code, "rows": [asdict(each) for each in rows]}
        options.file.write_text(json.dumps(content, indent=1))
        print(
            f"{row.dataset}, {row.split}: {row.cpu_seconds:.0f} CPU s", file=sys.stderr, flush=True
        )


def _missing(options: argparse.Namespace, done: set[tuple[str, int]]) -> Iterator[SplitFigures]:
    """Yield the figures of each split and seed that is not done."""
    for name in options.datasets:
        cohort = load_dataset(name)
        splits = repeated_splits(
            cohort, repeats=options.splits, test_fraction=TEST_FRACTION, random_state=SEED
        )
        for number, split in enumerate(splits):
            if (name, number) not in done:
                started = time.process_time()
                train, test = cohort.take(split.train), cohort.take(split.test)
                figures = _figures(cohort, train, test, options.threads)
                yield SplitFigures(name, number, time.process_time() - started, figures)
    for seed in options.simulated:
        if (SIMULATED, seed) not in done:
            started = time.process_time()
            found = compare_with_truth(
                patients=options.simulated_patients,
                random_state=seed,
                progress=lambda text: print(text, file=sys.stderr, flush=True),
            )
            figures = {
                f"{figure.outcome} gap {figure.horizon_days:g}": figure.value
                for figure in found.figures
                if figure.figure == GAP
            }
            yield SplitFigures(SIMULATED, seed, time.process_time() - started, figures)


def _figures(cohort: Cohort, train: Cohort, test: Cohort, threads: int) -> dict[str, float]:
    """Return the figures of a fit to one split, with the seed and grid of `osteon benchmark`."""
    grid = evaluation_grid(outcome_of(cohort))
    model = fit_osteon(
        train,
        horizons_days=grid.quartiles.tolist(),
        random_state=SEED,
        interval_folds=0,
        threads=threads,
    ).risk_model_
    return curve_figures(test, partial(_risk, model), grid)


def _risk(model: RiskModel, cohort: Cohort, days: ArrayLike) -> NDArray[np.float64]:
    return model.risk(cohort.features, days)


def read(path: Path) -> Iterator[SplitFigures]:
    """Yield the figures of a capture."""
    for row in json.loads(path.read_text())["rows"]:
        yield SplitFigures(**row)


def compare(before: Iterator[SplitFigures], after: Iterator[SplitFigures]) -> Iterator[Change]:
    """Yield the change of every figure that the later capture holds."""
    earlier = {(row.dataset, row.split): row.figures for row in before}
    later: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in after:
        for figure, value in row.figures.items():
            later.setdefault((row.dataset, figure), []).append((row.split, value))
    for (dataset, figure), values in later.items():
        pairs = [
            (earlier[dataset, split][figure], value)
            for split, value in values
            if (dataset, split) in earlier
        ]
        now = float(np.mean([value for _, value in values]))
        yield _change(dataset, figure, pairs, now)


def _change(dataset: str, figure: str, pairs: list[tuple[float, float]], now: float) -> Change:
    """Return the change of one figure over the splits that both captures hold."""
    gaps = np.array([value - earlier for earlier, value in pairs])
    change = float(gaps.mean()) if len(gaps) else None
    error = float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else None
    if dataset == SIMULATED:
        within = now <= LARGEST_GAP[figure.partition(" ")[0]]
    elif change is None:
        sys.exit(f"{dataset} must have been captured before; no split is in both files.")
    else:
        worse = change if figure == "ibs" else -change
        within = worse <= TOLERANCE or not (figure in ("c", "ibs") or figure.startswith("auc"))
    before = float(np.mean([earlier for earlier, _ in pairs])) if pairs else None
    return Change(dataset, figure, before, now, change, error, within)


def show(changes: list[Change]) -> None:
    """Print one line a figure, then what is not within the tolerance."""
    for each in changes:
        before, change, error = (
            "-" if value is None else f"{value:+.5f}" if signed else f"{value:.5f}"
            for value, signed in (
                (each.before, False),
                (each.change, True),
                (each.standard_error, False),
            )
        )
        verdict = "" if each.within else "  NOT WITHIN"
        print(
            f"{each.dataset:11s} {each.figure:22s} {before:>9s} -> {each.after:.5f}  "
            f"{change:>9s} (standard error {error}){verdict}"
        )
    failed = [f"{each.dataset} {each.figure}" for each in changes if not each.within]
    print(f"Not within the tolerance: {', '.join(failed) or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
