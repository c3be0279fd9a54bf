"""Cohorts whose patients come under observation some days after the clock starts."""

from __future__ import annotations

import numpy as np
import pandas as pd


def left_truncated(n: int = 400, *, seed: int = 0) -> pd.DataFrame:
    """Return patients who entered on a day up to 200 and lived that long; 0 is the clock's start.

    Risk depends on age. Patients who died before entry are absent, as in a registry that patients
    join at some time after their admission.
    """
    rng = np.random.default_rng(seed)
    age = rng.integers(40, 90, 10 * n)
    death = rng.exponential(300 * np.exp(-0.04 * (age - 65)))
    entry = rng.integers(0, 200, 10 * n).astype(float)
    end = entry + rng.uniform(100, 800, 10 * n)
    seen = np.flatnonzero(death > entry + 0.5)[:n]
    days = np.minimum(death, end)[seen].round(1)
    return pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "age": age[seen],
            "lactate": rng.lognormal(0.6, 0.5, n).round(2),
            "enrolled_on_day": entry[seen],
            "mortality_days": days,
            "mortality_event": (death <= end)[seen].astype(int),
        }
    )
