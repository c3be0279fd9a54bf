"""The cohorts on which choices are made are none that a benchmark judges."""

import importlib.util
import sys

import numpy as np
import pytest

from places import ROOT

# All 34 data sets of Burk et al., by their names there and in SurvSet.
NEUTRAL = {
    *("aids.id", "cat_adoption", "channing", "check_times", "cost", "dataSTR", "e1684", "flchain"),
    *("gbsg", "grace", "hdfail", "liver", "metabric", "mgus", "nafld1", "nwtco", "rdata", "std"),
    *("uis", "veteran", "wa_churn", "wbc1", "whas", "lung", "cancer", "bladder0", "kidtran", "ova"),
    *("tumor", "dataFTR", "aids2", "Aids2", "CarpenterFdaData", "colrec", "support", "child"),
}
JUDGED_HERE = {"support2", "rhc", "Framingham", "flchain", "pbc"}
SAME_PATIENTS = {"GBSG2", "rott2", "whas500", "aids", "csl"}


@pytest.fixture(scope="module")
def study():
    path = ROOT / "tests" / "benchmark" / "small_cohorts.py"
    spec = importlib.util.spec_from_file_location("small_cohorts", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["small_cohorts"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["small_cohorts"]


def test_no_cohort_is_judged_by_a_benchmark_or_has_its_patients(study):
    assert not set(study.COHORTS) & (NEUTRAL | JUDGED_HERE | SAME_PATIENTS)
    assert len(study.COHORTS) >= 20


def test_every_cohort_is_small_and_has_no_column_that_gives_the_outcome_away(study):
    for name, record in study.COHORTS.items():
        cohort = study.read_cohort(name)
        assert 80 <= len(set(cohort.patient_id)) <= 1_000
        assert (cohort.outcome.event == 1).sum() >= 25
        assert cohort.features.shape[1] <= 200
        assert (cohort.outcome.time_days > 0).all()
        assert not {"pid", "event", "time", *record.dropped} & set(cohort.features)
        assert all(reason for reason in record.dropped.values())
        numbers = cohort.features.select_dtypes("number")
        assert (numbers.dtypes == np.float64).all()


def test_eyes_of_a_patient_stay_on_one_side_of_every_fold(study):
    cohort = study.read_cohort("retinopathy")
    for fold in range(1, 11):
        split = study.split_of(cohort, fold)
        assert not set(cohort.patient_id[split.train]) & set(cohort.patient_id[split.test])


def test_a_fold_judges_osteon_and_a_peer_on_the_same_patients(study):
    osteon, cox, km = (
        study.judge(name, "breast", 1) for name in (study.OSTEON, "Cox", study.KAPLAN_MEIER)
    )
    assert km.harrell_c == 0.5
    for judged in (osteon, cox):
        assert judged.failure == ""
        assert 0 < judged.isbs < 0.4
        assert 0.3 < judged.harrell_c < 1
