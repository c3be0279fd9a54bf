"""What a fit chooses out of fold, keeps to by itself, and tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.errors import DataError
from data_schema.variables import Variable
from linear_truth import HORIZONS, SMALL, small_cohort, times_of_linear_truth
from models.estimator import CumulativeIncidenceModel
from models.fitting import out_of_fold, steps, training_cohort
from models.fitting.linear import linear_path
from models.folds import patient_folds
from models.inference.next_best import expected_changes
from models.inference.request import InferenceError
from models.inference.risk_model import RiskModel
from models.targets import survival_target


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

    assert loss.mixture <= loss.linear
    assert loss.recalibrated <= loss.mixture + 1e-9


def test_the_first_figures_are_those_of_predictions_out_of_fold(fitted) -> None:
    frame, _ = small_cohort()
    inside = fitted.out_of_fold_auroc_

    assert len(inside) == len(HORIZONS)
    assert all(0.55 < area < 1 for area in inside)
    noise, (_, y) = np.random.default_rng(5).normal(size=(len(frame), 2)), small_cohort()
    unrelated = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(noise, y)
    assert all(abs(area - 0.5) < 0.1 for area in unrelated.out_of_fold_auroc_)


def test_a_category_that_comes_as_numbers_is_read_as_numbers() -> None:
    frame, y = small_cohort()
    coded = frame.assign(stage=np.arange(len(frame)) % 3 + 1.0)
    stage = Variable("stage", "Stage", "person", kind="category", categories=("1", "2", "3"))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, variables={"stage": stage}, **SMALL)
    risk_model = model.fit(coded, y).risk_model_

    assert risk_model.contract.features[-1].kind == "number"
    warned = {w.code for warnings in risk_model.predict(coded).warnings for w in warnings}
    assert "unknown_category" not in warned


@pytest.mark.parametrize(
    ("named", "stated"),
    [
        ("horizons_days", ()),
        ("horizons_days", (0.0,)),
        ("horizons_days", (28.0, -5.0)),
        ("interval_folds", 1),
        ("interval_folds", -3),
        ("max_trees", 0),
        ("tuning_folds", 0),
        ("tuning_folds", 1),
        ("tuning_folds", 121),
        ("horizons_per_patient", 0),
    ],
)
def test_parameters_that_no_fit_can_keep_are_refused_by_name(named, stated) -> None:
    frame, y = small_cohort()
    asked = {"horizons_days": HORIZONS} | SMALL | {named: stated}

    with pytest.raises(DataError, match=named):
        CumulativeIncidenceModel(**asked).fit(frame, y)


def test_text_in_a_column_of_numbers_is_refused_and_not_taken_for_unmeasured() -> None:
    frame, y = small_cohort()
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y)
    printed = frame.assign(a=frame["a"].map("{:.2f}".format).str.replace(".", ","))

    with pytest.raises(InferenceError, match="a must hold numbers or null"):
        model.risk_model_.predict(printed, interval=False)


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series(pd.to_datetime(["2020-01-01"] * 119 + [None])),
        pd.Series(pd.to_datetime(["2020-01-01"] * 119 + [None], utc=True)),
        pd.Series(pd.to_timedelta([1] * 119 + [None], unit="D")),
        pd.Series([1 + 2j] * 119 + [np.nan]),
        pd.Series([1 + 2j] * 119 + [None], dtype=object),
        pd.Series(pd.period_range("2020", periods=119).append(pd.PeriodIndex(["NaT"], freq="D"))),
        pd.Series([b"1"] * 119 + [None], dtype=object),
    ],
)
def test_what_pandas_would_turn_into_numbers_is_refused(fitted, cells) -> None:
    frame, _ = small_cohort()

    with pytest.raises(InferenceError, match="a must hold numbers or null; 119 of 120 rows"):
        fitted.risk_model_.risk(frame.assign(a=cells))
    risk = fitted.risk_model_.risk(frame.assign(a=cells.iloc[[-1] * 120].set_axis(frame.index)))
    np.testing.assert_array_equal(risk, fitted.risk_model_.risk(frame.assign(a=np.nan)))


def test_every_question_refuses_a_category_that_is_no_text(risk_model, ordinary) -> None:
    stated = ordinary.assign(sex=pd.Series([7351.0]))

    for ask in (
        risk_model.predict,
        risk_model.risk,
        risk_model.competing_risk,
        lambda frame: expected_changes(risk_model, frame, ["lactate"]),
    ):
        with pytest.raises(
            InferenceError, match="sex must hold text or null; 1 of 1 rows"
        ) as error:
            ask(stated)
        assert "7351" not in str(error.value)
        ask(ordinary.assign(sex=pd.Series(["male"], dtype="category")))
        ask(ordinary.assign(sex=np.nan))


def test_a_category_of_yes_and_no_is_predicted_as_it_was_learned() -> None:
    frame, y = small_cohort()
    ventilated = pd.Series(np.where(frame["a"] > 0, True, None), dtype=object)
    masked = frame.assign(ventilated=ventilated.mask(frame["b"] > 0, False))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(masked, y).risk_model_

    assert model.contract.features[-1].categories == ("False", "True")
    as_text = masked.assign(ventilated=masked["ventilated"].map(str, na_action="ignore"))
    np.testing.assert_array_equal(model.risk(masked), model.risk(as_text))


def test_a_model_of_categories_alone_answers_as_before_when_it_is_read_back() -> None:
    frame, y = small_cohort()
    categories = pd.DataFrame(
        {
            "sex": np.where(frame["a"] > 0, "male", "female"),
            "ventilated": np.where(frame["b"] > 0.5, "yes", np.where(frame["b"] < -1, None, "no")),
        }
    )
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(categories, y).risk_model_

    again = RiskModel.from_files(model.files())

    for patients in (categories, categories.head(1)):
        one, other = (each.predict(patients, explain=True) for each in (model, again))
        np.testing.assert_equal(other._asdict(), one._asdict())


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

    information = model.risk_model_.contract.guard.information
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

    assert len(asked) == 4  # for each of two tuning folds, and for two halves of the interval
    for of in asked:
        np.testing.assert_array_equal(of, groups)
    training = model.risk_model_.contract.training
    assert (training.patients, training.stays) == (60, 120)


def test_without_interval_folds_there_is_no_interval(fitted) -> None:
    prediction = fitted.risk_model_.predict(small_cohort()[0])

    assert fitted.risk_model_.contract.interval.kind == "none"
    assert np.isnan(prediction.risk_low).all()
    assert np.isnan(prediction.risk_high).all()


def test_a_patient_has_the_same_horizons_in_every_part_of_one_fit(monkeypatch) -> None:
    drawn = []

    def recorded(columns, pairs, **named):
        once = len(columns) // 2  # each patient is there as recorded, and again with blanks
        who = map(tuple, columns[:once])
        drawn.append(dict(zip(who, pairs.horizon_days[:once].tolist(), strict=True)))
        return linear_path(columns, pairs, **named)

    for module in (steps, out_of_fold):
        monkeypatch.setattr(module, "linear_path", recorded)
    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **{**SMALL, "interval_folds": 2})
    model.fit(*small_cohort())

    main, *halves = drawn[-3:]
    assert [len(half) for half in halves] == [60, 60]
    assert halves[0].keys() != halves[1].keys()
    for half in halves:
        assert half.items() <= main.items()


def test_the_allowance_for_bias_falls_with_the_patients_learned_from() -> None:
    settings = {"horizons_days": HORIZONS, **SMALL, "interval_folds": 2}

    few, many = (
        CumulativeIncidenceModel(**settings).fit(*small_cohort(n)).risk_model_.contract.interval
        for n in (120, 1_200)
    )

    assert (np.array(many.squared_bias) < np.array(few.squared_bias))[2:].all()
    assert np.mean(many.squared_bias) < np.mean(few.squared_bias) / 3
    assert min(many.squared_bias) > 0


def test_progress_is_reported_for_every_fold() -> None:
    reported: list[tuple[str, int, int]] = []
    model = CumulativeIncidenceModel(
        horizons_days=HORIZONS,
        progress=lambda *step: reported.append(step),
        **{**SMALL, "interval_folds": 2},
    )

    model.fit(*small_cohort())

    assert reported == [
        ("choosing out of fold", 1, 2),
        ("choosing out of fold", 2, 2),
        ("fitting fold models", 1, 2),
        ("fitting fold models", 2, 2),
    ]


def test_a_small_cohort_is_tuned_on_ten_folds_by_default() -> None:
    reported: list[int] = []
    model = CumulativeIncidenceModel(
        horizons_days=HORIZONS,
        progress=lambda what, done, steps: reported.append(steps),
        **{**SMALL, "tuning_folds": None},
    )

    model.fit(*small_cohort())

    assert reported == [10] * 10


def test_a_contract_holds_medians_and_no_patient(fitted) -> None:
    frame, _ = small_cohort()

    example = fitted.risk_model_.contract.example

    assert example == {name: float(f"{frame[name].median():.2g}") for name in frame}


def test_the_example_has_of_each_category_what_most_patients_have_and_never_a_rare_level() -> None:
    frame, y = small_cohort()
    patients = np.arange(len(y))
    patients[:40] = 0
    place = np.where(patients == 0, "rare", np.where(np.arange(len(y)) < 90, "usual", "other"))
    alone = np.array([f"only {patient}" for patient in patients], dtype=object)
    categories = frame.assign(place=place.astype(object), alone=alone)

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL)
    model.fit(categories, y, groups=patients)

    example = model.risk_model_.contract.example
    assert (example["place"], example["alone"]) == ("usual", None)
    assert not any(b"rare" in content for content in model.risk_model_.files().values())


@pytest.mark.parametrize(
    ("n", "stated", "expected"), [(1_999, None, 24), (2_000, None, 12), (50, 3, 3)]
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


@pytest.mark.parametrize(
    ("patients", "columns", "stated", "learned"),
    [
        (2_100, 101, None, 6),
        (2_100, 100, None, 12),
        (2_100, 101, 12, 12),
        (1_900, 101, None, 24),
        (16_700, 2, None, 6),
        (16_600, 2, None, 12),
    ],
)
def test_trees_of_a_wide_or_large_cohort_learn_from_every_second_horizon(
    patients, columns, stated, learned
) -> None:
    rng = np.random.default_rng(0)
    model = CumulativeIncidenceModel(horizons_days=(30.0,), horizons_per_patient=stated)
    numbers = rng.normal(size=(patients, columns))
    target = survival_target(rng.uniform(1, 100, patients), np.arange(patients) % 2)
    cohort = model.prepare(numbers, target)
    everyone = np.arange(patients)
    pairs = cohort.pairs(everyone, cohort.censoring(everyone), 0)
    pairs = replace(pairs, weight=np.ones_like(pairs.weight))
    of_trees = cohort.pairs_of_trees(pairs, everyone, 0)
    np.testing.assert_array_equal((of_trees.weight > 0).sum(axis=1), learned)
    half = everyone[::2]
    np.testing.assert_array_equal(
        cohort.pairs_of_trees(pairs.take(half), half, 0).weight, of_trees.weight[half]
    )


@pytest.mark.parametrize(("patients", "fitted_penalties"), [(2_000, 3), (1_990, 7)])
def test_in_a_large_cohort_no_penalty_is_tried_far_beyond_the_best(
    patients, fitted_penalties, monkeypatch
) -> None:
    tried = []

    def recorded(columns, pairs, *, penalties, **named):
        tried.append(0)
        for part in linear_path(columns, pairs, penalties=penalties, **named):
            tried[-1] += len(penalties) > 1
            yield part

    for module in (steps, out_of_fold):
        monkeypatch.setattr(module, "linear_path", recorded)
    rng = np.random.default_rng(3)
    # 20 columns of noise are best left alone: the strongest penalty has the lowest loss.
    numbers = rng.normal(size=(patients, 20))
    target = survival_target(rng.uniform(1, 100, patients), np.arange(patients) % 2)
    model = CumulativeIncidenceModel(
        horizons_days=(30.0,),
        horizons_per_patient=2,
        max_trees=2,
        tuning_folds=2,
        risk_only=True,
        n_jobs=1,
    )

    model.fit(numbers, target)

    assert tried[:2] == [fitted_penalties] * 2
