"""Cohorts and fitted models of the bedside studies; a model is fitted once per version of the code.

Each model lies in a folder named by a digest of the code that fits it, the patients, the columns
and the settings. A study that was stopped, or that needs a model of another study, goes on from the
models that are there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from data_schema.cohort import Cohort
from data_schema.outcomes import OUTCOMES
from models.inference.risk_model import RiskModel
from training.cohorts.splits import split_by_patient
from training.cohorts.study import study_of_table
from training.config import MAX_TREES, RunConfig
from training.datasets.registry import load_dataset
from training.fit import fit_osteon
from training.simulation.cohort import simulate

ROOT = Path(__file__).resolve().parents[2]
CODE_OF_A_FIT = ("data_schema", "models/fitting", "models/inference", "models", "training/fit.py")
SUPPORT2_TEST, SIMULATED_TEST = 0.3, 1 / 3
SIMULATED_PATIENTS, SIMULATED_SEED = 6_000, 11
SMALL_TRAIN, SMALL_TEST, SMALL_TREES = 900, 500, 30

Name = Literal["support2", "simulated"]


@dataclass(frozen=True, slots=True)
class Division:
    """A cohort in two parts: patients to learn from, and others to judge with.

    Parameters
    ----------
    name : str
        Of the cohort, for messages.
    horizons_days : tuple of float
        Days from time zero.
    seed : int
        Of the division and of the fit.
    max_trees : int
        Of the boosted part; fewer than usual in a trial run.
    """

    name: str
    train: Cohort
    held_out: Cohort
    horizons_days: tuple[float, ...]
    seed: int
    max_trees: int


def division(name: Name, *, seed: int, small: bool = False) -> Division:
    """Return a cohort of the studies, divided by patient.

    Parameters
    ----------
    name : {"support2", "simulated"}
        SUPPORT2 in 6,374 and 2,731 patients, or 6,000 simulated patients (seed 11) in 4,000 and
        2,000, with death as the outcome.
    seed : int
        Of the division.
    small : bool
        A trial run: few patients and few trees, whose figures mean nothing.
    """
    cohort, share = (
        (load_dataset("support2"), SUPPORT2_TEST)
        if name == "support2"
        else (simulated_cohort(SIMULATED_PATIENTS, seed=SIMULATED_SEED), SIMULATED_TEST)
    )
    split = split_by_patient(cohort, test_fraction=share, random_state=seed)
    train, test = (
        (split.train[:SMALL_TRAIN], split.test[:SMALL_TEST]) if small else (split.train, split.test)
    )
    return Division(
        name,
        cohort.take(train),
        cohort.take(test),
        tuple(map(float, OUTCOMES["mortality"].horizons_days)),
        seed,
        SMALL_TREES if small else MAX_TREES,
    )


def simulated_cohort(
    patients: int, *, seed: int, outcome: str = "mortality", scenario: str = "published"
) -> Cohort:
    """Return simulated patients as `osteon train` reads them."""
    table = simulate(patients, seed=seed, scenario=scenario).cohort
    return study_of_table(table, outcome=outcome, config=RunConfig(simulated=True)).cohort


def code_digest() -> str:
    """Return a digest of the code that decides what a fit on given patients comes to."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterable[Path]:
    """Yield the source files of `CODE_OF_A_FIT`; of `models` itself only its own modules."""
    for name in CODE_OF_A_FIT:
        path = ROOT / name
        if path.is_file():
            yield path
        else:
            yield from path.glob("*.py") if name == "models" else path.rglob("*.py")


class FittedModels:
    """The fitted models of one study, in a folder, with progress on standard error.

    Parameters
    ----------
    folder : Path
        Where models of all studies and versions lie.
    planned : int
        Number of models that the study needs.
    threads : int
        The models do not depend on it.
    """

    def __init__(self, folder: Path, *, planned: int, threads: int = 1) -> None:
        self._folder, self._planned, self._threads = folder / code_digest(), planned, threads
        self._done, self._fitted, self._cpu_seconds = 0, 0, 0.0

    def model(
        self,
        cohort: Cohort,
        horizons_days: Sequence[float],
        *,
        seed: int,
        label: str,
        interval_folds: int = 0,
        max_trees: int = MAX_TREES,
    ) -> RiskModel:
        """Return the model of a cohort, fitted now or before.

        Parameters
        ----------
        label : str
            What the model is of, for the line of progress.
        interval_folds : int
            Fold models for the interval; 0 if only risks are needed.
        """
        settings = [*map(float, horizons_days), seed, interval_folds, max_trees]
        key = hashlib.sha256(f"{cohort.fingerprint()}{settings}".encode()).hexdigest()[:24]
        place = self._folder / key
        self._done += 1
        if not place.is_dir():
            started = time.process_time()
            fitted = fit_osteon(
                cohort,
                horizons_days=horizons_days,
                random_state=seed,
                interval_folds=interval_folds,
                max_trees=max_trees,
                threads=self._threads,
            ).risk_model_
            _write(fitted, place)
            self._fitted += 1
            self._cpu_seconds += time.process_time() - started
        self._report(label)
        return RiskModel.from_directory(place, threads=self._threads)

    def _report(self, label: str) -> None:
        """Print how many models are done, and how long the others will take."""
        each = self._cpu_seconds / max(self._fitted, 1)
        left = each * (self._planned - self._done) / 60
        print(
            f"model {self._done} of {self._planned}: {label}; {each:.0f} CPU s a fit, "
            f"at most {left:.1f} CPU minutes left",
            file=sys.stderr,
            flush=True,
        )


def _write(model: RiskModel, place: Path) -> None:
    """Write a model's files so that a folder is either absent or complete."""
    unfinished = place.with_name(f"{place.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in model.files().items():
        (unfinished / name).write_bytes(content)
    unfinished.rename(place)


def without_variables(cohort: Cohort, names: Iterable[str]) -> Cohort:
    """Return a cohort without some variables and every feature of them."""
    left_out = set(names)
    columns = [c for c in cohort.features.columns if str(c).partition("__")[0] not in left_out]
    return replace(cohort, features=cohort.features[columns])


def study_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that the studies share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=ROOT / "build" / "bedside")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="A trial run on few patients.")
    parser.add_argument("--json", action="store_true", help="Print JSON, not tables.")
    return parser


def print_result(result: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print a result as JSON, or as the given lines."""
    if as_json:
        print(json.dumps(result, indent=1))
        return
    for line in lines:
        print(line)


def quantile_groups(values: np.ndarray, groups: int) -> np.ndarray:
    """Return the group of each value, from 0 for the lowest, in groups of nearly equal size."""
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(rank * groups // max(len(values), 1))
