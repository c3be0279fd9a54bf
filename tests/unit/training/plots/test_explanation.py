"""What the figures of explanations show."""

import io

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.patient_explanation import NOT_MEASURED_LABEL
from training.plots.explanation import (
    Contribution,
    PatientEstimate,
    plot_waterfall,
)
from training.plots.style import LIGHT_GREY

WORDS = {"event_label": "death", "simulated": True}

CONTRIBUTIONS = (
    Contribution("APACHE II 24", "Severity", 6.0),
    Contribution("Lactate 3.1", "Severity", -2.0),
    Contribution("Age 67", "Person", 3.0),
    Contribution("CTX-I", "Resorption", 1.5, measured=False),
    Contribution("P1NP", "Formation", -0.5, measured=False),
)
ESTIMATE = PatientEstimate(28, 0.20, 0.2825, 0.2, 0.4, CONTRIBUTIONS, adjustment_points=0.25)


def rendered(figure: Figure) -> Axes:
    """Return the axes of a figure once it has been drawn as a PNG."""
    figure.savefig(io.BytesIO(), format="png")
    return figure.axes[0]


def labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_waterfall_leads_from_the_reference_to_the_patient() -> None:
    axes = rendered(plot_waterfall(ESTIMATE, **WORDS))

    assert labels(axes) == [
        "Reference: 20.0 %",
        "Severity",
        "APACHE II 24",
        "Lactate 3.1",
        "Person: Age 67",
        NOT_MEASURED_LABEL,
        "Monotone adjustment (risk never falls)",
        "This patient: 28.2 % (95 % interval 20 to 40)",
    ]
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert ends == pytest.approx([24.0, 26.0, 24.0, 27.0, 28.0, 28.25])


def test_what_was_not_measured_is_one_grey_bar() -> None:
    axes = rendered(plot_waterfall(ESTIMATE, **WORDS))

    bar = axes.patches[labels(axes).index(NOT_MEASURED_LABEL) - 1]
    assert bar.get_width() == pytest.approx(1.0)
    assert bar.get_facecolor() == pytest.approx((*[int(LIGHT_GREY[1:3], 16) / 255] * 3, 1.0))


def test_waterfall_names_the_strongest_variables_and_adds_up_the_others() -> None:
    many = tuple(Contribution(f"v{i}", "Severity", 10.0 - i / 2) for i in range(15))
    estimate = PatientEstimate(28, 0.0, sum(c.points for c in many) / 100, 0.8, 0.99, many)

    axes = rendered(plot_waterfall(estimate, **WORDS))

    assert labels(axes)[2:-1] == [*(f"v{i}" for i in range(8)), "7 more"]
    assert axes.patches[-1].get_width() == pytest.approx(sum(c.points for c in many[8:]))


def test_waterfall_of_a_patient_with_nothing_measured_is_drawn() -> None:
    nothing = (Contribution("CTX-I", "Resorption", 0.0, measured=False),)

    axes = rendered(plot_waterfall(PatientEstimate(28, 0.2, 0.2, 0.1, 0.3, nothing), **WORDS))

    assert NOT_MEASURED_LABEL in labels(axes)


def test_waterfall_speaks_of_raising_and_lowering_and_of_no_cause() -> None:
    figure = plot_waterfall(ESTIMATE, **WORDS)

    words = " ".join(t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")))

    assert "raised" in words
    assert "lowered" in words
    assert "Simulated patients" in words
    assert not any(word in words.lower() for word in ("because", "due to", "protect", "cause"))
