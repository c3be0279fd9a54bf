"""Settled variables never move a risk against their direction, whatever else is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from models.inference.risk_model import RiskModel

NUMBERS = {
    "age": (18.0, 100.0),
    "lactate": (0.05, 60.0),
    "albumin": (0.2, 12.0),
    "fgf23_c": (1.0, 1e6),
    "ctx_s": (5.0, 20_000.0),
    "diabetes": (0.0, 1.0),
    "aps": (-10.0, 500.0),
}
CATEGORIES = {"sex": ("female", "male"), "dzgroup": ("COPD", "Cirrhosis")}
SWEEP = 9
TOLERANCE = 1e-9
"""Of a risk, for sums in another order."""

_patient = st.fixed_dictionaries(
    {name: st.none() | st.floats(low, high) for name, (low, high) in NUMBERS.items()}
    | {name: st.sampled_from([None, *levels]) for name, levels in CATEGORIES.items()}
)


def swept(patient: dict[str, object], name: str, low: float, high: float) -> pd.DataFrame:
    """Return a patient with rising values of a variable, all others unchanged."""
    values = np.geomspace(low, high, SWEEP) if low > 0 else np.linspace(low, high, SWEEP)
    frame = pd.DataFrame([patient | {"fgf23_c__below": 0.0, name: value} for value in values])
    types = dict.fromkeys([*NUMBERS, "fgf23_c__below"], float) | dict.fromkeys(CATEGORIES, object)
    return frame.astype(types)


@pytest.mark.parametrize("outcome", ["mortality", "fracture"])
# A failing example names patient, variable and horizons; to shrink it takes minutes.
@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(patient=_patient, data=st.data())
def test_a_settled_variable_never_moves_the_risk_against_its_direction(
    request, outcome, patient, data
) -> None:
    model: RiskModel = request.getfixturevalue(outcome).loaded.risk_model
    settled = {f.name: f.direction for f in model.contract.features if f.direction}
    assert settled
    contract = model.contract
    days = data.draw(
        st.lists(
            st.floats(contract.min_horizon_days, contract.max_horizon_days), min_size=1, max_size=3
        )
    )
    for name, direction in settled.items():
        ends = sorted(data.draw(st.tuples(*[st.floats(*NUMBERS[name])] * 2)))
        risk = model.risk(swept(patient, name, *ends), [*contract.default_horizons_days, *days])

        assert (direction * np.diff(risk, axis=0) >= -TOLERANCE).all(), name
