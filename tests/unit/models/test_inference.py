"""What a risk model answers, refuses and warns of, and that its numbers add up."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import t as student_t

from data_schema.biomarkers import VARIABLES
from models.ensemble import joint_booster
from models.estimator import CumulativeIncidenceModel
from models.inference import InferenceError, RiskModel
from models.parts import load_booster
from models.targets import survival_target

TOLERANCE = 1e-5
"""What the architecture promises of both sums."""


@pytest.fixture(scope="module")
def risk_model(mortality) -> RiskModel:
    return mortality.loaded.risk_model


@pytest.fixture
def ordinary(risk_model: RiskModel) -> pd.DataFrame:
    """One patient like those of the training cohort, whom nothing is said of."""
    frame = pd.DataFrame([risk_model.contract["example"]])
    prediction = risk_model.predict(frame)
    assert prediction.status == ["ok"]
    assert prediction.warnings == [[]]
    return frame


def codes(entries: list[dict[str, object]]) -> list[object]:
    return [entry["code"] for entry in entries]


def rebuilt(risk_model: RiskModel, **main: object) -> RiskModel:
    """Return the model with entries of its main part replaced, and without its folds."""
    files = risk_model.files()
    model = json.loads(files["model.json"])
    changed = {**model, "main": {**model["main"], **main}, "folds": [], "competing": None}
    return RiskModel.from_files({**files, "model.json": json.dumps(changed).encode()})


def assert_sums_hold(prediction) -> None:
    answered = np.array(prediction.status) == "ok"
    assert answered.any()
    log_odds = (
        prediction.base_log_odds + prediction.log_odds.sum(-1) + prediction.monotone_adjustment
    )
    points = prediction.points.sum(-1) + prediction.adjustment_points
    risk = prediction.risk[answered]
    np.testing.assert_allclose(log_odds[answered], logit(risk), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        points[answered], 100 * (risk - prediction.baseline_risk), rtol=0, atol=TOLERANCE
    )


# Risks, curve and interval


def test_both_parts_have_a_say_in_the_model_of_these_tests(risk_model) -> None:
    assert 0.2 < risk_model.contract["training"]["linear_weight"] < 0.8


def test_files_read_back_give_identical_numbers(risk_model, patients) -> None:
    again = RiskModel.from_files(risk_model.files())

    assert again.files() == risk_model.files()
    np.testing.assert_equal(
        again.predict(patients, [5.0, 90.0], explain=True)._asdict(),
        risk_model.predict(patients, [5.0, 90.0], explain=True)._asdict(),
    )


def test_a_directory_of_the_files_is_the_same_model(risk_model, patients, tmp_path) -> None:
    for name, content in {**risk_model.files(), "notes.txt": b"ignored"}.items():
        (tmp_path / name).write_bytes(content)

    again = RiskModel.from_directory(tmp_path)

    np.testing.assert_array_equal(again.risk(patients), risk_model.risk(patients))


def test_a_file_of_another_format_is_refused(risk_model) -> None:
    with pytest.raises(InferenceError, match="bundle_format must be 2"):
        risk_model.with_contract(bundle_format=1)


def test_the_number_of_threads_changes_no_number(risk_model, patients) -> None:
    np.testing.assert_equal(
        risk_model.with_threads(2).predict(patients, explain=True)._asdict(),
        risk_model.predict(patients, explain=True)._asdict(),
    )


def test_without_horizons_the_default_ones_are_answered(risk_model, patients) -> None:
    prediction = risk_model.predict(patients)

    assert prediction.horizons_days.tolist() == [28.0, 90.0]
    assert prediction.risk.shape == (len(patients), 2)


def test_a_curve_with_its_interval_is_what_predict_answers_on_the_same_days(
    risk_model, patients
) -> None:
    days = risk_model.contract["grid_days"]
    predicted = risk_model.predict(patients, days)

    at_horizons, curve = risk_model.predict_with_curve(patients, [28.0, 60.5])

    answered = [status == "ok" for status in predicted.status]
    np.testing.assert_array_equal(curve.days, days)
    for name in ("risk", "risk_low", "risk_high"):
        found, expected = getattr(curve, name), getattr(predicted, name)
        np.testing.assert_allclose(found[answered], expected[answered], rtol=1e-12)
    np.testing.assert_array_equal(curve.cohort_risk, predicted.cohort_risk)
    alone = risk_model.predict(patients, [28.0, 60.5])
    np.testing.assert_allclose(at_horizons.risk, alone.risk, rtol=1e-12)
    np.testing.assert_allclose(at_horizons.risk_low, alone.risk_low, rtol=1e-12)


def test_the_joint_booster_gives_the_very_margins_of_each(risk_model, patients) -> None:
    boosters = [load_booster(b, 1) for n, b in risk_model.files().items() if n.endswith(".ubj")]
    width = boosters[0].num_features()
    rows = np.random.default_rng(0).normal(size=(50, width)).astype(np.float32)
    rows[::3, ::2] = np.nan

    joint = joint_booster(boosters, 1).inplace_predict(rows, predict_type="margin")

    alone = [booster.inplace_predict(rows, predict_type="margin") for booster in boosters]
    np.testing.assert_array_equal(joint, np.column_stack(alone))


def test_the_mixture_is_the_weighted_mean_of_its_parts_in_log_odds(risk_model, patients) -> None:
    weight = risk_model.contract["training"]["linear_weight"]

    def before_the_maximum(model: RiskModel) -> NDArray[np.float64]:
        prediction = model.predict(patients, [60.0], interval=False)
        return logit(prediction.risk) - prediction.monotone_adjustment

    linear, boosted = (before_the_maximum(risk_model.part(share)) for share in (1.0, 0.0))
    np.testing.assert_allclose(
        before_the_maximum(risk_model), weight * linear + (1 - weight) * boosted, atol=1e-9
    )


def test_the_interval_adds_an_allowance_for_bias_to_the_jackknife_of_the_fold_models(
    risk_model, patients
) -> None:
    files = risk_model.files()
    model = json.loads(files["model.json"])
    folds = []
    for k, spec in enumerate(model["folds"]):
        alone = {**model, "main": spec, "folds": [], "competing": None}
        content = {"model.json": json.dumps(alone).encode()}
        content |= {"booster.ubj": files[f"fold_{k:02d}.ubj"]}
        folds.append(logit(RiskModel.from_files({**files, **content}).risk(patients)))
    n_folds = len(folds)
    variance = (n_folds - 1) * np.var(folds, axis=0)
    grid = risk_model.contract["grid_days"]
    at = [grid.index(day) for day in risk_model.contract["default_horizons_days"]]
    interval = risk_model.contract["interval"]
    allowed, center, spread = (
        np.array(interval[name])[at] for name in ("squared_bias", "center", "spread")
    )
    apart = (logit(risk_model.risk(patients)) - center) ** 2 / spread
    reach = student_t.ppf(0.975, n_folds - 1) * np.sqrt(variance + allowed * (1 + apart) / 2)

    prediction = risk_model.predict(patients)

    rows = np.array(prediction.status) == "ok"
    middle = logit(prediction.risk)
    np.testing.assert_allclose(logit(prediction.risk_low)[rows], (middle - reach)[rows], atol=1e-8)
    np.testing.assert_allclose(logit(prediction.risk_high)[rows], (middle + reach)[rows], atol=1e-8)


def test_without_an_interval_asked_for_the_risk_is_the_same(risk_model, patients) -> None:
    bare = risk_model.predict(patients, interval=False)

    assert np.isnan(bare.risk_low).all()
    np.testing.assert_array_equal(bare.risk, risk_model.predict(patients).risk)


def test_cohort_risk_is_the_mean_risk_of_the_training_cohort(risk_model, patients) -> None:
    prediction = risk_model.predict(patients, [28.0, 90.0])

    np.testing.assert_allclose(
        prediction.cohort_risk, risk_model.risk(patients, [28.0, 90.0]).mean(0), atol=1e-12
    )


def test_no_patients_get_no_answers(risk_model, patients) -> None:
    prediction = risk_model.predict(patients.iloc[:0], explain=True)

    assert prediction.risk.shape == (0, 2)
    assert prediction.log_odds.shape == (0, 2, len(risk_model.variables))
    assert prediction.to_frame(patients.iloc[:0]).empty


def test_index_and_column_types_of_the_frame_change_no_number(risk_model, patients) -> None:
    nullable = patients.convert_dtypes().set_axis(["same"] * len(patients))

    np.testing.assert_equal(
        risk_model.predict(nullable, explain=True)._asdict(),
        risk_model.predict(patients, explain=True)._asdict(),
    )


# Explanation


def test_explaining_changes_no_risk(risk_model, patients) -> None:
    plain, explained = (risk_model.predict(patients, explain=e) for e in (False, True))

    assert plain.log_odds is None
    assert plain.points is None
    np.testing.assert_array_equal(plain.adjustment_points, explained.adjustment_points)
    np.testing.assert_array_equal(plain.risk, explained.risk)
    np.testing.assert_array_equal(plain.base_log_odds, explained.base_log_odds)


def test_contributions_add_up_to_the_risk(risk_model, fracture, patients) -> None:
    for model in (risk_model, fracture.loaded.risk_model, risk_model.part(0), risk_model.part(1)):
        assert_sums_hold(model.predict(patients, [4.0, 28.0, 33.3, 200.0], explain=True))


def test_baseline_depends_on_the_horizon_only(risk_model, patients) -> None:
    two, others = risk_model.predict(patients.head(2)), risk_model.predict(patients.tail(5))

    np.testing.assert_array_equal(two.base_log_odds, others.base_log_odds)
    np.testing.assert_allclose(logit(two.baseline_risk), two.base_log_odds)
    assert two.baseline_risk[0] != two.baseline_risk[1]


def test_a_risk_that_would_fall_is_held_and_the_adjustment_says_by_how_much(
    risk_model, patients
) -> None:
    falling = rebuilt(risk_model, linear_weight=1.0, coef_h=[-1.0, 0.0, 0.0])
    grid = falling.contract["grid_days"]

    prediction = falling.predict(patients, [grid[0], 40.0, grid[-1]], explain=True)

    rows = np.array(prediction.status) == "ok"
    assert (prediction.monotone_adjustment[rows, 0] == 0).all()
    assert (prediction.monotone_adjustment[rows, 2] > 0.5).mean() > 0.5
    assert (np.diff(prediction.risk[rows], axis=1) >= 0).all()
    assert (np.abs(prediction.adjustment_points[rows, 2]) > 1).any()
    assert_sums_hold(prediction)


def test_a_duplicated_feature_shares_its_contribution_equally() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=200)
    frame = pd.DataFrame({"x": x, "x_again": x, "other": rng.normal(size=200)})
    died = rng.random(200) < 1 / (1 + np.exp(-x))
    target = survival_target(np.full(200, 30.0), died.astype(int))
    model = CumulativeIncidenceModel(
        horizons_days=(30.0,), fixed_horizon=True, max_trees=1, tuning_folds=2, interval_folds=0,
        n_jobs=1,
    )  # fmt: skip

    linear = model.fit(frame, target).risk_model_.part(1.0).predict(frame, explain=True)

    answered = np.array(linear.status) == "ok"
    np.testing.assert_allclose(linear.log_odds[answered, :, 0], linear.log_odds[answered, :, 1])
    assert np.abs(linear.log_odds[answered, :, 0]).max() > 0.1


def test_a_limit_flag_is_explained_with_its_variable(risk_model) -> None:
    assert "fgf23_c__below" in risk_model.features
    assert "fgf23_c__below" not in risk_model.variables
    assert risk_model.variables.count("fgf23_c") == 1


# What was not measured


def test_what_was_not_measured_is_flagged(risk_model, ordinary) -> None:
    ordinary["lactate"] = np.nan
    ordinary["sex"] = None

    measured = risk_model.predict(ordinary).measured[0]

    unmeasured = set(np.array(risk_model.variables)[~measured])
    assert unmeasured == {"lactate", "sex"}


def test_a_limit_flag_alone_is_no_measurement(risk_model, ordinary) -> None:
    ordinary["fgf23_c"] = np.nan
    ordinary["fgf23_c__below"] = 1.0

    measured = risk_model.predict(ordinary).measured[0]

    assert not measured[risk_model.variables.index("fgf23_c")]


def test_a_category_never_seen_counts_as_not_measured_and_is_warned_of(
    risk_model, ordinary
) -> None:
    missing, unseen = (
        risk_model.predict(ordinary.assign(dzgroup=group), explain=True)
        for group in (None, "Never seen")
    )

    assert codes(unseen.warnings[0]) == ["unknown_category"]
    assert unseen.warnings[0][0]["variables"] == ["dzgroup"]
    assert missing.warnings == [[]]
    for name in ("risk", "risk_low", "risk_high", "log_odds", "measured"):
        np.testing.assert_array_equal(getattr(unseen, name), getattr(missing, name))


# Refusals and warnings


@pytest.mark.parametrize(
    ("change", "code", "variables"),
    [
        ({"age": 17.9}, "under_18", ["age"]),
        ({"pregnant": 1.0}, "pregnant", ["pregnant"]),
        ({"pregnant": True}, "pregnant", ["pregnant"]),
        ({"lactate": 61.0}, "out_of_range", ["lactate"]),
        ({"albumin": 0.1}, "out_of_range", ["albumin"]),
    ],
)
def test_whom_a_model_must_not_answer_is_refused(
    risk_model, ordinary, change, code, variables
) -> None:
    prediction = risk_model.predict(ordinary.assign(**change), explain=True)

    assert prediction.status == ["refused"]
    assert code in codes(prediction.refusals[0])
    (entry,) = [e for e in prediction.refusals[0] if e["code"] == code]
    assert entry["variables"] == variables


def test_the_ends_of_the_plausible_range_are_not_out_of_range(risk_model, ordinary) -> None:
    for lactate in (0.05, 60.0):
        prediction = risk_model.predict(ordinary.assign(lactate=lactate))
        assert "out_of_range" not in codes(prediction.refusals[0])
    assert risk_model.predict(ordinary.assign(age=18.0)).status == ["ok"]


def test_too_little_measured_is_refused(risk_model, ordinary) -> None:
    nothing = ordinary.assign(**{name: np.nan for name in risk_model.features if name != "age"})

    prediction = risk_model.predict(nothing)

    assert codes(prediction.refusals[0]) == ["too_little_measured"]


def test_a_wild_combination_of_plausible_values_is_refused(risk_model, ordinary) -> None:
    wild = ordinary.assign(age=19.0, lactate=24.0, albumin=5.4, fgf23_c=9_900.0, ctx_s=55.0)

    prediction = risk_model.predict(wild)

    assert codes(prediction.refusals[0]) == ["unlike_training_cohort"]


def test_training_patients_are_hardly_ever_refused(risk_model, patients) -> None:
    refused = np.array(risk_model.predict(patients).status) == "refused"

    assert refused.mean() < 0.02


def test_a_refused_patient_holds_no_number_and_leaves_the_others_alone(
    risk_model, ordinary
) -> None:
    both = pd.concat([ordinary, ordinary.assign(pregnant=1.0)], ignore_index=True)

    prediction = risk_model.predict(both, explain=True)

    assert prediction.status == ["ok", "refused"]
    for name in (
        "risk", "risk_low", "risk_high", "monotone_adjustment", "log_odds", "points",
        "adjustment_points",
    ):  # fmt: skip
        assert np.isnan(getattr(prediction, name)[1]).all(), name
        assert np.isfinite(getattr(prediction, name)[0]).all(), name
    # BLAS adds up one row in another order than two on some processors.
    np.testing.assert_allclose(prediction.risk[:1], risk_model.predict(ordinary).risk, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rrt": 1}, {"renal_replacement": [], "renal_retention": ["fgf23_c", "ctx_s"]}),
        ({"aki_stage": 2}, {"renal_replacement": [], "renal_retention": ["fgf23_c", "ctx_s"]}),
        ({"aki_stage": 0, "rrt": 0}, {}),
        ({"biotin": 1}, {"biotin": ["fgf23_c", "ctx_s"]}),
        ({"fasting": 0}, {"ctx_not_fasting_morning": ["ctx_s"]}),
        ({"sampling_hour": 14.5}, {"ctx_not_fasting_morning": ["ctx_s"]}),
        ({"fasting": 1, "sampling_hour": 8}, {}),
        ({"exogenous_hormones": 1}, {}),  # this model reads no hormone
        ({"age": np.nan}, {"age_unknown": ["age"]}),
        ({"lactate": 20.0}, {"beyond_training": ["lactate"]}),
    ],
)
def test_what_a_patient_needs_a_word_of_warning_for(risk_model, ordinary, change, expected) -> None:
    prediction = risk_model.predict(ordinary.assign(**change))

    warned = {w["code"]: w["variables"] for w in prediction.warnings[0]}
    warned.pop("unusual_combination", None)
    assert {code: set(names) for code, names in warned.items()} == {
        code: set(names) for code, names in expected.items()
    }


def test_hormones_are_warned_of_where_the_model_reads_one() -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(
        {"age": rng.normal(60, 10, 80), "estradiol": np.exp(rng.normal(4, 0.5, 80))}
    )
    target = survival_target(np.full(80, 30.0), np.arange(80) % 2)
    model = CumulativeIncidenceModel(
        horizons_days=(30.0,), fixed_horizon=True, variables=VARIABLES, max_trees=1,
        tuning_folds=2, interval_folds=0, n_jobs=1,
    ).fit(frame, target)  # fmt: skip

    prediction = model.risk_model_.predict(frame.head(1).assign(exogenous_hormones=1))

    assert {w["code"]: w["variables"] for w in prediction.warnings[0]}["exogenous_hormones"] == [
        "estradiol"
    ]


# What cannot be answered at all


def test_a_missing_column_is_named(risk_model, ordinary) -> None:
    with pytest.raises(InferenceError, match=r"every feature column; missing: lactate, sex\."):
        risk_model.predict(ordinary.drop(columns=["sex", "lactate"]))


@pytest.mark.parametrize("days", [0.0, -5.0, 1e6, np.nan, np.inf])
def test_a_horizon_outside_the_models_range_is_refused(risk_model, ordinary, days) -> None:
    with pytest.raises(InferenceError, match=r"horizons_days must lie in .* 1 of 2 do not"):
        risk_model.predict(ordinary, [28.0, days])


def test_no_horizon_is_refused(risk_model, ordinary) -> None:
    with pytest.raises(InferenceError, match="at least one horizon"):
        risk_model.predict(ordinary, [])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused(risk_model, ordinary, value) -> None:
    with pytest.raises(InferenceError, match="numbers must be finite"):
        risk_model.predict(ordinary.assign(lactate=value))
    with pytest.raises(InferenceError, match="numbers must be finite"):
        risk_model.risk(ordinary.assign(lactate=value))


def test_no_message_holds_a_value(risk_model, ordinary) -> None:
    number, text = 98_765.4321, "SENTINEL-CATEGORY"
    said = []
    for feature in risk_model.contract["features"]:
        value = text if feature["kind"] == "category" else number
        prediction = risk_model.predict(ordinary.assign(**{feature["name"]: value}))
        said += [entry["message"] for entry in (*prediction.refusals[0], *prediction.warnings[0])]
    for column in ("rrt", "aki_stage", "biotin", "sampling_hour", "pregnant"):
        prediction = risk_model.predict(ordinary.assign(**{column: number}))
        said += [entry["message"] for entry in (*prediction.refusals[0], *prediction.warnings[0])]
    for broken in (
        lambda: risk_model.predict(ordinary, [number]),
        lambda: risk_model.predict(ordinary.assign(age=number, lactate=np.inf)),
        lambda: risk_model.predict(ordinary.assign(age=number).drop(columns="sex")),
    ):
        with pytest.raises(InferenceError) as error:
            broken()
        said.append(str(error.value))

    assert len(said) > 10
    assert not [message for message in said if "98" in message or text in message]


# The output of the MLflow model


def test_the_output_has_one_row_per_patient_and_horizon(risk_model, ordinary) -> None:
    frame = pd.concat([ordinary, ordinary.assign(age=10.0)], ignore_index=True)
    frame["patient_id"], frame["stay_id"] = ["p", "q"], [11, 12]

    rows = risk_model.predict(frame, [28.0, 90.0], explain=True).to_frame(frame)

    variables = risk_model.variables
    assert rows.columns.tolist() == [
        "patient_id", "stay_id", "outcome", "time_zero", "horizon_days", "status", "refusal_code",
        "risk", "risk_low", "risk_high", "baseline_risk", "cohort_risk", "base_log_odds",
        "monotone_adjustment", *(f"contribution__{name}" for name in variables),
        *(f"points__{name}" for name in variables),
    ]  # fmt: skip
    assert rows["patient_id"].tolist() == ["p", "p", "q", "q"]
    assert rows["stay_id"].tolist() == [11, 11, 12, 12]
    assert rows["horizon_days"].tolist() == [28.0, 90.0, 28.0, 90.0]
    assert rows["outcome"].unique().tolist() == ["mortality"]
    assert rows["status"].tolist() == ["ok", "ok", "refused", "refused"]
    assert rows["refusal_code"].str.contains("under_18").tolist() == [False, False, True, True]
    assert rows["time_zero"].isna().all()
    assert rows["risk"].isna().tolist() == [False, False, True, True]


def test_without_explanation_the_output_has_no_contributions(risk_model, ordinary) -> None:
    rows = risk_model.predict(ordinary).to_frame(ordinary)

    assert not [name for name in rows if "__" in name]


def test_the_allowance_for_bias_is_as_large_as_the_variance_on_average(
    risk_model, patients
) -> None:
    grid, interval = risk_model.contract["grid_days"], risk_model.contract["interval"]
    nothing = interval | {"squared_bias": [0.0] * len(grid)}
    bare = risk_model.with_contract(interval=nothing).predict(patients, grid)

    rows = np.array(bare.status) == "ok"
    reach = logit(bare.risk_high)[rows] - logit(bare.risk_low)[rows]
    variance = (reach / (2 * interval["t"])) ** 2
    np.testing.assert_allclose(variance.mean(0), interval["squared_bias"], rtol=0.25)
