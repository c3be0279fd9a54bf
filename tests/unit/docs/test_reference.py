"""The reference is complete: nothing that a user can set, call or send lacks a documented line."""

from __future__ import annotations

import re

import pytest

from data_schema.biomarkers import VARIABLES
from methods_pages import formula_of, metrics_page, sources_of
from models.metrics.catalogue import METRICS, AnyMetricSpec
from reference_pages import (
    PAGES,
    catalogue_page,
    commands,
    commands_page,
    endpoints,
    endpoints_page,
)
from serving.settings import OTHER_VARIABLES, Settings
from serving.settings_page import documented_settings


def test_no_setting_lacks_a_line() -> None:
    listed = documented_settings()
    assert len(listed) == len(Settings.model_fields) + len(OTHER_VARIABLES)
    assert [one.variable for one in listed if not (one.description and one.example)] == []


def test_no_command_and_no_option_lacks_a_line() -> None:
    found = list(commands())
    assert len(found) > 25
    assert [name for name, command in found if not (command.help or "").strip()] == []
    without = [
        f"{name} {parameter.name}"
        for name, command in found
        for parameter in command.params
        if parameter.name != "help" and not (getattr(parameter, "help", "") or "").strip()
    ]
    assert without == []
    page = commands_page()
    assert all(f"## `{name}`" in page for name, _ in found)


def test_no_endpoint_lacks_a_line() -> None:
    found = list(endpoints())
    assert len(found) >= 15
    without = [
        f"{method} {path}"
        for method, path, operation in found
        if not (operation.get("summary") and operation.get("description"))
    ]
    assert without == []
    page = endpoints_page()
    assert all(f"`{method} {path}`" in page for method, path, _ in found)


def test_no_variable_of_the_catalogue_lacks_a_line() -> None:
    page = catalogue_page()
    assert all(f'id="{name}"' in page for name in VARIABLES)
    without = [
        name
        for name, variable in VARIABLES.items()
        if not (variable.label and variable.pathway and variable.window.words)
        or (variable.kind == "number" and not variable.unit)
        or not (variable.note or variable.codes or variable.references or variable.synonyms)
    ]
    assert without == []


def test_the_catalogue_is_searched_by_what_laboratories_call_a_variable() -> None:
    row = re.search(r'<tr id="fgf23_c" data-words="([^"]+)"', catalogue_page())
    assert row is not None
    assert "cfgf23" in row[1]


def test_no_page_loads_anything_from_another_host() -> None:
    for text in (page() for page in PAGES.values()):
        assert re.findall(r'(?:src|href)="https?://[^"]+\.(?:js|css|png|woff2?)"', text) == []


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_has_estimand_direction_formula_and_source(metric: AnyMetricSpec) -> None:
    page = metrics_page()

    entry = page[page.index(f"`{metric.name}`") :].split("####")[0]
    assert metric.estimand in entry
    assert metric.direction.value.lower() in entry.lower()
    assert "$" in formula_of(metric)
    assert ":math:" not in entry
    assert sources_of(metric)
    assert all(re.search(r"doi:10\.|arXiv:|https://", one) for one in sources_of(metric))
