"""Data sets are found by name, and a missing one says what to do."""

from pathlib import Path

import pandas as pd
import pytest

from data_schema.errors import DataError, OutsideError, UsageError
from places import FIXTURES
from training.datasets import support2
from training.datasets.registry import data_folder, dataset, load_dataset
from training.datasets.support2 import support2_comparators


def test_a_name_is_found_whatever_its_case():
    assert dataset("Framingham").name == "framingham"


def test_an_unknown_name_is_refused_with_close_ones():
    with pytest.raises(UsageError, match=r"Did you mean support2\?"):
        dataset("suport2")


def test_the_argument_wins_over_the_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("OSTEON_DATA_DIR", "/elsewhere")
    assert data_folder(tmp_path) == tmp_path
    assert data_folder() == Path("/elsewhere")


def test_a_missing_file_says_where_to_point(tmp_path):
    with pytest.raises(OutsideError, match="OSTEON_DATA_DIR"):
        load_dataset("glow", tmp_path)


def test_a_folder_s_table_is_loaded(tmp_path):
    (tmp_path / "glow").mkdir()
    rows = pd.read_csv(FIXTURES / "glow.csv")
    rows.to_csv(tmp_path / "glow" / "glow_bonemed.csv", index=False)
    assert len(load_dataset("glow", tmp_path)) == 10


@pytest.fixture
def full_file(monkeypatch, tmp_path):
    """The package's ten rows, and a full file of the same patients to be written beside them."""
    rows = pd.read_csv(FIXTURES / "support2.csv")
    known = support2.DATASET
    monkeypatch.setattr(
        support2,
        "DATASET",
        type(known)(**{f: getattr(known, f) for f in known.__slots__} | {"read": lambda _: rows}),
    )
    (tmp_path / "support2").mkdir()
    names = {
        "num_age": "age", "num_num_co": "num.co", "num_meanbp": "meanbp", "num_crea": "crea",
        "time": "d.time", "event": "death",
    }  # fmt: skip
    full = rows.rename(columns=names).assign(surv6m=0.5, prg6m=0.4, aps=40)

    def write(table: pd.DataFrame) -> Path:
        table.to_csv(tmp_path / "support2" / "support2.csv", index=False)
        return tmp_path

    return full, write


def test_comparators_stand_beside_the_cohort_row_by_row(full_file):
    full, write = full_file
    beside = support2_comparators(write(full))
    assert beside.columns.tolist() == ["surv6m", "prg6m", "d.time", "death", "aps"]
    assert len(beside) == 10


def test_comparators_in_another_order_are_refused(full_file):
    full, write = full_file
    with pytest.raises(DataError, match="in SurvSet's order"):
        support2_comparators(write(full.iloc[::-1]))


def test_comparators_of_fewer_patients_are_refused(full_file):
    full, write = full_file
    with pytest.raises(DataError, match="must hold the 10 patients"):
        support2_comparators(write(full.head(9)))
