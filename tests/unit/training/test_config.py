from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from data_schema.errors import UsageError
from models.estimator import CumulativeIncidenceModel
from training.config import Boosting, RunConfig, Tuning, parse_config, read_config


def test_the_primary_horizon_of_a_panel_is_fixed_beforehand() -> None:
    config = parse_config('added_value = ["ctx_s"]\nprimary_horizon_days = 60')

    assert config.primary_horizon_days == 60
    assert parse_config("seed = 1").primary_horizon_days is None


def test_what_a_file_does_not_state_keeps_its_default() -> None:
    config = parse_config('seed = 7\nsplit = "site"\nhorizons_days = [28, 90]\nexclude = ["sps"]')
    assert config == RunConfig(seed=7, split="site", horizons_days=(28.0, 90.0), exclude=("sps",))


def test_a_run_grows_as_many_trees_as_the_estimator() -> None:
    assert RunConfig().max_trees == CumulativeIncidenceModel().max_trees


def test_the_boosted_part_has_the_defaults_of_the_estimator() -> None:
    ours, theirs = asdict(Boosting()), CumulativeIncidenceModel().get_params()
    theirs["penalty"] = theirs["boosting_penalty"]
    assert ours == {name: theirs[name] for name in ours}


def test_every_setting_can_be_stated_and_is_kept_as_json() -> None:
    stated = RunConfig(threads=2, population="Adults of two ICUs").as_json()

    def toml(value: object) -> str:
        if isinstance(value, dict):
            return f"{{{', '.join(f'{name} = {toml(one)}' for name, one in value.items())}}}"
        return json.dumps(list(value) if isinstance(value, tuple) else value)

    lines = [
        f"{name} = {toml(value)}"
        for name, value in stated.items()
        if value is not None  # TOML has no null: what is not stated keeps its default
    ]
    assert parse_config("\n".join(lines)).as_json() == stated


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'horizons_days = [28, 90]\nadded_value = ["ctx_s"]\nprimary_horizon_days = 60',
            "primary_horizon_days must be one of horizons_days",
        ),
        ("primary_horizon_days = 60", "primary_horizon_days must be one of"),
        ("horizons_days = [28, inf]", "horizons_days must be days above 0"),
        ("sead = 1", "config has unknown keys: sead. Known: "),
        ("seed = 1.5", "seed must be a whole number; got "),
        ("seed = true", "seed must be a whole number; got "),
        ("seed = -1", "seed must be 0 or more; got -1."),
        ('seed = "1"', "seed must be a whole number"),
        ("simulated = 1", "simulated must be true or false"),
        ("horizons_days = 28", "horizons_days must be a list of numbers"),
        ('horizons_days = ["28"]', "horizons_days must be a list of numbers"),
        ("horizons_days = [90, 28]", "horizons_days must be days above 0 in ascending order"),
        ("horizons_days = [0, 28]", "horizons_days must be days above 0 in ascending order"),
        ("test_fraction = 1.0", "test_fraction must lie strictly between 0 and 1; got 1.0."),
        ("repeats = 0", "repeats must be 1 or more, and not be stated beside test_fraction"),
        (
            "repeats = 2\ntest_fraction = 0.3",
            "repeats must be 1 or more, and not be stated beside test_fraction or a split by site",
        ),
        ("refit_on_all = false", "refit_on_all must be true unless patients are held out"),
        ('split = "ward"', "split must be one of patient, site, time; got 'ward'."),
        ("interval_folds = 2", "interval_folds must be 3 or more; got 2."),
        ("bootstrap_resamples = 10", "bootstrap_resamples must be 50 or more"),
        ("max_trees = 0", "max_trees must be 1 or more"),
        ("threads = 0", "threads must be 1 or more"),
        ("seed = ", "config must be valid TOML"),
    ],
)
def test_what_breaks_a_rule_is_wrong_usage(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_config(text)
    assert str(raised.value).startswith(message.split(" Known")[0])


def test_a_file_that_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="config must be a TOML file in UTF-8"):
        read_config(tmp_path / "none.toml")


def test_the_boosted_part_and_its_search_are_tables_of_their_own() -> None:
    stated = parse_config("test_fraction = 0.3\n[boosting]\nmax_depth = 3\n[tuning]\ntrials = 9")
    assert stated.boosting == Boosting(max_depth=3)
    assert stated.tuning == Tuning(trials=9)
    assert parse_config("seed = 1").tuning is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tuning]\ntrials = 9", "tuning must be stated with patients held out"),
        ("test_fraction = 0.3\n[tuning]\ntrials = 1", "tuning.trials must be 2 or more; got 1."),
        ("test_fraction = 0.3\n[tuning]\nstorage = 'x'", "tuning.storage must be a database"),
        ("test_fraction = 0.3\n[tuning]\nfolds = 3", r"\[tuning\] has unknown keys: folds"),
        ("tuning = 3", r"\[tuning\] must be a table of settings; got 3"),
        ("[boosting]\nrow_share = 1.5", "boosting.row_share must lie above 0 and at most at 1"),
        ("[boosting]\nmax_depth = 3.5", "max_depth must be a whole number"),
    ],
)
def test_settings_of_the_boosted_part_and_of_its_search_are_checked(
    text: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        parse_config(text)


def test_the_study_is_stated_in_a_table_of_its_own() -> None:
    config = parse_config('seed = 3\n[study]\nethics = "Approved by the board of a test"\n')

    assert config.study.ethics == "Approved by the board of a test"
    assert config.study.funding == ""
    assert "study" not in config.as_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[study]\nethic = "x"', "study has unknown keys: ethic. Known: action, code_access"),
        ("[study]\nethics = 3", "study must hold texts; ethics are not"),
        ('study = "x"', "study must be a table"),
    ],
)
def test_a_study_that_cannot_be_read_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_config(text)
