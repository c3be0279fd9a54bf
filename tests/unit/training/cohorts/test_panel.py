"""Which columns a panel is, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from training.cohorts.panel import panel_of


def cohort() -> Cohort:
    columns = ["age", "sofa", "lactate", "ctx_s", "ctx_s__max", "fgf23_c", "fgf23_c__below"]
    stays = np.array(["a", "b"], dtype=object)
    return Cohort(
        features=pd.DataFrame(np.ones((2, len(columns))), columns=columns),
        variables=VARIABLES,
        patient_id=stays,
        stay_id=stays,
    )


def test_a_pathway_is_all_its_columns_with_their_features() -> None:
    panel = panel_of(cohort(), ["resorption", "fgf23_mineral"], ["severity", "person"])

    assert panel.added == {
        "resorption": ("ctx_s", "ctx_s__max"),
        "fgf23_mineral": ("fgf23_c", "fgf23_c__below"),
    }
    assert panel.over == ("sofa", "lactate", "age")


def test_without_over_everything_else_is_there() -> None:
    assert panel_of(cohort(), ["lactate"]).over == (
        *("age", "sofa", "ctx_s", "ctx_s__max", "fgf23_c", "fgf23_c__below"),
    )


def test_joined_names_are_one_part_of_the_panel() -> None:
    panel = panel_of(cohort(), ["resorption+fgf23_mineral", "lactate"], ["person"])

    assert panel.added == {
        "resorption+fgf23_mineral": ("ctx_s", "ctx_s__max", "fgf23_c", "fgf23_c__below"),
        "lactate": ("lactate",),
    }


def test_a_variable_by_name_leaves_its_pathway() -> None:
    panel = panel_of(cohort(), ["lactate"], ["severity"])

    assert (panel.columns, panel.over) == (("lactate",), ("sofa",))


@pytest.mark.parametrize(
    ("added", "over", "message"),
    [
        (["resorbtion"], [], "Did you mean resorption"),
        (["wnt"], ["severity"], "must have a column in the cohort; got wnt"),
        (["resorption", "resorption+formation"], ["age"], "formation without one"),
        (["resorption", "resorption+fgf23_mineral"], ["age"], "none in common"),
        (["severity"], ["severity"], "none in common"),
    ],
)
def test_a_panel_that_cannot_be_compared_is_rejected(
    added: list[str], over: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        panel_of(cohort(), added, over)
