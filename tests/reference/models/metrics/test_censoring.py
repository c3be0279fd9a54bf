"""The curve of censoring against R's prodlim (how it was made: ../training/README.md)."""

from pathlib import Path

import numpy as np
import pandas as pd

from models.censoring import CensoringDistribution

HERE = Path(__file__).parent


def test_censoring_curve_agrees_with_prodlim_where_events_and_censorings_tie() -> None:
    tied = pd.read_csv(HERE / "data" / "tied.csv")
    stored = pd.read_csv(HERE / "censoring.csv")

    censoring = CensoringDistribution.fit(tied["time"], tied["event"])

    survival = censoring.survival_before(stored["day"])
    np.testing.assert_allclose(survival, stored["survival_before"], atol=1e-12)
