"""A file that workers check, predict and judge gives what one process gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import RulesBroken, UsageError
from models.registry.lifecycle import LoadedModel
from training.distributed.cluster import Cluster
from training.in_parts.evaluate_file import FileEvaluation, evaluate_file


@pytest.fixture(scope="module")
def loaded(mortality) -> LoadedModel:
    return mortality.loaded


@pytest.fixture
def cohort(patients: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 patients in row groups of 50, in a folder beside that of the cluster."""
    rng = np.random.default_rng(3)
    frame = patients.assign(
        patient_id=[f"p{n}" for n in range(len(patients))],
        mortality_days=np.ceil(rng.uniform(1, 200, len(patients))),
        mortality_event=rng.integers(0, 2, len(patients)),
    )
    path = tmp_path_factory.mktemp("judged") / "cohort.parquet"
    frame.to_parquet(path, index=False, row_group_size=50)
    return path


def evaluated(path: Path, loaded: LoadedModel, cluster: Cluster | None) -> FileEvaluation:
    return evaluate_file(path, loaded, cluster=cluster, rows_at_a_time=100, n_bootstrap=20)


def test_workers_judge_as_one_process_does(
    cluster: Cluster, loaded: LoadedModel, cohort: Path
) -> None:
    # Row groups of 50 rows: two of them are a part of 100.
    one, two = evaluated(cohort, loaded, None), evaluated(cohort, loaded, cluster)
    assert two.as_json() == one.as_json()
    assert [path.name for path in cohort.parent.iterdir()] == ["cohort.parquet"]


def test_workers_refuse_what_one_process_refuses(
    cluster: Cluster, loaded: LoadedModel, cohort: Path
) -> None:
    frame = pd.read_parquet(cohort)
    frame["stay_id"] = [f"s{n}" for n in range(len(frame))]
    frame.loc[290, ["patient_id", "stay_id"]] = frame.loc[3, ["patient_id", "stay_id"]].tolist()
    frame.to_parquet(cohort, index=False, row_group_size=50)
    for workers in (None, cluster):
        with pytest.raises(RulesBroken) as refused:
            evaluated(cohort, loaded, workers)
        assert {finding.rule for finding in refused.value.findings} == {"duplicate_stays"}
    frame.to_csv(cohort.with_suffix(".csv"), index=False)
    with pytest.raises(UsageError, match=r"--dask needs a .parquet file"):
        evaluated(cohort.with_suffix(".csv"), loaded, cluster)
