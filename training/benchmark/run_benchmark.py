"""`osteon benchmark`: Osteon and its peers side by side on a public data set, with the protocol."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib
import numpy as np

from data_schema.errors import UsageError
from training.benchmark.at_one_horizon import compare_at_fixed_horizon, compare_with_physicians
from training.benchmark.causes import compare_causes
from training.benchmark.comparison import Comparison
from training.benchmark.curves import Progress, compare_curves
from training.benchmark.neutral.comparison import (
    NEUTRAL,
    NeutralComparison,
    NeutralRun,
    compare_neutral,
)
from training.benchmark.published_protocols import PROTOCOLS
from training.benchmark.rhc_by_file import RHC_BY_FILE, compare_by_file
from training.benchmark.score_questions import SCORE_QUESTIONS
from training.benchmark.scores import compare_scores
from training.benchmark.truth import compare_with_truth
from training.datasets.registry import data_folder, dataset, load_dataset

__all__ = ["COMPARATORS", "SIMULATED", "BenchmarkResult", "machine", "run_benchmark"]

COMPARATORS = "support2-comparators"
"""Name of the benchmark against the SUPPORT model and the physicians."""

SIMULATED, SIMULATED_PATIENTS = "simulated", 20_000
"""Name of the benchmark against true risks, and its number of training and of test patients."""

DEFAULT_REPEATS = 5


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """A comparison with its data set and machine.

    Parameters
    ----------
    repeats : int
        Number of random splits or partitions into folds.
    machine : mapping of str to (str, int or None)
        As `machine` returns it.
    """

    dataset: str
    repeats: int
    machine: Mapping[str, str | int | None]
    comparison: Comparison | NeutralComparison

    def as_json(self) -> dict[str, object]:
        """Return what `osteon benchmark --json` prints."""
        return {
            "dataset": self.dataset,
            "protocol": self.comparison.protocol,
            "repeats": self.repeats,
            "machine": self.machine,
            **self.comparison.as_json(),
        }


def run_benchmark(
    name: str,
    *,
    repeats: int | None = None,
    random_state: int = 0,
    data_dir: Path | None = None,
    neutral: NeutralRun | None = None,
    progress: Progress = lambda _: None,
) -> BenchmarkResult:
    """Compare Osteon and its peers on the same patients.

    Parameters
    ----------
    name : str
        A data set, `support2-comparators`, `simulated`, a published protocol (`flchain-xgbse`,
        `support2-dsm`, `burk2024`), `rhc-by-file`, or the added value of a score
        (`support2-score`, `rhc-score`, `glow-score`).
    repeats : int, optional
        Number of random splits (default: 5), or of partitions into five folds with a competing
        event, an outcome known at one horizon or a score. The comparators and the published
        protocols have one fixed partition.
    random_state : int
        Seed of the splits and of Osteon.
    data_dir : Path, optional
        Folder of the data sets that come as files.
    neutral : NeutralRun, optional
        How much of `burk2024` to run, and where its results are (default: all of it).

    Raises
    ------
    UsageError
        If there is no such benchmark, or `repeats` or `neutral` does not belong to it.
    """
    if repeats is not None and repeats < 1:
        raise UsageError(f"repeats must be at least 1; got {repeats}.")
    name = name.lower()
    if name == NEUTRAL:
        if repeats is not None:
            raise UsageError(f"{NEUTRAL} takes folds and not repeats: its folds are published.")
        ours_among_theirs = compare_neutral(
            data_folder(data_dir),
            neutral or NeutralRun(),
            random_state=random_state,
            progress=progress,
        )
        return BenchmarkResult(name, 1, machine(), ours_among_theirs)
    if neutral is not None:
        raise UsageError(f"folds, sets, jobs and results belong to {NEUTRAL}; got {name}.")
    fixed = name in (COMPARATORS, SIMULATED, *PROTOCOLS)
    repeats = 1 if fixed else repeats or DEFAULT_REPEATS
    comparison = _compare(name, repeats, random_state, data_dir, progress)
    return BenchmarkResult(name, repeats, machine(), comparison)


def machine() -> dict[str, str | int | None]:
    """Return processor, cores and versions of the machine, but not its name."""
    packages = ("numpy", "scikit-learn", "xgboost", "scikit-survival", "comprisk")
    return {
        "processor": _processor(),
        "cores": joblib.cpu_count(),
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }


def _compare(
    name: str, repeats: int, random_state: int, data_dir: Path | None, progress: Progress
) -> Comparison:
    """Run the named benchmark; a data set is compared by curves, or at its one known horizon."""
    folder = data_folder(data_dir)
    if name == COMPARATORS:
        return compare_with_physicians(folder, random_state=random_state, progress=progress)
    if name == SIMULATED:
        return compare_with_truth(
            patients=SIMULATED_PATIENTS, random_state=random_state, progress=progress
        )
    if name == RHC_BY_FILE:
        return compare_by_file(repeats=repeats, random_state=random_state, progress=progress)
    if name in PROTOCOLS:
        return PROTOCOLS[name](random_state=random_state, progress=progress)
    if name in SCORE_QUESTIONS:
        return compare_scores(
            SCORE_QUESTIONS[name](folder),
            repeats=repeats,
            random_state=random_state,
            progress=progress,
        )
    known = dataset(
        name, besides=(COMPARATORS, SIMULATED, *PROTOCOLS, NEUTRAL, RHC_BY_FILE, *SCORE_QUESTIONS)
    )
    cohort = load_dataset(name, data_dir)
    if known.competing_label is not None:
        return compare_causes(
            cohort,
            known.competing_label,
            repeats=repeats,
            random_state=random_state,
            progress=progress,
        )
    if cohort.outcome is None or cohort.outcome.horizon_days is None:
        return compare_curves(cohort, repeats=repeats, random_state=random_state, progress=progress)
    raw = known.read(folder) if known.scores else None
    return compare_at_fixed_horizon(
        cohort,
        scores={
            score: raw[score].to_numpy(dtype=np.float64)
            for score in known.scores
            if raw is not None
        },
        repeats=repeats,
        random_state=random_state,
        progress=progress,
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the model name of the processor, which `platform` does not report on Linux."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
