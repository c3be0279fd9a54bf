"""Peers that know of a competing event learn from the training cohort alone."""

import shutil

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError, OutsideError
from data_schema.variables import Variable
from models.metrics.known_outcome import known_outcome
from training.benchmark.competing_peers import COMPETING_FOREST, COMPETING_PEERS
from training.datasets.r import run_r

N = 250
DAYS = [1.0, 5.0, 20.0, 1e4]
WITH_R = tuple(name for name in COMPETING_PEERS if name.endswith("(R)"))


def cohort_of(seed: int, *, group: tuple[str, ...] = ("a", "b")) -> Cohort:
    """`x` drives the event and not the competing one; a third of it is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    kind = rng.choice(group, size=N).astype(object)
    times = np.column_stack(
        [
            rng.exponential(30 / np.exp(x + (kind == "b"))),
            rng.exponential(30, size=N),
            rng.exponential(60, size=N),
        ]
    )
    x[rng.random(N) < 1 / 3] = np.nan
    ids = np.array([f"p{i}" for i in range(N)], dtype=object)
    return Cohort(
        features=pd.DataFrame({"x": x, "skewed": np.exp(2 * rng.normal(size=N)), "group": kind}),
        variables={
            "x": Variable("x", "X", "severity"),
            "skewed": Variable("skewed", "Skewed", "severity"),
            "group": Variable("group", "Group", "person", "category"),
        },
        patient_id=ids,
        stay_id=ids,
        outcome=OutcomeData(
            "fracture", times.min(axis=1), np.array([1, 2, 0])[times.argmin(axis=1)]
        ),
    )


@pytest.fixture(scope="module", params=COMPETING_PEERS)
def predict(request):
    if request.param in WITH_R and shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COMPETING_FOREST, "n_jobs", 1)
        patch.setitem(COMPETING_FOREST, "n_estimators", 20)
        return COMPETING_PEERS[request.param](cohort_of(1))


def test_risks_lie_in_the_unit_interval_and_never_fall_with_time(predict):
    risk = predict(cohort_of(2), DAYS)
    assert risk.shape == (N, len(DAYS))
    assert risk.min() >= 0
    assert risk.max() <= 1
    assert (np.diff(risk, axis=1) >= 0).all()


def test_the_mean_risk_is_the_incidence_and_not_one_minus_kaplan_meier(predict):
    outcome = cohort_of(1).outcome
    alone = (outcome.event == 1).astype(np.int64)
    incidence, as_if_nothing_competed = (
        known_outcome(outcome.time_days, event, 20.0).event_rate for event in (outcome.event, alone)
    )
    mean = predict(cohort_of(1), [20.0]).mean()
    assert mean == pytest.approx(incidence, abs=0.03)
    assert as_if_nothing_competed - mean > 0.1


def test_a_patient_s_risk_does_not_depend_on_who_else_is_asked_about(predict):
    test = cohort_of(4)
    alone = predict(test.take(np.arange(1)), DAYS)
    np.testing.assert_allclose(alone, predict(test, DAYS)[:1], rtol=1e-6)


def test_an_unseen_category_is_no_error(predict):
    assert np.isfinite(predict(cohort_of(5, group=("a", "new")), DAYS)).all()


def test_a_cohort_without_events_is_refused():
    cohort = cohort_of(1)
    silent = OutcomeData("fracture", cohort.outcome.time_days, np.zeros(N, dtype=np.int64))
    nobody = Cohort(cohort.features, cohort.variables, cohort.patient_id, cohort.stay_id, silent)
    for fit in COMPETING_PEERS.values():
        with pytest.raises(DataError, match="at least one event"):
            fit(nobody)


def test_without_r_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutsideError, match="Rscript is not on the PATH"):
        COMPETING_PEERS[WITH_R[0]](cohort_of(1))


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_an_absent_package_is_named_and_what_r_says_of_the_data_is_not(tmp_path):
    script = tmp_path / "peer.R"
    script.write_text("library(thereIsNoSuchPackage)")
    with pytest.raises(OutsideError, match="R has no package thereIsNoSuchPackage"):
        run_r(script)
    script.write_text("stop(readLines('stdin'))")
    with pytest.raises(OutsideError) as refused:
        run_r(script, table="creatinine 4.2")
    assert "4.2" not in str(refused.value)
