"""Drafted mapping files: what they fill in, what they leave blank, and why."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_schema.drafting.draft import draft_mapping
from data_schema.mapping.file import parse_mapping

N = 60
RNG = np.random.default_rng(0)


def spread(median: float, n: int = N) -> list[str]:
    return [f"{value:.4g}" for value in median * np.exp(0.2 * RNG.normal(size=n))]


def draft(**columns: Any) -> dict[str, Any]:
    text = draft_mapping(pd.DataFrame(columns))
    parse_mapping(text)
    return tomllib.loads(text)


def column(header: str, values: Any) -> dict[str, Any]:
    found: dict[str, Any] = draft(**{header: values})["columns"][header]
    return found


def comment(header: str, values: Any, key: str) -> str:
    text = draft_mapping(pd.DataFrame({header: values}))
    return next(line.partition("#")[2] for line in text.splitlines() if line.startswith(key))


def test_a_unit_in_the_header_is_taken() -> None:
    assert column("CTX [ng/mL]", spread(0.6)) == {"variable": "ctx_s", "unit": "ng/mL"}


@pytest.mark.parametrize(
    ("header", "median", "unit"),
    [
        ("CTX", 0.6, "ng/mL"),
        ("CTX", 600, "pg/mL"),
        ("Creatinine", 95, "umol/L"),
        ("Creatinine", 1.1, "mg/dL"),
        ("Lactate", 2.1, "mmol/L"),
        ("FiO2", 0.45, "1"),
        ("Heart rate", 90, "/min"),
    ],
)
def test_a_unit_that_alone_fits_the_values_is_filled_in(
    header: str, median: float, unit: str
) -> None:
    assert column(header, spread(median))["unit"] == unit
    assert "confirm" in comment(header, spread(median), "unit")


@pytest.mark.parametrize(("header", "median"), [("Estradiol", 40), ("25-OH vitamin D", 30)])
def test_a_unit_that_the_values_leave_open_is_blank(header: str, median: float) -> None:
    assert column(header, spread(median))["unit"] == ""
    assert "the values fit" in comment(header, spread(median), "unit")


def test_a_unit_that_the_values_contradict_is_blank() -> None:
    assert column("CTX (pg/mL)", spread(0.6))["unit"] == ""
    assert "the values fit ng/mL" in comment("CTX (pg/mL)", spread(0.6), "unit")


def test_a_unit_that_is_not_accepted_is_blank() -> None:
    assert column("FGF23 C-term (pmol/L)", spread(60)) == {"variable": "fgf23_c", "unit": ""}


def test_a_score_needs_no_unit() -> None:
    assert column("SOFA", ["3", "7"]) == {"variable": "sofa"}


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("FGF23", "which fragment?"),
        ("BSAP", "which unit?"),
        ("RANKL pg/mL", "free and total RANKL"),
        ("OPN", "which specimen?"),
        ("25-OH-D3", "D3 alone is not total"),
        ("Vitamin D", "several variables"),
    ],
)
def test_an_ambiguous_variable_is_blank_with_the_reason(header: str, why: str) -> None:
    assert column(header, spread(50))["variable"] == ""
    assert why in comment(header, spread(50), "variable")


def test_two_columns_of_one_variable_are_both_blank() -> None:
    drafted = draft(**{"CTX [ng/mL]": spread(0.6), "beta-CTX (ng/mL)": spread(0.6)})["columns"]
    assert [entry["variable"] for entry in drafted.values()] == ["", ""]


def test_letters_of_sex_are_mapped_and_codes_are_left_blank() -> None:
    assert column("Gender", ["F", "M"])["map"] == {"F": "female", "M": "male"}
    assert column("Gender", ["1", "2"])["map"] == {"1": "", "2": ""}
    assert "map" not in column("Sex", ["female", "male", None])


def test_words_of_a_flag_that_are_not_known_are_left_blank() -> None:
    assert column("Diabetes", ["ja", "nein"])["map"] == {"ja": "", "nein": ""}
    assert column("Diabetes", ["Yes", "no"]) == {"variable": "diabetes"}


def test_many_words_under_a_flag_s_header_leave_the_variable_blank() -> None:
    assert column("Infection", [f"bug {i}" for i in range(20)])["variable"] == ""


def test_decimal_commas_are_stated() -> None:
    values = [value.replace(".", ",") for value in spread(0.6)]
    assert column("CTX [ng/mL]", ["<0,01", *values])["decimal"] == ","


def test_a_comma_before_three_digits_is_blank_unless_another_column_settles_it() -> None:
    assert column("Platelets", ["1,471"] * N)["decimal"] == ""
    both = draft(**{"CTX [pg/mL]": ["1,471"] * N, "Lactate": ["2,1"] * N})["columns"]
    assert both["CTX [pg/mL]"]["decimal"] == ","


def test_points_before_three_digits_part_thousands_beside_decimal_commas() -> None:
    grouped = draft(**{"CTX [pg/mL]": ["1.471", "820"] * 30, "Lactate": ["2,1"] * 60})["columns"]
    assert grouped["CTX [pg/mL]"]["decimal"] == ","
    pointed = draft(**{"CTX [pg/mL]": ["1.47", "820"] * 30, "Lactate": ["2,1"] * 60})["columns"]
    assert "decimal" not in pointed["CTX [pg/mL]"]
    assert "decimal" not in column("CTX [pg/mL]", ["1.471", "820"] * 30)


def test_identifiers_are_recognised() -> None:
    drafted = draft(**{"Subject ID": ["a"], "Hospital": ["x"], "stay_id": ["1"], "Age": ["50"]})
    assert drafted["ids"] == {"patient_id": "Subject ID", "stay_id": "stay_id", "site": "Hospital"}
    assert "Subject ID" not in drafted["columns"]


def test_an_outcome_by_days_is_recognised() -> None:
    drafted = draft(followup_d=["3"], Dead=["1"])["outcome"]["mortality"]
    assert drafted == {"days": "followup_d", "event": "Dead"}
    words = draft(futime=["3", "4", "5"], status=["alive", "Dead", "moved"])["outcome"]["mortality"]
    assert words["event_map"] == {"alive": 0, "Dead": 1, "moved": ""}


def test_an_outcome_without_days_leaves_them_blank() -> None:
    drafted = draft(fracture=["Yes", "No"])["outcome"]["fracture"]
    assert drafted == {"days": "", "event": "fracture", "event_map": {"No": 0, "Yes": 1}}


def test_an_outcome_by_dates_asks_for_its_time_zero() -> None:
    drafted = draft(date_of_death=["2020-01-01"], last_contact_date=["2020-01-01"])
    assert drafted["outcome"]["mortality"] == {
        "event_date": "date_of_death",
        "last_seen_date": "last_contact_date",
    }
    assert drafted["ids"]["time_zero"] == ""


def test_what_the_catalogue_does_not_know_is_listed_and_left_out() -> None:
    text = draft_mapping(pd.DataFrame({"dzgroup": ["x"], "Age": ["50"]}))
    assert "#   dzgroup" in text
    assert list(tomllib.loads(text)["columns"]) == ["Age"]


def test_words_under_a_number_s_header_are_something_else() -> None:
    text = draft_mapping(pd.DataFrame({"ca": ["no"] * 3, "sod": ["140", "138", "n.d."]}))
    assert list(tomllib.loads(text)["columns"]) == ["sod"]


def test_awkward_headers_stay_valid_toml() -> None:
    headers = ['Age "years"', "a.b", "Größe (cm)", "line\nbreak", "x]"]
    text = draft_mapping(pd.DataFrame({header: ["1"] for header in headers}))
    parse_mapping(text)


def test_words_and_columns_that_record_what_was_not_done_are_drafted() -> None:
    text = draft_mapping(
        pd.DataFrame(
            {
                "CTX [ng/mL]": ["0.3", "Not done", "0.4"],
                "PTH_not_done": ["1", "", "0"],
                "Lactate not performed": ["cancelled", "yes", "no"],
                "Gender": ["male", "not asked", "female"],
            }
        )
    )
    columns = tomllib.loads(text)["columns"]
    assert columns["CTX [ng/mL]"]["not_done"] == ["Not done"]
    assert columns["PTH_not_done"] == {"variable": "pth__not_done"}
    assert columns["Lactate not performed"] == {
        "variable": "lactate__not_done",
        "map": {"cancelled": "", "no": 0, "yes": 1},
    }
    assert columns["Gender"] == {"variable": "sex", "not_done": ["not asked"]}


def test_an_entry_is_drafted_with_the_clock_left_to_decide() -> None:
    rng = np.random.default_rng(0)
    start = rng.integers(0, 50, N)
    outcome = draft(tstart=start, tstop=start + rng.integers(1, 90, N), status=[0, 1] * (N // 2))
    assert outcome["outcome"]["mortality"] == {
        "days": "tstop",
        "event": "status",
        "entry_days": "tstart",
        "time_zero": "",
    }


def test_death_in_hospital_is_drafted_with_discharge_alive_competing() -> None:
    stays = {"length_of_stay": range(1, N + 1), "hospital_expire_flag": [0, 1] * (N // 2)}
    outcome = draft(**stays)["outcome"]
    assert outcome == {
        "in_hospital_mortality": {
            "days": "length_of_stay",
            "event": "hospital_expire_flag",
            "event_map": {"0": 2, "1": 1},
        }
    }
    followed = draft(futime=range(1, N + 1), death=[0, 1] * (N // 2), **stays)["outcome"]
    assert followed["mortality"] == {"days": "futime", "event": "death"}
    assert followed["in_hospital_mortality"]["days"] == "length_of_stay"


def test_follow_up_is_not_drafted_as_the_time_to_discharge() -> None:
    outcome = draft(futime=range(1, N + 1), hospdead=["yes", "no"] * (N // 2))["outcome"]
    assert outcome["in_hospital_mortality"] == {
        "days": "",
        "event": "hospdead",
        "event_map": {"no": 2, "yes": 1},
    }
