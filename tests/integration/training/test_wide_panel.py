"""A model of every variable in the catalogue, most of which most patients lack, as in the demo."""

from __future__ import annotations

from typing import Any

import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::mlflow")]


def test_patients_as_complete_as_those_learned_from_are_answered(workplace: Any) -> None:
    workplace.run("simulate", "--patients", "1000", "--out", "c.parquet")
    (workplace.folder / "run.toml").write_text(
        "interval_folds = 3\nmax_trees = 5\nbootstrap_resamples = 50\ntest_fraction = 0.3\n"
    )

    answer = workplace.run(
        *("train", "c.parquet", "--outcome", "fracture", "--config", "run.toml", "--json")
    )

    assert answer.code == 0, answer.out + answer.err
    assert answer.json["refused"] <= 0.05 * answer.json["n_evaluated"]
