"""The estimator: scikit-learn's contract, recovery of a known truth, and what it will not learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    parametrize_with_checks,
)

from data_schema.biomarkers import VARIABLES
from data_schema.errors import DataError
from data_schema.variables import Variable
from models import censoring_strata, training_cohort
from models.estimator import CumulativeIncidenceModel
from models.folds import patient_folds
from models.inference import InferenceError
from models.targets import survival_target

HORIZONS = (30.0, 90.0, 180.0)
SMALL = {"max_trees": 5, "max_depth": 3, "tuning_folds": 2, "interval_folds": 0, "n_jobs": 1}


class CheckedModel(CumulativeIncidenceModel):
    """The estimator as scikit-learn's checks call it: with any `y`, and asked through `predict`."""

    def fit(self, X, y):  # type: ignore[override]
        """Turn the ranks of `y` into times; every other patient has the event."""
        if y is None:
            return super().fit(X, y)
        rank = np.argsort(np.argsort(np.ravel(y), kind="stable"))
        return super().fit(X, survival_target(1.0 + rank, rank % 2))

    def predict(self, X):
        """Return the risk at the first horizon."""
        return self.predict_risk(X)[:, 0]


NOT_APPLICABLE = {
    "check_estimators_pickle": "A model is kept as its bundle's files, never as a pickle.",
    "check_n_features_in_after_fitting": "Fits 15 rows, which cannot have ten with and without the "
    "event; test_columns_other_than_those_of_fit_are_refused instead.",
    "check_fit2d_1sample": "One patient is too few: a DataError, which is no ValueError.",
    "check_fit2d_1feature": "Fits 10 rows; test_one_feature_is_enough instead.",
    "check_array_api_input": "Needs SCIPY_ARRAY_API; other arrays than NumPy's are not offered.",
}


@parametrize_with_checks(
    [CheckedModel(horizons_days=(5.0,), **{**SMALL, "max_trees": 2})],
    expected_failed_checks=lambda _: NOT_APPLICABLE,
)
def test_scikit_learns_checks_hold(estimator, check) -> None:
    check(estimator)


def odds_of_linear_truth(n: int, seed: int) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Return patients and the part of their log-odds that does not depend on the horizon."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return frame, -1.0 + frame.to_numpy() @ np.array([0.9, -0.6, 0.0])


def true_risk(eta: NDArray[np.float64], days: tuple[float, ...]) -> NDArray[np.float64]:
    """Return F(h), whose logit is eta + 0.8 log(h / 90)."""
    return expit(eta[:, None] + 0.8 * np.log(np.asarray(days) / 90))


def times_of_linear_truth(eta: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return event times whose distribution is `true_risk`."""
    u = np.random.default_rng(seed).uniform(0.001, 0.999, len(eta))
    return 90 * np.exp((logit(u) - eta) / 0.8)


def small_cohort(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.void]]:
    """Return patients of the linear truth, a third of them censored before the last horizon."""
    frame, eta = odds_of_linear_truth(n, seed)
    time = times_of_linear_truth(eta, seed + 1)
    censored = np.random.default_rng(seed + 2).uniform(20, 500, n)
    return frame, survival_target(np.minimum(time, censored), (time <= censored).astype(int))


@pytest.fixture(scope="module")
def fitted() -> CumulativeIncidenceModel:
    return CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(*small_cohort())


def test_columns_other_than_those_of_fit_are_refused(fitted) -> None:
    frame, _ = small_cohort()
    with pytest.raises(ValueError, match="same order as they were in fit"):
        fitted.predict_risk(frame[["c", "b", "a"]])
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        fitted.predict_risk(frame.rename(columns={"a": "age"}))
    with pytest.raises(ValueError, match="missing"):
        fitted.predict_risk(frame[["a", "b"]])


def test_frames_are_checked_as_scikit_learn_checks_them() -> None:
    model = CheckedModel(horizons_days=(5.0,), **SMALL)
    check_dataframe_column_names_consistency("CheckedModel", model)


def test_columns_of_an_array_are_named_and_counted() -> None:
    frame, y = small_cohort()
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame.to_numpy(), y)

    assert model.risk_model_.features == ("x0", "x1", "x2")
    assert not hasattr(model, "feature_names_in_")
    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 3"):
        model.predict_risk(frame.to_numpy()[:, :2])


def test_an_array_and_a_frame_of_it_give_the_same_risks(fitted) -> None:
    frame, y = small_cohort()
    of_array = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame.to_numpy(), y)

    np.testing.assert_array_equal(
        of_array.predict_risk(frame.to_numpy()), fitted.predict_risk(frame)
    )


def test_one_feature_is_enough() -> None:
    frame, y = small_cohort()
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame[["a"]], y)

    assert model.predict_risk(frame[["a"]]).shape == (len(frame), len(HORIZONS))


def test_an_unfitted_model_says_so() -> None:
    with pytest.raises(NotFittedError):
        CumulativeIncidenceModel().predict_risk(small_cohort()[0])


def test_what_was_not_measured_is_no_reason_to_refuse() -> None:
    frame, y = small_cohort()
    holes = frame.mask(np.random.default_rng(9).random(frame.shape) < 0.3)

    risk = (
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(holes, y).predict_risk(holes)
    )

    assert np.isfinite(risk).all()


def test_infinity_is_refused_in_fit_and_in_prediction(fitted) -> None:
    frame, y = small_cohort()
    infinite = frame.copy()
    infinite.iloc[:2, 0] = np.inf

    with pytest.raises(DataError, match="features must be finite; 2 of 120 rows are not"):
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(infinite, y)
    with pytest.raises(InferenceError, match="numbers must be finite"):
        fitted.predict_risk(infinite)


def test_only_a_survival_target_of_the_same_length_is_learned_from() -> None:
    frame, y = small_cohort()
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL)

    with pytest.raises(ValueError, match="y must have the fields time_days and event"):
        model.fit(frame, y["time_days"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(frame, y[:-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(frame, y, groups=np.arange(len(y) - 1))


def test_a_frame_without_columns_or_with_one_twice_is_refused() -> None:
    frame, y = small_cohort()
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL)

    with pytest.raises(ValueError, match="must have rows and columns"):
        model.fit(frame[[]], y)
    with pytest.raises(ValueError, match="must name every column once"):
        model.fit(pd.concat([frame, frame], axis=1), y)


def test_a_clone_shares_the_catalogue() -> None:
    model = CumulativeIncidenceModel(variables=VARIABLES, max_trees=7)

    again = clone(model)

    assert again.get_params() == model.get_params()
    assert again is not model


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads() -> None:
    frame, y = small_cohort()
    settings = {"horizons_days": HORIZONS, **SMALL, "interval_folds": 2}

    files = [
        CumulativeIncidenceModel(**{**settings, "n_jobs": n_jobs}).fit(frame, y).risk_model_.files()
        for n_jobs in (1, 2, 1)
    ]

    assert files[0] == files[1] == files[2]


def test_another_seed_gives_another_model(fitted) -> None:
    other = CumulativeIncidenceModel(horizons_days=HORIZONS, random_state=1, **SMALL)

    other.fit(*small_cohort())

    assert other.risk_model_.files()["model.json"] != fitted.risk_model_.files()["model.json"]


def test_a_known_linear_truth_is_recovered() -> None:
    frame, eta = odds_of_linear_truth(1_000, seed=10)
    time = times_of_linear_truth(eta, seed=11)
    censored = np.random.default_rng(12).uniform(20, 500, len(eta))
    y = survival_target(np.minimum(time, censored), (time <= censored).astype(int))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y)

    new, eta_new = odds_of_linear_truth(500, seed=13)
    error = np.abs(model.predict_risk(new) - true_risk(eta_new, HORIZONS))
    # A logistic regression of 1,000 known outcomes has a standard error of about .02 here.
    assert error.mean() < 0.03


def test_a_known_truth_is_recovered_where_another_event_competes() -> None:
    frame, eta = odds_of_linear_truth(1_000, seed=20)
    time = times_of_linear_truth(eta, seed=21)
    rng = np.random.default_rng(22)
    # Whom the event would reach after day 365 dies of something else before.
    competing = time > 365
    time = np.where(competing, rng.uniform(1, 365, len(eta)), time)
    censored = rng.uniform(20, 700, len(eta))
    event = np.where(time > censored, 0, np.where(competing, 2, 1))
    y = survival_target(np.minimum(time, censored), event)

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y)

    new, eta_new = odds_of_linear_truth(500, seed=23)
    error = np.abs(model.predict_risk(new) - true_risk(eta_new, HORIZONS))
    assert error.mean() < 0.03  # as above
    assert model.risk_model_.contract["competing"] == "death"


def test_a_competing_event_counts_as_known_never_to_have_the_event() -> None:
    frame, _ = odds_of_linear_truth(400, seed=30)
    event = np.repeat([1, 2], [120, 280])
    time = np.random.default_rng(31).permutation(np.linspace(1, 100, 400))

    model = CumulativeIncidenceModel(horizons_days=(50.0, 100.0), **SMALL)
    model.fit(frame, survival_target(time, event))

    # 120 of 400; counting the others as censored would give a risk near 1.
    assert model.predict_risk(frame, [100.0]).mean() == pytest.approx(0.3, abs=0.02)


def test_survivors_censored_exactly_at_a_horizon_do_not_push_its_risk_to_one() -> None:
    frame, eta = odds_of_linear_truth(400, seed=40)
    time = times_of_linear_truth(eta, seed=41)
    y = survival_target(np.minimum(time, 180.0), (time <= 180).astype(int))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y)

    risk = model.predict_risk(frame, [170.0, 180.0]).mean(0)
    # Affine recalibration with a free intercept reproduces the share out of fold, not exactly here.
    assert risk[1] == pytest.approx((time <= 180).mean(), abs=0.02)
    assert risk[1] - risk[0] < 0.02


def test_an_outcome_known_at_one_horizon_gives_that_horizon_alone() -> None:
    frame, eta = odds_of_linear_truth(300, seed=50)
    died = np.random.default_rng(51).random(300) < expit(eta)
    y = survival_target(np.full(300, 180.0), died.astype(int))

    model = CumulativeIncidenceModel(horizons_days=(180.0,), fixed_horizon=True, **SMALL)
    model.fit(frame, y)

    risk = model.predict_risk(frame)
    assert model.risk_model_.contract["grid_days"] == [180.0]
    assert np.abs(risk[:, 0] - expit(eta)).mean() < 0.06  # 300 known outcomes, standard error .03
    with pytest.raises(InferenceError, match="must lie in 180-180 days"):
        model.predict_risk(frame, [90.0])


def test_a_horizon_that_too_few_were_observed_for_is_refused() -> None:
    frame, _ = odds_of_linear_truth(200, seed=60)
    time = np.linspace(1, 200, 200)
    y = survival_target(time, np.arange(200) % 4 == 0)  # G is about the share left to the 3/4

    with pytest.raises(DataError, match=r"at least 5% of patients; 199\.9, 300 days are not"):
        CumulativeIncidenceModel(horizons_days=(50.0, 199.9, 300.0), **SMALL).fit(frame, y)


def test_fewer_than_ten_patients_with_the_event_are_refused() -> None:
    frame, y = small_cohort()
    rare = y.copy()
    rare["event"] = 0
    rare["event"][:9] = 1

    with pytest.raises(DataError, match=r"at least 10 patients with the event .*; got 9 and 11\d"):
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, rare)


def test_ten_events_of_one_patient_are_one_patient_with_the_event() -> None:
    frame, y = small_cohort()
    rare = y.copy()
    rare["event"] = 0
    rare["event"][:20] = 1
    groups = np.arange(len(y))
    groups[:20] = 0

    with pytest.raises(DataError, match=r"got 1 and 10\d"):
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, rare, groups=groups)


def test_a_small_cohort_of_linear_truth_gets_a_linear_model_by_itself() -> None:
    model = CumulativeIncidenceModel(
        horizons_days=HORIZONS, **{**SMALL, "max_trees": 50, "tuning_folds": 5}
    )

    model.fit(*small_cohort(n=150, seed=70))

    assert model.linear_weight_ >= 0.8


def test_steps_that_no_line_follows_give_the_trees_a_say() -> None:
    rng = np.random.default_rng(80)
    frame = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    eta = 2.0 * np.sign(frame["a"] * frame["b"]).to_numpy()
    y = survival_target(times_of_linear_truth(eta, 81).clip(max=400), np.ones(600, dtype=int))

    model = CumulativeIncidenceModel(
        horizons_days=HORIZONS, column_share=1.0, learning_rate=0.3, **{**SMALL, "max_trees": 40}
    )

    assert model.fit(frame, y).linear_weight_ <= 0.2


def test_the_boosted_risk_never_falls_where_the_direction_is_settled() -> None:
    rng = np.random.default_rng(90)
    frame = pd.DataFrame({"age": rng.uniform(20, 90, 400), "b": rng.normal(size=400)})
    eta = -0.06 * (frame["age"].to_numpy() - 55)  # against the direction of the catalogue
    y = survival_target(times_of_linear_truth(eta, 91).clip(max=400), np.ones(400, dtype=int))
    ages = pd.DataFrame({"age": np.linspace(20, 90, 141), "b": 0.3})

    def boosted_risk(variables):
        model = CumulativeIncidenceModel(
            horizons_days=HORIZONS, variables=variables, **{**SMALL, "max_trees": 20}
        )
        return model.fit(frame, y).risk_model_.part(0.0).risk(ages)

    assert (np.diff(boosted_risk(VARIABLES), axis=0) >= 0).all()
    assert (np.diff(boosted_risk(None), axis=0) < 0).any()


def test_neither_mixing_nor_recalibrating_costs_out_of_fold_loss(fitted) -> None:
    loss = fitted.out_of_fold_loss_

    assert loss["mixture"] <= loss["linear"]
    assert loss["recalibrated"] <= loss["mixture"] + 1e-9


def test_a_category_that_comes_as_numbers_is_read_as_numbers() -> None:
    frame, y = small_cohort()
    coded = frame.assign(stage=np.arange(len(frame)) % 3 + 1.0)
    stage = Variable("stage", "Stage", "person", kind="category", categories=("1", "2", "3"))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, variables={"stage": stage}, **SMALL)
    risk_model = model.fit(coded, y).risk_model_

    assert risk_model.contract["features"][-1]["kind"] == "number"
    warned = {w["code"] for warnings in risk_model.predict(coded).warnings for w in warnings}
    assert "unknown_category" not in warned


def test_refused_patients_are_answered_for_evaluation() -> None:
    frame, y = small_cohort()
    aged = frame.assign(age=np.linspace(17, 90, len(frame)))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, variables=VARIABLES, **SMALL)
    model.fit(aged, y)

    assert model.risk_model_.predict(aged).status[0] == "refused"
    assert np.isfinite(model.predict_risk(aged)).all()


def test_a_refused_training_patient_does_not_blur_what_the_model_uses() -> None:
    frame, y = small_cohort()
    aged = frame.assign(age=np.linspace(17, 90, len(frame)))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, variables=VARIABLES, **SMALL)
    model.fit(aged, y)

    information = model.risk_model_.contract["guard"]["information"]
    assert sum(information.values()) == pytest.approx(1.0)
    assert information["a"] > 2 * information["c"]  # c has no part in the truth


def test_every_fold_of_a_fit_is_made_by_patient(monkeypatch) -> None:
    frame, y = small_cohort()
    groups = np.arange(len(y)) // 2
    asked = []

    def recorded(of, *rest, **named):
        asked.append(of)
        return patient_folds(of, *rest, **named)

    monkeypatch.setattr(training_cohort, "patient_folds", recorded)
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **{**SMALL, "interval_folds": 2})
    model.fit(frame, y, groups=groups)

    assert len(asked) == 2  # for choosing and for the interval
    for of in asked:
        np.testing.assert_array_equal(of, groups)
    training = model.risk_model_.contract["training"]
    assert (training["patients"], training["stays"]) == (60, 120)


def late_comers() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return two groups, of which that of higher risk was followed up for less time."""
    rng = np.random.default_rng(100)
    early = np.repeat([True, False], 400)
    eta = np.where(early, 0.5, -1.0)
    time = times_of_linear_truth(eta, 101)
    censored = rng.uniform(1, np.where(early, 120, 1_500))
    y = survival_target(np.minimum(time, censored), (time <= censored).astype(int))
    return pd.DataFrame({"early": early.astype(float)}), y, true_risk(eta, (90.0,))


def test_follow_up_that_differs_by_site_is_weighed_by_site(monkeypatch) -> None:
    frame, y, truth = late_comers()
    model = CumulativeIncidenceModel(horizons_days=(90.0,), **SMALL)
    sites = np.where(frame["early"] == 1, "a", "b")
    monkeypatch.setattr(censoring_strata, "MIN_CHI_SQUARE", 1e9)

    by_site = model.fit(frame, y, sites=sites).predict_risk(frame)
    pooled = clone(model).fit(frame, y).predict_risk(frame)

    assert np.abs(by_site - truth).mean() < 0.05  # 400 patients a site, standard error .03
    assert np.abs(pooled - truth).mean() > 0.1


@pytest.mark.parametrize("n_sites", [None, 60])
def test_follow_up_that_differs_by_what_is_known_is_found_and_weighed(n_sites) -> None:
    frame, y, truth = late_comers()
    sites = None if n_sites is None else (np.arange(len(y)) % n_sites).astype(str)

    model = CumulativeIncidenceModel(horizons_days=(90.0,), **SMALL).fit(frame, y, sites=sites)

    assert np.abs(model.predict_risk(frame) - truth).mean() < 0.05  # as by site
    assert model.risk_model_.contract["training"]["follow_up"]["strata"] == 2


def test_patients_who_could_not_be_observed_so_long_do_not_get_the_risk_of_those_who_died() -> None:
    rng = np.random.default_rng(110)
    n = 1_500
    late = rng.random(n) < 0.5
    sick = rng.normal(size=n)
    time = rng.exponential(300 * np.exp(-0.5 * sick))
    # The study ended on one day: late comers were seen for at most 100 days, the others for 400.
    end = rng.uniform(np.where(late, 50, 350), np.where(late, 100, 400))
    y = survival_target(np.minimum(time, end), (time <= end).astype(int))
    frame = pd.DataFrame({"late": late.astype(float), "sick": sick})

    model = CumulativeIncidenceModel(horizons_days=(90.0, 300.0), **SMALL).fit(frame, y)

    truth = 1 - np.exp(-300 * np.exp(0.5 * sick) / 300)
    risk = model.predict_risk(frame, [300.0])[:, 0]
    # Of late comers only deaths are known at 300 days, which alone would give them a risk of .97.
    # It is read off the others instead; how they differ is known up to day 100 only.
    assert risk[late].mean() == pytest.approx(truth[late].mean(), abs=0.1)
    assert risk[~late].mean() == pytest.approx(truth[~late].mean(), abs=0.05)
    follow_up = model.risk_model_.contract["training"]["follow_up"]
    assert follow_up["not_observed_so_long"][1] == pytest.approx(late.mean(), abs=0.01)


def test_without_interval_folds_there_is_no_interval(fitted) -> None:
    prediction = fitted.risk_model_.predict(small_cohort()[0])

    assert fitted.risk_model_.contract["interval"]["kind"] == "none"
    assert np.isnan(prediction.risk_low).all()
    assert np.isnan(prediction.risk_high).all()


def test_progress_is_told_of_every_fold() -> None:
    told: list[tuple[str, int, int]] = []
    model = CumulativeIncidenceModel(
        horizons_days=HORIZONS,
        progress=lambda *step: told.append(step),
        **{**SMALL, "interval_folds": 2},
    )

    model.fit(*small_cohort())

    assert told == [
        ("choosing out of fold", 1, 2),
        ("choosing out of fold", 2, 2),
        ("fitting fold models", 1, 2),
        ("fitting fold models", 2, 2),
    ]


def test_a_small_cohort_is_tuned_on_ten_folds_unless_told_otherwise() -> None:
    told: list[int] = []
    model = CumulativeIncidenceModel(
        horizons_days=HORIZONS,
        progress=lambda what, done, steps: told.append(steps),
        **{**SMALL, "tuning_folds": None},
    )

    model.fit(*small_cohort())

    assert told == [10] * 10


def test_a_contract_holds_medians_and_no_patient(fitted) -> None:
    frame, _ = small_cohort()

    example = fitted.risk_model_.contract["example"]

    assert example == {name: float(f"{frame[name].median():.2g}") for name in frame}


@pytest.mark.parametrize(
    ("n", "stated", "expected"), [(1_999, None, 24), (2_000, None, 6), (50, 3, 3)]
)
def test_a_small_cohort_is_paired_with_more_horizons(n, stated, expected):
    rng = np.random.default_rng(0)
    model = CumulativeIncidenceModel(horizons_days=(30.0,), horizons_per_patient=stated)
    target = survival_target(rng.uniform(1, 100, n), np.arange(n) % 2)
    cohort = training_cohort.TrainingCohort.prepare(
        pd.DataFrame({"age": rng.normal(60, 10, n)}),
        target,
        groups=None,
        sites=None,
        settings=model._settings(),
    )
    everyone = np.arange(n)
    pairs = cohort.pairs(everyone, cohort.censoring(everyone), 0)
    assert pairs.horizon_days.shape == (n, expected)
