"""How long 1,000 bootstrap resamples of every metric take on 10,000 patients.

    python tests/benchmark/bootstrap_speed.py

Times are those of one process. Simulated patients with censoring and a competing event; three
horizons and a curve of 24 days, as a fracture model has them.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.metrics.catalogue import AT_HORIZON, OVER_FOLLOW_UP
from models.metrics.comparison.paired_changes import OutOfFold, paired_changes
from models.metrics.intervals import bootstrap_interval
from models.metrics.metric import BLANK_SHARES
from models.metrics.overall.brier import integrated_ipa
from models.metrics.subgroups import evaluate_subgroups
from models.metrics.summary import evaluate

PATIENTS, RESAMPLES = 10_000, 1_000
HORIZONS = (365.0, 730.0, 1826.0)
THRESHOLDS = (0.05, 0.1, 0.2)
LIMIT_SECONDS = 60.0


def main() -> None:
    """Time each family of metrics, print them, and fail if all together take too long."""
    rng = np.random.default_rng(0)
    log_rate = rng.normal(size=PATIENTS) - 8.5
    first, other = rng.exponential(np.exp(-log_rate)), rng.exponential(2_500, PATIENTS)
    lost = rng.uniform(300, 3_000, PATIENTS)
    days = np.minimum(np.minimum(first, other), lost)
    event = np.where(days == lost, 0, np.where(days == first, 1, 2))
    curve_days = np.geomspace(30, 1826, 24)
    competing = _risk(np.full(PATIENTS, -np.log(2_500)), curve_days)
    risk, curve = _risk(log_rate, np.array(HORIZONS)), _risk(log_rate, curve_days)
    blurred = _risk(log_rate + rng.normal(0, 0.5, PATIENTS), np.array(HORIZONS))
    out_of_fold = OutOfFold({"a": blurred, "b": risk}, np.arange(PATIENTS) % 5, HORIZONS)
    half = np.where(rng.random(PATIENTS) < 0.5, "one", "other").astype(object)
    done = {
        f"{len(AT_HORIZON)} metrics at 3 horizons, {len(OVER_FOLLOW_UP)} of all follow-up": (
            lambda: evaluate(
                days,
                event,
                risk,
                HORIZONS,
                n_bootstrap=RESAMPLES,
                curve_risk=curve,
                curve_days=curve_days,
                competing_curve=competing,
            )
        ),
        "metrics with 20 % and 40 % of the fields left empty": lambda: [
            evaluate(days, event, blurred, HORIZONS, n_bootstrap=RESAMPLES, blank_share=share)
            for share in BLANK_SHARES
        ],
        "integrated IPA": lambda: bootstrap_interval(
            lambda counts: integrated_ipa(days, event, curve, curve_days, counts=counts),
            PATIENTS,
            n_resamples=RESAMPLES,
            random_state=0,
        ),
        "paired changes of two models, IDI and NRI among them": lambda: paired_changes(
            days, event, out_of_fold, [("a", "b")], thresholds=THRESHOLDS, n_bootstrap=RESAMPLES
        ),
        "two subgroups, calibration by pseudo-values": lambda: evaluate_subgroups(
            days, event, risk, HORIZONS, {"half": half}, n_bootstrap=RESAMPLES
        ),
    }
    seconds = {name: _timed(step) for name, step in done.items()}
    total = sum(seconds.values())
    for name, taken in seconds.items():
        print(f"{taken:6.1f} s  {name}", file=sys.stderr)
    print(
        f"{total:6.1f} s  all, on {platform.machine()}; at most {LIMIT_SECONDS:.0f} s",
        file=sys.stderr,
    )
    print(json.dumps({"patients": PATIENTS, "resamples": RESAMPLES, "seconds": total, **seconds}))
    sys.exit(total > LIMIT_SECONDS)


def _risk(log_rate: NDArray[np.float64], at_days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the true risk of the event with the other one competing."""
    rate = np.exp(log_rate)[:, None]
    both = rate + 1 / 2_500
    risk: NDArray[np.float64] = rate / both * (1 - np.exp(-both * at_days))
    return risk


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return round(time.perf_counter() - started, 1)


if __name__ == "__main__":
    main()
