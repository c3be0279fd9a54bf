"""A raw table whose columns an adapter names, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import RulesBroken
from late_entries import left_truncated
from training.datasets.columns import Column, adapt_table


def _adapt(table: pd.DataFrame, days: pd.Series) -> Cohort:
    return adapt_table(
        table,
        [Column("age", VARIABLES["age"]), Column("lactate", VARIABLES["lactate"])],
        identifiers=["patient_id", "mortality_days", "mortality_event"],
        dropped={"enrolled_on_day": "the day on which observation began"},
        patient_id=table["patient_id"],
        outcome=OutcomeData("mortality", days.to_numpy(), table["mortality_event"].to_numpy()),
        name="late",
        population="Patients of a registry",
    )


def test_a_table_with_a_delayed_entry_is_refused_though_the_column_is_dropped() -> None:
    table = left_truncated()
    with pytest.raises(RulesBroken, match="enrolled_on_day must not be a delayed entry"):
        _adapt(table, table["mortality_days"])
    since_entry = table["mortality_days"] - table["enrolled_on_day"]
    assert len(_adapt(table, since_entry)) == len(table)
