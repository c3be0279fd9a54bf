"""Every kind of bad input, through the command: exit code, rule, name and count, and no value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

CHAMPION = "models:/osteon-mortality-simulated@champion"
ROWS = 120
SENTINEL = "7319.0625"
"""A value that occurs nowhere else, so that any trace of it is a leak."""

Change = Callable[[pd.DataFrame], pd.DataFrame]


def put(column: str, *cells: Any) -> Change:
    """Return a change of the first cells of a column."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype(object)
        table.loc[: len(cells) - 1, column] = list(cells)
        return table

    return change


def keep(rows: int) -> Change:
    return lambda table: table.head(rows)


FATAL = {
    "missing column": (
        lambda t: t.drop(columns="mortality_event"),
        [("missing_column", "mortality_event", 1)],
    ),
    "swapped units": (
        lambda t: t.assign(albumin=10 * t["albumin"]),
        [("unit_suspect", "albumin", ROWS)],
    ),
    "1e9": (put("lactate", "1e9", "1e9"), [("range", "lactate", 2)]),
    "out of range": (put("lactate", SENTINEL), [("range", "lactate", 1)]),
    "negative": (put("lactate", -7.31906, -3), [("range", "lactate", 2)]),
    "text in a number": (put("lactate", f"high {SENTINEL}"), [("not_a_number", "lactate", 1)]),
    "infinite": (put("lactate", "inf", "-inf"), [("infinite", "lactate", 2)]),
    "duplicate stays": (
        lambda t: pd.concat([t, t.head(3)]),
        [("duplicate_stays", "stay_id", 3)],
    ),
    "event after censoring": (
        lambda t: t.assign(
            fracture_days=t["mortality_days"] + 5,
            fracture_event=np.where(t["mortality_event"] == 1, 1, 0),
        ),
        [("event_after_censoring", "mortality", None)],
    ),
    "one class only": (
        lambda t: t.assign(mortality_event=0),
        [("one_class", "mortality", ROWS)],
    ),
    "ten patients": (keep(10), [("too_few", "patient_id", 10)]),
    "10,000 columns": (
        lambda t: pd.DataFrame(
            np.zeros((60, 10_000)), columns=[f"c{place}" for place in range(10_000)]
        ),
        [("too_many_columns", "", 10_000)],
    ),
}


@pytest.fixture
def bad(workplace: Any, simulated: Callable[..., pd.DataFrame]) -> Callable[[Change], Any]:
    """Return a function that writes a changed cohort and gives the folder it is in."""

    def write(change: Change) -> Any:
        change(simulated(ROWS, 5)).to_csv(workplace.folder / "bad.csv", index=False)
        return workplace

    return write


def broken(findings: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(one["rule"], one["variable"], one["count"]) for one in findings]


@pytest.mark.parametrize("name", FATAL)
def test_what_is_fatal_is_reported_by_rule_name_and_count(
    bad: Callable[[Change], Any], name: str
) -> None:
    change, expected = FATAL[name]
    place = bad(change)
    checked = place.run("check", "bad.csv", "--json")
    trained = place.run("train", "bad.csv", "--outcome", "mortality", "--json")
    spoken = place.run("train", "bad.csv", "--outcome", "mortality")
    assert (checked.code, trained.code, spoken.code) == (1, 1, 1)
    assert spoken.out == ""
    for found in (checked.json["fatal"], trained.json["error"]["findings"]):
        complaints = broken(found)
        for rule, variable, count in expected:
            counts = [c for r, v, c in complaints if (r, v) == (rule, variable)]
            assert len(counts) == 1, complaints
            assert counts[0] > 0
            assert count is None or counts == [count]
        assert {rule for rule, *_ in complaints} >= {rule for rule, *_ in expected}
    for rule, variable, count in expected:
        line = next(one for one in spoken.err.splitlines() if f"[{rule}] {variable}" in one)
        assert count is None or f"({count})" in line
    everything = "".join(answer.out + answer.err for answer in (checked, trained, spoken))
    assert "Traceback" not in everything
    assert SENTINEL not in everything
    assert "7.31906" not in everything
    assert "patient-5-" not in everything
    assert place.files() == {"bad.csv"}


def test_an_empty_file_is_a_rule_and_not_a_traceback(workplace: Any) -> None:
    (workplace.folder / "bad.csv").write_text("")
    answer = workplace.run("check", "bad.csv", "--json")
    assert answer.code == 1
    assert broken(answer.json["fatal"]) == [("empty_file", "", 0)]
    assert workplace.run("train", "bad.csv", "--outcome", "mortality").code == 1
    assert workplace.files() == {"bad.csv"}


def test_a_wrong_unit_in_the_mapping_is_fatal(
    bad: Callable[[Change], Any], simulated: Callable[..., pd.DataFrame]
) -> None:
    place = bad(lambda table: table.rename(columns={"lactate": "Laktat"}))
    (place.folder / "m.toml").write_text('[columns.Laktat]\nvariable = "lactate"\nunit = "ng/mL"\n')
    answer = place.run("check", "bad.csv", "--mapping", "m.toml", "--json")
    assert answer.code == 1
    measured = int(simulated(ROWS, 5)["lactate"].notna().sum())
    assert broken(answer.json["fatal"]) == [("unit", "lactate", measured)]


def test_a_variable_all_missing_is_left_out_with_a_warning(bad: Callable[[Change], Any]) -> None:
    answer = bad(lambda table: table.assign(crp=None)).run("check", "bad.csv", "--json")
    assert answer.code == 0
    assert broken(answer.json["warnings"]) == [("all_missing", "crp", ROWS)]


def test_an_unknown_category_counts_as_missing_with_a_warning(
    bad: Callable[[Change], Any],
) -> None:
    answer = bad(put("sex", "martian", "venusian")).run("check", "bad.csv", "--json")
    assert answer.code == 0
    assert broken(answer.json["warnings"]) == [("category", "sex", 2)]
    assert "martian" not in answer.out


def test_too_few_events_to_judge_are_refused_before_the_fit(
    bad: Callable[[Change], Any],
) -> None:
    place = bad(lambda table: table.assign(mortality_event=[1] * 12 + [0] * (ROWS - 12)))
    answer = place.run("train", "bad.csv", "--outcome", "mortality", "--json")
    assert answer.code == 1
    assert answer.json["error"]["message"].startswith(
        "patients with the event must number at least 10 in the training part of every split"
    )
    assert place.files() == {"bad.csv"}


def test_a_horizon_that_cannot_be_observed_is_named(bad: Callable[[Change], Any]) -> None:
    def short(table: pd.DataFrame) -> pd.DataFrame:
        late = table["mortality_days"] > 100
        return table.assign(
            mortality_days=table["mortality_days"].clip(upper=100),
            mortality_event=table["mortality_event"].where(~late, 0),
        )

    answer = bad(short).run("train", "bad.csv", "--outcome", "mortality", "--json")
    assert answer.code == 1
    assert "365 days are not" in answer.json["error"]["message"]


def test_survivors_censored_exactly_at_a_horizon_do_not_make_its_risk_jump_to_1(
    workplace: Any, simulated: Callable[..., pd.DataFrame]
) -> None:
    table = simulated(400, 6)
    alive = table["mortality_days"] >= 180
    table.loc[alive, ["mortality_days", "mortality_event"]] = [180.0, 0]
    table.to_csv(workplace.folder / "cohort.csv", index=False)
    (workplace.folder / "run.toml").write_text(
        "horizons_days = [90, 180]\nsimulated = true\ninterval_folds = 3\nmax_trees = 15\n"
        "bootstrap_resamples = 50\nthreads = 1\ntest_fraction = 0.3\n"
    )
    trained = workplace.run(
        *("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml", "--json")
    )
    assert trained.code == 0, trained.out
    ratio = next(
        metric
        for metric in trained.json["metrics"]
        if (metric["metric"], metric["horizon_days"]) == ("oe_ratio", 180)
    )
    assert ratio["low"] < 1 < ratio["high"]
    scored = workplace.run(
        *("score", "cohort.csv", "--model", trained.json["model_uri"], "--out", "s.csv", "--json")
    )
    assert scored.code == 0, scored.out
    risk = pd.read_csv(workplace.folder / "s.csv").query("horizon_days == 180")["risk"]
    # Known survivors at 180 days are 45 % here; had they no weight, the mean would be near 1.
    assert risk.mean() == pytest.approx((~alive).mean(), abs=0.08)


@pytest.mark.parametrize(
    ("change", "rule", "variable", "count"),
    [
        (put("lactate", SENTINEL), "range", "lactate", 1),
        (put("lactate", "inf"), "infinite", "lactate", 1),
        (put("albumin", f"about {SENTINEL}"), "not_a_number", "albumin", 1),
        (lambda t: t.drop(columns="albumin"), "missing_column", "albumin", 1),
        (lambda t: pd.concat([t, t.head(2)]), "duplicate_stays", "stay_id", 2),
    ],
)
def test_a_bad_cohort_is_not_scored_and_no_file_is_left(
    trained: Any,
    simulated: Callable[..., pd.DataFrame],
    change: Change,
    rule: str,
    variable: str,
    count: int,
) -> None:
    place, _ = trained
    change(simulated(ROWS, 5)).to_csv(place.folder / "bad.csv", index=False)
    before = place.files()
    answer = place.run(*("score", "bad.csv", "--model", CHAMPION, "--out", "bad.parquet", "--json"))
    assert answer.code == 1
    assert (rule, variable, count) in broken(answer.json["error"]["findings"])
    assert SENTINEL not in answer.out + answer.err
    assert place.files() == before
