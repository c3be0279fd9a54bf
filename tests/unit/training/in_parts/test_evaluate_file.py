"""A model judged on a file in parts, by this process or by workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import DataError, RulesBroken, UsageError
from data_schema.table.files import read_table
from models.metrics.metric import Metric
from models.registry import patient_fingerprints
from models.registry.lifecycle import LoadedModel
from training.in_parts.evaluate_file import FileEvaluation, evaluate_file, rows_of_file
from training.score import cohort_for_model
from training.validation.judgement import judge
from training.validation.predictions import predict_cohort

IDS = ("patient_id", "stay_id", "site", "mortality_days", "mortality_event")


@pytest.fixture(scope="module")
def loaded(mortality) -> LoadedModel:
    return mortality.loaded


@pytest.fixture
def cohort(patients: pd.DataFrame) -> pd.DataFrame:
    """300 stays of 280 patients at two sites; nothing is entered of two."""
    rng = np.random.default_rng(3)
    frame = patients.assign(
        patient_id=[f"p{n % 280}" for n in range(len(patients))],
        stay_id=[f"s{n}" for n in range(len(patients))],
        site=[("north", "south")[n % 280 % 2] for n in range(len(patients))],
        mortality_days=np.ceil(rng.uniform(1, 200, len(patients))),
        mortality_event=rng.integers(0, 2, len(patients)),
    )
    frame.loc[[17, 230], list(patients)] = None
    return frame


def written(frame: pd.DataFrame, folder: Path, rows: int = 45) -> Path:
    path = folder / "cohort.parquet"
    frame.to_parquet(path, index=False, row_group_size=rows)
    return path


def evaluated(path: Path, loaded: LoadedModel, **options: Any) -> FileEvaluation:
    return evaluate_file(path, loaded, **({"rows_at_a_time": 100, "n_bootstrap": 20} | options))


def estimates(metrics: tuple[Metric, ...]) -> list[float]:
    return [metric.estimate for metric in metrics]


def test_a_file_in_parts_is_judged_like_the_whole(loaded, cohort, tmp_path) -> None:
    path = written(cohort, tmp_path)
    steps: list[tuple[str, int, int]] = []
    found = evaluated(path, loaded, progress=lambda *step: steps.append(step))

    contract = loaded.risk_model.contract
    whole = cohort_for_model(read_table(path), contract, outcome="mortality")
    predictions = predict_cohort(loaded.risk_model, whole)
    judgement = judge(predictions, whole, n_bootstrap=1, random_state=0)
    assert (found.stays, found.patients, found.events) == (300, 280, predictions.events)
    assert found.refusals == predictions.refusals
    assert found.refusals.refused == 2
    for of_parts, in_whole in (
        (found.judgement.metrics, judgement.metrics),
        (found.judgement.blanked, judgement.blanked),
        (found.judgement.metrics_of_answered, judgement.metrics_of_answered),
    ):
        assert [(m.metric, m.horizon_days, m.blank_share) for m in of_parts] == [
            (m.metric, m.horizon_days, m.blank_share) for m in in_whole
        ]
        # 300 stays at .01 of log-odds: a pair of them moves an area by 1 / 20,000.
        np.testing.assert_allclose(estimates(of_parts), estimates(in_whole), atol=4e-3)
    assert [(g.grouping, g.level, g.stays, g.events) for g in found.judgement.subgroups] == [
        (g.grouping, g.level, g.stays, g.events) for g in judgement.subgroups
    ]
    assert {"site", "sex", "age"} <= {g.grouping for g in found.judgement.subgroups}
    assert ("checking", 3, 0) in steps
    assert ("predicting", 3, 3) in steps
    assert steps[-1][0] == "judging"
    assert steps[-1][1] == steps[-1][2]
    assert list(tmp_path.iterdir()) == [path]


def test_parts_and_kinds_of_file_do_not_matter(loaded, cohort, tmp_path) -> None:
    first = evaluated(written(cohort, tmp_path), loaded)
    (tmp_path / "other").mkdir()
    shuffled = cohort.sample(frac=1, random_state=1)
    second = evaluated(written(shuffled, tmp_path / "other", 70), loaded, rows_at_a_time=140)
    cohort.to_csv(tmp_path / "cohort.csv", index=False)
    third = evaluated(tmp_path / "cohort.csv", loaded)
    for other in (second, third):
        for one, two in zip(first.judgement.metrics, other.judgement.metrics, strict=True):
            ends = [(m.estimate, m.low, m.high) for m in (one, two)]
            np.testing.assert_allclose(*ends, rtol=1e-7, atol=1e-9)


def test_a_part_may_hold_few_patients_and_no_outcome(loaded, cohort, tmp_path) -> None:
    first = evaluated(written(cohort, tmp_path), loaded)
    (tmp_path / "other").mkdir()
    rare_first = cohort.sort_values("mortality_event", kind="stable")
    path = written(rare_first, tmp_path / "other", 20)
    second = evaluated(path, loaded, rows_at_a_time=20)
    for one, two in zip(first.judgement.metrics, second.judgement.metrics, strict=True):
        ends = [(m.estimate, m.low, m.high) for m in (one, two)]
        np.testing.assert_allclose(*ends, rtol=1e-7, atol=1e-9)
    few = cohort.assign(mortality_event=(np.arange(300) < 5).astype(int))
    with pytest.raises(DataError, match="0 of 2 have"):
        evaluated(written(few, tmp_path), loaded)


def test_what_only_the_whole_file_shows_is_refused(loaded, cohort, tmp_path) -> None:
    ids = ["patient_id", "stay_id", "site"]
    cohort.loc[290, ids] = cohort.loc[3, ids].tolist()
    cohort.loc[250, "mortality_days"] = -4
    with pytest.raises(RulesBroken) as refused:
        evaluated(written(cohort, tmp_path), loaded)
    assert {"duplicate_stays"} < {finding.rule for finding in refused.value.findings}
    assert "p3" not in str(refused.value)


def test_a_model_that_refuses_all_is_named(loaded, cohort, tmp_path) -> None:
    cohort[[name for name in cohort if name not in (*IDS, "age")]] = None
    with pytest.raises(DataError, match="refuses all 300 rows"):
        evaluated(written(cohort, tmp_path), loaded)


def test_patients_learned_from_are_counted(loaded, cohort, tmp_path, monkeypatch) -> None:
    path = written(cohort, tmp_path)
    assert evaluated(path, loaded).overlap.not_known.startswith("neither OSTEON_PATIENT_KEY")
    monkeypatch.setenv("OSTEON_PATIENT_KEY", "a key of this test")
    key = patient_fingerprints.patient_key()
    assert key is not None
    some = np.array(["p3", "p200", "p279", "elsewhere"], dtype=object)
    stored = patient_fingerprints.PatientFingerprints.of(some, key)
    monkeypatch.setattr("training.in_parts.evaluate_file.stored_fingerprints", lambda _: stored)
    overlap = evaluated(path, loaded).overlap
    assert (overlap.shared, overlap.patients) == (3, 280)
    elsewhere = replace(stored, key="another")
    monkeypatch.setattr("training.in_parts.evaluate_file.stored_fingerprints", lambda _: elsewhere)
    assert evaluated(path, loaded).overlap.not_known.endswith("another key")
    assert evaluated(path, replace(loaded, run_id=None)).overlap.shared is None
    unnamed = written(cohort.drop(columns=["patient_id", "stay_id"]), tmp_path)
    monkeypatch.setattr("training.in_parts.evaluate_file.stored_fingerprints", lambda _: stored)
    found = evaluated(unnamed, loaded)
    assert "no identifiers" in found.overlap.not_known
    assert found.patients == 300


def test_the_rows_of_a_file_are_counted_without_reading_it(cohort, tmp_path) -> None:
    assert rows_of_file(written(cohort, tmp_path)) == 300
    cohort.to_csv(tmp_path / "cohort.csv", index=False)
    assert rows_of_file(tmp_path / "cohort.csv") == 301
    assert rows_of_file(tmp_path / "cohort.xlsx") == 0
    with pytest.raises(UsageError, match="no file exists"):
        rows_of_file(tmp_path / "absent.parquet")
