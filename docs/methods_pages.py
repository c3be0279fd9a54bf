"""Pages of the methods that are written from the code: every metric, and what was simulated.

Each function returns a part of a page in Markdown, which a page of `methods/` includes.
"""

from __future__ import annotations

import inspect
import re

from models.metrics.catalogue import METRICS, AnyMetricSpec, Group
from training.simulation.hazards import HAZARDS
from training.simulation.markers import marker_table
from training.simulation.parameter import Basis
from training.simulation.published import compare_with_published
from training.simulation.scenarios import SCENARIOS

__all__ = ["formula_of", "metrics_page", "simulation_page", "sources_of"]

_PATIENTS = 2_000
"""Enough for what is compared; what is simulated is printed by `osteon simulate --check`."""


def metrics_page() -> str:
    """Return every metric of the catalogue, with estimand, direction, formula and source."""
    parts = []
    for group in Group:
        parts.append(f"### {group.value}\n")
        parts += [_metric(one) for one in METRICS.values() if one.group is group]
    return "\n".join(parts)


def _metric(one: AnyMetricSpec) -> str:
    reading = one.reading
    return "\n".join(
        [
            f"#### {one.label}\n",
            f"`{one.name}`. {reading[0].upper()}{reading[1:]}.\n",
            f"*Estimand.* {one.estimand}\n",
            f"*Formula.* {formula_of(one)}\n",
            f"*Source.* {'; '.join(sources_of(one))}\n",
        ]
    )


def formula_of(one: AnyMetricSpec) -> str:
    """Return the notes of the metric's function, its formulas between dollar signs."""
    notes = _section(one, "Notes")
    without_marks = re.sub(r"\s*\[\d+\]_", "", notes)
    text = re.sub(
        r":math:`([^`]+)`", lambda found: f"${' '.join(found[1].split())}$", without_marks
    )
    return " ".join(text.split())


def sources_of(one: AnyMetricSpec) -> list[str]:
    """Return the references of the metric's function, each with its DOI or address."""
    entries = re.split(r"^\.\. \[\d+\] ", _section(one, "References"), flags=re.MULTILINE)
    return [" ".join(entry.split()).rstrip(".") for entry in entries if entry.strip()]


def _section(one: AnyMetricSpec, title: str) -> str:
    """Return a section of a docstring in numpydoc's form; empty where there is none."""
    text = inspect.getdoc(one.documented_by) or ""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def simulation_page() -> str:
    """Return the figures that are compared, the sources of the markers, and the scenarios."""
    figures = [
        f"| {one.item} | {one.published} | {one.low:.3g} to {one.high:.3g} | "
        f"{'tolerance' if one.tolerance else 'published'} | {one.row} | {one.mark} |"
        for one in compare_with_published(_PATIENTS, seed=0)
    ]
    markers = [
        f"| `{marker.name}` | {marker.panel} | {marker.scale} | {_basis(marker.basis)} |"
        for marker in marker_table().markers
    ]
    hazards = [
        f"| {name} | {', '.join([*hazard.states, *hazard.facts])} | {_basis(hazard.basis)} |"
        for name, hazard in HAZARDS.items()
    ]
    scenarios = [f"| `{one.name}` | {one.summary} |" for one in SCENARIOS.values()]
    return "\n".join(
        [
            "### What is compared\n",
            "| figure | published | accepted | range | evidence | mark |",
            "| --- | --- | --- | --- | --- | --- |",
            *figures,
            "\n### Where location and spread of each marker come from\n",
            "*seen*: read in the source. *derived*: arithmetic on what was seen. *background*: "
            "general knowledge, unverified. *seed*: the review's. *assumed*: no direct evidence, "
            "or chosen so that a figure above comes out. Weights of states and facts are all "
            "assumed.\n",
            "| marker | ordered with | scale | evidence |",
            "| --- | --- | --- | --- |",
            *markers,
            "\n### Hazards\n",
            "| hazard | moved by | evidence |",
            "| --- | --- | --- |",
            *hazards,
            "\n### Scenarios\n",
            "| name | what it is |",
            "| --- | --- |",
            *scenarios,
            "",
        ]
    )


def _basis(basis: Basis) -> str:
    return f"{basis.mark}, section {basis.row}" if basis.row else basis.mark
