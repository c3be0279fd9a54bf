"""A read model answers with the very numbers it was fitted to give, on any frame."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import t as student_t

from models.inference.ensemble import FEW_PATIENTS
from models.inference.risk_model import InferenceError, RiskModel
from models.inference.trees import joint_booster, load_booster

# Risks, curve and interval


def test_both_parts_have_a_say_in_the_model_of_these_tests(risk_model) -> None:
    assert 0.2 < risk_model.contract.training.linear_weight < 0.8


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


def test_a_model_under_another_contract_is_the_one_read_from_its_files(
    risk_model, patients
) -> None:
    first, *others = risk_model.contract.features
    contract = replace(
        risk_model.contract,
        features=(replace(first, low=1e6, label="Never plausible"), *others),
    )

    changed = risk_model.with_contract(contract)

    again = RiskModel.from_files(changed.files())
    np.testing.assert_equal(
        changed.predict(patients, explain=True)._asdict(),
        again.predict(patients, explain=True)._asdict(),
    )
    assert set(changed.predict(patients).status) == {"refused"}
    assert "refused" not in risk_model.predict(patients.head(1)).status


def test_preparing_a_model_changes_no_answer(risk_model, patients) -> None:
    prepared = RiskModel.from_files(risk_model.files())
    prepared.prepare()

    np.testing.assert_equal(
        prepared.predict(patients, explain=True)._asdict(),
        risk_model.predict(patients, explain=True)._asdict(),
    )


@pytest.fixture(scope="module")
def falling(risk_model) -> RiskModel:
    """A model whose curve would fall, and is held up, for some patients and not for others."""
    files = risk_model.files()
    model = json.loads(files["model.json"])
    model["main"]["linear_weight"] = 1.0
    model["main"]["coef_log_h"][0] = -1.5
    return RiskModel.from_files({**files, "model.json": json.dumps(model).encode()})


def test_an_interval_is_the_same_whichever_days_are_requested_beside_it(falling, patients) -> None:
    whole = falling.contract.grid_days
    predicted = falling.predict(patients, whole)
    assert 0.1 < (predicted.monotone_adjustment > 0).any(1).mean() < 0.9

    for j in (0, len(whole) // 2, len(whole) - 1):
        alone = falling.predict(patients, [whole[j]])
        for name in ("risk", "risk_low", "risk_high"):
            np.testing.assert_allclose(
                getattr(alone, name)[:, 0], getattr(predicted, name)[:, j], rtol=1e-12
            )


def test_fold_models_are_held_up_only_where_the_model_is(falling, patients) -> None:
    files = falling.files()
    model = json.loads(files["model.json"])
    last = falling.contract.grid_days[-1]
    before, after = [], []
    for k, spec in enumerate(model["folds"]):
        alone = {**model, "main": spec, "folds": [], "competing": None}
        content = {"model.json": json.dumps(alone).encode()}
        content |= {"booster.ubj": files[f"fold_{k:02d}.ubj"]}
        own = RiskModel.from_files({**files, **content}).predict(patients, [last])
        after.append(logit(own.risk[:, 0]))
        before.append(after[-1] - own.monotone_adjustment[:, 0])
    prediction = falling.predict(patients, falling.contract.grid_days)
    raised = (prediction.monotone_adjustment > 0).any(1)
    variance = np.where(raised, np.var(after, axis=0, ddof=1), np.var(before, axis=0, ddof=1))
    interval = falling.contract.interval
    apart = (logit(prediction.risk[:, -1]) - interval.center[-1]) ** 2 / interval.spread[-1]
    half = interval.t * np.sqrt(variance + interval.squared_bias[-1] * (1 + apart) / 2)

    # Where something is missing, every part infers it by the limits of the main part.
    rows = (np.array(prediction.status) == "ok") & (prediction.unsettled == 0).all(1)
    assert 0.1 < raised[rows].mean() < 0.9
    low = logit(prediction.risk[:, -1]) - half
    np.testing.assert_allclose(logit(prediction.risk_low[:, -1])[rows], low[rows], atol=1e-8)


def test_a_file_of_another_format_is_refused(risk_model) -> None:
    files = risk_model.files()
    contract = json.loads(files["contract.json"]) | {"bundle_format": 1}
    with pytest.raises(InferenceError, match="bundle_format must be 5"):
        RiskModel.from_files({**files, "contract.json": json.dumps(contract).encode()})


def test_the_number_of_threads_changes_no_number(risk_model, patients) -> None:
    np.testing.assert_equal(
        RiskModel.from_files(risk_model.files(), threads=2)
        .predict(patients, explain=True)
        ._asdict(),
        risk_model.predict(patients, explain=True)._asdict(),
    )


def test_without_horizons_the_default_ones_are_answered(risk_model, patients) -> None:
    prediction = risk_model.predict(patients)

    assert prediction.horizons_days.tolist() == [28.0, 90.0]
    assert prediction.risk.shape == (len(patients), 2)


def test_a_curve_with_its_interval_is_what_predict_answers_on_the_same_days(
    risk_model, patients
) -> None:
    days = risk_model.contract.grid_days
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


def test_joining_the_boosters_changes_no_answer(risk_model, patients) -> None:
    model = RiskModel.from_files(risk_model.files())
    many = pd.concat([patients] * (1 + FEW_PATIENTS // len(patients)), ignore_index=True)
    few, one = patients.head(5), patients.head(1)

    before = [model.predict(frame)._asdict() for frame in (many, few, one)]
    model.prepare()

    after = [model.predict(frame)._asdict() for frame in (many, few, one)]
    np.testing.assert_equal(after, before)


def test_the_mixture_is_the_weighted_mean_of_its_parts_in_log_odds(risk_model, patients) -> None:
    weight = risk_model.contract.training.linear_weight

    def before_the_maximum(model: RiskModel) -> NDArray[np.float64]:
        prediction = model.predict(patients, [60.0], interval=False)
        return logit(prediction.risk) - prediction.monotone_adjustment

    linear, boosted = (before_the_maximum(risk_model.part(share)) for share in (1.0, 0.0))
    np.testing.assert_allclose(
        before_the_maximum(risk_model), weight * linear + (1 - weight) * boosted, atol=1e-9
    )


def test_the_interval_adds_an_allowance_for_bias_to_the_variance_of_the_fold_models(
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
    variance = np.var(folds, axis=0, ddof=1)
    grid = risk_model.contract.grid_days
    at = [grid.index(day) for day in risk_model.contract.default_horizons_days]
    interval = risk_model.contract.interval
    allowed, center, spread = (
        np.array(getattr(interval, name))[at] for name in ("squared_bias", "center", "spread")
    )
    apart = (logit(risk_model.risk(patients)) - center) ** 2 / spread
    reach = student_t.ppf(0.975, n_folds - 1) * np.sqrt(variance + allowed * (1 + apart) / 2)

    prediction = risk_model.predict(patients)

    # Where something is missing, every part infers it by the limits of the main part.
    rows = (np.array(prediction.status) == "ok") & (prediction.unsettled == 0).all(1)
    assert rows.sum() > 50
    middle = logit(prediction.risk)
    np.testing.assert_allclose(logit(prediction.risk_low)[rows], (middle - reach)[rows], atol=1e-8)
    np.testing.assert_allclose(logit(prediction.risk_high)[rows], (middle + reach)[rows], atol=1e-8)


def test_the_risk_is_the_same_without_an_interval(risk_model, patients) -> None:
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


# The output of the MLflow model


def test_the_output_has_one_row_per_patient_and_horizon(risk_model, ordinary) -> None:
    frame = pd.concat([ordinary, ordinary.assign(age=10.0)], ignore_index=True)
    frame["patient_id"], frame["stay_id"] = ["p", "q"], [11, 12]

    rows = risk_model.predict(frame, [28.0, 90.0], explain=True).to_frame(frame)

    variables = risk_model.variables
    assert rows.columns.tolist() == [
        "patient_id", "stay_id", "outcome", "time_zero", "horizon_days", "status", "refusal_code",
        "warning_code",
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
