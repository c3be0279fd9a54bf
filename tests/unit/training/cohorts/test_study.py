from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import RulesBroken, UsageError
from data_schema.mapping.file import parse_mapping
from late_entries import left_truncated
from training.cohorts.groups import patient_groups
from training.cohorts.study import EXCLUDED, NOT_INCLUDED, public_study, study_of_table
from training.config import RunConfig
from training.datasets.registry import ADAPTERS, load_dataset

N = 200


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    died = rng.random(N) < 0.4
    return pd.DataFrame(
        {
            "patient_id": [f"p{number}" for number in range(N)],
            "age": rng.normal(60, 12, N).clip(19, 95).round(),
            "lactate": rng.lognormal(0.6, 0.5, N).round(2),
            "Ausgang": np.where(died, "x", "y"),
            "mortality_days": np.where(died, rng.uniform(1, 300, N), 400.0).round(1),
            "mortality_event": died.astype(int),
        }
    )


MAPPING = parse_mapping(
    '[columns.Ausgang]\nvariable = "ward"\nkind = "category"\npathway = "person"\nunit = ""'
)


def test_a_study_says_what_its_model_will_claim() -> None:
    study = study_of_table(table(), outcome="mortality", config=RunConfig(population="Us."))
    assert study.model_name == "osteon-mortality"
    assert study.time_zero == "24 h after ICU admission, alive"
    assert study.horizons_days == (28.0, 90.0, 365.0)
    assert study.cohort.population == "Us."


def test_days_from_entry_are_another_estimand_under_another_name() -> None:
    mapping = parse_mapping(
        '[outcome.mortality]\ndays = "mortality_days"\nevent = "mortality_event"\n'
        'entry_days = "enrolled_on_day"\ntime_zero = "entry"'
    )
    study = study_of_table(
        left_truncated(), outcome="mortality", mapping=mapping, config=RunConfig()
    )
    assert study.time_zero == "entry into observation, alive"
    assert study.model_name == "osteon-mortality-from-entry"


def test_the_landmark_chooses_the_estimand() -> None:
    study = study_of_table(table(), outcome="mortality", landmark="72h", config=RunConfig())
    assert (study.outcome.name, study.model_name) == ("mortality-72h", "osteon-mortality-72h")


def test_a_simulated_cohort_never_takes_a_reserved_name() -> None:
    study = study_of_table(table(), outcome="mortality", config=RunConfig(simulated=True))
    assert study.model_name == "osteon-mortality-simulated"
    assert study.cohort.simulated


@pytest.mark.parametrize(
    ("word", "simulated"), [("published", True), (True, True), (False, False), ("no", False)]
)
def test_a_cohort_says_itself_whether_it_is_simulated(word: object, simulated: bool) -> None:
    study = study_of_table(
        table().drop(columns="Ausgang").assign(simulated=word),
        outcome="mortality",
        config=RunConfig(simulated=False),
    )
    assert study.cohort.simulated is simulated
    assert study.model_name.endswith("-simulated") is simulated
    assert ("not real people" in study.cohort.population) is simulated


def test_a_leak_is_fatal_until_it_is_excluded_by_name_with_a_record() -> None:
    with pytest.raises(RulesBroken, match=r"leak_outcome.*ward") as raised:
        study_of_table(table(), outcome="mortality", mapping=MAPPING, config=RunConfig())
    assert {finding.variable for finding in raised.value.findings} == {"ward"}
    for name in ("ward", "Ausgang"):
        study = study_of_table(
            table(), outcome="mortality", mapping=MAPPING, config=RunConfig(exclude=(name,))
        )
        assert list(study.cohort.features) == ["age", "lactate"]
        assert study.cohort.dropped == {name: EXCLUDED}


def test_excluding_what_is_not_there_is_wrong_usage() -> None:
    with pytest.raises(
        UsageError, match=r"exclude must name columns.*got lactat\. Did you mean lactate"
    ):
        study_of_table(table(), outcome="mortality", config=RunConfig(exclude=("lactat",)))


def test_an_outcome_known_at_one_horizon_has_that_horizon() -> None:
    mapping = parse_mapping('[outcome.mortality]\nhorizon_days = 180\nevent = "mortality_event"')
    cohort = table().drop(columns=["Ausgang", "mortality_days"])
    study = study_of_table(cohort, outcome="mortality", mapping=mapping, config=RunConfig())
    assert study.horizons_days == (180.0,)
    with pytest.raises(UsageError, match="horizons_days must be 180"):
        study_of_table(
            cohort,
            outcome="mortality",
            mapping=mapping,
            config=RunConfig(horizons_days=(28.0, 180.0)),
        )


@pytest.mark.parametrize(
    "name", [name for name, known in ADAPTERS.items() if known.purpose == "checks only"]
)
@pytest.mark.parametrize("outcome", ["mortality", "fracture"])
def test_a_data_set_for_checks_only_is_rejected_for_training(name: str, outcome: str) -> None:
    with pytest.raises(UsageError, match="checks only"):
        public_study(name, outcome=outcome, config=RunConfig())


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_a_public_data_set_has_its_own_time_zero_and_name() -> None:
    pytest.importorskip("SurvSet")
    study = public_study("flchain", outcome="mortality", config=RunConfig(seed=3))
    assert study.model_name == "osteon-mortality-flchain"
    assert study.time_zero == ADAPTERS["flchain"].time_zero
    assert study.cohort.population
    left_out = str(study.cohort.features.columns[0])
    without = public_study("FLCHAIN", outcome="mortality", config=RunConfig(exclude=(left_out,)))
    assert left_out not in without.cohort.features
    assert without.cohort.dropped[left_out] == EXCLUDED


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_race_income_and_education_are_read_only_where_a_run_names_them() -> None:
    pytest.importorskip("SurvSet")
    social = ("race", "education_years", "income")
    whole = load_dataset("support2")
    assert set(social) <= set(whole.features.columns)  # benchmarks keep the published columns
    plain = public_study("support2", outcome="mortality", config=RunConfig()).cohort
    assert not set(social) & set(plain.features.columns)
    assert {plain.dropped[name] for name in social} == {NOT_INCLUDED}
    named = public_study("support2", outcome="mortality", config=RunConfig(include=("race",)))
    assert "race" in named.cohort.features
    assert not {"education_years", "income"} & set(named.cohort.features.columns)
    # Performance is judged by each, whether the model reads it or not.
    for cohort in (plain, named.cohort, plain.take(np.arange(4_000))):
        assert {"race", "education years", "income"} <= patient_groups(cohort).keys()
    with pytest.raises(UsageError, match=r"include must name columns of race.*got albumin"):
        public_study("support2", outcome="mortality", config=RunConfig(include=("albumin",)))


def test_a_table_s_own_social_columns_are_set_apart_too() -> None:
    years = np.resize([8.0, 12.0, 16.0, np.nan], N)
    stated = table().assign(education_years=years)
    settings = RunConfig(exclude=("Ausgang",))
    cohort = study_of_table(stated, outcome="mortality", config=settings).cohort
    assert "education_years" not in cohort.features
    assert cohort.social is not None
    np.testing.assert_array_equal(cohort.social["education_years"], years)
    included = replace(settings, include=("education_years",))
    assert (
        "education_years"
        in study_of_table(stated, outcome="mortality", config=included).cohort.features
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"population": "Others"}, "population and simulated must not be set"),
        ({"simulated": True}, "population and simulated must not be set"),
    ],
)
def test_only_a_public_data_set_itself_describes_its_patients(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        public_study("support2", outcome="mortality", config=replace(RunConfig(), **change))
