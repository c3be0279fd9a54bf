"""The traps of derived values: units, sedation, tubes, short collections, unstable creatinine."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.derived.consciousness import gcs_for_severity, gcs_total
from data_schema.derived.kidney import creatinine_is_stable, urine_in_24_hours
from data_schema.derived.oxygenation import fio2_in_force, fio2_percent
from data_schema.derived.vasopressors import dose_per_kg, norepinephrine_base, rate_unit


def array(*values):
    return np.array(values, dtype=float)


NONE = array(np.nan)


def gases(*times):
    return pd.DataFrame({"stay_id": ["a"] * len(times), "time": pd.to_datetime(list(times))})


def settings(*rows):
    frame = pd.DataFrame(rows, columns=["stay_id", "time", "fio2"])
    return frame.assign(time=pd.to_datetime(frame["time"]))


def test_the_fio2_in_force_is_the_last_one_before_the_blood_gas():
    recorded = settings(
        ("a", "2026-01-01 08:00", 40.0),
        ("a", "2026-01-01 10:00", 60.0),
        ("a", "2026-01-01 10:30", 80.0),
    )
    paired = fio2_in_force(gases("2026-01-01 10:05", "2026-01-01 09:59"), recorded)
    np.testing.assert_array_equal(paired["fio2"], [60.0, 40.0])


def test_no_fio2_of_another_stay_of_later_or_of_long_before_is_paired():
    recorded = settings(
        ("b", "2026-01-01 10:00", 60.0),
        ("a", "2026-01-01 10:10", 80.0),
        ("a", "2026-01-01 05:59", 50.0),
    )
    assert np.isnan(fio2_in_force(gases("2026-01-01 10:05"), recorded)["fio2"]).all()


@pytest.mark.parametrize("no_fio2", [0.0, 0.1, 2.0, 6.0, 15.0, 19.0, 101.0, np.nan])
def test_a_flow_of_oxygen_is_no_fio2(no_fio2):
    assert np.isnan(fio2_percent(array(no_fio2))).all()


def test_a_tube_is_not_a_patient_who_cannot_speak():
    def total(when_intubated):
        tube = (array(4), array(1), array(6), array(1))
        return gcs_total(*tube, when_intubated=when_intubated)[0]

    assert (total("estimated"), total("normal")) == (15.0, 15.0)
    assert np.isnan(total("missing"))
    awake = gcs_total(array(4), array(1), array(6), array(0), when_intubated="estimated")
    assert awake[0] == 11.0


def test_a_score_under_sedation_is_no_coma():
    np.testing.assert_array_equal(gcs_for_severity(array(3), array(1), NONE), NONE)
    assert gcs_for_severity(array(3), array(0), array(15))[0] == 3.0


@pytest.mark.parametrize(
    ("values", "count", "aki_stage", "rrt", "stable"),
    [
        ((1.0, 1.2), 2, np.nan, np.nan, True),
        ((1.0, 1.3), 2, np.nan, np.nan, False),
        ((0.4, 0.6), 2, np.nan, np.nan, False),
        ((1.0, 1.0), 1, np.nan, np.nan, False),
        ((1.0, 1.0), 1, 0, np.nan, True),
        ((1.0, 1.4), 2, 0, np.nan, False),
        ((1.0, 1.1), 2, 1, np.nan, False),
        ((1.0, 1.1), 2, np.nan, 1, False),
        ((np.nan, np.nan), np.nan, np.nan, np.nan, False),
    ],
)
def test_creatinine_is_stable_only_where_the_record_shows_it(values, count, aki_stage, rrt, stable):
    low, high = values
    found = creatinine_is_stable(
        lowest=array(low),
        highest=array(high),
        count=array(count),
        aki_stage=array(aki_stage),
        rrt=array(rrt),
    )
    assert found[0] == stable


def test_urine_is_scaled_to_a_day_unless_the_collection_was_short():
    scaled = urine_in_24_hours(array(300, 300, 2400), array(6, 5.9, 48))
    np.testing.assert_array_equal(scaled, [1200.0, np.nan, 1200.0])


def test_a_rate_without_a_weight_is_no_dose():
    assert np.isnan(dose_per_kg(array(8), "mcg/min", NONE)).all()
    assert np.isnan(dose_per_kg(array(8), "mcg/min", array(1.0))).all()
    assert dose_per_kg(array(0.12), "mcg/kg/min", NONE)[0] == 0.12
    assert dose_per_kg(array(0.48), "mg/h", array(80))[0] == pytest.approx(0.1)


def test_a_volume_per_hour_is_no_dose():
    with pytest.raises(ValueError, match="unit must be one of ug/kg/min"):
        dose_per_kg(array(5), "mL/h", array(80))


def test_a_salt_of_norepinephrine_is_halved():
    assert norepinephrine_base(array(0.2), "bitartrate")[0] == 0.1
    assert norepinephrine_base(array(0.2), "base")[0] == 0.2


@pytest.mark.parametrize("name", ["norepinephrine_dose", "dopamine_dose"])
def test_a_rate_is_read_in_the_units_of_the_catalogue(name):
    entry = VARIABLES[name]
    for spelled, unit in {**{unit: unit for unit in entry.units}, **entry.aliases}.items():
        read = rate_unit(spelled)
        assert read is not None
        assert read.is_per_kg
        assert read.factor == pytest.approx(entry.units[unit])
