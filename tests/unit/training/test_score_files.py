"""Files that are scored in parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import OutsideError, RulesBroken, UsageError
from data_schema.table.files import read_table
from models.registry.lifecycle import LoadedModel
from training.score import score_table
from training.score_files import ScoreOptions, score_file

IN_PARTS = ScoreOptions(explain=True, rows_at_a_time=100)


@pytest.fixture(scope="module")
def loaded(mortality) -> LoadedModel:
    return mortality.loaded


@pytest.fixture(scope="module")
def cohort(patients: pd.DataFrame) -> pd.DataFrame:
    """300 stays; one patient is too young, and one group is new to the model."""
    frame = patients.assign(patient_id=[f"p{n}" for n in range(len(patients))])
    frame.loc[17, "age"] = 12
    frame.loc[250, "dzgroup"] = "Another"
    return frame


def _written(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False, sep=";")
    else:
        frame.to_parquet(path, index=False, row_group_size=45)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_in_parts_is_scored_like_the_whole(loaded, cohort, tmp_path, suffix):
    path = _written(cohort, tmp_path / f"cohort{suffix}")
    reported: list[tuple[str, int, int]] = []

    scored = score_file(
        path, tmp_path / "out.parquet", loaded, IN_PARTS, progress=lambda *s: reported.append(s)
    )

    whole = score_table(read_table(path), loaded.risk_model, explain=True)
    whole["time_zero"] = whole["time_zero"].astype("str")  # all empty
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out.parquet"), whole, check_dtype=False, rtol=0, atol=1e-9
    )
    assert (scored.rows, scored.patients) == (len(whole), 300)
    assert (scored.refused, scored.unknown_category) == (1, 1)
    assert reported[-1] == ("scoring", 3, 3)
    assert {p.name for p in tmp_path.iterdir()} == {path.name, "out.parquet"}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_stopped_run_goes_on_and_writes_the_same_bytes(loaded, cohort, tmp_path, suffix):
    path = _written(cohort, tmp_path / "cohort.parquet")
    undisturbed, out = tmp_path / f"undisturbed{suffix}", tmp_path / f"out{suffix}"
    score_file(path, undisturbed, loaded, IN_PARTS)

    def stop(task: str, done: int, _: int) -> None:
        if (task, done) == ("scoring", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(path, out, loaded, IN_PARTS, progress=stop)
    assert not out.exists()
    (folder,) = tmp_path.glob(".out.*.parts")
    assert folder.stat().st_mode & 0o077 == 0
    # A part whose end is missing is scored again; the first is not.
    finished = sorted(folder.glob("*.arrow"))
    assert len(finished) == 2
    finished[1].write_bytes(finished[1].read_bytes()[:100])
    first_written = finished[0].stat().st_mtime_ns

    def first_is_kept(task: str, done: int, _: int) -> None:
        assert task != "scoring" or finished[0].stat().st_mtime_ns == first_written

    score_file(path, out, loaded, IN_PARTS, progress=first_is_kept)

    assert out.read_bytes() == undisturbed.read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_parts_are_written_while_others_are_scored(loaded, cohort, tmp_path, suffix):
    path, out = _written(cohort, tmp_path / "cohort.parquet"), tmp_path / f"out{suffix}"
    sizes: list[int] = []

    def drafted(task: str, *_: int) -> None:
        if task == "scoring":
            drafts = tmp_path.glob(f".out{suffix}.parts/.out.*{suffix}")
            sizes.append(sum(draft.stat().st_size for draft in drafts))

    score_file(path, out, loaded, IN_PARTS, progress=drafted)

    assert 0 == sizes[0] < sizes[1] < sizes[2] < out.stat().st_size


def test_what_a_killed_run_left_is_removed(loaded, cohort, tmp_path):
    path, out = _written(cohort, tmp_path / "cohort.parquet"), tmp_path / "out.parquet"
    score_file(path, tmp_path / "undisturbed.parquet", loaded, IN_PARTS)
    folder = tmp_path / ".out.parquet.parts"

    def leave_a_draft(task: str, done: int, _: int) -> None:
        if (task, done) == ("scoring", 2):
            # A process that is killed removes nothing.
            (folder / ".out.1.parquet").write_bytes(b"half a file")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(path, out, loaded, IN_PARTS, progress=leave_a_draft)
    assert {p.name for p in folder.iterdir()} >= {".out.1.parquet", "000000.arrow"}

    steps: list[tuple[str, int, int]] = []
    score_file(path, out, loaded, IN_PARTS, progress=lambda *step: steps.append(step))

    assert [step for step in steps if step[0] == "scoring"] == [("scoring", n, 3) for n in (2, 3)]
    assert out.read_bytes() == (tmp_path / "undisturbed.parquet").read_bytes()
    assert not folder.exists()
    assert {p.name for p in tmp_path.iterdir()} == {path.name, out.name, "undisturbed.parquet"}


def test_rows_are_never_appended_to_what_a_killed_process_left(loaded, cohort, tmp_path):
    path, out = _written(cohort, tmp_path / "cohort.parquet"), tmp_path / "out.csv"
    score_file(path, tmp_path / "undisturbed.csv", loaded, IN_PARTS)
    folder, left = tmp_path / ".out.csv.parts", {}

    def killed(task: str, done: int, _: int) -> None:
        if (task, done) == ("scoring", 2):
            left.update({draft: draft.read_bytes() for draft in folder.glob(".out.*.csv")})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(path, out, loaded, IN_PARTS, progress=killed)
    # A killed process removes nothing, and in a container the next one has the same number.
    for draft, content in left.items():
        draft.write_bytes(content)
    assert left

    score_file(path, out, loaded, IN_PARTS)

    assert out.read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()


def test_an_error_of_the_disk_names_what_could_not_be_written(loaded, cohort, tmp_path):
    path, out = _written(cohort, tmp_path / "cohort.parquet"), tmp_path / "out.parquet"
    folder = tmp_path / ".out.parquet.parts"

    def occupy(task: str, done: int, _: int) -> None:
        if (task, done) == ("scoring", 1):
            (folder / "000002.arrow").mkdir()

    with pytest.raises(OutsideError, match=r"\.out\.parquet\.parts could not be written: Is a dir"):
        score_file(path, out, loaded, IN_PARTS, progress=occupy)
    (folder / "000002.arrow").rmdir()
    out.mkdir()
    with pytest.raises(OutsideError, match=r"/out\.parquet could not be written: Is a directory"):
        score_file(path, out, loaded, IN_PARTS)
    # Once the cause is removed, finished parts are there.
    out.rmdir()
    steps: list[tuple[str, int, int]] = []
    scored = score_file(path, out, loaded, IN_PARTS, progress=lambda *step: steps.append(step))
    assert [step for step in steps if step[0] == "scoring"] == [("scoring", 3, 3)]
    assert len(pd.read_parquet(out)) == scored.rows


def test_parts_of_another_run_are_not_used(loaded, cohort, tmp_path):
    path = _written(cohort, tmp_path / "cohort.parquet")

    def stop(task: str, done: int, _: int) -> None:
        if (task, done) == ("scoring", 2):
            raise KeyboardInterrupt

    for options in (IN_PARTS, replace(IN_PARTS, horizons_days=(90.0,))):
        with pytest.raises(KeyboardInterrupt):
            score_file(path, tmp_path / "out.csv", loaded, options, progress=stop)
    _written(cohort.assign(age=cohort["age"] + 1), path)

    score_file(path, tmp_path / "out.csv", loaded, IN_PARTS)

    whole = score_table(read_table(path), loaded.risk_model)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out.csv")["risk"], whole["risk"], atol=1e-9)


def test_rows_without_identifiers_are_numbered_through(loaded, cohort, tmp_path):
    path = _written(cohort.drop(columns="patient_id"), tmp_path / "cohort.csv")

    score_file(path, tmp_path / "out.csv", loaded, replace(IN_PARTS, horizons_days=(90.0,)))

    assert pd.read_csv(tmp_path / "out.csv")["patient_id"].tolist() == [*range(1, 301)]


def test_numbers_of_sites_are_kept_apart_where_parts_are_of_one_site(loaded, cohort, tmp_path):
    of_site = cohort.assign(
        patient_id=[*range(150), *range(150)], site=["north"] * 150 + ["south"] * 150
    )
    path = _written(of_site, tmp_path / "cohort.csv")

    score_file(path, tmp_path / "out.csv", loaded, replace(IN_PARTS, horizons_days=(90.0,)))

    scored = pd.read_csv(tmp_path / "out.csv")
    assert scored["patient_id"].iloc[0] == "north/0"
    assert scored["patient_id"].is_unique


@pytest.mark.parametrize(
    ("rows", "numbers", "rule"),
    [
        ([280], ["p3"], "duplicate_stays"),
        ([280], ["P3"], "id_spelling"),
        ([3, 280], ["0031", "31"], "id_spelling"),
    ],
)
def test_identifiers_are_judged_over_the_whole_file(loaded, cohort, tmp_path, rows, numbers, rule):
    cohort = cohort.assign(stay_id=1)
    cohort.loc[rows, "patient_id"] = numbers
    path = _written(cohort, tmp_path / "cohort.csv")

    with pytest.raises(RulesBroken) as refused:
        score_file(path, tmp_path / "out.csv", loaded, IN_PARTS)

    assert [f.rule for f in refused.value.findings] == [rule]
    assert refused.value.findings[0].count == (1 if rule == "duplicate_stays" else 2)
    assert not (tmp_path / "out.csv").exists()


def test_a_rule_that_a_later_part_breaks_is_named_with_the_part(loaded, cohort, tmp_path):
    broken = cohort.astype({"lactate": object})
    broken.loc[[200, 290], "lactate"] = "many"
    path = _written(broken, tmp_path / "cohort.csv")

    with pytest.raises(RulesBroken) as refused:
        score_file(path, tmp_path / "out.csv", loaded, IN_PARTS)

    (finding,) = refused.value.findings
    assert (finding.rule, finding.variable, finding.count) == ("not_a_number", "lactate", 2)
    assert finding.message.startswith("In part 3 of 3 of the file: lactate must be a number")


def test_a_column_that_one_part_leaves_empty_is_scored_as_empty(loaded, cohort, tmp_path):
    cohort = cohort.astype({"ctx_s": object})
    cohort.loc[100:199, "ctx_s"] = None
    path = _written(cohort, tmp_path / "cohort.csv")

    score_file(path, tmp_path / "out.parquet", loaded, IN_PARTS)

    whole = score_table(read_table(path), loaded.risk_model)
    np.testing.assert_allclose(
        pd.read_parquet(tmp_path / "out.parquet")["risk"], whole["risk"], rtol=0, atol=1e-9
    )


def test_a_cohort_is_not_replaced_by_its_risks(loaded, cohort, tmp_path):
    path = _written(cohort, tmp_path / "cohort.csv")
    with pytest.raises(UsageError, match=r"another file than the cohort; got cohort.csv"):
        score_file(path, tmp_path / "." / "cohort.csv", loaded, IN_PARTS)


def test_a_horizon_out_of_range_is_refused_before_the_file_is_read(loaded, tmp_path):
    beyond = replace(IN_PARTS, horizons_days=(1e5,))
    with pytest.raises(UsageError, match="horizons_days must lie in"):
        score_file(tmp_path / "absent.csv", tmp_path / "out.csv", loaded, beyond)
