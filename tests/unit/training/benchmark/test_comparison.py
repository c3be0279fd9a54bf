"""A comparison as JSON: names beside figures, and nothing where there is nothing."""

from training.benchmark.comparison import (
    Comparison,
    JudgedFigure,
    ModelDifference,
    ModelRow,
    PathwayShare,
)


def test_a_row_has_its_figures_in_their_order_beside_its_names() -> None:
    row = ModelRow("osteon", {"c": 0.7, "auc": {"28": 0.8}, "fit_seconds": None}, source="run here")

    assert list(row.as_json().items()) == [
        ("model", "osteon"),
        ("source", "run here"),
        ("c", 0.7),
        ("auc", {"28": 0.8}),
        ("fit_seconds", None),
    ]
    assert list(ModelRow("osteon", {"auc": 0.8}, outcome="mortality").as_json()) == [
        *("outcome", "model", "auc"),
    ]


def test_a_verdict_is_told_where_there_is_one() -> None:
    gap = ModelDifference("cox", "c", 0.01, None, None)

    assert gap.as_json() == {
        **{"model": "cox", "metric": "c", "estimate": 0.01},
        **{"low": None, "high": None},
    }
    assert ModelDifference("cox", "c", 0.0, 0.0, 0.0, "adds").as_json()["verdict"] == "adds"


def test_only_a_comparison_with_the_truth_has_figures_and_shares() -> None:
    plain = Comparison("Two models.", (ModelRow("osteon", {}),))
    figure = JudgedFigure("mortality", "ICI", 28.0, 0.004, 0.0, 0.01, True)
    share = PathwayShare("mortality", 28.0, "severity", 3.0, 2.5)
    beside_truth = Comparison("One model.", (), figures=(figure,), shares=(share,)).as_json()

    assert list(plain.as_json()) == ["rows", "differences"]
    assert list(beside_truth) == ["rows", "differences", "figures", "shares"]
    assert beside_truth["figures"] == [
        {
            **{"outcome": "mortality", "figure": "ICI", "horizon_days": 28.0, "value": 0.004},
            **{"low": 0.0, "high": 0.01, "passed": True},
        }
    ]
