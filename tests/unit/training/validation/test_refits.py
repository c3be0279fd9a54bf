"""Sample size, instability and pooling, against published figures, R and closed forms."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError
from data_schema.outcomes import outcome
from models.metrics.calibration.instability import instability
from models.metrics.metric import Metric
from models.metrics.pooling import pool_metric, random_effects
from models.metrics.sample_size import sample_size
from training.cohorts.study import Study
from training.config import RunConfig
from training.validation.internal_external import internal_external
from training.validation.sample_size import patients_needed, too_few_patients

# rma(yi, sei = errors, method = "DL", test = "adhoc") of metafor 3.8, the modified Knapp-Hartung
# interval; prediction interval with t on k - 2. Where the clusters differ "knha" gives the same.
METAFOR = (
    0.915262337614,
    0.578004180125,
    1.252520495102,
    0.110909571739,
    1.719615103488,
    0.221643030257,
)


def test_sample_size_agrees_with_the_worked_example_of_pmsampsize() -> None:
    # R's pmsampsize: csrsquared 0.288, 24 parameters, prevalence 0.174.
    found = sample_size(horizon_days=28, parameters=24, event_rate=0.174, r2=0.288)

    assert (found.for_shrinkage, found.for_optimism, found.for_overall_risk) == (623, 662, 221)
    assert found.needed == 662


def test_the_usual_share_of_the_largest_r2_is_expected_where_none_is_stated() -> None:
    found = sample_size(horizon_days=28, parameters=10, event_rate=0.5)

    assert found.r2 == pytest.approx(0.15 * 0.75)


def test_too_few_patients_are_a_warning_with_both_numbers() -> None:
    needed = sample_size(horizon_days=28, parameters=24, event_rate=0.174, r2=0.288)

    (warning,) = too_few_patients(500, [needed])

    assert (warning.rule, warning.count) == ("sample_size", 500)
    assert "at least 662 for 24 candidate parameters" in warning.message
    assert not too_few_patients(662, [needed])


def test_random_effects_agree_with_metafor() -> None:
    estimates, errors = [0.61, 0.95, 1.32, 0.78, 1.10], [0.10, 0.15, 0.20, 0.12, 0.18]

    found = random_effects(estimates, errors)

    assert found == pytest.approx(METAFOR, abs=1e-6)


def test_clusters_that_agree_more_than_by_chance_are_no_surer_than_a_fixed_effect() -> None:
    estimates, errors = [1.38, 1.40, 1.35, 1.45], [0.15, 0.20, 0.10, 0.18]

    _, low, high, *_ = random_effects(estimates, errors)

    # metafor 3.8, test = "adhoc"; test = "knha" gives 1.313308 to 1.443302.
    assert (low, high) == pytest.approx((1.153446, 1.603165), abs=1e-6)


def test_sites_with_the_same_area_still_have_an_interval() -> None:
    found = pool_metric([Metric("auroc", 28.0, 0.80, 0.75, 0.84)] * 3)

    assert found is not None
    assert found.low < 0.76 < 0.84 < found.high


def test_a_site_whose_interval_ends_at_the_largest_area_is_pooled() -> None:
    others = [Metric("auroc", 28.0, area, area - 0.05, area + 0.04) for area in (0.80, 0.85, 0.82)]

    found = pool_metric([*others, Metric("auroc", 28.0, 0.97, 0.90, 1.0)])

    assert found is not None
    assert found.clusters == 4


def test_equal_clusters_have_no_spread() -> None:
    *_, tau = random_effects([1.0, 1.0, 1.0], [0.1, 0.2, 0.3])

    assert tau == 0


def test_clusters_are_pooled_on_the_scale_on_which_the_metric_is_symmetric() -> None:
    metrics = [Metric("oe_ratio", 28.0, o, o / 1.2, o * 1.2) for o in (0.5, 1.0, 2.0)]

    found = pool_metric(metrics)

    assert found is not None
    assert found.estimate == pytest.approx(1.0)
    assert found.low * found.high == pytest.approx(1.0)
    assert pool_metric(metrics[:2]) is None


def test_instability_is_the_mean_distance_and_the_share_of_flips() -> None:
    rng = np.random.default_rng(0)
    risk = rng.uniform(0.1, 0.9, 50)
    refitted = np.clip(risk + rng.normal(0, 0.05, (400, 50)), 0, 1)

    found = instability(risk, refitted, horizon_days=28, thresholds=[0.5])

    # The mean of |N(0, s)| is s sqrt(2 / pi).
    assert found.mean_change.mean() == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.03)
    assert (found.high - found.low).mean() == pytest.approx(2 * 1.96 * 0.05, rel=0.05)
    near = int(np.abs(risk - 0.5).argmin())
    assert found.flips[0.5][near] > 0.3
    assert set(found.as_json()["share_wider_than"]) == {"0.05", "0.1", "0.2"}


def test_parameters_are_numbers_and_levels_beyond_the_first() -> None:
    stays = np.arange(40).astype(str).astype(object)
    cohort = Cohort(
        features=pd.DataFrame(
            {
                "age": np.arange(40.0),
                "sex": np.tile(np.array(["female", "male"], dtype=object), 20),
                "admission_type": np.tile(np.array(["a", "b", "c", "d"], dtype=object), 10),
            }
        ),
        variables=VARIABLES,
        patient_id=stays,
        stay_id=stays,
        outcome=OutcomeData("mortality", np.full(40, 28.0), np.arange(40) % 2),
    )

    (needed,) = patients_needed(cohort, [28.0])

    assert (needed.parameters, needed.event_rate) == (1 + 1 + 3, 0.5)


def test_a_site_of_few_patients_with_many_stays_is_not_held_out() -> None:
    stays = np.arange(240).astype(str).astype(object)
    patients = stays.copy()
    patients[:80] = [str(stay % 20) for stay in range(80)]
    cohort = Cohort(
        pd.DataFrame({"age": np.linspace(20, 90, 240)}),
        variables=VARIABLES,
        patient_id=patients,
        stay_id=stays,
        site=np.array(["A", "B", "C"], dtype=object).repeat([80, 120, 40]),
        outcome=OutcomeData("mortality", np.full(240, 28.0), np.arange(240) % 2),
    )
    study = Study(cohort, outcome("mortality"), "admission", (28.0,), "model", ())

    with pytest.raises(DataError, match="with at least 50 patients; there are 1"):
        internal_external(study, RunConfig(), "site")


def test_a_level_of_few_patients_with_many_stays_is_no_parameter() -> None:
    stays = np.arange(60).astype(str).astype(object)
    patients = stays.copy()
    patients[:20] = "0"
    cohort = Cohort(
        pd.DataFrame({"admission_type": np.array(["a", "b", "c"], dtype=object).repeat(20)}),
        variables=VARIABLES,
        patient_id=patients,
        stay_id=stays,
        outcome=OutcomeData("mortality", np.full(60, 28.0), np.arange(60) % 2),
    )

    (needed,) = patients_needed(cohort, [28.0])

    assert needed.parameters == 1
