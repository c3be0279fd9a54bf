"""How every report is put together: its figures, the page, and what all tell of the patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.inference.contract import Description
from training.cohorts.flow import FlowStep
from training.report.content import Picture, Section
from training.report.figures.model_figures import Drawn, as_png, as_svg
from training.report.page import report_page
from training.report.patients import flow_section, missing_table, table_one

__all__ = ["Pictures", "WrittenPage", "patient_sections", "written_page"]

Pictures = Mapping[str, Sequence[Picture]]
"""Section of a report -> the figures that belong there."""


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """A report: one page, its sections, and its figures as PNG by name."""

    page: str
    sections: tuple[Section, ...]
    plots: Mapping[str, bytes]


def written_page(
    title: str,
    subtitle: str,
    drawn: Iterable[Drawn],
    sections: Callable[[Pictures], tuple[Section, ...]],
    *,
    simulated: bool,
) -> WrittenPage:
    """Return a report on one page, with the files of its figures.

    Parameters
    ----------
    title, subtitle : str
    drawn : iterable of Drawn
    sections : callable
        Takes the figures by the section where they belong, and returns the sections in the order
        in which they are read.
    simulated : bool
        Whether the patients are.

    Returns
    -------
    WrittenPage
    """
    figures = list(drawn)
    plots = {one.name: as_png(one.figure) for one in figures}
    written = sections(_by_place(figures))
    return WrittenPage(report_page(title, subtitle, written, simulated=simulated), written, plots)


def _by_place(drawn: Sequence[Drawn]) -> Pictures:
    """Return figures as pictures of a page, by the section where they belong."""
    places: dict[str, list[Picture]] = {}
    for one in drawn:
        if one.place != "files":
            width = float(one.figure.get_figwidth())
            picture = Picture(one.caption, one.alternative, width, as_svg(one.figure))
            places.setdefault(one.place, []).append(picture)
    return places


def patient_sections(
    steps: Mapping[str, FlowStep],
    described: Description,
    pictures: Pictures,
    *,
    whole: str,
    event: str,
    competing: str | None,
    horizon_days: float,
    gaps: tuple[str, ...] = (),
) -> tuple[Section, ...]:
    """Return the flow of the patients, who they are by outcome, and what was not recorded.

    Parameters
    ----------
    steps : mapping of str to FlowStep
        What is done with a group of patients -> the group.
    described : Description
        All patients, and by what had become of them.
    pictures : Pictures
    whole : str
        What all groups of the flow together are called.
    event : str
        What happens, in the singular.
    competing : str or None
        What competes with it.
    horizon_days : float
        That the patients are described for.
    gaps : tuple of str
        Sentences about values that were not recorded.

    Returns
    -------
    tuple of Section
    """
    caption = f"Patients by what had become of them by day {horizon_days:g}"
    caption = f"Patients by what had become of them by day {horizon_days:g}"
    return (
        flow_section(steps, whole=whole, event=event, competing=competing),
        Section("Who they are, by outcome", tables=(table_one(described, caption=caption),)),
        Section(
            "What was not recorded",
            gaps,
            (missing_table(described, caption="Patients in whom a variable was not recorded"),),
            tuple(pictures.get("patients", ())),
        ),
    )
