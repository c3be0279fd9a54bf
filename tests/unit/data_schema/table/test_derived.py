"""Derived values of a table: added where there is no column, compared where there is one."""

import numpy as np
import pandas as pd

from data_schema.table.check import check_cohort


def table(**columns):
    rows = 40
    frame = {
        "patient_id": [f"p{row}" for row in range(rows)],
        "weight": np.linspace(60.0, 100.0, rows),
        "height": [170.0] * (rows - 1) + [np.nan],
        **columns,
    }
    return pd.DataFrame(frame)


def checked(frame):
    result = check_cohort(frame, outcome=None)
    return result.cohort, {finding.rule: finding for finding in result.report.warnings}


def test_a_value_is_derived_where_the_table_has_no_column_of_it_and_says_so():
    cohort, warnings = checked(table())
    assert cohort.features["bmi"].notna().sum() == 39
    assert round(cohort.features["bmi"][0], 2) == 20.76
    assert cohort.variables["bmi"].name == "bmi"
    finding = warnings["derived_value"]
    assert (finding.variable, finding.count) == ("bmi", 39)
    assert "derived from weight, height in 39 of 40 rows" in finding.message


def test_an_entered_column_stands_with_its_blanks_and_differences_are_counted():
    entered = np.round(np.linspace(60.0, 100.0, 40) / 1.7**2, 1)
    entered[:3] += 5.0
    entered[5] = np.nan
    cohort, warnings = checked(table(bmi=entered))
    np.testing.assert_array_equal(cohort.features["bmi"], entered)
    assert "derived_value" not in warnings
    assert warnings["derived_differs"].count == 3
    assert "3 of 40 rows differ by more than rounding" in warnings["derived_differs"].message


def test_what_is_recorded_as_not_done_is_not_derived():
    cohort, warnings = checked(table(bmi__not_done=[1] * 20 + [0] * 20))
    assert "bmi" not in cohort.features
    assert "derived_value" not in warnings


def test_a_derived_ratio_feeds_a_score_and_nothing_follows_from_a_part_of_it():
    cohort, _ = checked(table(pao2=[80.0] * 40, fio2=[40.0] * 40, platelets=[150.0] * 40))
    assert (cohort.features["pf_ratio"] == 200.0).all()
    assert "sofa" not in cohort.features


def test_values_measured_repeatedly_need_not_agree():
    # The last PaO2 and the last FiO2 of a window may be of different hours.
    gases = {"pao2": [80.0] * 40, "fio2": [40.0] * 40, "pf_ratio": [150.0] * 40}
    _, once = checked(table(**gases, pao2__count=[1] * 40, fio2__count=[1] * 40))
    _, often = checked(table(**gases, pao2__count=[1] * 30 + [3] * 10, fio2__count=[1] * 40))
    assert once["derived_differs"].count == 40
    assert often["derived_differs"].count == 30
