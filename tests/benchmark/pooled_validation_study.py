"""Pool six simulated sites' shared aggregates: does the prediction interval hold a new site?

Each repeat draws six sites of 300 to 2,000 patients and a seventh, new one. Their true log-odds are
those of a trained model times a slope plus a shift, both drawn anew for each site, so that the
seventh site's area under the curve and observed over expected events are known. The six write what
`osteon validate --share` writes; the folders are read and pooled as `osteon pool` does.

    python tests/benchmark/pooled_validation_study.py --repeats 400

It needs the patients of `recalibration_study.py` (run that before), and keeps its own results in
build/pooled, one line per repeat, so that a stopped study goes on. It exits with 1 if a prediction
interval covers outside 90-98 %, or a shared file holds a count under 10.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from data_schema.disclosure import SMALLEST_CELL
from models.metrics.metric import Metric
from models.metrics.summary import Repeat, evaluate
from training.validation.predictions import Predictions
from training.validation.refusals import Refusals
from training.validation.sharing import (
    SHARED_FILE,
    SharedValidation,
    pool_sites,
    read_shared,
    tenths_of_risk,
    write_shared,
)

SITES = 6
SMALLEST, LARGEST = 300, 2_000
SHIFT_SPREAD, SLOPE_SPREAD = 0.25, 0.10
HORIZON, PLACE = 90.0, 1
RESAMPLES = 200
METRICS = ("auroc", "oe_ratio")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Result:
    """Whether each prediction interval held the new site, and the smallest count shared."""

    seed: int
    covered: dict[str, bool]
    mean_covered: dict[str, bool]
    smallest_count: int


def patients(folder: Path) -> Floats:
    """Return the model's log-odds of the pool of patients at the horizon."""
    stored = sorted(folder.glob("local_*.npz"))
    if not stored:
        sys.exit("run tests/benchmark/recalibration_study.py first: it draws the patients.")
    return np.concatenate([np.load(path)["log_odds"][:, PLACE] for path in stored])


def true_figures(eta: Floats, p: Floats) -> dict[str, float]:
    """Return the area and O/E of infinitely many patients with these risks and true risks."""
    order = np.argsort(eta, kind="stable")
    true = p[order]
    below = np.concatenate([[0.0], np.cumsum(1 - true)[:-1]])
    return {
        "auroc": float((true * below).sum() / (true.sum() * (1 - true).sum())),
        "oe_ratio": float(p.mean() / expit(eta).mean()),
    }


def site_of(eta: Floats, rng: np.random.Generator) -> Floats:
    """Return the true risks of one site's patients."""
    shift, slope = SHIFT_SPREAD * rng.normal(), 1 + SLOPE_SPREAD * rng.normal()
    return np.asarray(expit(eta.mean() + shift + slope * (eta - eta.mean())))


def shared_of(eta: Floats, p: Floats, number: int, rng: np.random.Generator) -> SharedValidation:
    """Return what one site shares."""
    happened = rng.random(len(p)) < p
    time_days = np.where(happened, 30.0, 400.0)
    event = happened.astype(np.int64)
    risk = expit(eta)[:, None]
    ids = np.array([f"p{i}" for i in range(len(p))], dtype=object)
    predictions = Predictions(
        time_days,
        event,
        ids,
        (Repeat(risk, np.zeros(len(p), dtype=np.int64)),),
        (HORIZON,),
        None,
        (),
        np.ones(len(p), dtype=bool),
        Refusals.of([[] for _ in p]),
        f"site {number}",
    )
    metrics: tuple[Metric, ...] = tuple(
        evaluate(time_days, event, risk, [HORIZON], n_bootstrap=RESAMPLES, random_state=number)
    )
    return SharedValidation(
        model_name="osteon-mortality-simulated",
        model_version="1",
        model_sha256="0" * 64,
        outcome="mortality",
        site=f"site {number}",
        simulated=True,
        stays=len(p),
        patients=len(p),
        events=int(happened.sum()),
        cohort_fingerprint=f"site {number}",
        metrics=metrics,
        updates=(),
        tenths={f"{HORIZON:g}": tenths_of_risk(predictions, 0)},
        membership_auroc=None,
    )


def counts_in(content: object) -> Iterator[int]:
    """Yield every count of patients in a shared file."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name in {"stays", "patients", "events", "with_event", "without_event", "not_known"}:
                if isinstance(value, int):
                    yield value
            else:
                yield from counts_in(value)
    elif isinstance(content, list):
        for value in content:
            yield from counts_in(value)


def repeat(pool: Floats, seed: int) -> Result:
    """Draw seven sites, pool six, and judge the seventh."""
    rng = np.random.default_rng([2026, seed])
    smallest, folders = 10**9, []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(SITES):
            n = int(rng.integers(SMALLEST, LARGEST))
            eta = rng.choice(pool, n, replace=False)
            folder = Path(scratch, f"site{number}")
            write_shared(shared_of(eta, site_of(eta, rng), number, rng), folder)
            content = json.loads((folder / SHARED_FILE).read_text(encoding="utf-8"))
            smallest = min([smallest, *(count for count in counts_in(content) if count > 0)])
            folders.append(folder)
        pooled = pool_sites([read_shared(folder) for folder in folders])
    new = true_figures(pool, site_of(pool, rng))
    by_name = {mean.metric: mean for mean in pooled.pooled}
    return Result(
        seed,
        {m: by_name[m].next_low <= new[m] <= by_name[m].next_high for m in METRICS},
        {m: by_name[m].low <= new[m] <= by_name[m].high for m in METRICS},
        smallest,
    )


def main() -> int:
    """Run or resume the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--small", action="store_true", help="patients of the small trial")
    options = parser.parse_args()
    pool = patients(Path("build/recalibration") / ("small" if options.small else "full"))
    stored = Path("build/pooled/results.jsonl")
    stored.parent.mkdir(parents=True, exist_ok=True)
    lines = stored.read_text(encoding="utf-8").splitlines() if stored.is_file() else []
    results = [Result(**json.loads(line)) for line in lines][: options.repeats]
    started = time.perf_counter()
    with stored.open("a", encoding="utf-8") as out:
        for seed in range(len(results), options.repeats):
            results.append(repeat(pool, seed))
            out.write(json.dumps(asdict(results[-1])) + "\n")
            out.flush()
            if seed % 20 == 0:
                print(f"{seed + 1} repeats, {time.perf_counter() - started:.0f} s", flush=True)
    ok = True
    for metric in METRICS:
        covered = 100 * float(np.mean([one.covered[metric] for one in results]))
        mean = 100 * float(np.mean([one.mean_covered[metric] for one in results]))
        ok = ok and 90 <= covered <= 98
        print(
            f"{metric}: the prediction interval holds the new site in {covered:.1f} % of "
            f"{len(results)} repeats (target 90 to 98); the interval of the mean in {mean:.1f} %"
        )
    smallest = min(one.smallest_count for one in results)
    print(f"smallest count in any shared file: {smallest} (target at least {SMALLEST_CELL})")
    return 0 if ok and smallest >= SMALLEST_CELL else 1


if __name__ == "__main__":
    sys.exit(main())
