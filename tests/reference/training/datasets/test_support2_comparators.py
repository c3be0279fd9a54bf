"""The SUPPORT model and the physicians rank SUPPORT2 as well as the project's facts say."""

import pytest

from models.metrics.discrimination.delong import delong_interval
from training.benchmark.at_one_horizon import SIX_MONTHS_DAYS
from training.datasets.registry import data_folder, load_dataset
from training.datasets.support2 import support2_comparators

FOLDER = data_folder()


@pytest.mark.skipif(FOLDER is None, reason="no data folder on this machine")
@pytest.mark.parametrize(("estimate", "published"), [("surv6m", 0.7852), ("prg6m", 0.7865)])
def test_six_month_estimates_reach_their_known_area(estimate, published):
    outcome = load_dataset("support2").outcome
    beside = support2_comparators(FOLDER)
    both = beside[["surv6m", "prg6m"]].notna().all(axis=1).to_numpy()
    died = ((outcome.event == 1) & (outcome.time_days <= SIX_MONTHS_DAYS))[both]
    area = delong_interval(died, 1 - beside.loc[both, estimate]).auroc
    assert area == pytest.approx(published, abs=0.00005)
