"""Optional analyses in a report, and what they withhold about small groups of patients."""

import io

import numpy as np

from models.metrics.calibration.instability import Instability
from models.metrics.comparison.decision_curves import DecisionComparison
from models.metrics.comparison.likelihood_ratio import LikelihoodRatio
from models.metrics.comparison.paired_changes import Change
from models.metrics.intervals import Interval
from models.metrics.metric import Metric
from models.metrics.pooling import Pooled
from models.metrics.risk_distribution import RiskDistribution
from models.metrics.sample_size import SampleSize
from models.metrics.subgroups import Subgroup
from training.cohorts.panel import Panel
from training.report.content import as_markdown
from training.report.figures.comparison_figures import (
    panel_figures,
    risk_distribution_figure,
    validation_figure,
)
from training.report.figures.model_figures import FigureContext
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    subgroups_section,
    validation_section,
)
from training.validation.internal_external import InternalExternal
from training.validation.panel_value import GroupValue, PanelTest, PanelValue, PathwayValue

CONTEXT = FigureContext("death", simulated=True)


def auroc(estimate: float) -> Metric:
    return Metric("auroc", 90.0, estimate, estimate - 0.05, estimate + 0.05)


def group(level: str, stays: int | None, events: int | None, by: str = "menopause") -> Subgroup:
    return Subgroup(by, level, stays, events, (auroc(0.8),) if stays and stays > 50 else ())


GROUPS = [group("not_applicable", 530, 120), group("peri", None, None), group("post", 231, 60)]


def test_a_group_of_a_few_cannot_be_counted_from_the_others() -> None:
    table = subgroups_section(GROUPS, horizon_days=90.0).tables[0]

    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Menopause"] == ()
    assert rows["peri"][:2] == ("withheld", "withheld")
    assert rows["post"][:2] == ("withheld", "withheld")
    assert rows["not applicable"][:2] == ("530", "120")
    assert rows["not applicable"][2] == "0.800 (0.750 to 0.850)"
    assert rows["peri"][2] == "too few"


def test_patients_of_one_group_only_have_no_subgroups() -> None:
    assert "divides these patients" in subgroups_section([], horizon_days=90.0).not_done


def test_too_few_training_patients_are_named() -> None:
    sizes = [SampleSize(28.0, 24, 0.174, 0.288, 500, 662, 221)]

    assert "too small at 28 days" in sample_size_section(sizes, patients=661).sentences[0]
    assert "suffices at every horizon" in sample_size_section(sizes, patients=662).sentences[0]
    assert sample_size_section([], patients=662).not_done


def test_instability_is_in_points_of_risk() -> None:
    # Ranges of 0.04, 0.08 (six of ten) and 0.12 wide, around risks that move by 2 points.
    width = np.repeat([0.04, 0.08, 0.12], [1, 6, 3])
    risk = np.full(10, 0.5)
    instabilities = [Instability(28.0, 200, risk, np.full(10, 0.021), risk, risk + width, {})]

    text = as_markdown("m", [instability_section(instabilities), instability_section([])])

    assert "| 28 days | 2.1 | 2.1 | 8.0 | 90 % | 30 % | 0 % |" in text
    assert "patients wider than 10 points" in text
    assert "--instability" in text


def test_sites_held_out_have_a_prediction_interval_for_a_new_site() -> None:
    pooled = Pooled("auroc", 90.0, 3, 0.8, 0.75, 0.84, 0.6, 0.9, 0.1)

    validated = InternalExternal("site", (group("graz", 200, 40, by="site"),), (pooled,))
    text = as_markdown("m", [validation_section(validated, horizon_days=90.0)])

    assert "| graz | 200 | 40 | 0.800 (0.750 to 0.850) |" in text
    assert "0.800 (0.750 to 0.840) | 0.600 to 0.900 |" in text


def test_figures_of_groups_and_of_the_spread_of_risks_are_drawn() -> None:
    kinds = {"all": 360, "event": 60, "no_event": 300, "unknown": 0}
    quantiles = {"event": (0.1, 0.3, 0.5, 0.7, 0.9), "no_event": (0.05, 0.1, 0.2, 0.3, 0.5)}
    counts = {kind: np.array([n]) for kind, n in kinds.items()}
    means = {"event": 0.5, "no_event": 0.2}
    spread = RiskDistribution(90.0, kinds, means, quantiles, np.array([0.0, 1.0]), counts)

    validated = InternalExternal("site", tuple(GROUPS), ())
    groups = next(validation_figure(validated, horizon_days=90.0, context=CONTEXT))
    risks = next(risk_distribution_figure([spread], horizon_days=90.0, context=CONTEXT))

    for figure in (groups, risks):
        figure.figure.savefig(io.BytesIO(), format="png")
    labels = [label.get_text() for label in groups.figure.axes[0].get_yticklabels()]
    assert labels == ["Menopause", "not applicable", "post"]
    assert "median 50 % with" in risks.alternative


def test_what_a_panel_adds_is_drawn_with_each_part() -> None:
    change = Change("auroc", 90.0, None, 0.78, 0.8, 0.02, 0.01, 0.03)
    curve = Interval(*(np.array([0.1, 0.05]) for _ in range(3)))
    at = np.array([0.1, 0.2])
    value = PanelValue(
        outcome="mortality",
        event_label="deaths",
        population="Adults of two ICUs",
        simulated=False,
        panel=Panel({"resorption": ("ctx_s",)}, ("age",)),
        stays=700,
        patients=700,
        events=120,
        folds=5,
        resamples=200,
        primary_horizon_days=90.0,
        primary=change,
        verdict="adds",
        changes=(change,),
        pathways=(PathwayValue("resorption", ("ctx_s",), (change,), (change,)),),
        likelihood_ratio=PanelTest(LikelihoodRatio("Cox", 20.0, 2, 0.00001, 0.9), 4),
        trade_off=(),
        decision=DecisionComparison(90.0, at, curve, curve, curve, at),
        not_judged={},
        among_measured=GroupValue(700, 700, 120, 1.0, (change,), {}),
        under_full_treatment=None,
        limited_deaths=None,
    )

    panel, net_benefit = panel_figures(value, context=CONTEXT)

    net_benefit.figure.savefig(io.BytesIO(), format="png")
    labels = [label.get_text() for label in panel.figure.axes[0].get_yticklabels()]
    assert labels == [
        *("Whole panel", "Added to all other variables", "Bone resorption"),
        *("Added to variables outside the panel", "Bone resorption"),
    ]
    assert np.allclose(net_benefit.figure.axes[0].lines[0].get_ydata(), [10, 5])
