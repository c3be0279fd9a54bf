"""What an evaluation tells beyond the metrics, and what it does not tell of a few patients."""

import io
from typing import Any

import numpy as np

from training.report.content import as_markdown
from training.report.figures.comparison_figures import (
    panel_figures,
    risk_distribution_figure,
    subgroup_figure,
)
from training.report.figures.model_figures import Words
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    subgroups_section,
    validation_section,
)

WORDS = Words("death", "400 simulated patients")


def auroc(estimate: float) -> dict[str, Any]:
    ends = {"low": estimate - 0.05, "high": estimate + 0.05}
    return {"metric": "auroc", "horizon_days": 90.0, "estimate": estimate} | ends


def group(level: str, stays: int | None, events: int | None) -> dict[str, Any]:
    metrics = [auroc(0.8)] if stays and stays > 50 else []
    return {
        **{"grouping": "menopause", "level": level, "stays": stays, "events": events},
        "metrics": metrics,
    }


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


def test_groups_that_nobody_looked_at_are_not_done() -> None:
    assert "not looked at" in subgroups_section(None, horizon_days=90.0).not_done
    assert "tells groups" in subgroups_section([], horizon_days=90.0).not_done


def test_too_few_patients_to_learn_from_is_said() -> None:
    sizes = [
        {
            **{"horizon_days": 28.0, "parameters": 24, "for_shrinkage": 500},
            **{"for_optimism": 662, "for_overall_risk": 221, "needed": 662},
        }
    ]

    assert "fewer than needed at 28 days" in sample_size_section(sizes, patients=661).sentences[0]
    assert "enough at every horizon" in sample_size_section(sizes, patients=662).sentences[0]
    assert sample_size_section(None, patients=662).not_done


def test_instability_is_told_in_points_of_risk() -> None:
    told = [
        {
            **{"horizon_days": 28.0, "refits": 200, "mean_absolute_change": 0.021},
            **{"p90_mean_absolute_change": 0.05, "median_interval_width": 0.11},
            "share_wider_than": {"0.05": 0.9, "0.1": 0.6},
        }
    ]

    text = as_markdown("m", [instability_section(told), instability_section(None)])

    assert "| 28 days | 2.1 | 5.0 | 11.0 | 90 % | 60 % |" in text
    assert "share wider than 10 points" in text
    assert "--instability" in text


def test_sites_never_seen_are_told_with_where_a_new_one_would_lie() -> None:
    pooled = {
        **{"metric": "auroc", "horizon_days": 90.0, "clusters": 3, "tau": 0.1},
        **{"estimate": 0.8, "low": 0.75, "high": 0.84, "next_low": 0.6, "next_high": 0.9},
    }
    clusters = [{**group("graz", 200, 40), "grouping": "site"}]

    told = {"by": "site", "clusters": clusters, "pooled": [pooled]}
    text = as_markdown("m", [validation_section(told, horizon_days=90.0)])

    assert "| graz | 200 | 40 | 0.800 (0.750 to 0.850) |" in text
    assert "0.800 (0.750 to 0.840) | 0.600 to 0.900 |" in text


def test_figures_of_groups_and_of_the_spread_of_risks_are_drawn() -> None:
    spread = {
        **{"horizon_days": 90.0, "n": {"event": 60, "no_event": 300}},
        "mean": {"event": 0.5, "no_event": 0.2},
        "quantiles": {
            "event": [0.1, 0.3, 0.5, 0.7, 0.9],
            "no_event": [0.05, 0.1, 0.2, 0.3, 0.5],
        },
        "counts": {"event": [60], "no_event": [300]},
    }

    groups = next(subgroup_figure(GROUPS, overall=auroc(0.81), horizon_days=90.0, words=WORDS))
    risks = next(risk_distribution_figure([spread], horizon_days=90.0, words=WORDS))

    for drawn in (groups, risks):
        drawn.figure.savefig(io.BytesIO(), format="png")
    labels = [label.get_text() for label in groups.figure.axes[0].get_yticklabels()]
    assert labels == ["Menopause", "not applicable", "post"]
    assert "50 % of those with death" in risks.alternative


def test_what_a_panel_adds_is_drawn_with_each_part() -> None:
    change = {**auroc(0.8), "change": 0.02, "low": 0.01, "high": 0.03}
    curve = {end: [0.1, 0.05] for end in ("estimate", "low", "high")}
    told = {
        **{"primary_horizon_days": 90.0, "primary": change},
        "pathways": [{"name": "resorption", "on_top": [change], "alone": [change]}],
        "decision": {
            **{"horizon_days": 90.0, "thresholds": [0.1, 0.2], "treat_all": [0.1, 0.0]},
            **{"with_panel": curve, "without": curve, "gain": curve},
        },
    }

    panel, net_benefit = panel_figures(told, words=WORDS)

    net_benefit.figure.savefig(io.BytesIO(), format="png")
    labels = [label.get_text() for label in panel.figure.axes[0].get_yticklabels()]
    assert labels == [
        *("The whole panel", "Lost if left out", "Bone resorption"),
        *("Gained by it alone", "Bone resorption"),
    ]
    assert np.allclose(net_benefit.figure.axes[0].lines[0].get_ydata(), [10, 5])
