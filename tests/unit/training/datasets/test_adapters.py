"""Each adapter turns ten made-up rows in the raw format into a cohort the estimator can trust."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.errors import DataError
from data_schema.leakage.linter import find_leaks
from data_schema.variables import PATHWAYS, base_name
from places import FIXTURES
from training.datasets.registry import ADAPTERS

NAMES = tuple(ADAPTERS)


def raw(name: str) -> pd.DataFrame:
    return pd.read_csv(FIXTURES / f"{name}.csv")


def adapted(name: str):
    return ADAPTERS[name].adapt(raw(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_is_of_its_variable_s_kind_and_range(name):
    cohort = adapted(name)
    for column in cohort.features:
        variable = cohort.variables[base_name(column)]
        values = cohort.features[column].dropna()
        assert variable.pathway in PATHWAYS
        assert cohort.features[column].dtype == (
            object if variable.kind == "category" else np.float64
        )
        if variable.kind == "flag":
            assert set(values) <= {0.0, 1.0}
        if variable.categories:
            assert set(values) <= set(variable.categories)
        if variable.kind == "number":
            assert values.between(variable.low, variable.high).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_of_the_catalogue_is_the_catalogue_s_own_entry(name):
    declared = adapted(name).variables
    assert all(v == VARIABLES[k] for k, v in declared.items() if k in VARIABLES)


@pytest.mark.parametrize("name", NAMES)
def test_every_column_left_out_has_a_reason_and_is_left_out(name):
    cohort = adapted(name)
    assert all(reason.strip() for reason in cohort.dropped.values())
    assert not set(cohort.dropped) & set(cohort.features)


@pytest.mark.parametrize("name", NAMES)
def test_no_leak_remains_that_its_name_gives_away(name):
    cohort = adapted(name)
    leaks = find_leaks(cohort.features, None)
    assert [leak.variable for leak in leaks] == []


@pytest.mark.parametrize("name", NAMES)
def test_times_are_positive_and_events_are_known(name):
    outcome = adapted(name).outcome
    assert (outcome.time_days > 0).all()
    competing = {2} if ADAPTERS[name].competing_label else set()
    assert set(outcome.event) <= {0, 1} | competing
    if outcome.horizon_days is not None:
        assert (outcome.time_days == outcome.horizon_days).all()


@pytest.mark.parametrize("name", NAMES)
def test_each_row_is_a_patient_and_the_population_is_stated(name):
    cohort = adapted(name)
    assert cohort.name == name
    assert cohort.population
    assert not cohort.simulated
    assert len(set(cohort.patient_id)) == len(cohort)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_nobody_knows_is_refused(name):
    with pytest.raises(DataError, match=r"unknown: \['surprise'\]"):
        ADAPTERS[name].adapt(
            pd.concat([raw(name), pd.Series(1, range(10), name="surprise")], axis=1)
        )


@pytest.mark.parametrize("name", NAMES)
def test_only_death_and_fracture_from_a_time_zero_may_be_registered(name):
    known = ADAPTERS[name]
    assert known.outcome == adapted(name).outcome.name
    if known.purpose == "checks only":
        assert known.outcome not in {"mortality", "fracture"}


def test_rhc_and_support2_are_known_to_share_patients():
    for name in NAMES:
        for other in ADAPTERS[name].shares_patients_with:
            assert name in ADAPTERS[other].shares_patients_with
    assert ADAPTERS["rhc"].shares_patients_with == ("support2",)


def test_support2_counts_days_from_study_day_three():
    outcome = adapted("support2").outcome
    assert outcome.time_days.tolist()[:4] == [0.5, 1.0, 7.0, 57.0]


def test_a_stopped_heart_is_not_a_measured_pressure():
    features = adapted("support2").features
    assert features.loc[0, ["map", "heart_rate", "respiratory_rate"]].isna().all()
    features = adapted("rhc").features
    assert features.loc[0, ["map", "heart_rate", "respiratory_rate", "weight"]].isna().all()


def test_an_impossible_albumin_becomes_missing():
    assert np.isnan(adapted("support2").features.loc[1, "albumin"])


def test_the_category_missing_is_not_a_category():
    support2, rhc = adapted("support2").features, adapted("rhc").features
    assert support2.loc[2, "race"] is None
    assert support2.loc[3, "income"] is None
    assert rhc.loc[1, "second_disease"] is None


def test_support2_drops_what_leaks():
    assert {
        "num_adlp", "num_adls", "fac_sfdm2", "fac_dnr", "num_surv2m", "num_surv6m", "num_hday",
        "fac_num_co",
    } == set(adapted("support2").dropped)  # fmt: skip


def test_rhc_drops_what_leaks_and_keeps_the_catheter_as_a_treatment():
    cohort = adapted("rhc")
    assert set(cohort.dropped) == {"num_adld3p", "num_surv2md1", "fac_dnr1"}
    assert cohort.variables["right_heart_catheter"].treatment


def test_flchain_drops_the_cause_of_death_and_keeps_deaths_on_the_day():
    cohort = adapted("flchain")
    assert set(cohort.dropped) == {"fac_chapter", "num_sample_yr", "fac_sample_yr"}
    assert cohort.outcome.time_days[0] == 0.5


def test_framingham_is_coronary_disease_and_never_mortality():
    assert adapted("framingham").outcome.name == "chd"


def test_glow_is_known_at_one_year_and_drops_what_follows_enrolment():
    cohort = adapted("glow")
    assert cohort.outcome.horizon_days == 365
    assert {"bonemed_fu", "bonetreat", "fracscore"} <= set(cohort.dropped)
    assert "not population risks" in cohort.population


def test_physionet_keeps_outcomes_out_and_its_units_straight():
    table = raw("physionet2012")
    cohort = ADAPTERS["physionet2012"].adapt(table)
    assert {"Survival", "Length_of_stay"} <= set(cohort.dropped)
    assert np.isnan(cohort.features.loc[0, "height"])
    expected = 100 * table["FiO2_last"]
    pd.testing.assert_series_equal(cohort.features["fio2"], expected, check_names=False)


def test_the_hip_study_s_molar_units_become_canonical():
    table = raw("hipstudy")
    features = ADAPTERS["hipstudy"].adapt(table).features
    # 88.4 umol/L of creatinine are 1 mg/dL; 10 g/L of albumin are 1 g/dL.
    np.testing.assert_allclose(features["creatinine"], table["Creatinine"] / 88.4, rtol=1e-3)
    np.testing.assert_allclose(features["albumin"], table["Albumine"] / 10)


def test_breda_keeps_the_first_sample_of_patients_with_a_known_ward():
    cohort = adapted("ciim_breda")
    assert sorted(cohort.patient_id) == ["0", "1", "2", "3", "4", "5", "7"]


def test_breda_s_relative_proteins_never_enter_as_concentrations():
    columns = [c for c in adapted("ciim_breda").features if c not in ("age", "sex")]
    assert len(columns) == 92
    assert not set(columns) & set(VARIABLES)


@pytest.mark.parametrize("name", ["support2", "rhc"])
def test_orders_to_limit_treatment_are_kept_beside_the_features(name):
    limits = adapted(name).treatment_limits
    source = "fac_dnr" if name == "support2" else "fac_dnr1"
    assert limits is not None
    assert limits.recorded
    words = raw(name)[source].str.lower()
    none = words.isin(["no dnr", "no"]).to_numpy()
    assert np.array_equal(limits.limited == 0, none)
    assert np.array_equal(limits.limited == 1, ~none & ~words.isin(["missing"]).to_numpy())
