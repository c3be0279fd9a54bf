"""Which patients a model read from its files refuses, its warnings, and what no message holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from linear_truth import SMALL
from models.estimator import CumulativeIncidenceModel
from models.inference.request import checked_table
from models.inference.risk_model import InferenceError
from models.targets import survival_target
from read_model import codes

# Refusals and warnings


@pytest.mark.parametrize(
    ("change", "code", "variables"),
    [
        ({"age": 17.9}, "under_18", ["age"]),
        ({"pregnant": 1.0}, "pregnant", ["pregnant"]),
        ({"pregnant": True}, "pregnant", ["pregnant"]),
        ({"lactate": 61.0}, "out_of_range", ["lactate"]),
        ({"albumin": 0.1}, "out_of_range", ["albumin"]),
        ({"diabetes": 2.0}, "out_of_range", ["diabetes"]),
        ({"diabetes": -1.0}, "out_of_range", ["diabetes"]),
        ({"diabetes": 0.5}, "out_of_range", ["diabetes"]),
        ({"dead_at_time_zero": 1.0}, "deceased", []),
        ({"comfort_care_at_time_zero": True}, "comfort_care", []),
        ({"record_incomplete": 1}, "incomplete_record", []),
        ({"lowest_age": 17.9}, "under_18", ["age"]),
        ({"asked_after_days": 90.1}, "stale", []),
        ({"asked_after_days": -0.011}, "time_zero_in_future", []),
    ],
)
def test_patients_that_a_model_must_not_answer_are_refused(
    risk_model, ordinary, change, code, variables
) -> None:
    prediction = risk_model.predict(ordinary.assign(**change), explain=True)

    assert prediction.status == ["refused"]
    assert code in codes(prediction.refusals[0])
    (entry,) = [e for e in prediction.refusals[0] if e.code == code]
    assert list(entry.variables) == variables


@pytest.mark.parametrize(
    "change",
    [
        {"dead_at_time_zero": 0.0, "comfort_care_at_time_zero": 0.0, "record_incomplete": 0.0},
        {"lowest_age": 18.0},
        {"asked_after_days": 90.0},
        {"asked_after_days": -0.01},
    ],
)
def test_what_the_policy_allows_changes_no_risk(risk_model, ordinary, change) -> None:
    prediction = risk_model.predict(ordinary.assign(**change))
    assert prediction.status == ["ok"]
    np.testing.assert_array_equal(prediction.risk, risk_model.predict(ordinary).risk)


def test_a_late_request_is_warned_about_before_it_is_refused(risk_model, ordinary) -> None:
    for days, warned in ((6.9, False), (7.1, True), (90.1, False)):
        (warnings,) = risk_model.predict(ordinary.assign(asked_after_days=days)).warnings
        assert ("asked_late" in codes(warnings)) == warned


def test_the_ends_of_the_plausible_range_are_not_out_of_range(risk_model, ordinary) -> None:
    for lactate in (0.05, 60.0):
        prediction = risk_model.predict(ordinary.assign(lactate=lactate))
        assert "out_of_range" not in codes(prediction.refusals[0])
    assert risk_model.predict(ordinary.assign(age=18.0)).status == ["ok"]


def test_a_patient_of_whom_nothing_is_entered_is_refused(risk_model, ordinary) -> None:
    nothing = ordinary.assign(**dict.fromkeys(risk_model.features, np.nan))

    prediction = risk_model.predict(nothing)

    assert prediction.completeness == ["insufficient"]
    assert codes(prediction.refusals[0]) == ["too_little_entered"]


def test_patients_as_complete_as_those_learned_from_are_answered() -> None:
    # Twelve variables that say little each, of which a patient has about half: what is missing
    # leaves more open than the risks vary by.
    rng = np.random.default_rng(3)
    n = 600
    values = rng.normal(size=(n, 12))
    died = rng.random(n) < 1 / (1 + np.exp(1.0 - 0.45 * values.sum(axis=1)))
    time = np.where(died, rng.uniform(1, 170, n), 200.0)
    frame = pd.DataFrame(values, columns=[f"x{j}" for j in range(12)])
    frame = frame.mask(rng.random(frame.shape) < 0.5)

    model = CumulativeIncidenceModel(horizons_days=(90.0,), **SMALL).fit(
        frame, survival_target(time, died.astype(int))
    )

    prediction = model.risk_model_.predict(frame)
    assert "insufficient" not in [
        grade
        for grade, measured in zip(prediction.completeness, frame.notna().sum(axis=1), strict=True)
        if measured >= 6
    ]
    nothing = model.risk_model_.predict(frame.iloc[:1].mask(frame.iloc[:1].notna()))
    assert nothing.completeness == ["insufficient"]


def test_a_value_far_beyond_the_cohort_is_refused_by_name_and_stays_out_of_the_message(
    risk_model, ordinary
) -> None:
    prediction = risk_model.predict(ordinary.assign(albumin=9.0))  # still plausible

    (refusal,) = prediction.refusals[0]
    assert (refusal.code, refusal.variables) == ("unlike_training_cohort", ("albumin",))
    assert "Check the value and its unit" in refusal.message
    assert "9" not in refusal.message


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

    warned = {w.code: w.variables for w in prediction.warnings[0]}
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

    assert {w.code: w.variables for w in prediction.warnings[0]}["exogenous_hormones"] == (
        "estradiol",
    )


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


@pytest.mark.parametrize("value", [1e300, -3.5e38])
def test_a_number_that_trees_cannot_hold_is_refused_by_name(risk_model, ordinary, value) -> None:
    patients = pd.concat([ordinary, ordinary.assign(lactate=value)], ignore_index=True)
    for answer in (risk_model.predict, risk_model.risk):
        with pytest.raises(InferenceError, match=r"lactate must lie between .*; 1 of 2 rows"):
            answer(patients)
    # A table from the service is not checked again by column.
    table = checked_table(risk_model.contract, ordinary)
    numbers = {**table.numbers, "lactate": np.array([value])}
    with pytest.raises(InferenceError, match="numbers must be finite, and lie between"):
        risk_model.predict(table._replace(numbers=numbers))


def test_no_message_holds_a_value(risk_model, ordinary) -> None:
    number, text = 98_765.4321, "SENTINEL-CATEGORY"
    said = []
    for feature in risk_model.contract.features:
        value = text if feature.kind == "category" else number
        prediction = risk_model.predict(ordinary.assign(**{feature.name: value}))
        said += [entry.message for entry in (*prediction.refusals[0], *prediction.warnings[0])]
    for column in ("rrt", "aki_stage", "biotin", "sampling_hour", "pregnant"):
        prediction = risk_model.predict(ordinary.assign(**{column: number}))
        said += [entry.message for entry in (*prediction.refusals[0], *prediction.warnings[0])]
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
