"""The summary of a model as the first section of report and model card."""

from __future__ import annotations

from collections.abc import Sequence

from models.model_summary import ModelSummary, SummaryTable
from training.report.content import Picture, Section, Table

__all__ = ["summary_section"]


def summary_section(
    summary: ModelSummary, *, notice: str = "", picture: Sequence[Picture] = ()
) -> Section:
    """Return the summary of a model.

    `notice` is a sentence that comes before everything else, as on many refusals; `picture` holds
    the calibration at the summary's horizon.
    """
    return Section(
        "Summary",
        tuple(filter(None, (notice,))),
        topics=tuple((topic.heading, " ".join(topic.sentences)) for topic in summary.topics),
        tables=tuple(
            _table(table) for table in (summary.performance, summary.groups) if table.rows
        ),
        pictures=tuple(picture),
        points=summary.cautions,
        points_title="Cautions",
        beside=True,
    )


def _table(table: SummaryTable) -> Table:
    return Table(table.caption, table.header, table.rows, numbers=True)
