from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from models.wording import NOTICE
from training.model_card import as_markdown, model_card
from training.report import report_page

if TYPE_CHECKING:
    from serving.served import ServedModel


@pytest.fixture
def contract(mortality: ServedModel) -> dict[str, Any]:
    """A whole contract, with few events in the held-out patients."""
    return mortality.contract | {
        "dropped": {"ward_score": "left out by whoever started the run"},
        "run": {"seed": 17},
        "evaluation": {
            "split": "site",
            "stays": 90,
            "patients": 90,
            "events": 7,
            "refused": 0,
            "bootstrap_resamples": 200,
            "cohort_fingerprint": "e" * 64,
            "metrics": [
                {
                    "metric": "auroc",
                    "horizon_days": 28.0,
                    "estimate": 0.8123,
                    "low": 0.75,
                    "high": 0.86,
                },
                {
                    "metric": "ibs",
                    "horizon_days": None,
                    "estimate": None,
                    "low": None,
                    "high": None,
                    "note": "needs a curve",
                },
            ],
        },
        "provenance": {
            "git_revision": None,
            "versions": {"python": "3.11.7"},
            "data_fingerprint": "a" * 64,
            "training_fingerprint": "b" * 64,
        },
    }


def test_the_card_says_what_a_reader_must_know(contract: dict[str, Any]) -> None:
    text = as_markdown(contract["name"], model_card(contract))
    for words in (
        NOTICE,
        "Made-up patients of a test.",
        "simulated",
        "24 h after ICU admission, alive",
        "28, 90 days",
        "FGF23",
        "ward_score | left out by whoever started the run",
        f"The linear part has the weight {contract['training']['linear_weight']:.2f}",
        "not fitted again on all",
        "| auroc | 28 | 0.812 (0.750 to 0.860) | higher is better",
        "| ibs | all | needs a curve | lower is better |",
        contract["interval"]["guarantee"],
        "not the drug's effect",
        "last sites",
        "b" * 64,
        "not run from a checkout",
    ):
        assert words in text, words


def test_small_counts_of_patients_are_not_told(contract: dict[str, Any]) -> None:
    text = as_markdown(contract["name"], model_card(contract))
    assert "| deaths |" in text
    assert "fewer than 10 |" in text
    assert "| 7 |" not in text


def test_the_report_is_one_page_without_other_files(contract: dict[str, Any]) -> None:
    page = report_page("a <model>", model_card(contract), {"calibration": b"\x89PNG"})
    assert "a &lt;model&gt;" in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page
