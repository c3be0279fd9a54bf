"""Delayed entry at the commands: refused, or counted from entry under a name of its own."""

from __future__ import annotations

from typing import Any

import pytest

from late_entries import left_truncated

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

FROM_ENTRY = """
[outcome.mortality]
days = "mortality_days"
event = "mortality_event"
entry_days = "enrolled_on_day"
time_zero = "entry"
[columns.enrolled_on_day]
variable = "days_before_entry"
kind = "number"
pathway = "person"
unit = "d"
"""
SETTINGS = """
horizons_days = [90]
population = "Made-up adults of a test"
interval_folds = 3
max_trees = 5
bootstrap_resamples = 50
threads = 1
test_fraction = 0.3
refit_on_all = false
"""
MODEL = "models:/osteon-mortality-from-entry/1"


@pytest.mark.slow
def test_a_delayed_entry_is_refused_or_counted_from(workplace: Any) -> None:
    left_truncated().to_csv(workplace.folder / "late.csv", index=False)
    (workplace.folder / "entry.toml").write_text(FROM_ENTRY)
    (workplace.folder / "run.toml").write_text(SETTINGS)
    train = ("train", "late.csv", "--outcome", "mortality", "--config", "run.toml", "--json")

    checked = workplace.run("check", "late.csv", "--json")
    assert checked.code == 1
    assert [f["rule"] for f in checked.json["fatal"]] == ["delayed_entry"]
    evaluate = ("evaluate", "late.csv", "--outcome", "mortality", "--instability", "20")
    for command in (train, evaluate):
        refused = workplace.run(*command)
        assert refused.code == 1
        assert "enrolled_on_day must not be a delayed entry" in refused.out + refused.err

    trained = workplace.run(*train, "--mapping", "entry.toml")
    assert trained.code == 0, trained.err
    assert trained.json["model_name"] == "osteon-mortality-from-entry"
    again = workplace.run(
        "evaluate", "late.csv", "--model", MODEL, "--mapping", "entry.toml", "--json"
    )
    assert again.code == 0, again.err
    mapping = FROM_ENTRY.replace('entry_days = "enrolled_on_day"\ntime_zero = "entry"\n', "")
    (workplace.folder / "start.toml").write_text(mapping)
    late = left_truncated()
    late["mortality_days"] -= late["enrolled_on_day"]
    late.to_csv(workplace.folder / "other.csv", index=False)
    other = workplace.run("evaluate", "other.csv", "--model", MODEL, "--mapping", "start.toml")
    assert other.code == 2
    assert "those of the cohort count from another time zero" in other.err
