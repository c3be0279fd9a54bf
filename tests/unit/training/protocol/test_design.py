"""The design of a study: what it fixes, its size, and what is refused."""

import pytest

from data_schema.errors import UsageError
from models.metrics.comparison.paired_changes import MARGIN
from training.protocol.design import StudyDesign, design_of


def design(**changed: object) -> StudyDesign:
    stated: dict[str, object] = {
        "outcome_name": "mortality",
        "added": ("ctx_s", "fgf23_c"),
        "event_rate": 0.25,
        "expected_gain": 0.03,
    }
    return design_of(**{**stated, **changed})  # type: ignore[arg-type]


def test_panel_base_and_primary_horizon_are_fixed_in_the_settings() -> None:
    planned = design(horizon_days=60, over=("severity", "age"))

    assert planned.settings.added_value == ("ctx_s", "fgf23_c")
    assert planned.settings.over == ("severity", "age")
    assert planned.settings.primary_horizon_days == 60
    assert planned.settings.horizons_days == (28, 60, 90, 365)


def test_a_pathway_stands_for_its_markers_and_its_routine_tests_join_the_base() -> None:
    planned = design(added=("formation",), over=("severity",))

    assert "p1np" in planned.panel.columns
    assert "alkaline_phosphatase" in planned.panel.over


def test_the_size_meets_gain_development_and_sites() -> None:
    planned = design(sites=4)

    assert planned.needed >= planned.for_gain
    assert planned.needed >= planned.development.needed
    # 100 patients with the event of 1 in 4, in each of 4 sites.
    assert planned.for_sites == 1600
    assert planned.development.parameters >= len(planned.panel.columns) + len(planned.panel.over)


def test_a_smaller_base_needs_fewer_patients_to_learn_from() -> None:
    small = design(over=("age", "sofa", "lactate"))

    assert small.development.parameters == 5
    assert small.development.needed < design().development.needed


def test_the_least_favourable_base_counts_where_none_is_stated() -> None:
    every = design()

    assert every.for_gain == max(row.sizes[-1].for_power for row in every.gains)
    assert design(base_auroc=0.85).for_gain < every.for_gain
    assert design(base_auroc=0.7).for_gain == every.for_gain


def test_hours_are_read_with_and_without_their_letter() -> None:
    assert design(landmark="72").outcome.name == "mortality-72h"
    assert design(landmark="72h").outcome.name == "mortality-72h"
    assert design(outcome_name="fracture").landmark.hours is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"added": ("galectin",)}, "got galectin"),
        ({"added": ()}, "panel must name at least one"),
        ({"added": ("ctx_s",), "over": ("ctx_s",)}, "none in common"),
        ({"event_rate": 0.0}, "event-rate must lie strictly between 0 and 1"),
        ({"event_rate": 25.0}, "got 25"),
        ({"event_rate": float("nan")}, "event-rate must"),
        ({"expected_gain": MARGIN}, "expected-gain must lie above the margin of 0.01"),
        ({"expected_gain": float("nan")}, "expected-gain must"),
        ({"base_auroc": 0.4}, "base-auroc must be at least 0.5"),
        ({"base_auroc": 0.98}, "add up to less than 1"),
        ({"horizon_days": 0.0}, "horizon must be a number of days above 0"),
        ({"horizon_days": float("inf")}, "horizon must be"),
        ({"sites": 1}, "sites must be 2 or more"),
        ({"outcome_name": "delirium"}, "outcome must be one of"),
        ({"landmark": "48"}, "mortality at 48h"),
    ],
)
def test_what_cannot_be_planned_is_refused_by_name(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        design(**changed)
