"""What is expected of a value not measured yet, and the joint distribution it is drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from contracts import restated
from data_schema.disclosure import SMALLEST_CELL
from models.fitting.encoding import fit_encoding
from models.fitting.joint import fit_joint
from models.inference.contract import JointDistribution
from models.inference.next_best import expected_changes
from models.registry.bundle import model_source


def correlated(n: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Return a skewed marker that follows another, a flag, a rare category, and much missing."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    second = np.exp(0.8 * first + 0.6 * rng.normal(size=n))
    frame = pd.DataFrame(
        {
            "first": first,
            "second": second,
            "flag": (first + rng.normal(size=n) > 0).astype(float),
            "place": np.where(np.arange(n) < SMALLEST_CELL - 1, "rare", "usual"),
            "hardly": np.where(np.arange(n) < 49, first, np.nan),
        }
    )
    frame.loc[rng.random(n) < 0.3, "second"] = np.nan
    return frame


@pytest.fixture(scope="module")
def joint() -> JointDistribution:
    frame = correlated()
    return fit_joint(frame, fit_encoding(frame))


def test_a_category_or_a_column_of_too_few_patients_is_left_out(joint) -> None:
    assert [column.feature for column in joint.columns] == ["first", "second", "flag"]


def test_the_correlation_of_normal_scores_is_found_whatever_is_missing(joint) -> None:
    # 1,400 pairs: a standard error of 0.01, and shrinkage takes hardly anything.
    assert joint.correlation[1][0] == pytest.approx(0.8, abs=0.03)


def test_ten_patients_lie_beyond_the_outer_quantiles_and_between_any_two(joint) -> None:
    frame = correlated()
    for column in joint.columns[:2]:
        values = frame[column.feature].dropna().to_numpy()
        knots = np.asarray(column.values)
        counts = np.histogram(values, [-np.inf, *knots, np.inf])[0]
        # Rounding to three digits moves a patient or two across a knot.
        assert counts.min() >= SMALLEST_CELL - 2
        assert [float(f"{knot:.3g}") for knot in knots] == knots.tolist()


def test_pairs_never_measured_together_leave_a_distribution_that_can_be_inverted() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    frame.loc[:149, "a"], frame.loc[150:, "b"] = np.nan, np.nan
    rows = fit_joint(frame, fit_encoding(frame)).correlation
    correlation = np.eye(3)
    for row, values in enumerate(rows):
        correlation[row, :row] = correlation[:row, row] = values
    assert correlation[1, 0] == 0
    assert np.linalg.eigvalsh(correlation).min() > 0


def hidden(patients: pd.DataFrame, at: int, *names: str) -> pd.DataFrame:
    return patients.iloc[[at]].assign(**dict.fromkeys(names, np.nan))


def test_the_same_patient_gets_the_same_answer_whatever_else_is_requested(
    mortality, patients
) -> None:
    model = mortality.loaded.risk_model
    row = hidden(patients, 5, "lactate", "ctx_s")
    row["albumin"] = 3.0
    model = restated(model, log_odds_variance=tuple(1e9 for _ in model.contract.grid_days))
    both = expected_changes(model, row, ["ctx_s", "lactate"])
    alone = expected_changes(model, row, ["lactate"])
    assert len(both) == 4
    assert [one for one in both if one.variable == "lactate"] == alone
    assert both == sorted(both, key=lambda one: -one.change_points)


def test_what_is_measured_or_unknown_to_the_model_is_left_out(mortality, patients) -> None:
    row = hidden(patients, 5, "lactate")
    names = ["age", "opg", "sex", "lactate", "lactate"]
    found = expected_changes(mortality.loaded.risk_model, row, names)
    assert {one.variable for one in found} == {"lactate"}
    assert len(found) == 2


def test_a_category_that_was_not_learned_is_as_one_not_measured(mortality, patients) -> None:
    model = mortality.loaded.risk_model
    assert "sex" in {column.feature for column in model.contract.joint.columns}
    changes = [
        expected_changes(model, hidden(patients, 5, "lactate").assign(sex=sex), ["lactate"])
        for sex in (None, "never seen", "male")
    ]
    assert changes[0] == changes[1] != changes[2]


def test_a_model_without_a_joint_distribution_expects_no_change(mortality, patients) -> None:
    model = restated(mortality.loaded.risk_model, joint=JointDistribution())
    row = hidden(patients, 5, "lactate")
    assert model.predict(row).status == ["ok"]
    assert expected_changes(model, row, ["lactate"]) == []


def test_the_expected_change_is_what_is_seen_once_the_value_is_known(mortality, patients) -> None:
    model = mortality.loaded.risk_model
    expected, seen = [], []
    for at in np.flatnonzero(patients["lactate"].notna())[:60]:
        row, whole = hidden(patients, at, "lactate"), patients.iloc[[at]]
        changes = expected_changes(model, row, ["lactate"], [90.0])
        then, now = model.predict(whole, [90.0]), model.predict(row, [90.0])
        if not changes or then.status != ["ok"]:
            continue
        expected.append(changes[0].change_points)
        seen.append(100 * abs(then.risk - now.risk)[0, 0])
    assert len(expected) >= 40
    # The mean over patients: what is left of chance is the spread of what was seen.
    apart = np.subtract(expected, seen)
    error = apart.std() / np.sqrt(len(apart))
    assert abs(apart.mean()) < max(3 * error, 0.5)
    assert np.corrcoef(expected, seen)[0, 1] > 0.3


def test_the_sampling_error_is_that_of_other_draws(mortality, patients) -> None:
    model = mortality.loaded.risk_model
    # A change too small to matter draws other values, since draws depend on the patient.
    found = [
        expected_changes(
            model, hidden(patients, 5, "lactate").assign(age=60 + 1e-7 * step), ["lactate"], [90.0]
        )[0]
        for step in range(20)
    ]
    spread = np.std([one.change_points for one in found])
    stated = np.mean([one.error_points for one in found])
    assert 0.4 < stated / spread < 2.5


def test_a_bundle_carries_it_alone(mortality, patients) -> None:
    model = mortality.loaded.risk_model
    code: dict[str, Any] = {"__name__": "bundle"}
    exec(
        compile(model_source().split("from mlflow")[0], "model.py", "exec", dont_inherit=True), code
    )
    alone = code["RiskModel"].from_files(model.files())
    row = hidden(patients, 5, "lactate")
    found = code["expected_changes"](alone, row, ["lactate"])
    assert found
    assert [tuple(one) for one in found] == [
        tuple(one) for one in expected_changes(model, row, ["lactate"])
    ]
