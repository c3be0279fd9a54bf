from __future__ import annotations

from typing import TYPE_CHECKING

from contracts import reading_everything
from serving.page.first_screen import GROUPS, SHOWN, first_screen

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


def test_age_sex_a_score_and_markers_of_bone_stand_open(mortality: ServedModel) -> None:
    found = {group.key: group.columns for group in first_screen(mortality)}
    assert list(found) == [key for key in GROUPS if key in found]
    assert found["person"][:2] == ("age", "sex")
    assert set(found["bone"]) == {"fgf23_c", "ctx_s"}
    assert "fgf23_c__below" not in [name for names in found.values() for name in names]


def test_what_the_model_uses_most_comes_first_up_to_the_limit(mortality: ServedModel) -> None:
    model = reading_everything(mortality)
    found = {group.key: group.columns for group in first_screen(model)}
    columns = [name for names in found.values() for name in names]
    assert len(columns) == len(set(columns)) == SHOWN
    assert set(found["scores"]) & {"apache2", "sofa", "saps2", "support_sps", "saps1"}
    information = model.contract.guard.information
    for names in found.values():
        rest = [name for name in names if name not in ("age", "sex", *found["scores"])]
        shares = [information.get(name, 0.0) for name in rest]
        assert shares == sorted(shares, reverse=True)
