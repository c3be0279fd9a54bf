"""Contributions over a cohort, and that no patient is disclosed by them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort
from data_schema.disclosure import SMALLEST_CELL
from training.explanation.cohort import ExplainedCohort, explain_cohort
from training.explanation.synthetic_patients import synthetic_patients
from training.plots.spread import plot_beeswarm, plot_responses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from serving.prediction.served import ServedModel


def rendered(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png")
    return figure


@pytest.fixture(scope="module")
def explained(mortality: ServedModel, patients: pd.DataFrame) -> ExplainedCohort:
    n = len(patients)
    cohort = Cohort(
        features=patients,
        variables={},
        patient_id=np.arange(n).astype(object),
        stay_id=np.arange(n).astype(object),
    )
    return explain_cohort(
        mortality.loaded.risk_model, cohort, [28.0, 90.0], horizon_days=28.0, random_state=0
    )


def test_no_dot_is_fewer_than_ten_patients(explained: ExplainedCohort) -> None:
    for dots in explained.dots:
        assert dots.patients_per_dot >= SMALLEST_CELL
        assert len(dots.points) <= 300 / SMALLEST_CELL
        assert np.isnan(dots.value[~dots.measured]).all()


def test_dots_keep_the_mean_of_the_contributions(explained: ExplainedCohort) -> None:
    strongest = explained.importance[0].variables[0]
    dots = explained.dots[0]

    assert dots.label == strongest.label
    assert np.abs(dots.points).mean() == pytest.approx(strongest.mean_points, rel=0.15)


def test_a_response_has_a_value_for_each_bin_and_levels_for_a_category(
    explained: ExplainedCohort,
) -> None:
    for response in explained.responses:
        assert (response.low <= response.middle).all()
        assert (response.middle <= response.high).all()
        assert (np.diff(response.values) > 0).all()
        assert len(response.levels) in (0, len(response.values))


def test_figures_are_drawn_of_them(explained: ExplainedCohort) -> None:
    words = {"horizon_days": 28, "simulated": False}

    swarm = rendered(plot_beeswarm(explained.dots, **words)).axes[0]
    panels = rendered(plot_responses(explained.responses, **words)).axes

    assert len(swarm.get_yticks()) == len(explained.dots)
    assert [axes.get_title(loc="left") for axes in panels if axes.get_visible()] == [
        response.label for response in explained.responses
    ]


def test_synthetic_patients_are_ordered_by_risk_and_not_of_the_cohort(
    mortality: ServedModel, patients: pd.DataFrame
) -> None:
    model = mortality.loaded.risk_model

    synthetic = synthetic_patients(
        model, horizon_days=28.0, random_state=0, shares={"low": 0.1, "high": 0.9}
    )

    risk = {name: model.risk(frame, [28.0])[0, 0] for name, frame in synthetic.items()}
    assert risk["low"] < risk["high"]
    numbers = ["age", "lactate", "albumin"]
    for frame in synthetic.values():
        assert not (patients[numbers] == frame[numbers].to_numpy()).all(axis=1).any()
