"""What the tests ordered alone reach, judged where they were not learned."""

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from models.metrics.metric import metric_at
from models.metrics.summary import Repeat
from training.cohorts.splits import Split
from training.validation.patient_or_work_up import MODEL, SEVERITY, WORK_UP, patient_or_work_up
from training.validation.plan import EvaluationPlan
from training.validation.predictions import Predictions
from training.validation.refusals import Refusals

N = 400
PATIENTS = np.array([f"p{i}" for i in range(N)], dtype=object)


def cohort(*, by_orders: bool) -> Cohort:
    """Return patients in whom a troponin was measured; with `by_orders`, in those who will die."""
    rng = np.random.default_rng(0)
    sick = rng.random(N) < 0.5
    measured = np.where(sick, rng.random(N) < 0.8, rng.random(N) < 0.2)
    if not by_orders:
        measured = rng.random(N) < 0.5
    features = pd.DataFrame(
        {
            "age": rng.normal(60, 10, N).clip(18.5, 95),
            "troponin_t": np.where(measured, rng.random(N), np.nan),
        }
    )
    days = np.where(sick, rng.uniform(1, 27, N), 100.0)
    return Cohort(
        features=features,
        variables={name: VARIABLES[name] for name in features},
        patient_id=PATIENTS,
        stay_id=PATIENTS,
        outcome=OutcomeData("mortality", days, sick.astype(np.int64)),
    )


def judged(of: Cohort, plan: EvaluationPlan) -> Predictions:
    outcome = of.outcome
    assert outcome is not None
    rows = plan.evaluated
    risk = np.linspace(0.1, 0.9, len(rows))[:, None]
    return Predictions(
        time_days=outcome.time_days[rows],
        event=outcome.event[rows],
        patient_id=of.patient_id[rows],
        repeats=(Repeat(risk, np.zeros(len(rows), dtype=np.int64)),),
        horizons_days=(28.0,),
        curve_days=None,
        blanked=(),
        answered=np.full(len(rows), True),
        refusals=Refusals(len(rows), 0, {}),
        cohort_fingerprint="",
    )


PLAN = EvaluationPlan(
    "hold-out", "patient", ((Split(np.arange(250), np.arange(250, N)),),), refitted=True
)


def test_orders_that_follow_severity_rank_and_orders_by_chance_do_not() -> None:
    areas = {}
    for by_orders in (True, False):
        patients = cohort(by_orders=by_orders)
        found = patient_or_work_up(
            patients,
            PLAN,
            judged(patients, PLAN),
            [28.0],
            severity_risk=None,
            random_state=0,
        )
        assert found is not None
        assert found.ordered == ("troponin_t",)
        assert set(found.reached) == {MODEL, WORK_UP}
        metric = metric_at(found.reached[WORK_UP], "auroc", 28.0)
        assert metric is not None
        areas[by_orders] = metric.estimate
    # True area .8; of 150 held-out patients its standard error is about .04.
    assert areas[True] > 0.7
    assert abs(areas[False] - 0.5) < 0.12


def test_the_held_out_outcomes_are_not_used() -> None:
    patients = cohort(by_orders=True)
    outcome = patients.outcome
    assert outcome is not None
    swapped = outcome.event.copy()
    swapped[250:] = 1 - swapped[250:]

    def ranked(event: np.ndarray) -> float:
        other = Cohort(
            features=patients.features,
            variables=patients.variables,
            patient_id=PATIENTS,
            stay_id=PATIENTS,
            outcome=OutcomeData("mortality", np.where(event == 1, 10.0, 100.0), event),
        )
        found = patient_or_work_up(
            other, PLAN, judged(other, PLAN), [28.0], severity_risk=None, random_state=0
        )
        assert found is not None
        metric = metric_at(found.reached[WORK_UP], "auroc", 28.0)
        assert metric is not None
        return metric.estimate

    # The same risks: the area of the opposite outcome is its complement.
    assert ranked(swapped) < 0.5 < ranked(outcome.event)


def test_complete_patients_have_no_work_up_to_tell() -> None:
    patients = cohort(by_orders=True)
    complete = patients.features.fillna(0.1)
    whole = Cohort(
        features=complete,
        variables=patients.variables,
        patient_id=PATIENTS,
        stay_id=PATIENTS,
        outcome=patients.outcome,
    )
    found = patient_or_work_up(
        whole, PLAN, judged(whole, PLAN), [28.0], severity_risk=None, random_state=0
    )
    assert found is None


def test_severity_alone_stands_beside_it() -> None:
    patients = cohort(by_orders=True)
    found = patient_or_work_up(
        patients,
        PLAN,
        judged(patients, PLAN),
        [28.0],
        severity_risk=np.random.default_rng(0).random((150, 1)),
        random_state=0,
    )
    assert found is not None
    assert set(found.reached) == {MODEL, SEVERITY, WORK_UP}
