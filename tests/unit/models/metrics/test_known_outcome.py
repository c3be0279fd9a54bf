"""Which horizons can be judged at all."""

import numpy as np
import pytest

from data_schema.outcomes import MIN_EVENTS
from models.censoring import CensoringDistribution
from models.metrics.known_outcome import why_not_evaluable


@pytest.mark.parametrize("rarer", [1, 0])
def test_a_metric_needs_the_fewest_events_and_as_many_without(rarer: int) -> None:
    def reason(number: int) -> str:
        event = np.where(np.arange(100) < number, rarer, 1 - rarer)
        time = np.where(event == 1, 10.0, 40.0)
        return why_not_evaluable(time, event, 28.0, CensoringDistribution.fit(time, event))

    assert f"needs {MIN_EVENTS} patients" in reason(MIN_EVENTS - 1)
    assert reason(MIN_EVENTS) == ""
