"""What a panel truly adds, where the patients are simulated."""

import pytest

from training.run.true_added_value import true_added_value

PANEL = ("ctx_s", "p1np", "fgf23_c")


def test_a_panel_without_information_truly_adds_nothing() -> None:
    assert true_added_value("no-added-value", "mortality", PANEL, 90.0) == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize(
    ("scenario", "outcome", "days"),
    [("", "mortality", 90.0), ("published", "relapse", 90.0), ("published", "mortality", 91.0)],
)
def test_the_truth_is_known_for_the_simulation_only(
    scenario: str, outcome: str, days: float
) -> None:
    assert true_added_value(scenario, outcome, PANEL, days) is None
