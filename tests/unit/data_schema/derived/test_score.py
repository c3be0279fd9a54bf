"""A score adds up its components, and says what it assumed where a value is not recorded."""

import numpy as np
import pandas as pd
import pytest

from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import Columns, columns_of_frame
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.sofa import SOFA

WELL = {
    "pf_ratio": [450.0],
    "mechanical_ventilation": [0.0],
    "platelets": [220.0],
    "bilirubin": [0.6],
    "map": [85.0],
    "catecholamines": [0.0],
    "gcs": [15.0],
    "creatinine": [0.9],
    "urine_output": [1800.0],
}


def sofa(missing="missing", **changed):
    return SOFA.of(columns_of_frame(pd.DataFrame(WELL | changed)), missing=missing)


@pytest.mark.parametrize(("score", "most"), [(SOFA, 24), (APACHE2, 71), (SAPS2, 163)])
def test_the_maximum_is_that_of_the_paper_and_is_possible_where_nothing_is_recorded(score, most):
    nothing = score.of(Columns(1, {}), missing="worst", least_recorded=0)
    assert nothing.total == nothing.most == most == sum(c.most for c in score.components)
    assert nothing.fewest == 0


def test_each_policy_counts_a_missing_component_as_it_says():
    gap = {"platelets": [np.nan]}
    totals = {policy: sofa(policy, **gap).total[0] for policy in ("normal", "worst")}
    assert totals == {"normal": 0.0, "worst": 4.0}
    assert np.isnan(sofa("missing", **gap).total[0])
    by_component = dict.fromkeys((c.name for c in SOFA.components), "missing")
    assert sofa(by_component | {"coagulation": "worst"}, **gap).total[0] == 4.0


def test_the_origin_of_each_component_is_stated():
    origin = sofa("worst", platelets=[np.nan]).origin.iloc[0]
    assert origin["coagulation"] == "assumed_worst"
    assert set(origin.drop("coagulation")) == {"recorded"}


def test_a_policy_that_does_not_name_every_component_is_refused():
    with pytest.raises(ValueError, match="must name each component once: respiration"):
        sofa({"liver": "normal"})


def test_nothing_recorded_is_no_score_of_zero():
    assert np.isnan(SOFA.of(Columns(1, {}), missing="normal").total[0])


def test_a_dose_that_is_not_recorded_leaves_the_circulation_unsettled():
    unsettled = sofa("normal", catecholamines=[np.nan], map=[60.0])
    assert (unsettled.fewest[0], unsettled.most[0]) == (1.0, 4.0)
    assert unsettled.origin["circulation"][0] == "assumed_normal"
    given = sofa("normal", catecholamines=[1.0])
    assert (given.fewest[0], given.most[0]) == (2.0, 4.0)
    assert sofa(catecholamines=[1.0], norepinephrine_dose=[0.2]).total[0] == 4.0


def test_a_low_ratio_counts_more_than_two_only_on_respiratory_support():
    assert sofa(pf_ratio=[90.0]).points["respiration"][0] == 2.0
    assert sofa(pf_ratio=[90.0], mechanical_ventilation=[1.0]).points["respiration"][0] == 4.0
    assert sofa(pf_ratio=[90.0], pf_ratio_supported=[150.0]).points["respiration"][0] == 3.0
    unknown = sofa("normal", pf_ratio=[90.0], mechanical_ventilation=[np.nan])
    assert (unknown.fewest[0], unknown.most[0]) == (2.0, 4.0)
    # Whatever the ventilation, a ratio of 250 counts 2.
    assert sofa(pf_ratio=[250.0], mechanical_ventilation=[np.nan]).is_settled[0]


def test_the_worst_of_the_window_counts_and_a_single_value_stands_for_it():
    assert sofa(platelets__min=[40.0]).points["coagulation"][0] == 3.0
    assert sofa(creatinine=[2.4]).points["kidney"][0] == 2.0


@pytest.mark.parametrize(("dose", "points"), [(0.0, 0), (0.0002, 3), (0.10002, 3), (0.101, 4)])
def test_a_dose_is_read_as_finely_as_a_pump_is_set(dose, points):
    # Without pressure and drugs the circulation has no points of its own.
    given = {"catecholamines": [float(dose > 0)], "norepinephrine_dose": [dose]}
    others = {f"{drug}_dose": [0.0] for drug in ("dopamine", "dobutamine", "epinephrine")}
    assert sofa(**given, **others).total == points
