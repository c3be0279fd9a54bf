"""A clean cohort, ways to break it, and what checking says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import Finding
from data_schema.mapping.file import parse_mapping
from data_schema.table.check import Checked, check_cohort

N = 120


def clean(n: int = N) -> pd.DataFrame:
    """Return a cohort that keeps every rule, as text, as a CSV gives it."""
    rng = np.random.default_rng(3)
    severity = rng.normal(size=n)
    event = (severity + rng.normal(size=n) > 0.3).astype(int)
    table = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "age": rng.integers(40, 90, n),
            "sex": rng.choice(["female", "male"], n),
            "sofa": np.clip(np.round(7 + 3 * severity), 0, 24).astype(int),
            "ctx_s": np.round(np.exp(6.5 + 0.4 * rng.normal(size=n)), 1),
            "lactate": np.round(np.exp(0.7 + 0.3 * severity + 0.3 * rng.normal(size=n)), 2),
            "estradiol": np.round(np.exp(3.5 + 0.5 * rng.normal(size=n)), 2),
            "shock": rng.choice(["0", "1"], n),
            "mortality_days": np.where(event == 1, rng.integers(1, 300, n), 365),
            "mortality_event": event,
        }
    )
    return table.astype(str)


def check(table: pd.DataFrame, mapping: str = "", outcome: str | None = "mortality") -> Checked:
    return check_cohort(table, outcome=outcome, mapping=parse_mapping(mapping))


def put(column: str, *values: Any, start: int = 0) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a change of the first cells of a column."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype(object)
        for place, value in enumerate(values, start=start):
            table.loc[place, column] = value
        return table

    return change


def only(checked: Checked) -> Finding:
    """Return the one fatal finding of a report."""
    assert [f.rule for f in checked.report.fatal] == [checked.report.fatal[0].rule]
    return checked.report.fatal[0]
