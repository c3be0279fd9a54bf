"""The data dictionary of a planned study: panel, base, and the columns that its design needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from data_schema.biomarkers import VARIABLES
from data_schema.mapping.rules import TREATMENT_LIMITED, TREATMENT_LIMITED_DAYS
from data_schema.units import range_text, units_in_words
from data_schema.variables import BELOW, Variable, not_done_column
from training.protocol.design import StudyDesign
from training.report.content import Section, Table

__all__ = ["dictionary_section"]

_HEADER = ("column", "what it is", "units", "plausible range", "codes", "notes")


def dictionary_section(design: StudyDesign) -> Section:
    """Return every column of the cohort file, from the catalogue."""
    panel = [(name, design.panel.added[name]) for name in design.panel.added]
    return Section(
        "Data dictionary",
        (
            "One row per stay, columns as below, from Osteon's catalogue. The first unit is the "
            "one in which models are fitted; values in the others are converted, and no other unit "
            "is accepted. A value outside the plausible range is refused. A name or a unit of a "
            "site's own is translated by its mapping file.",
            "Where a variable exists in two assays, each site measures the same one; the column of "
            "the other stays empty at every site and is left out of the file.",
        ),
        tables=(
            Table(
                "Identity, outcome and design", ("column", "what it holds"), _design_rows(design)
            ),
            Table("Panel", _HEADER, tuple(_parts(panel))),
            Table("Base", _HEADER, tuple(_rows(design.panel.over))),
        ),
    )


def _design_rows(design: StudyDesign) -> tuple[tuple[str, str], ...]:
    outcome = design.outcome
    competing = f", 2 {outcome.competing_label}" if outcome.competing_label else ""
    marker = design.panel.columns[0]
    return (
        ("patient_id, stay_id", "Pseudonyms of the patient and of the stay."),
        ("site", "Pseudonym of the site."),
        (
            outcome.days_column,
            f"Days from time zero ({outcome.time_zero}) to event or last contact.",
        ),
        (outcome.event_column, f"0 censored, 1 {outcome.event_singular}{competing}."),
        (
            TREATMENT_LIMITED,
            "1 if treatment was limited at any time of the stay, 0 if not. Never a predictor.",
        ),
        (TREATMENT_LIMITED_DAYS, "Days from time zero to that decision; negative if before."),
        (
            f"{marker}__{BELOW}, and so on",
            f"1 if the result lies below the detection limit, which {marker} then holds.",
        ),
        (
            f"{not_done_column(marker)}, and so on",
            "1 if no result could be obtained, with the reason in the study's log.",
        ),
    )


def _parts(panel: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, ...]]:
    for name, members in panel:
        if members != (name,):
            yield (name,)
        yield from _rows(members)


def _rows(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    return (_row(VARIABLES[name]) for name in names)


def _row(variable: Variable) -> tuple[str, ...]:
    units = units_in_words(variable, (*variable.units, *variable.offset_units))
    limit = (
        ""
        if variable.detection_limit is None
        else f"Usual detection limit: {variable.detection_limit:g}."
    )
    what = f"{variable.label}, in {variable.specimen}" if variable.specimen else variable.label
    return (
        variable.name,
        f"{what}; {variable.window.words}",
        ", ".join(units),
        _range(variable),
        ", ".join(code.code for code in variable.codes),
        " ".join(filter(None, (limit, variable.hint, variable.note))),
    )


def _range(variable: Variable) -> str:
    if variable.kind == "category":
        return ", ".join(variable.categories)
    return "0 or 1" if variable.kind == "flag" else range_text(variable)
