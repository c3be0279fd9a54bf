from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from serving.page.examples import examples, possible_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.prediction.served import ServedModel


def test_example_patients_are_answered_and_have_no_value_of_the_cohort(
    mortality: ServedModel,
) -> None:
    found = examples(mortality)
    assert len(found) >= 2
    middle, little = found[0].values, found[1].values
    assert set(little) < set(middle)
    contract = mortality.contract
    for example in found:
        assert set(example.values) <= {feature.name for feature in contract.features}


def test_the_example_with_little_measured_has_the_fewest_values_with_a_risk(
    mortality: ServedModel,
) -> None:
    contract, titles = mortality.contract, [one.title for one in examples(mortality)]
    assert titles[1] == "Middle values, little measured"
    little = dict(examples(mortality)[1].values)
    variable_of = {feature.name: feature.variable for feature in contract.features}
    entered = {variable_of[name] for name in little}
    assert {"age", "sex"} <= entered
    assert len(entered) < len({*variable_of.values()}) / 2

    def grade(values: Mapping[str, float | str]) -> tuple[str, str]:
        row = {
            feature.name: [values.get(feature.name, None if feature.kind == "category" else np.nan)]
            for feature in contract.features
        }
        prediction = mortality.loaded.risk_model.predict(pd.DataFrame(row))
        return prediction.status[0], prediction.completeness[0]

    assert grade(little)[0] == "ok"
    information = contract.guard.information
    least = min(entered - {"age", "sex"}, key=lambda name: information[name])
    without = {name: value for name, value in little.items() if variable_of[name] != least}
    assert grade(without) == ("refused", "insufficient")


def test_the_example_of_a_higher_risk_lies_above_the_average(mortality: ServedModel) -> None:
    [higher] = [one for one in examples(mortality) if "higher" in one.title]
    contract = mortality.contract
    row = {f.name: [higher.values.get(f.name)] for f in contract.features}
    days = contract.default_horizons_days[0]
    risk = mortality.loaded.risk_model.predict(pd.DataFrame(row)).risk[0, 0]
    assert risk > np.interp(days, contract.grid_days, contract.cohort_risk)


def test_an_example_is_a_possible_person() -> None:
    entered = {"weight": 81.0, "height": 180.0, "bmi": 31.0, "sex": "female"}
    assert possible_values(entered)["bmi"] == 25.0
    steroid = {"corticosteroid": 0.0, "corticosteroid_dose": 20.0}
    assert possible_values(steroid) == {"corticosteroid": 0.0}
    assert possible_values({**steroid, "corticosteroid": 1.0})["corticosteroid_dose"] == 20.0
    awake = {"pao2": 90.0, "fio2": 21.0, "platelets": 200.0, "bilirubin": 0.8, "map": 80.0}
    awake |= {"gcs": 15.0, "creatinine": 0.9, "urine_output": 1800.0, "sofa": 7.0}
    awake |= {"pf_ratio": 120.0, "mechanical_ventilation": 0.0, "catecholamines": 0.0}
    values = possible_values(awake)
    assert (values["pf_ratio"], values["sofa"]) == (430.0, 0.0)
