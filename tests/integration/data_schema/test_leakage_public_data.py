"""The leakage linter on real data: what it must flag there, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from SurvSet.data import SurvLoader

from data_schema.cohort import OutcomeData
from data_schema.errors import Finding
from data_schema.leakage.linter import FATAL_LEAKS, find_leaks
from places import SHARED

# SurvSet's pickled tables name numpy's modules by their old names.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")

FOLDER = SHARED / "data"


def of_survset(name: str) -> list[Finding]:
    table, _ = SurvLoader().load_dataset(ds_name=name).values()
    outcome = OutcomeData("mortality", table["time"].to_numpy(float), table["event"].to_numpy(int))
    return find_leaks(table.drop(columns=["pid", "time", "event"]), outcome)


def rules(findings: list[Finding]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in findings:
        found.setdefault(finding.variable, set()).add(finding.rule)
    return found


def test_flchain_s_cause_of_death_is_flagged_and_nothing_else() -> None:
    assert rules(of_survset("flchain")) == {"fac_chapter": {"leak_outcome"}}


def test_support2_s_leaking_columns_are_flagged_and_nothing_else() -> None:
    assert rules(of_survset("support2")) == {
        "fac_sfdm2": {"leak_outcome", "leak_name"},
        "num_surv2m": {"leak_risk"},
        "num_surv6m": {"leak_risk"},
        "num_adlp": {"leak_missing"},
        "num_adls": {"leak_missing"},
        "num_hday": {"leak_name"},
        "fac_dnr": {"leak_name"},
    }


def test_rhc_s_leaking_columns_are_flagged_and_nothing_else() -> None:
    assert rules(of_survset("rhc")) == {
        "num_adld3p": {"leak_missing"},
        "num_surv2md1": {"leak_risk"},
        "fac_dnr1": {"leak_name"},
    }


def test_framingham_has_no_leak() -> None:
    assert of_survset("Framingham") == []


@pytest.mark.parametrize("part", range(3))
def test_the_evidence_holds_in_a_random_two_thirds_of_the_patients(part: int) -> None:
    table, _ = SurvLoader().load_dataset(ds_name="support2").values()
    rows = np.random.default_rng(part).permutation(len(table))[: 2 * len(table) // 3]
    table = table.iloc[rows]
    outcome = OutcomeData("mortality", table["time"].to_numpy(float), table["event"].to_numpy(int))
    flagged = rules(find_leaks(table.drop(columns=["pid", "time", "event"]), outcome))
    assert set(flagged) == {
        *("fac_sfdm2", "num_surv2m", "num_surv6m", "num_adlp", "num_adls", "num_hday", "fac_dnr"),
    }


def from_folder(name: str) -> pd.DataFrame:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not in the data folder")
    return pd.read_csv(path)


def at_one_horizon(table: pd.DataFrame, event: np.ndarray, days: float) -> list[Finding]:
    outcome = OutcomeData("outcome", np.full(len(table), days), event.astype(np.int64), days)
    return find_leaks(table, outcome)


def test_support2_with_its_comparators() -> None:
    table = from_folder("support2/support2.csv")
    outcome = OutcomeData(
        "mortality", table["d.time"].to_numpy(float), table["death"].to_numpy(int)
    )
    flagged = rules(find_leaks(table.drop(columns=["sno", "death", "d.time"]), outcome))
    assert set(flagged) == {
        *("hospdead", "slos", "charges", "totcst", "totmcst", "avtisst", "hday", "dnr", "dnrday"),
        *("sfdm2", "adlp", "adls", "adlsc", "surv2m", "surv6m", "prg2m", "prg6m"),
    }
    assert "leak_perfect" in flagged["slos"]


def test_glow_s_treatment_at_follow_up() -> None:
    table = from_folder("glow/glow_bonemed.csv")
    event = (table["fracture"] == "Yes").to_numpy()
    findings = at_one_horizon(table.drop(columns=["sub_id", "fracture"]), event, 365.0)
    assert set(rules(findings)) == {"bonemed_fu", "bonetreat"}


def test_physionet_s_outcomes() -> None:
    table = from_folder("physionet2012/set_a.csv.gz")
    event = table["In-hospital_death"].to_numpy()
    findings = at_one_horizon(table.drop(columns=["recordid", "In-hospital_death"]), event, 30.0)
    assert set(rules(findings)) == {"Length_of_stay", "Survival"}


def test_what_must_stop_a_run_is_fatal() -> None:
    fatal = {f.variable for f in of_survset("support2") if f.rule in FATAL_LEAKS}
    assert fatal == {"fac_sfdm2", "num_surv2m", "num_surv6m", "num_hday", "fac_dnr"}
