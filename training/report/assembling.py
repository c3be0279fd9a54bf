"""The assembly of a report: figures, page, and the sections on patients that all reports share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from data_schema.disclosure import shown_count
from models.inference.contract import Description
from models.wording import MISSING_VALUES
from training.cohorts.flow import FlowStep
from training.report.content import Picture, Section
from training.report.figures.model_figures import ReportFigure, as_svg
from training.report.page import report_page
from training.report.patients import flow_section, missing_table, table_one

__all__ = ["Pictures", "ReportPage", "assemble_report", "patient_sections"]

Pictures = Mapping[str, Sequence[Picture]]
"""Section of a report -> its figures."""


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A report as one HTML page, its sections, and its figures as SVG by name."""

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
    pictures: dict[str, list[Picture]] = {}
    plots: dict[str, bytes] = {}
    for figure in figures:
        # Drawn once: the page and the file hold the same drawing.
        svg = plots[figure.name] = as_svg(figure.figure)
        width = float(figure.figure.get_figwidth())
        picture = Picture(figure.caption, figure.alternative, width, svg)
        pictures.setdefault(figure.section, []).append(picture)
    written = sections(pictures)
    return ReportPage(report_page(title, subtitle, written, simulated=simulated), written, plots)


def patient_sections(
    steps: Mapping[str, FlowStep],
    by_outcome: Description,
    *,
    whole: str,
    event: str,
    competing: str | None,
    horizon_days: float,
    data_source: str = "",
) -> tuple[Section, ...]:
    """Return the flow of the patients, their characteristics by outcome, and the missing data.

    `steps` maps the title of each group to its flow, `whole` is the title of all of them together,
    `event` is in the singular, and `data_source` is what the authors state of the data.
    """
    characteristics = table_one(
        by_outcome, caption=f"Patient characteristics by outcome at day {horizon_days:g}"
    )
    missing = missing_table(by_outcome, caption="Stays in which a variable was not recorded")
    return (
        flow_section(steps, whole=whole, event=event, competing=competing),
        Section("Patient characteristics", tables=(characteristics,)),
        Section(
            "Missing data",
            (
                *((f"Source of the data: {data_source.rstrip('.')}.",) if data_source else ()),
                "No patient was excluded from training or evaluation because of missing values."
                f"{_too_little_measured(steps)} {MISSING_VALUES}",
                *(
                    ()
                    if missing
                    else (
                        "In no variable does the share recorded differ between outcomes by more "
                        "than chance.",
                    )
                ),
            ),
            (missing,) if missing else (),
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
