"""One patient's explanation: it adds up, and command and service give the same."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from data_schema.birth_dates import BirthDate
from data_schema.measurements import Measurement
from data_schema.variables import PATHWAYS
from models.patient_explanation import (
    NOT_MEASURED,
    RecordedValue,
    example_patient,
    explain_patient,
    pathway_label,
    pathway_sums,
)
from predict_requests import UNITS, VALUES, frame_of
from serving.prediction.predictor import predict
from serving.prediction.question import Question, TimedMeasurement
from serving.prediction.served import Served

if TYPE_CHECKING:
    from models.inference.risk_model import RiskModel
    from serving.prediction.served import ServedModel


@pytest.fixture
def risk_model(mortality: ServedModel) -> RiskModel:
    return mortality.loaded.risk_model


def test_what_was_not_measured_is_one_sum_apart() -> None:
    contributions = np.array([[1.0, 2.0, 4.0]])
    measured = np.array([[True, False, True]])
    sums = pathway_sums(contributions, measured, ("person", "person", "wnt"))
    assert {key: float(values[0]) for key, values in sums.items()} == {
        "wnt": 4.0,
        "person": 1.0,
        NOT_MEASURED: 2.0,
    }


def test_every_sum_has_a_label_to_print() -> None:
    labels = [pathway_label(key) for key in (*PATHWAYS, NOT_MEASURED)]
    assert len(set(labels)) == len(labels)
    assert NOT_MEASURED not in labels


def test_contributions_and_pathways_both_add_up_to_the_risk(risk_model: RiskModel) -> None:
    explanation = explain_patient(risk_model, example_patient(risk_model.contract))
    assert explanation.status == "ok"
    for risk in explanation.risks:
        expected = 100 * (risk.risk - risk.baseline_risk)
        adjustment = risk.monotone_adjustment_points
        contributions = sum(one.points for one in risk.contributions)
        assert contributions + adjustment == pytest.approx(expected, abs=1e-5)
        assert sum(risk.pathways.values()) + adjustment == pytest.approx(expected, abs=1e-5)
        assert set(risk.pathways) <= {*PATHWAYS, NOT_MEASURED}


def test_a_refused_patient_gets_reasons_and_no_risk(risk_model: RiskModel) -> None:
    child = example_patient(risk_model.contract).assign(age=12.0)
    explanation = explain_patient(risk_model, child)
    assert (explanation.status, explanation.risks) == ("refused", ())
    assert "under_18" in {refusal.code for refusal in explanation.refusals}
    assert explanation.summary.startswith("No risk is given.")


def test_a_value_that_counts_as_not_measured_is_not_shown(risk_model: RiskModel) -> None:
    unseen = example_patient(risk_model.contract).assign(dzgroup="Coma")
    for risk in explain_patient(risk_model, unseen).risks:
        (group,) = [one for one in risk.contributions if one.variable == "dzgroup"]
        assert (group.measured, group.recorded) == (False, RecordedValue())


@pytest.mark.parametrize("left_out", [(), ("ctx_s", "lactate"), ("dzgroup", "diabetes", "albumin")])
def test_command_and_service_explain_a_patient_alike(
    mortality: ServedModel, left_out: tuple[str, ...]
) -> None:
    values = {name: value for name, value in VALUES.items() if name not in left_out}
    question = Question(
        patient_id="p",
        time_zero=datetime.fromisoformat("2026-11-01T08:00:00+01:00"),
        outcomes=("mortality",),
        sex="female",
        birth_date=BirthDate.of("1966-11-01"),
        measurements=tuple(
            TimedMeasurement(Measurement(value, variable=name, unit=UNITS.get(name)))
            for name, value in values.items()
            if name not in ("age", "sex")
        ),
    )
    (prediction,) = predict(question, Served([mortality])).predictions
    explanation = explain_patient(mortality.loaded.risk_model, frame_of(mortality, values))
    assert prediction.summary == explanation.summary
    for answered, explained in zip(prediction.risks, explanation.risks, strict=True):
        assert answered.sentences == explained.sentences
        assert answered.pathways == pytest.approx(explained.pathways)
        assert answered.interval.high == pytest.approx(explained.interval.high)
        # The order of equal contributions may differ by rounding.
        by_name = {one.variable: one for one in explained.contributions}
        for one in answered.contributions:
            same = by_name[one.variable]
            assert one.recorded.value == same.recorded.value
            assert one.points == pytest.approx(same.points)
            assert (one.label, one.pathway, one.unit, one.measured) == (
                same.label,
                same.pathway,
                same.unit,
                same.measured,
            )
