"""Which columns a panel and its base are, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from data_schema.variables import Variable
from training.cohorts.panel import panel_of

COLUMNS = (
    *("age", "sofa", "lactate", "ctx_s", "ctx_s__max", "ctx_s__count", "phosphate", "fgf23_c"),
    *("fgf23_c__below", "crp", "il6", "vent_days"),
)
USUAL = ("age", "sofa", "lactate", "phosphate", "crp")


def cohort(**own: Variable) -> Cohort:
    columns = [*COLUMNS, *own]
    stays = np.array(["a", "b"], dtype=object)
    return Cohort(
        features=pd.DataFrame(np.ones((2, len(columns))), columns=columns),
        variables={**VARIABLES, **own},
        patient_id=stays,
        stay_id=stays,
    )


def test_a_pathway_is_its_markers_with_their_features() -> None:
    panel = panel_of(cohort(), ["resorption", "fgf23_mineral"])

    assert panel.added == {
        "resorption": ("ctx_s", "ctx_s__max"),
        "fgf23_mineral": ("fgf23_c", "fgf23_c__below"),
    }


def test_the_base_is_usual_care_without_treatments_and_other_markers() -> None:
    panel = panel_of(cohort(), ["resorption"])

    assert panel.over == USUAL
    assert panel.not_in_base == ()
    assert panel_of(cohort(), ["resorption"], ["usual_care", "drivers"]).over == (
        *USUAL,
        "vent_days",
    )


def test_how_often_a_marker_was_measured_is_known_to_both_sides() -> None:
    panel = panel_of(cohort(), ["resorption"])

    assert panel.counts == ("ctx_s__count",)
    assert not {"ctx_s__count"} & {*panel.columns, *panel.over}


def test_the_routine_tests_of_a_pathway_join_a_stated_base() -> None:
    panel = panel_of(cohort(), ["fgf23_mineral"], ["severity", "person"])

    assert panel.over == ("age", "sofa", "lactate", "phosphate")
    assert panel.not_in_base == ("crp",)


def test_a_variable_named_is_in_the_panel_although_it_is_routine() -> None:
    panel = panel_of(cohort(), ["lactate"])

    assert (panel.columns, panel.over) == (("lactate",), ("age", "sofa", "phosphate", "crp"))
    assert panel_of(cohort(), ["lactate"], ["severity"]).over == ("sofa",)


def test_joined_names_are_one_part_of_the_panel() -> None:
    panel = panel_of(cohort(), ["resorption+fgf23_mineral", "lactate"], ["person"])

    assert panel.added == {
        "resorption+fgf23_mineral": ("ctx_s", "ctx_s__max", "fgf23_c", "fgf23_c__below"),
        "lactate": ("lactate",),
    }


def test_a_site_s_own_number_in_a_pathway_of_markers_is_a_marker() -> None:
    own = Variable("galectin3", "Galectin-3", "osteopontin_immune")
    score = Variable("ward_score", "Ward score", "severity")

    panel = panel_of(cohort(galectin3=own, ward_score=score), ["osteopontin_immune"])

    assert panel.columns == ("il6", "galectin3")
    assert panel.over == (*USUAL, "ward_score")


@pytest.mark.parametrize(
    ("added", "over", "message"),
    [
        (["resorbtion"], [], "Did you mean resorption"),
        (["usual_care"], [], "got usual_care"),
        (["wnt"], ["severity"], "must have a marker in the cohort; got wnt"),
        (["resorption", "resorption+formation"], ["age"], "formation without one"),
        (["severity"], ["person"], "must have a marker in the cohort; got severity"),
        (["resorption"], ["wnt"], "must have a column in the cohort; got wnt"),
        (["resorption", "resorption+fgf23_mineral"], ["age"], "none in common"),
        (["resorption"], ["resorption", "age"], "none in common"),
    ],
)
def test_a_panel_that_cannot_be_compared_is_rejected(
    added: list[str], over: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        panel_of(cohort(), added, over)
