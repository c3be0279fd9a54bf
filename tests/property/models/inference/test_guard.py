"""What the guard concludes from all features at once is what each gives by itself."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inference.contract import Feature
from models.inference.risk_model import RiskModel

FEATURE_CODES = {"out_of_range", "beyond_training", "unknown_category"}

_number = st.none() | st.floats(-50, 2_000) | st.sampled_from([0.0, 1.0, 18.0, 60.0, 20_000.0])
_category = st.none() | st.sampled_from(["female", "COPD", "Never seen"])


def expected(feature: Feature, value: object) -> tuple[bool, str | None]:
    """Return whether a value is refused, and the code of a warning, by the feature's own rules."""
    if value is None:
        return False, None
    if feature.kind == "category":
        return False, None if value in feature.categories else "unknown_category"
    if feature.kind == "flag":
        return value not in (0.0, 1.0), None
    low = -math.inf if feature.low is None else feature.low
    high = math.inf if feature.high is None else feature.high
    if not low <= value <= high:
        return True, None
    if feature.seen is None:
        return False, None
    return False, None if feature.seen[0] <= value <= feature.seen[1] else "beyond_training"


@pytest.fixture(scope="module")
def risk_model(mortality) -> RiskModel:
    return mortality.loaded.risk_model


@settings(max_examples=40)
@given(data=st.data())
def test_each_feature_is_judged_by_its_own_limits_in_the_order_of_the_contract(
    risk_model, data
) -> None:
    features = risk_model.contract.features
    patients = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {f.name: _category if f.kind == "category" else _number for f in features}
            ),
            min_size=1,
            max_size=3,
        )
    )
    types = {f.name: object if f.kind == "category" else float for f in features}
    prediction = risk_model.predict(pd.DataFrame(patients).astype(types), interval=False)

    for i, patient in enumerate(patients):
        judged = [(f.variable, *expected(f, patient[f.name])) for f in features]
        refused = [(name,) for name, refuse, _ in judged if refuse]
        warned = [(code, (name,)) for name, _, code in judged if code is not None]
        assert refused == [r.variables for r in prediction.refusals[i] if r.code == "out_of_range"]
        assert warned == [
            (w.code, w.variables) for w in prediction.warnings[i] if w.code in FEATURE_CODES
        ]
