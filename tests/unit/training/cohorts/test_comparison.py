"""Two models differ in the results of a panel alone."""

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.variables import base_name
from training.cohorts.comparison import comparison_of
from training.cohorts.panel import panel_of

GAP = np.nan


def cohort() -> Cohort:
    features = pd.DataFrame(
        {
            "age": [60.0, 70, 80, 90],
            "sofa": [1.0, GAP, 3, 4],
            "ctx_s": [300.0, GAP, 500, GAP],
            "ctx_s__max": [400.0, 300, GAP, GAP],
            "p1np": [40.0, GAP, 60, GAP],
            "fgf23_c": [90.0, 95, 900, GAP],
            "fgf23_c__below": [0.0, 0, 0, 0],
            "osteocalcin": [9.0, 8, 7, 6],
            "ctx_s__not_done": [0.0, 1, 0, 1],
            "fgf23_c__not_done": [0.0, 0, 0, 0],
            "osteocalcin__not_done": [0.0, 0, 0, 1],
            "fgf23_c__count": [1.0, 2, 5, 0],
        }
    )
    stays = np.array(list("abcd"), dtype=object)
    return Cohort(features, VARIABLES, patient_id=stays, stay_id=stays)


def comparison():
    given = cohort()
    return comparison_of(given, panel_of(given, ["resorption", "formation", "fgf23_mineral"]))


def test_each_pattern_of_measurement_is_known_to_both_sides_once() -> None:
    found = comparison()

    assert found.ordered == (
        *("fgf23_c__count", "measured.ctx_s", "measured.ctx_s.max", "measured.fgf23_c"),
    )
    assert found.base == ("age", "sofa", *found.ordered)
    assert set(found.extended) - set(found.base) == {
        *("ctx_s", "ctx_s__max", "p1np", "fgf23_c", "fgf23_c__below", "osteocalcin")
    }
    assert found.cohort.features["measured.ctx_s"].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert found.cohort.features["measured.fgf23_c"].tolist() == [1.0, 1.0, 1.0, 0.0]


def test_what_was_ordered_is_never_blanked() -> None:
    variables = comparison().cohort.variables

    assert variables["measured.ctx_s"].always_known
    assert not any(entry.always_known for entry in VARIABLES.values())
    assert base_name("measured.ctx_s.max") == "measured.ctx_s.max"
    assert all(base_name(column) in variables for column in comparison().cohort.features)


def test_no_marker_of_the_panel_has_a_settled_direction() -> None:
    variables = comparison().cohort.variables

    assert VARIABLES["fgf23_c"].direction
    assert not variables["fgf23_c"].direction
    assert variables["age"].direction == VARIABLES["age"].direction


def test_the_panel_is_measured_where_half_of_its_variables_are() -> None:
    assert comparison().measured.tolist() == [True, True, True, False]
