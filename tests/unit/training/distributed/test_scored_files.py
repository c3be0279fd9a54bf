"""A file that workers check and score comes out as one process writes it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from data_schema.errors import OutsideError, RulesBroken, UsageError
from models.registry.lifecycle import LoadedModel
from training.distributed.cluster import Cluster
from training.score_files import ScoreOptions, score_file

OPTIONS = ScoreOptions(explain=True, rows_at_a_time=100)


@pytest.fixture(scope="module")
def loaded(mortality) -> LoadedModel:
    return mortality.loaded


@pytest.fixture
def cohort(patients: pd.DataFrame) -> pd.DataFrame:
    return patients.assign(patient_id=[f"p{n}" for n in range(len(patients))])


def written(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_parquet(folder / "cohort.parquet", index=False, row_group_size=45)
    return folder / "cohort.parquet"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder beside that of the cluster, whose fixture expects an empty one."""
    return tmp_path_factory.mktemp("scored")


def test_workers_write_what_one_process_writes(
    cluster: Cluster, loaded: LoadedModel, cohort: pd.DataFrame, folder: Path
) -> None:
    cohort.loc[17, "age"] = 12
    path = written(cohort, folder)
    one, two = folder / "one.parquet", folder / "two.parquet"
    alone = score_file(path, one, loaded, OPTIONS)
    steps: list[tuple[str, int, int]] = []
    there = score_file(
        path, two, loaded, OPTIONS, cluster=cluster, progress=lambda *step: steps.append(step)
    )
    assert there == alone
    # Row groups of 45 rows: two of them are a part of at most 100.
    assert steps[-1] == ("scoring", 4, 4)
    pd.testing.assert_frame_equal(
        pd.read_parquet(two), pd.read_parquet(one), check_exact=False, rtol=0, atol=1e-12
    )
    assert {p.name for p in folder.iterdir()} == {"cohort.parquet", "one.parquet", "two.parquet"}


def test_workers_refuse_what_one_process_refuses(
    cluster: Cluster, loaded: LoadedModel, cohort: pd.DataFrame, folder: Path
) -> None:
    # A repeated stay, far apart, and a value out of range in one part.
    cohort["stay_id"] = [f"s{n}" for n in range(len(cohort))]
    cohort.loc[290, ["patient_id", "stay_id"]] = cohort.loc[3, ["patient_id", "stay_id"]].tolist()
    cohort.loc[250, "lactate"] = -4.0
    path = written(cohort, folder)
    broken = []
    for workers in (None, cluster):
        with pytest.raises(RulesBroken) as refused:
            score_file(path, folder / "out.csv", loaded, OPTIONS, cluster=workers)
        broken.append({(f.rule, f.variable, f.count) for f in refused.value.findings})
    assert broken[0] == broken[1]
    assert {"duplicate_stays"} < {rule for rule, _, _ in broken[1]}
    assert not (folder / "out.csv").exists()


def test_workers_need_row_groups_and_rows(
    cluster: Cluster, loaded: LoadedModel, cohort: pd.DataFrame, folder: Path
) -> None:
    cohort.to_csv(folder / "cohort.csv", index=False)
    with pytest.raises(UsageError, match=r"--dask needs a .parquet file"):
        score_file(folder / "cohort.csv", folder / "o.csv", loaded, OPTIONS, cluster=cluster)
    with pytest.raises(RulesBroken, match="at least one row"):
        score_file(
            written(cohort.iloc[:0], folder), folder / "o.csv", loaded, OPTIONS, cluster=cluster
        )


def test_a_part_that_no_worker_wrote_here_is_an_error(
    cluster: Cluster,
    loaded: LoadedModel,
    cohort: pd.DataFrame,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if the worker wrote to a disk of its own.
    monkeypatch.setattr("training.score_files._score_part", lambda *_: None)
    with pytest.raises(OutsideError, match="must be shared with every Dask worker"):
        score_file(written(cohort, folder), folder / "o.csv", loaded, OPTIONS, cluster=cluster)
