"""The estimator as scikit-learn's: what it takes, what it refuses, and the same bytes again."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    parametrize_with_checks,
)

from data_schema.biomarkers import VARIABLES
from data_schema.errors import DataError
from linear_truth import HORIZONS, SMALL, small_cohort
from models.estimator import CumulativeIncidenceModel
from models.inference.risk_model import InferenceError
from models.targets import survival_target


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


def test_an_unfitted_model_is_refused() -> None:
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


def test_a_target_with_an_entry_is_refused_and_not_ignored() -> None:
    X, y = small_cohort(60)
    late = np.empty(len(y), dtype=[*y.dtype.descr, ("entry_days", np.float64)])
    late["event"], late["time_days"], late["entry_days"] = y["event"], y["time_days"], 0.5
    with pytest.raises(ValueError, match=r"event only; it has entry_days .*start the clock there"):
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(X, late)


def test_a_count_below_every_time_is_no_delayed_entry() -> None:
    """The units of columns are not known here; a cohort is checked where it is read."""
    X, y = small_cohort(120)
    X = X.assign(count=np.random.default_rng(0).poisson(3, len(y)).astype(float))
    late = survival_target(1_000 * y["time_days"], y["event"])

    model = CumulativeIncidenceModel(horizons_days=(1_000 * HORIZONS[0],), **SMALL).fit(X, late)

    assert np.isfinite(model.predict_risk(X)).all()


def test_a_stay_without_a_patient_is_refused() -> None:
    frame, y = small_cohort()
    groups = np.arange(len(y)).astype(object)
    groups[:3] = None

    with pytest.raises(DataError, match="groups must hold the patient of each of 120 stays; 3 "):
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y, groups=groups)


@pytest.mark.parametrize("rare", [None, "one of a kind"])
def test_categories_that_nothing_can_be_learned_of_are_refused(rare) -> None:
    frame, y = small_cohort()
    place = np.full(len(frame), None, dtype=object)
    place[:9] = rare
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL)

    with pytest.raises(DataError, match="a level that 10 patients have; none of 1 has"):
        model.fit(pd.DataFrame({"place": place}), y)
    beside = model.fit(frame.assign(place=place), y).risk_model_
    assert np.isfinite(beside.risk(frame.assign(place=place))).all()


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


class PickledFits:
    """Runs each fit on copies, as another process would get them."""

    def results(self, cohort, fit, jobs, shared):
        read = replace(
            cohort, settings=replace(cohort.settings, runner=None, progress=None, variables={})
        )
        sent = pickle.dumps((fit, read, shared))
        for job in jobs:
            of_job, copy, shared_copy = pickle.loads(sent)  # noqa: S301
            yield pickle.loads(pickle.dumps(of_job(copy, shared_copy, *job)))  # noqa: S301


def test_fits_that_run_elsewhere_give_the_same_bytes() -> None:
    frame, y = small_cohort()
    steps = []
    settings = {"horizons_days": HORIZONS, **SMALL, "interval_folds": 2}
    here = CumulativeIncidenceModel(**settings).fit(frame, y)
    there = CumulativeIncidenceModel(
        **settings, runner=PickledFits(), progress=lambda *step: steps.append(step)
    ).fit(frame, y)
    assert there.risk_model_.files() == here.risk_model_.files()
    assert steps[-1] == ("fitting fold models", 2, 2)


def test_risks_alone_are_those_of_the_whole_fit() -> None:
    frame, y = small_cohort()
    frame.loc[::5, "a"] = np.nan
    settings = {**SMALL, "horizons_days": HORIZONS, "interval_folds": 2}

    whole, alone = (
        CumulativeIncidenceModel(**settings, risk_only=only).fit(frame, y) for only in (False, True)
    )

    np.testing.assert_array_equal(alone.predict_risk(frame), whole.predict_risk(frame))
    assert alone.out_of_fold_loss_ == whole.out_of_fold_loss_
    assert whole.risk_model_.contract.interval.available
    assert not alone.risk_model_.contract.interval.available
    with pytest.raises(InferenceError, match="makes no bundle"):
        alone.risk_model_.files()


def test_another_seed_gives_another_model(fitted) -> None:
    other = CumulativeIncidenceModel(horizons_days=HORIZONS, random_state=1, **SMALL)

    other.fit(*small_cohort())

    assert other.risk_model_.files()["model.json"] != fitted.risk_model_.files()["model.json"]


def test_categories_alone_are_enough() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"group": rng.choice(["a", "b", "c"], 200)})
    died = rng.random(200) < np.where(frame["group"] == "a", 0.6, 0.2)
    y = survival_target(np.where(died, 10.0, 60.0), died.astype(int))

    model = CumulativeIncidenceModel(
        horizons_days=(30.0,), fixed_horizon=True, max_trees=2, tuning_folds=2, interval_folds=0
    ).fit(frame, y)

    of_a, of_b = model.predict_risk(pd.DataFrame({"group": ["a", "b"]}))[:, 0]
    assert of_a > of_b
