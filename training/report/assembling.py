"""The assembly of a report: figures, page, and the sections on patients that all reports share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from data_schema.disclosure import shown_count
from models.inference.contract import Description
from models.wording import MISSING_VALUES
from training.cohorts.flow import FlowStep
from training.report.content import Picture, Section
from training.report.figures.model_figures import ReportFigure, as_png, as_svg
from training.report.page import report_page
from training.report.patients import flow_section, missing_table, table_one

__all__ = ["Pictures", "ReportPage", "assemble_report", "patient_sections"]

Pictures = Mapping[str, Sequence[Picture]]
"""Section of a report -> its figures."""


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A report as one HTML page, its sections, and its figures as PNG by name."""

    html: str
    sections: tuple[Section, ...]
    plots: Mapping[str, bytes]


def assemble_report(
    title: str,
    subtitle: str,
    figures: Iterable[ReportFigure],
    sections: Callable[[Pictures], tuple[Section, ...]],
    *,
    simulated: bool,
) -> ReportPage:
    """Return a report on one page, and its figures as files.

    `sections` takes the pictures by section and returns the sections in reading order.
    """
    figures = list(figures)
    # PNG first: it settles the layout, which the SVG then shares.
    plots = {figure.name: as_png(figure.figure) for figure in figures}
    written = sections(_by_section(figures))
    return ReportPage(report_page(title, subtitle, written, simulated=simulated), written, plots)


def _by_section(figures: Sequence[ReportFigure]) -> Pictures:
    pictures: dict[str, list[Picture]] = {}
    for figure in figures:
        if figure.section != "files":
            width = float(figure.figure.get_figwidth())
            picture = Picture(figure.caption, figure.alternative, width, as_svg(figure.figure))
            pictures.setdefault(figure.section, []).append(picture)
    return pictures


def patient_sections(
    steps: Mapping[str, FlowStep],
    by_outcome: Description,
    pictures: Pictures,
    *,
    whole: str,
    event: str,
    competing: str | None,
    horizon_days: float,
) -> tuple[Section, ...]:
    """Return the flow of the patients, their characteristics by outcome, and the missing data.

    `steps` maps the title of each group to its flow, `whole` is the title of all of them together,
    and `event` is in the singular.
    """
    characteristics = table_one(
        by_outcome, caption=f"Patient characteristics by outcome at day {horizon_days:g}"
    )
    return (
        flow_section(steps, whole=whole, event=event, competing=competing),
        Section("Patient characteristics", tables=(characteristics,)),
        Section(
            "Missing data",
            (
                "No patient was excluded from training or evaluation because of missing values."
                f"{_too_little_measured(steps)} {MISSING_VALUES}",
            ),
            (missing_table(by_outcome, caption="Stays in which a variable was not recorded"),),
            tuple(pictures.get("patients", ())),
        ),
    )


def _too_little_measured(steps: Mapping[str, FlowStep]) -> str:
    """Return how many stays get no risk because too little was measured, if any."""
    count = sum(step.refused.get("too_little_measured", 0) for step in steps.values())
    if not count:
        return ""
    return (
        f" For {shown_count(count)} of the stays evaluated the model gives no risk, because too "
        "little was measured; the metrics count them all the same."
    )
