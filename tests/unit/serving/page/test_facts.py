"""Validations elsewhere and updates on the page of facts."""

from dataclasses import replace
from typing import TYPE_CHECKING

from models.inference.contract import ModelUpdate
from models.metrics.metric import Metric
from models.registry.validations import Validation
from serving.page import facts
from serving.page.rendering import facts_page
from serving.page.source_attributes import source_attributes

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

VALIDATION = Validation(
    "St. <b>Elsewhere</b>",
    400,
    80,
    "f" * 64,
    (Metric("auroc", 90.0, 0.81, 0.77, 0.85),),
    False,
    "ann",
    "2026-03-01T10:00:00+00:00",
)
UPDATE = ModelUpdate(
    "slope",
    "2",
    "a" * 64,
    300,
    300,
    60,
    (28.0, 90.0),
    (0.2, 0.2),
    0.9,
    False,
    "c" * 64,
    "2026-02-01T00:00:00+00:00",
)


def test_a_validation_elsewhere_is_on_the_page_with_its_figures(mortality: "ServedModel") -> None:
    validated = replace(mortality, loaded=replace(mortality.loaded, validations=(VALIDATION,)))

    (row,) = facts.validations(validated)
    page = facts_page(validated)

    assert (row.date, row.patients) == ("2026-03-01", "400")
    assert row.figures == ("Discrimination (AUROC) at 90 days: 0.81 (0.77 to 0.85)",)
    assert "St. &lt;b&gt;Elsewhere&lt;/b&gt;" in page
    assert "It has been validated on the patients above only." not in page
    answers = {one.name: one.answer for one in source_attributes(mortality.contract, [VALIDATION])}
    assert answers["Data it was validated on, other than its own"].startswith("St. <b>Elsewhere")


def test_without_a_validation_the_page_says_so(mortality: "ServedModel") -> None:
    page = facts_page(mortality)

    assert "No validation elsewhere is recorded for this version." in page
    assert "It has been validated on the patients above only." in page


def test_an_update_is_on_the_page(mortality: "ServedModel") -> None:
    contract = replace(mortality.contract, updates=(UPDATE,))

    assert facts.updates(contract) == (
        "Updated on 2026-02-01 to 300 local patients with 60 deaths (level and spread of the "
        "risks). It was version 2 before.",
    )
