"""The simulated cohorts and what R made of them."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def cohorts() -> dict[str, pd.DataFrame]:
    """Cohort name -> its rows."""
    cohorts = {path.stem: pd.read_csv(path) for path in sorted((HERE / "data").glob("*.csv"))}
    single = cohorts["tied"].assign(event=(cohorts["tied"]["event"] == 1).astype(int))
    return {**cohorts, "tied_single": single}


@pytest.fixture(scope="session")
def stored() -> Callable[[str, str], dict[tuple[str, float], float]]:
    """Topic and metric -> {(cohort, day): R's value}; day is 0 where there is none."""

    def read(topic: str, metric: str) -> dict[tuple[str, float], float]:
        table = pd.read_csv(HERE / f"{topic}.csv").fillna({"day": 0.0})
        rows = table[table["metric"] == metric]
        assert len(rows), f"{topic}.csv has no {metric}"
        keys = zip(rows["cohort"], rows["day"].astype(float), strict=True)
        return dict(zip(keys, rows["value"].astype(float), strict=True))

    return read
