"""Columns outside the catalogue are described from headers and cells, and nothing is guessed."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.draft import draft_mapping
from data_schema.drafting.header_matching import match_header, unit_in_header
from data_schema.mapping.file import parse_mapping
from data_schema.table.check import check_cohort

N = 60


def _table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": np.arange(1, N + 1), **columns})


def _drafted(table: pd.DataFrame) -> dict[str, dict[str, object]]:
    columns = tomllib.loads(draft_mapping(table, site_variables=True)).get("columns", {})
    assert isinstance(columns, dict)
    return columns


def test_kinds_units_and_names_come_from_header_and_cells() -> None:
    table = _table(
        **{
            "Zonulin [ng/mL]": np.linspace(1, 40, N),
            "clot firmness": np.linspace(10, 70, N),
            "HES": ["yes", "no"] * (N // 2),
            "blood group": ["A", "B", "AB", "0"] * (N // 4),
        }
    )
    drafted = _drafted(table)
    assert drafted["Zonulin [ng/mL]"] == {
        "variable": "zonulin_ng_ml",
        "kind": "number",
        "pathway": "severity",
        "unit": "ng/mL",
    }
    assert drafted["clot firmness"]["unit"] == "1"
    assert drafted["HES"]["kind"] == "flag"
    assert drafted["blood group"]["kind"] == "category"


def test_what_is_drafted_passes_the_check() -> None:
    rng = np.random.default_rng(1)
    table = _table(
        **{
            "age": rng.integers(20, 90, N),
            "Zonulin [ng/mL]": rng.uniform(1, 40, N),
            "HES": ["yes", "no"] * (N // 2),
            "blood group": ["A", "B", "AB", "0"] * (N // 4),
            "mortality_days": rng.uniform(1, 400, N),
            "mortality_event": rng.integers(0, 2, N),
        }
    )
    mapping = parse_mapping(draft_mapping(table, site_variables=True))
    checked = check_cohort(table, mapping=mapping, outcome="mortality")
    assert not checked.report.fatal
    assert checked.cohort is not None
    assert {"zonulin_ng_ml", "hes", "blood_group"} <= set(checked.cohort.features)


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("remark", [f"free text {i}" for i in range(N)], "60 different texts"),
        ("batch", ["7"] * N, "every cell holds the same value"),
        ("nothing", [None] * N, "no cell holds a value"),
        ("rare", [1.5, 2.5, 3.5] + [None] * (N - 3), "only 5% of the rows"),
        ("plate_id", list(range(N)), "identifies a person, a sample or a stay"),
        ("drawn on", ["2024-03-01", "2024-03-02"] * (N // 2), "dates"),
        ("totcst", list(range(N)), "after"),
    ],
)
def test_what_cannot_be_a_predictor_is_commented_out_with_the_reason(
    name: str, cells: list[object], reason: str
) -> None:
    text = draft_mapping(_table(**{name: cells}), site_variables=True)
    assert name not in tomllib.loads(text).get("columns", {})
    (line,) = (line for line in text.splitlines() if re.search(r"levels?: ", line))
    assert line.startswith("# ")
    if name != "totcst":
        assert reason in line
    # Taking the # away makes it a part of the file.
    start = text.index("# [columns.")
    table = tomllib.loads(re.sub(r"^# ?", "", text[start:], flags=re.MULTILINE))
    assert next(iter(table["columns"])) == name


def test_the_range_is_rounded_so_that_no_patient_s_value_is_written() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(437.123, 51.7, N)
    text = draft_mapping(_table(firmness=values), site_variables=True)
    (line,) = (line for line in text.splitlines() if "within" in line)
    low, high = map(float, re.search(r"within (\S+) to (\S+),", line).groups())  # type: ignore[union-attr]
    assert low <= values.min() <= values.max() <= high
    assert not {low, high} & set(values)
    assert f"{values.min():.4g}" not in text


def test_names_of_drafts_are_distinct_and_never_those_of_the_catalogue() -> None:
    table = _table(**{"X-1": range(N), "x 1": range(N), "Größe μ": range(N), "risk": range(N)})
    names = [draft["variable"] for draft in _drafted(table).values()]
    assert len(set(names)) == 4
    assert not set(names) & {*VARIABLES, "risk"}


def test_without_the_option_columns_are_listed_as_before() -> None:
    text = draft_mapping(_table(firmness=range(N)))
    assert "ignored unless you describe them" in text
    assert "columns" not in tomllib.loads(text)


def test_outcome_and_length_of_stay_are_proposed_as_an_outcome() -> None:
    table = _table(outcome=[0, 1] * (N // 2), los_days=np.linspace(1, 30, N))
    proposed = tomllib.loads(draft_mapping(table))["outcome"]["in_hospital_mortality"]
    # Which of 0 and 1 is death is not in the table, so it is asked.
    assert proposed == {"days": "los_days", "event": "outcome", "event_map": {"0": "", "1": ""}}
    words = _table(outcome=["died", "survived"] * (N // 2), los_days=np.linspace(1, 30, N))
    stated = tomllib.loads(draft_mapping(words))["outcome"]["in_hospital_mortality"]
    assert stated["event_map"] == {"died": 1, "survived": 2}


def test_a_column_called_outcome_alone_is_no_outcome() -> None:
    assert "outcome" not in tomllib.loads(draft_mapping(_table(outcome=[0, 1] * (N // 2))))


@pytest.mark.parametrize(
    ("header", "variable", "unit"),
    [
        ("Tumor necrosis factorα", "tnfa", ""),
        ("lymphocyte count", "lymphocytes", ""),
        ("(%)lymphocyte", "lymphocytes_share", "%"),
        ("neutrophils(%)", "neutrophils_share", "%"),
        ("basophil count(#)", "basophils", ""),
        ("LDH [U/L]", "lactate_dehydrogenase", "U/L"),
        ("D-dimer (mg/L FEU)", "d_dimer", "mg/L FEU"),
        ("PT (sec)", "prothrombin_time", "sec"),
        ("NT-proBNP pg/mL", "nt_probnp", "pg/mL"),
    ],
)
def test_headers_of_routine_tests_are_recognised(header: str, variable: str, unit: str) -> None:
    match = match_header(header)
    assert match is not None
    assert (match.variables, match.unit) == ((variable,), unit)


def test_a_bare_name_of_white_cells_is_left_open_between_count_and_share() -> None:
    match = match_header("Neutrophils")
    assert match is not None
    assert match.variables == ("neutrophils", "neutrophils_share")
    assert "percentage" in match.why


def test_a_d_dimer_without_fibrinogen_equivalents_has_no_accepted_unit() -> None:
    match = match_header("D-dimer [ng/mL]")
    assert match is not None
    assert not match.unit_is_accepted


@pytest.mark.parametrize(
    "header", ["foo_s", "sat_a", "T-score (SD)", "x (score)", "z", "IL-99 (a)b"]
)
def test_no_unit_is_read_from_what_is_none(header: str) -> None:
    assert unit_in_header(header) == ""
