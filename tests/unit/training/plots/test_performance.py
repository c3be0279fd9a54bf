"""What the figures of evaluation show, and what they keep to themselves."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.metrics.curves import (
    CalibrationCurve,
    DecisionCurve,
    IncidenceByRisk,
    RiskGroup,
    calibration_curve,
    decision_curve,
    incidence_by_risk,
)
from models.metrics.intervals import Interval
from training.plots.performance import (
    plot_calibration,
    plot_decision_curve,
    plot_incidence_by_risk,
)

WORDS = {"event_label": "death", "simulated": True}
DAYS = np.array([10.0, 50.0, 90.0])


def cohort(n: int = 400) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    rate = np.exp(rng.normal(size=n)) / 100
    time, lost = rng.exponential(1 / rate), rng.uniform(30, 300, n)
    risk = 1 - np.exp(-rate[:, None] * DAYS)
    return np.minimum(time, lost), (time <= lost).astype(np.int64), risk


def constant(values: list[float]) -> Interval:
    array = np.array(values)
    return Interval(array, array, array)


def texts(figure: Figure) -> str:
    """Return all the words of a figure, once it has been drawn as a PNG."""
    figure.savefig(io.BytesIO(), format="png")
    texts = [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]
    return " ".join(" ".join(texts).split())


def figures() -> list[Figure]:
    time, event, risk = cohort()
    fast = {"n_bootstrap": 10}
    calibration = calibration_curve(time, event, risk[:, 2], horizon_days=90, **fast)
    decision = decision_curve(time, event, risk[:, 2], horizon_days=90, **fast)
    return [
        plot_calibration(calibration, **WORDS),
        plot_decision_curve(decision, **WORDS),
        plot_incidence_by_risk(incidence_by_risk(time, event, risk, DAYS, **fast), **WORDS),
    ]


def test_every_figure_states_the_event_and_that_its_patients_are_simulated() -> None:
    for figure in figures():
        words = texts(figure)

        assert "Simulated patients" in words
        assert "death" in words


def test_a_figure_of_real_patients_does_not_call_them_simulated() -> None:
    curve = DecisionCurve(28, np.array([0.1, 0.2]), constant([0.05, 0.03]), np.array([0.02, -0.1]))

    words = texts(plot_decision_curve(curve, event_label="death", simulated=False))

    assert "imulated" not in words


def test_calibration_histogram_leaves_out_bins_of_fewer_than_ten_patients() -> None:
    curve = CalibrationCurve(
        horizon_days=28,
        predicted=np.array([0.1, 0.4]),
        observed=constant([0.1, 0.4]),
        bin_edges=np.array([0.0, 0.25, 0.5, 0.75]),
        bin_counts=np.array([50, 10, 9]),
    )

    below = plot_calibration(curve, **WORDS).axes[1]

    assert [bar.get_height() for bar in below.patches] == [50, 10, 0]


def test_a_group_of_fewer_than_ten_patients_is_not_drawn() -> None:
    groups = tuple(RiskGroup(n, np.array([0.1]), constant([0.2])) for n in (9, 10))

    words = texts(plot_incidence_by_risk(IncidenceByRisk(np.array([28.0]), groups), **WORDS))

    assert "group 2" in words
    assert "group 1" not in words


def test_labels_of_lines_that_end_together_do_not_cover_each_other() -> None:
    groups = tuple(RiskGroup(50, np.array([0.2]), constant([0.2])) for _ in range(5))

    axes = plot_incidence_by_risk(IncidenceByRisk(np.array([28.0]), groups), **WORDS).axes[0]

    heights = np.sort([text.xy[1] for text in axes.texts])
    assert np.diff(heights).min() > 0.05 * axes.get_ylim()[1]


def test_decision_curve_counts_per_100_patients() -> None:
    curve = DecisionCurve(28, np.array([0.1, 0.2]), constant([0.05, 0.03]), np.array([0.02, -0.1]))

    axes = plot_decision_curve(curve, **WORDS).axes[0]

    assert axes.lines[0].get_ydata().tolist() == [5.0, 3.0]
    assert axes.get_ylabel() == "Net true positives per 100 patients"


def test_risk_groups_are_those_that_the_c_index_ranks() -> None:
    time, event, risk = cohort()
    # The highest mean risk of all, but by its log-odds below the middle.
    risk[0] = [1e-6, 0.95, 0.95]
    risk[1:] *= 0.6

    incidence = incidence_by_risk(time, event, risk, DAYS, n_bootstrap=5)

    order = np.argsort(risk.mean(axis=1), kind="stable")
    assert order[-1] == 0
    assert incidence.groups[-1].predicted == pytest.approx(risk[order[-80:]].mean(axis=0))


def test_risk_groups_hold_all_patients_and_rise() -> None:
    time, event, risk = cohort(403)

    incidence = incidence_by_risk(time, event, risk, DAYS, n_bootstrap=5)

    assert sum(group.n_patients for group in incidence.groups) == 403
    predicted = [group.predicted[-1] for group in incidence.groups]
    assert predicted == sorted(predicted)


def test_calibration_curve_of_true_risks_lies_by_the_diagonal() -> None:
    time, event, risk = cohort(4_000)

    curve = calibration_curve(time, event, risk[:, 2], horizon_days=90, n_bootstrap=50)

    # Standard errors at this size are about .02 in the middle of the curve and .04 at its ends.
    assert np.abs(curve.observed.estimate - curve.predicted).max() < 0.1
    inside = (curve.observed.low <= curve.predicted) & (curve.predicted <= curve.observed.high)
    assert inside.mean() > 0.7
    assert curve.bin_counts.sum() == 4_000


def test_decision_curve_starts_where_treating_by_the_model_is_treating_all() -> None:
    time, event, risk = cohort()

    curve = decision_curve(time, event, risk[:, 2].clip(0.02), horizon_days=90, n_bootstrap=5)

    assert curve.model.estimate[0] == pytest.approx(curve.treat_all[0])
