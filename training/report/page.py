"""A report as one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from models.wording import NOTICE
from training.report.content import Picture, Section, anchor_of

__all__ = ["SIMULATED", "report_page"]

SIMULATED = "Simulated patients. No result here applies to real patients."
"""The banner of every page of a report of a simulated cohort."""


def report_page(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    *,
    simulated: bool,
    kind: str = "report",
) -> str:
    """Return a document as one HTML page: all text escaped, no script, no request to a network.

    `kind` is what the page's title calls it.
    """
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            subtitle=subtitle,
            kind=kind,
            sections=sections,
            anchors={part.anchor for section in sections for part in _and_parts(section)},
            banner=SIMULATED if simulated else "",
            notice=NOTICE,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    environment.filters["anchor_of"] = anchor_of
    return environment


def _and_parts(section: Section) -> Iterator[Section]:
    """Yield a section and all parts of it."""
    yield section
    for part in section.parts:
        yield from _and_parts(part)


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
