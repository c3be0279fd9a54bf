from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from contracts import reading_everything, restated
from data_schema.biomarkers import VARIABLES
from data_schema.variables import PATHWAYS
from serving.page.form import fields, groups, places, unit_choices
from serving.page.source_attributes import source_attributes
from serving.prediction.served import Served

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


def test_every_accepted_scale_can_be_chosen_in_words_without_ucum_marks() -> None:
    for variable in VARIABLES.values():
        choices = unit_choices(variable)
        assert {choice.scale for choice in choices} == set(variable.units.values())
        assert len({choice.label for choice in choices}) == len(choices)
        assert not any(re.search(r"[\[\]{}'*]", choice.label) for choice in choices)
        if choices:
            assert choices[0].value == variable.unit


def test_arbitrary_units_of_another_assay_are_never_called_relative_units() -> None:
    assert [one.label for one in unit_choices(VARIABLES["fgf23_c"])] == ["RU/mL"]
    assert [one.label for one in unit_choices(VARIABLES["fgf23_i_units"])] == ["arbitrary units/mL"]


@pytest.mark.parametrize(
    ("name", "unit"),
    [("creatinine", "umol/L"), ("glucose", "mmol/L"), ("albumin", "g/L"), ("ctx_s", "")],
)
def test_units_can_begin_as_si(name: str, unit: str, mortality: ServedModel) -> None:
    found = {one.column: one for one in fields(Served([reading_everything(mortality)]))}
    assert found[name].si_unit == unit


def test_a_field_knows_who_scores_it_and_who_only_warns_by_it(
    mortality: ServedModel, fracture: ServedModel
) -> None:
    found = {one.column: one for one in fields(Served([mortality, fracture]))}
    both = ("mortality-simulated", "fracture-simulated")
    assert found["fgf23_c"].models == both
    assert found["rrt"].models == ()
    assert found["rrt"].guards == both
    assert "fgf23_c__below" not in found
    # What no model reads, guards by or derives from is no field.
    assert "trail" not in found


def test_age_sex_and_treatments_are_locked_and_nothing_else(mortality: ServedModel) -> None:
    everything = Served([reading_everything(mortality)])
    locked = {one.column for one in fields(everything) if one.locked}
    treatments = {name for name, variable in VARIABLES.items() if variable.treatment}
    assert locked == treatments | {"age", "sex"}


def test_scores_stages_and_counts_are_whole_and_measured_values_are_not(
    mortality: ServedModel,
) -> None:
    everything = Served([reading_everything(mortality)])
    whole = {one.column for one in fields(everything) if one.whole}
    assert {"apache2", "sofa", "aki_stage", "falls", "comorbidities"} <= whole
    assert whole.isdisjoint({"lactate", "age", "ph", "pf_ratio", "rankl_opg_ratio", "fgf23_c"})


def test_the_person_comes_first_and_no_pathway_is_left_out(mortality: ServedModel) -> None:
    found = groups(Served([mortality]))
    names = [group.pathway for group in found]
    assert names[:2] == ["person", "severity"]
    assert set(names) <= set(PATHWAYS)
    assert sum(len(group.fields) for group in found) == len(fields(Served([mortality])))


def test_a_real_model_stands_before_a_simulated_one(mortality: ServedModel) -> None:
    real = restated(mortality.loaded.risk_model, simulated=False, name="osteon-mortality-real")
    loaded = replace(mortality.loaded, risk_model=real, name="osteon-mortality-real")
    other = replace(mortality, loaded=loaded)
    icu, _ = places(Served([mortality, other]))
    assert icu.models == (other, mortality)


def test_components_of_a_derived_value_can_be_entered(mortality: ServedModel) -> None:
    features = mortality.contract.features
    bmi = replace(features[0], name="bmi", variable="bmi", unit="kg/m2")
    risk_model = restated(mortality.loaded.risk_model, features=(*features, bmi))
    model = replace(mortality, loaded=replace(mortality.loaded, risk_model=risk_model))
    found = {one.column: one for one in fields(Served([model]))}
    assert found["weight"].parts == found["height"].parts == ("mortality-simulated",)
    assert found["bmi"].models == ("mortality-simulated",)
    assert found["weight"].models == found["weight"].guards == ()


def test_fracture_is_asked_of_who_leaves_and_death_of_who_stays(
    mortality: ServedModel, fracture: ServedModel
) -> None:
    icu, leaving = places(Served([fracture, mortality]))
    assert icu.models == (mortality,)
    assert leaving.models == (fracture,)


def test_hints_are_for_clinicians(mortality: ServedModel) -> None:
    hints = {one.column: one.hint for one in fields(Served([reading_everything(mortality)]))}
    assert hints["coma_score"].startswith("0 awake to 100 deep coma")
    for column, hint in hints.items():
        assert not re.search(r"LOINC|UCUM|constrained|state the assay|model card|`|review", hint), (
            column
        )
        assert len(hint) < 130, column


def test_each_of_the_31_source_attributes_is_answered(mortality: ServedModel) -> None:
    found = source_attributes(mortality.contract)
    assert len(found) == 31
    assert all(one.answer.strip() and one.answer.endswith(".") for one in found)
    by_name = {one.name: one.answer for one in found}
    assert "age (date of birth), sex" in by_name["Personal and social variables among the inputs"]
    assert "simulated" in by_name["Relevance of the training data to this setting"]
