from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.inference.contract import (
    Contract,
    Evaluation,
    HeldOutMetric,
    Provenance,
    StudyFacts,
)
from models.metrics.metric import Metric
from models.metrics.sample_size import SampleSize
from models.metrics.summary import Repeat
from models.wording import NOTICE
from training.config import Boosting, RunConfig, Tuning
from training.report.checklists.probast import probast_section
from training.report.checklists.subject import Subject
from training.report.checklists.tripod import (
    Analysis,
    Item,
    filled_items,
    tripod_items,
    tripod_section,
)
from training.report.content import as_markdown
from training.report.model_card import model_card
from training.report.model_sections import model_development
from training.validation.judgement import Findings, Judgement
from training.validation.predictions import Predictions
from training.validation.refusals import Refusals

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


METRICS = (
    Metric("auroc", 28.0, 0.8123, 0.75, 0.86),
    Metric("ibs", None, np.nan, np.nan, np.nan, "needs a curve"),
)
BLANKED = tuple(
    Metric("auroc", 28.0, estimate, estimate - 0.05, estimate + 0.05, blank_share=share)
    for share, estimate in ((0.2, 0.79), (0.4, 0.76))
)

PREDICTIONS = Predictions(
    time_days=np.full(90, 30.0),
    event=np.repeat([1, 0], [7, 83]),
    patient_id=np.arange(90).astype(object),
    repeats=(Repeat(np.full((90, 1), 0.1), np.zeros(90, dtype=np.int64)),),
    horizons_days=(28.0,),
    curve_days=None,
    blanked=(),
    answered=np.full(90, True),
    refusals=Refusals(90, 0, {}),
    cohort_fingerprint="e" * 64,
)

FINDINGS = Findings(
    PREDICTIONS, Judgement(PREDICTIONS.refusals, METRICS, BLANKED, (), (), (), None)
)


def test_many_refusals_come_first_in_the_card(contract: Contract) -> None:
    refusals = Refusals(90, 30, {"unlike_training_cohort": 30})
    of_answered = (Metric("auroc", 28.0, 0.9, 0.85, 0.95), Metric("e50", 28.0, 0.1, 0.0, 0.2))
    judgement = Judgement(refusals, METRICS, BLANKED, of_answered, (), (), None)

    first, *rest = model_card(contract, Findings(PREDICTIONS, judgement))

    assert first.title == "Summary"
    assert first.sentences == (refusals.notice,)
    (performance,) = (s for s in rest if s.title == "Performance")
    tables = {table.caption: table for table in performance.tables}
    assert next(iter(tables)) == "Performance by horizon, all stays, with 95 % intervals"
    of_rest = tables["Performance by horizon, stays not refused, with 95 % intervals"]
    assert [row[0].split(":")[0] for row in of_rest.rows] == [
        "Discrimination",
        "Area under the ROC curve",
    ]


@pytest.fixture
def contract(mortality: ServedModel) -> Contract:
    """A whole contract, with few events in the held-out patients."""
    return replace(
        mortality.contract,
        dropped={"ward_score": "excluded by the settings of the run"},
        evaluation=Evaluation(
            split="site",
            stays=90,
            patients=90,
            events=7,
            refused=0,
            bootstrap_resamples=200,
            cohort_fingerprint="e" * 64,
            metrics=tuple(HeldOutMetric(**metric.as_json()) for metric in METRICS),
        ),
        provenance=Provenance(None, {"python": "3.11.7"}, "a" * 64, "b" * 64),
    )


def test_the_card_says_what_a_reader_must_know(contract: Contract) -> None:
    text = as_markdown(contract.name, model_card(contract, FINDINGS))
    for words in (
        NOTICE,
        "Made-up patients of a test.",
        "simulated",
        "24 h after ICU admission, alive",
        "28, 90 days",
        "Death has no competing event.",
        "FGF23",
        "ward_score | excluded by the settings of the run",
        f"The linear part has weight {contract.training.linear_weight:.2f}",
        "not fitted again to all",
        "| Area under the ROC curve: higher is better, 0.5 is chance | 0.812 (0.750 to 0.860) |",
        "| Integrated Brier score: lower is better | not estimated: needs a curve |",
        contract.interval.guarantee,
        "not the drug's effect",
        "last sites",
        "b" * 64,
        "not run from a checkout",
    ):
        assert words in text, words


def test_the_card_shows_figures_with_fields_left_empty_beside_those_as_recorded(
    contract: Contract,
) -> None:
    text = as_markdown(contract.name, model_card(contract, FINDINGS))

    assert "| Metric (direction, reference value) | as recorded | 20 % empty | 40 % empty |" in text
    assert (
        "| Area under the ROC curve: higher is better, 0.5 is chance | 0.812 (0.750 to 0.860) "
        "| 0.790 (0.740 to 0.840) | 0.760 (0.710 to 0.810) |" in text
    )


def test_small_counts_of_patients_are_withheld(contract: Contract) -> None:
    text = as_markdown(contract.name, model_card(contract, FINDINGS))
    assert f"| deaths | {contract.training.events} | fewer than 10 |" in text


STATED = StudyFacts(
    **{field.name: f"What the authors say of {field.name}" for field in fields(StudyFacts)}
)


def test_every_item_of_tripod_ai_has_a_status(contract: Contract) -> None:
    section = tripod_section(contract, (), external=False)

    rows = [row for row in section.tables[0].rows if len(row) > 1]
    assert {int(re.sub(r"\D", "", item)) for item, *_ in rows} == set(range(1, 28))
    states = {item: state for item, _, state, _ in rows}
    assert states["17"] == states["18a"] == states["5b"] == "open"
    assert states["20a"] == "reported"


def test_what_is_open_in_tripod_ai_is_listed_once_with_the_key_that_fills_it(
    contract: Contract,
) -> None:
    section = tripod_section(contract, (), external=False)

    still_open = section.sentences[1]
    assert "17 (ethics)" in still_open
    assert "18a (funding)" in still_open
    assert "20a" not in still_open
    cells = [row[-1] for row in section.tables[0].rows if len(row) > 1]
    assert not any("must state" in cell for cell in cells)


def test_what_the_authors_state_fills_every_item_of_tripod_ai(contract: Contract) -> None:
    done: tuple[Analysis, ...] = ("subgroups", "sample size")
    items = tripod_items(Subject.of(replace(contract, study=STATED)), done, external=False)

    assert len(items) == 52
    assert filled_items(items) == 52
    assert items["17"].content == "What the authors say of ethics."
    assert filled_items(tripod_items(Subject.of(contract), done, external=False)) < 48


def test_an_analysis_in_the_report_is_linked_from_its_item(contract: Contract) -> None:
    def item(number: str, done: tuple[Analysis, ...]) -> Item:
        return tripod_items(Subject.of(contract), done, external=False)[number]

    assert item("10", ()).sections == ("Patient flow",)
    assert item("10", ("sample size",)).sections == ("Sample size",)
    assert item("14", ()).sections == ()
    assert item("14", ("subgroups",)).sections == ("Summary", "Subgroups")


def test_a_search_for_settings_is_stated_with_what_it_chose(contract: Contract) -> None:
    config = RunConfig(
        test_fraction=0.3, tuning=Tuning(12), boosting=Boosting(max_depth=3), max_trees=700
    )
    searched = replace(contract, run=config.as_json())

    item = tripod_items(Subject.of(searched), (), external=False)["12c"]
    for stated in (item.content, model_development(searched).sentences[2]):
        assert "in 12 trials" in stated
        assert "max_depth 3" in stated
        assert "max_trees 700" in stated
    assert "trials" not in tripod_items(Subject.of(contract), (), external=False)["12c"].content


def test_without_a_stated_decision_no_clinical_use_is_defined(contract: Contract) -> None:
    text = as_markdown(contract.name, model_card(contract, FINDINGS))
    stated = as_markdown(contract.name, model_card(replace(contract, study=STATED), FINDINGS))

    assert text.count("No clinical use is defined") == 2  # summary and intended use
    assert "No clinical use is defined" not in stated
    assert "Decision: What the authors say of decision." in stated


def test_probast_ai_names_concerns_and_rates_nothing(contract: Contract) -> None:
    section = probast_section(contract, FINDINGS, external=False)

    rows = {row[0]: row for row in section.tables[0].rows}
    assert {"Participants and data sources", "Predictors", "Outcome", "Analysis"} <= set(rows)
    text = " ".join(cell for row in section.tables[0].rows for cell in row)
    assert "Simulated patients: not applicable to real patients." in text
    assert "Fewer than 100 events." in text
    assert "low risk" not in text


def test_too_few_training_patients_are_a_concern(contract: Contract) -> None:
    enough = contract.training.patients
    for needed, concern in ((enough, False), (enough + 1, True)):
        size = SampleSize(28.0, 24, 0.174, 0.288, 10, needed, 10)
        section = probast_section(contract, replace(FINDINGS, sample_size=(size,)), external=False)
        text = " ".join(cell for row in section.tables[0].rows for cell in row)
        assert ("Fewer patients than the sample size calculation requires." in text) is concern
        assert "No sample size was calculated." not in text
