"""Report, model card, MLflow's pages, facts page and gate record tell one story."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from models.inference.contract import Contract
from shown_figures import contradictions, shown_in_tables, tables_of_html, tables_of_markdown

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

MODEL = "osteon-mortality-simulated"


@dataclass(frozen=True)
class RunPages:
    """What a run left for readers."""

    contract: Contract
    report: str
    card: str
    note: str
    facts: str
    gate: str


@pytest.fixture(scope="module")
def pages(trained: Any) -> RunPages:
    place, printed = trained
    folder = Path(printed["report"]).parent
    with place.entered():
        from models.registry.gate import gate_key
        from models.registry.lifecycle import load_champion
        from models.registry.tracking import connect
        from serving.page.rendering import facts_page
        from serving.prediction.served import ServedModel

        loaded = load_champion(MODEL, gate_key())
        version = connect().MlflowClient().get_model_version(MODEL, "1")
        facts = facts_page(ServedModel(loaded, promoted=True))
    return RunPages(
        contract=loaded.risk_model.contract,
        report=Path(printed["report"]).read_text(),
        card=(folder / "model_card.md").read_text(),
        note=version.description,
        facts=facts,
        gate=(folder / "gate.json").read_text(),
    )


def test_no_figure_contradicts_another(pages: RunPages) -> None:
    found, compared = contradictions(
        pages.contract,
        report=pages.report,
        card=pages.card,
        note=pages.note,
        facts=pages.facts,
        gate=pages.gate,
    )
    assert found == []
    assert compared > 200
    for shown in (
        shown_in_tables("report", tables_of_html(pages.report)),
        shown_in_tables("facts", tables_of_html(pages.facts)),
        shown_in_tables("card", tables_of_markdown(pages.card)),
        shown_in_tables("MLflow", tables_of_markdown(pages.note)),
    ):
        assert {"auroc", "oe_ratio", "calibration_slope"} <= {one.metric for one in shown}


def test_a_figure_that_was_changed_in_one_place_is_noticed(pages: RunPages) -> None:
    metric = next(m for m in pages.contract.evaluation.metrics if m.metric == "oe_ratio")  # type: ignore[union-attr]
    assert metric.estimate is not None
    shown = f"{metric.estimate:.3f}"
    changed = pages.card.replace(shown, f"{metric.estimate + 0.01:.3f}")

    found, _ = contradictions(
        pages.contract,
        report=pages.report,
        card=changed,
        note=pages.note,
        facts=pages.facts,
        gate=pages.gate,
    )

    assert found
    assert {one.split(":")[0].split(" ")[0] for one in found} == {"card"}


def test_every_link_of_the_report_leads_to_a_section(pages: RunPages) -> None:
    targets = set(re.findall(r'href="#([^"]+)"', pages.report))
    anchors = set(re.findall(r'id="([^"]+)"', pages.report))

    assert {"summary", "sample-size", "patient-flow", "intended-use"} <= targets
    assert targets <= anchors


def test_simulated_patients_whose_facts_are_unknown_leave_items_open(pages: RunPages) -> None:
    assert "Still open, for the authors to state in the table [study]" in pages.report
    assert "No clinical use is defined" in pages.report
