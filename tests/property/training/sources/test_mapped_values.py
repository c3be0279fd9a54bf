"""Every record is accounted for, and one rule says what an FiO2 is."""

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.derived.oxygenation import fio2_percent
from training.sources.code_map import parse_code_map
from training.sources.landmark import Landmarked, landmark
from training.sources.long import Long
from training.sources.observations import connection

CODES = parse_code_map(
    """
[codes."CREA"]
variable = "creatinine"
[codes."NOR"]
variable = "norepinephrine_dose"
[codes."URINE"]
variable = "urine_volume"
[codes."PO2"]
variable = "pao2"
[codes."FIO2"]
variable = "fio2"
unit = "%"
"""
)
ZERO = pd.Timestamp("2026-01-02")


def landmarked(observations: pd.DataFrame, folder: Path) -> Landmarked:
    observations.to_parquet(folder / "observations.parquet")
    hour = pd.Timedelta(hours=1)
    stay = {"icu_admission": ZERO - 24 * hour, "icu_discharge": ZERO + 90 * hour}
    stays = pd.DataFrame([{"subject_id": "p", "stay_id": "s", **stay}])
    stays.to_parquet(folder / "stays.parquet")
    with connection(memory="300MB", threads=1) as db:
        return landmark(db, Long(folder), CODES, time_zero="icu_admission+24h")


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_reasons_and_values_used_add_up_to_what_was_read(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    n = 400
    units = ["mg/dL", "ug/kg/min", "mL", "mm[Hg]", "%", "furlong", None]
    rows = pd.DataFrame(
        {
            "subject_id": "p",
            "time": ZERO + pd.to_timedelta(rng.integers(-200, 50, n), unit="h"),
            "code": rng.choice(["CREA", "NOR", "URINE", "PO2", "FIO2", "X", "Y"], n),
            "numeric_value": np.where(rng.random(n) < 0.2, np.nan, rng.integers(-2, 120, n)),
            "unit": rng.choice(np.array(units, dtype=object), n),
            "text_value": rng.choice(np.array([None, "pending", "<3"], dtype=object), n),
            "specimen": rng.choice(np.array([None, "VEN.", "arterial", "urine"], dtype=object), n),
        }
    )
    codes = landmarked(rows, tmp_path_factory.mktemp("flow")).codes
    for flow in codes.values.values():
        parts = {name: getattr(flow, name) for name in flow.__slots__ if name != "read"}
        assert min(parts.values()) >= 0
        assert sum(parts.values()) == flow.read
    assert codes.records == n
    assert codes.unmapped_codes == 2
    assert sum(flow.read for flow in codes.values.values()) + codes.unmapped_records == n


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_an_fio2_is_read_as_the_derived_rule_reads_it(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    drawn = np.concatenate(
        [rng.uniform(0, 1.2, 40), rng.uniform(0, 110, 40), [0.2, 0.21, 1.0, 20.0, 100.0, 1.01]]
    )
    rows = pd.DataFrame(
        {
            "subject_id": "p",
            "time": ZERO - pd.to_timedelta(np.arange(len(drawn)), unit="min"),
            "code": "FIO2",
            "numeric_value": drawn,
        }
    )
    result = landmarked(rows, tmp_path_factory.mktemp("fio2"))
    expected = fio2_percent(drawn)
    stay = result.cohort.iloc[0]
    assert stay["fio2__count"] == np.isfinite(expected).sum()
    for name, value in (("min", np.nanmin), ("max", np.nanmax), ("mean", np.nanmean)):
        np.testing.assert_allclose(stay[f"fio2__{name}"], value(expected))
