"""Models that several modules use, and a patient without refusals or warnings."""

from __future__ import annotations

import pandas as pd
import pytest

from linear_truth import HORIZONS, SMALL, small_cohort
from models.estimator import CumulativeIncidenceModel
from models.inference.risk_model import RiskModel


@pytest.fixture(scope="module")
def fitted() -> CumulativeIncidenceModel:
    return CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(*small_cohort())


@pytest.fixture(scope="module")
def risk_model(mortality) -> RiskModel:
    return mortality.loaded.risk_model


@pytest.fixture
def ordinary(risk_model: RiskModel) -> pd.DataFrame:
    """One patient like those of the training cohort, without refusals or warnings."""
    frame = pd.DataFrame([risk_model.contract.example])
    prediction = risk_model.predict(frame)
    assert prediction.status == ["ok"]
    assert prediction.warnings == [[]]
    return frame
