"""The rates of MIMIC-IV's catecholamines are in ug/kg/min: the amounts that were given say so.

MEDS drops the unit of a rate. A beginning holds the rate, its end the amount in mg, and the weight
is recorded with each infusion: amount = rate * weight * minutes / 1000, if the rate is per kg and
minute. Any other unit that is in use would miss by a factor of 60, of the weight, or of 1000.
"""

import numpy as np
import pandas as pd
import pytest

from places import SHARED
from training.sources.code_map import DOSES, mimic_iv_map

MIMIC = SHARED / "data" / "mimic_iv_demo_meds" / "events.parquet"
RATES = {
    code.removeprefix("INFUSION_START//"): meaning.unit
    for code, listed in mimic_iv_map().codes.items()
    for meaning in listed
    if meaning.variable in DOSES
}


def numbered(events, kind):
    rows = events[events["code"].str.startswith(kind)].sort_values("time", kind="stable")
    item = rows["code"].str.removeprefix(kind)
    number = rows.groupby(["subject_id", item]).cumcount()
    return rows.assign(item=item, number=number)


def test_the_amounts_given_agree_with_rates_in_ug_per_kg_and_minute():
    if not MIMIC.is_file():
        pytest.skip("needs ../shared/data/mimic_iv_demo_meds")
    assert set(RATES.values()) == {"ug/kg/min"}
    events = pd.read_parquet(MIMIC, columns=["subject_id", "time", "code", "value"])
    keys = ["subject_id", "item", "number"]
    both = numbered(events, "INFUSION_START//").merge(
        numbered(events, "INFUSION_END//"), on=keys, suffixes=("", "_end")
    )
    both = both[both["item"].isin(RATES)]
    weights = events[events["code"].str.startswith("SUBJECT_WEIGHT_AT_INFUSION")]
    weights = weights.groupby(["subject_id", "time"])["value"].max().rename("weight").reset_index()
    both = both.merge(weights, on=["subject_id", "time"], validate="many_to_one")
    minutes = (both["time_end"] - both["time"]) / pd.Timedelta(minutes=1)
    amount = both["value"] * both["weight"] * minutes / 1000
    assert len(both) == 1055
    assert both["item"].nunique() == 4
    # Times are recorded to the minute, and an infusion may last one.
    np.testing.assert_allclose(both["value_end"], amount, rtol=0.15)
