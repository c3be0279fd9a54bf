"""A simulated cohort is what a site would bring, and says that nobody is real."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.catalogue import routine_tests, score_components
from data_schema.errors import UsageError
from training.cohorts.study import check_table, study_of_table
from training.config import RunConfig
from training.simulation.cohort import (
    BLOCK_PATIENTS,
    SimulatedCohort,
    simulate,
    simulated_blocks,
    simulated_table,
)
from training.simulation.scenarios import SCENARIOS
from training.simulation.states import DAYS

N = 2500


@pytest.fixture(scope="module")
def simulated() -> SimulatedCohort:
    return simulate(N, seed=4)


def test_every_variable_that_the_causal_model_knew_is_a_column(simulated: SimulatedCohort) -> None:
    later = {entry.name for entry in (*routine_tests.ENTRIES, *score_components.ENTRIES)}
    # Columns stay as published: these entries came later, and a model must not see them.
    assert not later & set(simulated.cohort)
    measured = simulated.cohort[[name for name in VARIABLES if name not in later]].notna().sum()
    # The causal model holds 177; a variable that was added since is missing throughout.
    assert (measured > 0).sum() == 177


@pytest.mark.parametrize("outcome", ["mortality", "fracture"])
def test_the_cohort_passes_the_check(simulated: SimulatedCohort, outcome: str) -> None:
    checked = check_table(simulated.cohort, outcome=outcome)
    assert checked.report.fatal == ()
    # A variable of the catalogue that the simulation does not hold is missing throughout.
    drawn = [f for f in checked.report.warnings if f.rule != "all_missing"]
    # Scores and ratios are drawn for themselves, and do not follow from their parts to the digit.
    assert {f.rule for f in drawn} <= {"constant", "not_at_risk", "derived_differs"}
    assert checked.cohort is not None
    left_alive = simulated.cohort["fracture_days"].notna().sum()
    assert len(checked.cohort) == (N if outcome == "mortality" else left_alive)


def test_a_model_of_the_cohort_says_that_nobody_is_real(simulated: SimulatedCohort) -> None:
    study = study_of_table(simulated.cohort, outcome="mortality", config=RunConfig())
    assert study.cohort.simulated
    assert study.model_name == "osteon-mortality-simulated"
    assert study.cohort.population == "Simulated patients (published), not real people"


@pytest.mark.parametrize("name", SCENARIOS)
def test_same_arguments_give_the_same_cohort(name: str) -> None:
    first, again, other = (simulate(300, seed=seed, scenario=name).cohort for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["apache2"].equals(other["apache2"])
    assert (first["simulated"] == name).all()


def test_most_patients_lack_most_markers_and_have_routine_values(
    simulated: SimulatedCohort,
) -> None:
    markers = [
        name
        for name, known in VARIABLES.items()
        if known.pathway in {"resorption", "formation", "opg_rankl", "wnt", "estrogen_endocrine"}
    ]
    assert simulated.cohort[markers].notna().mean().median() < 0.2
    assert simulated.cohort["creatinine"].notna().mean() > 0.9


def test_a_site_has_one_kit_and_one_matrix(simulated: SimulatedCohort) -> None:
    measured = simulated.cohort.drop(columns="site").notna().groupby(simulated.cohort["site"]).any()
    for one, other in (
        ("opg", "opg_mass"),
        ("sclerostin", "sclerostin_mass"),
        ("osteopontin", "osteopontin_serum"),
    ):
        assert (measured[one] ^ measured[other]).all()


def test_a_value_below_its_limit_is_the_limit_with_a_flag(simulated: SimulatedCohort) -> None:
    below = simulated.cohort["estradiol__below"] == 1
    assert set(simulated.cohort.loc[below, "estradiol"]) == {9.99, 2.18}
    by_site = below.groupby(simulated.cohort["site"]).mean()
    assert by_site["graz"] < by_site["aachen"]
    assert (
        simulated.cohort["estradiol__below"].isna() == simulated.cohort["estradiol"].isna()
    ).all()


def test_who_dies_in_the_icu_has_no_fracture_outcome(simulated: SimulatedCohort) -> None:
    cohort = simulated.cohort
    never = cohort["fracture_event"].isna()
    assert never.any()
    assert (cohort.loc[never, "mortality_event"] == 1).all()
    both = cohort[~never & (cohort["mortality_event"] == 1)]
    assert (both["fracture_days"] <= both["mortality_days"]).all()


def test_observations_follow_the_stay(simulated: SimulatedCohort) -> None:
    long = simulated.observations
    names = ["subject_id", "time", "code", "numeric_value", "unit", "comparator"]
    assert list(long.columns) == names
    zero = simulated.cohort.set_index("patient_id")["time_zero"]
    day = (long["time"] - long["subject_id"].map(zero)).dt.total_seconds() / 86_400 + 1
    assert set(np.ceil(day).astype(int)) == set(DAYS)
    estradiol = long[long["code"] == "LOINC//2243-4"]
    assert set(estradiol.loc[estradiol["comparator"] == "<", "numeric_value"]) == {9.99, 2.18}
    first = estradiol[np.ceil(day[estradiol.index]) == 1].set_index("subject_id")["numeric_value"]
    in_cohort = simulated.cohort.set_index("patient_id")["estradiol"].dropna()
    pd.testing.assert_series_equal(
        first.sort_index(), in_cohort.sort_index(), check_names=False, check_index=True
    )
    # Nobody is drawn blood from after death.
    died = simulated.cohort.set_index("patient_id")
    last = day.groupby(long["subject_id"]).max()
    dead = died[died["mortality_event"] == 1]
    assert (last[dead.index] - 1 <= dead["mortality_days"] + 0.01).all()


def test_sicker_patients_get_more_tests_only_where_the_scenario_says_so() -> None:
    def relation(name: str) -> float:
        cohort = simulate(4000, seed=2, scenario=name).cohort
        tested = cohort[["ctx_s", "fgf23_c", "estradiol", "il6", "vitd25"]].notna().sum(axis=1)
        return float(np.corrcoef(tested, cohort["apache2"].fillna(17))[0, 1])

    assert abs(relation("published")) < 0.06
    assert relation("informative-testing") > 0.2


def test_follow_up_depends_on_the_patient_only_where_the_scenario_says_so() -> None:
    def lost_early(name: str) -> tuple[float, float]:
        cohort = simulate(4000, seed=2, scenario=name).cohort
        lost = (cohort["mortality_event"] == 0) & (cohort["mortality_days"] < 700)
        old = cohort["age"] > 65
        return float(lost[old].mean()), float(lost[~old].mean())

    old, young = lost_early("covariate-censoring")
    assert old > 1.3 * young
    old, young = lost_early("published")
    assert old < 1.3 * young


def test_the_last_site_and_the_late_years_differ_where_the_scenario_says_so() -> None:
    shifted = simulate(6000, seed=3, scenario="shifted-site").cohort
    last = shifted["site"] == "nashville"
    assert shifted.loc[last, "age"].mean() > shifted.loc[~last, "age"].mean()
    drift = simulate(6000, seed=3, scenario="drift").cohort
    late = drift["time_zero"].dt.year >= 2018
    assert drift.loc[late, "ctx_s"].median() > 1.3 * drift.loc[~late, "ctx_s"].median()
    assert drift.loc[late, "age"].mean() > drift.loc[~late, "age"].mean()


@pytest.mark.parametrize(
    ("patients", "seed", "scenario", "message"),
    [
        (0, 0, "published", "patients must be at least 1"),
        (10, -1, "published", "seed must be 0 or more"),
        (10, 0, "publishd", "Did you mean published"),
        (10, 0, "small", "must be 300"),
    ],
)
def test_wrong_usage_is_refused(patients: int, seed: int, scenario: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(patients, seed=seed, scenario=scenario)


@pytest.mark.parametrize(("patients", "seed"), [(300, 2), (300, 33), (800, 3)])
def test_a_good_score_of_few_patients_is_no_leak(patients: int, seed: int) -> None:
    cohort = simulate(patients, seed=seed).cohort
    for outcome in ("mortality", "fracture"):
        assert check_table(cohort, outcome=outcome).report.fatal == ()


def test_the_complete_scenario_measures_every_marker_in_the_same_patients() -> None:
    complete, published = (
        simulate(200, seed=2, scenario=name) for name in ("complete", "published")
    )
    markers = list(published.world.table.names)
    assert complete.cohort[markers].notna().all(axis=None)
    assert published.cohort[markers].isna().any(axis=None)
    assert complete.cohort["mortality_days"].equals(published.cohort["mortality_days"])


def test_a_cohort_in_blocks_begins_with_the_cohort_of_its_first_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = simulate(150, seed=6).cohort
    monkeypatch.setattr("training.simulation.cohort.BLOCK_PATIENTS", 150)
    blocks = [block.cohort for block in simulated_blocks(400, seed=6)]
    assert [len(block) for block in blocks] == [150, 150, 100]
    pd.testing.assert_frame_equal(blocks[0], whole)
    # Other patients in every block, and each has an identifier of its own.
    assert not blocks[0]["age"].equals(blocks[1]["age"])
    table = simulated_table(400, seed=6)
    pd.testing.assert_frame_equal(table, pd.concat(blocks, ignore_index=True))
    assert table["patient_id"].is_unique
    assert table["patient_id"].is_monotonic_increasing
    # A larger cohort of the same seed has the same patients in its whole blocks.
    longer = simulated_table(600, seed=6)
    pd.testing.assert_frame_equal(longer.iloc[:300], table.iloc[:300])


def test_patients_beyond_a_block_are_drawn_in_blocks_only() -> None:
    with pytest.raises(ValueError, match="simulated_blocks"):
        simulate(BLOCK_PATIENTS + 1, seed=1)
