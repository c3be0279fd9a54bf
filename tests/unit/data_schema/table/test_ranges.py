"""Schemas of features derived from their variables."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.table.ranges import broken_rules, feature_schema


def features(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=object if name in ("sex", "group") else np.float64)
            for name, values in columns.items()
        }
    )


def test_features_that_keep_the_schema_break_no_rule() -> None:
    good = features(
        ctx_s=[500.0, np.nan, 2.0],
        ctx_s__below=[0.0, np.nan, 1.0],
        ctx_s__slope=[-1e6, 0.0, 1e6],
        sofa__max=[24.0, 0.0, np.nan],
        shock=[1.0, 0.0, np.nan],
        sex=["female", None, "male"],
    )
    assert broken_rules(good, VARIABLES) == []


@pytest.mark.parametrize(
    ("bad", "rule", "variable", "count"),
    [
        (features(lactate=[2.0, 61.0, -1.0]), "range", "lactate", 2),
        (features(sofa__max=[25.0, 3.0]), "range", "sofa__max", 1),
        (features(ctx_s=[2.0, 2.0], ctx_s__below=[1.0, 0.0]), "range", "ctx_s", 1),
        (features(shock=[2.0, 1.0]), "flag", "shock", 1),
        (features(lactate__below=[0.5]), "flag", "lactate__below", 1),
        (features(sex=["martian", None]), "category", "sex", 1),
        (pd.DataFrame({"lactate": ["2"]}), "type", "lactate", 1),
    ],
)
def test_a_broken_rule_is_counted_and_no_cell_is_quoted(
    bad: pd.DataFrame, rule: str, variable: str, count: int
) -> None:
    (finding,) = [f for f in broken_rules(bad, VARIABLES) if f.rule == rule]
    assert (finding.variable, finding.count) == (variable, count)
    assert "61" not in finding.message
    assert "martian" not in finding.message
    assert "failure cases" not in finding.message


def test_every_variable_of_the_catalogue_has_a_column_in_the_schema() -> None:
    schema = feature_schema(list(VARIABLES), VARIABLES)
    assert list(schema.columns) == list(VARIABLES)


def test_pandera_is_not_imported_with_the_module() -> None:
    code = "import sys, data_schema.table.check; sys.exit('pandera' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
