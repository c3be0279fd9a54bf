"""Severity alone beside the model: in the report of a run, and by the same fit of its columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from models.metrics.comparison.net_benefit import net_benefit
from models.metrics.known_outcome import known_outcome
from models.metrics.summary import Repeat
from training.cohorts.splits import Split
from training.config import RunConfig
from training.fit import refit, with_columns
from training.validation.plan import EvaluationPlan, evaluation_plan
from training.validation.predictions import Predictions
from training.validation.refusals import Refusals
from training.validation.severity_alone import severity_alone

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

CONFIG = RunConfig(max_trees=5, bootstrap_resamples=50, threads=1)


def cohort_of(table: pd.DataFrame) -> Cohort:
    patients = table["patient_id"].to_numpy(dtype=object)
    outcome = OutcomeData(
        "mortality", table["mortality_days"].to_numpy(), table["mortality_event"].to_numpy()
    )
    features = table[["age", "lactate", "albumin", "sofa"]]
    return Cohort(features, VARIABLES, patients, patients, outcome=outcome)


def predictions_of(cohort: Cohort) -> Predictions:
    """Return answers for all but the first patient, who was refused."""
    assert cohort.outcome is not None
    answered = np.arange(len(cohort)) > 0
    risk = np.linspace(0.05, 0.9, len(cohort))[:, None]
    return Predictions(
        time_days=cohort.outcome.time_days,
        event=cohort.outcome.event,
        patient_id=cohort.patient_id,
        repeats=(Repeat(risk, np.zeros(len(cohort), dtype=np.int64)),),
        horizons_days=(90.0,),
        curve_days=None,
        blanked=(),
        answered=answered,
        refusals=Refusals(len(cohort), 1, {"under_18": 1}),
        cohort_fingerprint="",
    )


def test_a_run_is_held_against_severity_alone_on_the_same_patients(trained: Any) -> None:
    _, printed = trained
    artifacts = Path(printed["report"]).parent
    kept = json.loads((artifacts / "evaluation.json").read_text())["severity_alone"]
    assert set(kept["columns"]) == {"lactate", "albumin", "sofa"}
    assert [one["horizon_days"] for one in kept["decision"]] == [90, 365]
    page = Path(printed["report"]).read_text()
    assert (
        "Severity alone is a model of the 3 columns of severity scores and organ function" in page
    )
    assert "of acting on the model, on severity alone, on all patients and on none" in page
    for one in kept["decision"]:
        severity, model = (np.array(one[name]["estimate"]) for name in ("severity_alone", "model"))
        assert one["gain"]["estimate"] == pytest.approx(model - severity)
        # Age is half of what matters in these patients, and severity alone does not know it.
        assert np.mean(one["gain"]["estimate"]) > 0
    assert (artifacts / "plots" / "net_benefit_365d.svg").is_file()


def test_it_is_the_same_fit_of_the_severity_columns(
    simulated: Callable[..., pd.DataFrame],
) -> None:
    cohort = cohort_of(pd.concat([simulated(200, 1), simulated(150, 2)], ignore_index=True))
    split = Split(np.arange(200), np.arange(200, 350))
    learned_from, held_out = cohort.take(split.train), cohort.take(split.test)
    plan = EvaluationPlan("hold-out", "patient", ((split,),), refitted=True)
    predictions = predictions_of(held_out)

    found = severity_alone(cohort, plan, predictions, [90.0], CONFIG)

    assert found is not None
    assert found.columns == ("lactate", "albumin", "sofa")
    fitted = refit(with_columns(learned_from, found.columns), [90.0], CONFIG)
    risk = fitted.predict_risk(held_out.features[[*found.columns]])[:, 0]
    outcome = known_outcome(predictions.time_days, predictions.event, 90.0)
    (decision,) = found.decision
    for curve, of in ((decision.first, risk), (decision.second, predictions.risk[:, 0])):
        assert curve.estimate == pytest.approx(net_benefit(outcome, of, decision.thresholds))


@pytest.mark.parametrize("kept", [["age"], ["lactate", "sofa"]])
def test_there_is_nothing_to_compare_without_severity_or_with_nothing_else(
    simulated: Callable[..., pd.DataFrame], kept: list[str]
) -> None:
    cohort = cohort_of(simulated(60, 1))
    same = replace(cohort, features=cohort.features[kept])
    plan = evaluation_plan(same, CONFIG)
    assert severity_alone(same, plan, predictions_of(same), [90.0], CONFIG) is None
