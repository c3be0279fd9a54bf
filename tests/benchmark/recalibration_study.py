"""Update a model to patients of a shifted site: is it ever worse than no update, and calibrated?

A model is trained once on five sites of the scenario `shifted-site`. Each repeat draws patients of
the sixth, which has older patients, other kits and more deaths; the closed test chooses an update
from the first 200, 500, 1,000 and 4,000 of them, and it is judged on 20,000 others.

    python tests/benchmark/recalibration_study.py --repeats 100
    python tests/benchmark/recalibration_study.py --repeats 3 --small

Results lie in build/recalibration, one line per repeat, so that a stopped study goes on. With
`--refits N`, in the first N repeats a model of the local patients alone is fitted in each fold and
joins the closed test; that takes some minutes each.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from data_schema.cohort import Cohort
from models.fitting.recalibration import LocalPatients, closed_test, fit_update
from models.inference.risk_model import RiskModel
from models.metrics.calibration.calibration import calibration_error, log_odds
from models.metrics.known_outcome import KnownOutcome, known_outcome
from models.registry.bundle import read_bundle, write_bundle
from training.cohorts.study import Study, study_of_table
from training.config import RunConfig
from training.fit import fit_osteon
from training.score import cohort_for_model
from training.simulation.cohort import simulated_table
from training.simulation.sites import SITES
from training.validation.predictions import predict_cohort
from training.validation.updates import judge_updates

SCENARIO = "shifted-site"
SIZES = (200, 500, 1_000, 4_000)
UNSEEN_DRAWS = 5
PRIMARY = 1
LIMIT = 0.015

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Repeat:
    """One repeat at one size: the choice, and what it does to unseen local patients."""

    seed: int
    patients: int
    chosen: str
    brier_before: tuple[float, ...]
    brier_after: tuple[float, ...]
    ici_before: tuple[float, ...]
    ici_after: tuple[float, ...]
    chosen_with_refit: str | None

    @property
    def is_worse(self) -> bool:
        """Whether the mean Brier score over the horizons is higher than without an update."""
        return sum(self.brier_after) > sum(self.brier_before)


@dataclass(frozen=True, slots=True)
class Patients:
    """Log-odds before an update, and outcomes."""

    log_odds: Floats
    time_days: Floats
    event: NDArray[np.int64]


def study_of(patients: int, seed: int, *, local: bool) -> Study:
    """Return patients of the shifted site, or of all others."""
    table = simulated_table(patients, seed=seed, scenario=SCENARIO)
    here = table["site"] == SITES[-1].name
    rows = table[here if local else ~here].reset_index(drop=True)
    return study_of_table(rows, outcome="mortality", config=RunConfig())


def trained(folder: Path, patients: int) -> RiskModel:
    """Return the model of the other sites, trained once."""
    bundle = folder / f"model_{patients}"
    if not bundle.is_dir():
        study = study_of(patients, 1, local=False)
        print(f"training on {len(study.cohort)} patients of the other sites", flush=True)
        model = fit_osteon(
            study.cohort, horizons_days=study.horizons_days, random_state=0, interval_folds=3
        )
        write_bundle(model.risk_model_, bundle)
    return read_bundle(bundle).risk_model


def drawn(risk_model: RiskModel, folder: Path, seed: int, patients: int) -> Patients:
    """Return local patients of one seed, with what the model says of them."""
    stored = folder / f"local_{seed}_{patients}.npz"
    if not stored.is_file():
        rows = local_rows(seed, patients)
        # Without its outcome, a table is not searched for leaks, which takes as long as all else.
        features = cohort_for_model(rows, risk_model.contract, outcome=None).features
        eta = log_odds(risk_model.risk(features, risk_model.contract.default_horizons_days))
        time_days, event = (
            rows[name].to_numpy(dtype=dtype)
            for name, dtype in (("mortality_days", np.float64), ("mortality_event", np.int64))
        )
        np.savez(stored, log_odds=eta, time_days=time_days, event=event)
    content = np.load(stored)
    return Patients(content["log_odds"], content["time_days"], content["event"])


def local_rows(seed: int, patients: int) -> pd.DataFrame:
    """Return the simulated patients of the shifted site."""
    table = simulated_table(patients, seed=seed, scenario=SCENARIO)
    return table[table["site"] == SITES[-1].name].reset_index(drop=True)


def cohort_of(risk_model: RiskModel, seed: int, patients: int) -> Cohort:
    """Return a cohort of the shifted site as the model reads it."""
    return cohort_for_model(local_rows(seed, patients), risk_model.contract, outcome="mortality")


def judged(outcomes: list[KnownOutcome], eta: Floats) -> tuple[tuple[float, ...], ...]:
    """Return Brier score and ICI at each horizon."""
    risk = expit(eta)
    brier = tuple(
        float((known.weight * (known.happened - risk[:, h]) ** 2).sum() / known.weight.sum())
        for h, known in enumerate(outcomes)
    )
    ici = tuple(float(calibration_error(known, risk[:, h]).ici) for h, known in enumerate(outcomes))
    return brier, ici


def repeats(
    risk_model: RiskModel, folder: Path, count: int, patients: int, refits: int
) -> Iterator[Repeat]:
    """Yield the results of every repeat and size."""
    days = risk_model.contract.default_horizons_days
    unseen = [drawn(risk_model, folder, 9_000 + k, patients) for k in range(UNSEEN_DRAWS)]
    eta = np.concatenate([each.log_odds for each in unseen])
    time_days = np.concatenate([each.time_days for each in unseen])
    event = np.concatenate([each.event for each in unseen])
    outcomes = [known_outcome(time_days, event, day) for day in days]
    brier, ici = judged(outcomes, eta)
    for number in range(count):
        seed = 100 + number
        own = drawn(risk_model, folder, seed, patients)
        for size in SIZES:
            if size > len(own.event):
                continue
            local = LocalPatients.of(
                own.log_odds[:size],
                own.time_days[:size],
                own.event[:size],
                days,
                patients=np.arange(size).astype(str),
            )
            chosen = closed_test(local).chosen
            after = (brier, ici)
            if chosen != "none":
                after = judged(outcomes, fit_update(local, chosen).log_odds(eta, days))
            with_refit = None
            if number < refits:
                with_refit = choice_with_refit(risk_model, seed, patients, size)
            yield Repeat(seed, size, chosen, brier, after[0], ici, after[1], with_refit)


def choice_with_refit(risk_model: RiskModel, seed: int, patients: int, size: int) -> str:
    """Return the closed test's choice with a refit among the candidates."""
    cohort = cohort_of(risk_model, seed, patients).take(np.arange(size))
    judged_updates = judge_updates(
        predict_cohort(risk_model, cohort),
        cohort,
        RunConfig(),
        with_refit=True,
        n_bootstrap=200,
    )
    return judged_updates.chosen


def summary(results: list[Repeat], days: tuple[float, ...]) -> bool:
    """Print what was reached at each size, and return whether both targets were."""
    ok = True
    before = results[0]
    print(f"without an update: ICI {_texts(before.ici_before)} at {_texts(days, '{:g}')} days")
    print("patients  repeats  never worse  ICI under .015 (28, 90, 365 d)  mean ICI  choices")
    for size in SIZES:
        own = [one for one in results if one.patients == size]
        if not own:
            continue
        fine = sum(not one.is_worse for one in own)
        under = [sum(one.ici_after[h] < LIMIT for one in own) for h in range(len(days))]
        mean = [float(np.mean([one.ici_after[h] for one in own])) for h in range(len(days))]
        choices = dict(Counter(one.chosen for one in own))
        refits = Counter(one.chosen_with_refit for one in own if one.chosen_with_refit)
        print(
            f"{size:8d}  {len(own):7d}  {fine:11d}  {_texts(under, '{:d}'):>30}  {_texts(mean)}  "
            f"{choices}{f' with refits {dict(refits)}' if refits else ''}"
        )
        ok = ok and fine >= 0.95 * len(own)
        if size == SIZES[-1]:
            ok = ok and under[PRIMARY] >= 0.90 * len(own)
    print(
        f"targets {'reached' if ok else 'missed'}: never worse in 95 of 100 at every size; at "
        f"{SIZES[-1]:,} patients ICI under {LIMIT} at {days[PRIMARY]:g} days in 90 of 100"
    )
    return ok


def _texts(values: object, form: str = "{:.4f}") -> str:
    return " ".join(form.format(value) for value in values)  # type: ignore[attr-defined]


def main() -> int:
    """Run or resume the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--refits", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="a small model, for a trial run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path("build/recalibration") / ("small" if options.small else "full")
    folder.mkdir(parents=True, exist_ok=True)
    risk_model = trained(folder, 1_500 if options.small else 9_000)
    results, started = [], time.perf_counter()
    for result in repeats(risk_model, folder, options.repeats, 42_000, options.refits):
        results.append(result)
        if result.patients == SIZES[0] and len(results) % 40 == 1:
            print(f"{result.seed - 99} repeats, {time.perf_counter() - started:.0f} s", flush=True)
    if options.json:
        print(json.dumps([asdict(one) for one in results]))
    return 0 if summary(results, risk_model.contract.default_horizons_days) else 1


if __name__ == "__main__":
    sys.exit(main())
